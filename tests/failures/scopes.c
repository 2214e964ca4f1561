/* Calls beside calls: rows 59 to 63, 65 and 69. Each case runs on every executor of the list below. */
#define _GNU_SOURCE
#include "failures.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <trenza.h>

static const char *const specs[] = { "threads:4", "coroutines", "sim:seed=9,grace=0.02" };

static atomic_int begun, ended;

static tz_executor *start(const char *spec)
{
	tz_executor *ex = NULL;

	atomic_store(&begun, 0);
	atomic_store(&ended, 0);
	assert_int_equal(tz_executor_open(&ex, spec), 0);
	return ex;
}

#define ON_EACH(ex) \
	for (size_t i_ = 0; i_ < sizeof specs / sizeof *specs; i_++) \
		for (tz_executor *ex = start(specs[i_]); ex; tz_executor_close(ex), ex = NULL)

static int sleep_on(void)
{
	atomic_fetch_add(&begun, 1);
	int r = tz_sleep_until(tz_never());

	atomic_fetch_add(&ended, 1);
	return tz_fail(r, "woken");
}
TZ_TASK(int, sleep_on, void);

static int go_wrong(int code)
{
	return tz_fail(code, "on purpose");
}
TZ_TASK(int, go_wrong, int);

/* --- row 59 ------------------------------------------------------------------------------------------------------------- */

static void work_a_while(void)
{
	(void)tz_sleep(0.002);
	atomic_fetch_add(&ended, tz_interrupted() == 0);
}
TZ_TASK(void, work_a_while, void);

static void spawn_and_forget(int n)
{
	for (int i = 0; i < n; i++) {
		if (i % 2)
			(void)tz_spawn(work_a_while);
		else
			(void)tz_detach(tz_spawn(work_a_while));
	}
}
TZ_TASK(void, spawn_and_forget, int);

static void row_59_a_job_whose_handle_nobody_keeps_runs_to_its_end(void **state)
{
	(void)state;
	ON_EACH(ex)
	{
		spawn_and_forget_future f = tz_submit(ex, spawn_and_forget, 100);

		assert_int_equal(tz_wait(f, soon()), 0);
		assert_int_equal(tz_result(f, NULL), 0);
		until(atomic_load(&ended) == 100);
	}
}

/* --- row 60 ------------------------------------------------------------------------------------------------------------- */

TZ_QUEUE(int, numbers);

static int take(numbers q)
{
	int item, r = numbers_get(q, &item);

	return r < 0 ? tz_fail(r, "nothing came") : item;
}
TZ_TASK(int, take, numbers);

/* Takes items, each within a time that is about as long as the next one takes to come. */
static int take_with_limits(numbers q)
{
	int got = 0;

	while (tz_interrupted() == 0) {
		int item = -1, r = tz_wait_for(0.0002, &item, take, q);

		got += item >= 0;
		if (r == -EREMOTEIO)
			break; /* the queue is closed */
	}
	return got;
}
TZ_TASK(int, take_with_limits, numbers);

static void row_60_a_limit_that_comes_with_the_result_loses_nothing(void **state)
{
	(void)state;
	ON_EACH(ex)
	{
		numbers q;
		take_with_limits_future f[2];
		int sum = 0, put = 0;

		assert_int_equal(numbers_open(&q, NULL), 0);
		for (int i = 0; i < 2; i++)
			f[i] = tz_submit(ex, take_with_limits, q);
		for (; put < 600; put++) {
			assert_int_equal(numbers_put(q, put), 0);
			(void)tz_sleep(0.0001 * (put % 4));
		}
		assert_int_equal(tz_queue_shutdown(q.queue, TZ_QUEUE_DRAIN), 0);
		for (int i = 0; i < 2; i++) {
			int got = 0;

			assert_int_equal(tz_wait(f[i], soon()), 0);
			assert_int_equal(tz_result(f[i], &got), 0);
			sum += got;
		}
		assert_int_equal(sum, put);
		numbers_close(&q);
	}
}

static void nap(void)
{
	(void)tz_sleep(0.00005);
}
TZ_TASK(void, nap, void);

/* Goes on until it is told to end, which it is at any moment. */
static int nap_within_limits(void)
{
	atomic_fetch_add(&begun, 1);
	while (tz_interrupted() == 0)
		(void)tz_wait_for(60, NULL, nap);
	return tz_fail(-ECANCELED, "told to");
}
TZ_TASK(int, nap_within_limits, void);

