/*
 * Our contender, the bare switch of two contexts: a part of the library that has no public face, and
 * is therefore built into this program once more.
 */
#include "os/context.h"

#include "../trenza_bench.h"

static struct tz_context here, there;

static void turn_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		tz_context_switch(&there, &here);
}

static void switches(long n)
{
	for (long i = 0; i < n; i += 2)
		tz_context_switch(&here, &there);
}

static double switch_bare(void)
{
	static _Alignas(4096) char stack[65536];

	tz_context_of_thread(&here);
	bench_check(tz_context_make(&there, stack, sizeof stack, turn_for_ever, NULL) == 0,
		    "no context");
	return bench_each(switches, LONG_MAX);
}

const bench_workload internal_workloads[] = {
	{ "switch-bare", switch_bare },
	{ NULL, NULL },
};
