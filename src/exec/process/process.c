/* The executor "processes": its operations. See farm.h. */
#include "exec/process/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza/cpu.h>

#include "core/parking.h"
#include "core/spin.h"
#include "core/strand.h"
#include "exec/process/farm.h"
#include "os/clock.h"
#include "os/thread.h"

/* --- opening ----------------------------------------------------------------------------------------------------------------- */

static void free_farm(struct farm *farm)
{
	for (size_t i = 0; i < farm->task_room; i++)
		free(farm->tasks[i]);
	free(farm->tasks);
	for (int i = 0; farm->hands && i < farm->executor.workers; i++) {
		if (farm->hands[i])
			free(farm->hands[i]->taught);
		free(farm->hands[i]);
	}
	free(farm->hands);
	free(farm->again);
	free(farm->setup);
	tz_giver_done(&farm->giver);
	tz_bell_close(farm->bell);
	if (farm->bell_fd >= 0)
		(void)close(farm->bell_fd);
	free(farm);
}

static uint64_t in_ns(double seconds)
{
	return seconds < 1e9 ? (uint64_t)(seconds * 1e9) : UINT64_MAX / 4;
}

static void set_times(struct farm *farm, const tz_executor_options *o)
{
	farm->idle_ns = in_ns(o->idle_seconds);
	farm->stay = o->min_workers ? o->min_workers : farm->idle_ns ? 0 : farm->executor.workers;
	farm->grace_ns =
		o->kill_grace < 0 ? UINT64_MAX : in_ns(o->kill_grace > 0 ? o->kill_grace : 0.1);
}

static int set_up(struct farm *farm, const tz_executor_options *options)
{
	size_t workers = (size_t)farm->executor.workers;

	set_times(farm, options);
	/* Once, so that no worker has to find it out: see process/request.h. */
	(void)tz_spin_allowed();
	(void)tz_clock_ticks_per_us();
	farm->again_room = workers * (TZ_LANE_SLOTS + 1);
	farm->again = calloc(farm->again_room, sizeof *farm->again);
	farm->hands = calloc(workers, sizeof *farm->hands);
	if (!farm->again || !farm->hands)
		return -ENOMEM;
	int r = farm_setup_make(farm);

	if (r == 0)
		r = tz_bell_open(&farm->bell, &farm->bell_fd);
	return r < 0 ? r : tz_os_thread_start(&farm->collector, 0, farm_collector, farm);
}

static int open_processes(tz_executor **ret, const tz_executor_options *options)
{
	struct farm *farm = aligned_alloc(64, (sizeof *farm + 63) / 64 * 64);
	int r;

	if (!farm)
		return -ENOMEM;
	memset((void *)farm, 0, sizeof *farm);
	tz_executor_init(&farm->executor, &tz_process_executor_ops, options,
			 options->workers > 0 ? options->workers : tz_usable_cpus());
	farm->bell_fd = -1;
	r = farm_method_of(options->start, &farm->method);
	if (r == 0)
		r = set_up(farm, options);
	if (r < 0) {
		free_farm(farm);
		return r;
	}
	*ret = &farm->executor;
	return 0;
}

/* --- submitting ---------------------------------------------------------------------------------------------------------------- */

/* Whether a job can go to another process; if not, it ends here. Makes its parcel. */
static bool prepare(struct tz_job *job)
{
	struct tz_chunk *calls = tz_chunk_of(job);
	const struct tz_plan *plan = tz_plan_of(calls ? calls->task : job->task);
	char text[TZ_MESSAGE_MAX];
	int r = plan ? plan->error : -ENOMEM;

	if (job->parcel) { /* a piece of a map has come with one */
		job->remote = 1;
		return true;
	}
	if (r == 0 && calls)
		r = farm_pack_calls(job, plan, calls);
	else if (r == 0 && !plan->args.flat)
		r = farm_pack(job, plan);
	if (r < 0) {
		(void)tz_job_end(job, TZ_FAILED, r,
				 plan && plan->error ? plan->refusal
						     : farm_explain(job, plan, r, text, sizeof text));
		return false;
	}
	job->remote = 1;
	return true;
}

