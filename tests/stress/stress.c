/* The frame of stress programs: time, seeds, threads, and the watchdog. */
#define _GNU_SOURCE

#include "stress.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(TRENZA_EMULATED)
enum { PATIENCE = 90 };
#else
enum { PATIENCE = 30 }; /* seconds without progress */
#endif

static uint64_t seed = 1;
static struct timespec case_end;
static _Atomic uint64_t steps;
static const char *running = "";

/* The stress must not depend on the clock of what it tests. */
static double seconds_until(struct timespec end)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(end.tv_sec - now.tv_sec) + (double)(end.tv_nsec - now.tv_nsec) / 1e9;
}

static struct timespec in_seconds(double s)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)s;
	t.tv_nsec += (long)((s - (double)(time_t)s) * 1e9);
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

bool stress_over(void)
{
	return seconds_until(case_end) <= 0;
}

void progress(void)
{
	atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);
}

stress_random stress_generator(uint64_t stream)
{
	uint64_t z = seed * 0x9e3779b97f4a7c15u + stream + 1;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return z ? z : 1;
}

uint32_t stress_draw(stress_random *r, uint32_t below)
{
	*r ^= *r << 13;
	*r ^= *r >> 7;
	*r ^= *r << 17;
	return (uint32_t)((*r >> 32) * below >> 32);
}

static void print_stacks(void)
{
	char pid[16];
	pid_t child;

	(void)snprintf(pid, sizeof pid, "%d", (int)getpid());
	(void)fflush(NULL);
	child = fork();
	if (child == 0) {
		(void)dup2(2, 1);
		(void)execlp("gdb", "gdb", "-p", pid, "-batch", "-nx", "-ex", "set pagination off",
			     "-ex", "thread apply all backtrace 24", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; child > 0 && i < 300 && waitpid(child, NULL, WNOHANG) == 0; i++)
		(void)usleep(100000);
}

_Noreturn void stress_fail(const char *what, const char *file, int line)
{
	printf("Bail out! %s:%d: %s (case %s, seed %llu)\n", file, line, what, running,
	       (unsigned long long)seed);
	(void)fflush(NULL);
	abort();
}

static void *watch(void *unused)
{
	uint64_t seen = 0;
	struct timespec patience_ends = in_seconds(PATIENCE);

	(void)unused;
	for (;;) {
		uint64_t now = atomic_load_explicit(&steps, memory_order_relaxed);

		if (now != seen) {
			seen = now;
			patience_ends = in_seconds(PATIENCE);
		} else if (seconds_until(patience_ends) <= 0) {
			print_stacks();
			stress_fail("nothing happened any more", __FILE__, __LINE__);
		}
		(void)usleep(200000);
	}
	return NULL;
}

struct body {
	void (*fn)(int index);
	int index;
};

static void *call_body(void *arg)
{
	struct body *b = arg;

	b->fn(b->index);
	return NULL;
}

void stress_threads(int n, void (*fn)(int index))
{
	pthread_t threads[64];
	struct body bodies[64];

	must(n <= 64);
	for (int i = 0; i < n; i++) {
		bodies[i] = (struct body){ fn, i };
		must(pthread_create(&threads[i], NULL, call_body, &bodies[i]) == 0);
	}
	for (int i = 0; i < n; i++)
		must(pthread_join(threads[i], NULL) == 0);
}

void stress_one_cpu(bool one)
{
	static cpu_set_t all;
	static bool known;
	cpu_set_t set;

	if (!known)
		must(sched_getaffinity(0, sizeof all, &all) == 0);
	known = true;
	set = all;
	if (one) {
		int cpu = 0;

		while (!CPU_ISSET(cpu, &all))
			cpu++;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
	}
	must(sched_setaffinity(0, sizeof set, &set) == 0);
}

int stress_main(int argc, char **argv, const struct stress_case *cases, size_t n)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
	pthread_t watchdog;

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	else if (getenv("STRESS_SEED"))
		seed = strtoull(getenv("STRESS_SEED"), NULL, 10);
	else
		seed = (uint64_t)time(NULL);
	printf("# seed %llu\n1..%zu\n", (unsigned long long)seed, n);
	(void)fflush(stdout);
	must(pthread_create(&watchdog, NULL, watch, NULL) == 0);
	for (size_t i = 0; i < n; i++) {
		if (argc > 3 && strcmp(argv[3], cases[i].name) != 0) {
			printf("ok %zu %s # skip not asked for\n", i + 1, cases[i].name);
			continue;
		}
		running = cases[i].name;
		case_end = in_seconds(argc > 3 ? seconds : seconds / (double)n);
		cases[i].run();
		printf("ok %zu %s\n", i + 1, cases[i].name);
		(void)fflush(stdout);
	}
	return 0;
}
