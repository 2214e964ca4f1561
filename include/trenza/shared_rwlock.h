/* Read-write locks in memory that processes share: many readers, or one writer.
 *
 *     int r;
 *     tz_with_shared_read(&table->lock, &r) {
 *             v = find(table, key);
 *     }
 *     tz_with_shared_write(&table->lock, &r) {
 *             if (r == -EOWNERDEAD) {          // a writer was killed in the middle of something
 *                     rebuild(table);
 *                     tz_shared_rwlock_recover(&table->lock);
 *             }
 *             insert(table, key, v);
 *     }
 *
 * A process that has ended while it held the lock for reading holds it no more. After one that has ended while it wrote, the next writer gets the lock with
 * -EOWNERDEAD, as tz_shared_lock_acquire does; until it has said that all is well, readers do not get the lock, and are told -EOWNERDEAD as well: let them
 * take the lock for writing, and repair.
 *
 * A writer that waits holds up the readers that come after it; readers that have waited for a writer to end go before writers that wait. A reader must not acquire the
 * lock again for reading while it holds it: a writer may have come in between, and both would wait for each other.
 */
#ifndef TRENZA_SHARED_RWLOCK_H
#define TRENZA_SHARED_RWLOCK_H

#include <trenza/base.h>
#include <trenza/shared_lock.h>
#include <trenza/time.h>
#include <trenza/with.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* A read-write lock for several processes. All-zero is free. */
typedef struct tz_shared_rwlock {
	tz_shared_lock tz__lock;
	uint32_t tz__writer; /* its process, or what the last one has left */
	uint32_t tz__readers_gate, tz__writers_gate;
	uint32_t tz__used; /* entries of the table that have ever been used */
	uint32_t tz__reserved;
	tz__shared_holder tz__holders[TZ_SHARED_PROCESSES];
} tz_shared_rwlock;

/* tz_shared_rwlock_acquire_read - takes the lock for reading, waiting for it as long as it takes.
 *
 * Neither a deadline nor a cancelled scope ends this wait; see tz_shared_rwlock_acquire_read_until.
 *
 * Ownership: none.
 * Threads: any; not while the strand holds the lock already.
 * Errors: -EOWNERDEAD when a writer has ended while it held the lock, -ENOTRECOVERABLE when somebody released it in that state, -EUSERS when
 * TZ_SHARED_PROCESSES processes hold it or wait to write. The caller does not have the lock then. */
TZ_API TZ_NODISCARD int tz_shared_rwlock_acquire_read(tz_shared_rwlock *lock);

/* tz_shared_rwlock_try_read - takes the lock for reading if that needs no waiting.
 *
 * Ownership: none.
 * Threads: any; never waits for others to release it.
 * Errors: as tz_shared_rwlock_acquire_read; -EBUSY when a writer has it or waits for it. */
TZ_API TZ_NODISCARD int tz_shared_rwlock_try_read(tz_shared_rwlock *lock);

/* tz_shared_rwlock_acquire_read_until - takes the lock for reading, waiting for it until the deadline at most.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_shared_rwlock_acquire_read; -ETIMEDOUT when the deadline or the scope's came first, -ECANCELED when the scope was cancelled. */
TZ_API TZ_NODISCARD int tz_shared_rwlock_acquire_read_until(tz_shared_rwlock *lock, tz_deadline deadline);

/* tz_shared_rwlock_release_read - ends one reader's use of the lock.
 *
 * Ownership: none.
 * Threads: any of the process that acquired it.
 * Errors: -EPERM when no reader of this process has the lock; nothing has changed then. */
TZ_API int tz_shared_rwlock_release_read(tz_shared_rwlock *lock);

/* tz_shared_rwlock_acquire_write - takes the lock for writing, waiting for it as long as it takes.
 *
 * Ownership: none.
 * Threads: any; not while the strand holds the lock already.
 * Errors: -EOWNERDEAD when the last writer has ended while it held the lock: the caller has it now. -ENOTRECOVERABLE when somebody released it in that state, -EUSERS as
 * tz_shared_rwlock_acquire_read; the caller does not have it. */
TZ_API TZ_NODISCARD int tz_shared_rwlock_acquire_write(tz_shared_rwlock *lock);

