/* Event, semaphore, condition, barrier and read-write lock in shared memory: what they do alone, between processes, with threads and coroutines as waiters, and when
 * some of those that use them are killed. */
#define _GNU_SOURCE
#include <errno.h>

#include <trenza.h>

#include "abilities.h"
#include "shared.h"
#include "stage.h"

SHARED_STAGE

static tz_executor *open_executor(const char *spec)
{
	tz_executor *ex = NULL;

	assert_int_equal(tz_executor_open(&ex, spec), 0);
	return ex;
}

static void until_asleep(pid_t child)
{
	until(state_of(child) == 'S');
}

/* --- event --------------------------------------------------------------------------------------------------------------------------- */

static int wait_event(void)
{
	atomic_fetch_add(&stage->arrived, 1);
	return tz_shared_event_wait_until(&stage->event, soon());
}
TZ_TASK(int, wait_event, void);
MUST_IN_CHILD(wait_event)
MUST_IN_THREAD(wait_event)

static void an_event_alone(void **state)
{
	tz_shared_event *e = &stage->event;
	tz_scope scope = { 0 };

	(void)state;
	assert_int_equal(sizeof *e, 4);
	assert_false(tz_shared_event_is_set(e));
	assert_int_equal(tz_shared_event_wait_until(e, tz_after(0.005)), -ETIMEDOUT);
	assert_int_equal(tz_shared_event_wait_until(e, tz_after(-1)), -ETIMEDOUT);
	TZ_TIMEOUT(0.005)
		assert_int_equal(tz_shared_event_wait(e), -ETIMEDOUT);
	tz_scope_enter(&scope, tz_never());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_shared_event_wait(e), -ECANCELED);
	tz_shared_event_set(e);
	tz_shared_event_set(e);
	assert_true(tz_shared_event_is_set(e));
	assert_int_equal(tz_shared_event_wait(e), 0);
	tz_scope_leave(&scope);
	assert_int_equal(tz_shared_event_wait_until(e, tz_after(-1)), 0);
	tz_shared_event_clear(e);
	tz_shared_event_clear(e);
	assert_false(tz_shared_event_is_set(e));
	assert_int_equal(tz_shared_event_wait_until(e, tz_after(0.005)), -ETIMEDOUT);
}

static void an_event_wakes_all_kinds_of_strands(void **state)
{
	struct crew crew = { .count = 0 };
	tz_executor *loop;
	wait_event_future f[3];
	pid_t children[3];
	int r;

	(void)state;
	for (int i = 0; i < 3; i++)
		children[i] = child_start(wait_event_in_child, NULL);
	loop = open_executor("coroutines");
	for (int i = 0; i < 3; i++)
		f[i] = tz_submit(loop, wait_event);
	for (int i = 0; i < 3; i++)
		crew_add(&crew, wait_event_in_thread, NULL);
	until(stage->arrived == 9);
	for (int i = 0; i < 3; i++)
		until_asleep(children[i]);
	tz_shared_event_set(&stage->event);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tz_result(f[i], &r), 0);
		assert_int_equal(r, 0);
		child_join(children[i]);
	}
	crew_join(&crew);
	tz_executor_close(loop);
}

/* Who sleeps is woken even if the event is cleared at once. */
static void an_event_that_is_cleared_at_once_wakes(void **state)
{
	pid_t child = child_start(wait_event_in_child, NULL);

	(void)state;
	until(stage->arrived == 1 &&
	      __atomic_load_n(&stage->event.tz__word, __ATOMIC_RELAXED) != 0);
	tz_shared_event_set(&stage->event);
	tz_shared_event_clear(&stage->event);
	child_join(child);
}

static void killed_waiters_do_not_hold_up_who_sets_an_event(void **state)
{
	pid_t children[4], other;

	(void)state;
	for (int i = 0; i < 4; i++)
		children[i] = child_start(wait_event_in_child, NULL);
	other = child_start(wait_event_in_child, NULL);
	until(stage->arrived == 5);
	for (int i = 0; i < 4; i++) {
		until_asleep(children[i]);
		if (i % 2)
			child_kill(children[i]);
		else
			assert_int_equal(kill(children[i], SIGSTOP), 0);
	}
	for (int i = 0; i < 10; i++) {
		tz_shared_event_set(&stage->event);
		tz_shared_event_clear(&stage->event);
	}
	child_join(other);
	for (int i = 0; i < 4; i += 2)
		child_kill(children[i]);
}

static void set_event_on_signal(int signal)
{
	(void)signal;
	tz_shared_event_set(&stage->event);
}

static void wait_for_own_signal(void *unused)
{
	(void)unused;
	(void)signal(SIGUSR1, set_event_on_signal);
	stage->phase = 1;
	must(wait_event() == 0);
}

static void an_event_may_be_set_in_a_signal_handler(void **state)
{
	pid_t child = child_start(wait_for_own_signal, NULL);

	(void)state;
	until(stage->phase == 1);
	until_asleep(child);
	assert_int_equal(kill(child, SIGUSR1), 0);
	child_join(child);
}

/* --- semaphore ------------------------------------------------------------------------------------------------------------------------- */

