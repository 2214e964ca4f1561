/* hello_async0.c: three greetings at the same time, on one thread.
 *
 * The twin of hello_async0.py: two seconds instead of the six of hello.c. What asyncio.ensure_future or create_task is there is
 * tz_spawn here; the function itself is the same plain function in both programs.
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
	greet_future t1 = tz_spawn(greet);
	greet_future t2 = tz_spawn(greet);
	greet_future t3 = tz_spawn(greet);

	tz_result(t1, NULL); /* await t1 */
	tz_result(t2, NULL);
	tz_result(t3, NULL);
	return seconds_since(begin);
}
TZ_TASK(double, run, void);

int main(int argc, char *argv[])
{
	double seconds = 0;
	int r = tz_run_with(chosen_clock(argc, argv), &seconds, run);

	return print_time(argc, argv, r, seconds);
}