/* Under the lock. */
static void accept_job(struct farm *farm, struct tz_job *job, struct farm_ends *ends)
{
	struct farm_parcel *p = job->parcel;
	struct farm_task *task = farm_task_of(farm, p ? p->plan : tz_plan_of(job->task));

	farm->submitted++;
	if (p)
		p->task = task;
	if (task && !farm->broken) {
		farm_push(farm, job);
		return;
	}
	if (!tz_job_claim(job)) {
		farm_drop_parcel(job);
		tz_job_unref(job);
		farm->completed++;
		return;
	}
	farm_end(farm, ends, job, TZ_FAILED,
		 tz_failure_new(farm->broken ? farm->broken : -ENOMEM,
				farm->broken ? farm->broken_why : NULL));
}

static bool is_closing(struct farm *farm)
{
	return farm->closing || atomic_load_explicit(&farm->asked, memory_order_relaxed);
}

static bool is_full(struct farm *farm)
{
	return farm->executor.options.queue_limit &&
	       farm->pending >= farm->executor.options.queue_limit;
}

/* Waiting for room: the parking lot's steps. */
struct room_wait {
	struct tz_parked node; /* first */
	struct farm *farm;
};

static bool begin_room_wait(struct tz_parked *node)
{
	struct farm *farm = ((struct room_wait *)node)->farm;

	tz_mutex_lock(&farm->lock);
	bool wait = is_full(farm) && !is_closing(farm);

	tz_mutex_unlock(&farm->lock);
	return wait;
}

static int wait_for_room(struct farm *farm)
{
	static const struct tz_parking_steps steps = { .name = "room in a queue",
						       .begin = begin_room_wait };
	struct room_wait wait = { .node.strand = tz_strand_self(), .farm = farm };

	atomic_fetch_add_explicit(&farm->room_waiters, 1, memory_order_seq_cst);
	int r = tz_parking_wait(&wait.node, &farm->room, &steps, 0, tz_never());

	atomic_fetch_sub_explicit(&farm->room_waiters, 1, memory_order_seq_cst);
	return r == -EAGAIN ? 0 : r;
}

/* Undoes `prepare`. */
static void let_go(struct tz_job *job)
{
	farm_drop_parcel(job);
	job->remote = 0;
}

/* One job into a queue that has a limit: 1: it was accepted, or run here; or a negative errno code. */
static int submit_limited(struct farm *farm, struct tz_job *job, struct farm_ends *ends)
{
	for (;;) {
		tz_mutex_lock(&farm->lock);
		bool full = is_full(farm), closing = is_closing(farm);

		if (!full && !closing) {
			accept_job(farm, job, ends);
			farm_dispatch(farm, ends);
		}
		tz_mutex_unlock(&farm->lock);
		farm_tell(farm, ends);
		if (closing)
			return -ESHUTDOWN;
		if (!full)
			return 1;
		if (farm->executor.options.full == TZ_FULL_CALLER_RUNS) {
			let_go(job);
			(void)tz_job_run(job, -1);
			return 1;
		}
		int r = farm->executor.options.full == TZ_FULL_FAIL ? -EAGAIN : wait_for_room(farm);

		if (r < 0)
			return r;
	}
}

static size_t submit_all(struct farm *farm, tz_job *const *jobs, const bool *ready, size_t n,
			 struct farm_ends *ends, int *ret_error)
{
	tz_mutex_lock(&farm->lock);
	bool closing = is_closing(farm);

	for (size_t i = 0; i < n && !closing; i++)
		if (ready[i])
			accept_job(farm, jobs[i], ends);
	farm_dispatch(farm, ends);
	tz_mutex_unlock(&farm->lock);
	farm_tell(farm, ends);
	if (!closing)
		return n;
	*ret_error = -ESHUTDOWN;
	return 0;
}

enum { BATCH = 64 };

static void submit_some(struct farm *farm, tz_job *const *jobs, size_t n, int *ret_error)
{
	FARM_ENDS(ends);
	bool ready[BATCH];
	size_t done = 0;
	int r = 1;

	for (size_t i = 0; i < n; i++)
		ready[i] = prepare(jobs[i]);
	if (farm->executor.options.queue_limit) {
		while (done < n &&
		       (!ready[done] || (r = submit_limited(farm, jobs[done], &ends)) > 0))
			done++;
		*ret_error = r < 0 ? r : *ret_error;
	} else {
		done = submit_all(farm, jobs, ready, n, &ends, ret_error);
	}
	/* Those behind that could not travel have ended already, so the rest is ours to refuse. */
	for (size_t i = done; i < n; i++) {
		if (!ready[i])
			continue;
		let_go(jobs[i]);
		tz_job_refuse(jobs[i], *ret_error);
	}
}

