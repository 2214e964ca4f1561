/* Pools of processes, and what their workers do to them. See failures.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "descriptors.h"
#include "failures.h"
#include "proc.h"

static tz_executor *open_pool(const char *spec)
{
	tz_executor *ex = NULL;

	assert_int_equal(tz_executor_open(&ex, spec), 0);
	return ex;
}

static int twice(int n)
{
	return 2 * n;
}
TZ_TASK(int, twice, int);

/* Waits for a job to end, and says how; releases it. */
static tz_outcome end_of(tz_future f)
{
	tz_outcome o = { .status = TZ_PENDING };

	must(tz_wait_raw(f.handle, soon()) == 0);
	must(tz_outcome_raw(f.handle, &o) == 0);
	must(tz_detach_raw(f.handle) == 0);
	return o;
}
#define how_ends(f) end_of(TZ_FUTURE(f))

static void still_works(tz_executor *ex)
{
	int v = 0;

	for (int i = 0; i < 20; i++) {
		twice_future f = tz_submit(ex, twice, i);

		must(tz_wait(f, soon()) == 0);
		assert_int_equal(tz_result(f, &v), 0);
		assert_int_equal(v, 2 * i);
	}
}

enum way { RETURN, SEGFAULT, KILL, EXIT, QUICK_EXIT, ABORT, LEAVE, ENDLESS, FAIL };

static int end_by(int way)
{
	static int *volatile nowhere;

	switch (way) {
	case SEGFAULT:
		*nowhere = 1;
		break;
	case KILL:
		(void)raise(SIGKILL);
		break;
	case EXIT:
		exit(3);
	case QUICK_EXIT:
		_exit(4);
	case ABORT:
		(void)fprintf(stderr, "the last words of a worker\n");
		abort();
	case LEAVE:
		pthread_exit(NULL);
	case ENDLESS:
		for (volatile int on = 1; on;)
			;
		break;
	case FAIL:
		return tz_fail(-EDOM, "failed on purpose");
	default:
		break;
	}
	return way;
}
TZ_TASK(int, end_by, int);

static long own_pid(void)
{
	return (long)getpid();
}
TZ_TASK(long, own_pid, void);

static int nap(double seconds)
{
	return tz_sleep(seconds);
}
TZ_TASK(int, nap, double);

/* --- 1: a worker is killed ---------------------------------------------------------------------------------------------------- */

static void row_1_a_killed_worker_fails_its_job_alone(void **state)
{
	tz_executor *ex = open_pool("processes:2");
	twice_future before[20], after[20];
	int v = 0;

	(void)state;
	for (int i = 0; i < 20; i++)
		before[i] = tz_submit(ex, twice, i);
	end_by_future f = tz_submit(ex, end_by, KILL);

	for (int i = 0; i < 20; i++)
		after[i] = tz_submit(ex, twice, i);
	tz_outcome o = how_ends(f);

	assert_int_equal(o.status, TZ_CRASHED);
	assert_int_equal(o.signal, SIGKILL);
	assert_string_equal(o.task, "end_by");
	for (int i = 0; i < 20; i++) {
		must(tz_wait(before[i], soon()) == 0 && tz_wait(after[i], soon()) == 0);
		assert_int_equal(tz_result(before[i], &v), 0);
		assert_int_equal(tz_result(after[i], &v), 0);
		assert_int_equal(v, 2 * i);
	}
	still_works(ex);
	tz_executor_close(ex);
}

/* Ends its worker when the parent sleeps, in the middle of waking it: the word that says so is cleared, and nobody has been woken. */
static void *take_a_wake_up_along(void *unused)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	_Atomic uint32_t *bell = NULL;

	while (maps && !bell && fgets(line, sizeof line, maps))
		if (strstr(line, "trenza-bell"))
			bell = (_Atomic uint32_t *)(uintptr_t)strtoull(line, NULL, 16);
	(void)usleep(300000); /* by then it sleeps for good */
	while (bell && !atomic_load(bell))
		(void)usleep(1000);
	if (bell)
		atomic_store(bell, 0);
	(void)raise(SIGKILL);
	return unused;
}

static int leave_a_traitor(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, take_a_wake_up_along, NULL) || pthread_detach(thread);
}
TZ_TASK(int, leave_a_traitor, void);

static int workers_of(tz_executor *ex)
{
	tz_executor_stats stats;

	tz_executor_stats_of(ex, &stats);
	return stats.workers;
}

