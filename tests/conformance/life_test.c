/* An executor's life: opening, initializers, statistics, idleness, shutting down, closing. */
#include "calls.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

/* --- opening --------------------------------------------------------------------------------------------------------------- */

static void refuses_bad_specs(struct subject *s)
{
	static const struct {
		const char *spec;
		int error;
	} bad[] = {
		{ "", -ENOENT },
		{ "nothing-like-it", -ENOENT },
		{ "Threads", -ENOENT },
		{ "threads:", -EINVAL },
		{ "threads:four", -EINVAL },
		{ "threads:-1", -EINVAL },
		{ "threads:4,", -EINVAL },
		{ "threads:4,,min=1", -EINVAL },
		{ "threads:99999999999999999999", -EINVAL },
		{ "threads:2,min=3", -EINVAL },
		{ "threads:idle=-1", -EINVAL },
		{ "threads:idle=1e3", -EINVAL },
		{ "threads:idle=.", -EINVAL },
		{ "threads:full=perhaps", -EINVAL },
		{ "threads:stack=4x", -EINVAL },
		{ "threads:stack=99999999999999999999g", -EINVAL },
		{ "threads:colour=red", -EINVAL },
		{ "threads:name=", -EINVAL },
		{ "threads:seed=1", -EINVAL },
		{ "chaos:fail=1.5", -EINVAL },
		{ "chaos:queue=3", -EINVAL },
		{ "inline:4", -EINVAL },
		{ "inline:stack=1m", -EINVAL },
		{ "chaos:spares=1", -EINVAL },
		{ "coroutines:spares=0", -EINVAL },
		{ "sim:spares=1", -EINVAL },
	};
	tz_executor *untouched = s->ex;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(tz_executor_open(&untouched, bad[i].spec), bad[i].error);
		assert_ptr_equal(untouched, s->ex);
	}
	assert_int_equal(tz_executor_open(&untouched, NULL), -EINVAL);
	assert_int_equal(tz_executor_open(NULL, "threads"), -EINVAL);
}

static void says_what_a_bad_spec_has(struct subject *s)
{
	static const struct {
		const char *spec, *words;
	} bad[] = {
		{ "treads:4", "'treads'" },
		{ "threads:colour=red", "no option 'colour'" },
		{ "threads:stack=4xk", "'4xk' is no value for the option 'stack'" },
		{ "threads:four", "'four' is no value for the option 'workers'" },
		{ "inline:spares=1", "no use for the option 'spares'" },
		{ "threads:2,min=3", "out of range" },
	};
	tz_executor *none;

	(void)s;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_in_range(-tz_executor_open(&none, bad[i].spec), 1, 4095);
		assert_int_equal(tz_last()->status, TZ_FAILED);
		assert_non_null(strstr(tz_last()->message, bad[i].words));
	}
}

static void understands_good_specs(struct subject *s)
{
	static const char *const good[] = {
		"inline",
		"inline:name=x",
		"threads:3,min=1,idle=2.5,name=x,stack=256k,spares=8,queue=100,full=fail",
		"threads:3,workers=3,idle=.5,full=block",
		"chaos:seed=18446744073709551615,delay=0.002,fail=0.1,workers=3",
	};

	(void)s;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		tz_executor *ex;
		int r;

		assert_int_equal(tz_executor_open(&ex, good[i]), 0);
		assert_int_equal(
			strncmp(good[i], tz_executor_kind(ex), strlen(tz_executor_kind(ex))), 0);
		assert_int_equal(tz_executor_workers(ex),
				 strncmp(good[i], "inline", 6) == 0 ? 1 : 3);
		bounded(r, tz_result(tz_submit_with(ex, &(tz_submit_options){ .retries = 100 },
						    count_call),
				     NULL));
		assert_int_equal(r, 0);
		tz_executor_close(ex);
	}
	tz_executor_close(NULL);
}

