#include <stdio.h>

#include <trenza.h>

/* tz_for_range { */
static void fill(size_t lo, size_t hi, void *arg)
{
	double *squares = arg;

	for (size_t i = lo; i < hi; i++)
		squares[i] = (double)i * (double)i;
}
/* } */

/* TZ_REDUCER, tz_reduce_array { */
static double add(double a, double b)
{
	return a + b;
}
TZ_REDUCER(double, add);
/* } */

/* tz_reduce { */
struct extremes {
	double least, most;
};

static void fold(void *acc, size_t lo, size_t hi, void *arg)
{
	struct extremes *e = acc;
	const double *array = arg;

	for (size_t i = lo; i < hi; i++) {
		e->least = array[i] < e->least ? array[i] : e->least;
		e->most = array[i] > e->most ? array[i] : e->most;
	}
}

static void combine(void *acc, const void *right, void *arg)
{
	struct extremes *e = acc;
	const struct extremes *r = right;

	(void)arg;
	e->least = r->least < e->least ? r->least : e->least;
	e->most = r->most > e->most ? r->most : e->most;
}
/* } */

int main(void)
{
	static double squares[10000];
	tz_executor *ex = NULL;

	/* tz_for_range { */
	if (tz_for_range(ex, NULL, 0, 10000, fill, squares) < 0)
		tz_perror("fill");
	/* } */
	{
		/* TZ_REDUCER, tz_reduce_array { */
		const double zero = 0;
		double sum;

		if (tz_reduce_array(ex, add, &zero, 10000, squares, &sum) == 0)
			printf("%.0f\n", sum);
		/* } */
	}
	{
		/* tz_reduce { */
		const struct extremes none = { 1e300, -1e300 };
		tz_reduction reduction = {
			.size = sizeof none,
			.identity = &none,
			.fold = fold,
			.combine = combine,
			.arg = squares,
		};
		struct extremes e;

		if (tz_reduce(ex, NULL, &reduction, 10000, &e) == 0)
			printf("%g %g\n", e.least, e.most);
		/* } */
	}
	return 0;
}
/* prints:
333283335000
0 9.998e+07
*/
