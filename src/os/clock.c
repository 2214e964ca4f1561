/* The monotonic clock, and how fast the tick counter runs beside it. */
#include "os/clock.h"

#include <stdatomic.h>
#include <time.h>

uint64_t tz_clock_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail: the clock exists and t is ours */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#if defined(__x86_64__)
/* Measured once, over 200 us or more: exact to a few per cent, which is all that spans of microseconds need. */
static uint64_t measure_ticks_per_us(void)
{
	uint64_t ns0 = tz_clock_now(), t0 = tz_clock_ticks(), ns;

	do
		ns = tz_clock_now() - ns0;
	while (ns < 200000);
	uint64_t ticks = (tz_clock_ticks() - t0) * 1000 / ns;
	return ticks ? ticks : 1;
}
#elif defined(__aarch64__)
static uint64_t measure_ticks_per_us(void)
{
	uint64_t hz;
	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
	return hz >= 1000000 ? hz / 1000000 : 1;
}
#else
static uint64_t measure_ticks_per_us(void)
{
	return 1000;
}
#endif

static _Atomic uint64_t cached;

uint64_t tz_clock_known_ticks_per_us(void)
{
	return atomic_load_explicit(&cached, memory_order_relaxed);
}

void tz_clock_set_ticks_per_us(uint64_t ticks)
{
	atomic_store_explicit(&cached, ticks, memory_order_relaxed);
}

uint64_t tz_clock_ticks_per_us(void)
{
	uint64_t t = atomic_load_explicit(&cached, memory_order_relaxed);

	if (t == 0) {
		t = measure_ticks_per_us();
		atomic_store_explicit(&cached, t, memory_order_relaxed);
	}
	return t;
}
