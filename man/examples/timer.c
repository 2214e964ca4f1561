#include <stdio.h>

#include <trenza/timer.h>

/* tz_timer_open { */
static void remind(int table)
{
	printf("table %d\n", table);
}
TZ_TASK(void, remind, int);
/* } */

/* tz_timer_every { */
static void look_after(const char *what)
{
	(void)what; /* it may take its time: a timer never runs twice at once */
}
TZ_TASK(void, look_after, const char *);
/* } */

int main(void)
{
	{
		/* tz_timer_open, tz_timer_join, tz_timer_close { */
		tz_timer *once;

		if (tz_timer_open(&once, 0.001, remind, 4) < 0)
			return 1;
		tz_timer_join(once); /* until it has fired */
		tz_timer_close(once);
		/* } */
	}
	{
		/* tz_timer_every, tz_timer_cancel, tz_timer_calls, tz_timer_pending { */
		tz_timer *often;

		if (tz_timer_every(&often, 0.001, look_after, "the fire") < 0)
			return 1;
		while (tz_timer_calls(often) < 1)
			tz_sleep(0.001);
		tz_timer_cancel(often);
		tz_timer_join(often); /* a call that runs goes on to its end */
		printf("set: %d, called: %s\n", tz_timer_pending(often),
		       tz_timer_calls(often) > 0 ? "yes" : "no");
		tz_timer_close(often);
		/* } */
	}
	{
		/* tz_timer_reschedule, tz_timer_join_until { */
		tz_timer *alarm_clock;

		if (tz_timer_open(&alarm_clock, 60, remind, 1) < 0)
			return 1;
		tz_timer_reschedule(alarm_clock, 0.001); /* earlier than planned */
		tz_timer_join_until(alarm_clock, tz_after(10));
		tz_timer_close(alarm_clock);
		/* } */
	}
	return 0;
}
/* prints:
table 4
set: 0, called: yes
table 1
*/
