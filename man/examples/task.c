#include <stdio.h>

#include <trenza/event.h>
#include <trenza/task.h>

/* TZ_TASK, tz_submit, tz_apply, tz_on_result, tz_bind, tz_submit_bound, tz_submit_bulk, tz_map, tz_map_bound, tz_submit_map, tz_submit_map_bound { */
static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);
/* } */

/* tz_on_result { */
static void got(void *arg, double a)
{
	printf("%g\n", a);
	tz_event_set(arg);
}

static void failed(void *arg, const tz_outcome *outcome)
{
	printf("%s\n", outcome->message);
	tz_event_set(arg);
}
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
		area_future g = tz_submit_with(ex,
					       TZ_OPTIONS(tz_submit_options, .name = "the kitchen",
							  .deadline = tz_after(60)),
					       area, 2.5, 4.0);
		/* } */
		double a = 0;

		tz_result(g, &a);
		printf("%g\n", a);
	}
	{
		/* tz_apply { */
		double a;

		if (tz_apply(ex, &a, area, 3.0, 4.0) < 0)
			tz_perror("area");
		else
			printf("%g\n", a);
		/* } */
	}
	{
		/* tz_on_result { */
		tz_event called = { 0 };
		area_future f = tz_submit(ex, area, 4.0, 5.0);

		tz_on_result(f, area, got, failed, &called);
		tz_detach(f); /* the callbacks stay */
		tz_event_wait(&called);
		/* } */
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
	{
		/* tz_map_bound { */
		area_args rooms[2] = { tz_bind(area, 3.0, 4.0), tz_bind(area, 5.0, 6.0) };
		double out[2];

		if (tz_map_bound(ex, NULL, area, 2, out, rooms) == 0)
			printf("%g %g\n", out[0], out[1]);
		/* } */
	}
	{
		/* tz_submit_map { */
		double w[3] = { 1, 2, 3 }, h[3] = { 10, 20, 30 }, out[3];
		tz_future all = tz_submit_map(ex, area, 3, out, w, h);

		/* ... something else ... */
		if (tz_result(all, NULL) < 0)
			tz_perror("map");
		else
			printf("%g %g %g\n", out[0], out[1], out[2]);
		/* } */
	}
	{
		/* tz_submit_map_bound { */
		area_args rooms[2] = { tz_bind(area, 1.0, 2.0), tz_bind(area, 3.0, 4.0) };
		double out[2];
		tz_future all = tz_submit_map_bound(ex, NULL, area, 2, out, rooms);

		if (tz_result(all, NULL) == 0)
			printf("%g %g\n", out[0], out[1]);
		/* } */
	}
	return 0;
}
/* prints:
12
10
12
20
12 15
all of them: 0
10 40 90
12 30
10 40 90
2 12
*/
