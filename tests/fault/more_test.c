/* Ranges, reductions, streams, deadlines, groups and strand-local values, when memory or threads run out at any point. */
#include "part.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 100 };

static atomic_char visited[MANY * 100];

static void visit(size_t lo, size_t hi, void *arg)
{
	(void)arg;
	for (size_t i = lo; i < hi; i++) {
		atomic_fetch_add(&visited[i], 1);
		for (volatile int k = 0; k < 200; k++) /* worth more than one worker */
			;
	}
}

static int ranged(tz_executor *ex)
{
	memset((void *)visited, 0, sizeof visited);
	int r = cause(tz_for_range(ex, NULL, 0, MANY * 100, visit, NULL));

	for (int i = 0; i < MANY * 100; i++)
		expect(r == 0 ? atomic_load(&visited[i]) == 1 : atomic_load(&visited[i]) <= 1);
	return r;
}

static double add(double a, double b)
{
	return a + b;
}
TZ_REDUCER(double, add);

static int reduced(tz_executor *ex)
{
	static double numbers[20000];
	double zero = 0, sum = -1;

	for (int i = 0; i < 20000; i++)
		numbers[i] = 1;
	int r = cause(tz_reduce_array(ex, add, &zero, 20000, numbers, &sum));

	expect(r == 0 ? sum == 20000 : sum == -1);
	return r;
}

static long fails_at_seven(long x)
{
	return x == 7 ? tz_fail(-EDOM, "seven") : x;
}
TZ_TASK(long, fails_at_seven, long);

/* An element's own failure, or the want of memory; nothing else, and never success. */
static int failing_map(tz_executor *ex)
{
	long in[MANY], out[MANY];
	static tz_outcome outcomes[MANY];
	tz_map_options o = { .policy = TZ_MAP_ALL, .outcomes = outcomes };

	for (long i = 0; i < MANY; i++)
		in[i] = i;
	int r = cause(tz_map_with(ex, &o, fails_at_seven, MANY, out, in));

	expect(r < 0);
	return r == -EDOM ? 0 : r;
}

static bool next(void *arg, square_args *ret)
{
	long *i = arg;

	ret->a1 = (*i)++;
	return ret->a1 < MANY;
}

static int streamed_as_completed(tz_executor *ex)
{
	tz_stream_options o = { .window = 20, .as_completed = true };
	square_stream s;
	long from = 0, v, sum = 0;
	int e, r = tz_stream_open(&s, ex, square, &o, next, &from);

	if (r < 0)
		return r;
	while ((e = tz_stream_next(s, &v)) != 0) {
		if (e < 0 && e != -EREMOTEIO)
			break;
		r = first(r, e < 0 ? cause(e) : 0);
		sum += e > 0 ? v : 0;
	}
	tz_stream_close(s);
	expect(r != 0 || e != 0 || sum == (MANY - 1L) * MANY * (2 * MANY - 1) / 6);
	return first(r, e);
}

/* Closed before its end. */
static int abandoned_stream(tz_executor *ex)
{
	square_stream s;
	long from = 0, v;
	int r = tz_stream_open(&s, ex, square, NULL, next, &from);

	if (r < 0)
		return r;
	int e = tz_stream_next(s, &v);

	tz_stream_close(s);
	return e < 0 ? cause(e) : 0;
}

struct big {
	char bytes[1000];
};

static struct big turn(struct big b)
{
	b.bytes[999]++;
	return b;
}
TZ_TASK(struct big, turn, struct big);

static int with_everything(tz_executor *ex)
{
	tz_submit_options o = { .name = "with everything",
				.deadline = tz_after(60),
				.retries = 1,
				.priority = TZ_PRIORITY_HIGH };
	int r = 0;

	for (int i = 0; i < 20; i++) {
		struct big b = { { 0 } };
		turn_future f = tz_submit_with(ex, &o, turn, b);
		int e = cause(tz_result(f, &b));

		expect(e != 0 || b.bytes[999] == 1);
		r = first(r, e);
	}
	return r;
}

static int waited_for(tz_executor *ex)
{
	square_future f[MANY];
	int r = 0;

	for (long i = 0; i < MANY; i++)
		f[i] = tz_submit(ex, square, i);
	int e = tz_wait_any(f, MANY, tz_never());

	r = first(r, e < 0 ? e : 0);
	e = tz_wait_first_failure(f, MANY, tz_never());
	r = first(r, e < 0 ? e : 0);
	expect(e < 0 || e == MANY || tz_done(f[e]) == 1);
	e = tz_wait_all(f, MANY, tz_never());
	r = first(r, e);
	return first(r, cause(tz_gather_all(f, MANY)));
}

