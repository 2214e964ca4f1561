/* The futex system call, with absolute monotonic deadlines (FUTEX_WAIT_BITSET), so that no clock change and no
 * interrupted wait moves a deadline. */
#include "os/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int futex_wait(const _Atomic uint32_t *word, int op, uint32_t expected, uint64_t deadline_ns)
{
	struct timespec at = {
		.tv_sec = (time_t)(deadline_ns / 1000000000u),
		.tv_nsec = (long)(deadline_ns % 1000000000u),
	};
	long r = syscall(SYS_futex, word, op, expected, deadline_ns ? &at : NULL, NULL,
			 FUTEX_BITSET_MATCH_ANY);

	return r < 0 ? -errno : 0;
}

int tz_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	return futex_wait(word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, deadline_ns);
}

int tz_futex_wait_shared(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	return futex_wait(word, FUTEX_WAIT_BITSET, expected, deadline_ns);
}

static int futex_wake(const _Atomic uint32_t *word, int op, int n)
{
	int saved = errno;
	long woken = syscall(SYS_futex, word, op, n, NULL, NULL, 0);

	errno = saved; /* the word may be gone by now, which is no error */
	return woken > 0 ? (int)woken : 0;
}

void tz_futex_wake(const _Atomic uint32_t *word, int n)
{
	(void)futex_wake(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n);
}

int tz_futex_wake_shared(const _Atomic uint32_t *word, int n)
{
	return futex_wake(word, FUTEX_WAKE, n);
}

int tz_futex_wait_many(const struct tz_futex_many *words, unsigned n, uint64_t deadline_ns)
{
	static const long number = 449; /* futex_waitv; older headers do not know it */
	struct timespec at = {
		.tv_sec = (time_t)(deadline_ns / 1000000000u),
		.tv_nsec = (long)(deadline_ns % 1000000000u),
	};
	long r = syscall(number, words, n, 0, deadline_ns ? &at : NULL, CLOCK_MONOTONIC);

	return r < 0 ? -errno : (int)r;
}
