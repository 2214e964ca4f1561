/* Read-write locks: many readers, or one writer.
 *
 *     tz_with_read(&table_lock) {
 *             v = find(&table, key);
 *     }
 *     tz_with_write(&table_lock) {
 *             insert(&table, key, v);
 *     }
 *
 * A writer that waits holds up the readers that come after it, so readers cannot starve writers;
 * readers that wait get the lock all at once, so writers cannot starve readers. For the same reason
 * a reader must not acquire the lock again for reading while it holds it: a writer may have come in
 * between, and both would wait for each other. As with tz_lock, awake strands may overtake sleeping
 * ones, but none that has waited for a millisecond, and the lock may be freed by the last one to
 * use it.
 */
#ifndef TRENZA_RWLOCK_H
#define TRENZA_RWLOCK_H

#include <trenza/base.h>
#include <trenza/time.h>
#include <trenza/with.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* A read-write lock, 4 bytes. All-zero is free. */
typedef struct tz_rwlock {
	uint32_t tz__word;
} tz_rwlock;

/* tz_rwlock_acquire_read - takes the lock for reading, waiting for it as long as it takes.
 *
 * Neither a deadline nor a cancelled scope ends this wait; see tz_rwlock_acquire_read_until.
 *
 * Ownership: none.
 * Threads: any; not while the strand holds the lock already.
 * Errors: none. */
TZ_API void tz_rwlock_acquire_read(tz_rwlock *lock);

/* tz_rwlock_try_read - takes the lock for reading if that needs no waiting.
 *
 * Ownership: none.
 * Threads: any; never waits.
 * Errors: -EBUSY when a writer has it or waits for it. */
TZ_API TZ_NODISCARD int tz_rwlock_try_read(tz_rwlock *lock);

/* tz_rwlock_acquire_read_until - takes the lock for reading, waiting for it until the deadline at
 * most.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -ETIMEDOUT when the deadline or the scope's came first, -ECANCELED when the scope was
 * cancelled. */
TZ_API TZ_NODISCARD int tz_rwlock_acquire_read_until(tz_rwlock *lock, tz_deadline deadline);

/* tz_rwlock_release_read - ends one reader's use of the lock.
 *
 * Ownership: does not touch the lock once another strand can have it.
 * Threads: any, not only the one that acquired it.
 * Errors: -EPERM when no reader has the lock; nothing has changed then. */
TZ_API int tz_rwlock_release_read(tz_rwlock *lock);

/* tz_rwlock_acquire_write - takes the lock for writing, waiting for it as long as it takes.
 *
 * Ownership: none.
 * Threads: any; not while the strand holds the lock already.
 * Errors: none. */
TZ_API void tz_rwlock_acquire_write(tz_rwlock *lock);

/* tz_rwlock_try_write - takes the lock for writing if it is free.
 *
 * Ownership: none.
 * Threads: any; never waits.
 * Errors: -EBUSY when it is not free. */
TZ_API TZ_NODISCARD int tz_rwlock_try_write(tz_rwlock *lock);

/* tz_rwlock_acquire_write_until - takes the lock for writing, waiting for it until the deadline at
 * most.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_rwlock_acquire_read_until. */
TZ_API TZ_NODISCARD int tz_rwlock_acquire_write_until(tz_rwlock *lock, tz_deadline deadline);

/* tz_rwlock_release_write - ends the writer's use of the lock.
 *
 * Ownership: does not touch the lock once another strand can have it.
 * Threads: any, not only the one that acquired it.
 * Errors: -EPERM when no writer has the lock; nothing has changed then. */
TZ_API int tz_rwlock_release_write(tz_rwlock *lock);

/* tz_rwlock_readers - the number of readers that have the lock at this moment.
 *
 * Ownership: none.
 * Threads: any. The answer may be out of date when it arrives.
 * Errors: none. */
TZ_API int tz_rwlock_readers(const tz_rwlock *lock);

/* tz_rwlock_is_written - whether a writer has the lock at this moment.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_rwlock_is_written(const tz_rwlock *lock);

TZ__WITH_FN tz_rwlock *tz__read_enter(tz_rwlock *lock)
{
	tz_rwlock_acquire_read(lock);
	return lock;
}

TZ__WITH_FN void tz__read_leave(tz_rwlock **lock)
{
	(void)tz_rwlock_release_read(*lock);
}

TZ__WITH_FN tz_rwlock *tz__write_enter(tz_rwlock *lock)
{
	tz_rwlock_acquire_write(lock);
	return lock;
}

TZ__WITH_FN void tz__write_leave(tz_rwlock **lock)
{
	(void)tz_rwlock_release_write(*lock);
}

TZ_END_DECLS

/* tz_with_read(&lock) { ... }, tz_with_write(&lock) { ... } - blocks that hold the lock. How a
 * block may be left: with.h.
 *
 * Form: tz_with_read(tz_rwlock *lock) { ... }
 * Form: tz_with_write(tz_rwlock *lock) { ... }
 * Ownership: the lock is held in the block and released whichever way it is left.
 * Threads: any; not while the strand holds the lock already.
 * Errors: none. */
#define tz_with_read(lock) TZ__WITH(tz_rwlock, tz__read_leave, tz__read_enter(lock))
#define tz_with_write(lock) TZ__WITH(tz_rwlock, tz__write_leave, tz__write_enter(lock))

#endif
