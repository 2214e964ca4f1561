#include <stdio.h>

#include <trenza.h>

/* tz_to_thread { */
static int lines_of(const char *path)
{
	FILE *file = fopen(path, "r"); /* may wait for a disk, or for a network */
	int lines = 0;

	if (!file)
		return tz_fail(-1, "cannot open %s", path), 0;
	for (int c; (c = getc(file)) != EOF;)
		lines += c == '\n';
	fclose(file);
	return lines;
}
TZ_TASK(int, lines_of, const char *);

static void count(void)
{
	lines_of_future f = tz_to_thread(lines_of, "/proc/self/comm");
	int lines;

	/* Other coroutines run here meanwhile. */
	if (tz_result(f, &lines) == 0)
		printf("lines: %d\n", lines);
}
/* } */

static long sum_to(long n)
{
	long sum = 0;

	for (long i = 1; i <= n; i++)
		sum += i;
	return sum;
}
TZ_TASK(long, sum_to, long);

int main(void)
{
	count();
	{
		/* tz_run_in_executor { */
		long sum;

		if (tz_result(tz_run_in_executor(tz_lane(TZ_LANE_CPU), sum_to, 1000L), &sum) == 0)
			printf("sum: %ld\n", sum);
		/* } */
	}
	{
		/* tz_lane { */
		tz_executor *io = tz_lane(TZ_LANE_IO);

		if (io)
			printf("at most %d threads, called %s-0, ...\n", tz_executor_workers(io),
			       tz_executor_name(io));
		/* } */
	}
	return 0;
}
/* prints:
lines: 1
sum: 500500
at most 64 threads, called lane-io-0, ...
*/
