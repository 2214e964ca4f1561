#include <errno.h>
#include <stdio.h>

#include <trenza/lock.h>

/* tz_lock_acquire, tz_lock_release, tz_with_lock { */
static tz_lock lock; /* all-zero is a free lock */
static int count; /* under the lock */
/* } */

/* tz_rlock_acquire, tz_rlock_release, tz_with_rlock { */
static tz_rlock tree_lock;

static int depth_of(int n)
{
	int depth = 0;

	tz_with_rlock(&tree_lock) { /* held already where it calls itself */
		if (n > 0)
			depth = 1 + depth_of(n - 1);
	}
	return depth;
}
/* } */

int main(void)
{
	/* tz_lock_acquire, tz_lock_release { */
	tz_lock_acquire(&lock);
	count++;
	tz_lock_release(&lock);
	/* } */
	/* tz_with_lock { */
	tz_with_lock(&lock) {
		count++;
	} /* released whichever way the block is left */
	/* } */
	/* tz_lock_try, tz_lock_is_held { */
	if (tz_lock_try(&lock) == 0) {
		count += tz_lock_is_held(&lock);
		tz_lock_release(&lock);
	}
	/* } */
	/* tz_lock_acquire_until { */
	if (tz_lock_acquire_until(&lock, tz_after(0.5)) == -ETIMEDOUT)
		fprintf(stderr, "somebody holds the lock for long\n");
	else
		tz_lock_release(&lock);
	/* } */
	printf("%d\n", count);
	/* tz_rlock_acquire, tz_rlock_release, tz_rlock_is_mine, tz_rlock_is_held { */
	tz_rlock_acquire(&tree_lock);
	printf("%d %d %d\n", depth_of(3), tz_rlock_is_mine(&tree_lock),
	       tz_rlock_is_held(&tree_lock));
	tz_rlock_release(&tree_lock);
	/* } */
	/* tz_rlock_try, tz_rlock_acquire_until { */
	if (tz_rlock_try(&tree_lock) == 0) {
		if (tz_rlock_acquire_until(&tree_lock, tz_after(0.5)) == 0) /* once more */
			tz_rlock_release(&tree_lock);
		tz_rlock_release(&tree_lock);
	}
	/* } */
	return 0;
}
/* prints:
3
3 1 1
*/
