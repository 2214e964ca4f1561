/* Futures, waits, maps and memory. See failures.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "failures.h"

static tz_event gate;

/* As until, by a sleep that is not the library's. */
#define until_foreign(condition) \
	for (tz_deadline until_end = soon(); !(condition); (void)usleep(200)) \
	must(!tz_expired(until_end))

static int pass(int x)
{
	return x;
}
TZ_TASK(int, pass, int);

/* Keeps its worker, and does not let another one stand in. */
static int wait_at_the_gate(void)
{
	until_foreign(tz_event_is_set(&gate));
	return 0;
}
TZ_TASK(int, wait_at_the_gate, void);

/* --- 16: cancelled while somebody waits ----------------------------------------------------------------------------------- */

enum { QUEUED = 20 };

struct waits {
	pass_future futures[QUEUED];
	_Atomic int seen;
	_Atomic bool began;
};

static void *wait_as_completed(void *arg)
{
	struct waits *w = arg;
	tz_completed *it;

	must(tz_as_completed(&it, w->futures, QUEUED) == 0);
	atomic_store(&w->began, true);
	for (int i; (i = tz_completed_next(it, soon())) != -ENOENT; atomic_fetch_add(&w->seen, 1))
		must(i >= 0);
	tz_completed_close(it);
	return NULL;
}

static void *wait_for_all(void *arg)
{
	struct waits *w = arg;

	must(tz_wait_all(w->futures, QUEUED, soon()) == 0);
	atomic_fetch_add(&w->seen, QUEUED);
	return NULL;
}

static void *wait_for_the_last(void *arg)
{
	struct waits *w = arg;

	must(tz_wait(w->futures[QUEUED - 1], soon()) == 0);
	atomic_fetch_add(&w->seen, QUEUED);
	return NULL;
}

static void row_16_a_shutdown_that_cancels_wakes_who_waits(void **state)
{
	static struct waits w;
	struct crew crew = { 0 };
	tz_executor *ex;
	int v;

	(void)state;
	tz_event_clear(&gate);
	assert_int_equal(tz_executor_open(&ex, "threads:1"), 0);
	wait_at_the_gate_future first = tz_submit(ex, wait_at_the_gate);

	until(tz_running(first) == 1);
	for (int i = 0; i < QUEUED; i++)
		w.futures[i] = tz_submit(ex, pass, i);
	crew_add(&crew, wait_as_completed, &w);
	crew_add(&crew, wait_for_all, &w);
	crew_add(&crew, wait_for_the_last, &w);
	until(atomic_load(&w.began));
	(void)tz_sleep(0.05); /* so that they wait */
	assert_int_equal(tz_executor_shutdown(ex, TZ_CANCEL_PENDING, tz_after(0)), -ETIMEDOUT);
	crew_join(&crew);
	assert_int_equal(atomic_load(&w.seen), 3 * QUEUED);
	for (int i = 0; i < QUEUED; i++) {
		assert_int_equal(tz_result(w.futures[i], &v), -EREMOTEIO);
		assert_int_equal(tz_last()->status, TZ_CANCELLED);
	}
	tz_event_set(&gate);
	assert_int_equal(tz_result(first, &v), 0);
	tz_executor_close(ex);
}

/* --- 20: a shutdown and a block that end in time -------------------------------------------------------------------------- */

static void sleep_until_asked(void)
{
	(void)tz_sleep_until(soon());
	if (tz_interrupted() < 0)
		(void)tz_fail(tz_interrupted(), "asked to end");
}
TZ_TASK(void, sleep_until_asked, void);

static void row_20_a_shutdown_has_a_deadline(void **state)
{
	tz_executor *ex;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:2"), 0);
	sleep_until_asked_future f = tz_submit(ex, sleep_until_asked);
	tz_deadline end = soon();

	until(tz_running(f) == 1);
	TZ_TIMEOUT(0.02) {
		assert_int_equal(tz_result(f, NULL), -ETIMEDOUT);
	}
	assert_int_equal(tz_executor_shutdown(ex, TZ_DRAIN, tz_after(0.02)), -ETIMEDOUT);
	assert_int_equal(tz_executor_shutdown(ex, TZ_CANCEL_PENDING, tz_after(0.02)), -ETIMEDOUT);
	assert_int_equal(tz_running(f), 1);
	assert_int_equal(tz_executor_shutdown(ex, TZ_STOP_NOW, end), 0);
	assert_false(tz_expired(end));
	assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
	assert_int_equal(tz_last()->status, TZ_CANCELLED);
	tz_executor_close(ex);
}

