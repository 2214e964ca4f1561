#include <errno.h>
#include <stdio.h>

#include <trenza.h>

static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);

/* tz_interrupted { */
static long count(void)
{
	long n = 0;

	while (tz_interrupted() == 0) /* a cancel request or a deadline ends it */
		n++;
	return n;
}
TZ_TASK(long, count, void);
/* } */

static int wait_a_while(tz_scope *outer)
{
	(void)outer;
	/* TZ_SCOPE { */
	TZ_TIMEOUT(0.01) {
		if (tz_sleep(60) == -ETIMEDOUT)
			return -ETIMEDOUT; /* leaves the scope as well */
	}
	/* } */
	return 0;
}

/* tz_scope_enter_shield { */
static int say_goodbye(void)
{
	int r = 0;

	TZ_SHIELD(2) { /* two seconds, although what is around has been cancelled */
		r = tz_sleep(0.001);
	}
	return r;
}
/* } */

static void show_shield(void)
{
	TZ_SCOPE(s) {
		tz_scope_cancel(&s);
		printf("goodbye: %d, then: %s\n", say_goodbye(), tz_sleep(60) == -ECANCELED ? "-ECANCELED" : "?");
	}
}

static void show_deadlines(void)
{
	/* tz_scope_reschedule, tz_scope_deadline, tz_scope_expired, tz_interrupted_by { */
	TZ_SCOPE_UNTIL(all, tz_after(60)) {
		TZ_SCOPE_UNTIL(one, tz_after(60)) {
			tz_scope_reschedule(&all, tz_after(0)); /* all that is inside ends now */
			if (tz_sleep(60) == -ETIMEDOUT && tz_interrupted_by() == &all)
				printf("all: %d, one: %d\n", tz_scope_expired(&all), tz_scope_expired(&one));
			tz_scope_reschedule(&all, tz_never());
			if (tz_remaining(tz_scope_deadline(&one)) > 1)
				printf("goes on: %d\n", tz_sleep(0.001));
		}
	}
	/* } */
}

int main(void)
{
	tz_executor *ex = NULL;

	/* TZ_SCOPE, tz_scope_submit { */
	TZ_SCOPE(s) {
		area_future f = tz_scope_submit(&s, ex, area, 3.0, 4.0);
		double a;

		tz_scope_submit(&s, ex, area, 5.0, 6.0);
		if (tz_result(f, &a) == 0)
			printf("%g\n", a);
	} /* both have ended here, and are released */
	/* } */
	printf("in time: %s\n", wait_a_while(NULL) == 0 ? "yes" : "no");
	{
		/* tz_scope_enter, tz_scope_leave, tz_scope_cancel, tz_scope_adopt, tz_interrupted { */
		tz_scope s = { 0 };
		count_future f = tz_submit(ex, count);

		tz_scope_enter(&s, tz_after(60));
		if (tz_scope_adopt(&s, f) < 0)
			tz_detach(f);
		tz_scope_cancel(&s); /* what it owns is cancelled, its waits end */
		printf("in the scope: %s\n", tz_sleep(60) == -ECANCELED ? "-ECANCELED" : "?");
		tz_scope_leave(&s); /* waits for f, and releases it */
		/* } */
	}
	show_shield();
	show_deadlines();
	printf("outside: %d\n", tz_interrupted());
	return 0;
}
/* prints:
12
in time: no
in the scope: -ECANCELED
goodbye: 0, then: -ECANCELED
all: 1, one: 0
goes on: 0
outside: 0
*/