static void spec_beats_options(struct subject *s)
{
	tz_executor *ex;
	tz_executor_options o = { .workers = 2, .name = "from options" };

	(void)s;
	assert_int_equal(tz_executor_open_with(&ex, "threads:3", &o), 0);
	o.name = "gone";
	assert_int_equal(tz_executor_workers(ex), 3);
	assert_string_equal(tz_executor_name(ex), "from options");
	tz_executor_close(ex);
	assert_int_equal(tz_executor_open_with(&ex, "threads", &o), 0);
	assert_int_equal(tz_executor_workers(ex), 2);
	tz_executor_close(ex);
	assert_int_equal(tz_executor_open(&ex, "threads"), 0);
	assert_int_equal(tz_executor_workers(ex), tz_usable_cpus());
	tz_executor_close(ex);
}

static void refuses_bad_options(struct subject *s)
{
	static const tz_executor_options bad[] = {
		{ .workers = -1 },
		{ .min_workers = -1 },
		{ .idle_seconds = -1 },
		{ .fail = 2 },
		{ .fail = -0.1 },
		{ .delay = -1 },
		{ .delay = 1e300 },
		{ .spares = INT_MAX },
		{ .full = (tz_full_policy)3 },
	};
	struct {
		tz_executor_options options;
		int of_the_future;
	} newer = { .options.size = sizeof newer };
	tz_executor *ex;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(tz_executor_open_with(&ex, tz_executor_kind(s->ex), &bad[i]),
				 -EINVAL);
	assert_int_equal(tz_executor_open_with(&ex, s->spec, &newer.options), 0);
	tz_executor_close(ex);
	newer.of_the_future = 1;
	assert_int_equal(tz_executor_open_with(&ex, s->spec, &newer.options), -EINVAL);
}

/* --- a kind of one's own: runs a job at submit, and nothing else ---------------------------------------------------------- */

struct own {
	tz_executor executor;
};

static const tz_executor_ops own_ops;

static int own_open(tz_executor **ret, const tz_executor_options *options)
{
	struct own *own = calloc(1, sizeof *own);

	if (!own)
		return -ENOMEM;
	tz_executor_init(&own->executor, &own_ops, options, 1);
	*ret = &own->executor;
	return 0;
}

static size_t own_submit(tz_executor *executor, tz_job *const *jobs, size_t n, tz_priority priority,
			 int *ret_error)
{
	(void)priority;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(tz_job_task(jobs[i])->name, "hold") == 0) {
			*ret_error = -EAGAIN;
			return i;
		}
		must(tz_job_executor(jobs[i]) == executor && tz_job_is_pending(jobs[i]));
		must(tz_job_run(jobs[i], 5));
	}
	return n;
}

static int own_shutdown(tz_executor *executor, tz_shutdown how, tz_deadline deadline)
{
	(void)executor, (void)how, (void)deadline;
	return 0;
}

static void own_request(tz_executor *executor, tz_shutdown how)
{
	(void)executor, (void)how;
}

static void own_stats(tz_executor *executor, tz_executor_stats *ret)
{
	(void)executor;
	ret->workers = 1;
}

static void own_destroy(tz_executor *executor)
{
	free(executor);
}

static const tz_executor_ops own_ops = {
	.kind = "own",
	.summary = "of the test",
	.capabilities = TZ_CAN_SHARE_MEMORY | TZ_CAN_RUN_AT_SUBMIT,
	.open = own_open,
	.submit = own_submit,
	.shutdown = own_shutdown,
	.request_shutdown = own_request,
	.stats = own_stats,
	.destroy = own_destroy,
};

static int where(void)
{
	return tz_worker_index();
}
TZ_TASK(int, where, void);

static void takes_kinds_of_others(struct subject *s)
{
	tz_executor *ex;
	int got = 0, r = tz_executor_register(&own_ops);
	size_t n = 0;

	(void)s;
	assert_true(r == 0 || r == -EEXIST); /* the first time, or later */
	assert_int_equal(tz_executor_register(&own_ops), -EEXIST);
	assert_int_equal(tz_executor_register(&(tz_executor_ops){ .kind = "half" }), -EINVAL);
	while (tz_executor_kinds(n) && tz_executor_kinds(n) != &own_ops)
		n++;
	assert_ptr_equal(tz_executor_kinds(n), &own_ops);
	assert_int_equal(tz_executor_open(&ex, "own"), 0);
	assert_int_equal(tz_result(tz_submit(ex, where), &got), 0);
	assert_int_equal(got, 5);
	hold_future f = tz_submit(ex, hold, NULL);

	assert_outcome(f, TZ_FAILED, -EAGAIN);
	assert_int_equal(tz_detach(f), 0);
	tz_executor_close(ex);
}

