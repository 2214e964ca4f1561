/* The condition: a queue of strands, and how they get from it to the lock.
 *
 * Design notes
 *
 * The word says whether strands wait; it changes under the bucket lock of the condition's address.
 * A waiter sets it while it holds the user's lock, so a notifier who has changed what the lock
 * protects, and so has held the lock after the waiter released it, sees it. Notifying a condition
 * that nobody waits for is one load.
 *
 * A notified strand needs the lock next. One that sleeps while the lock is held is moved to the
 * lock's queue, and woken when the lock is released: woken now it would only go to sleep again. One
 * that spins is told at once, and spins for the lock. If the lock is free the first one is woken
 * and the others are moved behind it: it will acquire the lock, and the releases that follow wake
 * the others one by one.
 *
 * Lock order: the buckets of condition and lock, by address (parking.c).
 */
#include <errno.h>
#include <limits.h>

#include <trenza/condition.h>

#include "core/parking.h"
#include "core/strand.h"
#include "sync/lock.h"

/* One wait, with either kind of lock. */
struct wait {
	struct tz_parked node; /* first: the steps get its address */
	tz_condition *condition;
	tz_lock *lock;
};

static bool wait_begin(struct tz_parked *n)
{
	struct wait *w = (struct wait *)n;

	__atomic_store_n(&w->condition->tz__waiters, 1, __ATOMIC_RELAXED);
	return true;
}

static void release_lock(struct tz_parked *n)
{
	(void)tz_lock_release(((struct wait *)n)->lock);
}

static void set_waiters(tz_condition *c, bool more)
{
	if (!more)
		__atomic_store_n(&c->tz__waiters, 0, __ATOMIC_RELAXED);
}

static void withdrawn(struct tz_parked *n, bool more)
{
	set_waiters(((struct wait *)n)->condition, more);
}

static const struct tz_parking_steps steps = {
	.name = "condition",
	.begin = wait_begin,
	.queued = release_lock,
	.withdrawn = withdrawn,
};

int tz_condition_wait_until(tz_condition *condition, tz_lock *lock, tz_deadline deadline)
{
	struct wait w = { .condition = condition, .lock = lock };

	if (!tz_lock_is_held(lock))
		return -EPERM;
	w.node.strand = tz_strand_self();
	w.node.object = lock;
	int r = tz_parking_wait(&w.node, condition, &steps, TZ_PARKING_SPIN, deadline);

	tz_lock_reacquire(lock, &w.node);
	return r;
}

int tz_condition_wait_rlock(tz_condition *condition, tz_rlock *lock, tz_deadline deadline)
{
	if (!tz_rlock_is_mine(lock))
		return -EPERM;
	void *owner = lock->tz__owner;
	uint32_t depth = lock->tz__depth;

	lock->tz__depth = 0;
	__atomic_store_n(&lock->tz__owner, NULL, __ATOMIC_RELAXED);
	int r = tz_condition_wait_until(condition, &lock->tz__lock, deadline);

	__atomic_store_n(&lock->tz__owner, owner, __ATOMIC_RELAXED);
	lock->tz__depth = depth;
	return r;
}

int tz_condition_wait(tz_condition *condition, tz_lock *lock)
{
	return tz_condition_wait_until(condition, lock, tz_never());
}

int tz_condition_wait_for_until(tz_condition *condition, tz_lock *lock, tz_predicate *predicate,
				void *arg, tz_deadline deadline)
{
	if (!tz_lock_is_held(lock))
		return -EPERM;
	tz_strand_count_call();
	while (!predicate(arg)) {
		int r = tz_condition_wait_until(condition, lock, deadline);

		if (r < 0)
			return predicate(arg) ? 0 : r;
	}
	return 0;
}

int tz_condition_wait_for(tz_condition *condition, tz_lock *lock, tz_predicate *predicate,
			  void *arg)
{
	return tz_condition_wait_for_until(condition, lock, predicate, arg, tz_never());
}

int tz_condition_wait_for_rlock(tz_condition *condition, tz_rlock *lock, tz_predicate *predicate,
				void *arg, tz_deadline deadline)
{
	if (!tz_rlock_is_mine(lock))
		return -EPERM;
	tz_strand_count_call();
	while (!predicate(arg)) {
		int r = tz_condition_wait_rlock(condition, lock, deadline);

		if (r < 0)
			return predicate(arg) ? 0 : r;
	}
	return 0;
}

/* Notifying */

struct notify {
	tz_condition *condition;
	uint64_t now;
	bool one_is_awake; /* at least one who will acquire the lock */
	bool announced; /* the lock knows that strands wait for it */
};

/* Whether to move the waiter to the lock's queue; else it is woken. */
static bool move(struct tz_parked *n, void *arg)
{
	struct notify *y = arg;
	tz_lock *lock = n->object;

	if (tz_parking_spins(n)) {
		y->one_is_awake = true;
		return false;
	}
	if (!y->announced) {
		if (y->one_is_awake)
			tz_lock_insist_waiters(lock);
		else if (!tz_lock_expect_waiters(lock))
			return !(y->one_is_awake = true);
		y->announced = true;
	}
	n->since = y->now;
	return true;
}

static void settle(void *arg, bool more)
{
	set_waiters(((struct notify *)arg)->condition, more);
}

void tz_condition_notify_n(tz_condition *condition, size_t n)
{
	struct notify y = { .condition = condition };

	if (__atomic_load_n(&condition->tz__waiters, __ATOMIC_RELAXED) == 0 || n == 0)
		return;
	y.now = tz_now();
	tz_parking_move(condition, n, move, settle, &y);
}

void tz_condition_notify(tz_condition *condition)
{
	tz_condition_notify_n(condition, 1);
}

void tz_condition_notify_all(tz_condition *condition)
{
	tz_condition_notify_n(condition, SIZE_MAX);
}
