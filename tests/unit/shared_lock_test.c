/* Locks in shared memory, and the names of the processes that hold them: exclusion, misuse, time, scopes, and holders and waiters that are killed. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>

#include <trenza.h>
#include <trenza/shared_lock.h>

#include "abilities.h"
#include "shared.h"
#include "shared/owner.h"

/* The bits of the word that tests look at. */
#define PARKED ((uint32_t)1 << 30)

struct stage {
	tz_shared_lock lock;
	tz_shared_rlock rlock;
	atomic_int phase, inside;
	atomic_uint word;
	long count; /* changed under the lock */
};
SHARED_STAGE

static uint32_t word_of(const tz_shared_lock *lock)
{
	return __atomic_load_n(&lock->tz__word, __ATOMIC_RELAXED);
}

/* So that a test sees it set anew. */
static void clear_parked(void)
{
	(void)__atomic_fetch_and(&stage->lock.tz__word, ~PARKED, __ATOMIC_RELAXED);
}

/* --- owners --------------------------------------------------------------------------------------------------------------- */

static void an_owner_is_its_process(void **state)
{
	uint32_t own = tz_owner_self();

	(void)state;
	assert_int_equal(own & ((1u << TZ_OWNER_PID_BITS) - 1), getpid());
	assert_int_equal(own & ~TZ_OWNER_MASK, 0);
	assert_true(own >> TZ_OWNER_PID_BITS != 0);
	assert_int_equal(tz_owner_self(), own);
	assert_true(tz_owner_is_alive(own));
	assert_true(tz_owner_is_alive(own | ~TZ_OWNER_MASK));
}

static void say_word(void *unused)
{
	(void)unused;
	stage->word = tz_owner_self();
	stay();
}

static pid_t start_named(void)
{
	pid_t child;

	stage->word = 0;
	child = child_start(say_word, NULL);
	until(stage->word != 0);
	return child;
}

static void a_child_has_a_name_of_its_own(void **state)
{
	uint32_t own = tz_owner_self();
	pid_t child = start_named();

	(void)state;
	assert_int_not_equal(stage->word, own);
	assert_int_equal(stage->word & ((1u << TZ_OWNER_PID_BITS) - 1), child);
	assert_true(tz_owner_is_alive(stage->word));
	child_kill(child);
	assert_false(tz_owner_is_alive(stage->word));
}

static void who_has_ended_and_was_not_reaped_has_ended(void **state)
{
	pid_t child = start_named();

	(void)state;
	assert_int_equal(kill(child, SIGKILL), 0);
	until(!tz_owner_is_alive(stage->word));
	assert_true(WIFSIGNALED(child_status(child)));
}

#if THREADS_AFTER_FORK
/* The first thread has ended, another one runs. */
static void *stay_on(void *unused)
{
	(void)unused;
	stage->word = tz_owner_self();
	stay();
}

static void leave_a_thread(void *unused)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, stay_on, unused) == 0);
	pthread_exit(NULL);
}

static void who_has_a_thread_left_is_alive(void **state)
{
	pid_t child;

	(void)state;
	stage->word = 0;
	child = child_start(leave_a_thread, NULL);
	until(stage->word != 0 && state_of(child) == 'Z');
	assert_true(tz_owner_is_alive(stage->word));
	tz_owner_without(true, false);
	assert_true(tz_owner_is_alive(stage->word));
	tz_owner_without(false, false);
	assert_int_equal(kill(child, SIGKILL), 0);
	until(!tz_owner_is_alive(stage->word));
	assert_true(WIFSIGNALED(child_status(child)));
}
#endif

/* As if the number had been another process's before. */
static void a_number_that_is_used_again_is_somebody_else(void **state)
{
	pid_t child = start_named();
	uint32_t before = stage->word ^ (1u << TZ_OWNER_PID_BITS);

	(void)state;
	if (before >> TZ_OWNER_PID_BITS == 0)
		before = stage->word ^ (2u << TZ_OWNER_PID_BITS);
	assert_true(tz_owner_is_alive(stage->word));
	assert_false(tz_owner_is_alive(before));
	/* Without an epoch the number must do. */
	assert_true(tz_owner_is_alive((uint32_t)child));
	tz_owner_without(false, true);
	assert_int_equal(tz_owner_self(), getpid());
	assert_true(tz_owner_is_alive(before));
	tz_owner_without(false, false);
	child_kill(child);
	assert_false(tz_owner_is_alive((uint32_t)child));
}