/* --- initializers -------------------------------------------------------------------------------------------------------------- */

static atomic_int initialized, finalized;
static _Thread_local int is_initialized;

static int initialize(void *arg)
{
	is_initialized = *(int *)arg;
	return atomic_fetch_add(&initialized, 1);
}

static void finalize(void *arg)
{
	must(is_initialized == *(int *)arg);
	is_initialized = 0;
	atomic_fetch_add(&finalized, 1);
}

static int read_initialized(void)
{
	return is_initialized;
}
TZ_TASK(int, read_initialized, void);

static void initializes_each_worker(struct subject *s)
{
	static int arg = 17;
	read_initialized_future f[100];

	atomic_store(&initialized, 0);
	atomic_store(&finalized, 0);
	tz_executor *ex = open_another(s, (&(tz_executor_options){ .initializer = initialize,
								   .finalizer = finalize,
								   .arg = &arg }));

	for (int i = 0; i < 100; i++)
		f[i] = tz_submit(ex, read_initialized);
	for (int i = 0; i < 100; i++) {
		int got = 0;

		settle(f[i]);
		assert_int_equal(tz_result(f[i], &got), 0);
		assert_int_equal(got, 17);
	}
	tz_executor_close(ex);
	assert_true(atomic_load(&initialized) >= 1);
	assert_int_equal(atomic_load(&finalized), atomic_load(&initialized));
	is_initialized = 0;
}

static int refuse(void *arg)
{
	(void)arg;
	atomic_fetch_add(&initialized, 1);
	return -EPROTO;
}

static void breaks_when_an_initializer_fails(struct subject *s)
{
	count_call_future f[50];

	atomic_store(&calls, 0);
	atomic_store(&initialized, 0);
	atomic_store(&finalized, 0);
	tz_executor *ex = open_another(
		s, (&(tz_executor_options){ .initializer = refuse, .finalizer = finalize }));

	for (int i = 0; i < 50; i++)
		f[i] = tz_submit(ex, count_call);
	for (int i = 0; i < 50; i++) {
		assert_outcome(f[i], TZ_FAILED, -EPROTO);
		assert_int_equal(tz_detach(f[i]), 0);
	}
	assert_int_equal(atomic_load(&calls), 0);
	assert_int_equal(atomic_load(&finalized), 0);
	assert_in_range(atomic_load(&initialized), 1, 8); /* nobody tries for ever */
	tz_executor_close(ex);
}

/* --- statistics ------------------------------------------------------------------------------------------------------------------ */

static void counts_what_it_did(struct subject *s)
{
	struct gate g = { .open = can(s, TZ_CAN_RUN_AT_SUBMIT) };
	count_call_future f[100];
	tz_executor_stats stats;
	hold_future h = tz_submit(s->ex, hold, &g);

	if (!atomic_load(&g.open)) {
		until(atomic_load(&g.waiting));
		tz_executor_stats_of(s->ex, &stats);
		assert_int_equal(stats.submitted, 1);
		assert_int_equal(stats.completed, 0);
		assert_int_equal(stats.running, 1);
		assert_true(stats.workers >= 1);
	}
	for (int i = 0; i < 100; i++)
		f[i] = tz_submit(s->ex, count_call);
	(void)tz_cancel(f[99]);
	atomic_store(&g.open, 1);
	assert_int_equal(tz_wait_all(f, 100, soon()), 0);
	settle(h);
	(void)tz_gather_all(f, 100);
	assert_int_equal(tz_detach(h), 0);
	/* A job counts as completed shortly after its future says so. */
	for (tz_deadline end = soon(); tz_executor_stats_of(s->ex, &stats), stats.completed < 101;)
		assert_false(tz_expired(end));
	assert_int_equal(stats.submitted, 101);
	assert_int_equal(stats.completed, 101);
	assert_int_equal(stats.pending, 0);
	assert_int_equal(stats.running, 0);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	tz_executor_stats_of(s->ex, &stats);
	assert_int_equal(stats.submitted, 101);
	assert_int_equal(stats.completed, 101);
	assert_int_equal(stats.workers, 0);
}

