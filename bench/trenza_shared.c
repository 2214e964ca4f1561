/*
 * Our contender, area `shared`: what several processes use.
 */
#include <trenza.h>

#include "bench_shared.h"
#include "trenza_bench.h"

static bench_locked *locked;

static void lock_loop(long n)
{
	tz_shared_lock *lock = (tz_shared_lock *)(void *)locked->lock;

	while (n-- > 0) {
		bench_check(tz_shared_lock_acquire(lock) == 0, "no lock");
		locked->counter++;
		tz_shared_lock_release(lock);
	}
}

static double lock_alone(void)
{
	locked = (bench_locked *)bench_shared(sizeof *locked);
	return bench_each(lock_loop, LONG_MAX);
}

static void lock_by_two(long n)
{
	locked->counter = 0;
	bench_by_two(lock_loop, n / 2);
	bench_check(locked->counter == n / 2 * 2, "lost updates");
}

static double lock_contended(void)
{
	locked = (bench_locked *)bench_shared(sizeof *locked);
	return bench_each(lock_by_two, LONG_MAX);
}

const bench_workload shared_workloads[] = {
	{ "shared-lock-alone", lock_alone },
	{ "shared-lock-contended", lock_contended },
	{ NULL, NULL },
};
