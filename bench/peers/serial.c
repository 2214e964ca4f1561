/*
 * The serial contender: what the work costs when nothing is handed to anybody.
 */
#include "../bench.h"

/* Not inlined into itself: gcc would fold several levels of the tree into one call. */
__attribute__((noinline)) static long fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static double fork_join(void)
{
	int n = 32;
	__asm__ volatile("" : "+r"(n));
	fib(n - 5);
	double start = bench_now();
	bench_check(fib(n) == bench_fib_value(n), "wrong fib");
	return (bench_now() - start) * 1e9 / bench_fib_spawns(n);
}

static void square(size_t n, const double *in, double *out)
{
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

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "fork-join-1", fork_join },
		{ "fork-join-2", fork_join },
		{ "map-10k", map_10k },
		{ "map-10m", map_10m },
		{ NULL, NULL },
	};
	return bench_main(argc, argv, table);
}
