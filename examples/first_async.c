/* first_async.c: a first coroutine: prints, sleeps for two seconds, prints.
 *
 * The twin of first_async.py as it was meant. The text runs that program, sees 234 ms, says that it took as long as a
 * synchronous program would have, and asks why.
 *
 * It did nothing. Its last lines stand behind `if __name__ == "__main":`, and the name is "__main__": the condition is
 * never true, the coroutine is never run and nothing is printed. 234 ms is what the interpreter needs to start and to import
 * asyncio.
 *
 * Spelled right it takes two seconds, and then the sentence is true: a synchronous program takes as long. While the one
 * coroutine sleeps the loop has nothing else to run. It takes a second one to gain something: hello_async0.c.
 */
#include <stdio.h>

#include <trenza.h>

#include "clocks.h"

static void greet(void)
{
	puts("Hello");
	tz_sleep(2); /* a request whose answer takes two seconds */
	puts("World");
}

static double run(void)
{
	uint64_t begin = tz_now();

	greet();
	return seconds_since(begin);
}
TZ_TASK(double, run, void);

int main(int argc, char *argv[])
{
	double seconds = 0;
	int r = tz_run_with(chosen_clock(argc, argv), &seconds, run);

	return print_time(argc, argv, r, seconds);
}
