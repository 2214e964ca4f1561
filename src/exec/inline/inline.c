/* The "inline" executor: runs each job inside tz_submit, on the caller's own stack.
 *
 * Design notes
 *
 * `state` counts the submits that are under way and says how far a shutdown is, in one word: a submit counts itself and learns in the same
 * operation whether it came too late; the last one out learns whether somebody waits for it. Taking itself off the count is a submit's last touch
 * of the executor, which may be freed the next moment; who waits is woken by address.
 *
 * Stopping what runs. Each run has a scope of its own between its job's and what the strand had as base, so a stop need only set the
 * flags of those scopes and wake their strands. A signal handler may do that, and may have interrupted the holder of the list's lock. So it
 * leaves its wish in `state` and tries the lock; who has the lock looks at `state` after unlocking. One of the two sees the other: both orders
 * are sequentially consistent.
 */
#include "exec/inline/inline.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/job.h"
#include "core/parking.h"
#include "core/scope.h"
#include "core/strand.h"
#include "os/mutex.h"

#define UNDER_WAY UINT64_C(0xffffffff)
#define ASKED(how) \
	(UINT64_C(1) << (32 + (int)(how))) /* one bit for each tz_shutdown that was asked for */

struct run;

struct inline_executor {
	tz_executor executor; /* first */
	int broken; /* what the initializer answered, if that was negative */
	_Atomic uint64_t state;
	_Atomic uint64_t submitted, completed;
	struct tz_mutex lock; /* of the list */
	struct run *runs;
};

/* One submit under way. Lies in its frame. */
struct run {
	struct inline_executor *executor;
	struct tz_strand *strand;
	struct tz_scope scope;
	struct run *next, **at;
};

/* Cancels all runs, unless somebody has the lock: then they will. */
static void stop_runs(struct inline_executor *ex)
{
	if (!tz_mutex_trylock(&ex->lock))
		return;
	for (struct run *r = ex->runs; r; r = r->next) {
		__atomic_store_n(&r->scope.tz__cancelled, 1, __ATOMIC_RELEASE);
		tz_strand_unpark(r->strand);
	}
	tz_mutex_unlock(&ex->lock);
}

static void unlock_list(struct inline_executor *ex)
{
	tz_mutex_unlock(&ex->lock);
	atomic_thread_fence(memory_order_seq_cst);
	if (__builtin_expect(
		    atomic_load_explicit(&ex->state, memory_order_relaxed) & ASKED(TZ_STOP_NOW), 0))
		stop_runs(ex);
}

/* The last one out wakes who waits for that. */
static void count_out(struct inline_executor *ex)
{
	uint64_t before = atomic_fetch_sub_explicit(&ex->state, 1, memory_order_acq_rel);

	if (__builtin_expect((before & UNDER_WAY) == 1 && before != 1, 0))
		(void)tz_parking_wake(&ex->state, SIZE_MAX, NULL, NULL, NULL);
}

static void begin_run(struct run *r)
{
	struct inline_executor *ex = r->executor;

	r->strand = tz_strand_self();
	tz_scope_set_up(&r->scope, r->strand, r->strand->base, tz_never());
	tz_mutex_lock(&ex->lock);
	r->next = ex->runs;
	r->at = &ex->runs;
	if (r->next)
		r->next->at = &r->next;
	ex->runs = r;
	unlock_list(ex);
	r->strand->base = &r->scope;
}

/* Also when the job leaves by pthread_exit, and the caller's thread with it. */
static void end_run(struct run *r)
{
	struct inline_executor *ex = r->executor;

	r->strand->base = r->scope.tz__parent;
	tz_mutex_lock(&ex->lock);
	*r->at = r->next;
	if (r->next)
		r->next->at = r->at;
	unlock_list(ex);
	atomic_fetch_add_explicit(&ex->completed, 1, memory_order_relaxed);
	count_out(ex);
}

