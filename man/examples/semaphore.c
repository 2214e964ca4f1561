#include <errno.h>
#include <stdio.h>

#include <trenza/semaphore.h>

int main(void)
{
	/* tz_semaphore_init_bounded, tz_with_semaphore, tz_semaphore_acquire, tz_semaphore_release { */
	tz_semaphore connections;

	tz_semaphore_init_bounded(&connections, 4);
	/* } */
	{
		/* tz_with_semaphore { */
		int r;

		tz_with_semaphore(&connections, &r) {
			printf("one of at most four\n");
		}
		if (r < 0)
			printf("the wait ended early\n");
		/* } */
	}
	/* tz_semaphore_acquire, tz_semaphore_release { */
	if (tz_semaphore_acquire(&connections) == 0) {
		printf("%d left\n", tz_semaphore_permits(&connections));
		tz_semaphore_release(&connections);
	}
	/* } */
	/* tz_semaphore_init_bounded { */
	if (tz_semaphore_release(&connections) == -EOVERFLOW)
		printf("one release too many\n");
	/* } */
	{
		/* tz_semaphore_init, tz_semaphore_release_n, tz_semaphore_permits, TZ_SEMAPHORE_MAX { */
		tz_semaphore items;

		tz_semaphore_init(&items, 0); /* as all-zero is; up to TZ_SEMAPHORE_MAX */
		tz_semaphore_release_n(&items, 3);
		printf("%d items\n", tz_semaphore_permits(&items));
		/* } */
		/* tz_semaphore_try, tz_semaphore_acquire_until { */
		while (tz_semaphore_try(&items) == 0)
			printf("took one\n");
		if (tz_semaphore_acquire_until(&items, tz_after(0.01)) == -ETIMEDOUT)
			printf("no more came\n");
		/* } */
	}
	return 0;
}
/* prints:
one of at most four
3 left
one release too many
3 items
took one
took one
took one
no more came
*/
