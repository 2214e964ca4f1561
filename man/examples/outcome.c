#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <trenza.h>

/* tz_fail { */
static double root(double x)
{
	double r = x / 2;

	if (x < 0)
		return tz_fail(-EDOM, "%g is negative", x), 0.0;
	for (int i = 0; i < 60 && r > 0; i++)
		r = (r + x / r) / 2;
	return r;
}
TZ_TASK(double, root, double);
/* } */

int main(void)
{
	double r = 0;

	/* tz_fail, tz_last, tz_status_name { */
	if (tz_result(tz_submit(NULL, root, -1.0), &r) == -EREMOTEIO)
		printf("%s: %s\n", tz_status_name(tz_last()->status), tz_last()->message);
	/* } */
	{
		/* tz_describe { */
		char line[200];

		tz_describe(tz_last(), line, sizeof line);
		/* } */
		printf("it names the task: %s\n", strstr(line, "root") ? "yes" : "no");
	}
	/* tz_perror { */
	if (tz_result(tz_submit(NULL, root, -2.0), &r) < 0)
		tz_perror("square root"); /* square root: root: failed: -2 is negative ... */
	/* } */
	return 0;
}
/* prints:
failed: -1 is negative
it names the task: yes
*/
