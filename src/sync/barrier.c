/* The barrier: rounds of arrivals, in one word.
 *
 * Design notes
 *
 * The word. How many have arrived in this round, BROKEN, WAITERS: some of them queue in the parking
 * lot, the outcomes of the last ten rounds (a bit each, 1: complete), and the number of the round.
 * Who arrives adds one; the last one begins the next round in the same swap, with which the others
 * are free: those who look at the word see another round, and if WAITERS was set those in the queue
 * are woken. Breaking begins another round, too, with the outcome 0.
 *
 * Outcome. A waiter in the queue is told by its waker. One that looks finds its round's outcome in
 * the word: of ten rounds, of which it holds up all but those that break. Who comes back even later
 * is told that its round broke.
 *
 * Action. While it runs the round is full: all parties and nobody else. Strands beyond the parties
 * wait until it is over, without counting, and then arrive.
 *
 * Order. Arriving is acquire and release, looking acquire: what was done before the barrier is seen
 * after it. WAITERS is set under the bucket lock, by a waiter that sees its round still going on,
 * before it queues; so whoever ends the round finds it in the queue.
 */
#include <errno.h>
#include <limits.h>

#include <trenza/barrier.h>

#include "core/parking.h"
#include "core/strand.h"

enum { ARRIVED = 0xfffff, BROKEN = 1 << 20, WAITERS = 1 << 21 };
enum { OUTCOMES = 10, OUTCOMES_SHIFT = 22, ROUND_SHIFT = 32 };

enum { TOLD_BROKEN = 0, TOLD_COMPLETE = 1 }; /* tokens */
enum { LOOKS = 64 };

static uint64_t load(const tz_barrier *b)
{
	return __atomic_load_n(&b->tz__word, __ATOMIC_ACQUIRE);
}

