#include <errno.h>
#include <stdio.h>

#include <trenza.h>

/* tz_shared_event_wait, tz_shared_event_set { */
static void work_when_told(tz_shared_event *start)
{
	if (tz_shared_event_wait(start) == 0)
		printf("started\n");
}
/* } */
TZ_TASK(void, work_when_told, tz_shared_event *);

int main(void)
{
	/* tz_shared_event_wait, tz_shared_event_set { */
	tz_shared_event *start = TZ_SHARED_NEW(tz_shared_event); /* all-zero is not set */
	work_when_told_future f = tz_submit(NULL, work_when_told, start); /* or in another process */

	/* } */
	/* tz_shared_event_wait_until { */
	if (tz_shared_event_wait_until(start, tz_after(0.01)) == -ETIMEDOUT)
		printf("nobody has set it\n");
	/* } */
	/* tz_shared_event_set { */
	tz_shared_event_set(start); /* never waits, not even for processes that were killed */
	/* } */
	tz_result(f, NULL);
	/* tz_shared_event_is_set, tz_shared_event_clear { */
	printf("%d\n", tz_shared_event_is_set(start));
	tz_shared_event_clear(start);
	printf("%d\n", tz_shared_event_is_set(start));
	/* } */
	tz_shared_free(start);
	return 0;
}
/* prints:
nobody has set it
started
1
0
*/