static void counts_what_a_shutdown_cancelled(struct subject *s)
{
	struct gate g = { 0 };
	count_call_future f[30];
	tz_executor_stats stats;
	hold_future h = tz_submit(s->ex, hold, &g);

	until(atomic_load(&g.waiting));
	for (int i = 0; i < 30; i++)
		f[i] = tz_submit(s->ex, count_call);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_STOP_NOW, soon()), 0);
	tz_executor_stats_of(s->ex, &stats);
	assert_int_equal(stats.submitted, 31);
	assert_int_equal(stats.completed, 31);
	assert_int_equal(stats.pending, 0);
	assert_int_equal(stats.running, 0);
	assert_int_equal(tz_wait_all(f, 30, soon()), 0);
	(void)tz_gather_all(f, 30);
	settle(h);
	assert_int_equal(tz_detach(h), 0);
}

static void shrinks_when_idle(struct subject *s)
{
	tz_executor *ex =
		open_another(s, (&(tz_executor_options){ .min_workers = 1, .idle_seconds = 0.01 }));
	struct gate g = { 0 };
	hold_future f[2];
	tz_executor_stats stats;
	int r;

	for (int i = 0; i < 2; i++)
		f[i] = tz_submit(ex, hold, &g);
	until(atomic_load(&g.waiting) == 2 || tz_executor_workers(ex) == 1);
	atomic_store(&g.open, 1);
	assert_int_equal(tz_wait_all(f, 2, soon()), 0);
	assert_int_equal(tz_gather_all(f, 2), 0);
	for (tz_deadline end = soon(); tz_executor_stats_of(ex, &stats), stats.workers > 1;
	     (void)tz_sleep(0.001))
		assert_false(tz_expired(end));
	bounded(r, tz_result(tz_submit(ex, count_call), NULL)); /* and grows again */
	assert_int_equal(r, 0);
	tz_executor_close(ex);
}

/* The process's time on processors, all threads together. */
static double processor_seconds(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A loop that polled would burn all of the time in which nothing is to be done, and a thread that wakes now and then a noticeable part. */
static void uses_no_processor_when_idle(struct subject *s)
{
	count_call_future f[64];

	for (int i = 0; i < 64; i++)
		f[i] = tz_submit(s->ex, count_call);
	assert_int_equal(tz_wait_all(f, 64, soon()), 0);
	assert_int_equal(tz_gather_all(f, 64), 0);
	(void)tz_sleep(0.1);
	double before = processor_seconds();

	(void)tz_sleep(0.3);
	assert_true(processor_seconds() - before < 0.03);
}

/* --- shutting down ------------------------------------------------------------------------------------------------------------------ */

static void refuses_jobs_after_shutdown(struct subject *s)
{
	count_call_future f;

	atomic_store(&calls, 0);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	f = tz_submit(s->ex, count_call);
	assert_outcome(f, TZ_FAILED, -ESHUTDOWN);
	assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0); /* again */
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_STOP_NOW, soon()), 0); /* and stronger */
	assert_int_equal(tz_executor_shutdown(s->ex, (tz_shutdown)7, soon()), -EINVAL);
	assert_int_equal(atomic_load(&calls), 0);
}

static void drains(struct subject *s)
{
	enum { N = 300 };
	static count_call_future f[N];

	atomic_store(&calls, 0);
	for (int i = 0; i < N; i++)
		f[i] = tz_submit(s->ex, count_call);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(atomic_load(&calls), N);
	for (int i = 0; i < N; i++)
		assert_int_equal(tz_result(f[i], NULL), 0);
}

/* Holds the only worker of an executor, with jobs behind it. */
static hold_future hold_with_some_pending(struct subject *s, struct gate *g,
					  count_call_future *pending, int n)
{
	hold_future f = tz_submit(s->ex, hold, g);

	until(atomic_load(&g->waiting));
	atomic_store(&calls, 0);
	for (int i = 0; i < n; i++)
		pending[i] = tz_submit(s->ex, count_call);
	return f;
}