/* tz_shared_rwlock_try_write - takes the lock for writing if it is free.
 *
 * Ownership: none.
 * Threads: any; never waits for others to release it.
 * Errors: as tz_shared_rwlock_acquire_write; -EBUSY when it is not free. */
TZ_API TZ_NODISCARD int tz_shared_rwlock_try_write(tz_shared_rwlock *lock);

/* tz_shared_rwlock_acquire_write_until - takes the lock for writing, waiting for it until the deadline at most.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_shared_rwlock_acquire_write; -ETIMEDOUT and -ECANCELED as tz_shared_rwlock_acquire_read_until. */
TZ_API TZ_NODISCARD int tz_shared_rwlock_acquire_write_until(tz_shared_rwlock *lock, tz_deadline deadline);

/* tz_shared_rwlock_recover - says that what the lock protects is whole again, after -EOWNERDEAD.
 *
 * Ownership: none; the lock stays the caller's.
 * Threads: a strand of the process that has the lock for writing.
 * Errors: -EPERM when the process does not have it; -EINVAL when there is nothing to recover. */
TZ_API int tz_shared_rwlock_recover(tz_shared_rwlock *lock);

/* tz_shared_rwlock_release_write - ends the writer's use of the lock.
 *
 * After -EOWNERDEAD without tz_shared_rwlock_recover it makes the lock one that nobody can acquire again.
 *
 * Ownership: none.
 * Threads: any of the process that acquired it.
 * Errors: -EPERM when no writer of this process has the lock; nothing has changed then. */
TZ_API int tz_shared_rwlock_release_write(tz_shared_rwlock *lock);

/* tz_shared_rwlock_readers - the number of readers that have the lock at this moment. Those of processes that have ended count until somebody has looked.
 *
 * Ownership: none.
 * Threads: any. The answer may be out of date when it arrives.
 * Errors: none. */
TZ_API int tz_shared_rwlock_readers(const tz_shared_rwlock *lock);

/* tz_shared_rwlock_is_written - whether a writer has the lock at this moment, or has ended while it had it and nobody has looked.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_shared_rwlock_is_written(const tz_shared_rwlock *lock);

TZ__WITH_FN tz_shared_rwlock *tz__shared_read_enter(tz_shared_rwlock *lock, int *ret_error)
{
	int tz__r = tz_shared_rwlock_acquire_read(lock);

	if (ret_error)
		*ret_error = tz__r;
	return tz__r == 0 ? lock : NULL;
}

TZ__WITH_FN void tz__shared_read_leave(tz_shared_rwlock **lock)
{
	if (*lock)
		(void)tz_shared_rwlock_release_read(*lock);
}

TZ__WITH_FN tz_shared_rwlock *tz__shared_write_enter(tz_shared_rwlock *lock, int *ret_error)
{
	int tz__r = tz_shared_rwlock_acquire_write(lock);

	if (tz__shared_may_run(tz__r, ret_error))
		return lock;
	if (tz__r == -EOWNERDEAD)
		(void)tz_shared_rwlock_release_write(lock);
	return NULL;
}

TZ__WITH_FN void tz__shared_write_leave(tz_shared_rwlock **lock)
{
	if (*lock)
		(void)tz_shared_rwlock_release_write(*lock);
}

TZ_END_DECLS

/* tz_with_shared_read(&lock, &r) { ... }, tz_with_shared_write(&lock, &r) { ... } - blocks that hold the lock. r is what the acquire answered. A read block
 * is skipped unless that was 0; a write block runs also after -EOWNERDEAD, which is to be repaired in it, unless NULL is given instead of &r. How a block
 * may be left: with.h.
 *
 * Form: tz_with_shared_read(tz_shared_rwlock *lock, int *ret_error) { ... }
 * Form: tz_with_shared_write(tz_shared_rwlock *lock, int *ret_error) { ... }
 * Ownership: the lock is held in the block and released whichever way it is left.
 * Threads: any; not while the strand holds the lock already.
 * Errors: as tz_shared_rwlock_acquire_read and tz_shared_rwlock_acquire_write, in *ret_error. */
#define tz_with_shared_read(lock, ret_error) \
	TZ__WITH(tz_shared_rwlock, tz__shared_read_leave, tz__shared_read_enter(lock, ret_error))
#define tz_with_shared_write(lock, ret_error) \
	TZ__WITH(tz_shared_rwlock, tz__shared_write_leave, tz__shared_write_enter(lock, ret_error))

#endif
