/*
 * The ucontext contender: makecontext and swapcontext of glibc, which save the signal mask by two
 * system calls a switch.
 */
#include <ucontext.h>

#include "../bench.h"

static ucontext_t here, there;
static char stack[65536];

static void turn_for_ever(void)
{
	for (;;)
		swapcontext(&there, &here);
}

static void switches(long n)
{
	for (long i = 0; i < n; i += 2)
		swapcontext(&here, &there);
}

static void make(void (*entry)(void))
{
	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = sizeof stack;
	there.uc_link = &here;
	makecontext(&there, entry, 0);
}

static double switch_bare(void)
{
	make(turn_for_ever);
	return bench_each(switches, LONG_MAX);
}

static void empty(void)
{
	bench_nop();
}

static void spawns(long n)
{
	while (n-- > 0) {
		make(empty);
		swapcontext(&here, &there);
	}
}

static double spawn_join(void)
{
	return bench_each(spawns, LONG_MAX);
}

static void yield_once(void)
{
	swapcontext(&there, &here);
}

static void spawns_that_yield(long n)
{
	while (n-- > 0) {
		make(yield_once);
		swapcontext(&here, &there);
		swapcontext(&here, &there);
	}
}

static double spawn_yield_join(void)
{
	return bench_each(spawns_that_yield, LONG_MAX);
}

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "switch-bare", switch_bare },
		{ "spawn-join", spawn_join },
		{ "spawn-yield-join", spawn_yield_join },
		{ NULL, NULL },
	};
	return bench_main(argc, argv, table);
}