static void row_1_a_killed_worker_takes_no_wake_up_along(void **state)
{
	tz_executor *ex = open_pool("processes:1");
	int v = -1;

	(void)state;
	assert_int_equal(tz_apply(ex, &v, leave_a_traitor), 0);
	assert_int_equal(v, 0);
	until(workers_of(ex) == 0);
	twice_future f = tz_submit(ex, twice, 21);

	until(tz_done(f) == 1); /* and nobody looks after it by waiting */
	assert_int_equal(tz_result(f, &v), 0);
	assert_int_equal(v, 42);
	tz_executor_close(ex);
}

static int close_all(int from)
{
	for (int fd = from; fd < 1024; fd++)
		(void)close(fd);
	return 0;
}
TZ_TASK(int, close_all, int);

static size_t length_of(tz_bytes b)
{
	return b.size;
}
TZ_TASK(size_t, length_of, tz_bytes);

/* As one that has died, and whose death has not been told yet: what is too much for the lane cannot be sent to it. */
static void row_1_a_worker_that_cannot_be_reached_costs_no_job(void **state)
{
	enum { LARGE = 1 << 20 };
	tz_executor *ex = open_pool("processes:1");
	void *data = calloc(1, LARGE);
	size_t n = 0;
	int r = 0;

	(void)state;
	must(data);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(how_ends(tz_submit(ex, close_all, 3)).status, TZ_OK);
		TZ_TIMEOUT(CREW_PATIENCE)
			r = tz_apply(ex, &n, length_of, ((tz_bytes){ data, LARGE }));
		/* If it is so new that whoever started it still holds the far end, too, it is the worker that cannot have it. */
		if (r < 0)
			assert_int_equal(tz_last()->code, -EPROTO);
		else
			assert_int_equal(n, LARGE);
	}
	free(data);
	tz_executor_close(ex);
}

static int kill_at_element(int n)
{
	if (n == 613)
		(void)raise(SIGKILL);
	return n + 1;
}
TZ_TASK(int, kill_at_element, int);

static void row_1_a_killed_worker_fails_its_element_of_a_map(void **state)
{
	enum { N = 2000 };
	static int in[N], out[N];
	tz_executor *ex = open_pool("processes:2");
	tz_map_options all = { .policy = TZ_MAP_ALL };
	int r = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		in[i] = i;
		out[i] = -1;
	}
	TZ_TIMEOUT(CREW_PATIENCE)
		r = tz_map_with(ex, &all, kill_at_element, N, out, in);
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(tz_last()->status, TZ_CRASHED);
	assert_int_equal(strncmp(tz_last()->message, "element 613: ", 13), 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(out[i], i == 613 ? -1 : i + 1);
	tz_executor_close(ex);
}

static char *spell_or_die(int n)
{
	char text[16];

	if (n == 613)
		(void)raise(SIGKILL);
	(void)snprintf(text, sizeof text, "%d", n);
	return strdup(text);
}
TZ_TASK(char *, spell_or_die, int);

static void row_1_a_killed_worker_loses_no_result_that_was_there(void **state)
{
	enum { N = 2000 };
	static int in[N];
	static char *out[N];
	tz_executor *ex = open_pool("processes:2");
	tz_map_options all = { .policy = TZ_MAP_ALL };
	int r = 0;

	(void)state;
	for (int i = 0; i < N; i++)
		in[i] = i;
	TZ_TIMEOUT(CREW_PATIENCE)
		r = tz_map_with(ex, &all, spell_or_die, N, out, in);
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(strncmp(tz_last()->message, "element 613: ", 13), 0);
	assert_null(out[613]);
	for (int i = 0; i < N; i++) {
		if (i == 613)
			continue;
		assert_non_null(out[i]);
		assert_int_equal(atoi(out[i]), i);
		free(out[i]);
	}
	tz_executor_close(ex);
}

/* --- 2, 14: results that cannot come back, arguments that cannot go ------------------------------------------------------------- */

typedef struct {
	int *at;
} hidden;

static int take_hidden(hidden h)
{
	return *h.at;
}
TZ_TASK(int, take_hidden, hidden);

static hidden give_hidden(int n)
{
	return (hidden){ (int *)(intptr_t)n };
}
TZ_TASK(hidden, give_hidden, int);

static int take_pointer(int *p)
{
	return *p;
}
TZ_TASK(int, take_pointer, int *);

