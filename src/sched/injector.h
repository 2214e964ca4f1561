/* The injector: the pool's own queue, one FIFO of jobs a priority. Guarded by the pool's lock. Ordinary jobs come through it only where
 * they do not fit into an inlet (inlet.h).
 *
 * Design notes. Each FIFO is a list of blocks of pointers. A lock instead of a lock-free queue: workers take many jobs at once, so that they meet a
 * submitter seldom; the length is exact; closing, sweeping and limiting are plain code; and a submitter that is preempted in the middle puts
 * others to sleep instead of making them spin. Pointers in blocks instead of links in jobs: a worker that takes 32 jobs can have their cache
 * lines come all at once, while following links would wait for one after the other.
 */
#ifndef TZ_SCHED_INJECTOR_H
#define TZ_SCHED_INJECTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <trenza/executor_impl.h>

enum { TZ_PRIORITIES = 3 };

enum { TZ_BLOCK_JOBS = 510 };

struct tz_block {
	struct tz_block *next;
	tz_job *jobs[TZ_BLOCK_JOBS];
};

struct tz_fifo {
	struct tz_block *first, *last;
	unsigned head, tail; /* in the first and in the last block */
};

/* A length that workers look at without the lock. Each has a cache line of its own: who looks for urgent jobs before each job must not take
 * the line from who submits ordinary ones. */
struct tz_length {
	_Alignas(64) _Atomic uint64_t n;
};

struct tz_injector {
	struct tz_fifo fifos[TZ_PRIORITIES]; /* TZ_PRIORITY_LOW first */
	struct tz_block *spare; /* one empty block */
	struct tz_length lengths[TZ_PRIORITIES]; /* changed under the lock */
};

/* The number of jobs. Exact under the lock. */
static inline size_t tz_injector_length(struct tz_injector *in)
{
	size_t n = 0;

	for (int i = 0; i < TZ_PRIORITIES; i++)
		n += atomic_load_explicit(&in->lengths[i].n, memory_order_relaxed);
	return n;
}

static inline size_t tz_injector_length_of(struct tz_injector *in, tz_priority priority)
{
	return atomic_load_explicit(&in->lengths[priority - TZ_PRIORITY_LOW].n, memory_order_relaxed);
}

/* Appends jobs; returns how many, which is less than n without memory. */
size_t tz_injector_push(struct tz_injector *in, tz_job *const *jobs, size_t n, tz_priority priority);

/* Takes at most n of one priority, oldest first. */
size_t tz_injector_take(struct tz_injector *in, tz_job **jobs, size_t n, tz_priority priority);

void tz_injector_done(struct tz_injector *in);

#endif
