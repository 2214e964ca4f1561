/* A program outside the tree: the installed headers and library are all that it has. */
#include <stdio.h>
#include <trenza.h>

static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);

int main(void)
{
	tz_executor *ex;
	if (tz_executor_open(&ex, "threads:2") < 0)
		return 1;
	double a = 0.0;
	if (tz_result(tz_submit(ex, area, 3.0, 4.0), &a) < 0) {
		tz_perror("area");
		return 1;
	}
	double w[100], out[100];
	for (int i = 0; i < 100; i++)
		w[i] = i;
	if (tz_map(ex, area, 100, out, w, w) < 0 || out[99] < 9801.0) {
		tz_perror("map");
		return 1;
	}
	tz_executor_close(ex);
	if (a < 12.0 || tz_version() != TZ_VERSION)
		return 1;
	printf("%d.%d.%d\n", TZ_VERSION_MAJOR, TZ_VERSION_MINOR, TZ_VERSION_PATCH);
	return 0;
}