static int cancelled(tz_executor *ex)
{
	int r = 0;

	for (long i = 0; i < MANY; i++) {
		square_future f = tz_submit(ex, square, i);
		long v = -1;

		(void)tz_cancel(f);
		int e = tz_result(f, &v);

		if (e == -EREMOTEIO && tz_last()->status != TZ_CANCELLED)
			r = first(r, tz_last()->code);
		expect(e == -EREMOTEIO || v == i * i);
	}
	return r;
}

static int dropped(tz_executor *ex)
{
	square_args args[MANY];

	for (long i = 0; i < MANY; i++) {
		args[i] = tz_bind(square, i);
		(void)tz_detach(tz_submit(ex, square, i));
	}
	return tz_submit_bulk(ex, NULL, square, MANY, args, NULL);
}

static void free_value(void *value)
{
	free(value);
}

static tz_local local = TZ_LOCAL_INIT(NULL, free_value, NULL);

/* Destroyed with the worker's strand. */
static int set_local(void)
{
	if (!tz_local_get(&local)) {
		void *value = malloc(100);

		if (!value)
			return -ENOMEM;
		int r = tz_local_set(&local, value);

		if (r < 0)
			free(value);
		return r;
	}
	return 0;
}
TZ_TASK(int, set_local, void);

static int with_locals(tz_executor *ex)
{
	set_local_future f[10];
	int r = 0;

	for (int i = 0; i < 10; i++)
		f[i] = tz_submit(ex, set_local);
	for (int i = 0; i < 10; i++) {
		int v = 0, e = cause(tz_result(f[i], &v));

		r = first(r, first(e, v));
	}
	free(tz_local_get(&local)); /* ours, where jobs run inline */
	return first(r, tz_local_set(&local, NULL) == -ENOMEM ? -ENOMEM : 0);
}

/* Nobody may help where there is an initializer: the wait needs a stand-in. */
static long square_there(long x)
{
	long v = 0;

	if (tz_result(tz_submit(tz_executor_current(), square, x), &v) < 0)
		(void)tz_fail(tz_last()->code, "%s", tz_last()->message);
	return v;
}
TZ_TASK(long, square_there, long);

static int without_help(tz_executor *ex)
{
	square_there_future f[3];
	int r = 0;

	for (long i = 0; i < 3; i++)
		f[i] = tz_submit(ex, square_there, i);
	for (long i = 0; i < 3; i++) {
		long v = -1;
		int e = cause(tz_result(f[i], &v));

		expect(e != 0 || v == i * i);
		r = first(r, e);
	}
	return r;
}

static tz_event gate;

static int wait_at_the_gate(void)
{
	return tz_event_wait_until(&gate, tz_after(40));
}
TZ_TASK(int, wait_at_the_gate, void);

static void open_the_gate(void)
{
	tz_event_set(&gate);
}
TZ_TASK(void, open_the_gate, void);

/* All workers wait for what comes from outside. */
static int from_outside(tz_executor *ex)
{
	wait_at_the_gate_future f[2];
	int r = 0, v = 0;

	if (strcmp(tz_executor_kind(ex), "inline") == 0)
		return 0;
	tz_event_clear(&gate);
	for (int i = 0; i < 2; i++)
		f[i] = tz_submit(ex, wait_at_the_gate);
	for (int i = 0; i < 2; i++)
		while (tz_done(f[i]) == 0 && tz_running(f[i]) == 0)
			(void)tz_sleep(0.0002);
	(void)tz_sleep(0.001); /* so that they sleep */
	r = first(r, cause(tz_result(tz_submit(ex, open_the_gate), NULL)));
	tz_event_set(&gate); /* or nobody would */
	for (int i = 0; i < 2; i++) {
		int e = cause(tz_result(f[i], &v));

		expect(e != 0 || v == 0);
		r = first(r, e);
	}
	return r;
}

static tz_executor *asked;
static _Atomic int dropped_for;

/* Who hears of a job's end may call the pool. */
static void ask_the_pool(const tz_outcome *outcome)
{
	tz_executor_stats stats;

	tz_executor_stats_of(asked, &stats);
	if (outcome->status != TZ_CRASHED)
		dropped_for = outcome->code;
}

