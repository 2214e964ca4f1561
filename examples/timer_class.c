/* timer_class.c: an object with a run function, on a thread.
 *
 * The twin of the program with `class Timer(threading.Thread)`: a struct whose first member is a tz_runnable.
 */
#include <stdlib.h>

#include <trenza/thread.h>

#include "turns.h"

struct timer {
	tz_runnable runnable;
	const char *name;
	int steps;
	double interval;
};

/* Prints and sleeps `steps` times. */
static void timer_run(tz_runnable *self)
{
	struct timer *timer = (struct timer *)self;

	for (int step = 0; step < timer->steps; step++) {
		print_in_turn(timer->name, step);
		tz_sleep(timer->interval);
	}
}

static struct timer timer_init(const char *name, int steps)
{
	return (struct timer){ { timer_run }, name, steps, 0.1 };
}

/* Static: the threads may outlive main(). */
static struct timer a, b;

int main(void)
{
	tz_thread *a_thread, *b_thread;

	turns = "aabbab";
	a = timer_init("a", 3);
	b = timer_init("b", 3);
	if (tz_thread_open_object(&a_thread, &(tz_thread_options){ .name = "a" }, &a.runnable) < 0)
		return 1;
	tz_sleep(0.1);
	if (tz_thread_open_object(&b_thread, &(tz_thread_options){ .name = "b" }, &b.runnable) < 0)
		_Exit(1); /* a would wait for its turn for ever */
	/* The handles are not needed any more. The end of the process waits for the threads. */
	tz_thread_close(a_thread);
	tz_thread_close(b_thread);
	return 0;
}