static void row_60_a_cancel_that_comes_with_the_result_is_not_swallowed(void **state)
{
	(void)state;
	ON_EACH(ex)
	{
		for (int i = 0; i < 100; i++) {
			nap_within_limits_future f = tz_submit(ex, nap_within_limits);
			tz_outcome o;

			until(atomic_load(&begun) == i + 1);
			(void)tz_sleep(0.00001 * (i % 10));
			assert_int_equal(tz_cancel(f), 1);
			assert_int_equal(tz_wait(f, soon()), 0);
			assert_int_equal(tz_outcome_of(f, &o), 0);
			assert_int_equal(o.status, TZ_CANCELLED);
			assert_int_equal(tz_detach(f), 0);
		}
	}
}

/* --- row 61 ------------------------------------------------------------------------------------------------------------- */

static int give_up_when_one_fails(void)
{
	for (int i = 0; i < 3; i++)
		(void)tz_spawn(sleep_on);
	while (atomic_load(&begun) == 0)
		(void)tz_sleep(0.0001);
	if (tz_result(tz_spawn(go_wrong, -EDOM), NULL) < 0)
		return tz_fail(-EDOM, "one failed");
	return 0;
}
TZ_TASK(int, give_up_when_one_fails, void);

static int group_of_which_one_fails(void)
{
	int r = 0;

	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		for (int i = 0; i < 3; i++)
			(void)tz_group_spawn(&g, sleep_on);
		(void)tz_group_spawn(&g, go_wrong, -EDOM);
		r = tz_group_wait(&g);
	}
	return r == -EREMOTEIO && atomic_load(&begun) == atomic_load(&ended) ? tz_fail(-EDOM, "one failed") : 0;
}
TZ_TASK(int, group_of_which_one_fails, void);

static void row_61_nothing_goes_on_behind_a_failure(void **state)
{
	(void)state;
	ON_EACH(ex)
	{
		tz_future f[2] = { { tz_submit(ex, give_up_when_one_fails).handle }, { { 0 } } };
		tz_outcome o;

		assert_int_equal(tz_wait(f[0], soon()), 0);
		assert_int_equal(atomic_load(&begun), atomic_load(&ended));
		f[1].handle = tz_submit(ex, group_of_which_one_fails).handle;
		assert_int_equal(tz_wait(f[1], soon()), 0);
		assert_int_equal(atomic_load(&begun), atomic_load(&ended));
		for (int i = 0; i < 2; i++) {
			assert_int_equal(tz_outcome_of(f[i], &o), 0);
			assert_int_equal(o.status, TZ_FAILED);
			assert_int_equal(o.code, -EDOM);
			assert_int_equal(tz_detach(f[i]), 0);
		}
	}
}

/* --- row 62 ------------------------------------------------------------------------------------------------------------- */

static int acquire_one(tz_semaphore *s)
{
	atomic_fetch_add(&begun, 1);
	int r = tz_semaphore_acquire(s);

	if (r == 0)
		atomic_fetch_add(&ended, 1);
	return r < 0 ? tz_fail(r, "given up") : 0;
}
TZ_TASK(int, acquire_one, tz_semaphore *);

/* Asks a waiter to go, and wakes it a moment later. */
static void cancel_and_release(acquire_one_future f, tz_semaphore *s, int moment)
{
	(void)tz_cancel(f);
	for (int i = 0; i < moment; i++)
		(void)tz_yield();
	(void)tz_semaphore_release(s);
}
TZ_TASK(void, cancel_and_release, acquire_one_future, tz_semaphore *, int);

/* Two wait; the first is cancelled, and as it goes a permit comes. If it was meant for the first, that has it, else the other one. */
static void row_62_a_waiter_that_goes_as_it_is_woken_passes_that_on(void **state)
{
	(void)state;
	ON_EACH(ex)
	{
		for (int round = 0; round < 300; round++) {
			tz_semaphore s;
			acquire_one_future f[2];

			atomic_store(&begun, 0);
			atomic_store(&ended, 0);
			assert_int_equal(tz_semaphore_init(&s, 0), 0);
			for (int i = 0; i < 2; i++) {
				f[i] = tz_submit(ex, acquire_one, &s);
				until(atomic_load(&begun) == i + 1);
			}
			(void)tz_result(tz_submit(ex, cancel_and_release, f[0], &s, round % 5), NULL);
			until(atomic_load(&ended) == 1);
			(void)tz_semaphore_release(&s);
			assert_int_equal(tz_wait_all(f, 2, soon()), 0);
			assert_int_equal(atomic_load(&ended) + (int)tz_semaphore_permits(&s), 2);
			(void)tz_gather_all(f, 2);
		}
	}
}

