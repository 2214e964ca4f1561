#include <errno.h>
#include <stdio.h>

#include <trenza.h>

/* tz_barrier_init, tz_barrier_wait { */
static int grids[2][3];

static int swap(void *current) /* by the last one to arrive, while the others wait */
{
	*(int *)current = !*(int *)current;
	return 0;
}
/* } */

static tz_barrier round_end;
static int current;

/* tz_barrier_wait { */
static int compute(int me, int rounds)
{
	int r = 0;

	for (int i = 0; i < rounds && r >= 0; i++) {
		grids[!current][me] = grids[current][me] + 1;
		r = tz_barrier_wait(&round_end); /* until all parties are here */
	}
	return r;
}
/* } */
TZ_TASK(int, compute, int, int);

int main(void)
{
	tz_executor *ex;
	compute_future f[3];

	/* tz_barrier_init, tz_barrier_parties, TZ_BARRIER_MAX { */
	if (tz_barrier_init(&round_end, 3, swap, &current) < 0)
		return 1; /* fewer than 1, or more than TZ_BARRIER_MAX */
	printf("%d parties\n", tz_barrier_parties(&round_end));
	/* } */
	if (tz_executor_open(&ex, "threads:3") < 0)
		return 1;
	for (int i = 0; i < 3; i++)
		f[i] = tz_submit(ex, compute, i, 5);
	tz_gather_all(f, 3);
	printf("%d %d %d\n", grids[current][0], grids[current][1], grids[current][2]);
	/* tz_barrier_wait_until, tz_barrier_is_broken, tz_barrier_waiting, tz_barrier_reset { */
	if (tz_barrier_wait_until(&round_end, tz_after(0.01)) == -ETIMEDOUT)
		printf("broken: %d, waiting: %d\n", tz_barrier_is_broken(&round_end),
		       tz_barrier_waiting(&round_end));
	tz_barrier_reset(&round_end);
	/* } */
	f[0] = tz_submit(ex, compute, 0, 5);
	/* tz_barrier_abort { */
	tz_barrier_abort(&round_end); /* who waits, or comes, is told -EPIPE */
	/* } */
	{
		int r = 0;

		tz_result(f[0], &r);
		printf("%s\n", r == -EPIPE ? "-EPIPE" : "?");
	}
	tz_executor_close(ex);
	return 0;
}
/* prints:
3 parties
5 5 5
broken: 1, waiting: 0
-EPIPE
*/