static void ends_a_shutdown_by_its_deadline(struct subject *s)
{
	struct gate g = { 0 };
	count_call_future pending[10];
	hold_future f = hold_with_some_pending(s, &g, pending, 10);
	int r = 0;

	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, tz_after(0.01)), -ETIMEDOUT);
	TZ_TIMEOUT(0.01)
		r = tz_executor_shutdown(s->ex, TZ_DRAIN, tz_never());
	assert_int_equal(r, -ETIMEDOUT);
	count_call_future late = tz_submit(s->ex, count_call);

	assert_outcome(late, TZ_FAILED, -ESHUTDOWN);
	assert_int_equal(tz_detach(late), 0);
	atomic_store(&g.open, 1);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(atomic_load(&calls), 10);
	assert_int_equal(tz_gather_all(pending, 10), 0);
	assert_int_equal(tz_gather(f), 0);
}

static void cancels_pending(struct subject *s)
{
	struct gate g = { 0 };
	count_call_future pending[10];
	hold_future f = hold_with_some_pending(s, &g, pending, 10);

	assert_int_equal(tz_executor_shutdown(s->ex, TZ_CANCEL_PENDING, tz_after(0.01)),
			 -ETIMEDOUT);
	for (int i = 0; i < 10; i++) {
		assert_outcome(pending[i], TZ_CANCELLED, -ECANCELED);
		assert_int_equal(tz_detach(pending[i]), 0);
	}
	assert_int_equal(tz_done(f), 0); /* what runs goes on */
	atomic_store(&g.open, 1);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_CANCEL_PENDING, soon()), 0);
	assert_int_equal(tz_gather(f), 0);
	assert_int_equal(atomic_load(&calls), 0);
}

static void stops_now(struct subject *s)
{
	struct gate g = { 0 };
	count_call_future pending[10];
	hold_future f = hold_with_some_pending(s, &g, pending, 10);

	assert_int_equal(tz_executor_shutdown(s->ex, TZ_STOP_NOW, soon()), 0);
	assert_outcome(f, TZ_CANCELLED, -ECANCELED);
	for (int i = 0; i < 10; i++) {
		assert_outcome(pending[i], TZ_CANCELLED, -ECANCELED);
		assert_int_equal(tz_detach(pending[i]), 0);
	}
	assert_int_equal(tz_detach(f), 0);
	assert_int_equal(atomic_load(&calls), 0);
}

static void stop_wakes_what_waits(struct subject *s)
{
	sleep_long_future f[3];

	for (int i = 0; i < 3; i++)
		f[i] = tz_submit(s->ex, sleep_long);
	until(tz_running(f[0]) == 1);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_STOP_NOW, soon()), 0);
	for (int i = 0; i < 3; i++) {
		assert_outcome(f[i], TZ_CANCELLED, -ECANCELED);
		assert_int_equal(tz_detach(f[i]), 0);
	}
}

static void stops_what_drains(struct subject *s)
{
	sleep_long_future f = tz_submit(s->ex, sleep_long);

	until(tz_running(f) == 1);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, tz_after(0.01)), -ETIMEDOUT);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_STOP_NOW, soon()), 0); /* stronger */
	assert_outcome(f, TZ_CANCELLED, -ECANCELED);
	assert_int_equal(tz_detach(f), 0);
}

static void *shut_down_here(void *arg)
{
	must(tz_executor_shutdown(arg, TZ_DRAIN, soon()) == 0);
	return NULL;
}

static void shuts_down_from_several_threads(struct subject *s)
{
	struct crew crew = { .count = 0 };
	struct gate g = { 0 };
	hold_deaf_future f = tz_submit(s->ex, hold_deaf, &g);

	until(atomic_load(&g.waiting));
	for (int i = 0; i < 4; i++)
		crew_add(&crew, shut_down_here, s->ex);
	(void)tz_sleep(0.002);
	assert_int_equal(tz_done(f), 0);
	atomic_store(&g.open, 1);
	crew_join(&crew);
	assert_int_equal(tz_gather(f), 0);
}

