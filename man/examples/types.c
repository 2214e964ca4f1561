#include <stdio.h>

#include <trenza/task.h>
#include <trenza/types.h>

/* TZ_FLAT, TZ_STRUCT { */
struct point {
	double x, y;
};
TZ_FLAT(struct point);

struct place {
	const char *name;
	struct point at;
	double heights[2];
	struct place *next; /* is NULL in the task, if that runs in another process */
};
TZ_STRUCT(struct place, name, (struct point, at), heights);

static double distance(struct place a, struct place b) /* squared */
{
	double x = b.at.x - a.at.x, y = b.at.y - a.at.y;

	return x * x + y * y;
}
TZ_TASK(double, distance, struct place, struct place);
/* } */

int main(void)
{
	struct place home = { .name = "home" }, school = { .name = "school", .at = { 3, 4 } };
	distance_future f = tz_submit(NULL, distance, home, school);
	double d;

	if (tz_result(f, &d) < 0)
		tz_perror("distance");
	else
		printf("%g\n", d);
	return 0;
}
/* prints:
25
*/
