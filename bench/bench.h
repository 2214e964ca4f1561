/*
 * What every benchmark program in C and C++ shares: the sizes of the work, a clock, and the table
 * of workloads behind `PROGRAM WORKLOAD`, which prints one line: "WORKLOAD VALUE".
 *
 * The Go, Rust and Python programs keep the same sizes by hand.
 */
#ifndef BENCH_H
#define BENCH_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	BENCH_TASKS = 1000000, /* tasks submitted from outside, unless each takes too long */
	BENCH_WINDOW = 1024, /* of them, not yet released at any moment */
	BENCH_PARKED_TRIPS = 200,
	BENCH_QUEUE = 1024, /* capacity of the message queue */
	BENCH_TIMERS = 100000, /* pending, while one after the other is set anew */
	BENCH_TIMERS_A_TURN = 1000, /* set anew before the loop takes a turn */
	BENCH_SLEEPS = 200, /* of a millisecond, one after the other */
};

typedef struct bench_message {
	uint64_t word[8];
} bench_message;

typedef struct bench_workload {
	const char *name;
	double (*run)(void); /* returns the value of the workload's metric */
} bench_workload;

/* Seconds on the monotonic clock. */
static inline double bench_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* An empty task's body: a call that the compiler may inline but not remove. */
static inline void bench_nop(void)
{
	__asm__ volatile("");
}

/* Makes the compiler believe that `p` and all it points to is used. */
static inline void bench_keep(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

static inline void bench_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Spins for a millisecond: time enough for any worker to go to sleep, while our core stays awake. */
static inline void bench_let_park(void)
{
	double end = bench_now() + 1e-3;
	while (bench_now() < end)
		bench_pause();
}

/* Nodes of the call tree of fib(n) that fork: the spawns of the fork-join and nested workloads. */
static inline double bench_fib_spawns(int n)
{
	double a = 0, b = 0; /* spawns of fib(i - 1) and fib(i) */
	for (int i = 2; i <= n; i++) {
		double c = a + b + 1;
		a = b;
		b = c;
	}
	return b;
}

static inline void bench_check(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "benchmark: %s\n", what);
		exit(1);
	}
}

static inline long bench_fib_value(int n)
{
	long a = 0, b = 1;
	for (int i = 0; i < n; i++) {
		long c = a + b;
		a = b;
		b = c;
	}
	return a;
}

static inline int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static inline double bench_median(double *value, size_t n)
{
	qsort(value, n, sizeof *value, bench_compare);
	return value[n / 2];
}

