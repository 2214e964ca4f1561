#include <errno.h>
#include <stdio.h>

#include <trenza.h>

/* tz_with_shared_lock, tz_shared_lock_recover { */
struct account {
	tz_shared_lock lock; /* all-zero is a free lock */
	long balance;
	long deposits[2];
};

static void deposit(struct account *a, int who, int times)
{
	for (int i = 0; i < times; i++) {
		int r;

		tz_with_shared_lock(&a->lock, &r) {
			if (r == -EOWNERDEAD) { /* somebody was killed between two of the stores */
				a->balance = a->deposits[0] + a->deposits[1];
				tz_shared_lock_recover(&a->lock);
			}
			a->deposits[who]++;
			a->balance++;
		}
		if (r == -ENOTRECOVERABLE)
			return; /* somebody did not care */
	}
}
/* } */
TZ_TASK(void, deposit, struct account *, int, int);

/* tz_shared_rlock_acquire, tz_shared_rlock_release, tz_with_shared_rlock { */
static int depth_of(tz_shared_rlock *tree_lock, int n)
{
	int depth = 0, r;

	tz_with_shared_rlock(tree_lock, &r) { /* held already where it calls itself */
		if (n > 0)
			depth = 1 + depth_of(tree_lock, n - 1);
	}
	return depth;
}
/* } */

int main(void)
{
	/* tz_with_shared_lock { */
	struct account *a = TZ_SHARED_NEW(struct account);
	tz_executor *ex;

	if (!a || tz_executor_open(&ex, "processes:2") < 0)
		return 1;
	tz_gather(tz_submit(ex, deposit, a, 0, 1000), tz_submit(ex, deposit, a, 1, 1000));
	printf("%ld\n", a->balance);
	/* } */
	tz_executor_close(ex);
	/* tz_shared_lock_acquire, tz_shared_lock_release { */
	if (tz_shared_lock_acquire(&a->lock) == 0) {
		a->balance = 0;
		tz_shared_lock_release(&a->lock);
	}
	/* } */
	/* tz_shared_lock_try, tz_shared_lock_acquire_until, tz_shared_lock_is_held { */
	if (tz_shared_lock_try(&a->lock) == 0) {
		printf("held: %d\n", tz_shared_lock_is_held(&a->lock));
		if (tz_shared_lock_acquire_until(&a->lock, tz_after(0.01)) == -ETIMEDOUT)
			printf("still held\n");
		tz_shared_lock_release(&a->lock);
	}
	/* } */
	{
		/* tz_shared_rlock_acquire, tz_shared_rlock_release, tz_shared_rlock_is_mine, tz_shared_rlock_is_held,
		   tz_shared_rlock_recover, tz_with_shared_rlock { */
		tz_shared_rlock *tree_lock = TZ_SHARED_NEW(tz_shared_rlock);
		int r = tz_shared_rlock_acquire(tree_lock);

		if (r == -EOWNERDEAD)
			r = tz_shared_rlock_recover(tree_lock);
		if (r == 0) {
			printf("depth %d\n", depth_of(tree_lock, 3));
			printf("mine: %d\n", tz_shared_rlock_is_mine(tree_lock));
			tz_shared_rlock_release(tree_lock);
		}
		printf("held: %d\n", tz_shared_rlock_is_held(tree_lock));
		/* } */
		/* tz_shared_rlock_try, tz_shared_rlock_acquire_until { */
		if (tz_shared_rlock_try(tree_lock) == 0 &&
		    tz_shared_rlock_acquire_until(tree_lock, tz_after(0.01)) == 0) {
			tz_shared_rlock_release(tree_lock);
			tz_shared_rlock_release(tree_lock); /* as often as it was acquired */
		}
		/* } */
		tz_shared_free(tree_lock);
	}
	tz_shared_free(a);
	return 0;
}
/* prints:
2000
held: 1
still held
depth 3
mine: 1
held: 0
*/
