/*
 * Our contender's empty task, and a stream of them.
 */
#ifndef TRENZA_NOP_H
#define TRENZA_NOP_H

#include <trenza.h>

#include "bench.h"

static void nop(void)
{
	bench_nop();
}
TZ_TASK(void, nop, void);

/* Submits n of them; at most BENCH_WINDOW are outstanding, and the oldest is waited for. */
static inline void submit_nops(tz_executor *ex, long n)
{
	static nop_future window[BENCH_WINDOW];

	for (long i = 0; i < n; i++) {
		nop_future *f = &window[i % BENCH_WINDOW];
		if (i >= BENCH_WINDOW)
			bench_check(tz_result(*f, NULL) == 0, "a task failed");
		*f = tz_submit(ex, nop);
	}
	for (long i = 0; i < BENCH_WINDOW && i < n; i++)
		bench_check(tz_result(window[i], NULL) == 0, "a task failed");
}

#endif
