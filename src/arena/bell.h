/* A bell: a word in shared memory on which one sleeper sleeps, and that others ring when they have changed what it looks at.
 *
 *     sleeper                                    ringer
 *     tz_bell_lie_down(b);                       change something (a seq_cst store or exchange)
 *     if (!changed)                              tz_bell_ring(b);
 *         tz_bell_sleep(b, deadline);
 *     tz_bell_get_up(b);
 *
 * Design notes
 *
 * The word is 1 while somebody sleeps or is about to, else 0. The sleeper sets it before it looks, the ringer looks at it
 * after the change; all four accesses are seq_cst, so one of them sees the other: either the sleeper finds the change, or the
 * ringer finds the sleeper. This needs the whole order, on every processor: acquire and release let both look too early. The ringer
 * clears the word and only who cleared it makes the system call; the kernel compares the word with 1 before it puts the sleeper
 * to sleep. So there is no count of waiters that a killed process could leave wrong.
 *
 * A ringer that is killed or stopped between clearing the word and its system call takes the wake-up with it. So who sleeps on a
 * bell that several processes ring looks again at least every TZ_BELL_LOOK_NS, and is woken when one of them has died.
 * A ringer whose memory went wrong may write anything here: the sleeper then looks too often, or as seldom as that.
 */
#ifndef TZ_ARENA_BELL_H
#define TZ_ARENA_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/atomic.h"
#include "os/futex.h"

enum { TZ_BELL_LOOK_NS = 100000000 };

struct tz_bell {
	_Atomic uint32_t asleep;
};

/* By the sleeper: from here on a ring is not missed. */
static inline void tz_bell_lie_down(struct tz_bell *b)
{
	tz_store_seq_cst(&b->asleep, 1);
}

/* Sleeps until a ring, a signal, or `deadline_ns` on CLOCK_MONOTONIC (0: for ever), whichever is first; may also end without any. */
static inline void tz_bell_sleep(struct tz_bell *b, uint64_t deadline_ns)
{
	(void)tz_futex_wait_shared(&b->asleep, 1, deadline_ns); /* whatever it was, the caller looks again */
}

static inline void tz_bell_get_up(struct tz_bell *b)
{
	atomic_store_explicit(&b->asleep, 0, memory_order_relaxed);
}

/* By anybody, after the change. True if it was the one that woke a sleeper. */
static inline bool tz_bell_ring(struct tz_bell *b)
{
	if (!atomic_load_explicit(&b->asleep, memory_order_seq_cst) ||
	    !atomic_exchange_explicit(&b->asleep, 0, memory_order_seq_cst))
		return false;
	tz_futex_wake_shared(&b->asleep, 1);
	return true;
}

/* By who knows that a ringer has died, after the change: wakes the sleeper whatever the word says, since the dead one may have taken a wake-up with it. */
static inline void tz_bell_rouse(struct tz_bell *b)
{
	tz_store_seq_cst(&b->asleep, 0);
	tz_futex_wake_shared(&b->asleep, 1);
}

/* One bell on a page that several processes share: the parent's, that all its workers ring. */
int tz_bell_open(struct tz_bell **ret, int *ret_fd);
int tz_bell_join(int fd, struct tz_bell **ret); /* the descriptor stays the caller's */
void tz_bell_close(struct tz_bell *bell); /* unmaps; NULL: nothing */

#endif
