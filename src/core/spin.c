/* The seats for spinners. See spin.h. */
#include "core/spin.h"

#include <stdatomic.h>
#include <unistd.h>

static _Atomic int seats; /* 0: not counted yet; else 1 + the number of seats */
static _Atomic int taken;

static int count_seats(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int n = cpus > 1 ? (int)cpus : 1;

	atomic_store_explicit(&seats, n, memory_order_relaxed);
	return n;
}

static int seat_count(void)
{
	int n = atomic_load_explicit(&seats, memory_order_relaxed);

	return (n ? n : count_seats()) - 1;
}

bool tz_spin_allowed(void)
{
	return seat_count() > 0;
}

bool tz_spin_sit(void)
{
	int n = seat_count();

	if (atomic_load_explicit(&taken, memory_order_relaxed) >= n)
		return false;
	if (atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed) < n)
		return true;
	tz_spin_leave();
	return false;
}

void tz_spin_leave(void)
{
	atomic_fetch_sub_explicit(&taken, 1, memory_order_relaxed);
}

void tz_spin_after_fork(void)
{
	atomic_store_explicit(&taken, 0, memory_order_relaxed);
}

struct tz_spin tz_spin_begin(uint32_t ns)
{
	struct tz_spin s = {
		.end = tz_clock_ticks() + tz_clock_ticks_per_us() * ns / 1000,
		.pauses = 1,
	};

	return s;
}
