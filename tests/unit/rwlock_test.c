/* Read-write locks: exclusion, misuse, time, who starves whom (nobody), and freeing. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include <trenza/rwlock.h>
#include <trenza/scope.h>

#include "check.h"
#include "crew.h"

enum { WAITERS = 4 };

static bool somebody_waits(tz_rwlock *lock)
{
	return (__atomic_load_n(&lock->tz__word, __ATOMIC_RELAXED) & WAITERS) != 0;
}

static void readers_share_and_writers_do_not(void **state)
{
	tz_rwlock lock = { 0 };

	(void)state;
	assert_true(sizeof lock <= 8);
	tz_rwlock_acquire_read(&lock);
	assert_int_equal(tz_rwlock_try_read(&lock), 0);
	assert_int_equal(tz_rwlock_acquire_read_until(&lock, tz_after(-1)), 0);
	assert_int_equal(tz_rwlock_readers(&lock), 3);
	assert_int_equal(tz_rwlock_try_write(&lock), -EBUSY);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_rwlock_release_read(&lock), 0);
	assert_int_equal(tz_rwlock_readers(&lock), 0);
	tz_rwlock_acquire_write(&lock);
	assert_true(tz_rwlock_is_written(&lock));
	assert_int_equal(tz_rwlock_try_read(&lock), -EBUSY);
	assert_int_equal(tz_rwlock_try_write(&lock), -EBUSY);
	assert_int_equal(tz_rwlock_release_write(&lock), 0);
	assert_int_equal(tz_rwlock_acquire_write_until(&lock, tz_after(-1)), 0);
	assert_int_equal(tz_rwlock_release_write(&lock), 0);
	assert_int_equal(lock.tz__word, 0);
}

static void misuse(void **state)
{
	tz_rwlock lock = { 0 };

	(void)state;
	assert_int_equal(tz_rwlock_release_read(&lock), -EPERM);
	assert_int_equal(tz_rwlock_release_write(&lock), -EPERM);
	tz_rwlock_acquire_read(&lock);
	assert_int_equal(tz_rwlock_release_write(&lock), -EPERM);
	assert_int_equal(tz_rwlock_release_read(&lock), 0);
	tz_rwlock_acquire_write(&lock);
	assert_int_equal(tz_rwlock_release_read(&lock), -EPERM);
	assert_int_equal(tz_rwlock_release_write(&lock), 0);
}

static void waits_end(void **state)
{
	tz_rwlock lock = { 0 };
	tz_scope scope = { 0 };

	(void)state;
	tz_rwlock_acquire_read(&lock);
	assert_int_equal(tz_rwlock_acquire_write_until(&lock, tz_after(0.002)), -ETIMEDOUT);
	assert_int_equal(tz_rwlock_try_read(&lock),
			 0); /* the writer that gave up is in nobody's way */
	(void)tz_rwlock_release_read(&lock);
	(void)tz_rwlock_release_read(&lock);
	tz_rwlock_acquire_write(&lock);
	assert_int_equal(tz_rwlock_acquire_read_until(&lock, tz_after(0.002)), -ETIMEDOUT);
	assert_int_equal(tz_rwlock_acquire_write_until(&lock, tz_after(0.002)), -ETIMEDOUT);
	TZ_TIMEOUT(0.002) {
		assert_int_equal(tz_rwlock_acquire_read_until(&lock, tz_never()), -ETIMEDOUT);
	}
	tz_scope_enter(&scope, tz_never());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_rwlock_acquire_read_until(&lock, soon()), -ECANCELED);
	assert_int_equal(tz_rwlock_acquire_write_until(&lock, soon()), -ECANCELED);
	(void)tz_scope_leave(&scope);
	assert_int_equal(tz_rwlock_release_write(&lock), 0);
	assert_int_equal(lock.tz__word, 0);
}

struct pair {
	tz_rwlock lock;
	tz_deadline deadline;
	_Atomic int result; /* 1: none yet */
};

static void *write_once(void *arg)
{
	struct pair *p = arg;
	int r = tz_rwlock_acquire_write_until(&p->lock, p->deadline);

	atomic_store(&p->result, r);
	if (r == 0)
		must(tz_rwlock_release_write(&p->lock) == 0);
	return NULL;
}

