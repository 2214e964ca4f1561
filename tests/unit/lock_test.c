/* Locks: exclusion, misuse, time, scopes, fairness, blocks, and that the last user may free them. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include <trenza/condition.h>
#include <trenza/lock.h>
#include <trenza/scope.h>

#include "check.h"
#include "crew.h"

/* The bits of the word that tests look at. */
enum { HELD = 1, WAITERS = 4 };

static bool somebody_waits(tz_lock *lock)
{
	return (__atomic_load_n(&lock->tz__word, __ATOMIC_RELAXED) & WAITERS) != 0;
}

static void sizes(void **state)
{
	(void)state;
	assert_int_equal(sizeof(tz_lock), 4);
	assert_true(sizeof(tz_rlock) <= 16);
}

static void acquire_and_release(void **state)
{
	tz_lock lock = { 0 };

	(void)state;
	assert_false(tz_lock_is_held(&lock));
	tz_lock_acquire(&lock);
	assert_true(tz_lock_is_held(&lock));
	assert_int_equal(tz_lock_try(&lock), -EBUSY);
	assert_int_equal(tz_lock_release(&lock), 0);
	assert_int_equal(tz_lock_try(&lock), 0);
	assert_int_equal(tz_lock_release(&lock), 0);
	assert_int_equal(tz_lock_acquire_until(&lock, tz_never()), 0);
	assert_int_equal(tz_lock_release(&lock), 0);
	assert_int_equal(lock.tz__word, 0);
}

static void release_of_a_free_lock(void **state)
{
	tz_lock lock = { 0 };

	(void)state;
	assert_int_equal(tz_lock_release(&lock), -EPERM);
	assert_int_equal(lock.tz__word, 0);
}

/* The functions that other languages call instead of the inline ones. */
static void functions_under_the_inline_ones(void **state)
{
	void (*acquire)(tz_lock *) = tz_lock_acquire;
	int (*release)(tz_lock *) = tz_lock_release;
	tz_lock lock = { 0 };

	(void)state;
	acquire(&lock);
	assert_true(tz_lock_is_held(&lock));
	assert_int_equal(release(&lock), 0);
}

static void free_lock_beats_deadline_and_cancel(void **state)
{
	tz_lock lock = { 0 };
	tz_scope scope = { 0 };

	(void)state;
	assert_int_equal(tz_lock_acquire_until(&lock, tz_after(-1)), 0);
	assert_int_equal(tz_lock_release(&lock), 0);
	tz_scope_enter(&scope, tz_never());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_lock_acquire_until(&lock, tz_never()), 0);
	assert_int_equal(tz_lock_release(&lock), 0);
	(void)tz_scope_leave(&scope);
}

static void deadline_ends_the_wait(void **state)
{
	tz_lock lock = { 0 };

	(void)state;
	tz_lock_acquire(&lock);
	for (int i = 0; i < 20; i++) {
		tz_deadline end = tz_after(0.0005 * i);

		assert_int_equal(tz_lock_acquire_until(&lock, end), -ETIMEDOUT);
		assert_true(tz_expired(end));
		assert_int_equal(lock.tz__word, HELD); /* nothing of the wait is left */
	}
	assert_int_equal(tz_lock_release(&lock), 0);
}

static void scope_ends_the_wait(void **state)
{
	tz_lock lock = { 0 };
	tz_scope scope = { 0 };

	(void)state;
	tz_lock_acquire(&lock);
	TZ_TIMEOUT(0.01) {
		assert_int_equal(tz_lock_acquire_until(&lock, soon()), -ETIMEDOUT);
	}
	tz_scope_enter(&scope, tz_never());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_lock_acquire_until(&lock, soon()), -ECANCELED);
	(void)tz_scope_leave(&scope);
	assert_int_equal(lock.tz__word, HELD);
	assert_int_equal(tz_lock_release(&lock), 0);
}

struct one_waiter {
	tz_lock lock;
	tz_scope *_Atomic scope;
	_Atomic int result; /* 1: none yet */
};