static bool swap(tz_barrier *b, uint64_t *expected, uint64_t desired)
{
	return __atomic_compare_exchange_n(&b->tz__word, expected, desired, true, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static uint32_t round_of(uint64_t w)
{
	return (uint32_t)(w >> ROUND_SHIFT);
}

static uint32_t arrived(uint64_t w)
{
	return (uint32_t)w & ARRIVED;
}

/* The word with which the round of w ends. */
static uint64_t next_round(uint64_t w, bool complete, bool broken)
{
	uint64_t outcomes = (w >> OUTCOMES_SHIFT << 1 | complete) & ((1 << OUTCOMES) - 1);

	return (uint64_t)(round_of(w) + 1) << ROUND_SHIFT | outcomes << OUTCOMES_SHIFT |
	       (broken ? BROKEN : 0);
}

/* Whether the round, which is over, was completed. */
static bool was_completed(uint64_t w, uint32_t round)
{
	uint32_t ago = round_of(w) - round - 1;

	return ago < OUTCOMES && (w >> (OUTCOMES_SHIFT + ago) & 1);
}

int tz_barrier_init(tz_barrier *b, int parties, tz_barrier_action *action, void *arg)
{
	tz_barrier fresh = { .tz__action = action, .tz__arg = arg };

	if (parties < 1 || parties > TZ_BARRIER_MAX)
		return -EINVAL;
	fresh.tz__others = (uint32_t)parties - 1;
	*b = fresh;
	return 0;
}

/* Ending a round */

struct ended {
	uint32_t round;
	uint32_t token;
};

static enum tz_parking_choice tell(struct tz_parked *n, void *arg)
{
	const struct ended *e = arg;

	if ((int32_t)(e->round - n->kind) < 0)
		return TZ_PARKING_PASS; /* a later round's */
	n->token = e->token;
	return TZ_PARKING_TAKE;
}

static void wake_round(tz_barrier *b, uint32_t round, uint32_t token)
{
	struct ended e = { round, token };

	(void)tz_parking_wake(b, SIZE_MAX, tell, NULL, &e);
}

/* Ends the round that is going on, if it is the given one or `any`; false if it is over already. */
static bool end_round(tz_barrier *b, uint32_t round, bool any, bool complete, bool broken)
{
	uint64_t w = load(b);

	do {
		if (!any && round_of(w) != round)
			return false;
	} while (!swap(b, &w, next_round(w, complete, broken)));
	if (w & WAITERS)
		wake_round(b, round_of(w), complete ? TOLD_COMPLETE : TOLD_BROKEN);
	return true;
}

void tz_barrier_abort(tz_barrier *b)
{
	(void)end_round(b, 0, true, false, true);
}

void tz_barrier_reset(tz_barrier *b)
{
	(void)end_round(b, 0, true, false, false);
}

/* The action */

struct acting {
	tz_barrier *barrier;
	uint32_t round;
	bool succeeded;
};

/* Also when the action does not return: its thread ends, or it throws. */
static void after_action(struct acting *a)
{
	if (!a->succeeded)
		(void)end_round(a->barrier, a->round, false, false, true);
}

static int run_action(tz_barrier *b, uint32_t round)
{
	struct acting a __attribute__((cleanup(after_action))) = { b, round, false };
	int r = b->tz__action(b->tz__arg);

	a.succeeded = r == 0;
	return r <= 0 ? r : -EPIPE;
}

/* The caller was the last one to arrive. */
static int complete_round(tz_barrier *b, uint32_t round)
{
	int r = run_action(b, round);

	if (r < 0)
		return r;
	return end_round(b, round, false, true, false) ? (int)b->tz__others : -EPIPE;
}

/* Waiting */

struct arrival {
	struct tz_parked node; /* first: the steps get its address; its kind is the round */
	tz_barrier *barrier;
	bool counted; /* in the round, or only waiting for its end */
	bool broke_it;
};

static bool wait_begin(struct tz_parked *n)
{
	struct arrival *a = (struct arrival *)n;
	uint64_t w = load(a->barrier);

	do {
		if (round_of(w) != n->kind)
			return false;
	} while (!swap(a->barrier, &w, w | WAITERS));
	return true;
}

/* A party that gives up breaks the barrier, unless the round has ended just now. */
static void withdrawn(struct tz_parked *n, bool more)
{
	struct arrival *a = (struct arrival *)n;
	uint64_t w = load(a->barrier);

	(void)more; /* WAITERS may stay: it costs one look into an empty queue */
	while (a->counted && !a->broke_it && round_of(w) == n->kind)
		a->broke_it = swap(a->barrier, &w, next_round(w, false, true));
}

static const struct tz_parking_steps steps = { .name = "barrier", .begin = wait_begin, .withdrawn = withdrawn };

/* Mostly the others are about to arrive, too. True if the round ended. */
static bool look(tz_barrier *b, uint32_t round)
{
	for (int i = 0; i < LOOKS; i++) {
		if (round_of(load(b)) != round)
			return true;
		tz_cpu_relax();
	}
	return false;
}

/* Waits for the end of the round: 0 if it was completed, -EPIPE if not, or why the wait ended
 * before. */
static int wait_for_end(tz_barrier *b, uint32_t round, bool counted, tz_deadline deadline)
{
	struct arrival a = { .barrier = b, .counted = counted };

	a.node.strand = tz_strand_self();
	a.node.kind = round;
	if (!tz_parking_patient(b, &a.node) || !look(b, round)) {
		int r = tz_parking_wait(&a.node, b, &steps, TZ_PARKING_SPIN, deadline);

		if (a.broke_it)
			wake_round(b, round, TOLD_BROKEN);
		if (a.broke_it || (r < 0 && r != -EAGAIN && !counted))
			return r;
		if (r == 0)
			return a.node.token == TOLD_COMPLETE ? 0 : -EPIPE;
	}
	return was_completed(load(b), round) ? 0 : -EPIPE;
}

int tz_barrier_wait_until(tz_barrier *b, tz_deadline deadline)
{
	tz_strand_count_call();
	uint64_t w = load(b);

	for (;;) {
		uint32_t place = arrived(w), round = round_of(w);

		if (w & BROKEN)
			return -EPIPE;
		if (place > b->tz__others) { /* full */
			int r = wait_for_end(b, round, false, deadline);

			if (r < 0 && r != -EPIPE)
				return r;
			w = load(b);
		} else if (place == b->tz__others && !b->tz__action) {
			if (!swap(b, &w, next_round(w, true, false)))
				continue;
			if (w & WAITERS)
				wake_round(b, round, TOLD_COMPLETE);
			return (int)place;
		} else if (swap(b, &w, w + 1)) {
			if (place == b->tz__others)
				return complete_round(b, round);
			int r = wait_for_end(b, round, true, deadline);

			return r < 0 ? r : (int)place;
		}
	}
}

int tz_barrier_wait(tz_barrier *b)
{
	return tz_barrier_wait_until(b, tz_never());
}

bool tz_barrier_is_broken(const tz_barrier *b)
{
	return (load(b) & BROKEN) != 0;
}

int tz_barrier_parties(const tz_barrier *b)
{
	return (int)b->tz__others + 1;
}

int tz_barrier_waiting(const tz_barrier *b)
{
	return (int)arrived(load(b));
}
