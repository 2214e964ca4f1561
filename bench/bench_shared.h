/*
 * What the benchmark programs of the area `shared` share. shared.py keeps the same sizes by hand.
 */
#ifndef BENCH_SHARED_H
#define BENCH_SHARED_H

#include <sys/mman.h>
#include <sys/wait.h>

#include "bench.h"

/* All-zero memory that children share. */
static inline void *bench_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bench_check(p != MAP_FAILED, "no memory");
	return p;
}

/* work(n) in this process and in a child at the same time. */
static inline void bench_by_two(void (*work)(long n), long n)
{
	int status;
	pid_t child = fork();
	bench_check(child >= 0, "no child");
	if (child == 0) {
		work(n);
		_exit(0);
	}
	work(n);
	bench_check(waitpid(child, &status, 0) == child && status == 0, "the child failed");
}

/* A lock and what it protects, on cache lines of their own. */
typedef struct bench_locked {
	char lock[128] __attribute__((aligned(128)));
	long counter __attribute__((aligned(128)));
} bench_locked;

#endif
