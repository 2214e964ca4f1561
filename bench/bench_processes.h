/*
 * What the benchmark programs of the area `processes` share. processes.py keeps the same sizes by hand.
 */
#ifndef BENCH_PROCESSES_H
#define BENCH_PROCESSES_H

#include <sys/mman.h>

#include "bench.h"

enum {
	BENCH_STARTS = 300, /* the most children started one after the other */
	BENCH_MAP = 100000, /* tasks of a map */
	BENCH_CRASHES = 40,
	BENCH_BYTES = 100000000, /* of an argument, and of the result */
	BENCH_BYTES_RUNS = 5,
};

/* A crash leaves no core file: writing it takes longer than all the rest. */
static inline void bench_no_cores(void)
{
	struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
}

/*
 * CPU time in seconds of this program and of all processes that it has started, whoever waits for them:
 * that of the control group that bench/run has put it into. Negative if there is none.
 */
static inline double bench_group_cpu(void)
{
	const char *path = getenv("BENCH_CPU");
	FILE *f = path ? fopen(path, "r") : NULL;
	char line[128];
	double value = -1;
	while (f && fgets(line, sizeof line, f)) {
		double n;
		if (sscanf(line, "usage_usec %lf", &n) == 1) /* cgroup v2: cpu.stat */
			value = n * 1e-6;
		else if (sscanf(line, "%lf", &n) == 1) /* v1: cpuacct.usage */
			value = n * 1e-9;
	}
	if (f)
		fclose(f);
	return value;
}

/* Median microseconds of `once`, which starts and ends something, and the CPU time of one as a further part. */
static inline double bench_starts(void (*once)(void))
{
	double took[BENCH_STARTS], end;
	int n = 0;
	for (int i = 0; i < 3; i++)
		once();
	double cpu = bench_group_cpu();
	end = bench_now() + 0.5;
	do {
		double start = bench_now();
		once();
		took[n++] = (bench_now() - start) * 1e6;
	} while (n < BENCH_STARTS && (n < 5 || bench_now() < end));
	if (cpu >= 0)
		bench_part("cpu", (bench_group_cpu() - cpu) * 1e6 / n);
	return bench_median(took, (size_t)n);
}

/* The same in a process that occupies a gibibyte. */
static inline double bench_starts_1g(void (*once)(void))
{
	size_t size = (size_t)1 << 30;
	char *memory = (char *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				    -1, 0);
	bench_check(memory != MAP_FAILED, "no memory");
	madvise(memory, size, MADV_NOHUGEPAGE); /* as memory that has come in small pieces */
	memset(memory, 1, size);
	return bench_starts(once);
}

static inline char *bench_bytes(void)
{
	char *p = (char *)malloc(BENCH_BYTES);
	bench_check(p != NULL, "no memory");
	for (size_t i = 0; i < BENCH_BYTES; i++)
		p[i] = (char)(i * 31);
	return p;
}

#endif
