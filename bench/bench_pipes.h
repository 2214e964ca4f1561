/*
 * Messages through a pipe between a process and its child, area `shared`: what the programs have in common. Each says how it makes a pipe, and how either side sends and
 * receives a message, all of `bench_memory`; pipes.py keeps the same sizes by hand.
 */
#ifndef BENCH_PIPES_H
#define BENCH_PIPES_H

#include <sys/wait.h>

#include "bench.h"

enum { BENCH_PIPE_SMALL = 64, BENCH_PIPE_LARGE = 1 << 20 };

enum bench_side { BENCH_PARENT, BENCH_CHILD };

typedef struct bench_line {
	void (*make)(void);
	void (*discard)(enum bench_side side); /* in this process */
	void (*send)(enum bench_side from, size_t size);
	void (*receive)(enum bench_side at, size_t size);
} bench_line;

static const bench_line *bench_by;
static char bench_memory[BENCH_PIPE_LARGE];
static size_t bench_message_size;

static inline pid_t bench_pipe_start(void (*work)(long n), long n)
{
	pid_t child;

	bench_by->make();
	child = fork();
	bench_check(child >= 0, "no child");
	if (child == 0) {
		bench_by->discard(BENCH_PARENT);
		work(n);
		_exit(0);
	}
	bench_by->discard(BENCH_CHILD);
	return child;
}

static inline void bench_pipe_finish(pid_t child)
{
	int status;

	bench_by->discard(BENCH_PARENT);
	bench_check(waitpid(child, &status, 0) == child && status == 0, "the child failed");
}

static inline void bench_pipe_send(long n)
{
	while (n-- > 0)
		bench_by->send(BENCH_CHILD, bench_message_size);
}

static inline void bench_pipe_send_back(long n)
{
	while (n-- > 0) {
		bench_by->receive(BENCH_CHILD, bench_message_size);
		bench_by->send(BENCH_CHILD, bench_message_size);
	}
}

static inline void bench_pipe_receive(long n)
{
	pid_t child = bench_pipe_start(bench_pipe_send, n);

	while (n-- > 0)
		bench_by->receive(BENCH_PARENT, bench_message_size);
	bench_pipe_finish(child);
}

static inline void bench_pipe_trips(long n)
{
	pid_t child = bench_pipe_start(bench_pipe_send_back, n);

	while (n-- > 0) {
		bench_by->send(BENCH_PARENT, bench_message_size);
		bench_by->receive(BENCH_PARENT, bench_message_size);
	}
	bench_pipe_finish(child);
}

static inline double bench_pipe_each(void (*work)(long n), size_t size)
{
	bench_message_size = size;
	return bench_each(work, LONG_MAX);
}

static inline double bench_pipe_small(void)
{
	return 1e3 / bench_pipe_each(bench_pipe_receive, BENCH_PIPE_SMALL);
}

static inline double bench_pipe_large(void)
{
	return BENCH_PIPE_LARGE / bench_pipe_each(bench_pipe_receive, BENCH_PIPE_LARGE);
}

static inline double bench_pipe_trip(void)
{
	return bench_pipe_each(bench_pipe_trips, BENCH_PIPE_SMALL) * 1e-3;
}

/* The rows of a table of workloads. */
#define BENCH_PIPE_ROWS { "pipe-64b", bench_pipe_small }, { "pipe-1m", bench_pipe_large }, { "pipe-trip", bench_pipe_trip }

#endif
