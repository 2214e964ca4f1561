/* Calls: telling strands of any process that what they wait for has changed.
 *
 *     who waits                                        who changes
 *     seen = tz_call_listen(&word);                    change something (seq_cst)
 *     if (!changed)                                    tz_call(&word, 1);
 *             tz_nap_take(&nap, &word, seen);
 *
 * Design notes
 *
 * The lowest bit of the word says that somebody listens, the others count the calls. Who waits sets the bit before it looks, who changes something looks
 * at the word after that; all four accesses are seq_cst, so one of them sees the other. A call takes the bit away and counts, so nobody falls asleep
 * who has not seen it; if as many were woken as were asked for there may be more who sleep, and the bit is set again. Nothing counts who waits, so nobody
 * who is killed leaves it wrong: at most the bit is set and nobody listens, which costs one system call; or a call is lost with its caller, or with who
 * was woken, and the others hear of it at the end of their naps (nap.h).
 */
#ifndef TZ_SHARED_CALL_H
#define TZ_SHARED_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/nap.h"

enum { TZ_CALL_LISTENS = 1 };

/* The value to nap on. */
static inline uint32_t tz_call_listen(uint32_t *word)
{
	return __atomic_fetch_or(word, TZ_CALL_LISTENS, __ATOMIC_SEQ_CST) | TZ_CALL_LISTENS;
}

/* Whether there has been a call since the word was `seen`. */
static inline bool tz_call_came(const uint32_t *word, uint32_t seen)
{
	return (__atomic_load_n(word, __ATOMIC_ACQUIRE) ^ seen) > TZ_CALL_LISTENS;
}

static inline void tz_call_slowly(uint32_t *word, uint32_t w, int n)
{
	if (__atomic_compare_exchange_n(word, &w, w + TZ_CALL_LISTENS, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED) &&
	    tz_nap_wake(word, n) >= n)
		(void)__atomic_fetch_or(word, TZ_CALL_LISTENS, __ATOMIC_SEQ_CST);
}

/* Wakes up to n of those who wait. */
static inline void tz_call(uint32_t *word, int n)
{
	uint32_t w = __atomic_load_n(word, __ATOMIC_SEQ_CST);

	if (__builtin_expect(w & TZ_CALL_LISTENS, 0))
		tz_call_slowly(word, w, n);
}

#endif