static void *read_once(void *arg)
{
	struct pair *p = arg;
	int r = tz_rwlock_acquire_read_until(&p->lock, soon());

	must(r == 0);
	must(tz_rwlock_release_read(&p->lock) == 0);
	atomic_store(&p->result, r);
	return NULL;
}

static void a_waiting_writer_holds_up_new_readers(void **state)
{
	struct pair p = { .deadline = soon(), .result = 1 };
	struct crew crew = { 0 };

	(void)state;
	tz_rwlock_acquire_read(&p.lock);
	crew_add(&crew, write_once, &p);
	until(somebody_waits(&p.lock));
	assert_int_equal(tz_rwlock_try_read(&p.lock), -EBUSY);
	assert_int_equal(tz_rwlock_acquire_read_until(&p.lock, tz_after(0.002)), -ETIMEDOUT);
	assert_int_equal(tz_rwlock_release_read(&p.lock), 0);
	crew_join(&crew);
	assert_int_equal(atomic_load(&p.result), 0);
}

/* Readers behind a writer that gives up must not wait for the reader that the writer waited for. */
static void a_writer_that_gives_up_lets_readers_in(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct pair w = { .deadline = tz_after(0.02), .result = 1 };
		struct crew crew = { 0 };

		tz_rwlock_acquire_read(&w.lock);
		crew_add(&crew, write_once, &w);
		until(somebody_waits(&w.lock) || atomic_load(&w.result) != 1);
		crew_add(&crew, read_once, &w); /* in time behind the writer, mostly */
		crew_join(&crew); /* and through, while we still read */
		assert_int_equal(tz_rwlock_readers(&w.lock), 1);
		assert_int_equal(tz_rwlock_release_read(&w.lock), 0);
		assert_int_equal(w.lock.tz__word, 0);
	}
}

struct flood {
	tz_rwlock lock;
	_Atomic bool stop;
	_Atomic int served;
};

static void *read_all_the_time(void *arg)
{
	struct flood *f = arg;

	while (!atomic_load(&f->stop)) {
		tz_rwlock_acquire_read(&f->lock);
		for (volatile int i = 0; i < 300; i++)
			;
		must(tz_rwlock_release_read(&f->lock) == 0);
	}
	return NULL;
}

static void *write_all_the_time(void *arg)
{
	struct flood *f = arg;

	while (!atomic_load(&f->stop)) {
		tz_rwlock_acquire_write(&f->lock);
		for (volatile int i = 0; i < 300; i++)
			;
		must(tz_rwlock_release_write(&f->lock) == 0);
	}
	return NULL;
}

static void *write_some_times(void *arg)
{
	struct flood *f = arg;

	for (int i = 0; i < 20; i++) {
		must(tz_rwlock_acquire_write_until(&f->lock, soon()) == 0);
		atomic_fetch_add(&f->served, 1);
		must(tz_rwlock_release_write(&f->lock) == 0);
	}
	return NULL;
}

static void *read_some_times(void *arg)
{
	struct flood *f = arg;

	for (int i = 0; i < 20; i++) {
		must(tz_rwlock_acquire_read_until(&f->lock, soon()) == 0);
		atomic_fetch_add(&f->served, 1);
		must(tz_rwlock_release_read(&f->lock) == 0);
	}
	return NULL;
}

static void flood_with(void *(*body)(void *), void *(*served)(void *))
{
	struct flood f = { 0 };
	struct crew flood = { 0 }, others = { 0 };

	for (int i = 0; i < 4; i++)
		crew_add(&flood, body, &f);
	crew_add(&others, served, &f);
	crew_add(&others, served, &f);
	crew_join(&others);
	atomic_store(&f.stop, true);
	crew_join(&flood);
	assert_int_equal(atomic_load(&f.served), 40);
	assert_int_equal(f.lock.tz__word, 0);
}

static void readers_do_not_starve_writers(void **state)
{
	(void)state;
	flood_with(read_all_the_time, write_some_times);
}

static void writers_do_not_starve_readers(void **state)
{
	(void)state;
	flood_with(write_all_the_time, read_some_times);
}