static void row_14_what_does_not_travel_is_refused_at_submit(void **state)
{
	tz_executor *ex = open_pool("processes:1");
	int here = 5;

	(void)state;
	take_pointer_future p = tz_submit(ex, take_pointer, &here);

	assert_int_equal(tz_done(p), 1); /* at once */
	tz_outcome o = how_ends(p);

	assert_int_equal(o.status, TZ_FAILED);
	assert_non_null(strstr(o.message, "take_pointer"));
	assert_non_null(strstr(o.message, "argument 1"));
	assert_int_equal(how_ends(tz_submit(ex, take_hidden, ((hidden){ &here }))).status,
			 TZ_FAILED);
	/* A shutdown that cancels, with such jobs before it, ends. */
	for (int i = 0; i < 50; i++) {
		tz_detach(tz_submit(ex, take_pointer, &here));
		tz_detach(tz_submit(ex, twice, i));
	}
	assert_int_equal(tz_executor_shutdown(ex, TZ_CANCEL_PENDING, soon()), 0);
	tz_executor_close(ex);
}

static void row_2_a_result_that_does_not_travel_costs_one_job(void **state)
{
	tz_executor *ex = open_pool("processes:1");

	(void)state;
	assert_int_equal(how_ends(tz_submit(ex, give_hidden, 1)).status, TZ_FAILED);
	still_works(ex);
	tz_executor_close(ex);
}

/* --- 3: all ways to end ------------------------------------------------------------------------------------------------------------ */

static void row_3_each_way_to_end_is_one_outcome(void **state)
{
	static const struct {
		enum way way;
		tz_status status;
		int signal;
	} ways[] = {
		{ RETURN, TZ_OK, 0 },          { SEGFAULT, TZ_CRASHED, SIGSEGV },
		{ KILL, TZ_CRASHED, SIGKILL }, { EXIT, TZ_CRASHED, 0 },
		{ QUICK_EXIT, TZ_CRASHED, 0 }, { ABORT, TZ_CRASHED, SIGABRT },
		{ LEAVE, TZ_CRASHED, 0 },      { FAIL, TZ_FAILED, 0 },
	};
	tz_executor *ex = open_pool("processes:2");
	end_by_future f[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		f[i] = tz_submit(ex, end_by, ways[i].way);
	for (int i = 0; i < 8; i++) {
		tz_outcome o = how_ends(f[i]);

		assert_int_equal(o.status, ways[i].status);
		if (ways[i].way == SEGFAULT && HANDLES_FAULTS && o.signal == 0) {
			assert_non_null(strstr(o.message, "ended by exit("));
			assert_non_null(strstr(o.message, "stderr: "));
		} else {
			assert_int_equal(o.signal, ways[i].signal);
		}
		assert_string_equal(o.task, "end_by");
	}
	still_works(ex);
	tz_executor_close(ex);
}

/* --- 4, 6, 15: ending a pool ---------------------------------------------------------------------------------------------------------- */

static int stay(int *begun)
{
	__atomic_fetch_add(begun, 1, __ATOMIC_SEQ_CST);
	return end_by(ENDLESS);
}
TZ_TASK(int, stay, int *);

static void row_4_what_is_left_at_the_end_has_ended(void **state)
{
	tz_executor *ex = open_pool("processes:2,kill_grace=0.05");
	int *begun = tz_shared_alloc(sizeof *begun);
	stay_future f[20];

	(void)state;
	assert_non_null(begun);
	for (int i = 0; i < 20; i++)
		f[i] = tz_submit(ex, stay, begun);
	until(__atomic_load_n(begun, __ATOMIC_SEQ_CST) == 2); /* the others wait */
	assert_int_equal(tz_executor_shutdown(ex, TZ_STOP_NOW, soon()), 0);
	tz_executor_close(ex);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(tz_done(f[i]), 1);
		assert_int_equal(how_ends(f[i]).status, TZ_CANCELLED);
	}
	tz_shared_free(begun);
}

static char *long_text(int n)
{
	char *text = malloc((size_t)n + 1);

	if (!text)
		return NULL;
	memset(text, 'x', (size_t)n);
	text[n] = '\0';
	return text;
}
TZ_TASK(char *, long_text, int);

