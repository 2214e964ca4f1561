#include <math.h>
#include <stdio.h>

#include <trenza/time.h>

int main(void)
{
	/* tz_now, tz_sleep { */
	uint64_t start = tz_now();

	tz_sleep(0.01);
	printf("at least 10 ms: %s\n", tz_now() - start >= 10000000 ? "yes" : "no");
	/* } */
	/* tz_after, tz_never, tz_deadline_min, tz_remaining, tz_expired { */
	tz_deadline patience = tz_after(60);
	tz_deadline none = tz_never();
	tz_deadline both = tz_deadline_min(patience, none);

	printf("the earlier one is %s\n", both.ns == patience.ns ? "patience" : "none");
	printf("expired: %s, less than a minute remains: %s\n", tz_expired(both) ? "yes" : "no",
	       tz_remaining(both) <= 60 ? "yes" : "no");
	/* } */
	/* tz_sleep_until { */
	tz_deadline next = tz_after(0);

	for (int i = 0; i < 3; i++) { /* every 5 ms, however long the work takes */
		tz_sleep_until(next);
		printf("tick %d\n", i);
		next.ns += 5000000;
	}
	/* } */
	return 0;
}
/* prints:
at least 10 ms: yes
the earlier one is patience
expired: no, less than a minute remains: yes
tick 0
tick 1
tick 2
*/
