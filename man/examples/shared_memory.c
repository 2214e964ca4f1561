#include <stdio.h>
#include <unistd.h>

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
	/* tz_shared_resize { */
	char *log = NULL;

	if (tz_shared_alloc_with((void **)&log, 1000, TZ_OPTIONS(tz_shared_options, .reserve = 1 << 20)) == 0) {
		if (tz_shared_resize(log, 100000) == 0)
			log[99999] = '!'; /* at the same address */
		tz_shared_free(log);
	}
	/* } */
	/* tz_shared_memory_create, tz_shared_memory_open { */
	int *level = NULL, *seen = NULL;
	char name[32];

	(void)snprintf(name, sizeof name, "level-%d", (int)getpid());
	if (tz_shared_memory_create((void **)&level, name, sizeof *level, NULL) == 0) {
		*level = 7;
		/* in any other program of the same user: */
		if (tz_shared_memory_open((void **)&seen, name, NULL) == 0)
			printf("level %d\n", *seen);
		tz_shared_free(seen);
		tz_shared_free(level);
	}
	/* } */
	/* tz_shared_memory_unlink { */
	/* what Python's SharedMemory("weights") made, and has not unlinked */
	(void)tz_shared_memory_unlink("weights", TZ_OPTIONS(tz_shared_options, .python = true));
	/* } */
	tz_executor_close(ex);
	return r != 0;
}
/* prints:
70
998001, and room for more: 1
level 7
*/