static void row_6_stopping_a_busy_pool_ends(void **state)
{
	(void)state;
	for (int round = 0; round < 8; round++) {
		tz_executor *ex = open_pool("processes:2,kill_grace=0.02");

		tz_detach(tz_submit(ex, end_by, ENDLESS));
		for (int i = 0; i < 30; i++)
			tz_detach(tz_submit(ex, long_text, 300000));
		(void)tz_sleep(0.004 * round);
		assert_int_equal(tz_executor_shutdown(ex, TZ_STOP_NOW, soon()), 0);
		tz_executor_close(ex);
	}
}

static void row_15_cancelled_at_once_and_shut_down(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		tz_executor *ex = open_pool("processes:1");
		nap_future f = tz_submit(ex, nap, 60.0);

		assert_true(tz_cancel(f) >= 0);
		assert_int_equal(tz_executor_shutdown(ex, TZ_DRAIN, soon()), 0);
		assert_int_equal(tz_done(f), 1);
		tz_detach(f);
		tz_executor_close(ex);
	}
}

/* --- 5: an initializer fails ------------------------------------------------------------------------------------------------------------ */

static int refuse_to_begin(const char *why)
{
	return tz_fail(-EPROTO, "no %s here", why);
}
TZ_TASK(int, refuse_to_begin, const char *);

static int initialize_badly(void *arg)
{
	(void)arg;
	return -EDOM;
}

static void row_5_a_failing_initializer_breaks_the_pool(void **state)
{
	refuse_to_begin_args args = tz_bind(refuse_to_begin, "database");
	tz_executor_options task = { .setup = &refuse_to_begin_task, .setup_args = &args };
	tz_executor_options function = { .initializer = initialize_badly };
	tz_executor *ex = NULL;
	twice_future f[50];

	(void)state;
	assert_int_equal(tz_executor_open_with(&ex, "processes:2", &task), 0);
	for (int i = 0; i < 50; i++)
		f[i] = tz_submit(ex, twice, i);
	for (int i = 0; i < 50; i++) {
		tz_outcome o = how_ends(f[i]);

		assert_int_equal(o.status, TZ_FAILED);
		assert_int_equal(o.code, -EPROTO);
		assert_non_null(strstr(o.message, "no database here"));
	}
	tz_executor_close(ex);
	assert_int_equal(tz_executor_open_with(&ex, "processes:2", &function), 0);
	assert_int_equal(how_ends(tz_submit(ex, twice, 1)).code, -EDOM);
	assert_int_equal(how_ends(tz_submit(ex, twice, 1)).code,
			 -EDOM); /* and those that come later */
	tz_executor_close(ex);
}

/* --- 7, 11: workers that are replaced ------------------------------------------------------------------------------------------------------ */

static void row_7_workers_are_replaced_any_number_of_times(void **state)
{
	tz_executor *ex = open_pool("processes:2");

	(void)state;
	for (int i = 0; i < 60; i++)
		assert_int_equal(how_ends(tz_submit(ex, end_by, i % 2 ? KILL : EXIT)).status,
				 TZ_CRASHED);
	still_works(ex);
	tz_executor_close(ex);
}

static void row_11_each_worker_runs_so_many_jobs(void **state)
{
	enum { JOBS = 40 };
	tz_executor *ex = open_pool("processes:1,max_tasks=2");
	own_pid_future f[JOBS];
	long pids[JOBS];

	(void)state;
	for (int i = 0; i < JOBS; i++)
		f[i] = tz_submit(ex, own_pid);
	for (int i = 0; i < JOBS; i++) {
		must(tz_wait(f[i], soon()) == 0);
		assert_int_equal(tz_result(f[i], &pids[i]), 0);
		assert_true(i < 2 || pids[i] != pids[i - 2]);
	}
	tz_executor_close(ex);
}

/* --- 9, 12, 13, 28: very many --------------------------------------------------------------------------------------------------------------- */

struct count {
	int taken;
};

static bool next_number(void *arg, twice_args *ret)
{
	struct count *c = arg;

	ret->a1 = c->taken++;
	return c->taken <= 1000000;
}

static void row_9_a_stream_takes_no_more_than_its_window(void **state)
{
	tz_executor *ex = open_pool("processes:2");
	struct count c = { 0 };
	twice_stream s;
	int v = 0;

	(void)state;
	assert_int_equal(
		tz_stream_open(&s, ex, twice, &(tz_stream_options){ .window = 8 }, next_number, &c),
		0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(tz_stream_next(s, &v), 1);
		assert_int_equal(v, 2 * i);
		assert_true(c.taken <= i + 10);
	}
	tz_stream_close(s);
	tz_executor_close(ex);
}