static void *wait_in_a_scope(void *arg)
{
	struct one_waiter *w = arg;
	tz_scope scope = { 0 };

	tz_scope_enter(&scope, soon());
	atomic_store(&w->scope, &scope);
	int r = tz_lock_acquire_until(&w->lock, tz_never());

	if (r == 0)
		(void)tz_lock_release(&w->lock);
	(void)tz_scope_leave(&scope);
	atomic_store(&w->result, r);
	return NULL;
}

static void cancel_from_another_thread(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct one_waiter w = { .result = 1 };
		struct crew crew = { 0 };

		tz_lock_acquire(&w.lock);
		crew_add(&crew, wait_in_a_scope, &w);
		until(atomic_load(&w.scope));
		if (i % 2)
			until(somebody_waits(&w.lock));
		tz_scope_cancel(atomic_load(&w.scope));
		crew_join(&crew);
		assert_int_equal(atomic_load(&w.result), -ECANCELED);
		assert_int_equal(w.lock.tz__word, HELD);
	}
}

static void *wait_in_a_cancelled_scope(void *arg)
{
	struct one_waiter *w = arg;
	tz_scope scope = { 0 };

	tz_scope_enter(&scope, tz_never());
	tz_scope_cancel(&scope);
	tz_lock_acquire(&w->lock);
	atomic_store(&w->result, 0);
	(void)tz_lock_release(&w->lock);
	(void)tz_scope_leave(&scope);
	return NULL;
}

static void plain_acquire_is_deaf(void **state)
{
	struct one_waiter w = { .result = 1 };
	struct crew crew = { 0 };

	(void)state;
	tz_lock_acquire(&w.lock);
	crew_add(&crew, wait_in_a_cancelled_scope, &w);
	until(somebody_waits(&w.lock));
	(void)tz_sleep(0.01);
	assert_int_equal(atomic_load(&w.result), 1);
	(void)tz_lock_release(&w.lock);
	crew_join(&crew);
	assert_int_equal(atomic_load(&w.result), 0);
}

static void another_strand_may_release(void **state)
{
	struct one_waiter w = { .result = 1 };
	struct crew crew = { 0 };

	(void)state;
	tz_lock_acquire(&w.lock);
	crew_add(&crew, wait_in_a_scope, &w); /* acquires after us, releases for itself */
	(void)tz_lock_release(&w.lock);
	crew_join(&crew);
	assert_int_equal(atomic_load(&w.result), 0);
	assert_int_equal(w.lock.tz__word, 0);
}

/* Many strands, all ways to acquire: each success counts once, and the counter is guarded by the lock alone. */

enum { THREADS = 6, TURNS = 4000 };

struct ledger {
	tz_lock lock;
	int inside;
	long entered;
	_Atomic long successes;
};

static void enter(struct ledger *l)
{
	must(l->inside++ == 0);
	l->entered++;
	must(--l->inside == 0);
	atomic_fetch_add(&l->successes, 1);
	must(tz_lock_release(&l->lock) == 0);
}

static void *acquire_in_all_ways(void *arg)
{
	struct ledger *l = arg;
	uint32_t seed = (uint32_t)(uintptr_t)&l ^ 0x9e3779b9u;

	for (int i = 0; i < TURNS; i++) {
		uint32_t dice = next_random(&seed);
		int r = 0;

		if (dice % 3 == 0)
			tz_lock_acquire(&l->lock);
		else if (dice % 3 == 1)
			r = tz_lock_try(&l->lock);
		else
			r = tz_lock_acquire_until(&l->lock, tz_after(1e-6 * (dice % 100)));
		must(r == 0 || r == -EBUSY || r == -ETIMEDOUT);
		if (r == 0)
			enter(l);
	}
	return NULL;
}

static void one_at_a_time(void **state)
{
	struct ledger l = { 0 };
	struct crew crew = { 0 };

	(void)state;
	for (int i = 0; i < THREADS; i++)
		crew_add(&crew, acquire_in_all_ways, &l);
	crew_join(&crew);
	assert_int_equal(l.entered, atomic_load(&l.successes));
	assert_int_equal(l.lock.tz__word, 0);
}

