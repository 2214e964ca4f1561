/* The semaphore: a count, and strands that wait for it to rise.
 *
 * Design notes. The word is the number of permits times two, plus WAITERS. Strands wait only while
 * there is no permit, and released permits go to them first, under the bucket lock: so there are
 * never permits and waiters at the same time, and no newcomer overtakes. WAITERS changes under the
 * bucket lock only. The swap that releases is the last touch of the semaphore; a permit that is
 * handed over travels in the waiter's state. Acquire on taking, release on giving; a
 * read-modify-write in between keeps the chain.
 */
#include <errno.h>

#include <trenza/semaphore.h>

#include "core/parking.h"
#include "core/strand.h"

enum { WAITERS = 1, ONE = 2 };

static uint32_t load(const tz_semaphore *s)
{
	return __atomic_load_n(&s->tz__word, __ATOMIC_RELAXED);
}

static bool swap(tz_semaphore *s, uint32_t *expected, uint32_t desired, int order)
{
	return __atomic_compare_exchange_n(&s->tz__word, expected, desired, true, order,
					   __ATOMIC_RELAXED);
}

static int init(tz_semaphore *s, int permits, bool bounded)
{
	if (permits < 0 || permits > TZ_SEMAPHORE_MAX)
		return -EINVAL;
	s->tz__word = (uint32_t)permits * ONE;
	s->tz__bound = bounded ? (uint32_t)permits + 1 : 0;
	return 0;
}

int tz_semaphore_init(tz_semaphore *s, int permits)
{
	return init(s, permits, false);
}

int tz_semaphore_init_bounded(tz_semaphore *s, int permits)
{
	return init(s, permits, true);
}

static bool take(tz_semaphore *s)
{
	uint32_t w = load(s);

	while (w >= ONE)
		if (swap(s, &w, w - ONE, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

int tz_semaphore_try(tz_semaphore *s)
{
	return take(s) ? 0 : -EBUSY;
}

static bool wait_begin(struct tz_parked *n)
{
	tz_semaphore *s = n->object;
	uint32_t w = load(s);

	do {
		if (w >= ONE)
			return false;
	} while (!swap(s, &w, w | WAITERS, __ATOMIC_RELAXED));
	return true;
}

static void withdrawn(struct tz_parked *n, bool more)
{
	tz_semaphore *s = n->object;

	if (!more)
		(void)__atomic_fetch_and(&s->tz__word, ~(uint32_t)WAITERS, __ATOMIC_RELAXED);
}

static const struct tz_parking_steps steps = { .name = "semaphore", .begin = wait_begin, .withdrawn = withdrawn };

int tz_semaphore_acquire_until(tz_semaphore *s, tz_deadline deadline)
{
	tz_strand_count_call();
	while (!take(s)) {
		struct tz_parked n = { .strand = tz_strand_self(), .object = s };
		int r = tz_parking_wait(&n, s, &steps, TZ_PARKING_SPIN, deadline);

		if (r != -EAGAIN)
			return r;
	}
	return 0;
}

int tz_semaphore_acquire(tz_semaphore *s)
{
	return tz_semaphore_acquire_until(s, tz_never());
}

static uint32_t bound_of(const tz_semaphore *s)
{
	return s->tz__bound ? s->tz__bound - 1 : TZ_SEMAPHORE_MAX;
}

struct release {
	tz_semaphore *semaphore;
	uint32_t n;
	int error;
};

/* Those who were taken have their permits; the rest is for whoever comes. If there were waiters,
 * there were no permits, and the bound has been looked at; if they had gone in the meantime it is
 * looked at here. */
static void settle(void *arg, size_t taken, bool more)
{
	struct release *r = arg;
	uint32_t w = load(r->semaphore), next;

	do {
		if (taken == 0 && r->n > bound_of(r->semaphore) - w / ONE) {
			r->error = -EOVERFLOW;
			return;
		}
		next = ((w & ~(uint32_t)WAITERS) + (r->n - (uint32_t)taken) * ONE) |
		       (more ? WAITERS : 0);
	} while (!swap(r->semaphore, &w, next, __ATOMIC_RELEASE));
}

int tz_semaphore_release_n(tz_semaphore *s, int n)
{
	uint32_t w = load(s);

	if (n < 0)
		return -EINVAL;
	if (n == 0)
		return 0;
	do {
		if ((uint32_t)n > bound_of(s) - w / ONE)
			return -EOVERFLOW;
		if (w & WAITERS) {
			struct release r = { s, (uint32_t)n, 0 };

			(void)tz_parking_wake(s, (size_t)n, NULL, settle, &r);
			return r.error;
		}
	} while (!swap(s, &w, w + (uint32_t)n * ONE, __ATOMIC_RELEASE));
	return 0;
}

int tz_semaphore_release(tz_semaphore *s)
{
	return tz_semaphore_release_n(s, 1);
}

int tz_semaphore_permits(const tz_semaphore *s)
{
	return (int)(load(s) / ONE);
}
