/* The comer: a strand on its way to a lock that one strand has at a time.
 *
 * What the plain lock and the writers' side of the read-write lock have in common: their words begin with the same
 * three bits, and a strand that does not get the lock at once does the same.
 *
 * Design notes
 *
 * The word. HELD, RIVAL: a strand that is awake will take the lock as soon as it is free, WAITERS:
 * strands queue in the parking lot under the word's address. Bits above are the lock's own; those of
 * `busy` say that it is not free. WAITERS changes under the bucket lock only.
 *
 * RIVAL belongs to one strand at a time, more or less: it is set by who spins and on behalf of who
 * is woken, and cleared by the same strand when it gets the lock or goes to sleep. If two believe
 * that it is theirs, the first clears it and the second is a rival without a bit, which costs a
 * wake-up too many. What must not be is a bit that is nobody's: that would be a wake-up lost. A
 * strand that gives up (time-out) has gone to sleep first, and so has cleared it; if it was chosen
 * meanwhile it has not given up (parking.h).
 *
 * fork. A child may inherit a RIVAL whose strand stayed in the parent. So in a fork child whoever
 * goes to sleep clears the bit, whosever it is.
 *
 * Fairness. Awake strands overtake sleeping ones, which keeps the processors busy. A waiter that
 * has been in the queue for longer than FAIR_NS is handed the lock: HELD stays set and is its own
 * when it wakes. A rival that loses the race goes back to the front of the queue and keeps its time
 * of arrival.
 *
 * Looking costs the holder. Each look at a word in use takes its cache line from the one who works
 * under the lock, and a lock that changes hands takes along what it guards. So a rival looks seldom:
 * as many turns of the holder as fit between two looks go by at the price of one processor's.
 *
 * Memory order. Taking HELD is acquire; the lock's own release pairs with it. A hand-over goes through the
 * waiter's state (release, acquire). Order between the word and the queue comes from the bucket lock.
 */
#ifndef TZ_SYNC_COMER_H
#define TZ_SYNC_COMER_H

#include <stdbool.h>
#include <stdint.h>

#include <trenza/time.h>

#include "core/parking.h"

enum { TZ_COMER_HELD = 1, TZ_COMER_RIVAL = 2, TZ_COMER_WAITERS = 4 };

/* What a waker tells the waiter: tokens of its node. */
enum { TZ_COMER_WOKEN = 0, TZ_COMER_HANDED_OVER = 1 };

struct tz_comer {
	uint32_t *word;
	uint32_t busy; /* bits of which none is set in a free lock */
	bool is_rival; /* RIVAL is ours to clear */
};

static inline uint32_t tz_comer_load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline bool tz_comer_swap(uint32_t *word, uint32_t *expected, uint32_t desired, int order)
{
	return __atomic_compare_exchange_n(word, expected, desired, true, order, __ATOMIC_RELAXED);
}

/* Takes the lock if it is free. */
static inline bool tz_comer_take(struct tz_comer *c)
{
	uint32_t w = tz_comer_load(c->word), gone = c->is_rival ? TZ_COMER_RIVAL : 0;

	while (!(w & c->busy))
		if (tz_comer_swap(c->word, &w, (w | TZ_COMER_HELD) & ~gone, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* Takes the lock, waiting for it; `n` has its strand and kind. Answers as tz_parking_wait with these flags. */
int tz_comer_acquire(struct tz_comer *c, struct tz_parked *n, unsigned flags, tz_deadline deadline);

/* For a release that has chosen to wake `n`, at the time `now`: sets its token. True if it is handed the lock, which stays
 * held; else it is the rival. */
bool tz_comer_choose(struct tz_parked *n, uint64_t now);

#endif