static void submit_and_leave(long n)
{
	for (long i = 0; i < n; i++)
		(void)tz_detach(tz_submit(tz_executor_current(), square, i));
	pthread_exit(NULL);
}
TZ_TASK(void, submit_and_leave, long);

/* A worker ends with jobs in its queue. */
static int left_in_a_queue(tz_executor *ex)
{
	static const tz_submit_options urgent = { .priority = TZ_PRIORITY_HIGH };

	if (strcmp(tz_executor_kind(ex), "inline") == 0)
		return 0;
	asked = ex;
	dropped_for = 0;
	tz_unobserved_hook hook = tz_on_unobserved(ask_the_pool);
	int r = cause(tz_result(tz_submit_with(ex, &urgent, submit_and_leave, 20), NULL));

	expect(tz_executor_shutdown(ex, TZ_DRAIN, tz_never()) == 0);
	(void)tz_on_unobserved(hook);
	return first(dropped_for, r == -ECANCELED ? 0 : r);
}

static int applied(tz_executor *ex)
{
	long v = -1;
	int r = cause(tz_apply(ex, &v, square, 9));

	expect(r == 0 ? v == 81 : v == -1);
	return r;
}

static int submitted_map(tz_executor *ex)
{
	static long in[MANY], out[MANY];
	static square_args bound[MANY];

	for (int i = 0; i < MANY; i++) {
		in[i] = i;
		bound[i] = tz_bind(square, 3);
		out[i] = -1;
	}
	int r = cause(tz_result(tz_submit_map(ex, square, MANY, out, in), NULL));

	for (int i = 0; i < MANY; i++)
		expect(r == 0 ? out[i] == (long)i * i : out[i] == -1 || out[i] == (long)i * i);
	return first(
		r, cause(tz_result(tz_submit_map_bound(ex, NULL, square, MANY, out, bound), NULL)));
}

static long fail_third(long n)
{
	return n % 3 == 2 ? tz_fail(-EDOM, "third") : n;
}
TZ_TASK(long, fail_third, long);

static int streamed_in_chunks(tz_executor *ex)
{
	static long in[30];
	fail_third_stream s;
	long v, good = 0;
	int e, r = 0;

	for (int i = 0; i < 30; i++)
		in[i] = i;
	int opened = tz_stream_over(&s, ex, fail_third, TZ_OPTIONS(tz_stream_options, .chunk = 4),
				    30, in);

	if (opened < 0)
		return opened;
	while ((e = tz_stream_next(s, &v)) != 0) {
		if (e < 0 && e != -EREMOTEIO)
			break;
		good += e > 0;
		if (e < 0 && tz_last()->code != -EDOM)
			r = first(r, tz_last()->code);
	}
	tz_stream_close(s);
	expect(r != 0 || e != 0 || good == 20);
	return first(r, e);
}

static void hear(void *arg, long v)
{
	(void)v;
	atomic_fetch_add((atomic_int *)arg, 1);
}

static int called_back(tz_executor *ex)
{
	static atomic_int heard;
	square_future f = tz_submit(ex, square, 3);

	atomic_store(&heard, 0);
	int r = tz_on_result(f, square, hear, NULL, &heard);
	int e = cause(tz_result(f, NULL));

	while (r == 0 && e == 0 && atomic_load(&heard) == 0)
		(void)tz_sleep(0.0001);
	return first(r, e);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* With it, nobody runs what he waits for. */
static const tz_executor_options initialized = { .initializer = nothing };

#define EACH_HELPED(X) \
	X(ranged) \
	X(reduced) \
	X(failing_map) \
	X(streamed_as_completed) \
	X(abandoned_stream) \
	X(with_everything) \
	X(cancelled) \
	X(dropped) \
	X(from_outside) \
	X(left_in_a_queue) \
	X(with_locals) \
	X(applied) \
	X(submitted_map) \
	X(streamed_in_chunks) \
	X(called_back)
#define EACH_WITHOUT_HELP(X) X(waited_for) X(without_help)
#define EACH(X) EACH_HELPED(X) EACH_WITHOUT_HELP(X)
#define SWEEP_WITHOUT_HELP(work) SWEEP_WITH(work, &initialized)

EACH_HELPED(SWEEP)
EACH_WITHOUT_HELP(SWEEP_WITHOUT_HELP)

int main(void)
{
	const struct CMUnitTest tests[] = { EACH(ON_INLINE) EACH(ON_CHAOS) EACH(ON_THREADS) };

	return cmocka_run_group_tests_name("more", tests, NULL, NULL);
}
