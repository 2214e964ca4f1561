/* Map, for-each and reduce: each element once, results in order, and the same failure and the same sum whoever does the work. */
#include "conformance.h"

#include <stdlib.h>

enum { MANY = 100000 };

static double square(double x)
{
	return x * x;
}
TZ_TASK(double, square, double);

static double weigh(double x, int n, const double *scale)
{
	return x * n + *scale;
}
TZ_TASK(double, weigh, double, int, const double *);

static int fail_odd(int n)
{
	return n % 2 ? tz_fail(-EDOM, "odd: %d", n) : n;
}
TZ_TASK(int, fail_odd, int);

static int fail_from(int n)
{
	if (n >= 300 && n % 100 == 77)
		(void)tz_fail(-1000 - n, "at %d", n);
	return n;
}
TZ_TASK(int, fail_from, int);

static atomic_int touched[MANY];

static void touch(int i)
{
	atomic_fetch_add(&touched[i], 1);
}
TZ_TASK(void, touch, int);

static int numbers[MANY];
static double doubles[MANY], out[MANY];

static void map_some(struct subject *s, size_t n, const tz_map_options *options)
{
	int r;

	for (size_t i = 0; i < n; i++) {
		doubles[i] = (double)i;
		out[i] = -1;
	}
	bounded(r, tz_map_with(s->ex, options, square, n, out, doubles));
	assert_int_equal(r, 0);
	for (size_t i = 0; i < n; i++)
		assert_true(out[i] == (double)i * (double)i);
}

static void maps_in_order(struct subject *s)
{
	map_some(s, 0, NULL);
	map_some(s, 1, NULL);
	map_some(s, 10, NULL);
	map_some(s, MANY, NULL);
}

static void maps_with_options(struct subject *s)
{
	map_some(s, 1000, &(tz_map_options){ .chunk = 1 });
	map_some(s, 1000, &(tz_map_options){ .chunk = 64 });
	map_some(s, 1000, &(tz_map_options){ .chunk = 5000 });
	map_some(s, 1000, &(tz_map_options){ .chunk = SIZE_MAX });
	map_some(s, 1000, &(tz_map_options){ .chunk = SIZE_MAX / 2 + 1 });
	map_some(s, 1000, &(tz_map_options){ .workers = 1 });
	map_some(s, 1000, &(tz_map_options){ .workers = 1000 });
}

static void maps_several_arrays(struct subject *s)
{
	static const double *scales[100];
	static const double scale = 0.5;
	int r;

	for (int i = 0; i < 100; i++) {
		doubles[i] = i;
		numbers[i] = 2;
		scales[i] = &scale;
	}
	bounded(r, tz_map(s->ex, weigh, 100, out, doubles, numbers, scales));
	assert_int_equal(r, 0);
	for (int i = 0; i < 100; i++)
		assert_true(out[i] == 2 * i + 0.5);
}

