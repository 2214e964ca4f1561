/* The futex: wait on a 32-bit word, wake who waits on it. Private to the process unless told. */
#ifndef TZ_OS_FUTEX_H
#define TZ_OS_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Waits while *word == expected, until a wake, a signal, or `deadline_ns` on CLOCK_MONOTONIC (0: for ever).
 * Returns 0 after a wake, -EAGAIN if the word differed, -EINTR, -ETIMEDOUT. May return 0 without a wake. */
int tz_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);
int tz_futex_wait_shared(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);

/* Wakes at most n waiters. The word is an address only: it is not read, and may be gone. The shared one returns how many it has woken. */
void tz_futex_wake(const _Atomic uint32_t *word, int n);
int tz_futex_wake_shared(const _Atomic uint32_t *word, int n);

/* One of several words to wait on: the kernel's struct futex_waitv. */
struct tz_futex_many {
	uint64_t expected;
	uint64_t word; /* its address */
	uint32_t flags; /* TZ_FUTEX_MANY_... */
	uint32_t reserved; /* 0 */
};
enum { TZ_FUTEX_MANY_SHARED = 2, TZ_FUTEX_MANY_PRIVATE = 2 | 128, TZ_FUTEX_MANY_MAX = 128 };

/* Waits while each of n words has its expected value, until one of them is woken or the deadline. Returns the index of a word that was woken: those
 * after it were not, those before it may have been. -EAGAIN if one differed, -EINTR, -ETIMEDOUT, -EFAULT; -ENOSYS before Linux 5.16. */
int tz_futex_wait_many(const struct tz_futex_many *words, unsigned n, uint64_t deadline_ns);

#endif
