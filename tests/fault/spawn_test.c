/* Spawning, groups, calls under a deadline and context variables, when memory or threads run out at any point. */
#include "part.h"

#include <stddef.h>

enum { MANY = 40 };

/* Nothing fails here but for want of memory: a failure of what was spawned is that. */
static int cause_of_all(int answer)
{
	int code = cause(answer);

	return code == -EREMOTEIO ? -ENOMEM : code;
}

static int spawn_and_return(int n)
{
	for (int i = 0; i < n; i++)
		(void)tz_spawn(square, i);
	return 0;
}
TZ_TASK(int, spawn_and_return, int);

/* A job that ends well has run all that it spawned; if one of them could not be made, nobody takes it for done. */
static int spawned(tz_executor *ex)
{
	int r = cause_of_all(tz_result(tz_submit(ex, spawn_and_return, MANY), NULL));

	expect(r < 0 || atomic_load(&calls) == MANY);
	return r;
}

static int spawn_into_group(int policy)
{
	int r = 0;

	TZ_GROUP(g, policy)
	{
		for (int i = 0; i < MANY; i++)
			(void)tz_group_spawn(&g, square, i);
		r = cause_of_all(tz_group_wait(&g));
	}
	return r < 0 ? tz_fail(r, "in the group") : 0;
}
TZ_TASK(int, spawn_into_group, int);

static int grouped(tz_executor *ex)
{
	int r = cause_of_all(tz_result(tz_submit(ex, spawn_into_group, TZ_GROUP_FAIL_FAST), NULL));

	expect(r < 0 || atomic_load(&calls) == MANY);
	return r;
}

static int collected(tz_executor *ex)
{
	int r = cause_of_all(tz_result(tz_submit(ex, spawn_into_group, TZ_GROUP_COLLECT | TZ_GROUP_REAP), NULL));

	expect(r < 0 || atomic_load(&calls) == MANY);
	return r;
}

/* Some spawn into the scope of another strand. */
static int give_to_scope(tz_scope *scope)
{
	for (int i = 0; i < MANY; i++)
		(void)tz_scope_submit(scope, tz_executor_current(), square, i);
	return 0;
}
TZ_TASK(int, give_to_scope, tz_scope *);

static int given(tz_executor *ex)
{
	tz_scope s = { 0 };

	tz_scope_enter(&s, tz_never());
	(void)tz_scope_submit(&s, ex, give_to_scope, &s);
	int r = cause_of_all(tz_scope_leave(&s));

	expect(r < 0 || atomic_load(&calls) == MANY);
	return r;
}

struct large {
	char bytes[2000];
};

static struct large make_large(int c)
{
	struct large l = { { (char)c, [1999] = (char)c } };

	return l;
}
TZ_TASK(struct large, make_large, int);

static int called(tz_executor *ex)
{
	struct large l = { { 1 } };
	int r = tz_wait_for(60, &l, make_large, 7);

	(void)ex;
	expect(l.bytes[0] == (r == 0 ? 7 : 1));
	return r;
}

static char value[3];
static atomic_int alive;

static void let_go(void *v)
{
	(void)v;
	atomic_fetch_sub(&alive, 1);
}

static tz_context_var plain = TZ_CONTEXT_VAR(NULL, NULL), counted = TZ_CONTEXT_VAR(NULL, let_go);

static int check_context(void)
{
	expect(tz_context_get(&plain) == &value[0] && tz_context_get(&counted) == &value[1]);
	return 0;
}
TZ_TASK(int, check_context, void);

static int bound(tz_executor *ex)
{
	int r = tz_context_set(&plain, &value[0]), entered = 0;

	if (r < 0)
		return r;
	atomic_fetch_add(&alive, 1);
	r = tz_context_set(&counted, &value[1]);
	if (r < 0) {
		atomic_fetch_sub(&alive, 1);
		return r;
	}
	r = cause_of_all(tz_result(tz_submit(ex, check_context), NULL));
	tz_with_context(&plain, &value[2])
		entered = 1;
	expect(tz_context_get(&plain) == &value[0]);
	return r < 0 ? r : entered ? 0 : -ENOMEM;
}

#define EACH(X) X(spawned) X(grouped) X(collected) X(given) X(called) X(bound)

EACH(SWEEP)

int main(void)
{
	const struct CMUnitTest tests[] = { EACH(ON_THREADS) };

	return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
