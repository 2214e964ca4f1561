#include <errno.h>
#include <stdio.h>

#include <trenza.h>

/* tz_shared_barrier_wait { */
struct work {
	tz_shared_barrier round_end;
	int done[3];
};

static int compute(struct work *w, int me, int rounds)
{
	int r = 0;

	for (int i = 0; i < rounds && r >= 0; i++) {
		w->done[me]++;
		r = tz_shared_barrier_wait(&w->round_end); /* until all parties are here, or one of them was killed */
	}
	return r;
}
/* } */
TZ_TASK(int, compute, struct work *, int, int);

/* tz_shared_barrier_wait_action { */
static int count_rounds(void *rounds)
{
	++*(int *)rounds;
	return 0;
}
/* } */

int main(void)
{
	struct work *w = TZ_SHARED_NEW(struct work);
	compute_future f[3];
	tz_executor *ex;

	if (!w || tz_executor_open(&ex, "threads:3") < 0)
		return 1;
	/* tz_shared_barrier_init, tz_shared_barrier_parties, TZ_SHARED_BARRIER_MAX { */
	if (tz_shared_barrier_init(&w->round_end, 3) < 0)
		return 1; /* fewer than 1, or more than TZ_SHARED_BARRIER_MAX */
	printf("%d parties\n", tz_shared_barrier_parties(&w->round_end));
	/* } */
	for (int i = 0; i < 3; i++)
		f[i] = tz_submit(ex, compute, w, i, 5);
	tz_gather_all(f, 3);
	printf("%d %d %d\n", w->done[0], w->done[1], w->done[2]);
	/* tz_shared_barrier_wait_until, tz_shared_barrier_is_broken, tz_shared_barrier_waiting, tz_shared_barrier_reset { */
	if (tz_shared_barrier_wait_until(&w->round_end, tz_after(0.01)) == -ETIMEDOUT)
		printf("broken: %d\n", tz_shared_barrier_is_broken(&w->round_end));
	tz_shared_barrier_reset(&w->round_end);
	printf("waiting: %d\n", tz_shared_barrier_waiting(&w->round_end));
	/* } */
	f[0] = tz_submit(ex, compute, w, 0, 5);
	/* tz_shared_barrier_abort { */
	tz_shared_barrier_abort(&w->round_end); /* who waits, or comes, is told -EPIPE */
	/* } */
	{
		int r = 0;

		tz_result(f[0], &r);
		printf("%s\n", r == -EPIPE ? "-EPIPE" : "?");
	}
	{
		/* tz_shared_barrier_wait_action { */
		static tz_shared_barrier alone; /* all-zero is one of a single party */
		int rounds = 0;

		tz_shared_barrier_wait_action(&alone, count_rounds, &rounds, tz_never());
		printf("%d round\n", rounds);
		/* } */
	}
	tz_executor_close(ex);
	tz_shared_free(w);
	return 0;
}
/* prints:
3 parties
5 5 5
broken: 1
waiting: 0
-EPIPE
1 round
*/