static void row_12_a_worker_dies_with_its_lane_full(void **state)
{
	tz_executor *ex = open_pool("processes:1");
	twice_future f[2000];
	int v = 0;

	(void)state;
	still_works(ex); /* it is known to be short, and goes in numbers */
	end_by_future crash = tz_submit(ex, end_by, SEGFAULT);

	for (int i = 0; i < 2000; i++) {
		f[i] = tz_submit(ex, twice, i);
		if (i % 500 == 250)
			(void)tz_executor_kill_workers(ex);
	}
	assert_int_equal(how_ends(crash).status, TZ_CRASHED);
	int lost = 0;

	for (int i = 0; i < 2000; i++) {
		must(tz_wait(f[i], soon()) == 0);
		if (tz_result(f[i], &v) == 0)
			assert_int_equal(v, 2 * i);
		else
			lost++;
	}
	assert_in_range(lost, 0, 5); /* the one that ran, of each worker that was killed */
	tz_executor_close(ex);
}

static int twice_or_die(int n)
{
	if (n == 0)
		(void)raise(SIGKILL);
	return 2 * n;
}
TZ_TASK(int, twice_or_die, int);

/* The first of those that come in one message ends its worker: the others lie in the lane then, and nobody has taken them back. */
static void row_12_the_first_of_a_lane_ends_its_worker(void **state)
{
	enum { MANY = 60, ROUNDS = 10 };
	tz_executor *ex = open_pool("processes:1");
	twice_or_die_args args[MANY];
	twice_or_die_future f[MANY];
	int v = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		for (int first = 4; first >= 0;
		     first--) { /* known to be short, they go in numbers */
			for (int i = 0; i < MANY; i++)
				args[i] = tz_bind(twice_or_die, first + i);
			assert_int_equal(tz_submit_bulk(ex, NULL, twice_or_die, MANY, args, f), 0);
			if (first == 0)
				assert_int_equal(how_ends(f[0]).status, TZ_CRASHED);
			for (int i = first == 0; i < MANY; i++) {
				must(tz_wait(f[i], soon()) == 0);
				assert_int_equal(tz_result(f[i], &v), 0);
				assert_int_equal(v, 2 * (first + i));
			}
		}
	}
	tz_executor_close(ex);
}

/* What is submitted when the workers have been killed is not for them, though they have not ended yet. */
static void row_12_nothing_is_given_to_the_killed(void **state)
{
	tz_executor *ex = open_pool("processes:2");
	int v = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(tz_apply(ex, &v, twice, i), 0);
		(void)tz_executor_kill_workers(ex);
		twice_future f = tz_submit(ex, twice, i);

		must(tz_wait(f, soon()) == 0);
		assert_int_equal(tz_result(f, &v), 0);
		assert_int_equal(v, 2 * i);
	}
	tz_executor_close(ex);
}

static void row_13_very_many_jobs(void **state)
{
	enum { JOBS = 200000 };
	tz_executor *ex = open_pool("processes:2");
	twice_args *args = calloc(JOBS, sizeof *args);
	twice_future *f = calloc(JOBS, sizeof *f);
	int v = 0;

	(void)state;
	must(args && f);
	for (int i = 0; i < JOBS; i++)
		args[i] = tz_bind(twice, i);
	assert_int_equal(tz_submit_bulk(ex, NULL, twice, JOBS, args, f), 0);
	for (int i = 0; i < JOBS; i++) {
		assert_int_equal(tz_result(f[i], &v), 0);
		assert_int_equal(v, 2 * i);
	}
	free(args);
	free(f);
	tz_executor_close(ex);
}

/* --- 17: what a crash says ------------------------------------------------------------------------------------------------------------------------ */

