/* Barriers in memory that processes share: a number of strands, the parties, wait until all of them have arrived.
 *
 *     tz_shared_barrier *round;                // in shared memory
 *     tz_shared_barrier_init(round, 4);
 *
 *     for (int i = 0; i < rounds; i++) {       // in each of the four processes
 *             compute(mine);
 *             if (tz_shared_barrier_wait(round) < 0)
 *                     break;
 *     }
 *
 * A barrier breaks when a party gives up (time-out, cancelled scope), when an action fails, by tz_shared_barrier_abort, and when a party has ended: then everyone who
 * waits, and everyone who comes, is told so by -EPIPE, until tz_shared_barrier_reset. So nobody waits for a party that will not come.
 *
 * A party has ended when its process, by whatever end, is gone after it has arrived and before all others have; and when a process that took part in the round
 * before is gone while others of that round wait. Who was never there cannot be missed: for that there are deadlines. Processes that have ended and are
 * replaced by others: reset the barrier between them.
 */
#ifndef TRENZA_SHARED_BARRIER_H
#define TRENZA_SHARED_BARRIER_H

#include <trenza/barrier.h>
#include <trenza/base.h>
#include <trenza/shared_lock.h>
#include <trenza/time.h>

TZ_BEGIN_DECLS

/* A barrier for several processes. All-zero is one of a single party, which never waits. */
typedef struct tz_shared_barrier {
	tz_shared_lock tz__lock;
	uint32_t tz__gate; /* those who wait sleep here */
	uint32_t tz__others; /* parties - 1 */
	uint32_t tz__state; /* the number of the round, and whether it is broken */
	uint32_t tz__fates; /* of the last rounds, a bit each: 1 if it was not completed */
	uint32_t tz__used; /* entries of the table that have ever been used */
	tz__shared_holder tz__holders[TZ_SHARED_PROCESSES];
} tz_shared_barrier;

/* TZ_SHARED_BARRIER_MAX - the largest number of parties.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
#define TZ_SHARED_BARRIER_MAX 0xffff

/* tz_shared_barrier_init - a barrier for `parties` strands, of up to TZ_SHARED_PROCESSES processes.
 *
 * Ownership: the memory is the caller's; nothing needs to be released.
 * Threads: one, before the barrier is used.
 * Errors: -EINVAL when parties is less than 1 or more than TZ_SHARED_BARRIER_MAX. */
TZ_API int tz_shared_barrier_init(tz_shared_barrier *barrier, int parties);

/* tz_shared_barrier_wait - arrives, and waits until all parties have.
 *
 * Returns the caller's index in this round, from 0 in order of arrival to parties - 1.
 *
 * Ownership: none.
 * Threads: any. If more strands than parties use it, those too many belong to a later round.
 * Errors: -EPIPE when the barrier is broken or was reset meanwhile; -ETIMEDOUT at the scope's deadline and -ECANCELED when the scope was cancelled, which breaks it for
 * the others; -EUSERS when more than TZ_SHARED_PROCESSES processes take part. */
TZ_API int tz_shared_barrier_wait(tz_shared_barrier *barrier);

/* tz_shared_barrier_wait_until - as tz_shared_barrier_wait, until the deadline at most.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_shared_barrier_wait; -ETIMEDOUT also at the deadline. */
TZ_API int tz_shared_barrier_wait_until(tz_shared_barrier *barrier, tz_deadline deadline);

/* tz_shared_barrier_wait_action - as tz_shared_barrier_wait_until; and who arrives last calls action(arg) while the others still wait. If that fails, the
 * barrier breaks.
 *
 * A function has its place in one process, so each party brings its own, and it is the last one's that is called.
 *
 * Ownership: action and arg are used during the call only. The action must not use the barrier.
 * Threads: any.
 * Errors: as tz_shared_barrier_wait_until; for the one that ran the action also what the action returned. */
TZ_API int tz_shared_barrier_wait_action(tz_shared_barrier *barrier, tz_barrier_action *action, void *arg, tz_deadline deadline);

/* tz_shared_barrier_abort - breaks the barrier.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none; aborting twice is legal. */
TZ_API void tz_shared_barrier_abort(tz_shared_barrier *barrier);

/* tz_shared_barrier_reset - makes the barrier whole and empty again; who waits now is told -EPIPE.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_shared_barrier_reset(tz_shared_barrier *barrier);

/* tz_shared_barrier_is_broken - whether the barrier is broken.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_shared_barrier_is_broken(const tz_shared_barrier *barrier);

/* tz_shared_barrier_parties - the number of parties.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_shared_barrier_parties(const tz_shared_barrier *barrier);

/* tz_shared_barrier_waiting - the number of parties that have arrived in this round.
 *
 * Ownership: none.
 * Threads: any. The answer may be out of date when it arrives.
 * Errors: none. */
TZ_API int tz_shared_barrier_waiting(const tz_shared_barrier *barrier);

TZ_END_DECLS

#endif
