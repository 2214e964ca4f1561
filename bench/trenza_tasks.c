/*
 * Our contender, area `tasks`: written as any user of the installed library would.
 */
#include <trenza.h>

#include "trenza_bench.h"
#include "trenza_nop.h"

#ifndef OUTSIDE_WORKERS
#define OUTSIDE_WORKERS "threads:1"
#endif

static tz_executor *ex;

static void open_executor(const char *spec)
{
	bench_check(tz_executor_open(&ex, spec) == 0, "no executor");
}

/* Runs a workload on an executor of its own. */
static double on(const char *spec, double (*workload)(void))
{
	open_executor(spec);
	double value = workload();
	tz_executor_close(ex);
	return value;
}

static void submit_window(long n)
{
	submit_nops(ex, n);
}

static double submit_outside_here(void)
{
	return bench_each(submit_window, BENCH_TASKS);
}

static double submit_outside(void)
{
	return on(OUTSIDE_WORKERS, submit_outside_here);
}

static void submit_bulks(long n)
{
	static nop_future window[BENCH_WINDOW];
	static nop_args args[BENCH_WINDOW];

	for (long i = 0; i < n; i += BENCH_WINDOW) {
		bench_check(tz_submit_bulk(ex, NULL, nop, BENCH_WINDOW, args, window) == 0,
			    "no bulk");
		for (long k = 0; k < BENCH_WINDOW; k++)
			bench_check(tz_result(window[k], NULL) == 0, "a task failed");
	}
}

static double submit_bulk_here(void)
{
	return bench_each(submit_bulks, BENCH_TASKS);
}

static double submit_bulk(void)
{
	return on(OUTSIDE_WORKERS, submit_bulk_here);
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

static double time_fib(int n)
{
	double start = bench_now();
	bench_check(fib(n) == bench_fib_value(n), "wrong fib");
	return (bench_now() - start) * 1e9 / bench_fib_spawns(n);
}

/* Inside a job, as the forks of a plain thread are calls. */
static double fork_join_job(int n)
{
	fib(n - 5);
	return time_fib(n);
}
TZ_TASK(double, fork_join_job, int);

static double fork_join_here(void)
{
	double ns = 0;
	bench_check(tz_result(tz_submit(ex, fork_join_job, 32), &ns) == 0, "the job failed");
	return ns;
}

static double fork_join_1(void)
{
	return on("threads:1", fork_join_here);
}

static double fork_join_2(void)
{
	return on("threads:2", fork_join_here);
}

static long nested_fib(int n);
TZ_TASK(long, nested_fib, int);

static long nested_fib(int n)
{
	if (n < 2)
		return n;
	nested_fib_future f = tz_submit(ex, nested_fib, n - 1);
	long a = 0, b = nested_fib(n - 2);
	bench_check(tz_result(f, &a) == 0, "a job failed");
	return a + b;
}

static double nested_submit_job(int n)
{
	nested_fib(n - 5);
	double start = bench_now();
	bench_check(nested_fib(n) == bench_fib_value(n), "wrong fib");
	return (bench_now() - start) * 1e9 / bench_fib_spawns(n);
}
TZ_TASK(double, nested_submit_job, int);

static double nested_submit_here(void)
{
	double ns = 0;
	bench_check(tz_result(tz_submit(ex, nested_submit_job, 22), &ns) == 0, "the job failed");
	return ns;
}

static double nested_submit(void)
{
	return on("threads:2", nested_submit_here);
}

static double square(double x)
{
	return x * x;
}
TZ_TASK(double, square, double);

static void map_square(size_t n, const double *in, double *out)
{
	bench_check(tz_map(ex, square, n, out, in) == 0, "the map failed");
}

static double map_10k_here(void)
{
	return bench_map(map_square, 10000);
}

static double map_10k(void)
{
	return on("threads:2", map_10k_here);
}

static double map_10m_here(void)
{
	return bench_map(map_square, 10000000);
}

static double map_10m(void)
{
	return on("threads:2", map_10m_here);
}

static void trip(void)
{
	bench_check(tz_result(tz_submit(ex, nop), NULL) == 0, "a task failed");
}

static void trips(long n)
{
	while (n-- > 0)
		trip();
}

static void spinning_trips(long n)
{
	while (n-- > 0) {
		nop_future f = tz_submit(ex, nop);
		while (tz_done(f) == 0)
			bench_pause();
		bench_check(tz_result(f, NULL) == 0, "a task failed");
	}
}

static double round_trip_spin_here(void)
{
	return bench_each(spinning_trips, LONG_MAX);
}

static double round_trip_spin(void)
{
	return on("threads:1", round_trip_spin_here);
}

static double round_trip_steady_here(void)
{
	return bench_each(trips, LONG_MAX);
}

static double round_trip_steady(void)
{
	return on("threads:1", round_trip_steady_here);
}

static double round_trip_parked_here(void)
{
	return bench_trips_parked(trip);
}

static double round_trip_parked(void)
{
	return on("threads:1", round_trip_parked_here);
}

static double idle_cpu_here(void)
{
	submit_window(BENCH_TASKS / 10);
	return bench_idle_cpu();
}

static double idle_cpu(void)
{
	return on("threads:2", idle_cpu_here);
}

const bench_workload tasks_workloads[] = {
	{ "submit-outside", submit_outside },
	{ "submit-bulk", submit_bulk },
	{ "fork-join-1", fork_join_1 },
	{ "fork-join-2", fork_join_2 },
	{ "nested-submit", nested_submit },
	{ "map-10k", map_10k },
	{ "map-10m", map_10m },
	{ "round-trip-spin", round_trip_spin },
	{ "round-trip-steady", round_trip_steady },
	{ "round-trip-parked", round_trip_parked },
	{ "idle-cpu", idle_cpu },
	{ NULL, NULL },
};
