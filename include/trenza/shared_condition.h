/* Conditions in memory that processes share: waiting until what a tz_shared_lock protects has become true.
 *
 *     int r;
 *     tz_with_shared_lock(&q->lock, &r) {
 *             r = tz_shared_condition_wait_for(&q->filled, &q->lock, has_work, q);
 *             ...
 *     }
 *
 * As many are woken as were notified. Which of those that wait is left open. A notification that went to a process which was killed goes to
 * another one that waits, within a tenth of a second; when somebody is killed in the middle of that, one more than needed may be woken. Another strand may
 * get the lock first and make the condition false again: wait in a loop, or let tz_shared_condition_wait_for do so.
 *
 * Waiting releases the lock and ends with the lock held again, whatever the wait returns, but for -ENOTRECOVERABLE. Taking the lock again cannot be cut
 * short. A process that has the lock meanwhile may be killed: then one of those that wait returns with -EOWNERDEAD, notified or not, as tz_shared_lock_acquire
 * does; it should see whether others are to be notified. A strand that was notified and whose time was up at the same moment returns 0: no notification
 * is lost.
 */
#ifndef TRENZA_SHARED_CONDITION_H
#define TRENZA_SHARED_CONDITION_H

#include <trenza/base.h>
#include <trenza/condition.h>
#include <trenza/shared_lock.h>
#include <trenza/time.h>

TZ_BEGIN_DECLS

/* A condition for several processes. All-zero is one that nobody waits for. */
typedef struct tz_shared_condition {
	tz_shared_lock tz__lock;
	uint32_t tz__used; /* entries of the table that have ever been used */
	uint32_t tz__next; /* where the next notification begins to look */
	uint32_t tz__reserved;
	tz__shared_holder tz__holders[TZ_SHARED_PROCESSES];
	uint32_t tz__gates[TZ_SHARED_PROCESSES]; /* the strands of each process sleep here */
} tz_shared_condition;

/* tz_shared_condition_wait - releases the lock, waits to be notified, and takes the lock again.
 *
 * Ownership: none.
 * Threads: a strand of the process that holds the lock.
 * Errors: -ETIMEDOUT at the scope's deadline, -ECANCELED when the scope was cancelled, -EUSERS when strands of TZ_SHARED_PROCESSES processes wait, -EOWNERDEAD when who had
 * the lock meanwhile has ended, in all these cases with the lock held; -ENOTRECOVERABLE without it; -EPERM when the process does not hold the lock, or has not
 * said that it is recovered. */
TZ_API int tz_shared_condition_wait(tz_shared_condition *condition, tz_shared_lock *lock);

/* tz_shared_condition_wait_until - as tz_shared_condition_wait, until the deadline at most.
 *
 * Ownership: none.
 * Threads: a strand of the process that holds the lock.
 * Errors: as tz_shared_condition_wait; -ETIMEDOUT also at the deadline. */
TZ_API int tz_shared_condition_wait_until(tz_shared_condition *condition, tz_shared_lock *lock, tz_deadline deadline);

/* tz_shared_condition_wait_for - waits until predicate(arg) is true, with the lock held.
 *
 * Returns 0 only if the predicate was true when it was last called, and does not wait if it is true at once. A predicate that is true when the time is up
 * counts as true. After -EOWNERDEAD it is not called: what it looks at may not be whole.
 *
 * Ownership: predicate and arg are used during the call only.
 * Threads: a strand of the process that holds the lock.
 * Errors: as tz_shared_condition_wait. */
TZ_API int tz_shared_condition_wait_for(tz_shared_condition *condition, tz_shared_lock *lock, tz_predicate *predicate, void *arg);

/* tz_shared_condition_wait_for_until - as tz_shared_condition_wait_for, until the deadline at most.
 *
 * Ownership: predicate and arg are used during the call only.
 * Threads: a strand of the process that holds the lock.
 * Errors: as tz_shared_condition_wait_until. */
TZ_API int tz_shared_condition_wait_for_until(tz_shared_condition *condition, tz_shared_lock *lock, tz_predicate *predicate, void *arg,
					      tz_deadline deadline);

/* tz_shared_condition_wait_rlock - as tz_shared_condition_wait_until, with a recursive lock.
 *
 * The lock is released whole, however often it was acquired, and is held as often again afterwards.
 *
 * Ownership: none.
 * Threads: the strand that holds the lock.
 * Errors: as tz_shared_condition_wait_until; -EPERM when the calling strand does not hold the lock. */
TZ_API int tz_shared_condition_wait_rlock(tz_shared_condition *condition, tz_shared_rlock *lock, tz_deadline deadline);

/* tz_shared_condition_notify - wakes one strand that waits, if there is one.
 *
 * Ownership: none.
 * Threads: any, of any process, with or without the lock.
 * Errors: none. */
TZ_API void tz_shared_condition_notify(tz_shared_condition *condition);

/* tz_shared_condition_notify_n - wakes n strands that wait, or all if there are fewer.
 *
 * Ownership: none.
 * Threads: any, of any process, with or without the lock.
 * Errors: none. */
TZ_API void tz_shared_condition_notify_n(tz_shared_condition *condition, size_t n);

/* tz_shared_condition_notify_all - wakes all who wait now.
 *
 * Ownership: none.
 * Threads: any, of any process, with or without the lock.
 * Errors: none. */
TZ_API void tz_shared_condition_notify_all(tz_shared_condition *condition);

TZ_END_DECLS

#endif
