/* Locks in memory that processes share: one strand of one process at a time, and the lock of a process that was killed is found.
 *
 *     struct account {
 *             tz_shared_lock lock;             // all-zero is a free lock
 *             long balance;
 *     };
 *
 *     int r;
 *     tz_with_shared_lock(&account->lock, &r) {
 *             if (r == -EOWNERDEAD) {          // who held it was killed in the middle of something
 *                     account->balance = sum(account);
 *                     tz_shared_lock_recover(&account->lock);
 *             }
 *             account->balance += 10;
 *     }
 *
 * A lock belongs to the process that acquired it. Any strand of that process, thread or coroutine, may release it, and strands of one process
 * exclude each other as those of several do. When the process ends while it holds the lock, however it ends, the next one to acquire gets the lock with
 * -EOWNERDEAD: it has the lock, must look at what the lock protects, make it whole, and say so with tz_shared_lock_recover. If it releases the lock without
 * having said so, the lock can never be acquired again: everyone gets -ENOTRECOVERABLE. A process that executes another program (execve) has not ended.
 *
 * A tz_shared_rlock belongs to the strand that holds it, which may acquire it again.
 *
 * Waiting strands spin for a few microseconds at most, then sleep; which of them gets the lock is left open. That a process which holds
 * the lock has ended is seen after a millisecond of waiting, or after a tenth of a second by those who have waited for longer.
 *
 * Nothing needs to be opened, registered or closed, in no process. All processes that use a lock must be in the same pid namespace. The
 * memory of a lock may be given up by who was the last to acquire it, as soon as it has released it.
 */
#ifndef TRENZA_SHARED_LOCK_H
#define TRENZA_SHARED_LOCK_H

#include <errno.h>

#include <trenza/base.h>
#include <trenza/time.h>
#include <trenza/with.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* A lock for several processes, 4 bytes. All-zero is free. */
typedef struct tz_shared_lock {
	uint32_t tz__word;
} tz_shared_lock;

/* A recursive lock for several processes. All-zero is free. */
typedef struct tz_shared_rlock {
	tz_shared_lock tz__lock;
	uint32_t tz__depth; /* how many times its owner has acquired it, less one */
	uint32_t tz__process; /* of the strand that holds it */
	uint32_t tz__reserved;
	uint64_t tz__strand;
} tz_shared_rlock;

/* TZ_SHARED_PROCESSES - how many processes at a time can hold or wait for something of one semaphore, condition, barrier or read-write lock in shared memory. Those
 * that have ended do not count.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
#define TZ_SHARED_PROCESSES 60

/* What a process has of such an object. Private. */
typedef struct tz__shared_holder {
	uint32_t tz__owner;
	uint32_t tz__amount;
} tz__shared_holder;

/* tz_shared_lock_acquire - takes the lock, waiting for it as long as it takes.
 *
 * Neither a deadline nor a cancelled scope ends this wait; see tz_shared_lock_acquire_until.
 *
 * Ownership: none; the lock is the caller's memory.
 * Threads: any, coroutines too. Acquiring it again while holding it waits for ever.
 * Errors: -EOWNERDEAD when its last owner has ended while it held the lock: the caller has it now. -ENOTRECOVERABLE when somebody released it
 * in that state; the caller does not have it. */
TZ_API TZ_NODISCARD int tz_shared_lock_acquire(tz_shared_lock *lock);

/* tz_shared_lock_try - takes the lock if it is free, or if its owner has ended.
 *
 * Ownership: none.
 * Threads: any; never waits.
 * Errors: as tz_shared_lock_acquire; -EBUSY when it is held. */
TZ_API TZ_NODISCARD int tz_shared_lock_try(tz_shared_lock *lock);

/* tz_shared_lock_acquire_until - takes the lock, waiting for it until the deadline at most.
 *
 * A lock that can be had is taken even if the deadline has passed or the scope was cancelled.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_shared_lock_acquire; -ETIMEDOUT when the deadline or the scope's came first, -ECANCELED when the scope was cancelled. */
TZ_API TZ_NODISCARD int tz_shared_lock_acquire_until(tz_shared_lock *lock, tz_deadline deadline);

/* tz_shared_lock_recover - says that what the lock protects is whole again, after -EOWNERDEAD.
 *
 * Ownership: none; the lock stays the caller's.
 * Threads: a strand of the process that holds the lock.
 * Errors: -EPERM when the process does not hold it; -EINVAL when there is nothing to recover. */
TZ_API int tz_shared_lock_recover(tz_shared_lock *lock);

/* tz_shared_lock_release - gives the lock free, and wakes one of the strands that wait.
 *
 * After -EOWNERDEAD without tz_shared_lock_recover it makes the lock one that nobody can acquire again.
 *
 * Ownership: does not touch the lock once another strand can have it.
 * Threads: any of the process that holds the lock, not only the one that acquired it.
 * Errors: -EPERM when the process does not hold the lock; nothing has changed then. */
TZ_API int tz_shared_lock_release(tz_shared_lock *lock);

/* tz_shared_lock_is_held - whether the lock is held at this moment. A process that has ended and whose lock nobody has acquired since counts as
 * holding it.
 *
 * Ownership: none.
 * Threads: any. The answer may be out of date when it arrives, unless the caller holds the lock.
 * Errors: none. */
TZ_API bool tz_shared_lock_is_held(const tz_shared_lock *lock);