static void row_17_a_crash_says_what_and_where(void **state)
{
	tz_executor *ex = open_pool("processes:1");
	long pid = 0;
	char text[32];

	(void)state;
	assert_int_equal(tz_result(tz_submit(ex, own_pid), &pid), 0);
	tz_outcome o = how_ends(tz_submit_with(
		ex, TZ_OPTIONS(tz_submit_options, .name = "the-bad-one"), end_by, ABORT));

	assert_int_equal(o.status, TZ_CRASHED);
	assert_string_equal(o.task, "the-bad-one");
	assert_int_equal(o.worker, 0);
	(void)snprintf(text, sizeof text, "process %ld", pid);
	assert_non_null(strstr(o.message, text));
	assert_non_null(strstr(o.message, "SIGABRT"));
	assert_non_null(strstr(o.message, "the last words of a worker"));
	o = how_ends(tz_submit(ex, end_by, EXIT));
	assert_non_null(strstr(o.message, "exit(3)"));
	tz_crash c;
	end_by_future f = tz_submit(ex, end_by, ABORT);

	assert_true(tz_crash_of(f, &c) == -EAGAIN || tz_done(f) == 1);
	must(tz_wait(f, soon()) == 0);
	assert_int_equal(tz_crash_of(f, &c), 0);
	assert_true(c.pid > 0 && c.pid != (int)getpid());
	assert_int_equal(c.signal, SIGABRT);
	assert_int_equal(c.exit_code, -1);
	assert_non_null(strstr(c.text, "the last words of a worker"));
	assert_int_equal(tz_detach(f), 0);
	twice_future fine = tz_submit(ex, twice, 1);

	must(tz_wait(fine, soon()) == 0);
	assert_int_equal(tz_crash_of(fine, &c), -ENOENT);
	assert_int_equal(tz_detach(fine), 0);
	tz_executor_close(ex);
}

/* --- 18: one bad job ------------------------------------------------------------------------------------------------------------------------------- */

/* Crashes the first `n` times, which it counts in a file. */
static int crash_times(const char *path, int n)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	struct stat s;

	if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &s) < 0)
		return -1;
	(void)close(fd);
	if (s.st_size <= n)
		(void)raise(SIGKILL);
	return (int)s.st_size;
}
TZ_TASK(int, crash_times, const char *, int);

static void row_18_a_job_may_be_tried_again_but_not_for_ever(void **state)
{
	char path[] = "/tmp/trenza-row-18-XXXXXX";
	tz_executor *ex = open_pool("processes:1");
	tz_submit_options often = { .retries = 10 };
	int fd = mkstemp(path), tries = 0;

	(void)state;
	must(fd >= 0);
	(void)close(fd);
	crash_times_future f = tz_submit_with(ex, &often, crash_times, path, 1);

	must(tz_wait(f, soon()) == 0);
	assert_int_equal(tz_result(f, &tries), 0);
	assert_int_equal(tries, 2);
	must(truncate(path, 0) == 0);
	tz_outcome o = how_ends(tz_submit_with(ex, &often, crash_times, path, 1000));
	struct stat s;

	assert_int_equal(o.status, TZ_CRASHED);
	must(stat(path, &s) == 0);
	assert_int_equal(s.st_size, 2); /* two workers are enough */
	still_works(ex);
	(void)unlink(path);
	tz_executor_close(ex);
}

/* --- 19: a job that does not end ------------------------------------------------------------------------------------------------------------------- */

static void row_19_a_deadline_ends_one_job_and_no_other(void **state)
{
	tz_executor *ex = open_pool("processes:2,kill_grace=0.05");
	nap_future other = tz_submit(ex, nap, 0.5);
	tz_outcome o = how_ends(tz_submit_with(
		ex, TZ_OPTIONS(tz_submit_options, .deadline = tz_after(0.1)), end_by, ENDLESS));
	int v = -1;

	(void)state;
	assert_int_equal(o.status, TZ_TIMED_OUT);
	assert_int_equal(o.code, -ETIMEDOUT);
	must(tz_wait(other, soon()) == 0);
	assert_int_equal(tz_result(other, &v), 0);
	assert_int_equal(v, 0);
	still_works(ex);
	tz_executor_close(ex);
}

static void row_19_a_cancel_ends_what_runs_if_told_so(void **state)
{
	tz_executor *ex = open_pool("processes:1,kill_grace=0.05");
	end_by_future f =
		tz_submit_with(ex, TZ_OPTIONS(tz_submit_options, .kill = true), end_by, ENDLESS);
	nap_future g;
	int v = 0;

	(void)state;
	until(tz_running(f) == 1);
	(void)tz_sleep(0.02);
	assert_true(tz_cancel(f) >= 0);
	assert_int_equal(how_ends(f).status, TZ_CANCELLED);
	g = tz_submit(ex, nap, 60.0);
	until(tz_running(g) == 1);
	(void)tz_sleep(0.02);
	assert_true(tz_cancel(g) >= 0); /* it is woken, and ends by itself */
	must(tz_wait(g, soon()) == 0);
	if (tz_result(g, &v) == 0)
		assert_int_equal(v, -ECANCELED);
	still_works(ex);
	tz_executor_close(ex);
}

