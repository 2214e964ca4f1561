/* Processes that are killed while they hold something, or wait for something, that others need. See failures.h. */
#define _GNU_SOURCE

#include <errno.h>

#include <trenza.h>

#include "../unit/shared.h"
#include "failures.h"
#include "stage.h"

SHARED_STAGE

/* One that has done `body` and stays; it is killed by the test. */
static pid_t start_and_wait(void (*body)(void *))
{
	pid_t child;

	stage->phase = 0;
	child = child_start(body, NULL);
	until(stage->phase == 1);
	return child;
}

_Noreturn static void have_done_it(void)
{
	stage->phase = 1;
	stay();
}

/* --- 33: a process dies while it holds a lock: all others block ----------------------------------------------------------- */

static void hold_lock(void *unused)
{
	(void)unused;
	must(tz_shared_lock_acquire(&stage->lock) == 0);
	have_done_it();
}

static void hold_lock_to_the_end(void *unused)
{
	(void)unused;
	must(tz_shared_lock_acquire(&stage->lock) == 0);
}

static void take_after_the_dead(void)
{
	assert_int_equal(tz_shared_lock_acquire_until(&stage->lock, soon()), -EOWNERDEAD);
	assert_int_equal(tz_shared_lock_recover(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

static void row_33_lock(void **state)
{
	(void)state;
	child_kill(start_and_wait(hold_lock));
	take_after_the_dead();
	child_join(child_start(hold_lock_to_the_end, NULL));
	take_after_the_dead();
	assert_int_equal(tz_shared_lock_try(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

static int wait_for_lock(void)
{
	int r;

	atomic_fetch_add(&stage->arrived, 1);
	r = tz_shared_lock_acquire_until(&stage->lock, soon());
	if (r == -EOWNERDEAD)
		must(tz_shared_lock_recover(&stage->lock) == 0);
	must(r == 0 || r == -EOWNERDEAD);
	must(tz_shared_lock_release(&stage->lock) == 0);
	return r;
}
TZ_TASK(int, wait_for_lock, void);
IN_CHILD(wait_for_lock)

/* Those that wait when it happens: a process, a coroutine and this thread. */
static void row_33_lock_with_waiters(void **state)
{
	pid_t holder = start_and_wait(hold_lock), child = child_start(wait_for_lock_in_child, NULL);
	tz_executor *loop;
	wait_for_lock_future f;

	(void)state;
	assert_int_equal(tz_executor_open(&loop, "coroutines"), 0);
	f = tz_submit(loop, wait_for_lock);
	until(stage->arrived == 2);
	assert_int_equal(tz_shared_lock_acquire_until(&stage->lock, tz_after(0.01)), -ETIMEDOUT);
	assert_int_equal(kill(holder, SIGKILL), 0);
	(void)wait_for_lock();
	assert_int_equal(tz_result(f, NULL), 0);
	child_join(child);
	tz_executor_close(loop);
	assert_true(WIFSIGNALED(child_status(holder)));
}

static void hold_rlock(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		must(tz_shared_rlock_acquire(&stage->rlock) == 0);
	have_done_it();
}

static void row_33_rlock(void **state)
{
	(void)state;
	child_kill(start_and_wait(hold_rlock));
	assert_int_equal(tz_shared_rlock_acquire_until(&stage->rlock, soon()), -EOWNERDEAD);
	assert_int_equal(tz_shared_rlock_recover(&stage->rlock), 0);
	assert_int_equal(tz_shared_rlock_release(&stage->rlock), 0);
	assert_false(tz_shared_rlock_is_held(&stage->rlock));
}

static void hold_permits(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		must(tz_shared_semaphore_acquire(&stage->semaphore) == 0);
	have_done_it();
}

static void row_33_semaphore(void **state)
{
	(void)state;
	assert_int_equal(tz_shared_semaphore_init_bounded(&stage->semaphore, 3), 0);
	child_kill(start_and_wait(hold_permits));
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_shared_semaphore_acquire_until(&stage->semaphore, soon()), 0);
	assert_int_equal(tz_shared_semaphore_try(&stage->semaphore), -EBUSY);
}

static void hold_for_reading(void *unused)
{
	(void)unused;
	must(tz_shared_rwlock_acquire_read(&stage->rwlock) == 0);
	have_done_it();
}

static void hold_for_writing(void *unused)
{
	(void)unused;
	must(tz_shared_rwlock_acquire_write(&stage->rwlock) == 0);
	have_done_it();
}

static void row_33_rwlock(void **state)
{
	(void)state;
	child_kill(start_and_wait(hold_for_reading));
	assert_int_equal(tz_shared_rwlock_acquire_write_until(&stage->rwlock, soon()), 0);
	assert_int_equal(tz_shared_rwlock_release_write(&stage->rwlock), 0);
	child_kill(start_and_wait(hold_for_writing));
	assert_int_equal(tz_shared_rwlock_acquire_write_until(&stage->rwlock, soon()), -EOWNERDEAD);
	assert_int_equal(tz_shared_rwlock_recover(&stage->rwlock), 0);
	assert_int_equal(tz_shared_rwlock_release_write(&stage->rwlock), 0);
}

/* --- 34: a process is killed while it waits: who wakes it blocks, or somebody else is not woken ------------------------------ */

static void wait_for_event(void *unused)
{
	(void)unused;
	stage->phase = 1;
	(void)tz_shared_event_wait(&stage->event);
}

static void row_34_event(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		pid_t child = start_and_wait(wait_for_event);

		until(state_of(child) == 'S');
		child_kill(child);
	}
	for (int i = 0; i < 3; i++) {
		tz_shared_event_set(&stage->event);
		tz_shared_event_clear(&stage->event);
	}
	tz_shared_event_set(&stage->event);
	assert_int_equal(tz_shared_event_wait_until(&stage->event, tz_after(-1)), 0);
}

static void wait_for_condition(void *unused)
{
	(void)unused;
	must(tz_shared_lock_acquire(&stage->lock) == 0);
	atomic_fetch_add(&stage->arrived, 1);
	must(tz_shared_condition_wait_until(&stage->condition, &stage->lock, soon()) == 0);
	must(tz_shared_lock_release(&stage->lock) == 0);
}

static pid_t start_waiter(int number)
{
	pid_t child = child_start(wait_for_condition, NULL);

	until(stage->arrived == number);
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0); /* it is in the wait then */
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	return child;
}

/* There is one notification for one waiter, and one of the two is killed before it can have taken it. */
static void row_34_condition(void **state)
{
	pid_t dead = start_waiter(1), other;

	(void)state;
	until(state_of(dead) == 'S');
	assert_int_equal(kill(dead, SIGSTOP), 0);
	until(state_of(dead) == 'T');
	other = start_waiter(2);
	tz_shared_condition_notify(&stage->condition);
	child_kill(dead);
	child_join(other);
	/* And one is killed with nothing on its way. */
	child_kill(start_waiter(3));
	other = start_waiter(4);
	tz_shared_condition_notify(&stage->condition);
	child_join(other);
}

static void wait_at_barrier(void *unused)
{
	(void)unused;
	stage->answers[0] = tz_shared_barrier_wait_until(&stage->barrier, soon());
}

static void row_34_barrier(void **state)
{
	pid_t dead, other;

	(void)state;
	assert_int_equal(tz_shared_barrier_init(&stage->barrier, 3), 0);
	dead = child_start(wait_at_barrier, NULL);
	other = child_start(wait_at_barrier, NULL);
	until(tz_shared_barrier_waiting(&stage->barrier) == 2);
	child_kill(dead);
	child_join(other);
	assert_int_equal(stage->answers[0], -EPIPE);
	assert_int_equal(tz_shared_barrier_wait(&stage->barrier), -EPIPE);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(row_33_lock),      TEST(row_33_lock_with_waiters),
		TEST(row_33_rlock),     TEST(row_33_semaphore),
		TEST(row_33_rwlock),    TEST(row_34_event),
		TEST(row_34_condition), TEST(row_34_barrier),
	};

	choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
