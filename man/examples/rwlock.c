#include <stdio.h>

#include <trenza/rwlock.h>

/* tz_with_read, tz_rwlock_acquire_read, tz_rwlock_release_read, tz_rwlock_acquire_write,
   tz_rwlock_release_write { */
static tz_rwlock lock;
static int table[10]; /* under the lock */
/* } */

int main(void)
{
	int v = -1;

	/* tz_with_read { */
	tz_with_write(&lock) {
		table[3] = 42;
	}
	tz_with_read(&lock) { /* beside other readers */
		v = table[3];
	}
	/* } */
	printf("%d\n", v);
	/* tz_rwlock_acquire_write, tz_rwlock_release_write, tz_rwlock_is_written { */
	tz_rwlock_acquire_write(&lock);
	table[4] = tz_rwlock_is_written(&lock);
	tz_rwlock_release_write(&lock);
	/* } */
	/* tz_rwlock_acquire_read, tz_rwlock_release_read, tz_rwlock_readers { */
	tz_rwlock_acquire_read(&lock);
	printf("%d, %d reader\n", table[4], tz_rwlock_readers(&lock));
	tz_rwlock_release_read(&lock);
	/* } */
	/* tz_rwlock_try_read, tz_rwlock_try_write { */
	if (tz_rwlock_try_read(&lock) == 0) {
		if (tz_rwlock_try_write(&lock) < 0)
			printf("not while somebody reads\n");
		tz_rwlock_release_read(&lock);
	}
	/* } */
	/* tz_rwlock_acquire_read_until, tz_rwlock_acquire_write_until { */
	if (tz_rwlock_acquire_write_until(&lock, tz_after(0.5)) == 0)
		tz_rwlock_release_write(&lock);
	if (tz_rwlock_acquire_read_until(&lock, tz_after(0.5)) == 0)
		tz_rwlock_release_read(&lock);
	/* } */
	return 0;
}
/* prints:
42
1, 1 reader
not while somebody reads
*/