/* A strand that hardly ever lets go must not keep the others out for ever. */

struct hog {
	tz_lock lock;
	_Atomic bool stop;
	_Atomic int served;
};

static void *hold_on(void *arg)
{
	struct hog *h = arg;

	while (!atomic_load(&h->stop)) {
		tz_lock_acquire(&h->lock);
		for (volatile int i = 0; i < 1000; i++)
			;
		(void)tz_lock_release(&h->lock);
	}
	return NULL;
}

static void *be_served(void *arg)
{
	struct hog *h = arg;

	for (int i = 0; i < 20; i++) {
		must(tz_lock_acquire_until(&h->lock, soon()) == 0);
		atomic_fetch_add(&h->served, 1);
		(void)tz_lock_release(&h->lock);
	}
	return NULL;
}

static void nobody_starves(void **state)
{
	struct hog h = { 0 };
	struct crew hogs = { 0 }, others = { 0 };

	(void)state;
	crew_add(&hogs, hold_on, &h);
	crew_add(&hogs, hold_on, &h);
	for (int i = 0; i < 3; i++)
		crew_add(&others, be_served, &h);
	crew_join(&others);
	atomic_store(&h.stop, true);
	crew_join(&hogs);
	assert_int_equal(atomic_load(&h.served), 60);
}

/* The last user of a lock frees it while others may still be on their way out of tz_lock_release. */

struct shared_page {
	tz_lock lock;
	int users;
};

static struct shared_page *new_page(int users)
{
	struct shared_page *p = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	p->users = users;
	return p;
}

static void *use_and_free(void *arg)
{
	struct shared_page *p = arg;

	tz_lock_acquire(&p->lock);
	bool last = --p->users == 0;

	(void)tz_lock_release(&p->lock);
	if (last)
		must(mprotect(p, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE) == 0);
	return NULL;
}

static void last_user_frees(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		struct shared_page *p = new_page(4);
		struct crew crew = { 0 };

		tz_lock_acquire(&p->lock); /* so that they queue */
		for (int k = 0; k < 3; k++)
			crew_add(&crew, use_and_free, p);
		if (i % 2)
			until(somebody_waits(&p->lock));
		p->users--;
		(void)tz_lock_release(&p->lock);
		crew_join(&crew);
		must(munmap(p, (size_t)sysconf(_SC_PAGESIZE)) == 0);
	}
}

/* Blocks */

static int leave_by_return(tz_lock *lock)
{
	tz_with_lock(lock) {
		if (tz_lock_is_held(lock))
			return 1;
	}
	return 0;
}

static void blocks_release(void **state)
{
	tz_lock lock = { 0 }, other = { 0 };
	int turns = 0;

	(void)state;
	tz_with_lock(&lock) {
		assert_true(tz_lock_is_held(&lock));
		turns++;
	}
	assert_int_equal(turns, 1);
	assert_false(tz_lock_is_held(&lock));
	assert_int_equal(leave_by_return(&lock), 1);
	assert_false(tz_lock_is_held(&lock));
	tz_with_lock(&lock) {
		goto out;
	}
	fail();
out:
	assert_false(tz_lock_is_held(&lock));
	for (turns = 0; turns < 3; turns++) {
		tz_with_lock(&lock) {
			if (turns == 1)
				continue; /* leaves the block, not the turn */
			break;
		}
		assert_false(tz_lock_is_held(&lock));
	}
	assert_int_equal(turns, 3);
	tz_with_lock(&lock)
		tz_with_lock(&other) {
			assert_true(tz_lock_is_held(&lock));
			assert_true(tz_lock_is_held(&other));
		}
	assert_false(tz_lock_is_held(&lock));
	assert_false(tz_lock_is_held(&other));
}

/* Recursive locks */

