/*
 * The OpenMP contenders: built by gcc against libgomp and by clang against libomp.
 *
 * OpenMP has no futures: a task is awaited with its siblings (taskwait). libgomp runs a new task
 * at once, on the thread that makes it, whenever many are waiting already.
 * A round trip is an empty parallel region of two threads: the other one wakes up, comes, and is
 * awaited at the end. The wait policy is read before main, so it is set by running ourselves again.
 */
#define _GNU_SOURCE
#include <omp.h>

#include "../bench.h"

static void submit_n(long n)
{
#pragma omp parallel num_threads(2)
#pragma omp single
	for (long i = 0; i < n; i++) {
#pragma omp task
		bench_nop();
	}
}

static double submit_outside(void)
{
	return bench_each(submit_n, BENCH_TASKS);
}

static void bulk_n(long n)
{
#pragma omp parallel num_threads(2)
#pragma omp single
#pragma omp taskloop grainsize(1)
	for (unsigned long i = 0; i < (unsigned long)n; i++)
		bench_nop();
}

static double submit_bulk(void)
{
	return bench_each(bulk_n, BENCH_TASKS);
}

static long fib(int n)
{
	long a, b;
	if (n < 2)
		return n;
#pragma omp task shared(a)
	a = fib(n - 1);
	b = fib(n - 2);
#pragma omp taskwait
	return a + b;
}

static double fork_join(int n, int threads)
{
	long value = 0;
	double start = 0, end = 0;
#pragma omp parallel num_threads(threads)
#pragma omp single
	{
		fib(n - 5);
		start = bench_now();
		value = fib(n);
		end = bench_now();
	}
	bench_check(value == bench_fib_value(n), "wrong fib");
	return (end - start) * 1e9 / bench_fib_spawns(n);
}

static double fork_join_1(void)
{
	return fork_join(29, 1);
}

static double fork_join_2(void)
{
	return fork_join(26, 2);
}

static double nested_submit(void)
{
	return fork_join(20, 2);
}

static void square(size_t n, const double *in, double *out)
{
#pragma omp parallel for num_threads(2) schedule(static)
	for (size_t i = 0; i < n; i++)
		out[i] = in[i] * in[i];
}

static double map_10k(void)
{
	return bench_map(square, 10000);
}

static double map_10m(void)
{
	return bench_map(square, 10000000);
}

static void trip(void)
{
#pragma omp parallel num_threads(2)
	bench_nop();
}

static void trips(long n)
{
	while (n-- > 0)
		trip();
}

static void wait_policy(const char *policy)
{
	const char *now = getenv("OMP_WAIT_POLICY");
	if (now && strcmp(now, policy) == 0)
		return;
	static char self[4096];
	extern char **environ;
	FILE *f = fopen("/proc/self/cmdline", "r");
	size_t n = f ? fread(self, 1, sizeof self - 1, f) : 0;
	char *workload = self + strlen(self) + 1;
	bench_check(n > 0 && workload < self + n, "cannot read my own name");
	setenv("OMP_WAIT_POLICY", policy, 1);
	execle("/proc/self/exe", self, workload, NULL, environ);
	bench_check(0, "cannot run myself again");
}

static double round_trip_spin(void)
{
	wait_policy("active");
	return bench_each(trips, LONG_MAX);
}

static double round_trip_steady(void)
{
	return bench_each(trips, LONG_MAX);
}

static double round_trip_parked(void)
{
	wait_policy("passive");
	return bench_trips_parked(trip);
}

static double idle_cpu(void)
{
	submit_n(BENCH_TASKS / 10);
	return bench_idle_cpu();
}

static _Alignas(128) omp_lock_t lock;
static _Alignas(128) long counter;

static void lock_loop(long n)
{
	while (n-- > 0) {
		omp_set_lock(&lock);
		counter++;
		omp_unset_lock(&lock);
	}
}

static double lock_alone(void)
{
	omp_init_lock(&lock);
	return bench_each(lock_loop, LONG_MAX);
}

static void lock_by_two(long n)
{
	counter = 0;
#pragma omp parallel num_threads(2)
	lock_loop(n / 2);
	bench_check(counter == n / 2 * 2, "lost updates");
}

static double lock_contended(void)
{
	omp_init_lock(&lock);
	return bench_each(lock_by_two, LONG_MAX);
}

static void barrier_handovers(long n)
{
#pragma omp parallel num_threads(2)
	for (long i = 0; i < n; i++) {
#pragma omp barrier
	}
}

static double barrier_handover(void)
{
	return bench_each(barrier_handovers, LONG_MAX);
}

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
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
		{ "lock-alone", lock_alone },
		{ "lock-contended", lock_contended },
		{ "barrier-handover", barrier_handover },
		{ "idle-cpu", idle_cpu },
		{ NULL, NULL },
	};
	return bench_main(argc, argv, table);
}
