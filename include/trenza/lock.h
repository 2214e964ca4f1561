/* Locks: one strand at a time.
 *
 *     static tz_lock lock;                     // all-zero is a free lock
 *
 *     tz_with_lock(&lock) {
 *             count++;
 *     }
 *
 * tz_lock has no owner: any strand may release it, and acquiring it twice waits for ever. tz_rlock
 * belongs to the strand that holds it, which may acquire it again. Both are made for short waits
 * and hold up under long ones: a strand that finds the lock held spins for a few microseconds at
 * most, then sleeps; who comes by when it is free may overtake the sleepers, but not one that has
 * waited for a millisecond: that one is handed the lock.
 *
 * A lock may be freed by the strand that was the last to acquire it, as soon as it has released it:
 * tz_lock_release does not touch the lock after the moment in which another strand can acquire it.
 *
 * Locks serve threads and coroutines of one process. They do not serve memory that several processes
 * share.
 */
#ifndef TRENZA_LOCK_H
#define TRENZA_LOCK_H

#include <errno.h>

#include <trenza/base.h>
#include <trenza/time.h>
#include <trenza/with.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* A lock, 4 bytes. All-zero is free. */
typedef struct tz_lock {
	uint32_t tz__word;
} tz_lock;

/* A recursive lock. All-zero is free. */
typedef struct tz_rlock {
	tz_lock tz__lock;
	uint32_t tz__depth; /* how many times its owner has acquired it, less one */
	void *tz__owner; /* the strand's number, NULL if free */
} tz_rlock;

/* In tz__word; the other bits are the library's. */
enum {
	TZ__LOCK_HELD = 1,
	TZ__LOCK_RIVAL = 2 /* a strand that is awake will take it: a release has nobody to wake */
};

TZ_API void tz__lock_acquire_slow(tz_lock *lock);
TZ_API int tz__lock_release_slow(tz_lock *lock);

/* tz_lock_acquire - takes the lock, waiting for it as long as it takes.
 *
 * Neither a deadline nor a cancelled scope ends this wait; see tz_lock_acquire_until.
 *
 * Ownership: none; the lock is the caller's memory.
 * Threads: any, coroutines too. Acquiring it again while holding it waits for ever.
 * Errors: none. */
TZ_API inline void tz_lock_acquire(tz_lock *lock)
{
	if (__atomic_fetch_or(&lock->tz__word, TZ__LOCK_HELD, __ATOMIC_ACQUIRE) & TZ__LOCK_HELD)
		tz__lock_acquire_slow(lock);
}

/* tz_lock_try - takes the lock if it is free.
 *
 * Ownership: none.
 * Threads: any; never waits.
 * Errors: -EBUSY when it is held. */
TZ_API TZ_NODISCARD int tz_lock_try(tz_lock *lock);

/* tz_lock_acquire_until - takes the lock, waiting for it until the deadline at most.
 *
 * A lock that is free is taken even if the deadline has passed or the scope was cancelled.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -ETIMEDOUT when the deadline or the scope's came first, -ECANCELED when the scope was
 * cancelled. */
TZ_API TZ_NODISCARD int tz_lock_acquire_until(tz_lock *lock, tz_deadline deadline);

/* tz_lock_release - gives the lock free, and wakes the strand that has waited longest if there is
 * one.
 *
 * Ownership: does not touch the lock once another strand can have it.
 * Threads: any, not only the one that acquired it.
 * Errors: -EPERM when the lock is not held; nothing has changed then. */
TZ_API inline int tz_lock_release(tz_lock *lock)
{
	uint32_t tz__w = __atomic_load_n(&lock->tz__word, __ATOMIC_RELAXED);

	if ((tz__w == TZ__LOCK_HELD ||
	     (tz__w & (TZ__LOCK_HELD | TZ__LOCK_RIVAL)) == (TZ__LOCK_HELD | TZ__LOCK_RIVAL)) &&
	    __atomic_compare_exchange_n(&lock->tz__word, &tz__w, tz__w & ~(uint32_t)TZ__LOCK_HELD,
					false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		return 0;
	return tz__lock_release_slow(lock);
}

/* tz_lock_is_held - whether some strand holds the lock at this moment.
 *
 * Ownership: none.
 * Threads: any. The answer may be out of date when it arrives, unless the caller holds the lock.
 * Errors: none. */
TZ_API bool tz_lock_is_held(const tz_lock *lock);

/* tz_rlock_acquire - takes a recursive lock, waiting for it as long as it takes; at once if the
 * strand holds it.
 *
 * It must be released as often as it was acquired. Nothing ends this wait early; see
 * tz_rlock_acquire_until.
 *
 * Ownership: the lock belongs to the calling strand until it has released it. If a strand ends
 * while it holds the lock, the lock stays held.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_rlock_acquire(tz_rlock *lock);

/* tz_rlock_try - takes a recursive lock if it is free or the calling strand's own.
 *
 * Ownership: as tz_rlock_acquire.
 * Threads: any; never waits.
 * Errors: -EBUSY when another strand holds it. */
TZ_API TZ_NODISCARD int tz_rlock_try(tz_rlock *lock);

/* tz_rlock_acquire_until - as tz_rlock_acquire, waiting until the deadline at most.
 *
 * Ownership: as tz_rlock_acquire.
 * Threads: any.
 * Errors: -ETIMEDOUT when the deadline or the scope's came first, -ECANCELED when the scope was
 * cancelled. */
TZ_API TZ_NODISCARD int tz_rlock_acquire_until(tz_rlock *lock, tz_deadline deadline);

/* tz_rlock_release - takes back one acquire; with the last one the lock is free.
 *
 * Ownership: does not touch the lock once another strand can have it.
 * Threads: the strand that holds it.
 * Errors: -EPERM when the calling strand does not hold it. */
TZ_API int tz_rlock_release(tz_rlock *lock);

/* tz_rlock_is_held - whether some strand holds the lock at this moment.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_rlock_is_held(const tz_rlock *lock);

/* tz_rlock_is_mine - whether the calling strand holds the lock.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_rlock_is_mine(const tz_rlock *lock);

TZ__WITH_FN tz_lock *tz__lock_enter(tz_lock *lock)
{
	tz_lock_acquire(lock);
	return lock;
}

TZ__WITH_FN void tz__lock_leave(tz_lock **lock)
{
	(void)tz_lock_release(*lock);
}

TZ__WITH_FN tz_rlock *tz__rlock_enter(tz_rlock *lock)
{
	tz_rlock_acquire(lock);
	return lock;
}

TZ__WITH_FN void tz__rlock_leave(tz_rlock **lock)
{
	(void)tz_rlock_release(*lock);
}

TZ_END_DECLS

/* tz_with_lock(&lock) { ... } - a block that holds the lock. How a block may be left: with.h.
 *
 * Form: tz_with_lock(tz_lock *lock) { ... }
 * Ownership: the lock is held in the block and released whichever way it is left.
 * Threads: any.
 * Errors: none. */
#define tz_with_lock(lock) TZ__WITH(tz_lock, tz__lock_leave, tz__lock_enter(lock))

/* tz_with_rlock(&lock) { ... } - a block that holds the recursive lock.
 *
 * Form: tz_with_rlock(tz_rlock *lock) { ... }
 * Ownership: the lock is held in the block and released whichever way it is left.
 * Threads: any.
 * Errors: none. */
#define tz_with_rlock(lock) TZ__WITH(tz_rlock, tz__rlock_leave, tz__rlock_enter(lock))

#endif
