/* Conditions: waiting until what a lock protects has become true.
 *
 *     static bool has_work(void *queue) { return ((struct queue *)queue)->length > 0; }
 *
 *     tz_with_lock(&lock) {
 *             tz_condition_wait_for(&filled, &lock, has_work, &queue);
 *             take(&queue);
 *     }
 *
 *     tz_with_lock(&lock) {
 *             put(&queue);
 *             tz_condition_notify(&filled);
 *     }
 *
 * Waiters are woken in the order in which they began to wait, exactly as many as were notified, and
 * never without having been notified. Another strand may still get the lock first and make the
 * condition false again: wait in a loop, or let tz_condition_wait_for do so. Several conditions may
 * share one lock; all who wait for one condition at the same time use the same lock. Notify while
 * holding the lock or after releasing it, as you like; a strand that is notified while the lock is
 * held is not woken before it can have the lock.
 *
 * Waiting releases the lock and ends with the lock held again, whatever the wait returns. Taking
 * the lock again cannot be cut short. A strand that was notified and whose time was up at the same
 * moment returns 0: no notification is lost.
 */
#ifndef TRENZA_CONDITION_H
#define TRENZA_CONDITION_H

#include <trenza/base.h>
#include <trenza/lock.h>
#include <trenza/time.h>

TZ_BEGIN_DECLS

/* A condition, 4 bytes. All-zero is one that nobody waits for. */
typedef struct tz_condition {
	uint32_t tz__waiters;
} tz_condition;

/* What tz_condition_wait_for waits for: called with the lock held, by the waiting strand. */
typedef bool tz_predicate(void *arg);

/* tz_condition_wait - releases the lock, waits to be notified, and takes the lock again.
 *
 * Ownership: none.
 * Threads: the strand that holds the lock.
 * Errors: -ETIMEDOUT at the scope's deadline, -ECANCELED when the scope was cancelled, in both
 * cases with the lock held; -EPERM when the lock is not held. */
TZ_API int tz_condition_wait(tz_condition *condition, tz_lock *lock);

/* tz_condition_wait_until - as tz_condition_wait, until the deadline at most.
 *
 * Ownership: none.
 * Threads: the strand that holds the lock.
 * Errors: as tz_condition_wait; -ETIMEDOUT also at the deadline. */
TZ_API int tz_condition_wait_until(tz_condition *condition, tz_lock *lock, tz_deadline deadline);

/* tz_condition_wait_for - waits until predicate(arg) is true, with the lock held.
 *
 * Returns 0 only if the predicate was true when it was last called, and does not wait if it is true
 * at once. A predicate that is true when the time is up counts as true.
 *
 * Ownership: predicate and arg are used during the call only.
 * Threads: the strand that holds the lock.
 * Errors: as tz_condition_wait; the predicate was false then. */
TZ_API int tz_condition_wait_for(tz_condition *condition, tz_lock *lock, tz_predicate *predicate,
				 void *arg);

/* tz_condition_wait_for_until - as tz_condition_wait_for, until the deadline at most.
 *
 * Ownership: predicate and arg are used during the call only.
 * Threads: the strand that holds the lock.
 * Errors: as tz_condition_wait_until; the predicate was false then. */
TZ_API int tz_condition_wait_for_until(tz_condition *condition, tz_lock *lock,
				       tz_predicate *predicate, void *arg, tz_deadline deadline);

/* tz_condition_wait_rlock - as tz_condition_wait_until, with a recursive lock.
 *
 * The lock is released whole, however often it was acquired, and is held as often again afterwards.
 *
 * Ownership: none.
 * Threads: the strand that holds the lock.
 * Errors: as tz_condition_wait_until; -EPERM when the calling strand does not hold the lock. */
TZ_API int tz_condition_wait_rlock(tz_condition *condition, tz_rlock *lock, tz_deadline deadline);

/* tz_condition_wait_for_rlock - as tz_condition_wait_for_until, with a recursive lock.
 *
 * Ownership: predicate and arg are used during the call only.
 * Threads: the strand that holds the lock.
 * Errors: as tz_condition_wait_rlock; the predicate was false then. */
TZ_API int tz_condition_wait_for_rlock(tz_condition *condition, tz_rlock *lock,
				       tz_predicate *predicate, void *arg, tz_deadline deadline);

/* tz_condition_notify - wakes the strand that has waited longest, if there is one.
 *
 * Ownership: none.
 * Threads: any, with or without the lock.
 * Errors: none. */
TZ_API void tz_condition_notify(tz_condition *condition);

/* tz_condition_notify_n - wakes the n strands that have waited longest, or all if there are fewer.
 *
 * Ownership: none.
 * Threads: any, with or without the lock.
 * Errors: none. */
TZ_API void tz_condition_notify_n(tz_condition *condition, size_t n);

/* tz_condition_notify_all - wakes all who wait now.
 *
 * Ownership: none.
 * Threads: any, with or without the lock.
 * Errors: none. */
TZ_API void tz_condition_notify_all(tz_condition *condition);

TZ_END_DECLS

#endif