static void *say_thread(void *unused)
{
	stage->word = (uint32_t)syscall(SYS_gettid);
	until(stage->phase == 1);
	return unused;
}

static void the_number_of_a_thread_is_no_process(void **state)
{
	struct crew crew = { .count = 0 };

	(void)state;
	crew_add(&crew, say_thread, NULL);
	until(stage->word != 0);
	assert_false(tz_owner_is_alive(stage->word));
	stage->phase = 1;
	crew_join(&crew);
}

static void without_pidfds_and_proc(void **state)
{
	(void)state;
	for (int without = 1; without < 4; without++) {
		pid_t child = start_named();

		tz_owner_without(without & 1, without & 2);
		assert_true(tz_owner_is_alive(stage->word));
		assert_int_equal(kill(child, SIGKILL), 0);
		if (without != 3) /* who was not reaped cannot be told from who runs */
			until(!tz_owner_is_alive(stage->word));
		assert_true(WIFSIGNALED(child_status(child)));
		assert_false(tz_owner_is_alive(stage->word));
	}
	tz_owner_without(false, false);
}

/* --- one process ------------------------------------------------------------------------------------------------------------- */

static void acquire_and_release(void **state)
{
	tz_shared_lock *lock = &stage->lock;

	(void)state;
	assert_int_equal(sizeof *lock, 4);
	assert_false(tz_shared_lock_is_held(lock));
	assert_int_equal(tz_shared_lock_acquire(lock), 0);
	assert_true(tz_shared_lock_is_held(lock));
	assert_int_equal(tz_shared_lock_try(lock), -EBUSY);
	assert_int_equal(tz_shared_lock_release(lock), 0);
	assert_int_equal(tz_shared_lock_try(lock), 0);
	assert_int_equal(tz_shared_lock_release(lock), 0);
	assert_int_equal(tz_shared_lock_acquire_until(lock, tz_never()), 0);
	assert_int_equal(tz_shared_lock_release(lock), 0);
	assert_int_equal(lock->tz__word, 0);
}

static void what_is_not_held_is_not_released(void **state)
{
	(void)state;
	assert_int_equal(tz_shared_lock_release(&stage->lock), -EPERM);
	assert_int_equal(tz_shared_lock_recover(&stage->lock), -EPERM);
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_recover(&stage->lock), -EINVAL);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