static int shut_down_own(tz_executor *ex)
{
	return tz_executor_shutdown(ex, TZ_DRAIN, tz_never());
}
TZ_TASK(int, shut_down_own, tz_executor *);

static void refuses_to_wait_for_its_own_job(struct subject *s)
{
	int got = 0, r;

	bounded(r, tz_result(tz_submit(s->ex, shut_down_own, s->ex), &got));
	assert_int_equal(r, 0);
	assert_int_equal(got, -EDEADLK);
	bounded(r, tz_result(tz_submit(s->ex, count_call), NULL)); /* it was not shut down */
	assert_int_equal(r, 0);
}

/* Its time is far off; what matters is whether it is waited for. */
static void ends_without_what_was_cancelled(struct subject *s)
{
	for (int i = 0; i < 2; i++) {
		const tz_submit_options later = { .start = tz_after(100 * CREW_PATIENCE) };
		tz_executor *ex = open_another(s, NULL);
		count_call_future f[10];

		for (int k = 0; k < 10; k++)
			f[k] = tz_submit_with(ex, &later, count_call);
		(void)tz_sleep(0.01); /* it is held by then */
		if (i)
			tz_executor_request_shutdown(ex, TZ_DRAIN);
		for (int k = 0; k < 10; k++) {
			if (!can(s, TZ_CAN_SIMULATE)) /* there, the time may have come */
				assert_int_equal(tz_cancel(f[k]), 0);
			(void)tz_cancel(f[k]);
			assert_int_equal(tz_detach(f[k]), 0);
		}
		assert_int_equal(tz_executor_shutdown(ex, TZ_DRAIN, soon()), 0);
		tz_executor_close(ex);
	}
}

/* Of one executor: some of its workers may begin and end when the job that closes it has ended. */
struct workers_life {
	atomic_int began, ended;
};

static int count_begin(void *arg)
{
	struct workers_life *life = arg;

	return atomic_fetch_add(&life->began, 1);
}

static void count_end(void *arg)
{
	struct workers_life *life = arg;

	atomic_fetch_add(&life->ended, 1);
}

static int close_own(tz_executor *ex)
{
	tz_executor_close(ex);
	return 3;
}
TZ_TASK(int, close_own, tz_executor *);

static void closes_from_its_own_job(struct subject *s)
{
	static struct workers_life lives[32];
	static int used;

	must(used < (int)(sizeof lives / sizeof *lives));
	struct workers_life *life = &lives[used++];
	tz_executor *ex = open_another(s, (&(tz_executor_options){ .initializer = count_begin,
								   .finalizer = count_end,
								   .arg = life }));
	int got = 0;

	close_own_future f = tz_submit(ex, close_own, ex);

	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 3);
	until(atomic_load(&life->ended) == atomic_load(&life->began));
}

static tz_executor *signalled;

static void request_in_handler(int signal)
{
	(void)signal;
	tz_executor_request_shutdown(signalled, TZ_STOP_NOW);
}

static void can_be_shut_down_from_a_signal_handler(struct subject *s)
{
	struct sigaction action = { .sa_handler = request_in_handler }, before;
	sleep_long_future f[3];

	signalled = s->ex;
	for (int i = 0; i < 3; i++)
		f[i] = tz_submit(s->ex, sleep_long);
	until(tz_running(f[0]) == 1);
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
	for (int i = 0; i < 3; i++) {
		assert_outcome(f[i], TZ_CANCELLED, -ECANCELED);
		assert_int_equal(tz_detach(f[i]), 0);
	}
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
}

static void *submit_until_refused(void *arg)
{
	tz_executor *ex = arg;
	tz_outcome o = { .status = TZ_OK };

	while (o.status == TZ_OK) {
		count_call_future f = tz_submit(ex, count_call);

		must(tz_wait(f, soon()) == 0);
		must(tz_outcome_of(f, &o) == 0);
		must(o.status == TZ_OK || o.code == -ESHUTDOWN || o.status == TZ_CANCELLED);
		must(tz_detach(f) == 0);
	}
	return NULL;
}

