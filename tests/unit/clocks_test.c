/* Deadlines between strands whose clocks differ: a simulation's jumps, and is soon hours ahead of the machine's. What remains of a deadline goes over. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include <trenza.h>

#include "check.h"
#include "crew.h"

enum { AHEAD = 100000, LIMIT = 5000 }; /* seconds; neither passes in real time */

static const tz_loop_options sim = { .backend = "sim" };

/* In real time, while virtual time stands still: any wait would let it jump to the limit. */
#define await(condition) \
	while (!(condition)) \
	(void)usleep(200)

/* Of the calling job's deadline. */
static double remaining(void)
{
	double r = 0;

	TZ_SCOPE(s)
		r = tz_remaining(tz_scope_deadline(&s));
	return r;
}
TZ_TASK(double, remaining, void);

static bool fits(double r)
{
	return r > 0 && r <= LIMIT;
}

/* Without waiting: nothing but this is to take time. */
static void get_ahead(void)
{
	TZ_SHIELD(2 * AHEAD)
	(void)tz_sleep(AHEAD);
}

/* --- from virtual to real time -------------------------------------------------------------------------------- */

static void out(tz_executor *threads)
{
	remaining_future f[2] = { { { 0 } } };
	double r = 0;

	get_ahead();
	tz_submit_options own = { .deadline = tz_after(LIMIT) };

	f[0] = tz_submit_with(threads, &own, remaining);
	await(tz_done(f[0]));
	must(tz_result(f[0], &r) == 0 && fits(r));
	TZ_TIMEOUT(LIMIT) {
		f[0] = tz_scope_submit(&tz__timeout, threads, remaining);
		await(tz_done(f[0]));
		must(tz_result(f[0], &r) == 0 && fits(r));
		must(tz_submit_bulk_raw(threads, &(tz_submit_options){ .scope = &tz__timeout },
					&remaining_task, 2, NULL, &f[0].handle) == 0);
		await(tz_done(f[0]) && tz_done(f[1]));
		for (int i = 0; i < 2; i++)
			must(tz_result(f[i], &r) == 0 && fits(r));
	}
}
TZ_TASK(void, out, tz_executor *);

static void a_job_for_threads_has_the_time_that_remains(void **state)
{
	tz_executor *threads = NULL;

	(void)state;
	assert_int_equal(tz_executor_open(&threads, "threads:1"), 0);
	assert_int_equal(tz_run_with(&sim, NULL, out, threads), 0);
	tz_executor_close(threads);
}

static _Atomic bool begun;

/* Waits, in real time, until it has been given a deadline. */
static double remaining_later(void)
{
	double r = 0;

	atomic_store(&begun, true);
	TZ_SCOPE(s) {
		until(tz_scope_deadline(&s).ns);
		r = tz_remaining(tz_scope_deadline(&s));
	}
	return r;
}
TZ_TASK(double, remaining_later, void);

static void move_out(tz_executor *threads)
{
	double r = 0;

	get_ahead();
	TZ_SCOPE(s) {
		atomic_store(&begun, false);
		remaining_later_future f = tz_scope_submit(&s, threads, remaining_later);

		await(atomic_load(&begun));
		must(tz_scope_reschedule(&s, tz_after(LIMIT)) == 0);
		await(tz_done(f));
		must(tz_result(f, &r) == 0 && fits(r));
	}
}
TZ_TASK(void, move_out, tz_executor *);

static void so_has_one_whose_deadline_is_moved(void **state)
{
	tz_executor *threads = NULL;

	(void)state;
	assert_int_equal(tz_executor_open(&threads, "threads:1"), 0);
	assert_int_equal(tz_run_with(&sim, NULL, move_out, threads), 0);
	tz_executor_close(threads);
}

/* --- from real to virtual time -------------------------------------------------------------------------------- */

static void ahead(void)
{
	get_ahead();
}
TZ_TASK(void, ahead, void);

