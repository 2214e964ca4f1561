/*
 * Messages between processes through something that any of them can put into and take out of, area `shared`: what the programs have in common. Each says
 * how it makes one, puts and takes; messages.py keeps the same sizes by hand.
 */
#ifndef BENCH_MESSAGES_H
#define BENCH_MESSAGES_H

#include <sys/wait.h>

#include "bench.h"

enum { BENCH_SMALL = 64, BENCH_LARGE = 1 << 20, BENCH_BATCH = 64, BENCH_MANY = 4 };

typedef struct bench_channel {
	void (*make)(int which, size_t size); /* of two; before any process is started */
	void (*put)(int which, const void *data, size_t size, size_t n); /* n messages, one behind the other */
	size_t (*take)(int which, void *data, size_t size, size_t most); /* how many, at least one */
	void (*unmake)(int which);
	void (*leave)(void); /* at the end of a process, or NULL */
} bench_channel;

static const bench_channel *bench_through;
static char bench_data[BENCH_LARGE];
static size_t bench_size, bench_batch;

static inline void bench_put_all(long n)
{
	for (long left = n; left > 0;) {
		size_t now = (size_t)left < bench_batch ? (size_t)left : bench_batch;
		bench_through->put(0, bench_data, bench_size, now);
		left -= (long)now;
	}
}

static inline void bench_take_all(long n)
{
	for (long left = n; left > 0;)
		left -= (long)bench_through->take(0, bench_data, bench_size, (size_t)left < bench_batch ? (size_t)left : bench_batch);
}

static inline void bench_send_back(long n)
{
	while (n-- > 0) {
		bench_through->take(0, bench_data, bench_size, 1);
		bench_through->put(1, bench_data, bench_size, 1);
	}
}

static inline pid_t bench_start(void (*work)(long n), long n)
{
	pid_t child = fork();
	bench_check(child >= 0, "no child");
	if (child == 0) {
		work(n);
		if (bench_through->leave)
			bench_through->leave();
		_exit(0);
	}
	return child;
}

static inline void bench_finish(pid_t child)
{
	int status;
	bench_check(waitpid(child, &status, 0) == child && status == 0, "a child failed");
}

static inline void bench_pass(int processes, long n)
{
	pid_t child[2 * BENCH_MANY];
	bench_through->make(0, bench_size);
	for (int i = 0; i < processes; i++) {
		child[2 * i] = bench_start(bench_put_all, n);
		child[2 * i + 1] = bench_start(bench_take_all, n);
	}
	for (int i = 0; i < 2 * processes; i++)
		bench_finish(child[i]);
	bench_through->unmake(0);
}

static inline void bench_pass_1(long n)
{
	bench_pass(1, n);
}

static inline void bench_pass_4(long n)
{
	bench_pass(BENCH_MANY, n / BENCH_MANY + 1);
}

static inline void bench_trips(long n)
{
	pid_t child;
	bench_through->make(0, bench_size);
	bench_through->make(1, bench_size);
	child = bench_start(bench_send_back, n);
	while (n-- > 0) {
		bench_through->put(0, bench_data, bench_size, 1);
		bench_through->take(1, bench_data, bench_size, 1);
	}
	bench_finish(child);
	bench_through->unmake(0);
	bench_through->unmake(1);
}

static inline void bench_one_trip(void)
{
	bench_through->put(0, bench_data, bench_size, 1);
	bench_through->take(1, bench_data, bench_size, 1);
}

static inline double bench_rate(void (*pass)(long n), size_t size, size_t batch)
{
	bench_size = size;
	bench_batch = batch;
	return bench_each(pass, LONG_MAX);
}

static inline double bench_small_1(void)
{
	return 1e3 / bench_rate(bench_pass_1, BENCH_SMALL, 1);
}

static inline double bench_small_4(void)
{
	return 1e3 / bench_rate(bench_pass_4, BENCH_SMALL, 1);
}

static inline double bench_batch_1(void)
{
	return 1e3 / bench_rate(bench_pass_1, BENCH_SMALL, BENCH_BATCH);
}

static inline double bench_batch_4(void)
{
	return 1e3 / bench_rate(bench_pass_4, BENCH_SMALL, BENCH_BATCH);
}

static inline double bench_large_1(void)
{
	return BENCH_LARGE / bench_rate(bench_pass_1, BENCH_LARGE, 1);
}

static inline double bench_steady_trip(void)
{
	return bench_rate(bench_trips, BENCH_SMALL, 1) * 1e-3;
}

static inline double bench_parked_trip(void)
{
	pid_t child;
	double ns;
	bench_size = BENCH_SMALL;
	bench_through->make(0, bench_size);
	bench_through->make(1, bench_size);
	child = bench_start(bench_send_back, BENCH_PARKED_TRIPS + 10);
	ns = bench_trips_parked(bench_one_trip);
	bench_finish(child);
	bench_through->unmake(0);
	bench_through->unmake(1);
	return ns * 1e-3;
}

/* The rows of a table of workloads. */
#define BENCH_MESSAGE_ROWS \
	{ "shared-64b", bench_small_1 }, { "shared-64b-4", bench_small_4 }, { "shared-batch", bench_batch_1 }, \
		{ "shared-batch-4", bench_batch_4 }, { "shared-1m", bench_large_1 }, { "shared-trip", bench_steady_trip }, \
		{ "shared-trip-parked", bench_parked_trip }

#endif
