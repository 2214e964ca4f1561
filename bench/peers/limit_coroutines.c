/*
 * The physical bounds of coroutines: the instructions that exchange two stacks, the pages that a
 * million stacks touch, and the kernel's own sleep.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/prctl.h>

#include "../bench.h"

enum {
	STACK = 65536,
	RING = 1000,
};

/* Where a stack goes on. */
typedef struct place {
	void *sp, *fp, *pc;
} place;

/*
 * Stops here and goes on there. The compiler keeps what it needs; floating-point modes and signal
 * masks stay. It ends in a jump, as a return to another stack is always predicted wrongly.
 */
#if defined(__x86_64__)
static inline __attribute__((always_inline)) void change(place *from, place *to)
{
	__asm__ volatile("movq %%rsp, (%0)\n\t"
			 "movq %%rbp, 8(%0)\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "movq %%rax, 16(%0)\n\t"
			 "movq (%1), %%rsp\n\t"
			 "movq 8(%1), %%rbp\n\t"
			 "jmpq *16(%1)\n"
			 "1:\n\t"
			 : "+D"(from), "+S"(to)
			 :
			 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
			   "st(7)", "cc", "memory");
}
#else
static void change(place *from, place *to)
{
	(void)from;
	(void)to;
	bench_check(0, "no assembly for this processor");
}
#endif

/* A stack that will begin with `entry`, as if it had been called. */
static place prepare(char *stack, void (*entry)(void))
{
	return (place){ stack + STACK - sizeof(void *), NULL, (void *)(uintptr_t)entry };
}

/* Where each stack of the ring was left; the main one is 0. */
static place left[RING];
static size_t ring;

static void turn_for_ever(void)
{
	for (;;)
		change(&left[1], &left[0]);
}

static void switches(long n)
{
	for (long i = 0; i < n; i += 2)
		change(&left[0], &left[1]);
}

/* Stack i begins at i * `stride`. */
static char *many_stacks(size_t n, size_t stride)
{
	void *p = mmap(NULL, n * stride, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	bench_check(p != MAP_FAILED, "no stacks");
	madvise(p, n * stride, MADV_NOHUGEPAGE);
	return p;
}

static double switch_bare(void)
{
	left[1] = prepare(many_stacks(1, STACK), turn_for_ever);
	return bench_each(switches, LONG_MAX);
}

static size_t running;

/* A call, as of any library's yield: it leaves something on the stack, and finds it there again. */
__attribute__((noinline)) static void yield(void)
{
	size_t me = running, next = me + 1 < ring ? me + 1 : 0;
	running = next;
	change(&left[me], &left[next]);
}

static void yield_for_ever(void)
{
	for (;;)
		yield();
}

/* Stack 0 is the main one, which counts the rounds. */
static void rounds(long n)
{
	for (long i = 0; i < n; i += (long)ring)
		yield();
}

static double yields_among(size_t n)
{
	/* Were it a power of two, a few entries of the caches and of the TLB would serve them all. */
	const size_t stride = STACK + 4096;
	char *stacks = many_stacks(n, stride);
	ring = n;
	for (size_t i = 1; i < n; i++)
		left[i] = prepare(stacks + i * stride - i % 16 * 64, yield_for_ever);
	return bench_each(rounds, LONG_MAX);
}

static double yield_2(void)
{
	return yields_among(2);
}

static double yield_1000(void)
{
	return yields_among(RING);
}

static void empty(void)
{
	bench_nop();
	change(&left[1], &left[0]);
}

static char *stack;

static void spawns(long n)
{
	while (n-- > 0) {
		left[1] = prepare(stack, empty);
		change(&left[0], &left[1]);
	}
}

static double spawn_join(void)
{
	stack = many_stacks(1, STACK);
	return bench_each(spawns, LONG_MAX);
}

static void yield_once(void)
{
	change(&left[1], &left[0]);
	change(&left[1], &left[0]);
}

static void spawns_that_yield(long n)
{
	while (n-- > 0) {
		left[1] = prepare(stack, yield_once);
		change(&left[0], &left[1]);
		change(&left[0], &left[1]);
	}
}

static double spawn_yield_join(void)
{
	stack = many_stacks(1, STACK);
	return bench_each(spawns_that_yield, LONG_MAX);
}

static void nap(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static double timer_late(void)
{
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	return bench_sleeps(nap);
}

/* One page of each stack. Nobody sleeps. */
static void touch(bench_sleep *s)
{
	char *p = many_stacks((size_t)s->tasks, STACK);
	for (long i = 0; i < s->tasks; i++) {
		p[(size_t)(i + 1) * STACK - 1] = 1;
		bench_falls_asleep(s);
	}
}

static double sleepers_100k(void)
{
	return bench_sleepers(touch, 100000, 0);
}

static double sleepers_1m(void)
{
	return bench_sleepers(touch, 1000000, 0);
}

/*
 * Memory that a virtual machine frees goes back to its host, and to have it again costs ten times
 * what a page costs else. So bench/run keeps this program beside those that need gigabytes: it takes
 * memory, frees all but one page of each megabyte, and ends when its input does. A host takes
 * nothing back that is not free in larger pieces than that.
 */
static int keep_memory(const char *gib)
{
	size_t size = (size_t)atoi(gib) << 30, piece = 1 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	bench_check(p != MAP_FAILED, "no memory");
	madvise(p, size, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < size; at += 4096)
		p[at] = 1;
	for (size_t at = 0; at < size; at += piece)
		madvise(p + at + 4096, piece - 4096, MADV_DONTNEED);
	puts("ready");
	fflush(stdout);
	char byte;
	return read(STDIN_FILENO, &byte, 1) > 0;
}

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "switch-bare", switch_bare },
		{ "yield-2", yield_2 },
		{ "yield-1000", yield_1000 },
		{ "spawn-join", spawn_join },
		{ "spawn-yield-join", spawn_yield_join },
		{ "timer-late", timer_late },
		{ "sleepers-100k", sleepers_100k },
		{ "sleepers-1m", sleepers_1m },
		{ NULL, NULL },
	};
	if (argc == 3 && strcmp(argv[1], "keep-memory") == 0)
		return keep_memory(argv[2]);
	return bench_main(argc, argv, table);
}