/* tz_shared_rlock_acquire - takes a recursive lock, waiting for it as long as it takes; at once if the strand holds it.
 *
 * It must be released as often as it was acquired. Nothing ends this wait early; see tz_shared_rlock_acquire_until.
 *
 * Ownership: the lock belongs to the calling strand until it has released it. If a strand ends while it holds the lock, and its process goes on, the lock
 * stays held.
 * Threads: any.
 * Errors: as tz_shared_lock_acquire; a strand that holds it already gets 0. */
TZ_API TZ_NODISCARD int tz_shared_rlock_acquire(tz_shared_rlock *lock);

/* tz_shared_rlock_try - takes a recursive lock if it is free or the calling strand's own, or if its owner's process has ended.
 *
 * Ownership: as tz_shared_rlock_acquire.
 * Threads: any; never waits.
 * Errors: as tz_shared_rlock_acquire; -EBUSY when another strand holds it. */
TZ_API TZ_NODISCARD int tz_shared_rlock_try(tz_shared_rlock *lock);

/* tz_shared_rlock_acquire_until - as tz_shared_rlock_acquire, waiting until the deadline at most.
 *
 * Ownership: as tz_shared_rlock_acquire.
 * Threads: any.
 * Errors: as tz_shared_rlock_acquire; -ETIMEDOUT when the deadline or the scope's came first, -ECANCELED when the scope was cancelled. */
TZ_API TZ_NODISCARD int tz_shared_rlock_acquire_until(tz_shared_rlock *lock, tz_deadline deadline);

/* tz_shared_rlock_recover - as tz_shared_lock_recover, of a recursive lock.
 *
 * Ownership: none; the lock stays the caller's.
 * Threads: the strand that holds it.
 * Errors: -EPERM when the calling strand does not hold it; -EINVAL when there is nothing to recover. */
TZ_API int tz_shared_rlock_recover(tz_shared_rlock *lock);

/* tz_shared_rlock_release - takes back one acquire; with the last one the lock is free.
 *
 * After -EOWNERDEAD without tz_shared_rlock_recover the last one makes the lock one that nobody can acquire again.
 *
 * Ownership: does not touch the lock once another strand can have it.
 * Threads: the strand that holds it.
 * Errors: -EPERM when the calling strand does not hold it. */
TZ_API int tz_shared_rlock_release(tz_shared_rlock *lock);

/* tz_shared_rlock_is_held - as tz_shared_lock_is_held, of a recursive lock.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_shared_rlock_is_held(const tz_shared_rlock *lock);

/* tz_shared_rlock_is_mine - whether the calling strand holds the lock.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_shared_rlock_is_mine(const tz_shared_rlock *lock);

/* The answer for who asked for it; then whether the block is to run: not without the lock, and not on what a killed process has left, unless the
 * caller can see that. */
TZ__WITH_FN bool tz__shared_may_run(int r, int *ret_error)
{
	if (ret_error)
		*ret_error = r;
	return r == 0 || (r == -EOWNERDEAD && ret_error);
}

TZ__WITH_FN tz_shared_lock *tz__shared_lock_enter(tz_shared_lock *lock, int *ret_error)
{
	int tz__r = tz_shared_lock_acquire(lock);

	if (tz__shared_may_run(tz__r, ret_error))
		return lock;
	if (tz__r == -EOWNERDEAD)
		(void)tz_shared_lock_release(lock);
	return NULL;
}

TZ__WITH_FN void tz__shared_lock_leave(tz_shared_lock **lock)
{
	if (*lock)
		(void)tz_shared_lock_release(*lock);
}

TZ__WITH_FN tz_shared_rlock *tz__shared_rlock_enter(tz_shared_rlock *lock, int *ret_error)
{
	int tz__r = tz_shared_rlock_acquire(lock);

	if (tz__shared_may_run(tz__r, ret_error))
		return lock;
	if (tz__r == -EOWNERDEAD)
		(void)tz_shared_rlock_release(lock);
	return NULL;
}

TZ__WITH_FN void tz__shared_rlock_leave(tz_shared_rlock **lock)
{
	if (*lock)
		(void)tz_shared_rlock_release(*lock);
}

TZ_END_DECLS

/* tz_with_shared_lock(&lock, &r) { ... } - a block that holds the lock. r is what tz_shared_lock_acquire answered: 0, or -EOWNERDEAD, which is to be
 * repaired in the block; the block is skipped if it was -ENOTRECOVERABLE. With NULL instead of &r the block is skipped after -EOWNERDEAD as well, and the lock
 * is lost to all. How a block may be left: with.h.
 *
 * Form: tz_with_shared_lock(tz_shared_lock *lock, int *ret_error) { ... }
 * Ownership: the lock is held in the block and released whichever way it is left.
 * Threads: any.
 * Errors: as tz_shared_lock_acquire, in *ret_error. */
#define tz_with_shared_lock(lock, ret_error) \
	TZ__WITH(tz_shared_lock, tz__shared_lock_leave, tz__shared_lock_enter(lock, ret_error))

/* tz_with_shared_rlock(&lock, &r) { ... } - a block that holds the recursive lock; as tz_with_shared_lock.
 *
 * Form: tz_with_shared_rlock(tz_shared_rlock *lock, int *ret_error) { ... }
 * Ownership: the lock is held in the block and released whichever way it is left.
 * Threads: any.
 * Errors: as tz_shared_rlock_acquire, in *ret_error. */
#define tz_with_shared_rlock(lock, ret_error) \
	TZ__WITH(tz_shared_rlock, tz__shared_rlock_leave, tz__shared_rlock_enter(lock, ret_error))

#endif
