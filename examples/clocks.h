/* clocks.h: the clock that a program runs by, chosen by its argument, and how long it took by that clock.
 *
 *     hello          by the real one: sleeping for two seconds takes two seconds
 *     hello sim      in a simulation, where time is virtual: it jumps when nobody can go on, and is exact
 */
#ifndef EXAMPLES_CLOCKS_H
#define EXAMPLES_CLOCKS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <trenza/loop.h>

static bool is_simulated(int argc, char *argv[])
{
	return argc > 1 && strcmp(argv[1], "sim") == 0;
}

/* The options of tz_run_with. */
static const tz_loop_options *chosen_clock(int argc, char *argv[])
{
	static const tz_loop_options simulation = { .backend = "sim" };

	return is_simulated(argc, argv) ? &simulation : NULL;
}

/* Answers the program's exit status: `error` is what tz_run_with has answered. */
static int print_time(int argc, char *argv[], int error, double seconds)
{
	if (error < 0) {
		tz_perror(argv[0]);
		return 1;
	}
	if (is_simulated(argc, argv))
		printf("Virtual time: %.9g s\n", seconds);
	else
		printf("Wall time: %.2f s\n", seconds);
	return 0;
}

/* On the strand's clock. */
static double seconds_since(uint64_t begin)
{
	return (double)(tz_now() - begin) / 1e9;
}

#endif