static void a_free_lock_beats_deadline_and_cancel(void **state)
{
	tz_scope scope = { 0 };

	(void)state;
	assert_int_equal(tz_shared_lock_acquire_until(&stage->lock, tz_after(-1)), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	tz_scope_enter(&scope, tz_never());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_shared_lock_acquire_until(&stage->lock, tz_never()), 0);
	assert_int_equal(tz_shared_lock_acquire_until(&stage->lock, tz_never()), -ECANCELED);
	tz_scope_leave(&scope);
	assert_int_equal(tz_shared_lock_acquire_until(&stage->lock, tz_after(0.005)), -ETIMEDOUT);
	TZ_TIMEOUT(0.005)
		assert_int_equal(tz_shared_lock_acquire_until(&stage->lock, tz_never()),
				 -ETIMEDOUT);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

static int leave_in_the_middle(void)
{
	int r = 1;

	tz_with_shared_lock(&stage->lock, &r)
	{
		must(r == 0 && tz_shared_lock_is_held(&stage->lock));
		return 42;
	}
	return 0;
}

static void a_block_releases(void **state)
{
	int times = 0, r = 1;

	(void)state;
	assert_int_equal(leave_in_the_middle(), 42);
	assert_false(tz_shared_lock_is_held(&stage->lock));
	tz_with_shared_lock(&stage->lock, NULL) times++;
	tz_with_shared_rlock(&stage->rlock, &r)
	{
		assert_true(tz_shared_rlock_is_mine(&stage->rlock));
		times++;
	}
	assert_int_equal(r, 0);
	assert_false(tz_shared_rlock_is_held(&stage->rlock));
	assert_int_equal(times, 2);
	assert_false(tz_shared_lock_is_held(&stage->lock));
}

/* --- exclusion -------------------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 400 };

static void add_rounds(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		long before;

		must(tz_shared_lock_acquire(&stage->lock) == 0);
		must(atomic_fetch_add(&stage->inside, 1) == 0);
		before = stage->count;
		if (i % 16 == 0)
			(void)tz_yield();
		stage->count = before + 1;
		must(atomic_fetch_sub(&stage->inside, 1) == 1);
		must(tz_shared_lock_release(&stage->lock) == 0);
		if (i % 64 == 0)
			(void)tz_yield();
	}
}
TZ_TASK(void, add_rounds, void);
IN_CHILD(add_rounds)
IN_THREAD(add_rounds)

static void processes_exclude_each_other(void **state)
{
	pid_t children[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		children[i] = child_start(add_rounds_in_child, NULL);
	for (int i = 0; i < 4; i++)
		child_join(children[i]);
	assert_int_equal(stage->count, 4 * ROUNDS);
	assert_int_equal(word_of(&stage->lock), 0);
}

static void strands_of_all_kinds_exclude_each_other(void **state)
{
	struct crew crew = { .count = 0 };
	tz_executor *loop;
	add_rounds_future f[4];
	pid_t children[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		children[i] = child_start(add_rounds_in_child, NULL);
	assert_int_equal(tz_executor_open(&loop, "coroutines"), 0);
	for (int i = 0; i < 4; i++)
		f[i] = tz_submit(loop, add_rounds);
	for (int i = 0; i < 3; i++)
		crew_add(&crew, add_rounds_in_thread, NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(tz_result(f[i], NULL), 0);
	crew_join(&crew);
	for (int i = 0; i < 2; i++)
		child_join(children[i]);
	tz_executor_close(loop);
	assert_int_equal(stage->count, 9 * ROUNDS);
	assert_int_equal(word_of(&stage->lock), 0);
}

/* --- several processes --------------------------------------------------------------------------------------------------------- */

static void hold(void *unused)
{
	(void)unused;
	must(tz_shared_lock_acquire(&stage->lock) == 0);
	stage->phase = 1;
	stay();
}

static void hold_and_end(void *unused)
{
	(void)unused;
	must(tz_shared_lock_acquire(&stage->lock) == 0);
}

static pid_t start_holder(void)
{
	pid_t child;

	stage->phase = 0;
	child = child_start(hold, NULL);
	until(stage->phase == 1);
	return child;
}

static void what_another_holds_is_not_released(void **state)
{
	pid_t child = start_holder();

	(void)state;
	assert_int_equal(tz_shared_lock_release(&stage->lock), -EPERM);
	assert_int_equal(tz_shared_lock_try(&stage->lock), -EBUSY);
	assert_int_equal(tz_shared_lock_acquire_until(&stage->lock, tz_after(0.01)), -ETIMEDOUT);
	assert_true(tz_shared_lock_is_held(&stage->lock));
	child_kill(child);
	assert_true(tz_shared_lock_is_held(&stage->lock));
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), -EOWNERDEAD);
	assert_int_equal(tz_shared_lock_recover(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_recover(&stage->lock), -EINVAL);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

static int take_by(int way)
{
	switch (way) {
	case 0:
		return tz_shared_lock_acquire(&stage->lock);
	case 1:
		return tz_shared_lock_try(&stage->lock);
	case 2:
		return tz_shared_lock_acquire_until(&stage->lock, soon());
	default:
		return tz_shared_lock_acquire_until(&stage->lock, tz_after(-1));
	}
}

static void every_way_of_taking_it_finds_a_holder_that_has_ended(void **state)
{
	(void)state;
	for (int way = 0; way < 4; way++) {
		if (way % 2 == 0)
			child_kill(start_holder());
		else
			child_join(child_start(hold_and_end, NULL));
		assert_int_equal(take_by(way), -EOWNERDEAD);
		assert_int_equal(tz_shared_lock_recover(&stage->lock), 0);
		assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	}
}

static void what_was_not_recovered_is_lost(void **state)
{
	(void)state;
	child_kill(start_holder());
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), -EOWNERDEAD);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	for (int way = 0; way < 4; way++)
		assert_int_equal(take_by(way), -ENOTRECOVERABLE);
	assert_int_equal(tz_shared_lock_release(&stage->lock), -EPERM);
	assert_int_equal(tz_shared_lock_recover(&stage->lock), -EPERM);
	assert_false(tz_shared_lock_is_held(&stage->lock));
}