static void calls_each_element_once(struct subject *s)
{
	int r;

	for (int i = 0; i < MANY; i++) {
		atomic_store_explicit(&touched[i], 0, memory_order_relaxed);
		numbers[i] = i;
	}
	bounded(r, tz_map(s->ex, touch, MANY, numbers));
	assert_int_equal(r, 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(atomic_load_explicit(&touched[i], memory_order_relaxed), 1);
}

static void reports_the_lowest_failure(struct subject *s)
{
	static int got[2000];
	int r;

	for (int i = 0; i < 2000; i++)
		numbers[i] = i;
	for (int round = 0; round < 10; round++) {
		bounded(r, tz_map(s->ex, fail_from, 2000, got, numbers));
		assert_int_equal(r, -EREMOTEIO);
		assert_int_equal(tz_last()->status, TZ_FAILED);
		assert_int_equal(tz_last()->code, -1377);
		assert_string_equal(tz_last()->message, "element 377: at 377");
		assert_string_equal(tz_last()->task, "fail_from");
		for (int i = 0; i < 377; i++)
			assert_int_equal(got[i], i); /* all before it were called */
	}
	bounded(r, tz_map(s->ex, fail_from, 300, got, numbers));
	assert_int_equal(r, 0);
	assert_int_equal(tz_last()->status, TZ_OK);
}

static void calls_all_in_spite_of_failures(struct subject *s)
{
	static int got[500];
	int r;

	for (int i = 0; i < 500; i++) {
		numbers[i] = i;
		got[i] = -1;
	}
	bounded(r, tz_map_with(s->ex, &(tz_map_options){ .policy = TZ_MAP_ALL }, fail_odd, 500, got,
			       numbers));
	assert_int_equal(r, -EREMOTEIO);
	assert_string_equal(tz_last()->message, "element 1: odd: 1");
	for (int i = 0; i < 500; i += 2)
		assert_int_equal(got[i], i);
}

static void gives_each_its_outcome(struct subject *s)
{
	static tz_outcome o[100];
	static int got[100];
	int r;

	memset(o, 0, sizeof o);
	for (int i = 0; i < 100; i++)
		numbers[i] = i;
	bounded(r, tz_map_with(s->ex, (&(tz_map_options){ .policy = TZ_MAP_ALL, .outcomes = o }),
			       fail_odd, 100, got, numbers));
	assert_int_equal(r, -EREMOTEIO);
	for (int i = 0; i < 100; i++) {
		char text[32] = "";

		if (i % 2)
			(void)snprintf(text, sizeof text, "odd: %d", i);
		assert_int_equal(o[i].status, i % 2 ? TZ_FAILED : TZ_OK);
		assert_int_equal(o[i].code, i % 2 ? -EDOM : 0);
		assert_string_equal(o[i].message, text);
		assert_string_equal(o[i].task, "fail_odd");
	}
}

static atomic_int failed_one, calls_of[500];

/* The first one fails, the others come after that. */
static int fail_first(int n)
{
	atomic_fetch_add(&calls_of[n], 1);
	if (n == 0) {
		atomic_store(&failed_one, 1);
		return tz_fail(-EDOM, "the first");
	}
	until(atomic_load(&failed_one));
	(void)tz_sleep(0.0005);
	return n;
}
TZ_TASK(int, fail_first, int);

/* Of elements that a map did not come to. */
static int check_not_called(const tz_outcome *o, int n, tz_status status, int code)
{
	int uncalled = 0;

	for (int i = 0; i < n; i++) {
		if (atomic_load(&calls_of[i]))
			continue;
		uncalled++;
		assert_int_equal(o[i].status, status);
		assert_int_equal(o[i].code, code);
		assert_int_equal(o[i].worker, -1);
		assert_string_equal(o[i].message, "not called");
	}
	return uncalled;
}

static void says_which_were_not_called(struct subject *s)
{
	static tz_outcome o[500];
	static int got[500];
	int r;

	memset(o, 0x5a, sizeof o);
	atomic_store(&failed_one, 0);
	for (int i = 0; i < 500; i++) {
		numbers[i] = i;
		atomic_store(&calls_of[i], 0);
	}
	bounded(r, tz_map_with(s->ex, (&(tz_map_options){ .outcomes = o }), fail_first, 500, got,
			       numbers));
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(o[0].status, TZ_FAILED);
	assert_int_equal(o[0].code, -EDOM);
	for (int i = 1; i < 500; i++)
		if (atomic_load(&calls_of[i]))
			assert_int_equal(o[i].status, TZ_OK);
	assert_true(check_not_called(o, 500, TZ_CANCELLED, -ECANCELED) > 0);
	assert_string_equal(o[499].task, "fail_first");
}

static int wait_in_turn(int n)
{
	atomic_fetch_add(&calls_of[n], 1);
	(void)tz_sleep(CREW_PATIENCE);
	return n;
}
TZ_TASK(int, wait_in_turn, int);

static void says_which_a_deadline_kept_away(struct subject *s)
{
	static tz_outcome o[500];
	static int got[500];
	int r = 0;

	memset(o, 0x5a, sizeof o);
	for (int i = 0; i < 500; i++)
		atomic_store(&calls_of[i], 0);
	TZ_TIMEOUT(0.01) {
		r = tz_map_with(s->ex, (&(tz_map_options){ .outcomes = o }), wait_in_turn, 500, got,
				numbers);
	}
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(check_not_called(o, 500, TZ_TIMED_OUT, -ETIMEDOUT) > 0);
}

/* --- from inside ------------------------------------------------------------------------------------------------------------ */

static double sum_of_squares(int n)
{
	double in[64], squares[64], sum = 0;

	for (int i = 0; i < n; i++)
		in[i] = i;
	if (tz_map(tz_executor_current(), square, (size_t)n, squares, in) < 0)
		return tz_fail(tz_last()->code, "inner: %s", tz_last()->message), 0;
	for (int i = 0; i < n; i++)
		sum += squares[i];
	return sum;
}
TZ_TASK(double, sum_of_squares, int);

static tz_executor *subject_executor;

static double sum_in_map(int n)
{
	double in[64], squares[64], sum = 0;

	for (int i = 0; i < n; i++)
		in[i] = i;
	if (tz_map(subject_executor, square, (size_t)n, squares, in) < 0)
		return tz_fail(-EIO, "inner"), 0;
	for (int i = 0; i < n; i++)
		sum += squares[i];
	return sum;
}
TZ_TASK(double, sum_in_map, int);

static void maps_inside_jobs(struct subject *s)
{
	sum_of_squares_future f[20];

	for (int i = 0; i < 20; i++)
		f[i] = tz_submit(s->ex, sum_of_squares, 10);
	for (int i = 0; i < 20; i++) {
		double got = 0;

		settle(f[i]);
		assert_int_equal(tz_result(f[i], &got), 0);
		assert_true(got == 285);
	}
}

static void maps_inside_maps(struct subject *s)
{
	int r;

	subject_executor = s->ex;
	for (int i = 0; i < 200; i++)
		numbers[i] = i % 64;
	bounded(r, tz_map(s->ex, sum_in_map, 200, out, numbers));
	assert_int_equal(r, 0);
	for (int i = 0; i < 200; i++) {
		double n = i % 64;

		assert_true(out[i] == (n - 1) * n * (2 * n - 1) / 6);
	}
}

static int fail_in_inner_map(int n)
{
	int in[10], got[10];

	for (int i = 0; i < 10; i++)
		in[i] = 2 * i + (i == n);
	if (tz_map(tz_executor_current(), fail_odd, 10, got, in) == 0)
		return 0;
	return tz_last()->code == -EDOM ? 1 : -1; /* seen, so it is no failure of this job */
}
TZ_TASK(int, fail_in_inner_map, int);

static void keeps_an_inner_failure_inside(struct subject *s)
{
	int got = 0, r;

	bounded(r, tz_result(tz_submit(s->ex, fail_in_inner_map, 4), &got));
	assert_int_equal(r, 0);
	assert_int_equal(got, 1);
	bounded(r, tz_result(tz_submit(s->ex, fail_in_inner_map, 40), &got));
	assert_int_equal(r, 0);
	assert_int_equal(got, 0);
}

static int wait_in_element(int n)
{
	int r = tz_sleep(n == 5 ? CREW_PATIENCE : 0);

	return r < 0 ? tz_fail(r, "woken") : n;
}
TZ_TASK(int, wait_in_element, int);

static void ends_with_its_scope(struct subject *s)
{
	static int got[20];
	int r = 0;

	for (int i = 0; i < 20; i++)
		numbers[i] = i;
	TZ_TIMEOUT(0.05)
		r = tz_map(s->ex, wait_in_element, 20, got, numbers);
	/* The element that gave up may be what the map reports. */
	assert_true(r == -ETIMEDOUT || (r == -EREMOTEIO && tz_last()->code == -ETIMEDOUT));
}

static void refuses_when_shut_down(struct subject *s)
{
	int r;

	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	for (int i = 0; i < MANY; i++)
		doubles[i] = i;
	bounded(r, tz_map_with(s->ex, &(tz_map_options){ .chunk = 1 }, square, MANY, out, doubles));
	assert_int_equal(r, -ESHUTDOWN);
}

/* --- ranges -------------------------------------------------------------------------------------------------------------------- */

static void touch_range(size_t lo, size_t hi, void *arg)
{
	(void)arg;
	for (size_t i = lo; i < hi; i++)
		atomic_fetch_add_explicit(&touched[i], 1, memory_order_relaxed);
}

static void runs_ranges(struct subject *s)
{
	static const size_t chunks[] = { 0, MANY, SIZE_MAX };
	int r;

	for (size_t k = 0; k < sizeof chunks / sizeof *chunks; k++) {
		const tz_map_options options = { .chunk = chunks[k] };

		for (int i = 0; i < MANY; i++)
			atomic_store_explicit(&touched[i], 0, memory_order_relaxed);
		bounded(r, tz_for_range(s->ex, &options, 100, MANY - 1, touch_range, NULL));
		assert_int_equal(r, 0);
		for (int i = 0; i < MANY; i++)
			assert_int_equal(atomic_load_explicit(&touched[i], memory_order_relaxed),
					 i >= 100 && i < MANY - 1);
	}
	assert_int_equal(tz_for_range(s->ex, NULL, 5, 5, touch_range, NULL), 0);
	assert_int_equal(tz_for_range(s->ex, NULL, 6, 5, touch_range, NULL), -EINVAL);
	assert_int_equal(tz_for_range(s->ex, NULL, 5, 6, NULL, NULL), -EINVAL);
}

static void fail_range(size_t lo, size_t hi, void *arg)
{
	(void)arg;
	if (lo <= 700 && 700 < hi)
		(void)tz_fail(-EDOM, "700 is here");
}

static void tells_of_a_failed_range(struct subject *s)
{
	int r;

	bounded(r,
		tz_for_range(s->ex, &(tz_map_options){ .chunk = 10 }, 0, 1000, fail_range, NULL));
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EDOM);
	assert_non_null(strstr(tz_last()->message, "700 is here"));
}