/* A block that gives up takes along what it submitted. */
static void row_20_a_block_cancels_what_it_submitted(void **state)
{
	tz_executor *ex;
	tz_deadline end = soon();
	tz_scope scope = { 0 };

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:2"), 0);
	tz_scope_enter(&scope, tz_after(0.02));
	for (int i = 0; i < 5; i++) /* some run, some do not */
		(void)tz_scope_submit(&scope, ex, sleep_until_asked);
	assert_int_equal(tz_scope_leave(&scope), -ETIMEDOUT);
	tz_executor_close(ex);
	assert_false(tz_expired(end));
}

/* --- 21: jobs that wait for jobs ------------------------------------------------------------------------------------------- */

static int depth_below(int n);
TZ_TASK(int, depth_below, int);
static int depth_below(int n)
{
	int v = 0;

	if (n == 0)
		return 0;
	must(tz_result(tz_submit(tz_executor_current(), depth_below, n - 1), &v) == 0);
	return v + 1;
}

/* The waiter runs what it waits for: no more threads than workers, however deep. */
static void row_21_a_waiting_job_runs_what_it_waits_for(void **state)
{
	tz_executor *ex;
	depth_below_future f[4];
	int v = 0;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:2,spares=1"), 0);
	for (int i = 0; i < 4; i++)
		f[i] = tz_submit(ex, depth_below, 64);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(tz_wait(f[i], soon()), 0);
		assert_int_equal(tz_result(f[i], &v), 0);
		assert_int_equal(v, 64);
	}
	tz_executor_close(ex);
}

static int wait_with_a_deadline(int n);
TZ_TASK(int, wait_with_a_deadline, int);
static int wait_with_a_deadline(int n)
{
	int v = 0;

	if (n == 0)
		return 0;
	wait_with_a_deadline_future f =
		tz_submit(tz_executor_current(), wait_with_a_deadline, n - 1);

	must(tz_wait(f, soon()) == 0);
	must(tz_result(f, &v) == 0);
	return v + 1;
}

/* Where it may not run on the waiter's stack, another worker stands in. */
static void row_21_another_worker_stands_in_for_one_that_waits(void **state)
{
	tz_executor *ex;
	wait_with_a_deadline_future f[4];
	int v = 0;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:2"), 0);
	for (int i = 0; i < 4; i++)
		f[i] = tz_submit(ex, wait_with_a_deadline, 20);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(tz_wait(f[i], soon()), 0);
		assert_int_equal(tz_result(f[i], &v), 0);
		assert_int_equal(v, 20);
	}
	tz_executor_close(ex);
}

/* --- 22: endless input ---------------------------------------------------------------------------------------------------- */

static _Atomic int drawn;

static bool endless(void *arg, pass_args *ret)
{
	(void)arg;
	ret->a1 = atomic_fetch_add(&drawn, 1);
	return true;
}

static void row_22_a_stream_takes_no_more_than_its_window(void **state)
{
	tz_executor *ex;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:2"), 0);
	for (int as_completed = 0; as_completed < 2; as_completed++) {
		tz_stream_options o = { .window = 8, .as_completed = as_completed };
		pass_stream s;

		atomic_store(&drawn, 0);
		assert_int_equal(tz_stream_open(&s, ex, pass, &o, endless, NULL), 0);
		for (int given = 0; given < 2000; given++) {
			int v = -1;

			assert_int_equal(tz_stream_next(s, &v), 1);
			assert_true(as_completed || v == given);
			assert_true(atomic_load(&drawn) - given <= 8);
		}
		tz_stream_close(s);
		assert_true(atomic_load(&drawn) <= 2008);
	}
	tz_executor_close(ex);
}

static void row_22_a_queue_takes_no_more_than_its_limit(void **state)
{
	tz_executor *ex;
	pass_future f[5];
	int v;

	(void)state;
	tz_event_clear(&gate);
	assert_int_equal(tz_executor_open(&ex, "threads:1,queue=4,full=fail"), 0);
	wait_at_the_gate_future first = tz_submit(ex, wait_at_the_gate);

	until(tz_running(first) == 1);
	for (int i = 0; i < 5; i++)
		f[i] = tz_submit(ex, pass, i);
	assert_int_equal(tz_result(f[4], &v), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EAGAIN);
	tz_event_set(&gate);
	assert_int_equal(tz_result(first, &v), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(tz_result(f[i], &v), 0);
		assert_int_equal(v, i);
	}
	tz_executor_close(ex);
}

/* --- 23: work that is left when the process ends ------------------------------------------------------------------------- */

static void sleep_long(void)
{
	(void)tz_sleep(1000);
}
TZ_TASK(void, sleep_long, void);

