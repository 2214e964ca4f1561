#include <errno.h>
#include <stdio.h>

#include <trenza.h>

/* tz_spawn { */
static long fib(int n);
TZ_TASK(long, fib, int);
static long fib(int n)
{
	long a = 0, b = 0;

	if (n < 2)
		return n;
	fib_future f = tz_spawn(fib, n - 1), g = tz_spawn(fib, n - 2);

	if (tz_result(f, &a) < 0 || tz_result(g, &b) < 0) /* what is left would be waited for here, too */
		return tz_fail(tz_last()->code, "%s", tz_last()->message);
	return a + b;
}
/* } */

/* tz_wait_for { */
static double measure(int sensor)
{
	int r = tz_sleep(sensor == 1 ? 0 : 60);

	return r < 0 ? tz_fail(r, "no answer"), 0.0 : 20.5;
}
TZ_TASK(double, measure, int);

static void ask(int sensor)
{
	double t = 0;
	int r = tz_wait_for(0.01, &t, measure, sensor);

	if (r == 0)
		printf("%d: %g\n", sensor, t);
	else if (r == -ETIMEDOUT)
		printf("%d: too late\n", sensor);
}
/* } */

int main(void)
{
	long n = 0;

	if (tz_result(tz_submit(NULL, fib, 10), &n) == 0)
		printf("%ld\n", n);
	ask(1);
	ask(2);
	return 0;
}
/* prints:
55
1: 20.5
2: too late
*/
