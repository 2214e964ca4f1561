/* Waiters: the strands that wait for one thing, in the order in which they came.
 *
 * Design notes
 *
 * The list is guarded by a bit in `word`, and the same word says whether anybody waits and whether somebody is
 * to be woken. Who enters or leaves takes the bit, spinning briefly and then sleeping. Who wakes never waits for it: it
 * sets a wake bit, and if it got the lock bit in the same step it does the waking, else the one who holds the
 * lock does that before he lets go. So a wake may come from a signal handler that interrupted this very list's
 * holder. Wake bits do not add up. Therefore the rule for users:
 *
 *   who was in the list, and finds on his way out that there is more for others, wakes the next one.
 *
 * Nobody is missed: enter is a sequentially consistent read-modify-write of `word` that sets WAITING, and is followed by
 * another look at the condition; who makes the condition true does so by a sequentially consistent operation and reads
 * `word` after it. One of the two sees the other. Where both look at the condition under one lock, that lock does it.
 *
 * A waiter lies on its strand's stack. It is unlinked under the lock by the waker, who takes the strand out of it before
 * setting `woken` and touches it no more; or by the waiter itself. Strands are type-stable, so the unpark that
 * follows may come late. unparks come after the lock is free.
 *
 * The protocol and the rule are explored in model/waiters.pml.
 *
 * The object may be freed by the last one to use it as soon as all calls on it have returned, not earlier.
 */
#ifndef TZ_SYNC_WAITERS_H
#define TZ_SYNC_WAITERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/strand.h"

struct tz_waiting {
	struct tz_waiting *next, *prev;
	struct tz_strand *strand;
	_Atomic uint32_t woken;
};

/* All-zero: nobody waits. */
struct tz_waiters {
	_Atomic uint32_t word;
	struct tz_waiting *first, *last;
};

enum { TZ_WAITERS_WAITING = 4, TZ_WAITERS_ONE = 8, TZ_WAITERS_ALL = 16 };

/* Lines up. The caller looks at its condition again, then waits or leaves. */
void tz_waiters_enter(struct tz_waiters *ws, struct tz_waiting *w, struct tz_strand *self);

/* Waits until woken: 0, or what ended the wait (tz_strand_park). The waiter is out of the list in either case, and may
 * have been woken although the answer is an error. `what` and `on`: for reports (tz_strand_waits). */
int tz_waiters_wait(struct tz_waiters *ws, struct tz_waiting *w, const char *what, const void *on, tz_deadline deadline);

/* Leaves the list without having waited. */
void tz_waiters_leave(struct tz_waiters *ws, struct tz_waiting *w);

/* Wakes one or all. Never waits; async-signal-safe. */
void tz_waiters_kick(struct tz_waiters *ws, uint32_t how);

static inline bool tz_waiters_any(const struct tz_waiters *ws)
{
	return atomic_load_explicit(&ws->word, memory_order_seq_cst) & TZ_WAITERS_WAITING;
}

static inline void tz_waiters_wake_one(struct tz_waiters *ws)
{
	if (__builtin_expect(tz_waiters_any(ws), 0))
		tz_waiters_kick(ws, TZ_WAITERS_ONE);
}

static inline void tz_waiters_wake_all(struct tz_waiters *ws)
{
	if (__builtin_expect(tz_waiters_any(ws), 0))
		tz_waiters_kick(ws, TZ_WAITERS_ALL);
}

#endif
