#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <trenza/thread.h>

/* tz_thread_open, tz_thread_result { */
static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);
/* } */

static void slow(double seconds)
{
	tz_sleep(seconds);
}
TZ_TASK(void, slow, double);

static int fail(void)
{
	return tz_fail(-EIO, "no paper");
}
TZ_TASK(int, fail, void);

/* tz_thread_open_object { */
struct timer {
	tz_runnable runnable; /* the first member */
	int steps;
};

static void timer_run(tz_runnable *self)
{
	struct timer *timer = (struct timer *)self;

	for (int step = 0; step < timer->steps; step++)
		printf("step %d\n", step);
}
/* } */

/* tz_on_uncaught { */
static void complain(tz_thread *thread, const tz_outcome *outcome)
{
	char name[64] = "a timer";

	if (thread)
		tz_thread_name(thread, name, sizeof name);
	printf("%s: %s\n", name, outcome->message);
}
/* } */

int main(void)
{
	{
		/* tz_thread_open, tz_thread_result, tz_thread_close { */
		tz_thread *t;
		double a;

		if (tz_thread_open(&t, area, 3.0, 4.0) < 0) /* starts it */
			return 1;
		if (tz_thread_result(t, area, &a) < 0) /* waits for it */
			tz_perror("area");
		else
			printf("%g\n", a);
		tz_thread_close(t);
		/* } */
	}
	{
		/* tz_thread_open_object { */
		struct timer timer = { { timer_run }, 2 };
		tz_thread *t;

		if (tz_thread_open_object(&t, NULL, &timer.runnable) < 0)
			return 1;
		tz_thread_join(t); /* the object lies in this frame */
		tz_thread_close(t);
		/* } */
	}
	{
		/* tz_thread_start, tz_thread_alive, tz_thread_join, tz_thread_daemon { */
		tz_thread_options options = { .name = "sleeper", .daemon = true, .deferred = true };
		tz_thread *t;

		if (tz_thread_open_with(&t, &options, slow, 0.001) < 0)
			return 1;
		printf("alive: %d, daemon: %d\n", tz_thread_alive(t), tz_thread_daemon(t));
		if (tz_thread_start(t) == 0)
			tz_thread_join(t);
		printf("alive: %d\n", tz_thread_alive(t));
		/* } */
		tz_thread_close(t);
	}
	{
		/* tz_thread_cancel, tz_thread_join_until { */
		tz_thread *t;

		if (tz_thread_open(&t, slow, 60.0) < 0)
			return 1;
		if (tz_thread_join_until(t, tz_after(0.01)) == -ETIMEDOUT)
			tz_thread_cancel(t); /* its sleep ends */
		tz_thread_join(t);
		tz_thread_close(t);
		/* } */
	}
	{
		/* tz_on_uncaught, tz_thread_outcome { */
		tz_thread_options options = { .name = "printer" };
		tz_outcome how;
		tz_thread *t;

		tz_on_uncaught(complain);
		if (tz_thread_open_with(&t, &options, fail) < 0)
			return 1;
		tz_thread_join(t);
		tz_thread_outcome(t, &how);
		printf("%s\n", tz_status_name(how.status));
		tz_thread_close(t);
		/* } */
	}
	{
		/* tz_thread_current, tz_thread_main, tz_thread_ref, tz_thread_ident, tz_thread_native_id { */
		tz_thread *me = tz_thread_ref(tz_thread_current()); /* to keep it */

		printf("main: %d, number %d\n", me == tz_thread_main(), (int)tz_thread_ident(me));
		fprintf(stderr, "the kernel calls it %d\n", tz_thread_native_id(me));
		tz_thread_close(me);
		/* } */
	}
	{
		/* tz_thread_set_name, tz_thread_name { */
		char name[64];

		tz_thread_set_name(tz_thread_current(), "the boss");
		tz_thread_name(tz_thread_current(), name, sizeof name);
		printf("%s\n", name);
		/* } */
	}
	{
		/* tz_thread_list, tz_thread_count { */
		size_t n = tz_thread_count() + 10; /* more may start meanwhile */
		tz_thread **all = calloc(n, sizeof *all);
		size_t found = all ? tz_thread_list(all, n) : 0;

		for (size_t i = 0; i < found && i < n; i++) {
			printf("number %d\n", (int)tz_thread_ident(all[i]));
			tz_thread_close(all[i]);
		}
		free(all);
		/* } */
	}
	/* tz_thread_stack_size, tz_thread_exit_grace { */
	tz_thread_stack_size(256 * 1024); /* for threads that are started from now on */
	tz_thread_exit_grace(2.5); /* the end of the process waits no longer than this */
	/* } */
	return 0;
}
/* prints:
12
step 0
step 1
alive: 0, daemon: 1
alive: 0
printer: no paper
failed
main: 1, number 1
the boss
number 1
*/
