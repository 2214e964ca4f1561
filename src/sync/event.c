/* The event: a flag, a count of how often it was set, and strands that wait for the next time.
 *
 * Design notes. Setting must work in a signal handler, so it takes no lock: one swap sets SET,
 * counts the generation up and clears WAITERS. If WAITERS was set, the parking lot wakes those who
 * saw an earlier generation, now or, if the handler has interrupted somebody who holds the bucket,
 * as soon as the bucket is free (parking.h). A waiter sets WAITERS in the same word and remembers
 * the generation: either it sees SET, or the setter sees WAITERS. The generation makes a set that
 * is followed by a clear reach everyone who waited. Any other generation than the waiter's is a later
 * one: for a wake-up to be lost, a setter would have to be held up between its two steps for 2^30
 * sets, or a multiple of that, exactly, and nobody else begin to wait meanwhile. Release on setting,
 * acquire on finding it set.
 */
#include <errno.h>

#include <trenza/event.h>

#include "core/parking.h"
#include "core/strand.h"

enum { SET = 1, WAITERS = 2, ONE_GENERATION = 4 };

static uint32_t load(const tz_event *e)
{
	return __atomic_load_n(&e->tz__word, __ATOMIC_ACQUIRE);
}

static bool swap(tz_event *e, uint32_t *expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(&e->tz__word, expected, desired, true, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

void tz_event_set(tz_event *e)
{
	uint32_t w = load(e), next;

	do /* also when it is set: what the caller wrote is to be seen by who finds it set */
		next = (w & SET) ? w : ((w + ONE_GENERATION) | SET) & ~(uint32_t)WAITERS;
	while (!swap(e, &w, next));
	if (!(w & SET) && (w & WAITERS))
		tz_parking_signal(&e->tz__word);
}

void tz_event_clear(tz_event *e)
{
	(void)__atomic_fetch_and(&e->tz__word, ~(uint32_t)SET, __ATOMIC_ACQ_REL);
}

bool tz_event_is_set(const tz_event *e)
{
	return (load(e) & SET) != 0;
}

static bool wait_begin(struct tz_parked *n)
{
	tz_event *e = n->object;
	uint32_t w = load(e);

	do {
		if (w & SET)
			return false;
	} while (!swap(e, &w, w | WAITERS));
	n->kind = w & TZ_PARKING_GENERATION;
	return true;
}

static void withdrawn(struct tz_parked *n, bool more)
{
	tz_event *e = n->object;

	if (!more)
		(void)__atomic_fetch_and(&e->tz__word, ~(uint32_t)WAITERS, __ATOMIC_RELAXED);
}

static const struct tz_parking_steps steps = { .name = "event", .begin = wait_begin, .withdrawn = withdrawn };

int tz_event_wait_until(tz_event *e, tz_deadline deadline)
{
	tz_strand_count_call();
	if (tz_event_is_set(e))
		return 0;
	struct tz_parked n = { .strand = tz_strand_self(), .object = e };
	int r = tz_parking_wait(&n, &e->tz__word, &steps, TZ_PARKING_SPIN | TZ_PARKING_BY_SIGNAL,
				deadline);

	if (r == -EAGAIN)
		return 0;
	if (r < 0 && (load(e) & TZ_PARKING_GENERATION) != n.kind)
		return 0; /* set just as the time was up */
	return r;
}

int tz_event_wait(tz_event *e)
{
	return tz_event_wait_until(e, tz_never());
}
