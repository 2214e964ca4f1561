#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <trenza.h>

static int where(void)
{
	/* tz_executor_current { */
	tz_executor *mine = tz_executor_current(); /* for more jobs beside this one */

	printf("worker %d of %s\n", tz_worker_index(), tz_executor_name(mine));
	/* } */
	return 0;
}
TZ_TASK(int, where, void);

/* tz_blocking_begin { */
static int wait_for_input(int fd, int milliseconds)
{
	struct pollfd input = { .fd = fd, .events = POLLIN };
	int r;

	tz_blocking_begin(); /* poll is not the library's: another worker may stand in */
	r = poll(&input, 1, milliseconds);
	tz_blocking_end();
	return r;
}
TZ_TASK(int, wait_for_input, int, int);
/* } */

static void slow(double seconds)
{
	tz_sleep(seconds);
}
TZ_TASK(void, slow, double);

/* tz_executor_open_with { */
static int open_session(void *what)
{
	printf("a session of %s\n", (const char *)what);
	return 0;
}

static void close_session(void *what)
{
	printf("the end of %s\n", (const char *)what);
}
/* } */

int main(void)
{
	{
		/* tz_executor_open, tz_executor_close { */
		tz_executor *ex;

		if (tz_executor_open(&ex, "threads:4") < 0)
			return 1;
		tz_detach(tz_submit(ex, slow, 0.01));
		tz_executor_close(ex); /* runs what was submitted, then ends */
		/* } */
	}
	{
		/* tz_executor_open_with { */
		static char what[] = "crawling";
		tz_executor_options options = {
			.workers = 1,
			.name = "crawler",
			.initializer = open_session,
			.finalizer = close_session,
			.arg = what,
		};
		tz_executor *ex;

		if (tz_executor_open_with(&ex, "threads", &options) < 0)
			return 1;
		/* } */
		tz_gather(tz_submit(ex, where));
		/* tz_executor_kind, tz_executor_workers { */
		printf("%s, %s, %d\n", tz_executor_kind(ex), tz_executor_name(ex),
		       tz_executor_workers(ex));
		/* } */
		/* tz_executor_shutdown { */
		tz_detach(tz_submit(ex, slow, 60.0));
		if (tz_executor_shutdown(ex, TZ_DRAIN, tz_after(0.01)) == -ETIMEDOUT)
			tz_executor_shutdown(ex, TZ_STOP_NOW, tz_never()); /* patience is over */
		tz_executor_close(ex);
		/* } */
	}
	{
		/* tz_executor_default { */
		tz_executor *ex = tz_executor_default(); /* what NULL means, too */
		slow_future f = tz_submit(ex, slow, 0.001);
		/* } */

		tz_gather(f);
	}
	{
		/* tz_executor_stats_of, tz_executor_request_shutdown { */
		tz_executor *ex;
		tz_executor_stats stats;

		if (tz_executor_open(&ex, "inline") < 0)
			return 1;
		tz_detach(tz_submit(ex, slow, 0.0));
		tz_executor_request_shutdown(ex, TZ_DRAIN); /* a signal handler may do this */
		tz_detach(tz_submit(ex, slow, 0.0)); /* refused */
		tz_executor_stats_of(ex, &stats);
		printf("%d job was run\n", (int)stats.completed);
		tz_executor_close(ex);
		/* } */
	}
	{
		/* tz_executor_kill_workers, tz_crash_of { */
		tz_executor *ex;
		tz_outcome o;

		if (tz_executor_open(&ex, "processes:1") < 0)
			return 1;
		slow_future f = tz_submit(ex, slow, 60.0);

		while (tz_executor_kill_workers(ex) == 0 || (tz_wait(f, tz_after(0.1)), tz_done(f) == 0))
			; /* there was no worker yet, or it had not begun */
		tz_outcome_of(f, &o);
		printf("%s, signal %d\n", tz_status_name(o.status), o.signal);
		tz_crash c;

		if (tz_crash_of(f, &c) == 0)
			printf("a process %s\n", c.pid > 0 ? "that had a number" : "without one");
		tz_detach(f);
		tz_executor_close(ex);
		/* } */
	}
	{
		wait_for_input_future f = tz_submit(NULL, wait_for_input, -1, 1);
		int r = -1;

		tz_result(f, &r);
		printf("nothing came: %d\n", r);
	}
	return 0;
}
/* prints:
a session of crawling
worker 0 of crawler
threads, crawler, 1
the end of crawling
1 job was run
crashed, signal 9
a process that had a number
nothing came: 0
*/
