#include <stdio.h>

#include <trenza.h>

/* tz_shared_alloc, TZ_SHARED_NEW, tz_shared_free { */
struct account {
	_Atomic long balance;
};

static void deposit(struct account *a, long amount)
{
	a->balance += amount;
}
TZ_TASK(void, deposit, struct account *, long);
/* } */

/* TZ_SHARED_ARRAY, tz_shared_size { */
static long *squares(int n)
{
	long *a = TZ_SHARED_ARRAY(long, (size_t)n);

	for (int i = 0; a && i < n; i++)
		a[i] = (long)i * i;
	return a; /* who takes the result has the memory then */
}
TZ_TASK(long *, squares, int);
/* } */

/* tz_shared_ref { */
static struct account *kept;

static void keep(struct account *a)
{
	if (!kept && tz_shared_ref(a) == 0)
		kept = a; /* also when this call is over */
}
TZ_TASK(void, keep, struct account *);
/* } */

int main(void)
{
	tz_executor *ex;

	/* tz_shared_alloc, TZ_SHARED_NEW, tz_shared_free { */
	struct account *a = TZ_SHARED_NEW(struct account);

	if (!a || tz_executor_open(&ex, "processes:2") < 0)
		return 1;
	deposit_future f = tz_submit(ex, deposit, a, 100), g = tz_submit(ex, deposit, a, -30);

	(void)tz_result(f, NULL);
	(void)tz_result(g, NULL);
	printf("%ld\n", (long)a->balance);
	/* } */
	(void)tz_result(tz_submit(ex, keep, a), NULL);
	/* tz_shared_alloc, TZ_SHARED_NEW, tz_shared_free { */
	tz_shared_free(a);
	/* } */
	/* TZ_SHARED_ARRAY, tz_shared_size { */
	long *s = NULL;

	if (tz_result(tz_submit(ex, squares, 1000), &s) == 0 && s) {
		printf("%ld, and room for more: %d\n", s[999], tz_shared_size(s) >= 1000 * sizeof *s);
		tz_shared_free(s);
	}
	/* } */
	/* tz_shared_alloc_with { */
	void *aligned = NULL;
	int r = tz_shared_alloc_with(&aligned, 4096, TZ_OPTIONS(tz_shared_options, .align = 1 << 21));

	if (r == 0)
		tz_shared_free(aligned);
	/* } */
	tz_executor_close(ex);
	return r != 0;
}
/* prints:
70
998001, and room for more: 1
*/
