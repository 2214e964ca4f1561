/* timer_executor.c: a function that sleeps and prints, submitted twice to an executor.
 *
 * The twin of the program with concurrent.futures. The word that chooses the executor is an argument here:
 *
 *     timer_executor            on threads
 *     timer_executor inline     one call after the other, in the program's own thread
 */
#include <stdio.h>
#include <string.h>

#include <trenza.h>

#include "turns.h"

/* Prints and sleeps `steps` times. */
static void timer(const char *name, int steps, double interval)
{
	for (int step = 0; step < steps; step++) {
		print_in_turn(name, step);
		tz_sleep(interval);
	}
}
TZ_TASK(void, timer, const char *, int, double);

int main(int argc, char *argv[])
{
	const char *word = argc > 1 ? argv[1] : "threads";
	tz_executor *executor;

	/* In line, b begins when a has ended. */
	turns = strcmp(word, "inline") == 0 ? "aaabbb" : "aabbab";
	if (tz_executor_open(&executor, word) < 0) {
		fprintf(stderr, "there is no executor '%s'\n", word);
		return 1;
	}
	/* The block is left when what it submitted has ended, as a `with` block is. */
	TZ_SCOPE(with) {
		tz_scope_submit(&with, executor, timer, "a", 3, 0.1);
		/* Sleeps a little, so that a is ahead. */
		tz_sleep(0.1);
		tz_scope_submit(&with, executor, timer, "b", 3, 0.1);
	}
	tz_executor_close(executor);
	return 0;
}
