/* Semaphores: a number of permits.
 *
 *     tz_semaphore connections;
 *     tz_semaphore_init_bounded(&connections, 4);
 *
 *     int r;
 *     tz_with_semaphore(&connections, &r) {
 *             fetch(url);                      // at most four at a time
 *     }
 *     if (r < 0) ...                           // the wait ended early, and nothing was fetched
 *
 * Permits are given out in the order in which strands came for them: nobody overtakes a strand that
 * waits. A permit is given to a waiter, not just announced, so a waiter that gives up at the same
 * moment either has it or not.
 */
#ifndef TRENZA_SEMAPHORE_H
#define TRENZA_SEMAPHORE_H

#include <trenza/base.h>
#include <trenza/time.h>
#include <trenza/with.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* TZ_SEMAPHORE_MAX - the largest number of permits.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
#define TZ_SEMAPHORE_MAX 0x3fffffff

/* A semaphore, 8 bytes. All-zero has no permits and no bound. */
typedef struct tz_semaphore {
	uint32_t tz__word;
	uint32_t tz__bound; /* 1 + the bound; 0: none */
} tz_semaphore;

/* tz_semaphore_init - a semaphore with `permits` to begin with.
 *
 * Ownership: the memory is the caller's; nothing needs to be released.
 * Threads: one, before the semaphore is used.
 * Errors: -EINVAL when permits is negative or above TZ_SEMAPHORE_MAX. */
TZ_API int tz_semaphore_init(tz_semaphore *semaphore, int permits);

/* tz_semaphore_init_bounded - a semaphore that refuses to have more permits than it began with.
 *
 * This finds the program that releases more often than it acquires.
 *
 * Ownership: the memory is the caller's; nothing needs to be released.
 * Threads: one, before the semaphore is used.
 * Errors: -EINVAL when permits is negative or above TZ_SEMAPHORE_MAX. */
TZ_API int tz_semaphore_init_bounded(tz_semaphore *semaphore, int permits);

/* tz_semaphore_acquire - takes a permit, waiting for one.
 *
 * A permit that is there is taken even if the scope was cancelled.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -ETIMEDOUT at the scope's deadline, -ECANCELED when the scope was cancelled. */
TZ_API TZ_NODISCARD int tz_semaphore_acquire(tz_semaphore *semaphore);

/* tz_semaphore_acquire_until - as tz_semaphore_acquire, until the deadline at most.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_semaphore_acquire; -ETIMEDOUT also at the deadline. */
TZ_API TZ_NODISCARD int tz_semaphore_acquire_until(tz_semaphore *semaphore, tz_deadline deadline);

/* tz_semaphore_try - takes a permit if there is one.
 *
 * Ownership: none.
 * Threads: any; never waits.
 * Errors: -EBUSY when there is none. */
TZ_API TZ_NODISCARD int tz_semaphore_try(tz_semaphore *semaphore);

/* tz_semaphore_release - gives one permit back, to the strand that has waited longest if there is
 * one.
 *
 * Ownership: does not touch the semaphore once another strand can have the permit.
 * Threads: any, also one that never acquired.
 * Errors: as tz_semaphore_release_n. */
TZ_API int tz_semaphore_release(tz_semaphore *semaphore);

/* tz_semaphore_release_n - gives n permits back at once.
 *
 * Ownership: as tz_semaphore_release.
 * Threads: any.
 * Errors: -EOVERFLOW when there would be more permits than the bound, or than TZ_SEMAPHORE_MAX,
 * -EINVAL when n is negative; nothing has changed then. Releasing 0 permits does nothing. */
TZ_API int tz_semaphore_release_n(tz_semaphore *semaphore, int n);

/* tz_semaphore_permits - the number of permits that are there at this moment.
 *
 * Ownership: none.
 * Threads: any. The answer may be out of date when it arrives.
 * Errors: none. */
TZ_API int tz_semaphore_permits(const tz_semaphore *semaphore);

TZ__WITH_FN tz_semaphore *tz__semaphore_enter(tz_semaphore *semaphore, int *ret_error)
{
	int tz__r = tz_semaphore_acquire(semaphore);

	if (ret_error)
		*ret_error = tz__r;
	return tz__r == 0 ? semaphore : NULL;
}

TZ__WITH_FN void tz__semaphore_leave(tz_semaphore **semaphore)
{
	if (*semaphore)
		(void)tz_semaphore_release(*semaphore);
}

TZ_END_DECLS

/* tz_with_semaphore(&semaphore, &r) { ... } - a block that holds a permit. r is what
 * tz_semaphore_acquire answered; the block is skipped unless that was 0. NULL instead of &r if it
 * does not matter. How a block may be left: with.h.
 *
 * Form: tz_with_semaphore(tz_semaphore *semaphore, int *ret_error) { ... }
 * Ownership: the permit is held in the block and given back whichever way it is left.
 * Threads: any.
 * Errors: as tz_semaphore_acquire, in *ret_error. */
#define tz_with_semaphore(semaphore, ret_error) \
	TZ__WITH(tz_semaphore, tz__semaphore_leave, tz__semaphore_enter(semaphore, ret_error))

#endif
