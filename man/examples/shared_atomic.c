#include <stdio.h>

#include <trenza.h>

/* tz_shared_load, tz_shared_store, tz_shared_add { */
struct work {
	long done;
	double sum;
	bool stop;
};

static void work(struct work *w, double part)
{
	if (tz_shared_load(&w->stop))
		return;
	(void)tz_shared_add(&w->sum, part);
	if (tz_shared_add(&w->done, 1) == 100)
		tz_shared_store(&w->stop, true);
}
TZ_TASK(void, work, struct work *, double);
/* } */

int main(void)
{
	/* tz_shared_cas, tz_shared_exchange { */
	static long largest;
	long before = tz_shared_load(&largest), mine = 42;

	while (mine > before && !tz_shared_cas(&largest, &before, mine))
		; /* somebody else was faster: `before` is what is there now */
	printf("the largest was %ld\n", tz_shared_exchange(&largest, 0));
	/* } */
	struct work *w = TZ_SHARED_NEW(struct work);
	tz_executor *ex;

	if (!w || tz_executor_open(&ex, "processes:2") < 0)
		return 1;
	for (int i = 0; i < 200; i++)
		(void)tz_detach(tz_submit(ex, work, w, 0.5));
	tz_executor_close(ex);
	printf("%s\n", w->stop && w->done >= 100 && w->sum == 0.5 * (double)w->done ? "done" : "not done");
	tz_shared_free(w);
	return 0;
}
/* prints:
the largest was 42
done
*/