/* Any mixture: readers see what writers leave, whole. */

enum { THREADS = 6, TURNS = 3000 };

struct ledger {
	tz_rwlock lock;
	long a, b; /* equal whenever nobody writes */
	_Atomic long writes;
};

static void look(struct ledger *l)
{
	must(l->a == l->b);
	must(tz_rwlock_release_read(&l->lock) == 0);
}

static void change(struct ledger *l)
{
	must(l->a == l->b);
	l->a++;
	l->b++;
	atomic_fetch_add(&l->writes, 1);
	must(tz_rwlock_release_write(&l->lock) == 0);
}

static void *mix(void *arg)
{
	struct ledger *l = arg;
	uint32_t seed = (uint32_t)(uintptr_t)&l | 1;

	for (int i = 0; i < TURNS; i++) {
		uint32_t dice = next_random(&seed) % 12;
		tz_deadline end = tz_after(1e-6 * (next_random(&seed) % 80));

		if (dice < 5)
			tz_rwlock_acquire_read(&l->lock), look(l);
		else if (dice < 7)
			tz_rwlock_acquire_write(&l->lock), change(l);
		else if (dice < 9 && tz_rwlock_acquire_write_until(&l->lock, end) == 0)
			change(l);
		else if (dice < 11 && tz_rwlock_acquire_read_until(&l->lock, end) == 0)
			look(l);
		else if (dice == 11 && tz_rwlock_try_write(&l->lock) == 0)
			change(l);
	}
	return NULL;
}

static void mixture(void **state)
{
	struct ledger l = { 0 };
	struct crew crew = { 0 };

	(void)state;
	for (int i = 0; i < THREADS; i++)
		crew_add(&crew, mix, &l);
	crew_join(&crew);
	assert_int_equal(l.a, atomic_load(&l.writes));
	assert_int_equal(l.lock.tz__word, 0);
}

struct shared_page {
	tz_rwlock lock;
	_Atomic int users;
	_Atomic int turn;
};

static void *use_and_free(void *arg)
{
	struct shared_page *p = arg;
	bool reads = atomic_fetch_add(&p->turn, 1) % 2;

	if (reads)
		tz_rwlock_acquire_read(&p->lock);
	else
		tz_rwlock_acquire_write(&p->lock);
	bool may_be_last = atomic_fetch_sub(&p->users, 1) == 1;

	must((reads ? tz_rwlock_release_read : tz_rwlock_release_write)(&p->lock) == 0);
	if (!reads && may_be_last)
		must(mprotect(p, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE) == 0);
	return NULL;
}

static void last_writer_frees(void **state)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct shared_page *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct crew crew = { 0 };

		assert_true(p != MAP_FAILED);
		atomic_store(&p->users, 4);
		for (int k = 0; k < 4; k++)
			crew_add(&crew, use_and_free, p);
		crew_join(&crew);
		assert_int_equal(munmap(p, size), 0);
	}
}

static int leave_by_return(tz_rwlock *lock)
{
	tz_with_read(lock) {
		if (tz_rwlock_readers(lock) == 1)
			return 1;
	}
	return 0;
}

static void blocks_release(void **state)
{
	tz_rwlock lock = { 0 };

	(void)state;
	assert_int_equal(leave_by_return(&lock), 1);
	assert_int_equal(tz_rwlock_readers(&lock), 0);
	tz_with_write(&lock) {
		assert_true(tz_rwlock_is_written(&lock));
		break;
	}
	assert_int_equal(lock.tz__word, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_share_and_writers_do_not),
		cmocka_unit_test(misuse),
		cmocka_unit_test(waits_end),
		cmocka_unit_test(a_waiting_writer_holds_up_new_readers),
		cmocka_unit_test(a_writer_that_gives_up_lets_readers_in),
		cmocka_unit_test(readers_do_not_starve_writers),
		cmocka_unit_test(writers_do_not_starve_readers),
		cmocka_unit_test(mixture),
		cmocka_unit_test(last_writer_frees),
		cmocka_unit_test(blocks_release),
	};

	return cmocka_run_group_tests_name("read-write locks", tests, NULL, NULL);
}
