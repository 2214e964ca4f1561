#include <errno.h>
#include <stdio.h>

#include <trenza.h>

static int half(int n)
{
	return n % 2 == 0 ? n / 2 : tz_fail(-EDOM, "%d is odd", n);
}
TZ_TASK(int, half, int);

static void slow(double seconds)
{
	tz_sleep(seconds);
}
TZ_TASK(void, slow, double);

static tz_event called;

/* tz_on_done { */
static void tell(void *name, const tz_outcome *outcome, const void *result)
{
	if (outcome->status == TZ_OK)
		printf("%s: %d\n", (const char *)name, *(const int *)result);
	tz_event_set(&called);
}
/* } */

/* tz_on_unobserved { */
static void complain(const tz_outcome *outcome)
{
	printf("nobody looked: %s %s\n", outcome->task, outcome->message);
}
/* } */

int main(void)
{
	tz_executor *ex;

	if (tz_executor_open(&ex, "threads:4") < 0)
		return 1;
	{
		/* tz_result { */
		half_future f = tz_submit(ex, half, 8);
		int n;

		if (tz_result(f, &n) == 0)
			printf("%d\n", n);
		else
			tz_perror("half");
		/* } */
	}
	{
		/* tz_wait, tz_done, tz_running, tz_outcome_of, tz_detach { */
		half_future f = tz_submit(ex, half, 7);
		tz_outcome how;

		while (tz_wait(f, tz_after(0.1)) == -ETIMEDOUT)
			printf("%s\n", tz_running(f) == 1 ? "it runs" : "it waits for a worker");
		if (tz_outcome_of(f, &how) == 0 && how.status == TZ_FAILED)
			printf("done: %d; %s\n", tz_done(f), how.message);
		tz_detach(f); /* what was only read is still to be released */
		/* } */
	}
	{
		/* tz_state { */
		static const char *const names[] = { "queued", "runnable", "running", "waiting", "done" };
		slow_future f = tz_submit(ex, slow, 60.0);
		int state;

		while ((state = tz_state(f)) >= 0 && state != TZ_TASK_WAITING) /* until it sleeps */
			tz_yield();
		printf("slow is %s\n", state < 0 ? "no task" : names[state]);
		/* } */
		tz_cancel(f);
		tz_gather(f);
	}
	{
		/* tz_cancel { */
		slow_future f = tz_submit(ex, slow, 60.0);

		tz_cancel(f);
		tz_gather(f); /* soon: it does not begin, or its sleep ends early */
		/* } */
	}
	{
		half_future f = tz_submit(ex, half, 10);

		/* tz_on_done { */
		static char ten[] = "ten";

		tz_on_done(f, tell, ten);
		/* } */
		tz_event_wait(&called);
		tz_detach(f);
	}
	{
		/* tz_wait_all, tz_wait_first_failure { */
		half_future all[3];
		int bad;

		for (int i = 0; i < 3; i++)
			all[i] = tz_submit(ex, half, i);
		bad = tz_wait_first_failure(all, 3, tz_never());
		printf("the first that failed: %d\n", bad);
		tz_wait_all(all, 3, tz_never()); /* the others end, too */
		for (int i = 0; i < 3; i++)
			tz_detach(all[i]);
		/* } */
	}
	{
		/* TZ_FUTURE, tz_wait_any { */
		slow_future late = tz_submit(ex, slow, 60.0);
		half_future early = tz_submit(ex, half, 4);
		tz_future either[2] = { TZ_FUTURE(late), TZ_FUTURE(early) };

		printf("first: %d\n", tz_wait_any(either, 2, tz_never()));
		tz_cancel(late);
		tz_gather_all(either, 2);
		/* } */
	}
	{
		/* tz_gather { */
		half_future f = tz_submit(ex, half, 2);
		slow_future g = tz_submit(ex, slow, 0.001);

		if (tz_gather(f, g) < 0)
			tz_perror("one of them");
		/* } */
	}
	{
		/* tz_as_completed, tz_completed_next, tz_completed_close { */
		const double seconds[3] = { 0.2, 0.001, 0.1 };
		slow_future f[3];
		tz_completed *completed;
		int i;

		for (i = 0; i < 3; i++)
			f[i] = tz_submit(ex, slow, seconds[i]);
		if (tz_as_completed(&completed, f, 3) == 0) {
			while ((i = tz_completed_next(completed, tz_never())) >= 0)
				tz_result(f[i], NULL); /* here with the shortest first */
			tz_completed_close(completed);
		}
		/* } */
		printf("after the last one: %s\n", i == -ENOENT ? "-ENOENT" : "?");
	}
	{
		/* tz_on_unobserved { */
		half_future f;

		tz_on_unobserved(complain);
		f = tz_submit(ex, half, 3);
		tz_wait(f, tz_never());
		tz_detach(f);
		/* } */
	}
	tz_executor_close(ex);
	return 0;
}
/* prints:
4
done: 1; 7 is odd
slow is waiting
ten: 5
the first that failed: 1
first: 1
after the last one: -ENOENT
nobody looked: half 3 is odd
*/
