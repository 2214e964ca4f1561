#include <errno.h>
#include <stdio.h>

#include <trenza.h>

int main(void)
{
	/* tz_shared_semaphore_init_bounded, tz_with_shared_semaphore, tz_shared_semaphore_acquire, tz_shared_semaphore_release,
	   TZ_SHARED_PROCESSES { */
	tz_shared_semaphore *licences = TZ_SHARED_NEW(tz_shared_semaphore); /* for up to TZ_SHARED_PROCESSES processes */

	tz_shared_semaphore_init_bounded(licences, 3);
	/* } */
	{
		/* tz_with_shared_semaphore { */
		int r;

		tz_with_shared_semaphore(licences, &r) {
			printf("one of at most three\n"); /* a process that is killed here gives it back */
		}
		if (r < 0)
			printf("the wait ended early\n");
		/* } */
	}
	/* tz_shared_semaphore_acquire, tz_shared_semaphore_release, tz_shared_semaphore_permits { */
	if (tz_shared_semaphore_acquire(licences) == 0) {
		printf("%d left\n", tz_shared_semaphore_permits(licences));
		tz_shared_semaphore_release(licences);
	}
	/* } */
	/* tz_shared_semaphore_init_bounded { */
	if (tz_shared_semaphore_release(licences) == -EPERM)
		printf("we have none\n");
	/* } */
	{
		/* tz_shared_semaphore_init, tz_shared_semaphore_release_n { */
		tz_shared_semaphore *places = TZ_SHARED_NEW(tz_shared_semaphore);

		tz_shared_semaphore_init(places, 2);
		tz_shared_semaphore_release_n(places, 3); /* three more */
		printf("%d places\n", tz_shared_semaphore_permits(places));
		/* } */
		tz_shared_free(places);
	}
	{
		/* tz_shared_semaphore_init_signal, tz_shared_semaphore_try, tz_shared_semaphore_acquire_until { */
		tz_shared_semaphore *items = TZ_SHARED_NEW(tz_shared_semaphore);

		tz_shared_semaphore_init_signal(items, 0); /* one process makes them, another one takes them */
		tz_shared_semaphore_release(items);
		while (tz_shared_semaphore_try(items) == 0)
			printf("took one\n");
		if (tz_shared_semaphore_acquire_until(items, tz_after(0.01)) == -ETIMEDOUT)
			printf("no more came\n");
		/* } */
		tz_shared_free(items);
	}
	tz_shared_free(licences);
	return 0;
}
/* prints:
one of at most three
2 left
we have none
5 places
took one
no more came
*/
