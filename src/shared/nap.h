/* Naps: waiting on a word in shared memory whose waker may have been killed.
 *
 *     struct tz_nap nap = tz_nap_begin("lock", lock, deadline);
 *     ...
 *     r = tz_nap_take(&nap, word, expected);
 *     if (r == TZ_NAP_OVER)
 *             ... look whether those that one waits for are alive
 *
 * Design notes. Who must wake may have been killed before it did, and who was woken may have been killed before it did anything with that. So nobody
 * sleeps for longer than a slice without looking again: 1 ms at first, and twice as long each time up to 100 ms. So everything that depends on a
 * wake-up in this room is late at most by that, whoever was killed, and nobody has to keep a list of who waits. A slice goes on over naps that end early, as
 * those of a thread do that has a scope: who is woken again and again must look, too.
 */
#ifndef TZ_SHARED_NAP_H
#define TZ_SHARED_NAP_H

#include <stdbool.h>
#include <stdint.h>

#include <trenza/time.h>

struct tz_strand;

struct tz_nap {
	struct tz_strand *self;
	const char *what; /* for reports */
	const void *on;
	tz_deadline deadline; /* of the whole wait */
	bool deaf; /* no deadline and no scope ends it */
	uint64_t slice; /* ns */
	uint64_t until; /* the end of the slice that has begun; 0: none has */
};

enum { TZ_NAP_OVER = 1 };

struct tz_nap tz_nap_begin(const char *what, const void *on, tz_deadline deadline);
struct tz_nap tz_nap_begin_deaf(const char *what, const void *on);

/* Waits while *word == expected. 0: it has changed, or was woken, or neither: look again. TZ_NAP_OVER: so much time has passed that one should look who is alive. The
 * wait as a whole is to end: -ETIMEDOUT, -ECANCELED. */
int tz_nap_take(struct tz_nap *nap, const uint32_t *word, uint32_t expected);

/* Spins while *word == expected, for as long as it makes sense here. */
void tz_nap_spin(const struct tz_nap *nap, const uint32_t *word, uint32_t expected);

/* Wakes at most n of those who wait on the word; how many of them were asleep. The word is an address only. */
int tz_nap_wake(const uint32_t *word, int n);
#define TZ_NAP_ALL 0x7fffffff

#endif
