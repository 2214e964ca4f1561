/*
 * Our contender, area `shared`: queues between processes.
 */
#include <trenza.h>

#include "bench_messages.h"
#include "trenza_bench.h"

static tz_shared_queue *queue[2];

static void make(int which, size_t size)
{
	size_t usual = size < 1000 ? size : 0;
	bench_check(tz_shared_queue_open(&queue[which], TZ_OPTIONS(tz_shared_queue_options, .message = usual,
								   .capacity = usual ? BENCH_QUEUE : 8)) == 0,
		    "no queue");
}

static void put(int which, const void *data, size_t size, size_t n)
{
	bench_check(tz_shared_queue_put_n(queue[which], data, size, n) == (ptrdiff_t)n, "not put");
}

static size_t take(int which, void *data, size_t size, size_t most)
{
	ptrdiff_t n = tz_shared_queue_get_n(queue[which], data, size, most);
	bench_check(n > 0, "not taken");
	return (size_t)n;
}

static void unmake(int which)
{
	tz_shared_queue_close(queue[which]);
}

static const bench_channel channel = { make, put, take, unmake, NULL };

#define THROUGH(fn) \
	static double through_##fn(void) \
	{ \
		bench_through = &channel; \
		return fn(); \
	}
THROUGH(bench_small_1)
THROUGH(bench_small_4)
THROUGH(bench_batch_1)
THROUGH(bench_batch_4)
THROUGH(bench_large_1)
THROUGH(bench_steady_trip)
THROUGH(bench_parked_trip)

const bench_workload queue_workloads[] = {
	{ "shared-64b", through_bench_small_1 },   { "shared-64b-4", through_bench_small_4 },
	{ "shared-batch", through_bench_batch_1 }, { "shared-batch-4", through_bench_batch_4 },
	{ "shared-1m", through_bench_large_1 },	   { "shared-trip", through_bench_steady_trip },
	{ "shared-trip-parked", through_bench_parked_trip }, { NULL, NULL },
};