/* --- reductions ------------------------------------------------------------------------------------------------------------------ */

static double add(double a, double b)
{
	return a + b;
}
TZ_REDUCER(double, add);

static void fill_with_fractions(void)
{
	for (int i = 0; i < MANY; i++)
		doubles[i] = 1.0 / (1 + (i * 7919) % MANY); /* whose sum depends on the order */
}

static void sums_to_the_last_bit(struct subject *s)
{
	static const double zero;
	tz_executor *inline_ex;
	double expected = 0, sum = 0;
	int r;

	fill_with_fractions();
	assert_int_equal(tz_executor_open(&inline_ex, "inline"), 0);
	for (size_t n = 1; n <= MANY; n = n * 7 + 3) {
		assert_int_equal(tz_reduce_array(inline_ex, add, &zero, n, doubles, &expected), 0);
		for (int round = 0; round < 5; round++) {
			bounded(r, tz_reduce_array(s->ex, add, &zero, n, doubles, &sum));
			assert_int_equal(r, 0);
			assert_memory_equal(&sum, &expected, sizeof sum);
		}
	}
	tz_executor_close(inline_ex);
}

/* The text of the tree: left and right never change places. */
struct text {
	char s[600];
};

static void write_letters(void *acc, size_t lo, size_t hi, void *arg)
{
	struct text *t = acc;
	size_t n = strlen(t->s);

	(void)arg;
	for (size_t i = lo; i < hi; i++)
		t->s[n++] = (char)('a' + i % 26);
	t->s[n] = '\0';
}

