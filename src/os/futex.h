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

/* Wakes at most n waiters. The word is an address only: it is not read, and may be gone. */
void tz_futex_wake(const _Atomic uint32_t *word, int n);

#endif
