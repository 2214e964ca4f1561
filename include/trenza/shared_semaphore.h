/* Semaphores in memory that processes share: a number of permits, and those of a process that has ended come back.
 *
 *     tz_shared_semaphore *licences;           // in shared memory
 *     tz_shared_semaphore_init_bounded(licences, 3);
 *
 *     int r;
 *     tz_with_shared_semaphore(licences, &r) {
 *             render(frame);                   // in three processes at a time; one that is killed here gives its licence back
 *     }
 *
 * A permit belongs to the process that took it; any strand of that process may give it back. When the process has ended, however it ended, what
 * it had comes back within a tenth of a second, if anybody waits for it. A process that gives back more than it has, makes new permits; a bounded semaphore refuses
 * that.
 *
 * Where one process takes what another one gives (a count of things that were produced), nobody holds anything: make such a semaphore with
 * tz_shared_semaphore_init_signal.
 *
 * Waiting strands get permits in no particular order.
 */
#ifndef TRENZA_SHARED_SEMAPHORE_H
#define TRENZA_SHARED_SEMAPHORE_H

#include <trenza/base.h>
#include <trenza/semaphore.h>
#include <trenza/shared_lock.h>
#include <trenza/time.h>
#include <trenza/with.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* A semaphore for several processes. All-zero has no permits and no bound. */
typedef struct tz_shared_semaphore {
	tz_shared_lock tz__lock;
	uint32_t tz__gate; /* those who wait sleep here */
	uint32_t tz__kind;
	uint32_t tz__total; /* permits, held or not */
	uint32_t tz__used; /* entries of the table that have ever been used */
	uint32_t tz__reserved;
	tz__shared_holder tz__holders[TZ_SHARED_PROCESSES];
} tz_shared_semaphore;

/* tz_shared_semaphore_init - a semaphore with `permits` to begin with.
 *
 * Ownership: the memory is the caller's; nothing needs to be released.
 * Threads: one, before the semaphore is used.
 * Errors: -EINVAL when permits is negative or above TZ_SEMAPHORE_MAX. */
TZ_API int tz_shared_semaphore_init(tz_shared_semaphore *semaphore, int permits);

/* tz_shared_semaphore_init_bounded - a semaphore whose permits only those give back that have them.
 *
 * Ownership: the memory is the caller's; nothing needs to be released.
 * Threads: one, before the semaphore is used.
 * Errors: -EINVAL when permits is negative or above TZ_SEMAPHORE_MAX. */
TZ_API int tz_shared_semaphore_init_bounded(tz_shared_semaphore *semaphore, int permits);

/* tz_shared_semaphore_init_signal - a semaphore whose permits belong to nobody: what a process took is gone when the process has ended.
 *
 * Ownership: the memory is the caller's; nothing needs to be released.
 * Threads: one, before the semaphore is used.
 * Errors: -EINVAL when permits is negative or above TZ_SEMAPHORE_MAX. */
TZ_API int tz_shared_semaphore_init_signal(tz_shared_semaphore *semaphore, int permits);

/* tz_shared_semaphore_acquire - takes a permit, waiting for one.
 *
 * A permit that is there is taken even if the scope was cancelled.
 *
 * Ownership: the permit is the calling process's.
 * Threads: any.
 * Errors: -ETIMEDOUT at the scope's deadline, -ECANCELED when the scope was cancelled; -EUSERS when TZ_SHARED_PROCESSES processes have permits. */
TZ_API TZ_NODISCARD int tz_shared_semaphore_acquire(tz_shared_semaphore *semaphore);

/* tz_shared_semaphore_acquire_until - as tz_shared_semaphore_acquire, until the deadline at most.
 *
 * Ownership: the permit is the calling process's.
 * Threads: any.
 * Errors: as tz_shared_semaphore_acquire; -ETIMEDOUT also at the deadline. */
TZ_API TZ_NODISCARD int tz_shared_semaphore_acquire_until(tz_shared_semaphore *semaphore, tz_deadline deadline);

/* tz_shared_semaphore_try - takes a permit if there is one.
 *
 * Ownership: the permit is the calling process's.
 * Threads: any; never waits for a permit.
 * Errors: -EBUSY when there is none; -EUSERS as tz_shared_semaphore_acquire. */
TZ_API TZ_NODISCARD int tz_shared_semaphore_try(tz_shared_semaphore *semaphore);

/* tz_shared_semaphore_release - gives one permit back.
 *
 * Ownership: the permit is nobody's.
 * Threads: any.
 * Errors: as tz_shared_semaphore_release_n. */
TZ_API int tz_shared_semaphore_release(tz_shared_semaphore *semaphore);

/* tz_shared_semaphore_release_n - gives n permits back at once.
 *
 * Ownership: the permits are nobody's.
 * Threads: any.
 * Errors: -EPERM when the semaphore is bounded and the process has fewer than n; -EOVERFLOW when there would be more than TZ_SEMAPHORE_MAX; -EINVAL when n is
 * negative. Nothing has changed then. */
TZ_API int tz_shared_semaphore_release_n(tz_shared_semaphore *semaphore, int n);

/* tz_shared_semaphore_permits - the number of permits that are there at this moment. Those of processes that have ended are there when somebody has looked.
 *
 * Ownership: none.
 * Threads: any. The answer may be out of date when it arrives.
 * Errors: none. */
TZ_API int tz_shared_semaphore_permits(const tz_shared_semaphore *semaphore);

TZ__WITH_FN tz_shared_semaphore *tz__shared_semaphore_enter(tz_shared_semaphore *semaphore, int *ret_error)
{
	int tz__r = tz_shared_semaphore_acquire(semaphore);

	if (ret_error)
		*ret_error = tz__r;
	return tz__r == 0 ? semaphore : NULL;
}

TZ__WITH_FN void tz__shared_semaphore_leave(tz_shared_semaphore **semaphore)
{
	if (*semaphore)
		(void)tz_shared_semaphore_release(*semaphore);
}

TZ_END_DECLS

/* tz_with_shared_semaphore(&semaphore, &r) { ... } - a block that holds a permit. r is what tz_shared_semaphore_acquire answered; the block is skipped
 * unless that was 0. NULL instead of &r if it does not matter. How a block may be left: with.h.
 *
 * Form: tz_with_shared_semaphore(tz_shared_semaphore *semaphore, int *ret_error) { ... }
 * Ownership: the permit is held in the block and given back whichever way it is left.
 * Threads: any.
 * Errors: as tz_shared_semaphore_acquire, in *ret_error. */
#define tz_with_shared_semaphore(semaphore, ret_error) \
	TZ__WITH(tz_shared_semaphore, tz__shared_semaphore_leave, tz__shared_semaphore_enter(semaphore, ret_error))

#endif
