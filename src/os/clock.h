/* The clocks of the system. */
#ifndef TZ_OS_CLOCK_H
#define TZ_OS_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in nanoseconds; never 0. Async-signal-safe. */
uint64_t tz_clock_now(void);

/* A cheap counter for measuring short spans, and its ticks a microsecond (never 0). The counter need not be
 * synchronised between processors: a span that comes out negative counts as 0. */
static inline uint64_t tz_clock_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t t;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#else
	return tz_clock_now();
#endif
}
uint64_t tz_clock_ticks_per_us(void);

/* The same if it has been measured, else 0; and what is known from elsewhere. */
uint64_t tz_clock_known_ticks_per_us(void);
void tz_clock_set_ticks_per_us(uint64_t ticks);

#endif
