/* The lanes for blocking calls. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>
#include <trenza/lane.h>

#include "abilities.h"
#include "check.h"
#include "crew.h"
#include "loop/lane.h"
#include "sched/pool.h"

static const tz_lane_kind all[] = { TZ_LANE_IO, TZ_LANE_CPU, TZ_LANE_DNS };

static int twice(int n)
{
	return 2 * n;
}
TZ_TASK(int, twice, int);

static bool is_main(pthread_t *caller)
{
	return pthread_equal(*caller, pthread_self());
}
TZ_TASK(bool, is_main, pthread_t *);

static void there_are_no_threads_before_there_is_work(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		tz_executor_stats stats;

		assert_non_null(tz_lane(all[i]));
		tz_executor_stats_of(tz_lane(all[i]), &stats);
		assert_int_equal(stats.workers, 0);
		assert_int_equal(stats.submitted, 0);
	}
}

static void a_lane_is_the_same_each_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_ptr_equal(tz_lane(all[i]), tz_lane(all[i]));
	assert_ptr_not_equal(tz_lane(TZ_LANE_IO), tz_lane(TZ_LANE_CPU));
	assert_ptr_not_equal(tz_lane(TZ_LANE_IO), tz_lane(TZ_LANE_DNS));
	assert_ptr_not_equal(tz_lane(TZ_LANE_CPU), tz_lane(TZ_LANE_DNS));
	assert_null(tz_lane((tz_lane_kind)3));
	assert_null(tz_lane((tz_lane_kind)-1));
	assert_int_equal(tz_executor_workers(tz_lane(TZ_LANE_IO)), 64);
	assert_int_equal(tz_executor_workers(tz_lane(TZ_LANE_DNS)), 16);
	assert_int_equal(tz_executor_workers(tz_lane(TZ_LANE_CPU)), tz_usable_cpus());
}

static void a_call_goes_to_another_thread(void **state)
{
	pthread_t me = pthread_self();
	bool here = true;
	int n = 0;

	(void)state;
	assert_int_equal(tz_result(tz_to_thread(is_main, &me), &here), 0);
	assert_false(here);
	assert_int_equal(tz_result(tz_to_thread(twice, 21), &n), 0);
	assert_int_equal(n, 42);
	assert_int_equal(tz_result(tz_run_in_executor(tz_lane(TZ_LANE_CPU), twice, 4), &n), 0);
	assert_int_equal(n, 8);
	assert_int_equal(tz_result(tz_run_in_executor(NULL, twice, 5), &n), 0);
	assert_int_equal(n, 10);
}

static void a_lane_cannot_be_closed(void **state)
{
	int n;

	(void)state;
	tz_executor_close(tz_lane(TZ_LANE_IO));
	tz_executor_request_shutdown(tz_lane(TZ_LANE_IO), TZ_STOP_NOW);
	assert_int_equal(tz_executor_shutdown(tz_lane(TZ_LANE_IO), TZ_STOP_NOW, tz_never()),
			 -EPERM);
	assert_int_equal(tz_result(tz_to_thread(twice, 1), &n), 0);
	assert_int_equal(n, 2);
	/* The default executor neither. */
	tz_executor_close(tz_executor_default());
	assert_int_equal(tz_executor_shutdown(tz_executor_default(), TZ_DRAIN, tz_never()), -EPERM);
	assert_int_equal(tz_result(tz_submit(NULL, twice, 1), &n), 0);
}

/* --- many that block --------------------------------------------------------------------------- */

static atomic_int inside;
static atomic_bool gate;

static void block(void)
{
	atomic_fetch_add(&inside, 1);
	until(gate);
	atomic_fetch_sub(&inside, 1);
}
TZ_TASK(void, block, void);

static void those_that_wait_do_not_hold_up_others(void **state)
{
	enum { MOST = 64, MORE = 10 };
	block_future f[MOST + MORE];
	int n;

	(void)state;
	atomic_store(&gate, false);
	for (int i = 0; i < MOST + MORE; i++)
		f[i] = tz_to_thread(block);
	until(inside >= MOST); /* all that may be */
	/* The other lanes go on. */
	assert_int_equal(tz_result(tz_submit(tz_lane(TZ_LANE_CPU), twice, 2), &n), 0);
	assert_int_equal(tz_result(tz_submit(tz_lane(TZ_LANE_DNS), twice, 3), &n), 0);
	atomic_store(&gate, true);
	for (int i = 0; i < MOST + MORE; i++)
		assert_int_equal(tz_result(f[i], NULL), 0);
	assert_int_equal(inside, 0);
}

static int chain(int depth);
TZ_TASK(int, chain, int);

