#include <stdio.h>

#include <trenza/task.h>

/* tz_fork, tz_join { */
static long fib(int n);
TZ_TASK(long, fib, int);

static long fib(int n)
{
	fib_fork f;
	long b;

	if (n < 2)
		return n;
	f = tz_fork(fib, n - 1); /* may be stolen by an idle worker */
	b = fib(n - 2);
	return tz_join(f) + b; /* a plain call if it was not */
}
/* } */

int main(void)
{
	long n = 0;

	/* tz_fork, tz_join { */
	if (tz_result(tz_submit(NULL, fib, 20), &n) == 0)
		printf("%ld\n", n);
	/* } */
	return 0;
}
/* prints:
6765
*/