/* In a child, that ends by exit(). */
static int ends_with(void (*leave)(void))
{
	int status;
	pid_t child = fork();

	must(child >= 0);
	if (child == 0) {
		alarm(CREW_PATIENCE);
		leave();
		exit(7);
	}
	must(waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void leave_jobs_of_the_default(void)
{
	sleep_long_future f = tz_submit(NULL, sleep_long);

	until(tz_running(f) == 1);
	for (int i = 0; i < 100; i++)
		(void)tz_detach(tz_submit(NULL, sleep_long));
}

static void leave_jobs_of_an_open_one(void)
{
	tz_executor *ex;

	must(tz_executor_open(&ex, "threads:2") == 0);
	sleep_long_future f = tz_submit(ex, sleep_long);

	until(tz_running(f) == 1);
	(void)tz_executor_shutdown(ex, TZ_DRAIN, tz_after(0));
}

static void row_23_nobody_waits_at_exit_for_jobs_that_were_left(void **state)
{
	(void)state;
	if (!THREADS_AFTER_FORK)
		skip();
	assert_int_equal(ends_with(leave_jobs_of_the_default), 7);
	assert_int_equal(ends_with(leave_jobs_of_an_open_one), 7);
}

static void row_23_a_submit_after_shutdown_says_so(void **state)
{
	static const char *const specs[] = { "inline", "chaos", "threads:2" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		tz_executor *ex;
		int v;

		assert_int_equal(tz_executor_open(&ex, specs[i]), 0);
		assert_int_equal(tz_result(tz_submit(ex, pass, 1), &v), 0);
		assert_int_equal(tz_executor_shutdown(ex, TZ_DRAIN, soon()), 0);
		pass_future f = tz_submit(ex, pass, 2);

		assert_int_equal(tz_wait(f, soon()), 0);
		assert_int_equal(tz_result(f, &v), -EREMOTEIO);
		assert_int_equal(tz_last()->status, TZ_FAILED);
		assert_int_equal(tz_last()->code, -ESHUTDOWN);
		tz_executor_close(ex);
	}
}

/* --- 27: memory after many jobs -------------------------------------------------------------------------------------------- */

struct block {
	char bytes[4096];
};

static struct block big(struct block b)
{
	b.bytes[0]++;
	return b;
}
TZ_TASK(struct block, big, struct block);

static int fail_at_length(int x)
{
	return tz_fail(-ENOENT, "no %d, and that is a long story that fills its message", x);
}
TZ_TASK(int, fail_at_length, int);

static void do_nothing(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)arg, (void)outcome, (void)result;
}

static void many_of_each(tz_executor *ex)
{
	struct block b = { "" };
	int v;

	for (int i = 0; i < 300; i++) {
		assert_int_equal(tz_result(tz_submit(ex, big, b), &b), 0);
		(void)tz_detach(tz_submit(ex, big, b));
		assert_int_equal(tz_result(tz_submit(ex, fail_at_length, i), &v), -EREMOTEIO);
		(void)tz_detach(tz_submit(ex, fail_at_length, i));
		tz_submit_options o = { .name = "named", .deadline = soon(), .retries = 2 };
		big_future f = tz_submit_with(ex, &o, big, b);

		(void)tz_cancel(f);
		assert_int_equal(tz_on_done(f, do_nothing, NULL), 0);
		(void)tz_result(f, NULL);
	}
}

static void settle(tz_executor *ex)
{
	tz_executor_stats s;

	do
		tz_executor_stats_of(ex, &s);
	while (s.completed != s.submitted);
	(void)tz_sleep(0.02); /* callbacks on the service thread */
}

static void row_27_memory_does_not_grow_with_jobs(void **state)
{
	tz_executor *ex;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:2"), 0);
	many_of_each(ex);
	settle(ex);
	size_t before = mallinfo2().uordblks;

	for (int i = 0; i < 10; i++)
		many_of_each(ex);
	settle(ex);
	size_t after = mallinfo2().uordblks;

	/* A kept result or failure of one of the six kinds would be 3,000 times some hundred bytes at least. */
	assert_true(after < before + 200000);
	tz_executor_close(ex);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_16_a_shutdown_that_cancels_wakes_who_waits),
		cmocka_unit_test(row_20_a_shutdown_has_a_deadline),
		cmocka_unit_test(row_20_a_block_cancels_what_it_submitted),
		cmocka_unit_test(row_21_a_waiting_job_runs_what_it_waits_for),
		cmocka_unit_test(row_21_another_worker_stands_in_for_one_that_waits),
		cmocka_unit_test(row_22_a_stream_takes_no_more_than_its_window),
		cmocka_unit_test(row_22_a_queue_takes_no_more_than_its_limit),
		cmocka_unit_test(row_23_nobody_waits_at_exit_for_jobs_that_were_left),
		cmocka_unit_test(row_23_a_submit_after_shutdown_says_so),
		cmocka_unit_test(row_27_memory_does_not_grow_with_jobs),
	};

	choose(argc, argv);
	return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