/* CPU time of this process, all threads, user and system, in seconds. */
static inline double bench_cpu(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* Milliseconds of CPU that the process uses in the next two seconds, while this thread sleeps. */
static inline double bench_idle_cpu(void)
{
	struct timespec two = { 2, 0 };
	double before = bench_cpu();
	nanosleep(&two, NULL);
	return (bench_cpu() - before) * 1e3;
}

/*
 * Nanoseconds an item, where work(n) does n of them: first a few, as a warm-up and to see how long
 * one takes, then as many as fit into three tenths of a second, but at most `most`. Again, with more,
 * if that was less than half of the time, since the few have taken long for another reason.
 */
static inline double bench_each(void (*work)(long n), long most)
{
	const double seconds[] = { 0.02, 0.3, 0.3, 0.3 };
	long n = 1000 < most ? 1000 : most;
	double took = 0;

	for (int i = 0; i <= 4; i++) {
		double start = bench_now(), all;
		work(n);
		all = bench_now() - start;
		took = all / (double)n;
		if (i == 4 || (i >= 2 && (n == most || all >= seconds[2] / 2)))
			break;
		n = seconds[i] / took < (double)most ? (long)(seconds[i] / took) + 1 : most;
	}
	return took * 1e9;
}

/* Millions of messages a second, where work(n) passes n of them. */
static inline double bench_messages(void (*work)(long n))
{
	return 1e3 / bench_each(work, LONG_MAX);
}

/* Median nanoseconds of a trip that finds the other side asleep. */
static inline double bench_trips_parked(void (*trip)(void))
{
	double took[BENCH_PARKED_TRIPS];
	for (int i = 0; i < 10; i++)
		trip();
	for (int i = 0; i < BENCH_PARKED_TRIPS; i++) {
		bench_let_park();
		double start = bench_now();
		trip();
		took[i] = (bench_now() - start) * 1e9;
	}
	return bench_median(took, BENCH_PARKED_TRIPS);
}

/* Microseconds a call of `map` over n doubles, checked, repeated for some tenths of a second. */
static inline double bench_map(void (*map)(size_t n, const double *in, double *out), size_t n)
{
	double *in = (double *)malloc(n * sizeof *in), *out = (double *)malloc(n * sizeof *out);
	int rounds = (int)((n < 100000 ? 400000000 : 40000000) / n) + 1;

	bench_check(in && out, "no memory");
	for (size_t i = 0; i < n; i++) {
		in[i] = (double)(i % 1000);
		out[i] = 0;
	}
	for (int i = 0; i < rounds / 10 + 1; i++)
		map(n, in, out);
	double start = bench_now();
	for (int i = 0; i < rounds; i++) {
		map(n, in, out);
		bench_keep(out);
	}
	double us = (bench_now() - start) * 1e6 / rounds;
	for (size_t i = 0; i < n; i++)
		bench_check(out[i] == in[i] * in[i], "wrong map");
	free(in);
	free(out);
	return us;
}

/* Milliseconds after which the timer that is set as the n-th fires: 10 to 70 s, none while we look. */
static inline unsigned bench_timer_ms(uint32_t n)
{
	return 10000 + (n * 2654435761u >> 8) % 60000;
}

/* The timer that is set anew as the n-th: each of them in turn, in no order of their deadlines. */
static inline unsigned bench_timer_index(uint32_t n)
{
	return (unsigned)((uint64_t)n * 7919 % BENCH_TIMERS);
}

/* Median microseconds by which `nap`, which sleeps for a millisecond, takes longer than that. */
static inline double bench_sleeps(void (*nap)(void))
{
	double late[BENCH_SLEEPS];
	for (int i = 0; i < BENCH_SLEEPS; i++) {
		/* Start at any part of a millisecond: some contenders count in whole ones. */
		double start = bench_now(), end = start + i * 617 % 1000 * 1e-6;
		while ((start = bench_now()) < end)
			bench_pause();
		nap();
		late[i] = (bench_now() - start - 1e-3) * 1e6;
	}
	return bench_median(late, BENCH_SLEEPS);
}

/* A value of the run beside the one that the workload returns; `part` is its name in bench/run. */
static inline void bench_part(const char *part, double value)
{
	printf("%s %.6g\n", part, value);
}

/* Bytes of memory that this process occupies, its page tables with it. */
static inline double bench_resident(void)
{
	char line[256];
	double kib = 0, found;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "VmRSS: %lf", &found) == 1 ||
		    sscanf(line, "VmPTE: %lf", &found) == 1)
			kib += found;
	if (f)
		fclose(f);
	return kib * 1024;
}

/*
 * Many tasks that sleep at the same time.
 *
 * The one that falls asleep last, and so finds all the others asleep, looks how much memory the
 * process occupies. If one of them wakes before that, the sleep is too short and the run fails.
 */
#define BENCH_SLEEP_100K 2.0 /* seconds that each of 100,000 sleeps */
#define BENCH_SLEEP_1M 7.0 /* and of 1,000,000: more than it takes to start them all */

typedef struct bench_sleep {
	long tasks;
	double seconds; /* that each of them sleeps */
	long asleep;
	double memory; /* with all of them asleep */
} bench_sleep;

/* Just before a task goes to sleep. */
static inline void bench_falls_asleep(bench_sleep *s)
{
	if (++s->asleep == s->tasks)
		s->memory = bench_resident();
}

static inline void bench_wakes(bench_sleep *s)
{
	bench_check(s->memory > 0, "they do not all sleep at the same time");
}

/* Milliseconds that `run` takes beyond one sleep; CPU time in ms and bytes a task as further parts. */
static inline double bench_sleepers(void (*run)(bench_sleep *s), long tasks, double seconds)
{
	bench_sleep s = { tasks, seconds, 0, 0 };
	double memory = bench_resident(), cpu = bench_cpu(), start = bench_now();
	run(&s);
	double ms = (bench_now() - start - seconds) * 1e3;
	bench_check(s.memory > 0, "they have not all slept");
	bench_part("cpu", (bench_cpu() - cpu) * 1e3);
	bench_part("memory", (s.memory - memory) / (double)tasks);
	return ms;
}

static inline int bench_main(int argc, char **argv, const bench_workload *table)
{
	for (const bench_workload *w = table; argc == 2 && w->name; w++)
		if (strcmp(argv[1], w->name) == 0) {
			printf("%s %.6g\n", w->name, w->run());
			return 0;
		}
	fprintf(stderr, "usage: %s WORKLOAD, one of:", argv[0]);
	for (const bench_workload *w = table; w->name; w++)
		fprintf(stderr, " %s", w->name);
	fprintf(stderr, "\n");
	return 2;
}

#endif