/* --- 25, 26, 43: signals of the terminal, and what is left ------------------------------------------------------------------------------------------ */

static int interrupt_yourself(void)
{
	return raise(SIGINT);
}
TZ_TASK(int, interrupt_yourself, void);

static void row_25_workers_leave_an_interrupt_to_the_application(void **state)
{
	tz_executor *ex = open_pool("processes:1");
	int v = -1;

	(void)state;
	assert_int_equal(tz_result(tz_submit(ex, interrupt_yourself), &v), 0);
	assert_int_equal(v, 0);
	tz_executor_close(ex);
}

static bool exists(long pid)
{
	char state = state_of((int)pid);

	return state && state != 'Z' && state != 'X'; /* whoever it was given to may reap it later */
}

/* This program anew, as an application whose main() calls that function: its process. */
static pid_t start_application(const char *what, int out)
{
	char text[16];
	pid_t child = fork();

	if (child == 0) {
		(void)alarm(2 * CREW_PATIENCE);
		(void)fcntl(out, F_SETFD, 0);
		(void)snprintf(text, sizeof text, "%d", out);
		(void)execl("/proc/self/exe", "pools", "application", what, text, (char *)NULL);
		_exit(127);
	}
	must(child > 0);
	return child;
}

/* Has workers, one of them in an endless loop, and says their numbers; then waits to be killed. */
static void keep_workers(int out)
{
	tz_executor *ex;
	long pid = 0;

	must(tz_executor_open(&ex, "processes:2") == 0);
	tz_detach(tz_submit(ex, end_by, ENDLESS));
	(void)tz_sleep(0.05);
	must(tz_result(tz_submit(ex, own_pid), &pid) == 0);
	must(write(out, &pid, sizeof pid) == sizeof pid);
	for (;;)
		(void)pause();
}

static void row_26_a_killed_application_leaves_nobody(void **state)
{
	int pipes[2];
	long worker = 0;

	(void)state;
	must(pipe2(pipes, O_CLOEXEC) == 0);
	pid_t child = start_application("keep", pipes[1]);

	(void)close(pipes[1]);
	assert_int_equal(read(pipes[0], &worker, sizeof worker), sizeof worker);
	assert_true(exists(worker));
	must(kill(child, SIGKILL) == 0);
	must(waitpid(child, NULL, 0) == child);
	until(!exists(worker));
	(void)close(pipes[0]);
}

static void row_8_a_closed_pool_leaves_nothing(void **state)
{
	int before = 0;

	(void)state;
	for (int i = 0; i < 12; i++) {
		tz_executor *ex = open_pool("processes:2");

		still_works(ex);
		assert_int_equal(how_ends(tz_submit(ex, end_by, KILL)).status, TZ_CRASHED);
		tz_executor_close(ex);
		if (i == 3)
			before = open_descriptors(); /* what the library keeps is there */
	}
	assert_int_equal(open_descriptors(), before);
}

/* How many workers are at a job. */
static size_t at_work(tz_executor *ex)
{
	tz_executor_stats s;

	tz_executor_stats_of(ex, &s);
	return (size_t)s.running;
}

/* Ends with a pool open, and a child that holds all its descriptors, and outlives it. */
static void end_with_a_helper(void)
{
	tz_executor *ex;

	(void)alarm(CREW_PATIENCE);
	must(tz_executor_open(&ex, "processes:1") == 0);
	tz_detach(tz_submit(ex, nap, 60.0));
	until(at_work(ex) == 1);
	/* Nothing of us hears of such a fork. */
	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0) {
		(void)alarm(CREW_PATIENCE);
		(void)sleep(3);
		_exit(0);
	}
	exit(7);
}

