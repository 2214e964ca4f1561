/* Stress: many strands at random for some time, under a watchdog.
 *
 * A stress program is called as PROGRAM [SECONDS [SEED]]. SECONDS is shared out to its cases. Each case draws what it does from generators that
 * begin with the seed, which is printed; the same seed makes the same choices, though not the same interleaving.
 *
 * The watchdog ends a program in which nobody called progress() for some time: with the stacks of all threads, if gdb is there.
 */
#ifndef TRENZA_TESTS_STRESS_H
#define TRENZA_TESTS_STRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <trenza.h>

#include "../abilities.h"

struct stress_case {
	const char *name;
	void (*run)(void); /* until stress_over() */
};

/* Runs the cases and prints TAP; the exit status of main. */
int stress_main(int argc, char **argv, const struct stress_case *cases, size_t n);

/* Whether the running case's time is up. */
bool stress_over(void);

/* Tells the watchdog that something happened. */
void progress(void);

/* A generator of random numbers: one a strand. */
typedef uint64_t stress_random;
stress_random
stress_generator(uint64_t stream); /* of the seed; another stream gives other numbers */
uint32_t stress_draw(stress_random *r, uint32_t below);

/* In any thread: ends the program as failed, with the seed. */
_Noreturn void stress_fail(const char *what, const char *file, int line);
#define must(condition) \
	((condition) ? (void)0 : stress_fail("not so: " #condition, __FILE__, __LINE__))

/* Threads that all call body(index). Waits for them. */
void stress_threads(int n, void (*body)(int index));

/* Restricts the process to one processor, and back. */
void stress_one_cpu(bool one);

#endif
