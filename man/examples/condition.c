#include <errno.h>
#include <stdio.h>

#include <trenza.h>

/* tz_condition_wait, tz_condition_wait_until, tz_condition_wait_for, tz_condition_wait_for_until,
   tz_condition_notify, tz_condition_notify_n, tz_condition_notify_all { */
static tz_lock lock;
static tz_condition filled;
static int apples; /* in the basket; under the lock */
/* } */

/* tz_condition_wait_for, tz_condition_wait_for_until { */
static bool has_apples(void *basket)
{
	return *(int *)basket > 0;
}
/* } */

/* tz_condition_notify { */
static void add_one(void)
{
	tz_with_lock(&lock) {
		apples++;
		tz_condition_notify(&filled); /* one apple is for one who waits */
	}
}
/* } */
TZ_TASK(void, add_one, void);

/* tz_condition_notify_all, tz_condition_notify_n { */
static void add_many(int n)
{
	tz_with_lock(&lock) {
		apples += n;
		if (n > 10)
			tz_condition_notify_all(&filled);
		else
			tz_condition_notify_n(&filled, (size_t)n);
	}
}
/* } */
TZ_TASK(void, add_many, int);

/* tz_condition_wait_rlock, tz_condition_wait_for_rlock { */
static tz_rlock tree_lock;
static tz_condition tree_changed;
/* } */

int main(void)
{
	add_one_future f = tz_submit(NULL, add_one);
	add_many_future g;

	/* tz_condition_wait_for { */
	tz_with_lock(&lock) {
		if (tz_condition_wait_for(&filled, &lock, has_apples, &apples) == 0)
			apples--;
	}
	/* } */
	printf("%d\n", apples);
	g = tz_submit(NULL, add_many, 2);
	/* tz_condition_wait { */
	tz_with_lock(&lock) {
		while (apples == 0) /* somebody else may have been faster */
			if (tz_condition_wait(&filled, &lock) < 0)
				break;
		apples--;
	}
	/* } */
	printf("%d\n", apples);
	apples = 0;
	/* tz_condition_wait_until { */
	tz_with_lock(&lock) {
		tz_deadline end = tz_after(0.01);

		while (apples == 0)
			if (tz_condition_wait_until(&filled, &lock, end) == -ETIMEDOUT)
				break; /* with the lock held */
		printf("still %d\n", apples);
	}
	/* } */
	/* tz_condition_wait_for_until { */
	tz_with_lock(&lock) {
		if (tz_condition_wait_for_until(&filled, &lock, has_apples, &apples,
						tz_after(0.01)) == -ETIMEDOUT)
			printf("nobody brought apples\n");
	}
	/* } */
	/* tz_condition_wait_rlock { */
	tz_with_rlock(&tree_lock) {
		if (tz_condition_wait_rlock(&tree_changed, &tree_lock, tz_after(0.01)) < 0)
			printf("the tree is as it was\n");
	}
	/* } */
	/* tz_condition_wait_for_rlock { */
	tz_with_rlock(&tree_lock) {
		if (tz_condition_wait_for_rlock(&tree_changed, &tree_lock, has_apples, &apples,
						tz_after(0.01)) < 0)
			printf("no apples on the tree\n");
	}
	/* } */
	tz_gather(f, g);
	return 0;
}
/* prints:
0
1
still 0
nobody brought apples
the tree is as it was
no apples on the tree
*/
