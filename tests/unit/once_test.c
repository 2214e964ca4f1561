/* Once: exactly one run, one answer for all, also when it fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>

#include <trenza/once.h>
#include <trenza/scope.h>

#include "check.h"
#include "crew.h"

static int count_up(void *arg)
{
	++*(_Atomic int *)arg;
	return 0;
}

static int fail_always(void *arg)
{
	++*(_Atomic int *)arg;
	return -EIO;
}

static void runs_once(void **state)
{
	tz_once once = { 0 };
	_Atomic int runs = 0;

	(void)state;
	assert_false(tz_once_is_done(&once));
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_once_call(&once, count_up, &runs), 0);
	assert_true(tz_once_is_done(&once));
	assert_int_equal(runs, 1);
}

static void a_failure_is_an_answer_too(void **state)
{
	tz_once once = { 0 };
	_Atomic int runs = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_once_call(&once, i ? count_up : fail_always, &runs), -EIO);
	assert_true(tz_once_is_done(&once));
	assert_int_equal(runs, 1);
}

struct race {
	tz_once once;
	int value; /* written by the run, read after the call */
	_Atomic int runs;
	_Atomic bool go_on;
};

static int slowly(void *arg)
{
	struct race *r = arg;

	atomic_fetch_add(&r->runs, 1);
	until(atomic_load(&r->go_on));
	r->value = 42;
	return 7;
}

static void *call_it(void *arg)
{
	struct race *r = arg;

	must(tz_once_call(&r->once, slowly, r) == 7);
	must(r->value == 42);
	return NULL;
}

static void the_others_wait_for_it(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		struct race r = { 0 };
		struct crew crew = { 0 };

		for (int k = 0; k < 5; k++)
			crew_add(&crew, call_it, &r);
		if (i % 2)
			until(atomic_load(&r.runs) == 1);
		atomic_store(&r.go_on, true);
		crew_join(&crew);
		assert_int_equal(atomic_load(&r.runs), 1);
	}
}

static void a_waiter_may_give_up(void **state)
{
	struct race r = { 0 };
	struct crew crew = { 0 };
	tz_scope scope = { 0 };

	(void)state;
	crew_add(&crew, call_it, &r);
	until(atomic_load(&r.runs) == 1);
	TZ_TIMEOUT(0.002) {
		assert_int_equal(tz_once_call(&r.once, slowly, &r), -ETIMEDOUT);
	}
	tz_scope_enter(&scope, soon());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_once_call(&r.once, slowly, &r), -ECANCELED);
	(void)tz_scope_leave(&scope);
	atomic_store(&r.go_on, true);
	crew_join(&crew);
	assert_int_equal(tz_once_call(&r.once, slowly, &r), 7);
	assert_int_equal(atomic_load(&r.runs), 1);
}

static int end_the_thread(void *arg)
{
	++*(_Atomic int *)arg;
	pthread_exit(NULL);
}

struct ender {
	tz_once once;
	_Atomic int runs;
};

static void *call_and_end(void *arg)
{
	struct ender *e = arg;

	(void)tz_once_call(&e->once, end_the_thread, &e->runs);
	must(!"it came back");
	return NULL;
}

static void a_run_that_never_returns(void **state)
{
	struct ender e = { 0 };
	struct crew crew = { 0 };

	(void)state;
	crew_add(&crew, call_and_end, &e);
	crew_join(&crew);
	assert_int_equal(tz_once_call(&e.once, count_up, &e.runs), -ECANCELED);
	assert_int_equal(atomic_load(&e.runs), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_once),
		cmocka_unit_test(a_failure_is_an_answer_too),
		cmocka_unit_test(the_others_wait_for_it),
		cmocka_unit_test(a_waiter_may_give_up),
		cmocka_unit_test(a_run_that_never_returns),
	};

	return cmocka_run_group_tests_name("once", tests, NULL, NULL);
}
