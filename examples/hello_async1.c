/* hello_async1.c: three greetings at the same time, gathered.
 *
 * The twin of hello_async1.py, where asyncio.gather makes the tasks and waits for all of them: two seconds.
 */
#include <stdio.h>

#include <trenza.h>

#include "clocks.h"

static void greet(void)
{
	puts("Hello");
	tz_sleep(2); /* a request whose answer takes two seconds; the others run meanwhile */
	puts("World");
}
TZ_TASK(void, greet, void);

static double run(void)
{
	uint64_t begin = tz_now();

	tz_gather(tz_spawn(greet), tz_spawn(greet), tz_spawn(greet));
	return seconds_since(begin);
}
TZ_TASK(double, run, void);

int main(int argc, char *argv[])
{
	double seconds = 0;
	int r = tz_run_with(chosen_clock(argc, argv), &seconds, run);

	return print_time(argc, argv, r, seconds);
}
