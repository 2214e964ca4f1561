/* A thread as a strand: parks on a futex.
 *
 * Design notes. The token is 0 (absent), 1 (present) or 2 (absent, and the thread sleeps or is about to). unpark
 * swaps 1 in and makes the system call only if it found 2. park swaps 0 in if it finds 1; else it announces 2 and
 * sleeps. Acquire on the swap that takes the token, release on the one that gives it. A thread that waits for a
 * descriptor or a foreign word is woken by a signal-free trick: it does not sleep longer than until its scope can
 * end the wait; wait_fd polls in slices when there is a scope that somebody else may cancel.
 */
#include "core/strand_thread.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <time.h>

#include "os/clock.h"
#include "os/futex.h"

enum { ABSENT = 0, PRESENT = 1, SLEEPS = 2 };

/* A wait for a descriptor or a shared word cannot hear an unpark; where a scope could be cancelled by another
 * strand it looks again this often. */
static const uint64_t CANCEL_SLICE_NS = 20000000;

static int thread_park(struct tz_strand *s, tz_deadline deadline)
{
	for (;;) {
		uint32_t t = PRESENT;

		if (atomic_compare_exchange_strong_explicit(&s->token, &t, ABSENT, memory_order_acquire,
							    memory_order_relaxed))
			return 0;
		if (t == ABSENT && deadline.ns && tz_clock_now() >= deadline.ns)
			return -ETIMEDOUT; /* the kernel would sleep for 100 us all the same */
		if (t == ABSENT && !atomic_compare_exchange_strong_explicit(&s->token, &t, SLEEPS,
									    memory_order_relaxed,
									    memory_order_relaxed))
			continue; /* the token has come */
		if (tz_futex_wait(&s->token, SLEEPS, deadline.ns) == -ETIMEDOUT) {
			t = SLEEPS;
			if (atomic_compare_exchange_strong_explicit(&s->token, &t, ABSENT, memory_order_relaxed,
								    memory_order_relaxed))
				return -ETIMEDOUT;
		}
	}
}

static void thread_unpark(struct tz_strand *s)
{
	if (atomic_exchange_explicit(&s->token, PRESENT, memory_order_release) == SLEEPS)
		tz_futex_wake(&s->token, 1);
}

static enum tz_task_state thread_state(const struct tz_strand *s)
{
	return atomic_load_explicit(&s->token, memory_order_relaxed) == SLEEPS ? TZ_TASK_WAITING : TZ_TASK_RUNNING;
}

static uint64_t thread_now(struct tz_strand *s)
{
	(void)s;
	return tz_clock_now();
}

static void thread_yield(struct tz_strand *s)
{
	(void)s;
	(void)sched_yield();
}

/* When this slice of a wait must end: at the deadline, or sooner to look whether the scope was cancelled. */
static tz_deadline slice_end(struct tz_strand *s, tz_deadline deadline)
{
	tz_deadline slice = { tz_clock_now() + CANCEL_SLICE_NS };

	return s->scope ? tz_deadline_min(deadline, slice) : deadline;
}

static int thread_wait_fd(struct tz_strand *s, int fd, short events, tz_deadline deadline, short *ret_revents)
{
	struct pollfd p = { .fd = fd, .events = events };
	tz_deadline end = slice_end(s, deadline);
	uint64_t now = tz_clock_now(), left = end.ns > now ? end.ns - now : 0;
	struct timespec ts = { .tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u) };
	int n = ppoll(&p, 1, end.ns ? &ts : NULL, NULL);

	if (n < 0)
		return -errno;
	if (n == 0)
		return end.ns == deadline.ns ? -ETIMEDOUT : -EINTR;
	*ret_revents = p.revents;
	return 0;
}

static int thread_wait_word(struct tz_strand *s, const _Atomic uint32_t *word, uint32_t expected,
			    tz_deadline deadline)
{
	tz_deadline end = slice_end(s, deadline);
	int r = tz_futex_wait_shared(word, expected, end.ns);

	return r == -ETIMEDOUT && end.ns != deadline.ns ? -EINTR : r;
}

static void thread_run_blocking(struct tz_strand *s, void (*fn)(void *arg), void *arg)
{
	tz_strand_block_begin(s);
	fn(arg);
	tz_strand_block_end(s);
}

const struct tz_strand_ops tz_thread_strand_ops = {
	.park = thread_park,
	.unpark = thread_unpark,
	.state = thread_state,
	.now = thread_now,
	.yield = thread_yield,
	.wait_fd = thread_wait_fd,
	.wait_word = thread_wait_word,
	.run_blocking = thread_run_blocking,
};
