/* Context variables: what is inherited, and by whom; and that values are released once, when nobody has them any more. */
#include "conformance.h"

static char none[] = "none", one[] = "one", two[] = "two", three[] = "three";
static tz_context_var name = TZ_CONTEXT_VAR(none, NULL);

static atomic_int alive;

static void release(void *value)
{
	(void)value;
	atomic_fetch_sub(&alive, 1);
}

static tz_context_var counted = TZ_CONTEXT_VAR(NULL, release);

static void *get_name(void)
{
	return tz_context_get(&name);
}
TZ_TASK(void *, get_name, void);

/* What a new call sees. */
static void *seen(void)
{
	void *there = NULL;

	return tz_result(tz_spawn(get_name), &there) < 0 ? NULL : there;
}

static int rename_here(void)
{
	void *before = tz_context_get(&name);

	CHECK(tz_context_set(&name, three) == 0);
	CHECK(seen() == three);
	return before == one;
}
TZ_TASK(int, rename_here, void);

static int inherit(void)
{
	get_name_future early;
	void *there = NULL;
	int was_one = 0;

	CHECK(seen() == none);
	early = tz_spawn(get_name);
	CHECK(tz_context_set(&name, one) == 0);
	CHECK(tz_context_get(&name) == one && seen() == one);
	CHECK(tz_result(early, &there) == 0 && there == none); /* the binding came later */
	CHECK(tz_result(tz_spawn(rename_here), &was_one) == 0 && was_one == 1);
	CHECK(tz_context_get(&name) == one && seen() == one); /* what it bound was its own */
	tz_with_context(&name, two)
	{
		CHECK(tz_context_get(&name) == two && seen() == two);
		CHECK(tz_context_set(&name, three) == 0);
	}
	CHECK(tz_context_get(&name) == one && seen() == one);
	CHECK(tz_wait_for(CREW_PATIENCE, &there, get_name) == 0 && there == one); /* a call is a call */
	return 0;
}
TZ_TASK(int, inherit, void);

static void is_inherited_by_what_is_spawned(struct subject *s)
{
	RUN(s, inherit);
	RUN(s, inherit); /* nothing of it is left where it ran */
}

static void is_inherited_from_outside(struct subject *s)
{
	void *there = NULL;

	assert_int_equal(tz_context_set(&name, two), 0);
	assert_int_equal(tz_result(tz_submit(s->ex, get_name), &there), 0);
	assert_ptr_equal(there, two);
	tz_with_context(&name, one)
	{
		get_name_args args[3];
		get_name_future f[3];

		(void)memset(args, 0, sizeof args);
		assert_int_equal(tz_submit_bulk(s->ex, NULL, get_name, 3, args, f), 0);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(tz_result(f[i], &there), 0);
			assert_ptr_equal(there, one);
		}
	}
	assert_int_equal(tz_context_set(&name, none), 0);
	assert_int_equal(tz_result(tz_submit(s->ex, get_name), &there), 0);
	assert_ptr_equal(there, none);
}

static int look(int i)
{
	return tz_context_get(&name) == two ? i : -1;
}
TZ_TASK(int, look, int);

static int map_in_context(void)
{
	enum { N = 500 };
	static int in[N], out[N];

	for (int i = 0; i < N; i++)
		in[i] = i;
	tz_with_context(&name, two)
		CHECK(tz_map(tz_executor_current(), look, N, out, in) == 0);
	for (int i = 0; i < N; i++)
		CHECK(out[i] == i);
	CHECK(tz_context_get(&name) == none);
	return 0;
}
TZ_TASK(int, map_in_context, void);

static void is_seen_by_the_elements_of_a_map(struct subject *s)
{
	RUN(s, map_in_context);
}

static void use_value(int depth);
TZ_TASK(void, use_value, int);
static void use_value(int depth)
{
	if (!tz_context_get(&counted) || atomic_load(&alive) < 1)
		(void)tz_fail(-EILSEQ, "released too early");
	for (int i = 0; i < 2 && depth > 0; i++)
		(void)tz_detach(tz_spawn(use_value, depth - 1)); /* may outlive us */
}

static int bind_many(void)
{
	static char value;

	for (int i = 0; i < 20; i++) {
		atomic_fetch_add(&alive, 1);
		CHECK(tz_context_set(&counted, &value) == 0);
		(void)tz_spawn(use_value, 3);
		atomic_fetch_add(&alive, 1);
		tz_with_context(&counted, &value)
			(void)tz_spawn(use_value, 2);
	}
	return 0;
}
TZ_TASK(int, bind_many, void);

static void releases_each_value_once(struct subject *s)
{
	atomic_store(&alive, 0);
	RUN(s, bind_many);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	until(atomic_load(&alive) == 0);
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CASE("what is spawned inherits", is_inherited_by_what_is_spawned),
		SHARING("what is submitted from outside inherits", is_inherited_from_outside),
		CASE("elements of a map see their caller's", is_seen_by_the_elements_of_a_map),
		CASE("values are released once", releases_each_value_once),
	};

	return RUN_CASES("context", cases);
}
