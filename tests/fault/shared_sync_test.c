/* What processes synchronise with, when one of them is killed after any instruction of what it does, or is held up there while another one goes on.
 *
 * A process does one thing step by step, and notes in memory that both see how far it has come; the test looks at what it has left, and uses that. No object may
 * need a repair, no wait may be endless, and nothing that the dead had may be gone.
 *
 * FAULT_ALL in the environment: every instruction of the long ways too, where system calls are made; else these are sampled, without chance. */
#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "check.h"
#include "crew.h"
#include "proc.h"
#include "shared/owner.h"
#include "stage.h"
#include "steps.h"

/* A way up to so many steps is tried at each of them; of a longer one about so many are sampled, unless all are wanted. Who waits does the same over and over until it
 * sleeps for long enough to be seen asleep: so many steps of that will do. */
enum { SHORT = 500, SAMPLES = 100, WAITING = 1000 };

static struct stage *stage;

static uint32_t dead; /* the name of a process that has ended */

static void expect_or_die(bool condition)
{
	if (!condition)
		_exit(1);
}

/* Whatever is done for the first time in a process. */
static void warm_up(void)
{
	tz_shared_lock lock = { 0 };

	expect_or_die(tz_shared_lock_acquire(&lock) == 0);
	expect_or_die(tz_shared_lock_acquire_until(&lock, tz_after(0.001)) == -ETIMEDOUT);
	(void)tz_owner_is_alive(dead);
}

struct kind {
	void (*reset)(void); /* in memory that is all-zero, before the process begins */
	void (*run)(void);
	void (*check)(void); /* after the process was killed */
	bool sleeps; /* it is to fall asleep */
};

static int last_of(const struct steps *s)
{
	return s->sleeps && s->n > WAITING ? WAITING : s->n;
}

static int stride(const struct steps *s)
{
	int n = last_of(s), step = getenv("FAULT_ALL") || n <= SHORT ? 1 : n / SAMPLES;

	if (step > 1)
		printf("# each %dth\n", step);
	return step;
}

static void begin(struct steps *s, const struct kind *kind)
{
	memset((void *)stage, 0, sizeof *stage);
	if (kind->reset)
		kind->reset();
	steps_begin(s);
}

static void kill_everywhere(const struct kind *kind)
{
	struct steps s = { .prepare = warm_up, .run = kind->run };
	int step;

	begin(&s, kind);
	steps_record(&s);
	assert_int_equal(s.sleeps, kind->sleeps);
	if (s.sleeps)
		steps_kill(&s);
	kind->check();
	step = stride(&s);
	for (int k = 0; k <= last_of(&s); k += step) {
		begin(&s, kind);
		if (steps_go(&s, k))
			steps_kill(&s);
		kind->check();
	}
	if (kind->sleeps)
		s.lost = 0; /* how often it naps is a matter of time, and some way it has taken in any case */
	steps_forget(&s);
}

/* --- lock ------------------------------------------------------------------------------------------------------------------------------- */

static void take_and_release(void)
{
	expect_or_die(tz_shared_lock_acquire(&stage->lock) == 0);
	stage->has = 1;
	stage->has = 0;
	expect_or_die(tz_shared_lock_release(&stage->lock) == 0);
	stage->over = 1;
}

