/* hello.c: a greeting that waits two seconds in its middle, three times, one after the other.
 *
 * The twin of hello.py: six seconds, all of them waiting.
 */
#include <stdio.h>

#include <trenza/time.h>

static void greeting(void)
{
	puts("Hello");
	tz_sleep(2); /* a request whose answer takes two seconds */
	puts("AsyncIO");
}

int main(void)
{
	for (int i = 0; i < 3; i++)
		greeting();
	return 0;
}
