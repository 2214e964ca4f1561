/* hello.c: a greeting that waits two seconds in its middle, three times, one after the other.
 *
 * The twin of hello.py: six seconds, all of them waiting. With the word tz_spawn before each call it takes two: hello_async0.c.
 */
#include <stdio.h>

#include <trenza.h>

#include "clocks.h"

static void greeting(void)
{
	puts("Hello");
	tz_sleep(2); /* a request whose answer takes two seconds */
	puts("AsyncIO");
}

static double run(void)
{
	uint64_t begin = tz_now();

	for (int i = 0; i < 3; i++)
		greeting();
	return seconds_since(begin);
}
TZ_TASK(double, run, void);

int main(int argc, char *argv[])
{
	double seconds = 0;
	int r = tz_run_with(chosen_clock(argc, argv), &seconds, run);

	return print_time(argc, argv, r, seconds);
}