/* It can be had, with a word about who was killed if that one had it. */
static void check_lock(void)
{
	int r = tz_shared_lock_acquire_until(&stage->lock, soon());

	assert_true(r == 0 || r == -EOWNERDEAD);
	assert_true(r == -EOWNERDEAD || !stage->has);
	assert_true(r == 0 || !stage->over);
	if (r == -EOWNERDEAD)
		assert_int_equal(tz_shared_lock_recover(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_try(&stage->lock), 0);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

static void leave_lock_to_the_dead(void)
{
	stage->lock.tz__word = dead;
}

static void inherit_and_recover(void)
{
	expect_or_die(tz_shared_lock_acquire(&stage->lock) == -EOWNERDEAD);
	stage->has = 1;
	expect_or_die(tz_shared_lock_recover(&stage->lock) == 0);
	stage->has = 0;
	expect_or_die(tz_shared_lock_release(&stage->lock) == 0);
	stage->over = 1;
}

static void inherit_and_release(void)
{
	expect_or_die(tz_shared_lock_acquire(&stage->lock) == -EOWNERDEAD);
	stage->has = 1;
	stage->has = 0;
	expect_or_die(tz_shared_lock_release(&stage->lock) == 0);
	stage->over = 1;
}

/* Until it is lost, whoever comes learns of the dead. */
static void check_lost_lock(void)
{
	int r = tz_shared_lock_acquire_until(&stage->lock, soon());

	assert_true(r == -EOWNERDEAD || r == -ENOTRECOVERABLE);
	assert_true(r == -EOWNERDEAD || !stage->has);
	assert_true(r == -ENOTRECOVERABLE || !stage->over);
}

static void hold_lock(void)
{
	assert_int_equal(tz_shared_lock_acquire(&stage->lock), 0);
}

static void wait_for_lock(void)
{
	expect_or_die(tz_shared_lock_acquire_until(&stage->lock, soon()) == 0);
}

static void check_held_lock(void)
{
	assert_int_equal(tz_shared_lock_try(&stage->lock), -EBUSY);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	check_lock();
}

static void give_up_lock(void)
{
	expect_or_die(tz_shared_lock_acquire_until(&stage->lock, tz_after(-1)) == -ETIMEDOUT);
}

static void release_to_a_sleeper(void)
{
	expect_or_die(tz_shared_lock_acquire(&stage->lock) == 0);
	(void)__atomic_fetch_or(&stage->lock.tz__word, (uint32_t)1 << TZ_OWNER_BITS,
				__ATOMIC_RELAXED); /* as if somebody slept */
	stage->has = 1;
	stage->has = 0;
	expect_or_die(tz_shared_lock_release(&stage->lock) == 0);
	stage->over = 1;
}

static void killed_with_a_lock(void **state)
{
	(void)state;
	kill_everywhere(&(struct kind){ NULL, take_and_release, check_lock, false });
	kill_everywhere(&(struct kind){ NULL, release_to_a_sleeper, check_lock, false });
	kill_everywhere(&(struct kind){ hold_lock, wait_for_lock, check_held_lock, true });
	kill_everywhere(&(struct kind){ hold_lock, give_up_lock, check_held_lock, false });
}

static void killed_with_a_lock_of_the_dead(void **state)
{
	(void)state;
	kill_everywhere(
		&(struct kind){ leave_lock_to_the_dead, inherit_and_recover, check_lock, false });
	kill_everywhere(&(struct kind){ leave_lock_to_the_dead, inherit_and_release,
					check_lost_lock, false });
}

/* It is held up after k steps; the test tries to get the lock; then both come to their end. */
static void held_up_with_a_lock(void **state)
{
	struct kind kind = { NULL, take_and_release, check_lock, false };
	struct steps s = { .prepare = warm_up, .run = kind.run };
	int had = 0, got = 0;

	(void)state;
	begin(&s, &kind);
	steps_record(&s);
	for (int k = 0; k < s.n; k++) {
		begin(&s, &kind);
		if (!steps_go(&s, k))
			continue;
		int r = tz_shared_lock_try(&stage->lock);

		assert_true(r == 0 || r == -EBUSY);
		assert_true(r == -EBUSY || !stage->has);
		assert_true(r == 0 || !stage->over);
		had += r == -EBUSY;
		got += r == 0;
		if (r == 0)
			assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
		steps_finish(&s);
		assert_int_equal(stage->over, 1);
		check_lock();
	}
	assert_true(had > 0 && got > 0);
	steps_forget(&s);
}

static void take_rlock_twice(void)
{
	expect_or_die(tz_shared_rlock_acquire(&stage->rlock) == 0);
	stage->has = 1;
	expect_or_die(tz_shared_rlock_acquire(&stage->rlock) == 0);
	expect_or_die(tz_shared_rlock_release(&stage->rlock) == 0);
	stage->has = 0;
	expect_or_die(tz_shared_rlock_release(&stage->rlock) == 0);
	stage->over = 1;
}

static void check_rlock(void)
{
	int r;

	assert_false(tz_shared_rlock_is_mine(&stage->rlock));
	r = tz_shared_rlock_acquire_until(&stage->rlock, soon());
	assert_true(r == 0 || r == -EOWNERDEAD);
	assert_true(r == -EOWNERDEAD || !stage->has);
	assert_true(r == 0 || !stage->over);
	if (r == -EOWNERDEAD)
		assert_int_equal(tz_shared_rlock_recover(&stage->rlock), 0);
	assert_int_equal(tz_shared_rlock_acquire(&stage->rlock), 0);
	assert_int_equal(tz_shared_rlock_release(&stage->rlock), 0);
	assert_true(tz_shared_rlock_is_mine(&stage->rlock));
	assert_int_equal(tz_shared_rlock_release(&stage->rlock), 0);
	assert_false(tz_shared_rlock_is_held(&stage->rlock));
}

static void killed_with_a_recursive_lock(void **state)
{
	(void)state;
	kill_everywhere(&(struct kind){ NULL, take_rlock_twice, check_rlock, false });
}

/* --- event ------------------------------------------------------------------------------------------------------------------------------ */

static void set_and_clear(void)
{
	stage->event.tz__word |= 2; /* as if somebody slept */
	tz_shared_event_set(&stage->event);
	stage->has = 1;
	stage->has = 0;
	tz_shared_event_clear(&stage->event);
	stage->over = 1;
}

static void wait_for_event(void)
{
	expect_or_die(tz_shared_event_wait_until(&stage->event, soon()) == 0);
}

static void check_event(void)
{
	assert_true(!stage->has || tz_shared_event_is_set(&stage->event));
	assert_true(!stage->over || !tz_shared_event_is_set(&stage->event));
	tz_shared_event_set(&stage->event);
	assert_int_equal(tz_shared_event_wait(&stage->event), 0);
	tz_shared_event_clear(&stage->event);
	assert_int_equal(tz_shared_event_wait_until(&stage->event, tz_after(-1)), -ETIMEDOUT);
}

static void killed_with_an_event(void **state)
{
	(void)state;
	kill_everywhere(&(struct kind){ NULL, set_and_clear, check_event, false });
	kill_everywhere(&(struct kind){ NULL, wait_for_event, check_event, true });
}

/* --- semaphore -------------------------------------------------------------------------------------------------------------------------- */

static void make_two_permits(void)
{
	assert_int_equal(tz_shared_semaphore_init_bounded(&stage->semaphore, 2), 0);
}

static void give_permits_to_the_dead(void)
{
	make_two_permits();
	stage->semaphore.tz__used = 1;
	stage->semaphore.tz__holders[0] = (tz__shared_holder){ dead, 2 };
}

static void take_and_give(void)
{
	expect_or_die(tz_shared_semaphore_acquire(&stage->semaphore) == 0);
	expect_or_die(tz_shared_semaphore_acquire(&stage->semaphore) == 0);
	expect_or_die(tz_shared_semaphore_release(&stage->semaphore) == 0);
	expect_or_die(tz_shared_semaphore_release(&stage->semaphore) == 0);
}

/* So many can be had, one after the other, and no more. */
static void check_permits(int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(tz_shared_semaphore_acquire_until(&stage->semaphore, soon()), 0);
	assert_int_equal(tz_shared_semaphore_try(&stage->semaphore), -EBUSY);
}

static void check_two_permits(void)
{
	check_permits(2);
	assert_int_equal(tz_shared_semaphore_release_n(&stage->semaphore, 2), 0);
	assert_int_equal(tz_shared_semaphore_release(&stage->semaphore), -EPERM);
	assert_int_equal(tz_shared_semaphore_permits(&stage->semaphore), 2);
}

static void make_plain_permits(void)
{
	assert_int_equal(tz_shared_semaphore_init(&stage->semaphore, 2), 0);
}

static void take_and_give_more(void)
{
	expect_or_die(tz_shared_semaphore_acquire(&stage->semaphore) == 0);
	expect_or_die(tz_shared_semaphore_acquire(&stage->semaphore) == 0);
	expect_or_die(tz_shared_semaphore_release_n(&stage->semaphore, 5) == 0);
	stage->over = 1;
}

static void check_two_or_five(void)
{
	int n = (int)stage->semaphore.tz__total;

	assert_true(n == 5 || (n == 2 && !stage->over));
	check_permits(n);
}

static void make_signals(void)
{
	assert_int_equal(tz_shared_semaphore_init_signal(&stage->semaphore, 1), 0);
}

static void signal_twice_and_take(void)
{
	expect_or_die(tz_shared_semaphore_release(&stage->semaphore) == 0);
	expect_or_die(tz_shared_semaphore_release(&stage->semaphore) == 0);
	expect_or_die(tz_shared_semaphore_acquire(&stage->semaphore) == 0);
	stage->over = 1;
}

static void check_signals(void)
{
	int n = tz_shared_semaphore_permits(&stage->semaphore);

	assert_in_range(n, 1, 3);
	assert_true(!stage->over || n == 2);
	check_permits(n);
}

static void make_no_permits(void)
{
	assert_int_equal(tz_shared_semaphore_init(&stage->semaphore, 0), 0);
}

static void wait_for_permit(void)
{
	expect_or_die(tz_shared_semaphore_acquire_until(&stage->semaphore, soon()) == 0);
}

static void check_new_permit(void)
{
	assert_int_equal(tz_shared_semaphore_try(&stage->semaphore), -EBUSY);
	assert_int_equal(tz_shared_semaphore_release(&stage->semaphore), 0);
	check_permits(1);
}

static void killed_with_a_semaphore(void **state)
{
	(void)state;
	kill_everywhere(
		&(struct kind){ make_two_permits, take_and_give, check_two_permits, false });
	kill_everywhere(
		&(struct kind){ make_plain_permits, take_and_give_more, check_two_or_five, false });
	kill_everywhere(
		&(struct kind){ make_signals, signal_twice_and_take, check_signals, false });
	kill_everywhere(&(struct kind){ make_no_permits, wait_for_permit, check_new_permit, true });
}

static void take_from_the_dead(void)
{
	expect_or_die(tz_shared_semaphore_try(&stage->semaphore) == 0);
	expect_or_die(tz_shared_semaphore_release(&stage->semaphore) == 0);
}

static void killed_with_a_semaphore_of_the_dead(void **state)
{
	(void)state;
	kill_everywhere(&(struct kind){ give_permits_to_the_dead, take_from_the_dead,
					check_two_permits, false });
}

/* --- condition -------------------------------------------------------------------------------------------------------------------------- */

static void wait_for_condition(void)
{
	expect_or_die(tz_shared_lock_acquire(&stage->lock) == 0);
	expect_or_die(tz_shared_condition_wait_until(&stage->condition, &stage->lock, soon()) == 0);
}

/* The lock, whatever happened to who had it. */
static void take_lock(void)
{
	int r = tz_shared_lock_acquire_until(&stage->lock, soon());

	must(r == 0 || r == -EOWNERDEAD);
	if (r == -EOWNERDEAD)
		must(tz_shared_lock_recover(&stage->lock) == 0);
}

/* --- another process, that waits, and is stopped so that it does nothing while the steps are made ------------------------------------------ */

static pid_t other;

/* Once it waits, and not at a moment when it has the object's lock. */
static void start_other(int (*wait)(void), bool (*waits)(void), const tz_shared_lock *lock)
{
	bool good = false;

	fflush(NULL);
	stage->answers[0] = 1000;
	other = fork();
	must(other >= 0);
	if (other == 0) {
		stage->answers[0] = wait();
		_exit(0);
	}
	until(waits());
	while (!good) {
		must(kill(other, SIGSTOP) == 0);
		until(state_of(other) == 'T');
		good = !tz_shared_lock_is_held(lock) && !tz_shared_lock_is_held(&stage->lock);
		if (!good)
			must(kill(other, SIGCONT) == 0);
	}
}

static int answer_of_other(void)
{
	int status = -1;
	pid_t r;

	must(kill(other, SIGCONT) == 0);
	until((r = waitpid(other, &status, WNOHANG)) != 0);
	must(r == other && status == 0);
	return stage->answers[0];
}

static int wait_here(void)
{
	int r;

	take_lock();
	r = tz_shared_condition_wait_until(&stage->condition, &stage->lock, soon());
	must(tz_shared_lock_release(&stage->lock) == 0);
	return r;
}

static bool somebody_waits(void)
{
	for (int i = 0; i < TZ_SHARED_PROCESSES; i++)
		if (__atomic_load_n(&stage->condition.tz__holders[i].tz__amount,
				    __ATOMIC_RELAXED) != 0 &&
		    tz_owner_is_alive(stage->condition.tz__holders[i].tz__owner))
			return true;
	return false;
}

static void start_waiter(void)
{
	start_other(wait_here, somebody_waits, &stage->condition.tz__lock);
}

/* Nobody was notified, and nobody is; one who comes then is. */
static void check_condition(void)
{
	take_lock();
	assert_int_equal(
		tz_shared_condition_wait_until(&stage->condition, &stage->lock, tz_after(0.002)),
		-ETIMEDOUT);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
	start_waiter();
	tz_shared_condition_notify_all(&stage->condition);
	assert_int_equal(answer_of_other(), 0);
}

static void notify_somebody(void)
{
	tz_shared_condition_notify(&stage->condition);
	stage->over = 1;
}

/* Unless the notifier was killed before it had notified. */
static void check_notified(void)
{
	if (!stage->over)
		tz_shared_condition_notify(&stage->condition);
	assert_int_equal(answer_of_other(), 0);
}

/* One process has waited and was notified, and has ended. */
static void notify_the_dead(void)
{
	stage->condition.tz__used = 1;
	stage->condition.tz__holders[0] = (tz__shared_holder){ dead, 0x10000 };
	stage->condition.tz__gates[0] = 1;
}

static void take_over_notification(void)
{
	expect_or_die(tz_shared_lock_acquire(&stage->lock) == 0);
	expect_or_die(
		tz_shared_condition_wait_until(&stage->condition, &stage->lock, tz_after(-1)) == 0);
	stage->over = 1;
}

static int notifications(void)
{
	int n = 0;

	for (int i = 0; i < TZ_SHARED_PROCESSES; i++)
		n += (int)(stage->condition.tz__holders[i].tz__amount >> 16);
	return n;
}

/* It is in the table, or was taken by who was killed. */
static void check_handed_over(void)
{
	static bool taken;
	int n = notifications();

	assert_in_range(n, 0, 2);
	if (stage->over)
		taken = false; /* a new way begins, or one has ended */
	else if (n > 0)
		assert_false(taken);
	else
		taken = true;
	take_lock();
	assert_int_equal(tz_shared_condition_wait_until(&stage->condition, &stage->lock,
							n ? soon() : tz_after(0.002)),
			 n ? 0 : -ETIMEDOUT);
	assert_int_equal(tz_shared_lock_release(&stage->lock), 0);
}

static void killed_with_a_condition(void **state)
{
	(void)state;
	kill_everywhere(&(struct kind){ NULL, wait_for_condition, check_condition, true });
	kill_everywhere(&(struct kind){ start_waiter, notify_somebody, check_notified, false });
}

static void killed_with_a_condition_of_the_dead(void **state)
{
	(void)state;
	kill_everywhere(&(struct kind){ notify_the_dead, take_over_notification, check_handed_over,
					false });
}

/* --- barrier ----------------------------------------------------------------------------------------------------------------------------- */

static int be_party(void)
{
	return tz_shared_barrier_wait_until(&stage->barrier, soon());
}

static bool one_has_arrived(void)
{
	return tz_shared_barrier_waiting(&stage->barrier) == 1;
}

static void make_barrier(void)
{
	assert_int_equal(tz_shared_barrier_init(&stage->barrier, 2), 0);
}

static void start_party(void)
{
	start_other(be_party, one_has_arrived, &stage->barrier.tz__lock);
}

static void make_barrier_with_a_party(void)
{
	make_barrier();
	start_party();
}

static void arrive(void)
{
	expect_or_die(tz_shared_barrier_wait_until(&stage->barrier, soon()) >= 0);
	stage->over = 1;
}

/* After a reset it is as new. */
static void check_whole_barrier(void)
{
	tz_shared_barrier_reset(&stage->barrier);
	start_party();
	assert_int_equal(tz_shared_barrier_wait_until(&stage->barrier, soon()), 1);
	assert_int_equal(answer_of_other(), 0);
}

/* One that had arrived and was killed breaks it; one that had not cannot be missed. */
static void check_broken_barrier(void)
{
	int r, had_arrived = tz_shared_barrier_waiting(&stage->barrier);

	if (had_arrived) {
		/* Who comes now is the last one, if it comes before somebody has looked; then the next round is the one that breaks. */
		r = tz_shared_barrier_wait_until(&stage->barrier, soon());
		assert_int_equal(r, 1);
		r = tz_shared_barrier_wait_until(&stage->barrier, tz_after(1));
		assert_true(r == -EPIPE || r == -ETIMEDOUT);
	} else {
		r = tz_shared_barrier_wait_until(&stage->barrier, tz_after(0.001));
		assert_int_equal(r, -ETIMEDOUT);
	}
	assert_true(tz_shared_barrier_is_broken(&stage->barrier));
	check_whole_barrier();
}

static void check_last_party(void)
{
	int r;

	if (!stage->over && !tz_shared_barrier_is_broken(&stage->barrier) &&
	    stage->barrier.tz__state == 0 && tz_shared_barrier_waiting(&stage->barrier) == 1)
		tz_shared_barrier_abort(
			&stage->barrier); /* it had not arrived, and nobody else will come */
	r = answer_of_other();
	assert_true(r == 0 || r == -EPIPE);
	assert_true(r == 0 || !stage->over);
	check_whole_barrier();
}

static void reset(void)
{
	tz_shared_barrier_reset(&stage->barrier);
	stage->over = 1;
}

static void check_reset(void)
{
	if (!stage->over)
		tz_shared_barrier_abort(&stage->barrier);
	assert_int_equal(answer_of_other(), -EPIPE);
	check_whole_barrier();
}

static void killed_with_a_barrier(void **state)
{
	(void)state;
	kill_everywhere(&(struct kind){ make_barrier, arrive, check_broken_barrier, true });
	kill_everywhere(
		&(struct kind){ make_barrier_with_a_party, arrive, check_last_party, false });
	kill_everywhere(&(struct kind){ make_barrier_with_a_party, reset, check_reset, false });
}

/* --- read-write lock ---------------------------------------------------------------------------------------------------------------------- */

static void read_once(void)
{
	expect_or_die(tz_shared_rwlock_acquire_read(&stage->rwlock) == 0);
	expect_or_die(tz_shared_rwlock_release_read(&stage->rwlock) == 0);
	stage->over = 1;
}

static void write_once(void)
{
	expect_or_die(tz_shared_rwlock_acquire_write(&stage->rwlock) == 0);
	stage->has = 1;
	stage->has = 0;
	expect_or_die(tz_shared_rwlock_release_write(&stage->rwlock) == 0);
	stage->over = 1;
}

static void check_free_rwlock(void)
{
	tz_shared_rwlock *l = &stage->rwlock;

	assert_int_equal(tz_shared_rwlock_acquire_write_until(l, soon()), 0);
	assert_int_equal(tz_shared_rwlock_release_write(l), 0);
	assert_int_equal(tz_shared_rwlock_acquire_read_until(l, soon()), 0);
	assert_int_equal(tz_shared_rwlock_readers(l), 1);
	assert_int_equal(tz_shared_rwlock_release_read(l), 0);
	assert_int_equal(tz_shared_rwlock_try_write(l), 0);
	assert_int_equal(tz_shared_rwlock_release_write(l), 0);
}

static void check_written_rwlock(void)
{
	int r = tz_shared_rwlock_acquire_write_until(&stage->rwlock, soon());

	assert_true(r == 0 || r == -EOWNERDEAD);
	assert_true(r == -EOWNERDEAD || !stage->has);
	assert_true(r == 0 || !stage->over);
	if (r == -EOWNERDEAD)
		assert_int_equal(tz_shared_rwlock_recover(&stage->rwlock), 0);
	assert_int_equal(tz_shared_rwlock_release_write(&stage->rwlock), 0);
	check_free_rwlock();
}

static void leave_rwlock_to_the_dead(void)
{
	stage->rwlock.tz__writer = dead;
}

static void write_after_the_dead(void)
{
	expect_or_die(tz_shared_rwlock_acquire_write(&stage->rwlock) == -EOWNERDEAD);
	stage->has = 1;
	expect_or_die(tz_shared_rwlock_recover(&stage->rwlock) == 0);
	stage->has = 0;
	expect_or_die(tz_shared_rwlock_release_write(&stage->rwlock) == 0);
	stage->over = 1;
}

/* One that read twice, and another strand of which waits to write. */
static void leave_reads_to_the_dead(void)
{
	stage->rwlock.tz__used = 1;
	stage->rwlock.tz__holders[0] = (tz__shared_holder){ dead, 0x10002 };
}

static void try_after_the_dead(void)
{
	expect_or_die(tz_shared_rwlock_try_read(&stage->rwlock) == 0);
	expect_or_die(tz_shared_rwlock_release_read(&stage->rwlock) == 0);
	expect_or_die(tz_shared_rwlock_try_write(&stage->rwlock) == 0);
	expect_or_die(tz_shared_rwlock_release_write(&stage->rwlock) == 0);
	stage->over = 1;
}

static void begin_to_read(void)
{
	assert_int_equal(tz_shared_rwlock_acquire_read(&stage->rwlock), 0);
}

static void wait_to_write(void)
{
	expect_or_die(tz_shared_rwlock_acquire_write_until(&stage->rwlock, soon()) == 0);
}

static void check_readers_come_in(void)
{
	assert_int_equal(tz_shared_rwlock_acquire_read_until(&stage->rwlock, soon()), 0);
	assert_int_equal(tz_shared_rwlock_release_read(&stage->rwlock), 0);
	assert_int_equal(tz_shared_rwlock_release_read(&stage->rwlock), 0);
	check_free_rwlock();
}

static void begin_to_write(void)
{
	assert_int_equal(tz_shared_rwlock_acquire_write(&stage->rwlock), 0);
}

static void wait_to_read(void)
{
	expect_or_die(tz_shared_rwlock_acquire_read_until(&stage->rwlock, soon()) == 0);
}

static void check_writer_ends(void)
{
	assert_int_equal(tz_shared_rwlock_release_write(&stage->rwlock), 0);
	check_free_rwlock();
}

static void killed_with_a_rwlock(void **state)
{
	(void)state;
	kill_everywhere(&(struct kind){ NULL, read_once, check_free_rwlock, false });
	kill_everywhere(&(struct kind){ NULL, write_once, check_written_rwlock, false });
	kill_everywhere(
		&(struct kind){ begin_to_read, wait_to_write, check_readers_come_in, true });
	kill_everywhere(&(struct kind){ begin_to_write, wait_to_read, check_writer_ends, true });
}

static void killed_with_a_rwlock_of_the_dead(void **state)
{
	(void)state;
	kill_everywhere(&(struct kind){ leave_rwlock_to_the_dead, write_after_the_dead,
					check_written_rwlock, false });
	kill_everywhere(&(struct kind){ leave_reads_to_the_dead, try_after_the_dead,
					check_written_rwlock, false });
}

/* --- all of them ---------------------------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	pid_t child;

	(void)state;
	stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	assert_true(stage != MAP_FAILED);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		stage->lock.tz__word = tz_owner_self();
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	dead = stage->lock.tz__word;
	assert_false(tz_owner_is_alive(dead));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_with_a_lock),
		cmocka_unit_test(killed_with_a_lock_of_the_dead),
		cmocka_unit_test(held_up_with_a_lock),
		cmocka_unit_test(killed_with_a_recursive_lock),
		cmocka_unit_test(killed_with_an_event),
		cmocka_unit_test(killed_with_a_semaphore),
		cmocka_unit_test(killed_with_a_semaphore_of_the_dead),
		cmocka_unit_test(killed_with_a_condition),
		cmocka_unit_test(killed_with_a_condition_of_the_dead),
		cmocka_unit_test(killed_with_a_barrier),
		cmocka_unit_test(killed_with_a_rwlock),
		cmocka_unit_test(killed_with_a_rwlock_of_the_dead),
	};

	if (!steps_are_possible()) {
		puts("1..0 # SKIP processes cannot be traced here");
		return 0;
	}
	return cmocka_run_group_tests(tests, set_up, NULL);
}
