/* Once: one strand runs the function, the others wait for it.
 *
 * Design notes. NEW, RUNNING, RUNNING | WAITERS, DONE. The result is written before DONE is stored
 * with release, and read after it was seen with acquire; after that store the runner does not touch
 * the object.
 */
#include <errno.h>

#include <trenza/once.h>

#include "core/parking.h"
#include "core/strand.h"

enum { NEW = 0, RUNNING = 1, WAITERS = 2, DONE = TZ__ONCE_DONE };

extern inline int tz_once_call(tz_once *once, tz_once_function *function, void *arg);

static bool swap(tz_once *o, uint32_t *expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(&o->tz__state, expected, desired, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE);
}

/* Also when the function does not return. */
static void finish(tz_once **o)
{
	if (__atomic_exchange_n(&(*o)->tz__state, DONE, __ATOMIC_RELEASE) & WAITERS)
		(void)tz_parking_wake(*o, SIZE_MAX, NULL, NULL, NULL);
}

static int run(tz_once *o, tz_once_function *function, void *arg)
{
	tz_once *running __attribute__((cleanup(finish))) = o;

	running->tz__result = -ECANCELED;
	int r = function(arg);

	return running->tz__result = r;
}

static bool wait_begin(struct tz_parked *n)
{
	tz_once *o = n->object;
	uint32_t s = RUNNING;

	return swap(o, &s, RUNNING | WAITERS) || s == (RUNNING | WAITERS);
}

/* WAITERS stays: it costs one look into an empty queue. */
static const struct tz_parking_steps steps = { .name = "call to be done once", .begin = wait_begin };

int tz__once_call_slow(tz_once *o, tz_once_function *function, void *arg)
{
	uint32_t s = NEW;

	if (swap(o, &s, RUNNING))
		return run(o, function, arg);
	if (s != DONE) {
		struct tz_parked n = { .strand = tz_strand_self(), .object = o };
		int r = tz_parking_wait(&n, o, &steps, TZ_PARKING_SPIN, tz_never());

		if (r < 0 && r != -EAGAIN)
			return r;
	}
	return o->tz__result;
}

bool tz_once_is_done(const tz_once *o)
{
	return __atomic_load_n(&o->tz__state, __ATOMIC_ACQUIRE) == DONE;
}