static void recursive_lock_is_its_owners(void **state)
{
	tz_rlock lock = { 0 };

	(void)state;
	assert_false(tz_rlock_is_mine(&lock));
	assert_int_equal(tz_rlock_release(&lock), -EPERM);
	tz_rlock_acquire(&lock);
	assert_int_equal(tz_rlock_try(&lock), 0);
	assert_int_equal(tz_rlock_acquire_until(&lock, tz_after(-1)), 0);
	assert_true(tz_rlock_is_mine(&lock));
	for (int i = 0; i < 3; i++) {
		assert_true(tz_rlock_is_held(&lock));
		assert_int_equal(tz_rlock_release(&lock), 0);
	}
	assert_false(tz_rlock_is_held(&lock));
	assert_int_equal(tz_rlock_release(&lock), -EPERM);
	tz_with_rlock(&lock)
		tz_with_rlock(&lock) {
			assert_true(tz_rlock_is_mine(&lock));
		}
	assert_false(tz_rlock_is_held(&lock));
}

static void *not_the_owner(void *arg)
{
	tz_rlock *lock = arg;

	must(!tz_rlock_is_mine(lock));
	must(tz_rlock_is_held(lock));
	must(tz_rlock_release(lock) == -EPERM);
	must(tz_rlock_try(lock) == -EBUSY);
	must(tz_rlock_acquire_until(lock, tz_after(0.002)) == -ETIMEDOUT);
	return NULL;
}

static void others_cannot_touch_it(void **state)
{
	tz_rlock lock = { 0 };
	struct crew crew = { 0 };

	(void)state;
	tz_rlock_acquire(&lock);
	tz_rlock_acquire(&lock);
	crew_add(&crew, not_the_owner, &lock);
	crew_join(&crew);
	assert_int_equal(tz_rlock_release(&lock), 0);
	crew_add(&crew, not_the_owner, &lock);
	crew_join(&crew);
	assert_int_equal(tz_rlock_release(&lock), 0);
}

struct rledger {
	tz_rlock lock;
	long count;
};

static void *count_deeply(void *arg)
{
	struct rledger *l = arg;

	for (int i = 0; i < TURNS; i++) {
		int depth = 1 + i % 3;

		for (int k = 0; k < depth; k++)
			tz_rlock_acquire(&l->lock);
		l->count++;
		for (int k = 0; k < depth; k++)
			must(tz_rlock_release(&l->lock) == 0);
	}
	return NULL;
}

static void recursive_lock_excludes(void **state)
{
	struct rledger l = { 0 };
	struct crew crew = { 0 };

	(void)state;
	for (int i = 0; i < THREADS; i++)
		crew_add(&crew, count_deeply, &l);
	crew_join(&crew);
	assert_int_equal(l.count, THREADS * TURNS);
	assert_false(tz_rlock_is_held(&l.lock));
}

static void *keep_it(void *arg)
{
	tz_rlock_acquire(arg);
	return NULL;
}

static void *find_it_held(void *arg)
{
	tz_rlock *lock = arg;

	must(!tz_rlock_is_mine(lock));
	must(tz_rlock_try(lock) == -EBUSY);
	must(tz_rlock_release(lock) == -EPERM);
	return NULL;
}

/* The next thread may have all that the first one had. */
static void who_ends_leaves_its_lock_held(void **state)
{
	tz_rlock lock = { 0 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, i ? find_it_held : keep_it, &lock), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
	assert_true(tz_rlock_is_held(&lock));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(acquire_and_release),
		cmocka_unit_test(who_ends_leaves_its_lock_held),
		cmocka_unit_test(release_of_a_free_lock),
		cmocka_unit_test(functions_under_the_inline_ones),
		cmocka_unit_test(free_lock_beats_deadline_and_cancel),
		cmocka_unit_test(deadline_ends_the_wait),
		cmocka_unit_test(scope_ends_the_wait),
		cmocka_unit_test(cancel_from_another_thread),
		cmocka_unit_test(plain_acquire_is_deaf),
		cmocka_unit_test(another_strand_may_release),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(nobody_starves),
		cmocka_unit_test(last_user_frees),
		cmocka_unit_test(blocks_release),
		cmocka_unit_test(recursive_lock_is_its_owners),
		cmocka_unit_test(others_cannot_touch_it),
		cmocka_unit_test(recursive_lock_excludes),
	};

	return cmocka_run_group_tests_name("locks", tests, NULL, NULL);
}
