#include <errno.h>
#include <stdio.h>

#include <trenza.h>

/* tz_with_shared_read, tz_with_shared_write, tz_shared_rwlock_recover { */
struct table {
	tz_shared_rwlock lock; /* all-zero is free */
	int entries, sum;
};

static int sum_of(struct table *t)
{
	int r, sum = 0;

	tz_with_shared_read(&t->lock, &r)
		sum = t->sum;
	return r < 0 ? r : sum; /* -EOWNERDEAD: a writer was killed, and nobody has repaired the table yet */
}

static int add_entry(struct table *t, int value)
{
	int r;

	tz_with_shared_write(&t->lock, &r) {
		if (r == -EOWNERDEAD) {
			t->entries = t->sum = 0; /* begin again */
			tz_shared_rwlock_recover(&t->lock);
		}
		t->entries++;
		t->sum += value;
	}
	return r;
}
/* } */

int main(void)
{
	struct table *t = TZ_SHARED_NEW(struct table);

	if (!t)
		return 1;
	/* tz_with_shared_read, tz_with_shared_write { */
	add_entry(t, 40);
	add_entry(t, 2);
	printf("%d\n", sum_of(t));
	/* } */
	/* tz_shared_rwlock_acquire_read, tz_shared_rwlock_release_read, tz_shared_rwlock_readers, tz_shared_rwlock_try_write { */
	if (tz_shared_rwlock_acquire_read(&t->lock) == 0) {
		printf("readers: %d\n", tz_shared_rwlock_readers(&t->lock));
		if (tz_shared_rwlock_try_write(&t->lock) == -EBUSY)
			printf("somebody reads\n");
		tz_shared_rwlock_release_read(&t->lock);
	}
	/* } */
	/* tz_shared_rwlock_acquire_write, tz_shared_rwlock_release_write, tz_shared_rwlock_is_written, tz_shared_rwlock_try_read { */
	if (tz_shared_rwlock_acquire_write(&t->lock) == 0) {
		printf("written: %d\n", tz_shared_rwlock_is_written(&t->lock));
		if (tz_shared_rwlock_try_read(&t->lock) == -EBUSY)
			printf("somebody writes\n");
		tz_shared_rwlock_release_write(&t->lock);
	}
	/* } */
	/* tz_shared_rwlock_acquire_read_until, tz_shared_rwlock_acquire_write_until { */
	if (tz_shared_rwlock_acquire_read_until(&t->lock, tz_after(0.01)) == 0) {
		if (tz_shared_rwlock_acquire_write_until(&t->lock, tz_after(0.01)) == -ETIMEDOUT)
			printf("not while it is read\n");
		tz_shared_rwlock_release_read(&t->lock);
	}
	/* } */
	tz_shared_free(t);
	return 0;
}
/* prints:
42
readers: 1
somebody reads
written: 1
somebody writes
not while it is read
*/