static void a_semaphore_alone(void **state)
{
	tz_shared_semaphore *s = &stage->semaphore;
	int times = 0, r = 1;

	(void)state;
	assert_int_equal(tz_shared_semaphore_init(s, -1), -EINVAL);
	assert_int_equal(tz_shared_semaphore_init(s, TZ_SEMAPHORE_MAX + 1), -EINVAL);
	assert_int_equal(tz_shared_semaphore_try(s), -EBUSY);
	assert_int_equal(tz_shared_semaphore_init(s, 2), 0);
	assert_int_equal(tz_shared_semaphore_acquire(s), 0);
	assert_int_equal(tz_shared_semaphore_acquire_until(s, tz_after(-1)), 0);
	assert_int_equal(tz_shared_semaphore_permits(s), 0);
	assert_int_equal(tz_shared_semaphore_try(s), -EBUSY);
	assert_int_equal(tz_shared_semaphore_acquire_until(s, tz_after(0.005)), -ETIMEDOUT);
	TZ_TIMEOUT(0.005)
		assert_int_equal(tz_shared_semaphore_acquire(s), -ETIMEDOUT);
	assert_int_equal(tz_shared_semaphore_release_n(s, -1), -EINVAL);
	assert_int_equal(tz_shared_semaphore_release_n(s, 0), 0);
	assert_int_equal(tz_shared_semaphore_release_n(s, 5),
			 0); /* two of its own and three new ones */
	assert_int_equal(tz_shared_semaphore_permits(s), 5);
	assert_int_equal(tz_shared_semaphore_release_n(s, TZ_SEMAPHORE_MAX - 4), -EOVERFLOW);
	assert_int_equal(tz_shared_semaphore_release_n(s, TZ_SEMAPHORE_MAX - 5), 0);
	assert_int_equal(tz_shared_semaphore_permits(s), TZ_SEMAPHORE_MAX);
	assert_int_equal(tz_shared_semaphore_init_bounded(s, 1), 0);
	assert_int_equal(tz_shared_semaphore_release(s), -EPERM);
	tz_with_shared_semaphore(s, &r)
	{
		assert_int_equal(r, 0);
		assert_int_equal(tz_shared_semaphore_try(s), -EBUSY);
		assert_int_equal(tz_shared_semaphore_release_n(s, 2), -EPERM);
		times++;
	}
	tz_with_shared_semaphore(s, NULL) times++;
	assert_int_equal(times, 2);
	assert_int_equal(tz_shared_semaphore_permits(s), 1);
}

static void pass_the_semaphore(void)
{
	for (int i = 0; i < 100; i++) {
		int now, most = stage->most;

		must(tz_shared_semaphore_acquire(&stage->semaphore) == 0);
		now = atomic_fetch_add(&stage->inside, 1) + 1;
		must(now <= 3);
		while (now > most && !atomic_compare_exchange_weak(&stage->most, &most, now))
			;
		if (i % 8 == 0)
			(void)tz_yield();
		(void)atomic_fetch_sub(&stage->inside, 1);
		must(tz_shared_semaphore_release(&stage->semaphore) == 0);
	}
}
TZ_TASK(void, pass_the_semaphore, void);
IN_CHILD(pass_the_semaphore)
IN_THREAD(pass_the_semaphore)