static size_t submit(tz_executor *executor, tz_job *const *jobs, size_t n, tz_priority priority,
		     int *ret_error)
{
	(void)priority;
	for (size_t done = 0; done < n; done += BATCH)
		submit_some(farm_of(executor), jobs + done, n - done < BATCH ? n - done : BATCH,
			    ret_error);
	return n;
}

/* --- shutting down -------------------------------------------------------------------------------------------------------------- */

static void request_shutdown(tz_executor *executor, tz_shutdown how)
{
	struct farm *farm = farm_of(executor);
	int asked = atomic_load_explicit(&farm->asked, memory_order_relaxed), wanted = 1 + (int)how;

	while (asked < wanted &&
	       !atomic_compare_exchange_weak_explicit(&farm->asked, &asked, wanted,
						      memory_order_seq_cst, memory_order_relaxed))
		;
	farm_alert(farm);
}

static bool has_ended(struct farm *farm)
{
	tz_mutex_lock(&farm->lock);
	bool ended = farm->ended;

	tz_mutex_unlock(&farm->lock);
	return ended;
}

struct end_wait {
	struct tz_parked node; /* first */
	struct farm *farm;
};

static bool begin_end_wait(struct tz_parked *node)
{
	return !has_ended(((struct end_wait *)node)->farm);
}

static int shut_down(tz_executor *executor, tz_shutdown how, tz_deadline deadline)
{
	static const struct tz_parking_steps steps = { .name = "shutdown",
						       .begin = begin_end_wait };
	struct farm *farm = farm_of(executor);

	request_shutdown(executor, how);
	while (!has_ended(farm)) {
		struct end_wait wait = { .node.strand = tz_strand_self(), .farm = farm };
		int r = tz_parking_wait(&wait.node, &farm->changes, &steps, 0, deadline);

		if (r < 0 && r != -EAGAIN)
			return has_ended(farm) ? 0 : r;
	}
	return 0;
}

/* What is in a lane: the last that was begun runs, if it is a job; that the worker is taught a task is none. */
static void count_jobs(const struct farm_hand *h, tz_executor_stats *ret)
{
	uint32_t waiting = tz_lane_waiting(&h->lane),
		 begun = waiting < h->in_flight ? h->in_flight - waiting : 0;

	if (begun && h->jobs[(h->first + begun - 1) % TZ_LANE_SLOTS])
		ret->running++;
	for (uint32_t i = begun; i < h->in_flight; i++)
		if (h->jobs[(h->first + i) % TZ_LANE_SLOTS])
			ret->pending++;
}

static void read_stats(tz_executor *executor, tz_executor_stats *ret)
{
	struct farm *farm = farm_of(executor);

	tz_mutex_lock(&farm->lock);
	ret->submitted = farm->submitted;
	ret->completed = farm->completed;
	ret->pending = farm->pending + farm->again_count;
	for (int i = 0; i < executor->workers; i++) {
		const struct farm_hand *h = farm->hands[i];

		if (!h || h->state == HAND_ABSENT || h->state == HAND_BURIED)
			continue;
		ret->workers++;
		ret->idle += h->in_flight == 0;
		count_jobs(h, ret);
	}
	tz_mutex_unlock(&farm->lock);
}

static void destroy(tz_executor *executor)
{
	struct farm *farm = farm_of(executor);
	unsigned spins = 0;

	if (!tz_executor_is_lost(executor)) {
		(void)pthread_join(farm->collector, NULL);
		while (__atomic_load_n(&executor->guests, __ATOMIC_ACQUIRE))
			tz_cpu_backoff(&spins);
	}
	free_farm(farm);
}

__attribute__((used)) static const char *const worker = &farm_worker_is_here;

const tz_executor_ops tz_process_executor_ops = {
	.kind = "processes",
	.summary = "a pool of worker processes, which a crash costs one job",
	.capabilities = TZ_CAN_RUN_IN_PARALLEL | TZ_CAN_REORDER | TZ_CAN_CANCEL_PENDING |
			TZ_CAN_PRIORITY | TZ_CAN_SURVIVE_CRASH | TZ_CAN_KILL | TZ_CAN_INITIALIZE |
			TZ_CAN_LIMIT_QUEUE | TZ_CAN_SHRINK,
	.open = open_processes,
	.submit = submit,
	.map = farm_map,
	.chunk = farm_chunk,
	.recall = farm_recall,
	.attend = farm_attend,
	.kill_workers = farm_kill_workers,
	.shutdown = shut_down,
	.request_shutdown = request_shutdown,
	.stats = read_stats,
	.destroy = destroy,
};