static void a_job_for_a_simulation_has_the_time_that_remains(void **state)
{
	tz_executor *ex = NULL;
	double r = 0;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "sim:seed=1"), 0);
	assert_int_equal(tz_result(tz_submit(ex, ahead), NULL), 0);
	tz_submit_options own = { .deadline = tz_after(LIMIT) };

	assert_int_equal(tz_result(tz_submit_with(ex, &own, remaining), &r), 0);
	assert_true(fits(r));
	TZ_TIMEOUT(LIMIT) {
		remaining_future f = tz_scope_submit(&tz__timeout, ex, remaining);

		assert_int_equal(tz_result(f, &r), 0);
		assert_true(fits(r));
	}
	tz_executor_close(ex);
}

static void between_simulations(tz_executor *other)
{
	tz_submit_options own = { .deadline = tz_after(LIMIT) };
	remaining_future f;
	double r = 0;

	f = tz_submit_with(other, &own, remaining);
	await(tz_done(f));
	must(tz_result(f, &r) == 0 && fits(r));
	get_ahead();
	get_ahead();
	own.deadline = tz_after(LIMIT);
	f = tz_submit_with(other, &own, remaining);
	await(tz_done(f));
	must(tz_result(f, &r) == 0 && fits(r));
}
TZ_TASK(void, between_simulations, tz_executor *);

static void so_has_one_of_another_simulation(void **state)
{
	tz_executor *ex = NULL;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "sim:seed=1"), 0);
	assert_int_equal(tz_result(tz_submit(ex, ahead), NULL), 0);
	assert_int_equal(tz_run_with(&sim, NULL, between_simulations, ex), 0);
	tz_executor_close(ex);
}

static _Atomic(tz_scope *) scope;

static void *move_deadline(void *unused)
{
	await(atomic_load(&scope));
	must(tz_scope_reschedule(atomic_load(&scope), tz_after(LIMIT)) == 0);
	atomic_store(&scope, NULL);
	return unused;
}

static void wait_for_a_limit(void)
{
	get_ahead();
	TZ_SCOPE(s) {
		atomic_store(&scope, &s);
		await(!atomic_load(&scope));
		must(fits(tz_remaining(tz_scope_deadline(&s))));
	}
}
TZ_TASK(void, wait_for_a_limit, void);

static void a_thread_moves_the_deadline_of_a_scope(void **state)
{
	struct crew crew = { 0 };

	(void)state;
	crew_add(&crew, move_deadline, NULL);
	assert_int_equal(tz_run_with(&sim, NULL, wait_for_a_limit), 0);
	crew_join(&crew);
}

/* --- asking loops that go by the real clock --------------------------------------------------------------------- */

static _Atomic bool busy, may_end;

static void keep_busy(void)
{
	atomic_store(&busy, true);
	(void)usleep(50000); /* blocks the loop */
	until(atomic_load(&may_end));
}
TZ_TASK(void, keep_busy, void);

static void *run_busy(void *unused)
{
	must(tz_run(keep_busy) == 0);
	return unused;
}

static void count(const tz_task_info *info, void *n)
{
	(void)info;
	++*(int *)n;
}

static void ask(void)
{
	int n = 0;

	await(atomic_load(&busy));
	must(tz_walk_tasks(count, &n) == 0);
	must(n == 2);
}
TZ_TASK(void, ask, void);

static void a_simulation_waits_for_the_answer_of_another_loop(void **state)
{
	struct crew crew = { 0 };

	(void)state;
	crew_add(&crew, run_busy, NULL);
	assert_int_equal(tz_run_with(&sim, NULL, ask), 0);
	atomic_store(&may_end, true);
	crew_join(&crew);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_for_threads_has_the_time_that_remains),
		cmocka_unit_test(so_has_one_whose_deadline_is_moved),
		cmocka_unit_test(a_job_for_a_simulation_has_the_time_that_remains),
		cmocka_unit_test(so_has_one_of_another_simulation),
		cmocka_unit_test(a_thread_moves_the_deadline_of_a_scope),
		cmocka_unit_test(a_simulation_waits_for_the_answer_of_another_loop),
	};

	return cmocka_run_group_tests_name("clocks", tests, NULL, NULL);
}
