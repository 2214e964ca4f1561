/* A part of what executors do, which is swept on each kind of them. */
#ifndef TRENZA_TESTS_PART_H
#define TRENZA_TESTS_PART_H

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include <trenza.h>

#include "check.h"
#include "fault.h"

static atomic_int calls;

static inline long square(long x)
{
	atomic_fetch_add(&calls, 1);
	return x * x;
}
TZ_TASK(long, square, long);

/* What stands behind an answer: the code of the job's failure. */
static inline int cause(int answer)
{
	return answer == -EREMOTEIO ? tz_last()->code : answer;
}

static inline int first(int a, int b)
{
	return a != 0 ? a : b;
}

struct part {
	const char *spec;
	int (*work)(tz_executor *ex); /* a scenario, but for the executor: see fault_sweep */
	const tz_executor_options *options; /* NULL: the usual */
};

static inline int on_executor(const void *arg)
{
	const struct part *part = arg;
	tz_executor *ex;
	int r = tz_executor_open_with(&ex, part->spec, part->options);

	if (r < 0)
		return r;
	atomic_store(&calls, 0);
	r = part->work(ex);
	tz_executor_close(ex);
	return r;
}

/* The test of a part. */
#define SWEEP_WITH(work, options) \
	static void work##_test(void **state) \
	{ \
		fault_sweep(on_executor, &(const struct part){ *state, work, options }); \
	}
#define SWEEP(work) SWEEP_WITH(work, NULL)

/* The same for one kind of executor, in a table of tests. */
#define ON(spec, work) { spec ": " #work, work##_test, NULL, NULL, (void *)(uintptr_t)spec },
#define ON_INLINE(work) ON("inline", work)
#define ON_CHAOS(work) ON("chaos:delay=0.0001", work)
#define ON_THREADS(work) ON("threads:2", work)

#endif