static void blocks_and_what_a_killed_holder_left(void **state)
{
	int r = 0, ran = 0;

	(void)state;
	child_kill(start_holder());
	tz_with_shared_lock(&stage->lock, &r)
	{
		assert_int_equal(r, -EOWNERDEAD);
		assert_int_equal(tz_shared_lock_recover(&stage->lock), 0);
		ran++;
	}
	assert_int_equal(ran, 1);
	child_kill(start_holder());
	tz_with_shared_lock(&stage->lock, NULL) ran++;
	assert_int_equal(ran, 1);
	tz_with_shared_lock(&stage->lock, &r) ran++;
	assert_int_equal(ran, 1);
	assert_int_equal(r, -ENOTRECOVERABLE);
}

static void inherit_and_stay(void *unused)
{
	(void)unused;
	must(tz_shared_lock_acquire(&stage->lock) == -EOWNERDEAD);
	stage->phase = 2;
	stay();
}

static void who_is_killed_in_the_repair_leaves_it_to_the_next(void **state)
{
	pid_t child;

	(void)state;
	child_kill(start_holder());
	child = child_start(inherit_and_stay, NULL);
	until(stage->phase == 2);
	child_kill(child);
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), -EOWNERDEAD);
	assert_int_equal(tz_shared_lock_recover(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

/* --- those that wait ------------------------------------------------------------------------------------------------------------ */

static int acquire_asleep(void)
{
	int r = tz_shared_lock_acquire(&stage->lock);

	if (r == -EOWNERDEAD)
		must(tz_shared_lock_recover(&stage->lock) == 0);
	if (r == 0 || r == -EOWNERDEAD)
		must(tz_shared_lock_release(&stage->lock) == 0);
	return r;
}
TZ_TASK(int, acquire_asleep, void);

static void *acquire_in_thread(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)acquire_asleep();
}

/* A thread and two coroutines wait; exactly one of them learns that the holder was killed. */
static void who_waits_finds_that_the_holder_was_killed(void **state)
{
	pid_t child = start_holder();
	acquire_asleep_future f[2];
	tz_executor *loop;
	pthread_t thread;
	void *result;
	int dead, r = 0;

	(void)state;
	assert_int_equal(tz_executor_open(&loop, "coroutines"), 0);
	assert_int_equal(pthread_create(&thread, NULL, acquire_in_thread, NULL), 0);
	for (int i = 0; i < 2; i++)
		f[i] = tz_submit(loop, acquire_asleep);
	until(word_of(&stage->lock) & PARKED);
	child_kill(child);
	assert_int_equal(pthread_join(thread, &result), 0);
	dead = (intptr_t)result == -EOWNERDEAD;
	assert_true(dead || result == NULL);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tz_result(f[i], &r), 0);
		assert_true(r == 0 || r == -EOWNERDEAD);
		dead += r == -EOWNERDEAD;
	}
	assert_int_equal(dead, 1);
	tz_executor_close(loop);
}

static void *acquire_in_scope(void *unused)
{
	int r = 0;

	TZ_TIMEOUT(10 * CREW_PATIENCE)
		r = tz_shared_lock_acquire_until(&stage->lock, tz_never());
	must(r == -EOWNERDEAD);
	must(tz_shared_lock_recover(&stage->lock) == 0);
	must(tz_shared_lock_release(&stage->lock) == 0);
	return unused;
}

/* A thread that somebody may cancel wakes up more often than slices end that have become long. */
static void who_has_waited_for_long_in_a_scope_finds_it_too(void **state)
{
	pid_t child = start_holder();
	struct crew crew = { .count = 0 };

	(void)state;
	crew_add(&crew, acquire_in_scope, NULL);
	until(word_of(&stage->lock) & PARKED);
	(void)tz_sleep(0.15);
	child_kill(child);
	crew_join(&crew);
}

static void who_waits_learns_that_it_is_lost(void **state)
{
	pthread_t threads[2];
	void *result;

	(void)state;
	child_kill(start_holder());
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), -EOWNERDEAD);
	clear_parked();
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, acquire_in_thread, NULL), 0);
	until(word_of(&stage->lock) & PARKED);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_int_equal((intptr_t)result, -ENOTRECOVERABLE);
	}
}

