/* The lanes: three pools, made when they are first wanted. See <trenza/lane.h>.
 *
 * Design notes. A lane that was made stays. Two threads that make one at the same time both do, and
 * one of them is dropped. In a fork child the lane says by its process number that it is the
 * parent's, and another one takes its place.
 */
#include "loop/lane.h"

#include <stdatomic.h>
#include <stddef.h>

#include <trenza/cpu.h>
#include <trenza/executor_impl.h>

#include "core/job.h"
#include "core/strand.h"
#include "sched/deadline.h"
#include "sched/pool.h"

enum { IO_MOST = 64, DNS_MOST = 16, LANES = 3 };
static const double IDLE_SECONDS = 30;

static const char *const names[LANES] = {
	[TZ_LANE_IO] = "lane-io",
	[TZ_LANE_CPU] = "lane-cpu",
	[TZ_LANE_DNS] = "lane-dns",
};

static _Atomic(tz_executor *) lanes[LANES];

/* --- making them ---------------------------------------------------------------------------------
 * */

static const tz_executor_ops lane_ops = {
	.kind = "lane",
	.summary = "threads for calls that block",
	.capabilities = TZ_CAN_SHARE_MEMORY | TZ_CAN_RUN_IN_PARALLEL | TZ_CAN_REORDER |
			TZ_CAN_CANCEL_PENDING | TZ_CAN_PRIORITY | TZ_CAN_FORK | TZ_CAN_SHRINK,
	TZ_POOL_OPERATIONS,
};

static int most_threads(tz_lane_kind kind)
{
	switch (kind) {
	case TZ_LANE_IO:
		return IO_MOST;
	case TZ_LANE_DNS:
		return DNS_MOST;
	default:
		return tz_usable_cpus();
	}
}

static bool is_ours(const tz_executor *ex)
{
	return ex && !tz_executor_is_lost(ex);
}

static tz_executor *make(tz_lane_kind kind, tz_executor *there)
{
	tz_executor_options options = {
		.size = sizeof options,
		.workers = most_threads(kind),
		.idle_seconds = IDLE_SECONDS,
		.name = names[kind],
	};
	struct tz_pool *made;

	tz_deadlines_connect();
	if (tz_pool_open(&made, &lane_ops, &options) < 0)
		return NULL;
	made->executor.permanent = 1;
	if (atomic_compare_exchange_strong_explicit(&lanes[kind], &there, &made->executor,
						    memory_order_acq_rel, memory_order_acquire))
		return &made->executor;
	/* Somebody else was faster; this one has never had a job. */
	(void)tz_pool_shutdown(&made->executor, TZ_DRAIN, tz_never());
	tz_pool_destroy(&made->executor);
	return there;
}

tz_executor *tz_lane(tz_lane_kind kind)
{
	tz_executor *ex;

	if ((unsigned)kind >= LANES)
		return NULL;
	ex = atomic_load_explicit(&lanes[kind], memory_order_acquire);
	return __builtin_expect(is_ours(ex), 1) ? ex : make(kind, ex);
}

/* The number of jobs completed is read first: if as many were submitted afterwards, there was a
 * moment in between when all had been completed. A job's waiters are told before it is counted. */
static bool is_busy(tz_executor *lane)
{
	tz_executor_stats before, after;

	tz_pool_stats(lane, &before);
	atomic_thread_fence(memory_order_acquire);
	tz_pool_stats(lane, &after);
	return before.completed != after.submitted;
}

bool tz_lanes_are_busy(void)
{
	for (int kind = 0; kind < LANES; kind++) {
		tz_executor *lane = atomic_load_explicit(&lanes[kind], memory_order_acquire);

		if (is_ours(lane) && is_busy(lane))
			return true;
	}
	return false;
}

/* --- calls of the library's own ---------------------------------------------------------------- */

/* In the frame of who waits. */
struct call {
	struct tz_waiter waiter; /* first: of the job's end */
	void (*fn)(void *arg);
	void *arg;
	struct tz_strand *strand;
	bool begun;
	_Atomic uint32_t ended;
};

static void run_call(void *result, const void *args)
{
	struct call *c = *(struct call *const *)args;

	(void)result;
	c->begun = true;
	c->fn(c->arg);
}

static const tz_task call_task = {
	.name = "blocking call",
	.run = run_call,
	.args_size = sizeof(struct call *),
	.align = _Alignof(struct call *),
};

static void call_has_ended(struct tz_waiter *waiter, struct tz_job *job, int status)
{
	struct call *c = (struct call *)waiter;
	struct tz_strand *strand = c->strand;

	(void)job, (void)status;
	atomic_store_explicit(&c->ended, 1, memory_order_release); /* the call may be gone */
	tz_strand_unpark(strand);
}

static bool run_elsewhere(tz_lane_kind kind, struct call *c)
{
	tz_executor *ex = tz_lane(kind);
	struct tz_job *job = ex ? tz_job_new(ex, NULL, &call_task, &c, true) : NULL;
	uint32_t generation;
	int error;

	if (!job)
		return false;
	generation = tz_job_generation(atomic_load_explicit(&job->state, memory_order_relaxed));
	(void)tz_job_add_waiter(job, generation, &c->waiter);
	if (ex->ops->submit(ex, &job, 1, TZ_PRIORITY_NORMAL, &error) == 0)
		(void)tz_job_end(job, TZ_CANCELLED, error, "not taken");
	while (!atomic_load_explicit(&c->ended, memory_order_acquire)) {
		tz_strand_waits(c->strand, "blocking call", NULL);
		tz_strand_park_deaf(c->strand);
	}
	atomic_store_explicit(&job->observed, 1, memory_order_relaxed);
	(void)tz_job_release(job, generation);
	return c->begun;
}

void tz_lane_call(tz_lane_kind kind, void (*fn)(void *arg), void *arg)
{
	struct call c = {
		.waiter.fire = call_has_ended,
		.fn = fn,
		.arg = arg,
		.strand = tz_strand_self(),
	};

	if (!run_elsewhere(kind, &c))
		fn(arg);
}