static void a_semaphore_limits_all_kinds_of_strands(void **state)
{
	struct crew crew = { .count = 0 };
	pass_the_semaphore_future f[4];
	tz_executor *loop;
	pid_t children[3];

	(void)state;
	assert_int_equal(tz_shared_semaphore_init_bounded(&stage->semaphore, 3), 0);
	for (int i = 0; i < 3; i++)
		children[i] = child_start(pass_the_semaphore_in_child, NULL);
	loop = open_executor("coroutines");
	for (int i = 0; i < 4; i++)
		f[i] = tz_submit(loop, pass_the_semaphore);
	for (int i = 0; i < 3; i++)
		crew_add(&crew, pass_the_semaphore_in_thread, NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(tz_result(f[i], NULL), 0);
	crew_join(&crew);
	for (int i = 0; i < 3; i++)
		child_join(children[i]);
	tz_executor_close(loop);
	assert_int_equal(stage->inside, 0);
	assert_true(stage->most >= 1);
	assert_int_equal(tz_shared_semaphore_permits(&stage->semaphore), 3);
}

static void take_two_and_stay(void *unused)
{
	(void)unused;
	must(tz_shared_semaphore_acquire(&stage->semaphore) == 0);
	must(tz_shared_semaphore_acquire(&stage->semaphore) == 0);
	atomic_fetch_add(&stage->phase, 1);
	stay();
}

static void take_one_and_end(void *unused)
{
	(void)unused;
	must(tz_shared_semaphore_acquire(&stage->semaphore) == 0);
}

static void permits_of_the_dead_come_back(void **state)
{
	tz_shared_semaphore *s = &stage->semaphore;
	pid_t child;

	(void)state;
	assert_int_equal(tz_shared_semaphore_init(s, 2), 0);
	for (int round = 0; round < 3; round++) {
		stage->phase = 0;
		child = child_start(take_two_and_stay, NULL);
		until(stage->phase == 1);
		assert_int_equal(tz_shared_semaphore_try(s), -EBUSY);
		child_kill(child);
		if (round == 0)
			assert_int_equal(tz_shared_semaphore_try(s), 0);
		else if (round == 1)
			assert_int_equal(tz_shared_semaphore_acquire(s), 0);
		else
			assert_int_equal(tz_shared_semaphore_acquire_until(s, tz_after(-1)), 0);
		assert_int_equal(tz_shared_semaphore_acquire(s), 0);
		assert_int_equal(tz_shared_semaphore_try(s), -EBUSY);
		assert_int_equal(tz_shared_semaphore_release_n(s, 2), 0);
	}
	for (int i = 0; i < 5; i++)
		child_join(child_start(take_one_and_end, NULL));
	assert_int_equal(tz_shared_semaphore_acquire(s), 0);
	assert_int_equal(tz_shared_semaphore_acquire(s), 0);
	assert_int_equal(tz_shared_semaphore_try(s), -EBUSY);
	assert_int_equal(tz_shared_semaphore_release_n(s, 2), 0);
	assert_int_equal(tz_shared_semaphore_permits(s), 2);
}

static bool somebody_waits_for_permits(void)
{
	return (__atomic_load_n(&stage->semaphore.tz__gate, __ATOMIC_RELAXED) & 1) != 0;
}

static int acquire_permit(void)
{
	atomic_fetch_add(&stage->arrived, 1);
	return tz_shared_semaphore_acquire_until(&stage->semaphore, soon());
}
TZ_TASK(int, acquire_permit, void);
MUST_IN_THREAD(acquire_permit)

/* One strand of each kind waits while the holder is killed. */
static void who_waits_gets_the_permits_of_the_dead(void **state)
{
	struct crew crew = { .count = 0 };
	acquire_permit_future f;
	tz_executor *loop;
	pid_t child;
	int r;

	(void)state;
	assert_int_equal(tz_shared_semaphore_init_bounded(&stage->semaphore, 2), 0);
	child = child_start(take_two_and_stay, NULL);
	until(stage->phase == 1);
	loop = open_executor("coroutines");
	f = tz_submit(loop, acquire_permit);
	crew_add(&crew, acquire_permit_in_thread, NULL);
	until(stage->arrived == 2 && somebody_waits_for_permits());
	child_kill(child);
	assert_int_equal(tz_result(f, &r), 0);
	assert_int_equal(r, 0);
	crew_join(&crew);
	tz_executor_close(loop);
	assert_int_equal(tz_shared_semaphore_try(&stage->semaphore), -EBUSY);
}

static void give_three(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		must(tz_shared_semaphore_release(&stage->semaphore) == 0);
}

/* Of a semaphore for signals nothing comes back; what others give is taken. */
static void a_semaphore_for_signals(void **state)
{
	tz_shared_semaphore *s = &stage->semaphore;

	(void)state;
	assert_int_equal(tz_shared_semaphore_init_signal(s, 0), 0);
	child_join(child_start(give_three, NULL));
	assert_int_equal(tz_shared_semaphore_permits(s), 3);
	assert_int_equal(tz_shared_semaphore_acquire(s), 0);
	child_join(child_start(take_one_and_end, NULL));
	assert_int_equal(tz_shared_semaphore_try(s), 0);
	assert_int_equal(tz_shared_semaphore_try(s), -EBUSY);
	assert_int_equal(tz_shared_semaphore_release_n(s, TZ_SEMAPHORE_MAX), 0);
	assert_int_equal(tz_shared_semaphore_release(s), -EOVERFLOW);
}

/* Places in the table are those of processes that live. */
static void a_table_of_holders_has_room_for_as_many_as_it_says(void **state)
{
	tz_shared_semaphore *s = &stage->semaphore;
	pid_t children[TZ_SHARED_PROCESSES];

	(void)state;
	assert_int_equal(tz_shared_semaphore_init(s, 1000), 0);
	for (int i = 0; i < TZ_SHARED_PROCESSES; i++)
		children[i] = child_start(take_two_and_stay, NULL);
	until(stage->phase == TZ_SHARED_PROCESSES);
	assert_int_equal(tz_shared_semaphore_try(s), -EUSERS);
	assert_int_equal(tz_shared_semaphore_acquire(s), -EUSERS);
	assert_int_equal(tz_shared_semaphore_permits(s), 1000 - 2 * TZ_SHARED_PROCESSES);
	child_kill(children[7]);
	assert_int_equal(tz_shared_semaphore_acquire(s), 0);
	assert_int_equal(tz_shared_semaphore_permits(s), 1001 - 2 * TZ_SHARED_PROCESSES);
	for (int i = 0; i < TZ_SHARED_PROCESSES; i++)
		if (i != 7)
			child_kill(children[i]);
}

static void a_wait_for_a_permit_ends_by_cancel(void **state)
{
	static const char *const executors[] = { "coroutines", "threads" };

	(void)state;
	assert_int_equal(tz_shared_semaphore_init(&stage->semaphore, 0), 0);
	for (int i = 0; i < 2; i++) {
		tz_executor *ex = open_executor(executors[i]);
		acquire_permit_future f;

		stage->arrived = 0;
		f = tz_submit(ex, acquire_permit);
		until(stage->arrived == 1 && somebody_waits_for_permits());
		(void)tz_cancel(f);
		(void)tz_result(f, NULL);
		tz_executor_close(ex);
		assert_int_equal(tz_shared_semaphore_permits(&stage->semaphore), 0);
	}
	assert_int_equal(tz_shared_semaphore_release(&stage->semaphore), 0);
	assert_int_equal(tz_shared_semaphore_acquire(&stage->semaphore), 0);
}

/* --- condition ------------------------------------------------------------------------------------------------------------------------- */

static bool has_count(void *unused)
{
	(void)unused;
	return stage->count > 0;
}

static void take_from_count(void)
{
	int r = 1;

	tz_with_shared_lock(&stage->lock, &r)
	{
		must(r == 0);
		atomic_fetch_add(&stage->arrived, 1);
		must(tz_shared_condition_wait_for_until(&stage->condition, &stage->lock, has_count,
							NULL, soon()) == 0);
		must(stage->count > 0);
		stage->count--;
		atomic_fetch_add(&stage->done, 1);
	}
}
TZ_TASK(void, take_from_count, void);
IN_CHILD(take_from_count)
IN_THREAD(take_from_count)

static void put(long n)
{
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
	stage->count += n;
	tz_shared_condition_notify_n(&stage->condition, (size_t)n);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

static void a_condition_alone(void **state)
{
	tz_shared_condition *c = &stage->condition;

	(void)state;
	tz_shared_condition_notify(c);
	tz_shared_condition_notify_n(c, 0);
	tz_shared_condition_notify_all(c);
	assert_int_equal(tz_shared_condition_wait(c, &stage->lock), -EPERM);
	assert_int_equal(tz_shared_condition_wait_for(c, &stage->lock, has_count, NULL), -EPERM);
	assert_int_equal(tz_shared_condition_wait_rlock(c, &stage->rlock, soon()), -EPERM);
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
	assert_int_equal(tz_shared_condition_wait_until(c, &stage->lock, tz_after(0.005)),
			 -ETIMEDOUT);
	TZ_TIMEOUT(0.005) {
		assert_int_equal(tz_shared_condition_wait(c, &stage->lock), -ETIMEDOUT);
		assert_int_equal(tz_shared_condition_wait_for(c, &stage->lock, has_count, NULL),
				 -ETIMEDOUT);
	}
	stage->count = 1;
	assert_int_equal(tz_shared_condition_wait_for(c, &stage->lock, has_count, NULL), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_shared_rlock_acquire(&stage->rlock), 0);
	assert_int_equal(tz_shared_condition_wait_rlock(c, &stage->rlock, tz_after(0.005)),
			 -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_shared_rlock_release(&stage->rlock), 0);
	assert_false(tz_shared_rlock_is_held(&stage->rlock));
	assert_int_equal(c->tz__holders[0].tz__amount, 0);
}

static void as_many_are_woken_as_were_notified(void **state)
{
	struct crew crew = { .count = 0 };
	take_from_count_future f[3];
	tz_executor *loop;
	pid_t children[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		children[i] = child_start(take_from_count_in_child, NULL);
	loop = open_executor("coroutines");
	for (int i = 0; i < 3; i++)
		f[i] = tz_submit(loop, take_from_count);
	for (int i = 0; i < 3; i++)
		crew_add(&crew, take_from_count_in_thread, NULL);
	until(stage->arrived == 9);
	put(1);
	until(stage->done == 1);
	put(3);
	until(stage->done == 4);
	assert_int_equal(stage->count, 0);
	put(5);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tz_result(f[i], NULL), 0);
		child_join(children[i]);
	}
	crew_join(&crew);
	tz_executor_close(loop);
	assert_int_equal(stage->done, 9);
}

static void wait_once(void)
{
	must(tz_shared_lock_acquire(&stage->lock) == 0);
	atomic_fetch_add(&stage->arrived, 1);
	must(tz_shared_condition_wait_until(&stage->condition, &stage->lock, soon()) == 0);
	atomic_fetch_add(&stage->done, 1);
	must(tz_shared_lock_release(&stage->lock) == 0);
}

IN_CHILD(wait_once)
IN_THREAD(wait_once)

/* Once all who have arrived are in the wait. */
static void have_arrived(int n)
{
	until(stage->arrived == n);
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

static void nobody_is_woken_without_a_notification(void **state)
{
	struct crew crew = { .count = 0 };
	pid_t children[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		children[i] = child_start(wait_once_in_child, NULL);
	for (int i = 0; i < 2; i++)
		crew_add(&crew, wait_once_in_thread, NULL);
	have_arrived(4);
	(void)tz_sleep(0.01);
	assert_int_equal(stage->done, 0);
	for (int i = 1; i <= 3; i++) {
		tz_shared_condition_notify(&stage->condition);
		until(stage->done == i);
		(void)tz_sleep(0.005);
		assert_int_equal(stage->done, i);
	}
	tz_shared_condition_notify_all(&stage->condition);
	for (int i = 0; i < 2; i++)
		child_join(children[i]);
	crew_join(&crew);
	assert_int_equal(stage->done, 4);
}

/* A process that is stopped gets some of the notifications, and is killed; the others get them then. */
static void notifications_of_the_dead_go_to_others(void **state)
{
	pid_t stopped, others[2];

	(void)state;
	stopped = child_start(wait_once_in_child, NULL);
	have_arrived(1);
	until_asleep(stopped);
	assert_int_equal(kill(stopped, SIGSTOP), 0);
	until(state_of(stopped) == 'T');
	for (int i = 0; i < 2; i++)
		others[i] = child_start(wait_once_in_child, NULL);
	have_arrived(3);
	tz_shared_condition_notify(&stage->condition);
	tz_shared_condition_notify(&stage->condition);
	child_kill(stopped);
	for (int i = 0; i < 2; i++)
		child_join(others[i]);
	assert_int_equal(stage->done, 2);
}

static void hold_the_lock(void *unused)
{
	(void)unused;
	must(tz_shared_lock_acquire(&stage->lock) == 0);
	tz_shared_condition_notify_all(&stage->condition);
	stage->phase = 1;
	stay();
}

static void *wait_and_inherit(void *unused)
{
	must(tz_shared_lock_acquire(&stage->lock) == 0);
	atomic_fetch_add(&stage->arrived, 1);
	must(tz_shared_condition_wait_until(&stage->condition, &stage->lock, soon()) ==
	     -EOWNERDEAD);
	must(tz_shared_condition_wait_until(&stage->condition, &stage->lock, soon()) == -EPERM);
	must(tz_shared_lock_recover(&stage->lock) == 0);
	must(tz_shared_lock_release(&stage->lock) == 0);
	return unused;
}

static void who_is_woken_may_find_the_lock_left_by_the_dead(void **state)
{
	struct crew crew = { .count = 0 };
	pid_t child;

	(void)state;
	crew_add(&crew, wait_and_inherit, NULL);
	have_arrived(1);
	child = child_start(hold_the_lock, NULL);
	until(stage->phase == 1);
	child_kill(child);
	crew_join(&crew);
	assert_int_equal(tz_shared_lock_try(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

static void hold_the_lock_quietly(void *unused)
{
	(void)unused;
	must(tz_shared_lock_acquire(&stage->lock) == 0);
	stage->phase = 1;
	stay();
}

/* Nobody notifies, and nobody else wants the lock. */
static void who_waits_finds_the_lock_left_by_the_dead(void **state)
{
	struct crew crew = { .count = 0 };
	pid_t child, other = child_start(wait_once_in_child, NULL);

	(void)state;
	crew_add(&crew, wait_and_inherit, NULL);
	have_arrived(2);
	until_asleep(other);
	assert_int_equal(kill(other, SIGSTOP), 0);
	until(state_of(other) == 'T');
	child = child_start(hold_the_lock_quietly, NULL);
	until(stage->phase == 1);
	child_kill(child);
	crew_join(&crew);
	assert_int_equal(kill(other, SIGCONT), 0);
	tz_shared_condition_notify(&stage->condition);
	child_join(other);
}

static int wait_cancelled(void)
{
	int r;

	must(tz_shared_lock_acquire(&stage->lock) == 0);
	atomic_fetch_add(&stage->arrived, 1);
	r = tz_shared_condition_wait_until(&stage->condition, &stage->lock, soon());
	stage->phase = r;
	must(tz_shared_lock_release(&stage->lock) == 0);
	return r;
}
TZ_TASK(int, wait_cancelled, void);

static void a_wait_for_a_condition_ends_by_cancel(void **state)
{
	tz_executor *loop = open_executor("coroutines");
	wait_cancelled_future f = tz_submit(loop, wait_cancelled);

	(void)state;
	have_arrived(1);
	(void)tz_cancel(f);
	(void)tz_result(f, NULL);
	assert_int_equal(stage->phase, -ECANCELED);
	tz_executor_close(loop);
	assert_int_equal(stage->condition.tz__holders[0].tz__amount, 0);
}

/* --- barrier ----------------------------------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 50 };

static void pass_rounds(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		int r;

		atomic_fetch_add(&stage->arrived, 1);
		r = tz_shared_barrier_wait_until(&stage->barrier, soon());
		must(r >= 0 && r < 7);
		must(stage->arrived >= 7 * (i + 1));
		atomic_fetch_add(&stage->answers[r], 1);
	}
}
TZ_TASK(void, pass_rounds, void);
IN_CHILD(pass_rounds)
IN_THREAD(pass_rounds)

static void a_barrier_alone(void **state)
{
	tz_shared_barrier *b = &stage->barrier;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_shared_barrier_wait(b), 0);
	assert_int_equal(tz_shared_barrier_init(b, 0), -EINVAL);
	assert_int_equal(tz_shared_barrier_init(b, TZ_SHARED_BARRIER_MAX + 1), -EINVAL);
	assert_int_equal(tz_shared_barrier_init(b, 2), 0);
	assert_int_equal(tz_shared_barrier_parties(b), 2);
	assert_int_equal(tz_shared_barrier_wait_until(b, tz_after(0.005)), -ETIMEDOUT);
	assert_true(tz_shared_barrier_is_broken(b));
	assert_int_equal(tz_shared_barrier_wait(b), -EPIPE);
	tz_shared_barrier_reset(b);
	assert_false(tz_shared_barrier_is_broken(b));
	assert_int_equal(tz_shared_barrier_waiting(b), 0);
	TZ_TIMEOUT(0.005)
		assert_int_equal(tz_shared_barrier_wait(b), -ETIMEDOUT);
	assert_int_equal(tz_shared_barrier_wait(b), -EPIPE);
	tz_shared_barrier_reset(b);
	tz_shared_barrier_abort(b);
	tz_shared_barrier_abort(b);
	assert_int_equal(tz_shared_barrier_wait(b), -EPIPE);
}

static void a_barrier_of_all_kinds_of_strands(void **state)
{
	struct crew crew = { .count = 0 };
	pass_rounds_future f[2];
	tz_executor *loop;
	pid_t children[3];

	(void)state;
	assert_int_equal(tz_shared_barrier_init(&stage->barrier, 7), 0);
	for (int i = 0; i < 3; i++)
		children[i] = child_start(pass_rounds_in_child, NULL);
	loop = open_executor("coroutines");
	for (int i = 0; i < 2; i++)
		f[i] = tz_submit(loop, pass_rounds);
	for (int i = 0; i < 2; i++)
		crew_add(&crew, pass_rounds_in_thread, NULL);
	for (int i = 0; i < 2; i++)
		assert_int_equal(tz_result(f[i], NULL), 0);
	crew_join(&crew);
	for (int i = 0; i < 3; i++)
		child_join(children[i]);
	tz_executor_close(loop);
	for (int i = 0; i < 7; i++)
		assert_int_equal(stage->answers[i], ROUNDS);
}

static void arrive_and_note(void *answer)
{
	atomic_int *a = answer;
	int r;

	atomic_fetch_add(&stage->arrived, 1);
	r = tz_shared_barrier_wait_until(&stage->barrier, soon());
	*a = r < 0 ? r : r + 1;
}

static void arrive_twice(void *answer)
{
	must(tz_shared_barrier_wait_until(&stage->barrier, soon()) >= 0);
	arrive_and_note(answer);
}

static void stay_after_one_round(void *unused)
{
	(void)unused;
	must(tz_shared_barrier_wait_until(&stage->barrier, soon()) >= 0);
	stage->phase = 1;
	stay();
}

static void a_party_that_is_killed_breaks_the_barrier(void **state)
{
	pid_t killed, others[2];

	(void)state;
	assert_int_equal(tz_shared_barrier_init(&stage->barrier, 4), 0);
	killed = child_start(arrive_and_note, &stage->answers[0]);
	for (int i = 0; i < 2; i++)
		others[i] = child_start(arrive_and_note, &stage->answers[1 + i]);
	until(tz_shared_barrier_waiting(&stage->barrier) == 3);
	child_kill(killed);
	for (int i = 0; i < 2; i++) {
		child_join(others[i]);
		assert_int_equal(stage->answers[1 + i], -EPIPE);
	}
	assert_int_equal(tz_shared_barrier_wait(&stage->barrier), -EPIPE);
}

/* One that was there in the first round does not come to the second one. */
static void a_party_that_was_killed_between_rounds_breaks_the_barrier(void **state)
{
	pid_t killed, others[2];

	(void)state;
	assert_int_equal(tz_shared_barrier_init(&stage->barrier, 3), 0);
	killed = child_start(stay_after_one_round, NULL);
	for (int i = 0; i < 2; i++)
		others[i] = child_start(arrive_twice, &stage->answers[i]);
	until(stage->phase == 1 && stage->arrived == 2);
	child_kill(killed);
	for (int i = 0; i < 2; i++) {
		child_join(others[i]);
		assert_int_equal(stage->answers[i], -EPIPE);
	}
}

/* Processes that have ended after their round are not missed by new ones. */
static void a_new_crew_may_use_a_barrier(void **state)
{
	pid_t children[3];

	(void)state;
	assert_int_equal(tz_shared_barrier_init(&stage->barrier, 3), 0);
	for (int crew = 0; crew < 4; crew++) {
		for (int i = 0; i < 3; i++) {
			children[i] = child_start(arrive_and_note, &stage->answers[i]);
			if (i < 2)
				until(tz_shared_barrier_waiting(&stage->barrier) == i + 1);
			if (i == 1)
				(void)tz_sleep(0.01); /* they look around meanwhile */
		}
		for (int i = 0; i < 3; i++) {
			child_join(children[i]);
			assert_int_equal(stage->answers[i], i + 1);
		}
	}
}

static void abort_and_reset_tell_who_waits(void **state)
{
	(void)state;
	assert_int_equal(tz_shared_barrier_init(&stage->barrier, 2), 0);
	for (int i = 0; i < 4; i++) {
		pid_t child = child_start(arrive_and_note, &stage->answers[i]);

		until(tz_shared_barrier_waiting(&stage->barrier) == 1);
		if (i % 2)
			tz_shared_barrier_abort(&stage->barrier);
		tz_shared_barrier_reset(&stage->barrier);
		child_join(child);
		assert_int_equal(stage->answers[i], -EPIPE);
	}
}

static int count_action(void *result)
{
	must(stage->done == 0);
	stage->copy++;
	(void)tz_sleep(0.003);
	return *(int *)result;
}

static void arrive_with_action(void *answer)
{
	int zero = 0,
	    r = tz_shared_barrier_wait_action(&stage->barrier, count_action, &zero, soon());

	atomic_fetch_add(&stage->done, 1);
	*(atomic_int *)answer = r < 0 ? r : r + 1;
}

static void the_last_one_runs_the_action_while_the_others_wait(void **state)
{
	pid_t children[3];
	int failure = -EIO;

	(void)state;
	assert_int_equal(tz_shared_barrier_init(&stage->barrier, 3), 0);
	for (int i = 0; i < 3; i++)
		children[i] = child_start(arrive_with_action, &stage->answers[i]);
	for (int i = 0; i < 3; i++)
		child_join(children[i]);
	assert_int_equal(stage->copy, 1);
	assert_int_equal(stage->answers[0] + stage->answers[1] + stage->answers[2], 6);
	/* One that fails breaks it. */
	tz_shared_barrier_reset(&stage->barrier);
	stage->done = 0;
	for (int i = 0; i < 2; i++)
		children[i] = child_start(arrive_and_note, &stage->answers[i]);
	until(tz_shared_barrier_waiting(&stage->barrier) == 2);
	assert_int_equal(
		tz_shared_barrier_wait_action(&stage->barrier, count_action, &failure, soon()),
		-EIO);
	for (int i = 0; i < 2; i++) {
		child_join(children[i]);
		assert_int_equal(stage->answers[i], -EPIPE);
	}
}

static int stay_in_action(void *unused)
{
	(void)unused;
	stage->phase = 1;
	stay();
}

static void arrive_and_stay_in_action(void *unused)
{
	(void)tz_shared_barrier_wait_action(&stage->barrier, stay_in_action, unused, soon());
}

static void who_is_killed_in_the_action_breaks_the_barrier(void **state)
{
	pid_t other, killed;

	(void)state;
	assert_int_equal(tz_shared_barrier_init(&stage->barrier, 2), 0);
	other = child_start(arrive_and_note, &stage->answers[0]);
	until(tz_shared_barrier_waiting(&stage->barrier) == 1);
	killed = child_start(arrive_and_stay_in_action, NULL);
	until(stage->phase == 1);
	/* One too many comes meanwhile, and gives up. */
	assert_int_equal(tz_shared_barrier_wait_until(&stage->barrier, tz_after(0.002)),
			 -ETIMEDOUT);
	assert_false(tz_shared_barrier_is_broken(&stage->barrier));
	child_kill(killed);
	child_join(other);
	assert_int_equal(stage->answers[0], -EPIPE);
}

/* --- read-write lock ----------------------------------------------------------------------------------------------------------------------- */

static void a_rwlock_alone(void **state)
{
	tz_shared_rwlock *l = &stage->rwlock;
	int r = 1, times = 0;

	(void)state;
	assert_int_equal(tz_shared_rwlock_release_read(l), -EPERM);
	assert_int_equal(tz_shared_rwlock_release_write(l), -EPERM);
	assert_int_equal(tz_shared_rwlock_recover(l), -EPERM);
	assert_int_equal(tz_shared_rwlock_acquire_read(l), 0);
	assert_int_equal(tz_shared_rwlock_try_read(l), 0);
	assert_int_equal(tz_shared_rwlock_readers(l), 2);
	assert_int_equal(tz_shared_rwlock_try_write(l), -EBUSY);
	assert_int_equal(tz_shared_rwlock_acquire_write_until(l, tz_after(0.005)), -ETIMEDOUT);
	assert_int_equal(tz_shared_rwlock_try_read(l), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_shared_rwlock_release_read(l), 0);
	assert_int_equal(tz_shared_rwlock_release_read(l), -EPERM);
	assert_int_equal(tz_shared_rwlock_acquire_write(l), 0);
	assert_true(tz_shared_rwlock_is_written(l));
	assert_int_equal(tz_shared_rwlock_recover(l), -EINVAL);
	assert_int_equal(tz_shared_rwlock_try_write(l), -EBUSY);
	assert_int_equal(tz_shared_rwlock_try_read(l), -EBUSY);
	assert_int_equal(tz_shared_rwlock_acquire_read_until(l, tz_after(0.005)), -ETIMEDOUT);
	TZ_TIMEOUT(0.005)
		assert_int_equal(tz_shared_rwlock_acquire_write_until(l, tz_never()), -ETIMEDOUT);
	assert_int_equal(tz_shared_rwlock_release_write(l), 0);
	assert_false(tz_shared_rwlock_is_written(l));
	tz_with_shared_read(l, &r)
	{
		assert_int_equal(r, 0);
		assert_int_equal(tz_shared_rwlock_readers(l), 1);
		times++;
	}
	tz_with_shared_write(l, &r) times++;
	tz_with_shared_write(l, NULL) times++;
	tz_with_shared_read(l, NULL) times++;
	assert_int_equal(times, 4);
	assert_int_equal(tz_shared_rwlock_try_write(l), 0);
	assert_int_equal(tz_shared_rwlock_release_write(l), 0);
}

static void read_and_write(void)
{
	for (int i = 0; i < 100; i++) {
		int r = 1;

		if (i % 4 == 0) {
			tz_with_shared_write(&stage->rwlock, &r)
			{
				must(r == 0 && stage->count == stage->copy);
				stage->count++;
				if (i % 8 == 0)
					(void)tz_yield();
				stage->copy++;
			}
		} else {
			tz_with_shared_read(&stage->rwlock, &r)
			{
				must(stage->count == stage->copy);
				if (i % 8 == 1)
					(void)tz_yield();
				must(stage->count == stage->copy);
			}
		}
		must(r == 0);
	}
}
TZ_TASK(void, read_and_write, void);
IN_CHILD(read_and_write)
IN_THREAD(read_and_write)

static void a_rwlock_of_all_kinds_of_strands(void **state)
{
	struct crew crew = { .count = 0 };
	read_and_write_future f[3];
	tz_executor *loop;
	pid_t children[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		children[i] = child_start(read_and_write_in_child, NULL);
	loop = open_executor("coroutines");
	for (int i = 0; i < 3; i++)
		f[i] = tz_submit(loop, read_and_write);
	for (int i = 0; i < 3; i++)
		crew_add(&crew, read_and_write_in_thread, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_result(f[i], NULL), 0);
	crew_join(&crew);
	for (int i = 0; i < 3; i++)
		child_join(children[i]);
	tz_executor_close(loop);
	assert_int_equal(stage->count, 9 * 25);
	assert_int_equal(stage->copy, 9 * 25);
}

static void read_and_stay(void *unused)
{
	(void)unused;
	must(tz_shared_rwlock_acquire_read(&stage->rwlock) == 0);
	stage->phase = 1;
	stay();
}

static void write_and_stay(void *unused)
{
	(void)unused;
	must(tz_shared_rwlock_acquire_write(&stage->rwlock) == 0);
	stage->phase = 1;
	stay();
}

static pid_t start_user(void (*body)(void *))
{
	pid_t child;

	stage->phase = 0;
	child = child_start(body, NULL);
	until(stage->phase == 1);
	return child;
}

static void a_reader_that_is_killed_reads_no_more(void **state)
{
	tz_shared_rwlock *l = &stage->rwlock;

	(void)state;
	for (int i = 0; i < 3; i++) {
		pid_t child = start_user(read_and_stay);

		assert_int_equal(tz_shared_rwlock_try_write(l), -EBUSY);
		child_kill(child);
		if (i == 0)
			assert_int_equal(tz_shared_rwlock_try_write(l), 0);
		else if (i == 1)
			assert_int_equal(tz_shared_rwlock_acquire_write(l), 0);
		else
			assert_int_equal(tz_shared_rwlock_acquire_write_until(l, tz_after(-1)), 0);
		assert_int_equal(tz_shared_rwlock_release_write(l), 0);
	}
}

static void a_writer_that_is_killed_leaves_it_to_the_next(void **state)
{
	tz_shared_rwlock *l = &stage->rwlock;

	(void)state;
	child_kill(start_user(write_and_stay));
	assert_int_equal(tz_shared_rwlock_acquire_read(l), -EOWNERDEAD);
	assert_int_equal(tz_shared_rwlock_try_read(l), -EOWNERDEAD);
	assert_int_equal(tz_shared_rwlock_acquire_write(l), -EOWNERDEAD);
	assert_int_equal(tz_shared_rwlock_try_read(l), -EBUSY);
	assert_int_equal(tz_shared_rwlock_recover(l), 0);
	assert_int_equal(tz_shared_rwlock_release_write(l), 0);
	assert_int_equal(tz_shared_rwlock_acquire_read(l), 0);
	assert_int_equal(tz_shared_rwlock_release_read(l), 0);
	child_kill(start_user(write_and_stay));
	assert_int_equal(tz_shared_rwlock_try_write(l), -EOWNERDEAD);
	assert_int_equal(tz_shared_rwlock_release_write(l), 0);
	assert_int_equal(tz_shared_rwlock_acquire_read_until(l, soon()), -ENOTRECOVERABLE);
	assert_int_equal(tz_shared_rwlock_acquire_write_until(l, soon()), -ENOTRECOVERABLE);
	assert_int_equal(tz_shared_rwlock_try_read(l), -ENOTRECOVERABLE);
	assert_int_equal(tz_shared_rwlock_try_write(l), -ENOTRECOVERABLE);
}

static int write_once(void)
{
	int r;

	atomic_fetch_add(&stage->arrived, 1);
	r = tz_shared_rwlock_acquire_write_until(&stage->rwlock, soon());
	if (r == -EOWNERDEAD)
		must(tz_shared_rwlock_recover(&stage->rwlock) == 0);
	if (r == 0 || r == -EOWNERDEAD)
		must(tz_shared_rwlock_release_write(&stage->rwlock) == 0);
	return r;
}
TZ_TASK(int, write_once, void);

static void *write_in_thread(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)write_once();
}

MUST_IN_CHILD(write_once)

static int waiting_writers(void)
{
	int n = 0;

	for (int i = 0; i < TZ_SHARED_PROCESSES; i++)
		n += (int)(__atomic_load_n(&stage->rwlock.tz__holders[i].tz__amount,
					   __ATOMIC_RELAXED) >>
			   16);
	return n;
}

static void who_waits_to_write_finds_that_the_writer_was_killed(void **state)
{
	pid_t child = start_user(write_and_stay);
	write_once_future f;
	tz_executor *loop;
	pthread_t thread;
	void *result;
	int dead, r = 0;

	(void)state;
	loop = open_executor("coroutines");
	f = tz_submit(loop, write_once);
	assert_int_equal(pthread_create(&thread, NULL, write_in_thread, NULL), 0);
	until(waiting_writers() == 2);
	child_kill(child);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal(tz_result(f, &r), 0);
	dead = ((intptr_t)result == -EOWNERDEAD) + (r == -EOWNERDEAD);
	assert_int_equal(dead, 1);
	assert_true(r == 0 || result == NULL);
	tz_executor_close(loop);
	assert_int_equal(waiting_writers(), 0);
}

/* A writer that waits holds up readers; not when it was killed. */
static void a_writer_that_is_killed_while_it_waits_holds_up_nobody(void **state)
{
	tz_shared_rwlock *l = &stage->rwlock;
	pid_t child;

	(void)state;
	assert_int_equal(tz_shared_rwlock_acquire_read(l), 0);
	child = child_start(write_once_in_child, NULL);
	until(waiting_writers() == 1);
	assert_int_equal(tz_shared_rwlock_acquire_read_until(l, tz_after(0.005)), -ETIMEDOUT);
	child_kill(child);
	assert_int_equal(tz_shared_rwlock_acquire_read(l), 0);
	assert_int_equal(tz_shared_rwlock_release_read(l), 0);
	assert_int_equal(tz_shared_rwlock_release_read(l), 0);
	assert_int_equal(waiting_writers(), 0);
}

static void a_writer_that_gives_up_lets_readers_in(void **state)
{
	tz_shared_rwlock *l = &stage->rwlock;
	write_once_future f;
	tz_executor *loop = open_executor("coroutines");

	(void)state;
	assert_int_equal(tz_shared_rwlock_acquire_read(l), 0);
	f = tz_submit(loop, write_once);
	until(waiting_writers() == 1);
	(void)tz_cancel(f);
	assert_int_equal(tz_shared_rwlock_acquire_read(l), 0);
	(void)tz_result(f, NULL);
	assert_int_equal(waiting_writers(), 0);
	tz_executor_close(loop);
	assert_int_equal(tz_shared_rwlock_release_read(l), 0);
	assert_int_equal(tz_shared_rwlock_release_read(l), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_event_alone),
		CASE(an_event_wakes_all_kinds_of_strands),
		CASE(an_event_that_is_cleared_at_once_wakes),
		CASE(killed_waiters_do_not_hold_up_who_sets_an_event),
		CASE(an_event_may_be_set_in_a_signal_handler),
		CASE(a_semaphore_alone),
		CASE(a_semaphore_limits_all_kinds_of_strands),
		CASE(permits_of_the_dead_come_back),
		CASE(who_waits_gets_the_permits_of_the_dead),
		CASE(a_semaphore_for_signals),
		CASE(a_table_of_holders_has_room_for_as_many_as_it_says),
		CASE(a_wait_for_a_permit_ends_by_cancel),
		CASE(a_condition_alone),
		CASE(as_many_are_woken_as_were_notified),
		CASE(nobody_is_woken_without_a_notification),
		CASE(notifications_of_the_dead_go_to_others),
		CASE(who_is_woken_may_find_the_lock_left_by_the_dead),
		CASE(who_waits_finds_the_lock_left_by_the_dead),
		CASE(a_wait_for_a_condition_ends_by_cancel),
		CASE(a_barrier_alone),
		CASE(a_barrier_of_all_kinds_of_strands),
		CASE(a_party_that_is_killed_breaks_the_barrier),
		CASE(a_party_that_was_killed_between_rounds_breaks_the_barrier),
		CASE(a_new_crew_may_use_a_barrier),
		CASE(abort_and_reset_tell_who_waits),
		CASE(the_last_one_runs_the_action_while_the_others_wait),
		CASE(who_is_killed_in_the_action_breaks_the_barrier),
		CASE(a_rwlock_alone),
		CASE(a_rwlock_of_all_kinds_of_strands),
		CASE(a_reader_that_is_killed_reads_no_more),
		CASE(a_writer_that_is_killed_leaves_it_to_the_next),
		CASE(who_waits_to_write_finds_that_the_writer_was_killed),
		CASE(a_writer_that_is_killed_while_it_waits_holds_up_nobody),
		CASE(a_writer_that_gives_up_lets_readers_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