static void shuts_down_amid_submits(struct subject *s)
{
	struct crew crew = { .count = 0 };

	for (int i = 0; i < 3; i++)
		crew_add(&crew, submit_until_refused, s->ex);
	(void)tz_sleep(0.005);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_CANCEL_PENDING, soon()), 0);
	crew_join(&crew);
}

/* On the caller's stack, other threads' jobs are what a shutdown waits for. */
struct stack_job {
	tz_executor *ex;
	struct gate gate;
	tz_outcome outcome;
};

static void *hold_on_own_stack(void *arg)
{
	struct stack_job *j = arg;
	hold_future f = tz_submit(j->ex, hold, &j->gate);

	must(tz_outcome_of(f, &j->outcome) == 0 && tz_detach(f) == 0);
	return NULL;
}

static void waits_for_jobs_on_other_stacks(struct subject *s)
{
	struct crew crew = { .count = 0 };
	struct stack_job j = { .ex = s->ex };

	crew_add(&crew, hold_on_own_stack, &j);
	until(atomic_load(&j.gate.waiting));
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_CANCEL_PENDING, tz_after(0.01)),
			 -ETIMEDOUT);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_STOP_NOW, soon()), 0);
	crew_join(&crew);
	assert_int_equal(j.outcome.status, TZ_CANCELLED);
}

#define ALONE_BESIDE(title, run) \
	{ \
		title, run, TZ_CAN_CANCEL_PENDING, TZ_CAN_RUN_AT_SUBMIT, 1 \
	}

static const struct conformance_case cases[] = {
	CASE("bad specs are refused", refuses_bad_specs),
	CASE("a bad spec is told in words", says_what_a_bad_spec_has),
	CASE("good specs are understood", understands_good_specs),
	CASE("what the spec says beats the options", spec_beats_options),
	CASE("bad options are refused, unknown ones if they ask for something",
	     refuses_bad_options),
	CASE("a kind can be added", takes_kinds_of_others),
	{ "an initializer and a finalizer run on each worker", initializes_each_worker,
	  TZ_CAN_INITIALIZE | TZ_CAN_SHARE_MEMORY, 0, 0 },
	{ "an initializer that fails breaks the executor", breaks_when_an_initializer_fails,
	  TZ_CAN_INITIALIZE | TZ_CAN_SHARE_MEMORY, 0, 0 },
	SHARING("statistics add up", counts_what_it_did),
	ALONE_BESIDE("statistics count what a shutdown cancelled", counts_what_a_shutdown_cancelled),
	{ "idle workers end", shrinks_when_idle, TZ_CAN_SHRINK | TZ_CAN_SHARE_MEMORY, 0, 0 },
	CASE("an idle executor uses no processor", uses_no_processor_when_idle),
	CASE("no jobs after a shutdown", refuses_jobs_after_shutdown),
	SHARING("drain runs all that was submitted", drains),
	ALONE_BESIDE("a shutdown ends at its deadline or its scope's, and goes on",
		   ends_a_shutdown_by_its_deadline),
	ALONE_BESIDE("cancel-pending cancels what has not begun", cancels_pending),
	ALONE_BESIDE("stop-now also asks what runs", stops_now),
	BESIDE("stop-now wakes what waits", stop_wakes_what_waits),
	BESIDE("a shutdown can be made stronger", stops_what_drains),
	BESIDE("several threads may shut down", shuts_down_from_several_threads),
	SHARING("a job cannot wait for its own executor's end", refuses_to_wait_for_its_own_job),
	{ "a drain does not wait for what was cancelled", ends_without_what_was_cancelled, TZ_CAN_START_LATER, 0, 0 },
	SHARING("a job may close its own executor", closes_from_its_own_job),
	BESIDE("a signal handler may ask for a shutdown", can_be_shut_down_from_a_signal_handler),
	CASE("a shutdown amid submits loses no job", shuts_down_amid_submits),
	{ "a shutdown waits for jobs on other stacks", waits_for_jobs_on_other_stacks,
	  TZ_CAN_RUN_AT_SUBMIT, 0, 0 },
};

int main(void)
{
	return RUN_CASES("life", cases);
}
