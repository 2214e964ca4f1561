/* Owners: a process, named by a 32-bit word, for what lies in memory that processes share.
 *
 *     31  30  29 ... 22  21 ... 0
 *     [flags] [ epoch ]  [ pid  ]
 *
 * Design notes
 *
 * A word is never 0, so 0 can mean "nobody", and all-zero memory is valid. The two highest bits are left to who stores the word.
 *
 * The epoch tells a process from one that had its number before: 1 to 255, from the moment when the process was started, which the kernel tells
 * alike to all who ask (/proc/PID/stat). 0 where /proc cannot be read or is another namespace's; then the number must do. Two processes in a row with the same
 * number and the same epoch are one in 255; then who waits for the first one waits until the second one has ended, too.
 *
 * A process has ended when none of its threads runs any more, whether or not somebody has reaped it; one whose first thread alone has ended has not.
 * What executes another program keeps its word. What cannot be found out counts as alive: to wait too long is better than to
 * take a lock from who holds it.
 *
 * A child of fork(2) has a word of its own; one of a bare clone(2) has its parent's, and must not use any of this. All processes that compare words must be in one pid namespace.
 */
#ifndef TZ_SHARED_OWNER_H
#define TZ_SHARED_OWNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TZ_OWNER_PID_BITS = 22, TZ_OWNER_BITS = 30 };
#define TZ_OWNER_MASK 0x3fffffffu

extern _Atomic uint32_t tz_owner_word __attribute__((visibility("hidden"))); /* 0: not known yet */
uint32_t tz_owner_learn(void);

/* The calling process. */
static inline uint32_t tz_owner_self(void)
{
	uint32_t w = atomic_load_explicit(&tz_owner_word, memory_order_relaxed);

	return __builtin_expect(w != 0, 1) ? w : tz_owner_learn();
}

/* Whether the owner has not ended; flags in the word do not matter. A few system calls, unless it is the caller itself. */
bool tz_owner_is_alive(uint32_t word);

/* For tests: as on a system without pidfds, and without /proc. */
void tz_owner_without(bool pidfds, bool proc);

#endif