static void wait_in_child(void *unused)
{
	(void)unused;
	stage->phase = 1;
	must(acquire_asleep() == 0);
}

static pid_t start_waiter(void)
{
	pid_t child;

	stage->phase = 0;
	child = child_start(wait_in_child, NULL);
	until(stage->phase == 1 && word_of(&stage->lock) & PARKED && state_of(child) == 'S');
	return child;
}

static void a_waiter_that_is_killed_hinders_nobody(void **state)
{
	(void)state;
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
	child_kill(start_waiter());
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

/* One is stopped, so that a wake-up may go to it and end there; the other one gets the lock all the same. */
static void a_wake_up_that_goes_to_the_dead_is_not_missed(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		pid_t stopped, other;

		assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
		stopped = start_waiter();
		assert_int_equal(kill(stopped, SIGSTOP), 0);
		other = start_waiter();
		assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
		child_join(other);
		child_kill(stopped);
		assert_int_equal(tz_shared_lock_try(&stage->lock), 0);
		assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	}
}

static void a_plain_acquire_is_deaf(void **state)
{
	acquire_asleep_future f;
	tz_executor *loop;
	const tz_outcome *out;

	(void)state;
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
	assert_int_equal(tz_executor_open(&loop, "coroutines"), 0);
	f = tz_submit(loop, acquire_asleep);
	until(word_of(&stage->lock) & PARKED);
	(void)tz_cancel(f);
	(void)tz_sleep(0.03);
	assert_false(tz_done(f));
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	(void)tz_result(f, NULL);
	out = tz_last();
	assert_true(out->status == TZ_OK || out->status == TZ_CANCELLED);
	tz_executor_close(loop);
	assert_int_equal(word_of(&stage->lock), 0);
}

static int acquire_until_cancelled(void)
{
	int r = tz_shared_lock_acquire_until(&stage->lock, soon());

	stage->phase = r;
	return r;
}
TZ_TASK(int, acquire_until_cancelled, void);

static void a_wait_until_ends_by_cancel(void **state)
{
	static const char *const executors[] = { "coroutines", "threads" };

	(void)state;
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
	for (int i = 0; i < 2; i++) {
		acquire_until_cancelled_future f;
		tz_executor *ex;

		clear_parked();
		stage->phase = 0;
		assert_int_equal(tz_executor_open(&ex, executors[i]), 0);
		f = tz_submit(ex, acquire_until_cancelled);
		until(word_of(&stage->lock) & PARKED);
		(void)tz_cancel(f);
		(void)tz_result(f, NULL);
		assert_int_equal(stage->phase, -ECANCELED);
		tz_executor_close(ex);
	}
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	assert_int_equal(word_of(&stage->lock), 0);
}

/* --- the recursive lock ---------------------------------------------------------------------------------------------------------- */

static void *try_rlock(void *unused)
{
	(void)unused;
	must(!tz_shared_rlock_is_mine(&stage->rlock));
	must(tz_shared_rlock_release(&stage->rlock) == -EPERM);
	must(tz_shared_rlock_acquire_until(&stage->rlock, tz_after(0.005)) == -ETIMEDOUT);
	return (void *)(intptr_t)tz_shared_rlock_try(&stage->rlock);
}

static void try_rlock_in_child(void *unused)
{
	must((intptr_t)try_rlock(unused) == -EBUSY);
}

