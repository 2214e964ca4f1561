/* Barriers: a number of strands, the parties, wait until all of them have arrived.
 *
 *     tz_barrier round;
 *     tz_barrier_init(&round, 4, swap_grids, &grids);
 *
 *     for (int i = 0; i < rounds; i++) {       // in each of the four
 *             compute(mine);
 *             if (tz_barrier_wait(&round) < 0)
 *                     break;
 *     }
 *
 * The last one to arrive runs the action, if there is one, while the others still wait. A barrier
 * breaks when a party gives up (time-out, cancelled scope), when the action fails, or by
 * tz_barrier_abort: then everyone who waits, and everyone who comes, is told so by -EPIPE, until
 * tz_barrier_reset. So nobody waits for a party that will not come.
 *
 * Who has arrived is told how that very round ended, whatever comes after it. After a reset a new round
 * begins as soon as all parties of the broken one know, and its action, if it runs still, has ended.
 */
#ifndef TRENZA_BARRIER_H
#define TRENZA_BARRIER_H

#include <trenza/base.h>
#include <trenza/time.h>

TZ_BEGIN_DECLS

/* What the last party runs: 0, or a negative errno code, which breaks the barrier. It must not use
 * the barrier. */
typedef int tz_barrier_action(void *arg);

/* A barrier. All-zero is one of a single party, which never waits. */
typedef struct tz_barrier {
	uint64_t tz__word;
	uint32_t tz__others; /* parties - 1 */
	tz_barrier_action *tz__action;
	void *tz__arg;
} tz_barrier;

/* TZ_BARRIER_MAX - the largest number of parties.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
#define TZ_BARRIER_MAX 0xfffff

/* tz_barrier_init - a barrier for `parties` strands; action(arg) is run once a round, action may be
 * NULL.
 *
 * Ownership: the memory is the caller's; nothing needs to be released. It may be freed when every
 * party has returned from its last wait. action and arg must stay valid until then.
 * Threads: one, before the barrier is used.
 * Errors: -EINVAL when parties is less than 1 or more than TZ_BARRIER_MAX. */
TZ_API int tz_barrier_init(tz_barrier *barrier, int parties, tz_barrier_action *action, void *arg);

/* tz_barrier_wait - arrives, and waits until all parties have.
 *
 * Returns the caller's index in this round, from 0 in order of arrival to parties - 1 for the one
 * that ran the action: use it to choose one of them for something.
 *
 * Ownership: none.
 * Threads: any. If more strands than parties use it, those too many belong to a later round.
 * Errors: -EPIPE when the barrier is broken or was reset meanwhile; -ETIMEDOUT at the scope's
 * deadline and -ECANCELED when the scope was cancelled, which breaks it for the others; for the one
 * that ran the action also what the action returned. */
TZ_API int tz_barrier_wait(tz_barrier *barrier);

/* tz_barrier_wait_until - as tz_barrier_wait, until the deadline at most.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_barrier_wait; -ETIMEDOUT also at the deadline. */
TZ_API int tz_barrier_wait_until(tz_barrier *barrier, tz_deadline deadline);

/* tz_barrier_abort - breaks the barrier.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none; aborting twice is legal. */
TZ_API void tz_barrier_abort(tz_barrier *barrier);

/* tz_barrier_reset - makes the barrier whole and empty again; who waits now is told -EPIPE.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_barrier_reset(tz_barrier *barrier);

/* tz_barrier_is_broken - whether the barrier is broken.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_barrier_is_broken(const tz_barrier *barrier);

/* tz_barrier_parties - the number of parties.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_barrier_parties(const tz_barrier *barrier);

/* tz_barrier_waiting - the number of parties that have arrived and wait at this moment.
 *
 * Ownership: none.
 * Threads: any. The answer may be out of date when it arrives.
 * Errors: none. */
TZ_API int tz_barrier_waiting(const tz_barrier *barrier);

TZ_END_DECLS

#endif
