/* C++ exceptions end the job that they leave, and nothing else. */
#include "conformance.h"

#include "thrower.h"

static void is_a_failure(struct subject *s)
{
	tz_future f = { .handle = submit_thrower(s->ex, 1) };
	tz_outcome o;
	int got = 0;

	assert_outcome(f, TZ_FAILED, -EPROTO);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_non_null(strstr(o.message, "thrown on purpose"));
	assert_string_equal(o.task, "throw_it");
	assert_int_equal(tz_detach(f), 0);
	f.handle = submit_thrower(s->ex, 2);
	assert_outcome(f, TZ_FAILED, -EPROTO);
	assert_int_equal(tz_detach(f), 0);
	f.handle = submit_thrower(s->ex, 7);
	settle(f);
	assert_int_equal(tz_result_raw(f.handle, &got, sizeof got), 0);
	assert_int_equal(got, 7);
}

static void is_an_elements_failure(struct subject *s)
{
	int what[100], got[100], r;

	for (int i = 0; i < 100; i++)
		what[i] = i < 40 ? 3 : 1;
	bounded(r, map_throwers(s->ex, 100, what, got));
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EPROTO);
	assert_int_equal(strncmp(tz_last()->message, "element 40: ", 12), 0);
	for (int i = 0; i < 40; i++)
		assert_int_equal(got[i], 3);
}

static void is_a_forks_failure(struct subject *s)
{
	for (int i = 0; i < 20; i++) {
		tz_future f = { .handle = submit_forking_thrower(s->ex, 1) };

		assert_outcome(f, TZ_FAILED, -EPROTO);
		assert_int_equal(tz_detach(f), 0);
	}
}

static const struct conformance_case cases[] = {
	CASE("an exception is the job's failure", is_a_failure),
	CASE("an exception in a map is its element's failure", is_an_elements_failure),
	CASE("an exception in a fork is its job's failure", is_a_forks_failure),
};

int main(void)
{
	return RUN_CASES("exception", cases);
}