static void a_strand_may_acquire_it_again(void **state)
{
	tz_shared_rlock *lock = &stage->rlock;
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(tz_shared_rlock_release(lock), -EPERM);
	assert_int_equal(tz_shared_rlock_acquire(lock), 0);
	assert_int_equal(tz_shared_rlock_try(lock), 0);
	assert_int_equal(tz_shared_rlock_acquire_until(lock, tz_after(-1)), 0);
	assert_int_equal(tz_shared_rlock_recover(lock), -EINVAL);
	for (int depth = 3; depth > 0; depth--) {
		assert_true(tz_shared_rlock_is_mine(lock));
		assert_int_equal(pthread_create(&thread, NULL, try_rlock, NULL), 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_int_equal((intptr_t)result, -EBUSY);
		child_join(child_start(try_rlock_in_child,
				       NULL)); /* its strand has the same address */
		assert_int_equal(tz_shared_rlock_release(lock), 0);
	}
	assert_false(tz_shared_rlock_is_held(lock));
	assert_false(tz_shared_rlock_is_mine(lock));
	assert_int_equal(tz_shared_rlock_release(lock), -EPERM);
}

static void hold_rlock(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		must(tz_shared_rlock_acquire(&stage->rlock) == 0);
	stage->phase = 1;
	stay();
}

static pid_t start_rlock_holder(void)
{
	pid_t child;

	stage->phase = 0;
	child = child_start(hold_rlock, NULL);
	until(stage->phase == 1);
	return child;
}

static void a_recursive_lock_of_a_killed_process(void **state)
{
	tz_shared_rlock *lock = &stage->rlock;

	(void)state;
	child_kill(start_rlock_holder());
	assert_false(tz_shared_rlock_is_mine(lock));
	assert_int_equal(tz_shared_rlock_recover(lock), -EPERM);
	assert_int_equal(tz_shared_rlock_acquire(lock), -EOWNERDEAD);
	assert_int_equal(tz_shared_rlock_acquire(lock), 0);
	assert_int_equal(tz_shared_rlock_recover(lock), 0);
	assert_int_equal(tz_shared_rlock_release(lock), 0);
	assert_int_equal(tz_shared_rlock_release(lock), 0);
	assert_false(tz_shared_rlock_is_held(lock));
	child_kill(start_rlock_holder());
	assert_int_equal(tz_shared_rlock_try(lock), -EOWNERDEAD);
	assert_int_equal(tz_shared_rlock_release(lock), 0);
	assert_int_equal(tz_shared_rlock_acquire_until(lock, soon()), -ENOTRECOVERABLE);
	assert_false(tz_shared_rlock_is_mine(lock));
}

static void *add_rlock(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		must(tz_shared_rlock_acquire(&stage->rlock) == 0);
		must(tz_shared_rlock_acquire(&stage->rlock) == 0);
		stage->count++;
		must(tz_shared_rlock_release(&stage->rlock) == 0);
		must(tz_shared_rlock_release(&stage->rlock) == 0);
	}
	return unused;
}

static void add_rlock_in_child(void *unused)
{
	(void)add_rlock(unused);
}

static void recursive_locks_exclude(void **state)
{
	struct crew crew = { .count = 0 };
	pid_t children[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		children[i] = child_start(add_rlock_in_child, NULL);
	for (int i = 0; i < 2; i++)
		crew_add(&crew, add_rlock, NULL);
	crew_join(&crew);
	for (int i = 0; i < 2; i++)
		child_join(children[i]);
	assert_int_equal(stage->count, 4 * ROUNDS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_owner_is_its_process),
		CASE(a_child_has_a_name_of_its_own),
		CASE(who_has_ended_and_was_not_reaped_has_ended),
#if THREADS_AFTER_FORK
		CASE(who_has_a_thread_left_is_alive),
#endif
		CASE(a_number_that_is_used_again_is_somebody_else),
		CASE(the_number_of_a_thread_is_no_process),
		CASE(without_pidfds_and_proc),
		CASE(acquire_and_release),
		CASE(what_is_not_held_is_not_released),
		CASE(a_free_lock_beats_deadline_and_cancel),
		CASE(a_block_releases),
		CASE(processes_exclude_each_other),
		CASE(strands_of_all_kinds_exclude_each_other),
		CASE(what_another_holds_is_not_released),
		CASE(every_way_of_taking_it_finds_a_holder_that_has_ended),
		CASE(what_was_not_recovered_is_lost),
		CASE(blocks_and_what_a_killed_holder_left),
		CASE(who_is_killed_in_the_repair_leaves_it_to_the_next),
		CASE(who_waits_finds_that_the_holder_was_killed),
		CASE(who_has_waited_for_long_in_a_scope_finds_it_too),
		CASE(who_waits_learns_that_it_is_lost),
		CASE(a_waiter_that_is_killed_hinders_nobody),
		CASE(a_wake_up_that_goes_to_the_dead_is_not_missed),
		CASE(a_plain_acquire_is_deaf),
		CASE(a_wait_until_ends_by_cancel),
		CASE(a_strand_may_acquire_it_again),
		CASE(a_recursive_lock_of_a_killed_process),
		CASE(recursive_locks_exclude),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
