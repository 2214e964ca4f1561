/*
 * Our contender, area `shared`: messages through a pipe between two processes.
 */
#include <sys/wait.h>

#include <trenza.h>

#include "trenza_bench.h"

enum { SMALL = 64, LARGE = 1 << 20, TRIP = 64 };

static tz_connection *here, *there;
static char memory[LARGE];

/* A child at the other end of a pipe, which does work(n). */
static pid_t start(void (*work)(long n), long n)
{
	pid_t child;

	bench_check(tz_pipe(&here, &there, TZ_DUPLEX) == 0, "no pipe");
	child = fork();
	bench_check(child >= 0, "no child");
	if (child == 0) {
		tz_connection_close(here);
		work(n);
		_exit(0);
	}
	tz_connection_close(there);
	return child;
}

static void finish(pid_t child)
{
	int status;

	tz_connection_close(here);
	bench_check(waitpid(child, &status, 0) == child && status == 0, "the child failed");
}

static void send_small(long n)
{
	while (n-- > 0)
		bench_check(tz_send_bytes(there, memory, SMALL) == 0, "not sent");
}

static void send_large(long n)
{
	while (n-- > 0)
		bench_check(tz_send_bytes(there, memory, LARGE) == 0, "not sent");
}

static void send_back(long n)
{
	while (n-- > 0) {
		bench_check(tz_recv_bytes_into(there, memory, TRIP) == TRIP, "not received");
		bench_check(tz_send_bytes(there, memory, TRIP) == 0, "not sent");
	}
}

static void receive(void (*work)(long n), ptrdiff_t size, long n)
{
	pid_t child = start(work, n);

	while (n-- > 0)
		bench_check(tz_recv_bytes_into(here, memory, sizeof memory) == size,
			    "not received");
	finish(child);
}

static void small_by_two(long n)
{
	receive(send_small, SMALL, n);
}

static void large_by_two(long n)
{
	receive(send_large, LARGE, n);
}

static void trips(long n)
{
	pid_t child = start(send_back, n);

	while (n-- > 0) {
		bench_check(tz_send_bytes(here, memory, TRIP) == 0, "not sent");
		bench_check(tz_recv_bytes_into(here, memory, TRIP) == TRIP, "not received");
	}
	finish(child);
}

static double pipe_small(void)
{
	return 1e3 / bench_each(small_by_two, LONG_MAX);
}

static double pipe_large(void)
{
	return LARGE / bench_each(large_by_two, LONG_MAX);
}

static double pipe_trip(void)
{
	return bench_each(trips, LONG_MAX) * 1e-3;
}

const bench_workload connection_workloads[] = {
	{ "pipe-64b", pipe_small },
	{ "pipe-1m", pipe_large },
	{ "pipe-trip", pipe_trip },
	{ NULL, NULL },
};
