#include <stdio.h>

#include <trenza.h>

/* tz_stream_open, tz_stream_over, tz_stream_next, tz_stream_close { */
static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);
/* } */

/* tz_stream_open, tz_stream_next, tz_stream_close { */
static bool next(void *arg, area_args *ret)
{
	int *i = arg;

	if (*i == 5)
		return false; /* the end */
	*ret = tz_bind(area, *i, 10.0);
	++*i;
	return true;
}
/* } */

int main(void)
{
	/* tz_stream_open, tz_stream_next, tz_stream_close { */
	area_stream s;
	int i = 0;
	double a;

	if (tz_stream_open(&s, NULL, area, NULL, next, &i) < 0)
		return 1;
	while (tz_stream_next(s, &a) > 0)
		printf("%g\n", a);
	tz_stream_close(s);
	/* } */
	{
		/* tz_stream_over { */
		double w[3] = { 1, 2, 3 }, h[3] = { 4, 5, 6 };
		area_stream over;

		if (tz_stream_over(&over, NULL, area, NULL, 3, w, h) < 0)
			return 1;
		while (tz_stream_next(over, &a) > 0)
			printf("%g\n", a);
		tz_stream_close(over);
		/* } */
	}
	return 0;
}
/* prints:
0
10
20
30
40
4
10
18
*/
