/* Executors, when memory or threads run out at any point. */
#include "part.h"

enum { MANY = 200 };

static long nested(long x);
TZ_TASK(long, nested, long);
static long nested(long x)
{
	long a = 0;
	if (x == 0)
		return 0;
	if (tz_result(tz_submit(tz_executor_current(), nested, x - 1), &a) < 0) {
		tz_fail(tz_last()->code, "%s", tz_last()->message);
		return 0;
	}
	return a + 1;
}

static long fib(int n);
TZ_TASK(long, fib, int);
static long fib(int n)
{
	if (n < 2)
		return n;
	fib_fork f = tz_fork(fib, n - 1);
	long b = fib(n - 2);
	return tz_join(f) + b;
}

static bool next(void *arg, square_args *ret)
{
	long *i = arg;
	ret->a1 = (*i)++;
	return ret->a1 < MANY;
}

static int one_by_one(tz_executor *ex)
{
	int r = 0;
	for (long i = 0; i < MANY; i++) {
		long v = -1;
		int e = cause(tz_result(tz_submit(ex, square, i), &v));
		expect(e != 0 || v == i * i);
		r = first(r, e);
	}
	expect(r != 0 || atomic_load(&calls) == MANY);
	return r;
}

static int together(tz_executor *ex)
{
	square_future f[MANY];
	int r = 0;
	for (long i = 0; i < MANY; i++)
		f[i] = tz_submit(ex, square, i);
	for (long i = 0; i < MANY; i++) {
		long v = -1;
		int e = cause(tz_result(f[i], &v));
		expect(e != 0 || v == i * i);
		r = first(r, e);
	}
	expect(r != 0 || atomic_load(&calls) == MANY);
	return r;
}

static int in_bulk(tz_executor *ex)
{
	square_args args[MANY];
	square_future f[MANY];
	for (long i = 0; i < MANY; i++)
		args[i] = tz_bind(square, i);
	int r = tz_submit_bulk(ex, NULL, square, MANY, args, f);
	expect(r == 0);
	r = cause(tz_gather_all(f, MANY));
	expect(r != 0 || atomic_load(&calls) == MANY);
	return r;
}

static int as_completed(tz_executor *ex)
{
	square_future f[MANY];
	bool seen[MANY] = { false };
	tz_completed *it = NULL;
	for (long i = 0; i < MANY; i++)
		f[i] = tz_submit(ex, square, i);
	int r = tz_as_completed(&it, f, MANY);
	for (int i; r == 0 && (i = tz_completed_next(it, tz_never())) != -ENOENT;) {
		expect(i >= 0 && i < MANY && !seen[i]);
		seen[i] = true;
	}
	for (int i = 0; i < MANY; i++)
		expect(r != 0 || seen[i]);
	tz_completed_close(it);
	return first(r, cause(tz_gather_all(f, MANY)));
}

static void count(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)outcome;
	(void)result;
	atomic_fetch_add((atomic_int *)arg, 1);
}

static int with_callbacks(tz_executor *ex)
{
	square_future f[MANY];
	atomic_int called = 0;
	int r = 0, added = 0;
	for (long i = 0; i < MANY; i++) {
		f[i] = tz_submit(ex, square, i);
		int e = tz_on_done(f[i], count, &called);
		added += e == 0;
		r = first(r, e);
	}
	r = first(r, cause(tz_gather_all(f, MANY)));
	tz_deadline end = tz_after(30);
	while (atomic_load(&called) < added && !tz_expired(end))
		tz_sleep(0.0005);
	expect(atomic_load(&called) == added);
	return r;
}

static int mapped(tz_executor *ex)
{
	long in[MANY], out[MANY];
	for (long i = 0; i < MANY; i++)
		in[i] = i;
	int r = cause(tz_map(ex, square, MANY, out, in));
	for (long i = 0; i < MANY && r == 0; i++)
		expect(out[i] == i * i);
	return r;
}

static int streamed(tz_executor *ex)
{
	square_stream s;
	long from = 0, v;
	int got = 0, e, r = tz_stream_open(&s, ex, square, NULL, next, &from);
	if (r < 0)
		return r;
	while ((e = tz_stream_next(s, &v)) != 0) {
		if (e > 0)
			expect(v == (long)got * got);
		else if (e != -EREMOTEIO)
			break;
		r = first(r, e < 0 ? cause(e) : 0);
		got++;
	}
	expect(r != 0 || got == MANY);
	tz_stream_close(s);
	return first(r, e);
}

static int in_a_scope(tz_executor *ex)
{
	tz_scope s = { 0 };
	tz_scope_enter(&s, tz_never());
	for (long i = 0; i < MANY; i++)
		(void)tz_scope_submit(&s, ex, square, i);
	int r = cause(tz_scope_leave(&s));
	expect(r != 0 || atomic_load(&calls) == MANY);
	return r;
}

static int forked(tz_executor *ex)
{
	long v = 0;
	int r = cause(tz_result(tz_submit(ex, fib, 12), &v));
	expect(r != 0 || v == 144);
	return r;
}

static int deep(tz_executor *ex)
{
	long v = 0;
	int r = cause(tz_result(tz_submit(ex, nested, 20), &v));
	expect(r != 0 || v == 20);
	return r;
}

#define EACH(X) \
	X(one_by_one) X(together) X(in_bulk) X(as_completed) X(with_callbacks) X(mapped) X(streamed) X(in_a_scope) X(forked) X(deep)

EACH(SWEEP)

int main(void)
{
	const struct CMUnitTest tests[] = { EACH(ON_INLINE) EACH(ON_CHAOS) EACH(ON_THREADS) };

	return cmocka_run_group_tests_name("executor", tests, NULL, NULL);
}
