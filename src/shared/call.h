/* Calls: telling strands of any process that what they wait for has changed.
 *
 *     who waits                                        who changes
 *     seen = tz_call_listen(&word);                    change something (seq_cst)
 *     if (!changed)                                    tz_call(&word, 1);
 *             tz_nap_take(&nap, &word, seen);
 *
 * Design notes
 *
 * The word: somebody LISTENS; somebody does since the last call (FRESH); the other bits count the calls. Who waits sets both bits before it looks, who changes something looks
 * at the word after that; all four accesses are seq_cst, so one of them sees the other. A call counts, so nobody falls asleep who has not seen it, and leaves
 * LISTENS, since there may be more who sleep; only if fewer were woken than were asked for nobody sleeps any more, and the bit goes, unless somebody has come to listen
 * meanwhile, which FRESH tells. (Taking the bit away first and setting it again is not enough: another caller may look in between.)
 *
 * Nothing counts who waits, so nobody who is killed leaves it wrong: at most LISTENS is set and nobody listens, which costs one system call; or a wake-up is lost
 * with who was woken, and the others hear of it at the end of their naps (nap.h). model/shared_queue.pml has all this.
 */
#ifndef TZ_SHARED_CALL_H
#define TZ_SHARED_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/nap.h"

enum { TZ_CALL_LISTENS = 1, TZ_CALL_FRESH = 2, TZ_CALL_ONE = 4 };

/* The value to nap on. */
static inline uint32_t tz_call_listen(uint32_t *word)
{
	return __atomic_fetch_or(word, TZ_CALL_LISTENS | TZ_CALL_FRESH, __ATOMIC_SEQ_CST) | TZ_CALL_LISTENS | TZ_CALL_FRESH;
}

/* Whether there has been a call since the word was `seen`. */
static inline bool tz_call_came(const uint32_t *word, uint32_t seen)
{
	return (__atomic_load_n(word, __ATOMIC_ACQUIRE) ^ seen) >= TZ_CALL_ONE;
}

static inline void tz_call_slowly(uint32_t *word, uint32_t w, int n)
{
	uint32_t next;

	do {
		if (!(w & TZ_CALL_LISTENS))
			return; /* somebody else has woken all */
		next = (w + TZ_CALL_ONE) & ~(uint32_t)TZ_CALL_FRESH;
	} while (!__atomic_compare_exchange_n(word, &w, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	if (tz_nap_wake(word, n) < n)
		(void)__atomic_compare_exchange_n(word, &next, next & ~(uint32_t)TZ_CALL_LISTENS, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Whether a call would be heard. After the change, as the call itself. */
static inline bool tz_call_is_due(const uint32_t *word)
{
	return (__atomic_load_n(word, __ATOMIC_SEQ_CST) & TZ_CALL_LISTENS) != 0;
}

/* Wakes up to n of those who wait. */
static inline void tz_call(uint32_t *word, int n)
{
	uint32_t w = __atomic_load_n(word, __ATOMIC_SEQ_CST);

	if (__builtin_expect(w & TZ_CALL_LISTENS, 0))
		tz_call_slowly(word, w, n);
}

#endif
