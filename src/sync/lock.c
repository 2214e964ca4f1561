/* The lock: who does not get it at once, and who must wake somebody.
 *
 * Design notes
 *
 * The word. HELD, WAITERS: strands queue in the parking lot under the lock's address, RIVAL: a
 * strand that is awake will take the lock as soon as it is free. 0 is free. WAITERS changes under
 * the bucket lock only.
 *
 * Release. If nobody waits, or a rival is awake, one swap frees the word and nobody is woken: while
 * one strand is on its way there is no point in waking more. Otherwise the first in the queue is
 * taken out and the word is freed under the bucket lock, in one store; after it the word is not
 * touched, so that its next owner may free it. The one who is woken is the rival from that moment
 * on, though it may need a while to wake up. So there is never a free lock with waiters but without
 * a rival: somebody always comes.
 *
 * Acquire. RIVAL belongs to one strand at a time, more or less: it is set by who spins and on
 * behalf of who is woken, and cleared by the same strand when it gets the lock or goes to sleep. If
 * two believe that it is theirs, the first clears it and the second is a rival without a bit, which
 * costs a wake-up too many. What must not be is a bit that is nobody's: that would be a wake-up
 * lost. A strand that gives up (time-out) has gone to sleep first, and so has cleared it; if it was
 * chosen meanwhile it has not given up (parking.h).
 *
 * fork. A child may inherit a RIVAL whose strand stayed in the parent. So in a fork child whoever
 * goes to sleep clears the bit, whosever it is.
 *
 * Fairness. Awake strands overtake sleeping ones, which keeps the processors busy. A waiter that
 * has been in the queue for longer than FAIR_NS is handed the lock: HELD stays set and is its own
 * when it wakes. A rival that loses the race goes back to the front of the queue and keeps its time
 * of arrival.
 *
 * Memory order. Taking HELD is acquire, freeing it release; a hand-over goes through the waiter's
 * state (release, acquire). Order between the word and the queue comes from the bucket lock.
 */
#include "sync/lock.h"

#include <errno.h>

#include "core/parking.h"
#include "core/spin.h"
#include "core/strand.h"

enum { HELD = TZ__LOCK_HELD, RIVAL = 2, WAITERS = 4 };
enum { WOKEN = 0, HANDED_OVER = 1 }; /* tokens */

static const uint64_t FAIR_NS = 1000000;
enum { SPIN_US = 2, SPIN_PAUSES = 64 };

extern inline void tz_lock_acquire(tz_lock *lock);
extern inline int tz_lock_release(tz_lock *lock);

static uint32_t load(const tz_lock *lock)
{
	return __atomic_load_n(&lock->tz__word, __ATOMIC_RELAXED);
}

static bool swap(tz_lock *lock, uint32_t *expected, uint32_t desired, int order)
{
	return __atomic_compare_exchange_n(&lock->tz__word, expected, desired, true, order,
					   __ATOMIC_RELAXED);
}

/* A strand on its way to the lock. */
struct comer {
	tz_lock *lock;
	bool is_rival; /* RIVAL is ours to clear */
};

/* Takes the lock if it is free. */
static bool take(struct comer *c)
{
	uint32_t w = load(c->lock);

	while (!(w & HELD))
		if (swap(c->lock, &w, (w | HELD) & ~(c->is_rival ? (uint32_t)RIVAL : 0),
			 __ATOMIC_ACQUIRE))
			return true;
	return false;
}

static bool become_rival(struct comer *c)
{
	uint32_t w = load(c->lock);

	while (!c->is_rival) {
		if (w & (RIVAL | WAITERS))
			return false; /* queue behind those who wait already */
		c->is_rival = swap(c->lock, &w, w | RIVAL, __ATOMIC_RELAXED);
	}
	return true;
}

/* Waits for a while without sleeping; true with the lock. */
static bool spin(struct comer *c)
{
	if (take(c))
		return true;
	if (!tz_spin_allowed() || !become_rival(c))
		return false;
	struct tz_spin s = tz_spin_begin(SPIN_US * tz_clock_ticks_per_us());

	while (tz_spin_turn(&s, SPIN_PAUSES))
		if (take(c))
			return true;
	return false;
}

/* Steps of the wait. */

static bool wait_begin(struct tz_parked *n)
{
	struct comer *c = n->object;
	uint32_t w = load(c->lock), gone = c->is_rival || tz_parking_was_forked() ? RIVAL : 0;

	do {
		if (!(w & HELD))
			return false;
	} while (!swap(c->lock, &w, (w | WAITERS) & ~gone, __ATOMIC_RELAXED));
	c->is_rival = false;
	return true;
}

static void withdrawn(struct tz_parked *n, bool more)
{
	struct comer *c = n->object;

	if (!more)
		(void)__atomic_fetch_and(&c->lock->tz__word, ~(uint32_t)WAITERS, __ATOMIC_RELAXED);
}

static const struct tz_parking_steps steps = { .begin = wait_begin, .withdrawn = withdrawn };

static int acquire(struct comer *c, struct tz_parked *n, unsigned flags, tz_deadline deadline)
{
	n->object = c;
	while (!spin(c)) {
		if (n->since == 0)
			n->since = tz_now();
		else
			flags |= TZ_PARKING_FRONT;
		int r = tz_parking_wait(n, c->lock, &steps, flags, deadline);

		if (r == 0 && n->token == HANDED_OVER)
			return 0;
		if (r == 0)
			c->is_rival = true;
		else if (r != -EAGAIN)
			return r;
	}
	return 0;
}

void tz__lock_acquire_slow(tz_lock *lock)
{
	struct comer c = { .lock = lock };

	if (take(&c))
		return;
	struct tz_parked n = { .strand = tz_strand_self() };

	(void)acquire(&c, &n, TZ_PARKING_DEAF, tz_never());
}

int tz_lock_acquire_until(tz_lock *lock, tz_deadline deadline)
{
	struct comer c = { .lock = lock };

	if (take(&c))
		return 0;
	struct tz_parked n = { .strand = tz_strand_self() };

	return acquire(&c, &n, 0, deadline);
}

int tz_lock_try(tz_lock *lock)
{
	struct comer c = { .lock = lock };

	return take(&c) ? 0 : -EBUSY;
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

	r->hand_over = (int64_t)(r->now - n->since) > (int64_t)FAIR_NS;
	n->token = r->hand_over ? HANDED_OVER : WOKEN;
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
	struct comer c = { .lock = lock };
	bool moved = n->key == lock;

	if (moved && n->token == HANDED_OVER)
		return;
	c.is_rival = moved; /* who woke it from the lock's queue has set the bit */
	if (!moved)
		n->since = 0;
	(void)acquire(&c, n, TZ_PARKING_DEAF, tz_never());
}
