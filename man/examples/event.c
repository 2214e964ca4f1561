#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include <trenza/event.h>

/* tz_event_set, tz_event_wait, tz_event_wait_until, tz_event_is_set, tz_event_clear { */
static tz_event stop; /* all-zero is not set */
/* } */

/* tz_event_set { */
static void on_signal(int number)
{
	(void)number;
	tz_event_set(&stop); /* may be called in a signal handler */
}
/* } */

int main(void)
{
	/* tz_event_wait_until { */
	if (tz_event_wait_until(&stop, tz_after(0.01)) == -ETIMEDOUT)
		printf("nobody wants us to stop\n");
	/* } */
	signal(SIGINT, on_signal);
	raise(SIGINT);
	/* tz_event_wait { */
	tz_event_wait(&stop);
	/* } */
	/* tz_event_is_set, tz_event_clear { */
	printf("%d\n", tz_event_is_set(&stop));
	tz_event_clear(&stop);
	printf("%d\n", tz_event_is_set(&stop));
	/* } */
	return 0;
}
/* prints:
nobody wants us to stop
1
0
*/