static int chain(int depth)
{
	int n = 0;

	if (depth > 0 && tz_result(tz_to_thread(chain, depth - 1), &n) < 0)
		return -1000;
	return n + 1;
}

static void one_may_wait_for_another_of_the_same_lane(void **state)
{
	int n = 0;

	(void)state;
	assert_int_equal(tz_result(tz_to_thread(chain, 100), &n), 0);
	assert_int_equal(n, 101);
}

/* --- calls of the library's own ---------------------------------------------------------------- */

struct noted {
	pthread_t thread;
	int called;
	bool leave;
};

static void note(void *arg)
{
	struct noted *n = arg;

	n->thread = pthread_self();
	n->called++;
	if (n->leave)
		pthread_exit(NULL);
}

static void a_call_is_waited_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct noted n = { .called = 0 };

		for (int times = 1; times <= 50; times++) {
			tz_lane_call(all[i], note, &n);
			assert_int_equal(n.called, times);
			assert_false(pthread_equal(n.thread, pthread_self()));
		}
	}
}

static void a_call_may_leave_its_thread(void **state)
{
	struct noted n = { .leave = true };

	(void)state;
	tz_lane_call(TZ_LANE_IO, note, &n);
	assert_int_equal(n.called, 1);
	n.leave = false;
	tz_lane_call(TZ_LANE_IO, note, &n);
	assert_int_equal(n.called, 2);
}

static void a_call_is_deaf_to_its_scope(void **state)
{
	struct noted n = { .called = 0 };

	(void)state;
	TZ_TIMEOUT(0)
		tz_lane_call(TZ_LANE_IO, note, &n);
	assert_int_equal(n.called, 1);
}

static void what_is_no_lane_runs_here(void **state)
{
	struct noted n = { .called = 0 };

	(void)state;
	tz_lane_call((tz_lane_kind)77, note, &n);
	assert_int_equal(n.called, 1);
	assert_true(pthread_equal(n.thread, pthread_self()));
}

static void *make_calls(void *unused)
{
	struct noted n = { .called = 0 };

	for (int i = 0; i < 200; i++)
		tz_lane_call(all[i % 3], note, &n);
	must(n.called == 200);
	return unused;
}

static void many_threads_may_call(void **state)
{
	struct crew crew = { .count = 0 };

	(void)state;
	for (int i = 0; i < 8; i++)
		crew_add(&crew, make_calls, NULL);
	crew_join(&crew);
}

/* --- fork -------------------------------------------------------------------------------------- */

#if THREADS_AFTER_FORK
static int in_child(tz_executor *parents)
{
	struct noted n = { .called = 0 };
	int four;

	if (tz_lane(TZ_LANE_IO) == parents || !tz_lane(TZ_LANE_IO))
		return 1;
	if (tz_result(tz_to_thread(twice, 2), &four) < 0 || four != 4)
		return 2;
	tz_lane_call(TZ_LANE_DNS, note, &n);
	if (n.called != 1 || pthread_equal(n.thread, pthread_self()))
		return 3;
	tz_executor_close(parents);
	return 0;
}

static void a_child_has_lanes_of_its_own(void **state)
{
	tz_executor *io = tz_lane(TZ_LANE_IO);
	pid_t child;
	int status, n;

	(void)state;
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(in_child(io));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_ptr_equal(tz_lane(TZ_LANE_IO), io);
	assert_int_equal(tz_result(tz_to_thread(twice, 2), &n), 0);
}
#endif

/* So that a sanitizer finds all threads joined. */
static int end_lanes(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		tz_executor *lane = tz_lane(all[i]);

		assert_int_equal(tz_pool_shutdown(lane, TZ_DRAIN, soon()), 0);
		tz_pool_destroy(lane);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_are_no_threads_before_there_is_work),
		cmocka_unit_test(a_lane_is_the_same_each_time),
		cmocka_unit_test(a_call_goes_to_another_thread),
		cmocka_unit_test(a_lane_cannot_be_closed),
		cmocka_unit_test(those_that_wait_do_not_hold_up_others),
		cmocka_unit_test(one_may_wait_for_another_of_the_same_lane),
		cmocka_unit_test(a_call_is_waited_for),
		cmocka_unit_test(a_call_may_leave_its_thread),
		cmocka_unit_test(a_call_is_deaf_to_its_scope),
		cmocka_unit_test(what_is_no_lane_runs_here),
		cmocka_unit_test(many_threads_may_call),
#if THREADS_AFTER_FORK /* allows no threads in a fork child */
		cmocka_unit_test(a_child_has_lanes_of_its_own),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, end_lanes);
}
