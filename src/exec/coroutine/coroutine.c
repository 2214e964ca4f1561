/* The executors "coroutines" and "sim": loops (src/loop), each on a thread of its own; in "sim" their time is virtual.
 *
 * Design notes
 *
 * Where a job goes. What a coroutine spawns stays on its loop, so that the two share data without locks; everything else goes to one loop after the
 * other. A job never moves.
 *
 * Ending. Each loop ends by itself once it was asked to and has nothing left; its thread then runs the finalizer, counts itself off `alive`, and wakes
 * who waits for that. Counting off is its last touch but for the wake-up, which is by address. The threads are joined by destroy.
 *
 * A failed initializer breaks all loops: each ends whatever it is given with the initializer's code.
 */
#include "exec/coroutine/coroutine.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/parking.h"
#include "core/strand.h"
#include "loop/loop.h"
#include "os/thread.h"

struct worker {
	struct tz_loop loop; /* first */
	struct coroutines *executor;
	pthread_t thread;
};

struct coroutines {
	tz_executor executor; /* first */
	int n; /* workers that are set up */
	struct worker *workers;
	_Alignas(64) _Atomic uint32_t turn; /* whose turn it is to be given a job */
	_Alignas(64) _Atomic int alive; /* threads that have not ended */
	uint32_t changes; /* an address to wait for: a thread has ended */
};

static struct coroutines *coroutines_of(tz_executor *executor)
{
	return (struct coroutines *)executor;
}

/* --- threads ------------------------------------------------------------------------------------------------------------ */

static void break_all(struct coroutines *ex, int code)
{
	for (int i = 0; i < ex->n; i++)
		tz_loop_break(&ex->workers[i].loop, code);
}

static void name_thread(const struct worker *w)
{
	char name[16];

	(void)snprintf(name, sizeof name, "%.9s-%d", w->executor->executor.name, w->loop.index);
	(void)pthread_setname_np(pthread_self(), name);
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	struct coroutines *ex = w->executor;
	const tz_executor_options *o = &ex->executor.options;
	uint32_t *changes = &ex->changes;
	int r = 0;

	name_thread(w);
	if (o->initializer)
		r = o->initializer(o->arg);
	if (r < 0)
		break_all(ex, r);
	(void)tz_loop_drive(&w->loop, tz_loop_has_ended, NULL);
	if (r >= 0 && o->finalizer)
		o->finalizer(o->arg);
	if (atomic_fetch_sub_explicit(&ex->alive, 1, memory_order_acq_rel) == 1)
		(void)tz_parking_wake(changes, SIZE_MAX, NULL, NULL, NULL);
	return NULL;
}

static void free_all(struct coroutines *ex)
{
	for (int i = 0; i < ex->n; i++)
		tz_loop_done(&ex->workers[i].loop);
	free(ex->workers);
	free(ex);
}

/* Ends the first n threads, of a set that could not be started as a whole. */
static void take_back(struct coroutines *ex, int n)
{
	for (int i = 0; i < n; i++) {
		tz_loop_request_shutdown(&ex->workers[i].loop, TZ_STOP_NOW);
		(void)pthread_join(ex->workers[i].thread, NULL);
	}
	free_all(ex);
}

static int set_up_loops(struct coroutines *ex, const struct tz_loop_setup *setup)
{
	for (int i = 0; i < ex->executor.workers; i++) {
		struct tz_loop_setup mine = *setup;

		/* Loops whose order is random differ in it. */
		if (mine.backend_options.seed)
			mine.backend_options.seed += (uint64_t)i;
		int r = tz_loop_init(&ex->workers[i].loop, &tz_loop_ops, &(tz_executor_options){ .name = ex->executor.name }, &mine);

		if (r < 0)
			return r;
		ex->workers[i].executor = ex;
		ex->workers[i].loop.index = i;
		ex->workers[i].loop.group = &ex->executor;
		ex->n++;
	}
	return 0;
}

static int start_threads(struct coroutines *ex)
{
	atomic_store_explicit(&ex->alive, ex->n, memory_order_relaxed);
	for (int i = 0; i < ex->n; i++) {
		int r = tz_os_thread_start(&ex->workers[i].thread, 0, run_worker, &ex->workers[i]);

		if (r < 0) {
			take_back(ex, i);
			return r;
		}
	}
	return 0;
}

static int open_loops(tz_executor **ret, const tz_executor_options *options, const tz_executor_ops *ops, const struct tz_loop_setup *setup)
{
	int workers = options->workers > 0 ? options->workers : 1;
	struct coroutines *ex = aligned_alloc(64, sizeof *ex);

	if (!ex)
		return -ENOMEM;
	memset((void *)ex, 0, sizeof *ex);
	tz_executor_init(&ex->executor, ops, options, workers);
	ex->workers = aligned_alloc(64, (size_t)workers * sizeof *ex->workers);
	if (!ex->workers) {
		free(ex);
		return -ENOMEM;
	}
	memset((void *)ex->workers, 0, (size_t)workers * sizeof *ex->workers);
	int r = set_up_loops(ex, setup);

	if (r < 0) {
		free_all(ex);
		return r;
	}
	r = start_threads(ex);
	if (r == 0)
		*ret = &ex->executor;
	return r;
}

