/* timer_threads.c: a function that sleeps and prints, on two threads of its own.
 *
 * The twin of the program with threading.Thread(target = timer, kwargs = dict(...)). Arguments with names, some
 * of which may be left out, are a struct in C.
 */
#include <stdlib.h>

#include <trenza.h>
#include <trenza/thread.h>

#include "turns.h"

struct timing {
	const char *name;
	int steps;
	double interval; /* 0: 0.1 */
};

/* Prints and sleeps `steps` times. */
static void timer(struct timing timing)
{
	for (int step = 0; step < timing.steps; step++) {
		print_in_turn(timing.name, step);
		tz_sleep(timing.interval > 0 ? timing.interval : 0.1);
	}
}
TZ_TASK(void, timer, struct timing);

int main(void)
{
	const tz_thread_options not_yet = { .deferred = true };
	tz_thread *a, *b;

	turns = "aabbab";
	if (tz_thread_open_with(&a, &not_yet, timer, ((struct timing){ .name = "a", .steps = 3 })) <
	    0)
		return 1;
	if (tz_thread_open_with(&b, &not_yet, timer, ((struct timing){ .name = "b", .steps = 3 })) <
	    0)
		return 1;
	if (tz_thread_start(a) < 0)
		return 1;
	tz_sleep(0.1);
	if (tz_thread_start(b) < 0)
		_Exit(1); /* a would wait for its turn for ever */
	/* The handles are not needed any more. The end of the process waits for the threads. */
	tz_thread_close(a);
	tz_thread_close(b);
	return 0;
}
