/*
 * Our contender, area `shared`: messages through a pipe between two processes.
 */
#include <trenza.h>

#include "bench_pipes.h"
#include "trenza_bench.h"

static tz_connection *end[2]; /* by side */

static void make(void)
{
	bench_check(tz_pipe(&end[BENCH_PARENT], &end[BENCH_CHILD], TZ_DUPLEX) == 0, "no pipe");
}

static void discard(enum bench_side side)
{
	tz_connection_close(end[side]);
}

static void send_one(enum bench_side from, size_t size)
{
	bench_check(tz_send_bytes(end[from], bench_memory, size) == 0, "not sent");
}

static void receive(enum bench_side at, size_t size)
{
	bench_check(tz_recv_bytes_into(end[at], bench_memory, sizeof bench_memory) == (ptrdiff_t)size,
		    "not received");
}

static const bench_line line = { make, discard, send_one, receive };

static double pipe_small(void)
{
	bench_by = &line;
	return bench_pipe_small();
}

static double pipe_large(void)
{
	bench_by = &line;
	return bench_pipe_large();
}

static double pipe_trip(void)
{
	bench_by = &line;
	return bench_pipe_trip();
}

const bench_workload connection_workloads[] = {
	{ "pipe-64b", pipe_small },
	{ "pipe-1m", pipe_large },
	{ "pipe-trip", pipe_trip },
	{ NULL, NULL },
};
