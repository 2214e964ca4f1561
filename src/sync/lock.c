/* The lock: who does not get it at once, and who must wake somebody.
 *
 * Design notes
 *
 * The word is a comer's (comer.h), and has no bits of its own: 0 is free.
 *
 * Acquire. One read-modify-write sets HELD, whatever else the word says; if it was set already,
 * nothing has changed, and the slow path begins.
 *
 * Release. If nobody waits, or a rival is awake, one swap frees the word and nobody is woken: while
 * one strand is on its way there is no point in waking more. Otherwise the first in the queue is
 * taken out and the word is freed under the bucket lock, in one store; after it the word is not
 * touched, so that its next owner may free it. The one who is woken is the rival from that moment
 * on, though it may need a while to wake up. So there is never a free lock with waiters but without
 * a rival: somebody always comes.
 *
 * Both are in line in the header as far as nobody has to be waited for or woken, also while a rival
 * is on its way: that is the state of a lock in demand most of the time.
 */
#include "sync/lock.h"

#include <errno.h>

#include "core/parking.h"
#include "core/strand.h"
#include "sync/comer.h"

enum { HELD = TZ__LOCK_HELD, RIVAL = TZ__LOCK_RIVAL, WAITERS = TZ_COMER_WAITERS };

_Static_assert(HELD == (int)TZ_COMER_HELD && RIVAL == (int)TZ_COMER_RIVAL,
	       "the header says what comers say");

extern inline void tz_lock_acquire(tz_lock *lock);
extern inline int tz_lock_release(tz_lock *lock);

static uint32_t load(const tz_lock *lock)
{
	return tz_comer_load(&lock->tz__word);
}

static bool swap(tz_lock *lock, uint32_t *expected, uint32_t desired, int order)
{
	return tz_comer_swap(&lock->tz__word, expected, desired, order);
}

static struct tz_comer comer(tz_lock *lock)
{
	return (struct tz_comer){ .word = &lock->tz__word, .busy = HELD };
}

void tz__lock_acquire_slow(tz_lock *lock)
{
	struct tz_comer c = comer(lock);

	if (tz_comer_take(&c))
		return;
	struct tz_parked n = { .strand = tz_strand_self() };

	(void)tz_comer_acquire(&c, &n, TZ_PARKING_DEAF, tz_never());
}

int tz_lock_acquire_until(tz_lock *lock, tz_deadline deadline)
{
	struct tz_comer c = comer(lock);

	tz_strand_count_call();
	if (tz_comer_take(&c))
		return 0;
	struct tz_parked n = { .strand = tz_strand_self() };

	return tz_comer_acquire(&c, &n, 0, deadline);
}

int tz_lock_try(tz_lock *lock)
{
	struct tz_comer c = comer(lock);

	return tz_comer_take(&c) ? 0 : -EBUSY;
}

bool tz_lock_is_held(const tz_lock *lock)
{
	return (load(lock) & HELD) != 0;
}

/* Release */

struct release {
	tz_lock *lock;
	uint64_t now;
	bool hand_over;
};

static enum tz_parking_choice choose(struct tz_parked *n, void *arg)
{
	struct release *r = arg;

	r->hand_over = tz_comer_choose(n, r->now);
	return TZ_PARKING_TAKE;
}

static void settle(void *arg, size_t taken, bool more)
{
	struct release *r = arg;
	uint32_t w = load(r->lock), next;

	do {
		next = w & RIVAL;
		if (taken)
			next |= r->hand_over ? HELD : RIVAL;
		if (more)
			next |= WAITERS;
	} while (!swap(r->lock, &w, next, __ATOMIC_RELEASE));
}

int tz__lock_release_slow(tz_lock *lock)
{
	struct release r = { .lock = lock };
	uint32_t w = load(lock);

	do {
		if (!(w & HELD))
			return -EPERM;
		if ((w & WAITERS) && !(w & RIVAL)) {
			r.now = tz_now();
			(void)tz_parking_wake(lock, 1, choose, settle, &r);
			return 0;
		}
	} while (!swap(lock, &w, w & ~(uint32_t)HELD, __ATOMIC_RELEASE));
	return 0;
}

/* For the condition */

bool tz_lock_expect_waiters(tz_lock *lock)
{
	uint32_t w = load(lock);

	do {
		if (!(w & HELD))
			return false;
	} while (!swap(lock, &w, w | WAITERS, __ATOMIC_RELAXED));
	return true;
}

void tz_lock_insist_waiters(tz_lock *lock)
{
	(void)__atomic_fetch_or(&lock->tz__word, WAITERS, __ATOMIC_RELAXED);
}

void tz_lock_reacquire(tz_lock *lock, struct tz_parked *n)
{
	struct tz_comer c = comer(lock);
	bool moved = n->key == lock;

	if (moved && n->token == TZ_COMER_HANDED_OVER)
		return;
	c.is_rival = moved; /* who woke it from the lock's queue has set the bit */
	if (!moved)
		n->since = 0;
	(void)tz_comer_acquire(&c, n, TZ_PARKING_DEAF, tz_never());
}
