/* Options that are written in place, in C and in C++: compiled in both by compile.sh. */
#include <trenza.h>

static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);

static void nop(void)
{
}
TZ_TASK(void, nop, void);

int main(void)
{
	tz_executor *ex;
	tz_scope scope;
	tz_thread *thread;
	tz_outcome outcomes[3], *first = outcomes;
	double w[3] = { 1, 2, 3 }, h[3] = { 4, 5, 6 }, out[3], a;

	if (tz_executor_open_with(&ex, "threads",
				  TZ_OPTIONS(tz_executor_options, .workers = 2, .name = "x")) < 0)
		return 1;
	area_future f = tz_submit_with(ex,
				       TZ_OPTIONS(tz_submit_options, .priority = TZ_PRIORITY_HIGH,
						  .retries = 2, .name = "a", .deadline = tz_after(9)),
				       area, 3.0, 4.0);
	nop_future g = tz_submit_with(ex, TZ_OPTIONS(tz_submit_options, .name = "b"), nop);
	int r = tz_result(f, &a) | tz_result(g, NULL);

	r |= tz_map_with(ex,
			 TZ_OPTIONS(tz_map_options, .policy = TZ_MAP_ALL, .outcomes = first, .chunk = 1),
			 area, 3, out, w, h);
	r |= tz_thread_open_with(
		&thread, TZ_OPTIONS(tz_thread_options, .name = "n", .daemon = true), nop);
	tz_scope_enter(&scope, tz_never());
	(void)tz_scope_submit(&scope, ex, area, 1.0, 2.0);
	r |= tz_scope_leave(&scope);
	tz_executor_close(ex);
	return r;
}
