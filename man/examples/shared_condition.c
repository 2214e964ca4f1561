#include <errno.h>
#include <stdio.h>

#include <trenza.h>

/* tz_shared_condition_wait, tz_shared_condition_wait_until, tz_shared_condition_wait_for, tz_shared_condition_wait_for_until,
   tz_shared_condition_notify, tz_shared_condition_notify_n, tz_shared_condition_notify_all { */
struct basket {
	tz_shared_lock lock;
	tz_shared_condition filled; /* all-zero is one that nobody waits for */
	int apples; /* under the lock */
};
/* } */

/* tz_shared_condition_wait_for, tz_shared_condition_wait_for_until { */
static bool has_apples(void *basket)
{
	return ((struct basket *)basket)->apples > 0;
}
/* } */

/* tz_shared_condition_notify, tz_shared_condition_notify_n, tz_shared_condition_notify_all { */
static void add(struct basket *b, int n)
{
	int r;

	tz_with_shared_lock(&b->lock, &r) {
		b->apples += n;
		if (n == 1)
			tz_shared_condition_notify(&b->filled); /* one apple is for one who waits, in whichever process */
		else if (n < 10)
			tz_shared_condition_notify_n(&b->filled, (size_t)n);
		else
			tz_shared_condition_notify_all(&b->filled);
		if (r == -EOWNERDEAD)
			tz_shared_lock_recover(&b->lock); /* a number that may be one too low does no harm here */
	}
}
/* } */
TZ_TASK(void, add, struct basket *, int);

int main(void)
{
	struct basket *b = TZ_SHARED_NEW(struct basket);
	add_future f, g;
	int r;

	if (!b)
		return 1;
	f = tz_submit(NULL, add, b, 1);
	/* tz_shared_condition_wait_for { */
	tz_with_shared_lock(&b->lock, NULL) {
		if (tz_shared_condition_wait_for(&b->filled, &b->lock, has_apples, b) == 0)
			b->apples--;
	}
	/* } */
	printf("%d\n", b->apples);
	g = tz_submit(NULL, add, b, 2);
	/* tz_shared_condition_wait { */
	tz_with_shared_lock(&b->lock, NULL) {
		while (b->apples == 0) { /* somebody else may have been faster */
			r = tz_shared_condition_wait(&b->filled, &b->lock);
			if (r == -EOWNERDEAD)
				tz_shared_lock_recover(&b->lock);
			else if (r < 0)
				break;
		}
		b->apples = 0;
	}
	/* } */
	tz_gather(f, g);
	/* tz_shared_condition_wait_until, tz_shared_condition_wait_for_until { */
	tz_with_shared_lock(&b->lock, NULL) {
		if (tz_shared_condition_wait_until(&b->filled, &b->lock, tz_after(0.01)) == -ETIMEDOUT)
			printf("nobody came\n"); /* and we have the lock */
		if (tz_shared_condition_wait_for_until(&b->filled, &b->lock, has_apples, b, tz_after(0.01)) == -ETIMEDOUT)
			printf("nobody brought apples\n");
	}
	/* } */
	{
		/* tz_shared_condition_wait_rlock { */
		static tz_shared_rlock tree_lock;
		static tz_shared_condition tree_changed;

		tz_with_shared_rlock(&tree_lock, NULL) {
			if (tz_shared_condition_wait_rlock(&tree_changed, &tree_lock, tz_after(0.01)) < 0)
				printf("the tree is as it was\n");
		}
		/* } */
	}
	tz_shared_free(b);
	return 0;
}
/* prints:
0
nobody came
nobody brought apples
the tree is as it was
*/
