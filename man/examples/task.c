#include <stdio.h>

#include <trenza/task.h>

/* TZ_TASK, tz_submit, tz_bind, tz_submit_bound, tz_submit_bulk, tz_map { */
static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);
/* } */

int main(void)
{
	tz_executor *ex = NULL; /* the default one */

	{
		/* TZ_TASK, tz_submit { */
		area_future f = tz_submit(ex, area, 3.0, 4.0);
		double a;

		if (tz_result(f, &a) < 0)
			tz_perror("area");
		else
			printf("%g\n", a);
		/* } */
	}
	{
		/* tz_submit, TZ_OPTIONS { */
		area_future g = tz_submit_with(
			ex, TZ_OPTIONS(tz_submit_options, .name = "the kitchen", .deadline = tz_after(60)),
			area, 2.5, 4.0);
		/* } */
		double a = 0;

		tz_result(g, &a);
		printf("%g\n", a);
	}
	{
		/* tz_bind, tz_submit_bound { */
		area_args room = tz_bind(area, 3.0, 4.0);
		area_future f, g;
		double a = 0, b = 0;

		f = tz_submit_bound(ex, NULL, area, &room);
		room.a2 = 5.0; /* the second argument */
		g = tz_submit_bound(ex, NULL, area, &room);
		tz_result(f, &a);
		tz_result(g, &b);
		printf("%g %g\n", a, b);
		/* } */
	}
	{
		/* tz_submit_bulk { */
		area_args rooms[100];
		area_future futures[100];

		for (int i = 0; i < 100; i++)
			rooms[i] = tz_bind(area, i, 2.0);
		if (tz_submit_bulk(ex, NULL, area, 100, rooms, futures) == 0)
			printf("all of them: %d\n", tz_gather_all(futures, 100));
		/* } */
	}
	{
		/* tz_map { */
		double w[3] = { 1, 2, 3 }, h[3] = { 10, 20, 30 }, out[3];

		if (tz_map(ex, area, 3, out, w, h) < 0)
			tz_perror("map");
		else
			printf("%g %g %g\n", out[0], out[1], out[2]);
		/* } */
	}
	return 0;
}
/* prints:
12
10
12 15
all of them: 0
10 40 90
*/