static int open_coroutines(tz_executor **ret, const tz_executor_options *options)
{
	struct tz_loop_setup setup = { .backend = &tz_backend_epoll, .stack_size = options->stack_size };

	return open_loops(ret, options, &tz_coroutine_executor_ops, &setup);
}

static int open_sim(tz_executor **ret, const tz_executor_options *options)
{
	struct tz_loop_setup setup = { .backend = &tz_backend_sim, .stack_size = options->stack_size };

	setup.backend_options.seed = options->seed ? options->seed : 1;
	setup.backend_options.delay_ns = (uint64_t)(options->delay * 1e9);
	setup.backend_options.fail = options->fail;
	setup.backend_options.grace_ns = (uint64_t)(options->grace * 1e9);
	return open_loops(ret, options, &tz_sim_executor_ops, &setup);
}

/* --- jobs ----------------------------------------------------------------------------------------------------------------- */

static struct tz_loop *own_loop(struct coroutines *ex)
{
	return tz_loop_self && tz_loop_self->group == &ex->executor ? tz_loop_self : NULL;
}

static size_t submit(tz_executor *executor, tz_job *const *jobs, size_t n, tz_priority priority, int *ret_error)
{
	struct coroutines *ex = coroutines_of(executor);
	struct tz_loop *own = own_loop(ex);
	size_t done = 0, each = (n + (size_t)ex->n - 1) / (size_t)ex->n;

	(void)priority;
	if (own && (ex->n == 1 || jobs[0]->site))
		return tz_loop_submit(own, jobs, n, ret_error);
	while (done < n) {
		uint32_t turn = ex->n == 1 ? 0 : atomic_fetch_add_explicit(&ex->turn, 1, memory_order_relaxed);
		size_t some = n - done < each ? n - done : each;
		size_t taken = tz_loop_submit(&ex->workers[turn % (uint32_t)ex->n].loop, jobs + done, some, ret_error);

		done += taken;
		if (taken < some)
			break;
	}
	return done;
}

/* --- shutting down ------------------------------------------------------------------------------------------------------------ */

static void request_shutdown(tz_executor *executor, tz_shutdown how)
{
	struct coroutines *ex = coroutines_of(executor);

	for (int i = 0; i < ex->n; i++)
		tz_loop_request_shutdown(&ex->workers[i].loop, how);
}

struct end_wait {
	struct tz_parked node; /* first */
	struct coroutines *executor;
};

static bool has_ended(struct coroutines *ex)
{
	return atomic_load_explicit(&ex->alive, memory_order_acquire) == 0;
}

static bool begin_end_wait(struct tz_parked *node)
{
	return !has_ended(((struct end_wait *)node)->executor);
}

static int shut_down(tz_executor *executor, tz_shutdown how, tz_deadline deadline)
{
	static const struct tz_parking_steps steps = { .name = "shutdown", .begin = begin_end_wait };
	struct coroutines *ex = coroutines_of(executor);

	if (own_loop(ex))
		return -EDEADLK;
	request_shutdown(executor, how);
	for (int i = 0; how != TZ_DRAIN && i < ex->n; i++)
		tz_loop_cancel_unseen(&ex->workers[i].loop);
	while (!has_ended(ex)) {
		struct end_wait wait = { .node.strand = tz_strand_self(), .executor = ex };
		int r = tz_parking_wait(&wait.node, &ex->changes, &steps, 0, deadline);

		if (r < 0 && r != -EAGAIN)
			return has_ended(ex) ? 0 : r;
	}
	return 0;
}

static void stats(tz_executor *executor, tz_executor_stats *ret)
{
	struct coroutines *ex = coroutines_of(executor);

	for (int i = 0; i < ex->n; i++)
		tz_loop_stats(&ex->workers[i].loop, ret);
	ret->workers = atomic_load_explicit(&ex->alive, memory_order_relaxed);
}

static void destroy(tz_executor *executor)
{
	struct coroutines *ex = coroutines_of(executor);
	bool ours = !tz_executor_is_lost(executor);

	for (int i = 0; ours && i < ex->n; i++)
		(void)pthread_join(ex->workers[i].thread, NULL);
	free_all(ex);
}

#define WHAT_LOOPS_CAN \
	TZ_CAN_SHARE_MEMORY | TZ_CAN_RUN_IN_PARALLEL | TZ_CAN_REORDER | TZ_CAN_CANCEL_PENDING | TZ_CAN_INITIALIZE | \
		TZ_CAN_START_LATER | TZ_CAN_SUSPEND

/* All but `open`. */
#define OPERATIONS \
	.submit = submit, .help = tz_loop_help, .shutdown = shut_down, .request_shutdown = request_shutdown, .stats = stats, \
	.destroy = destroy

const tz_executor_ops tz_coroutine_executor_ops = {
	.kind = "coroutines",
	.summary = "coroutines on loops, one unless told, each on a thread of its own",
	.capabilities = WHAT_LOOPS_CAN,
	.open = open_coroutines,
	OPERATIONS,
};

const tz_executor_ops tz_sim_executor_ops = {
	.kind = "sim",
	.summary = "coroutines in virtual time, which go on in a seeded random order, for tests",
	.capabilities = WHAT_LOOPS_CAN | TZ_CAN_INJECT | TZ_CAN_SIMULATE,
	.open = open_sim,
	OPERATIONS,
};