/* --- row 63 ------------------------------------------------------------------------------------------------------------- */

/* Its group loses a call, and is cancelled from outside: both at any moment. */
static int hear_of_both(_Atomic(tz_group *) *where, int turn)
{
	int r = 0;

	TZ_GROUP(outer, TZ_GROUP_FAIL_FAST)
	{
		TZ_TIMEOUT(0.0001 * turn)
		{
			TZ_GROUP(inner, TZ_GROUP_FAIL_FAST)
			{
				(void)tz_group_spawn(&inner, sleep_on);
				(void)tz_group_wait(&inner);
			}
		}
		(void)tz_group_spawn(&outer, go_wrong, -EDOM);
		atomic_store(where, &outer);
		(void)tz_group_wait(&outer);
		while (atomic_load(where)) /* until it has been cancelled */
			(void)tz_yield();
		r = tz_sleep_until(tz_after(5));
	}
	return r;
}
TZ_TASK(int, hear_of_both, _Atomic(tz_group *) *, int);

/* Cancels the group that is to be there, a moment later. */
static void cancel_after(_Atomic(tz_group *) *where, int moment)
{
	until(atomic_load(where));
	for (volatile int spin = 0; spin < moment * 500; spin++)
		;
	tz_group_cancel(atomic_load(where));
	atomic_store(where, NULL);
}

static void row_63_a_cancel_from_outside_is_not_lost_in_groups_and_limits(void **state)
{
	(void)state;
	ON_EACH(ex)
	{
		for (int turn = 1; turn < 20; turn++) {
			static _Atomic(tz_group *) where;
			hear_of_both_future f;
			int got = 0;

			atomic_store(&where, NULL);
			f = tz_submit(ex, hear_of_both, &where, turn);
			cancel_after(&where, turn);
			assert_int_equal(tz_wait(f, soon()), 0);
			assert_int_equal(tz_result(f, &got), 0);
			assert_int_equal(got, -ECANCELED);
		}
	}
}

/* A race is won, and its group cancelled. */
static int hear_of_one(_Atomic(tz_group *) *where)
{
	int r = 0;

	TZ_GROUP(outer, TZ_GROUP_RACE)
	{
		(void)tz_group_spawn(&outer, nap);
		atomic_store(where, &outer);
		(void)tz_group_wait(&outer);
		while (atomic_load(where))
			(void)tz_yield();
		r = tz_sleep_until(tz_after(5));
	}
	return r == -ECANCELED && tz_interrupted() == 0;
}
TZ_TASK(int, hear_of_one, _Atomic(tz_group *) *);

static void row_63_the_policy_of_a_group_takes_back_its_own_cancel_only(void **state)
{
	(void)state;
	ON_EACH(ex)
	{
		for (int turn = 1; turn < 50; turn++) {
			static _Atomic(tz_group *) where;
			hear_of_one_future f;
			int got = 0;

			atomic_store(&where, NULL);
			f = tz_submit(ex, hear_of_one, &where);
			cancel_after(&where, turn);
			assert_int_equal(tz_wait(f, soon()), 0);
			assert_int_equal(tz_result(f, &got), 0);
			assert_int_equal(got, 1);
		}
	}
}

/* --- row 65 ------------------------------------------------------------------------------------------------------------- */

static long compute_on(void)
{
	long n = 0;

	atomic_fetch_add(&begun, 1);
	while (tz_interrupted() == 0) {
		n++;
		if (n % 1000 == 0)
			(void)tz_yield();
	}
	atomic_fetch_add(&ended, 1);
	return n;
}
TZ_TASK(long, compute_on, void);