static void append(void *acc, const void *right, void *arg)
{
	struct text *t = acc;

	(void)arg;
	memcpy(t->s + strlen(t->s), ((const struct text *)right)->s,
	       strlen(((const struct text *)right)->s) + 1);
}

static void reduces_in_order(struct subject *s)
{
	static const struct text nothing;
	static struct text t;
	tz_reduction letters = { sizeof t, &nothing, write_letters, append, NULL, 7 };
	int r;

	bounded(r, tz_reduce(s->ex, NULL, &letters, 500, &t));
	assert_int_equal(r, 0);
	assert_int_equal(strlen(t.s), 500);
	for (int i = 0; i < 500; i++)
		assert_int_equal(t.s[i], 'a' + i % 26);
	bounded(r, tz_reduce(s->ex, NULL, &letters, 0, &t));
	assert_int_equal(r, 0);
	assert_string_equal(t.s, "");
}

static void fold_badly(void *acc, size_t lo, size_t hi, void *arg)
{
	(void)acc, (void)lo, (void)arg;
	if (hi == 50)
		(void)tz_fail(-EDOM, "fifty");
}

static void leaves_the_result_alone_on_failure(struct subject *s)
{
	static const struct text nothing;
	static struct text t = { "untouched" };
	tz_reduction bad = { sizeof t, &nothing, fold_badly, append, NULL, 10 };
	int r;

	bounded(r, tz_reduce(s->ex, NULL, &bad, 500, &t));
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EDOM);
	assert_string_equal(t.s, "untouched");
	bad.combine = NULL;
	assert_int_equal(tz_reduce(s->ex, NULL, &bad, 500, &t), -EINVAL);
}

static const struct conformance_case cases[] = {
	CASE("map of 0, 1, 10 and 100,000 elements, in order", maps_in_order),
	CASE("map with chunks and workers as told", maps_with_options),
	SHARING("map over several arrays", maps_several_arrays),
	SHARING("map calls each element once", calls_each_element_once),
	CASE("map reports the lowest failure, always the same", reports_the_lowest_failure),
	CASE("map calls all elements if told so", calls_all_in_spite_of_failures),
	CASE("map gives each element its outcome", gives_each_its_outcome),
	SHARING("map says which elements it did not call", says_which_were_not_called),
	SHARING("map says which elements its deadline kept away", says_which_a_deadline_kept_away),
	CASE("map inside jobs", maps_inside_jobs),
	CASE("map inside map", maps_inside_maps),
	CASE("the failure of a map inside a job is the job's to judge",
	     keeps_an_inner_failure_inside),
	CASE("map ends with its scope", ends_with_its_scope),
	CASE("map on an executor that was shut down", refuses_when_shut_down),
	SHARING("for-each over a range", runs_ranges),
	SHARING("for-each tells of a failed range", tells_of_a_failed_range),
	SHARING("sums are the same to the last bit", sums_to_the_last_bit),
	SHARING("reduce keeps left and right", reduces_in_order),
	SHARING("reduce leaves its result alone on failure", leaves_the_result_alone_on_failure),
};

int main(void)
{
	return RUN_CASES("map", cases);
}