static void run_job(struct inline_executor *ex, tz_job *job)
{
	struct run run __attribute__((cleanup(end_run))) = { .executor = ex };

	begin_run(&run);
	if (__builtin_expect(ex->broken < 0, 0))
		(void)tz_job_end(job, TZ_FAILED, ex->broken,
				 "the executor is broken: its initializer failed");
	else
		(void)tz_job_run(job, 0);
}

static size_t submit_inline(tz_executor *executor, tz_job *const *jobs, size_t n,
			    tz_priority priority, int *ret_error)
{
	struct inline_executor *ex = (struct inline_executor *)executor;

	(void)priority;
	for (size_t i = 0; i < n; i++) {
		if (atomic_fetch_add_explicit(&ex->state, 1, memory_order_acquire) & ~UNDER_WAY) {
			count_out(ex);
			*ret_error = -ESHUTDOWN;
			return i;
		}
		atomic_fetch_add_explicit(&ex->submitted, 1, memory_order_relaxed);
		run_job(ex, jobs[i]);
	}
	return n;
}

static void request_shutdown(tz_executor *executor, tz_shutdown how)
{
	struct inline_executor *ex = (struct inline_executor *)executor;

	atomic_fetch_or_explicit(&ex->state, ASKED(how), memory_order_seq_cst);
	if (how == TZ_STOP_NOW)
		stop_runs(ex);
}

struct end_wait {
	struct tz_parked node; /* first */
	struct inline_executor *executor;
};

static bool is_under_way(struct tz_parked *node)
{
	struct inline_executor *ex = ((struct end_wait *)node)->executor;

	return (atomic_load_explicit(&ex->state, memory_order_acquire) & UNDER_WAY) != 0;
}

static int shut_down(tz_executor *executor, tz_shutdown how, tz_deadline deadline)
{
	static const struct tz_parking_steps steps = { .name = "shutdown", .begin = is_under_way };
	struct inline_executor *ex = (struct inline_executor *)executor;

	request_shutdown(executor, how);
	for (;;) {
		struct end_wait wait = { .node.strand = tz_strand_self(), .executor = ex };

		if (!is_under_way(&wait.node))
			return 0;
		int r = tz_parking_wait(&wait.node, &ex->state, &steps, 0, deadline);

		if (r < 0 && r != -EAGAIN)
			return is_under_way(&wait.node) ? r : 0;
	}
}

static void read_stats(tz_executor *executor, tz_executor_stats *ret)
{
	struct inline_executor *ex = (struct inline_executor *)executor;

	ret->completed = atomic_load_explicit(&ex->completed, memory_order_relaxed);
	ret->submitted = atomic_load_explicit(&ex->submitted, memory_order_relaxed);
	ret->running = atomic_load_explicit(&ex->state, memory_order_relaxed) & UNDER_WAY;
}

static void destroy(tz_executor *executor)
{
	struct inline_executor *ex = (struct inline_executor *)executor;
	const tz_executor_options *o = &executor->options;

	if (!tz_executor_is_lost(executor) && o->finalizer && ex->broken == 0)
		o->finalizer(o->arg);
	free(ex);
}

static int open_inline(tz_executor **ret, const tz_executor_options *options)
{
	struct inline_executor *ex = calloc(1, sizeof *ex);

	if (!ex)
		return -ENOMEM;
	tz_executor_init(&ex->executor, &tz_inline_executor_ops, options, 1);
	int r = options->initializer ? options->initializer(options->arg) : 0;

	ex->broken = r < 0 ? r : 0;
	*ret = &ex->executor;
	return 0;
}

const tz_executor_ops tz_inline_executor_ops = {
	.kind = "inline",
	.summary = "runs each job inside tz_submit, on the caller's own stack",
	.capabilities = TZ_CAN_SHARE_MEMORY | TZ_CAN_RUN_AT_SUBMIT | TZ_CAN_INITIALIZE,
	.open = open_inline,
	.submit = submit_inline,
	.shutdown = shut_down,
	.request_shutdown = request_shutdown,
	.stats = read_stats,
	.destroy = destroy,
};