/* What it waits for within a limit runs on threads, and sleeps or computes. */
static int limit_what_runs_elsewhere(tz_executor *elsewhere)
{
	int late = 0;

	TZ_TIMEOUT(0.005)
	{
		sleep_on_future f = tz_scope_submit(&tz__timeout, elsewhere, sleep_on);

		(void)tz_scope_submit(&tz__timeout, elsewhere, compute_on);
		late = tz_result(f, NULL);
		if (late == -EREMOTEIO) /* it heard of the limit before we did */
			late = -ETIMEDOUT;
	}
	return late == -ETIMEDOUT && atomic_load(&begun) == atomic_load(&ended);
}
TZ_TASK(int, limit_what_runs_elsewhere, tz_executor *);

static void row_65_a_limit_ends_what_runs_on_a_thread(void **state)
{
	tz_executor *elsewhere = NULL;

	(void)state;
	assert_int_equal(tz_executor_open(&elsewhere, "threads:2"), 0);
	ON_EACH(ex)
	{
		limit_what_runs_elsewhere_future f = tz_submit(ex, limit_what_runs_elsewhere, elsewhere);
		int got = 0;

		assert_int_equal(tz_wait(f, soon()), 0);
		assert_int_equal(tz_result(f, &got), 0);
		assert_int_equal(got, 1);
	}
	tz_executor_close(elsewhere);
}

/* --- row 69 ------------------------------------------------------------------------------------------------------------- */

static atomic_int reports, reported_code;

static void note_failure(const tz_outcome *o)
{
	if (strcmp(o->task, "go_wrong") == 0) {
		atomic_store(&reported_code, o->code);
		atomic_fetch_add(&reports, 1);
	}
}

static int fail_in_the_background(void)
{
	(void)tz_detach(tz_spawn(go_wrong, -ERANGE));
	while (atomic_load(&reports) == 0) /* it is told while we still run */
		(void)tz_sleep(0.0002);
	return 0;
}
TZ_TASK(int, fail_in_the_background, void);

static int fail_twice_unseen(void)
{
	(void)tz_spawn(go_wrong, -EDOM);
	(void)tz_spawn(go_wrong, -ERANGE);
	return 0;
}
TZ_TASK(int, fail_twice_unseen, void);

static void row_69_a_failure_that_nobody_looks_at_is_told(void **state)
{
	tz_unobserved_hook before = tz_on_unobserved(note_failure);

	(void)state;
	ON_EACH(ex)
	{
		fail_in_the_background_future f;
		fail_twice_unseen_future g;
		tz_outcome o;

		atomic_store(&reports, 0);
		f = tz_submit(ex, fail_in_the_background);
		assert_int_equal(tz_wait(f, soon()), 0);
		assert_int_equal(tz_result(f, NULL), 0);
		assert_int_equal(atomic_load(&reports), 1);
		assert_int_equal(atomic_load(&reported_code), -ERANGE);

		/* The first is its parent's failure, and the other one has nobody but the hook. */
		atomic_store(&reports, 0);
		g = tz_submit(ex, fail_twice_unseen);
		assert_int_equal(tz_wait(g, soon()), 0);
		assert_int_equal(tz_outcome_of(g, &o), 0);
		assert_int_equal(o.status, TZ_FAILED);
		assert_non_null(strstr(o.message, "go_wrong"));
		assert_int_equal(atomic_load(&reports), 1);
		assert_int_equal(tz_detach(g), 0);
	}
	(void)tz_on_unobserved(before);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_59_a_job_whose_handle_nobody_keeps_runs_to_its_end),
		cmocka_unit_test(row_60_a_limit_that_comes_with_the_result_loses_nothing),
		cmocka_unit_test(row_60_a_cancel_that_comes_with_the_result_is_not_swallowed),
		cmocka_unit_test(row_61_nothing_goes_on_behind_a_failure),
		cmocka_unit_test(row_62_a_waiter_that_goes_as_it_is_woken_passes_that_on),
		cmocka_unit_test(row_63_a_cancel_from_outside_is_not_lost_in_groups_and_limits),
		cmocka_unit_test(row_63_the_policy_of_a_group_takes_back_its_own_cancel_only),
		cmocka_unit_test(row_65_a_limit_ends_what_runs_on_a_thread),
		cmocka_unit_test(row_69_a_failure_that_nobody_looks_at_is_told),
	};

	choose(argc, argv);
	return cmocka_run_group_tests_name("scopes", tests, NULL, NULL);
}