static void row_43_the_end_waits_for_no_helper(void **state)
{
	pid_t child = start_application("end", 2);
	int status = 0;

	(void)state;
	must(waitpid(child, &status, 0) == child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

/* --- 28: very small tasks ---------------------------------------------------------------------------------------------------------------------------------- */

/* How many messages a pool is sent for a map whose elements do nothing. */
static uint64_t messages_of_a_map(tz_executor *ex, const tz_map_options *options)
{
	enum { N = 100000 };
	static int in[N], out[N];
	tz_executor_stats before, after;
	int r = -1;

	for (int i = 0; i < N; i++) {
		in[i] = i;
		out[i] = -1;
	}
	tz_executor_stats_of(ex, &before);
	TZ_TIMEOUT(CREW_PATIENCE)
		r = tz_map_with(ex, options, twice, N, out, in);
	assert_int_equal(r, 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(out[i], 2 * i);
	tz_executor_stats_of(ex, &after);
	return after.submitted - before.submitted;
}

static void row_28_small_tasks_travel_together(void **state)
{
	tz_executor *ex = open_pool("processes:2");

	(void)state;
	assert_int_equal(messages_of_a_map(ex, &(tz_map_options){ .chunk = 1000 }), 100);
	/* As many as are worth one message; on a machine that does much else, it may take a few maps until that is seen. */
	for (int i = 0; messages_of_a_map(ex, &(tz_map_options){ .chunk = 0 }) > 10000; i++)
		assert_true(i < 50);
	tz_executor_close(ex);
}

/* --- 29: who supervises ------------------------------------------------------------------------------------------------------------------------------ */

static void row_29_the_death_of_the_nursery_hangs_nobody(void **state)
{
	tz_executor *ex = open_pool("processes:2");
	long pid = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(tz_result(tz_submit(ex, own_pid), &pid), 0);
		nap_future f = tz_submit(ex, nap, 60.0);

		until(at_work(ex) == 1);
		pid_t nursery = parent_of((int)pid);

		must(nursery > 1 && kill(nursery, SIGKILL) == 0);
		tz_outcome o = how_ends(f);

		assert_true(o.status == TZ_CRASHED || o.status == TZ_LOST);
		still_works(ex);
	}
	tz_executor_close(ex);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_1_a_killed_worker_fails_its_job_alone),
		cmocka_unit_test(row_1_a_killed_worker_takes_no_wake_up_along),
		cmocka_unit_test(row_1_a_worker_that_cannot_be_reached_costs_no_job),
		cmocka_unit_test(row_1_a_killed_worker_fails_its_element_of_a_map),
		cmocka_unit_test(row_1_a_killed_worker_loses_no_result_that_was_there),
		cmocka_unit_test(row_2_a_result_that_does_not_travel_costs_one_job),
		cmocka_unit_test(row_3_each_way_to_end_is_one_outcome),
		cmocka_unit_test(row_4_what_is_left_at_the_end_has_ended),
		cmocka_unit_test(row_5_a_failing_initializer_breaks_the_pool),
		cmocka_unit_test(row_6_stopping_a_busy_pool_ends),
		cmocka_unit_test(row_7_workers_are_replaced_any_number_of_times),
		cmocka_unit_test(row_8_a_closed_pool_leaves_nothing),
		cmocka_unit_test(row_9_a_stream_takes_no_more_than_its_window),
		cmocka_unit_test(row_11_each_worker_runs_so_many_jobs),
		cmocka_unit_test(row_12_a_worker_dies_with_its_lane_full),
		cmocka_unit_test(row_12_the_first_of_a_lane_ends_its_worker),
		cmocka_unit_test(row_12_nothing_is_given_to_the_killed),
		cmocka_unit_test(row_13_very_many_jobs),
		cmocka_unit_test(row_14_what_does_not_travel_is_refused_at_submit),
		cmocka_unit_test(row_15_cancelled_at_once_and_shut_down),
		cmocka_unit_test(row_17_a_crash_says_what_and_where),
		cmocka_unit_test(row_18_a_job_may_be_tried_again_but_not_for_ever),
		cmocka_unit_test(row_19_a_deadline_ends_one_job_and_no_other),
		cmocka_unit_test(row_19_a_cancel_ends_what_runs_if_told_so),
		cmocka_unit_test(row_25_workers_leave_an_interrupt_to_the_application),
		cmocka_unit_test(row_26_a_killed_application_leaves_nobody),
		cmocka_unit_test(row_28_small_tasks_travel_together),
		cmocka_unit_test(row_29_the_death_of_the_nursery_hangs_nobody),
		cmocka_unit_test(row_43_the_end_waits_for_no_helper),
	};

	(void)signal(SIGINT,
		     SIG_DFL); /* a shell that has put us into the background ignores it for us */
	if (argc == 4 && strcmp(argv[1], "application") == 0) {
		if (strcmp(argv[2], "keep") == 0)
			keep_workers(atoi(argv[3]));
		end_with_a_helper();
	}
	choose(argc, argv);
	if (!PROCESSES) {
		puts(NO_PROCESSES);
		return 0;
	}
	return cmocka_run_group_tests_name("pools", tests, NULL, NULL);
}
