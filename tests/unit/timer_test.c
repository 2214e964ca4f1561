/* Timers, and the service underneath: order, cancel, periods, functions that hold others up, fork. */
#define _GNU_SOURCE

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <trenza/scope.h>
#include <trenza/timer.h>

#include "abilities.h"
#include "check.h"
#include "os/clock.h"
#include "sched/timer.h"

static tz_deadline soon(void)
{
	return tz_after(20);
}

static const uint64_t MS = 1000000;

/* Posted when something has happened; waited for with a deadline. */
static sem_t happened;

static bool wait_for(unsigned n)
{
	struct timespec end;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	while (n > 0) {
		if (sem_timedwait(&happened, &end) == 0)
			n--;
		else if (errno != EINTR)
			return false;
	}
	return true;
}

static int prepare(void **state)
{
	(void)state;
	return sem_init(&happened, 0, 0);
}

static int clean_up(void **state)
{
	(void)state;
	return sem_destroy(&happened);
}

/* --- the service --------------------------------------------------------------------------------------------- */

enum { MANY = 500 };

struct noted {
	struct tz_timer_entry entry;
	uint64_t deadline;
	int number;
	bool early;
};

static struct noted notes[MANY];
static int called[MANY];
static _Atomic int ncalled;

static void note(struct tz_timer_entry *entry)
{
	struct noted *n = (struct noted *)entry;

	n->early = tz_clock_now() < n->deadline;
	called[atomic_fetch_add(&ncalled, 1)] = n->number;
	(void)sem_post(&happened);
}

static int by_deadline(const void *a, const void *b)
{
	const struct noted *x = &notes[*(const int *)a], *y = &notes[*(const int *)b];

	if (x->deadline != y->deadline)
		return x->deadline < y->deadline ? -1 : 1;
	return x->number - y->number;
}

static void the_service_calls_in_order(void **state)
{
	int expected[MANY];
	uint64_t start = tz_clock_now() + 1000 * MS; /* by then all are there, and a third of them is gone again */
	uint32_t random = 3;
	int left = 0;

	(void)state;
	atomic_store(&ncalled, 0);
	memset(notes, 0, sizeof notes);
	for (int i = 0; i < MANY; i++) {
		random = random * 1664525u + 1013904223u;
		notes[i].number = i;
		notes[i].deadline = start + (random >> 27) * MS; /* many are equal */
		assert_int_equal(tz_timer_add(&notes[i].entry, notes[i].deadline, note), 0);
	}
	for (int i = 0; i < MANY; i++) {
		if (i % 3 == 0) /* in the middle of the heap */
			assert_int_equal(tz_timer_remove(&notes[i].entry), TZ_TIMER_REMOVED);
		else
			expected[left++] = i;
	}
	qsort(expected, (size_t)left, sizeof expected[0], by_deadline);
	assert_true(wait_for((unsigned)left));
	for (int i = 0; i < left; i++) {
		assert_int_equal(called[i], expected[i]);
		assert_false(notes[called[i]].early);
	}
	for (int i = 0; i < MANY; i++)
		assert_int_not_equal(tz_timer_remove_wait(&notes[i].entry), TZ_TIMER_REMOVED);
	assert_int_equal(ncalled, left);
}

static void an_earlier_one_comes_first(void **state)
{
	struct noted late = { .number = 1 }, early = { .number = 2 };

	(void)state;
	atomic_store(&ncalled, 0);
	assert_int_equal(tz_timer_add(&late.entry, tz_clock_now() + 100000 * MS, note), 0);
	(void)usleep(2000); /* the thread sleeps until then */
	assert_int_equal(tz_timer_add(&early.entry, tz_clock_now() + MS, note), 0);
	assert_true(wait_for(1));
	assert_int_equal(called[0], 2);
	/* And the late one becomes an early one. */
	assert_int_equal(tz_timer_add(&late.entry, tz_clock_now() + MS, note), 0);
	assert_true(wait_for(1));
	assert_int_equal(called[1], 1);
	/* Either may be on its last instructions. */
	assert_int_not_equal(tz_timer_remove_wait(&late.entry), TZ_TIMER_REMOVED);
	assert_int_not_equal(tz_timer_remove_wait(&early.entry), TZ_TIMER_REMOVED);
}

static _Atomic int slow_phase;

static void slow(struct tz_timer_entry *entry)
{
	assert_int_equal(tz_timer_remove_wait(entry),
			 TZ_TIMER_RUNNING); /* of itself: does not wait */
	atomic_store(&slow_phase, 1);
	(void)sem_post(&happened);
	(void)usleep(20000);
	atomic_store(&slow_phase, 2);
}

static void remove_waits_for_a_call(void **state)
{
	struct tz_timer_entry entry = { .set = false };

	(void)state;
	atomic_store(&slow_phase, 0);
	assert_int_equal(tz_timer_add(&entry, tz_clock_now(), slow), 0);
	assert_true(wait_for(1));
	assert_int_equal(tz_timer_remove(&entry), TZ_TIMER_RUNNING);
	assert_int_equal(tz_timer_remove_wait(&entry), TZ_TIMER_RUNNING);
	assert_int_equal(slow_phase, 2);
}

struct repeated {
	struct tz_timer_entry entry;
	int left;
};

static void repeat(struct tz_timer_entry *entry)
{
	struct repeated *r = (struct repeated *)entry;

	if (--r->left > 0)
		assert_int_equal(tz_timer_add(entry, tz_clock_now() + MS / 10, repeat), 0);
	else
		free(r);
	(void)sem_post(&happened);
}

static void a_call_may_set_or_free_its_entry(void **state)
{
	struct repeated *r = calloc(1, sizeof *r);

	(void)state;
	r->left = 20;
	assert_int_equal(tz_timer_add(&r->entry, tz_clock_now(), repeat), 0);
	assert_true(wait_for(20));
}

/* --- timers --------------------------------------------------------------------------------------------------- */

static int ticks[MANY];
static _Atomic int nticks;

static void tick(int number)
{
	int i = atomic_fetch_add(&nticks, 1);

	if (i < MANY)
		ticks[i] = number;
	(void)sem_post(&happened);
}
TZ_TASK(void, tick, int);

static void a_timer_fires_once(void **state)
{
	uint64_t start = tz_now();
	tz_timer *t;

	(void)state;
	atomic_store(&nticks, 0);
	assert_int_equal(tz_timer_open(&t, 0.005, tick, 7), 0);
	assert_true(tz_timer_pending(t));
	assert_int_equal(tz_timer_join_until(t, soon()), 0);
	assert_true(tz_now() - start >= 5 * MS); /* never early */
	assert_int_equal(nticks, 1);
	assert_int_equal(ticks[0], 7);
	assert_int_equal(tz_timer_calls(t), 1);
	assert_false(tz_timer_pending(t));
	assert_int_equal(tz_timer_cancel(t), -EALREADY);
	assert_int_equal(tz_timer_join(t), 0);
	tz_timer_close(t);
	tz_timer_close(NULL);
}

static void timers_fire_in_order(void **state)
{
	enum { N = 60 };
	tz_timer *t[N];
	tz_timer_options o = { .at = tz_after(0.03) };
	const tz_deadline base = o.at;

	(void)state;
	atomic_store(&nticks, 0);
	for (int i = 0; i < N; i++) {
		tick_args args = tz_bind(tick, i);
		int rank = i * 7 % N;

		o.at.ns = base.ns + (uint64_t)(rank / 4) * MS / 10; /* four at a time */
		args.a1 = rank / 4 * 1000 + i;
		assert_int_equal(tz_timer_open_raw(&t[i], &o, &tick_task, &args), 0);
	}
	assert_true(wait_for(N));
	for (int i = 1; i < N; i++)
		assert_true(ticks[i - 1] < ticks[i]);
	for (int i = 0; i < N; i++)
		tz_timer_close(t[i]);
}

static void a_cancelled_timer_does_not_fire(void **state)
{
	tz_timer *t;

	(void)state;
	atomic_store(&nticks, 0);
	assert_int_equal(tz_timer_open(&t, 1000, tick, 1), 0);
	assert_int_equal(tz_timer_cancel(t), 0);
	assert_int_equal(tz_timer_cancel(t), -EALREADY);
	assert_int_equal(tz_timer_join_until(t, soon()), 0);
	tz_timer_close(t);
	/* The race between firing and cancelling has one winner, and both say who. */
	for (int i = 0; i < 300; i++) {
		int before = atomic_load(&nticks), e;

		assert_int_equal(tz_timer_open(&t, 0.00005 * (i % 4), tick, 1), 0);
		if (i % 2)
			(void)usleep((unsigned)i % 80);
		e = tz_timer_cancel(t);
		assert_int_equal(tz_timer_join_until(t, soon()), 0);
		assert_int_equal(tz_timer_calls(t), e == 0 ? 0 : 1);
		assert_int_equal(atomic_load(&nticks) - before, e == 0 ? 0 : 1);
		tz_timer_close(t);
	}
}

static void a_period_goes_on_until_cancelled(void **state)
{
	tz_timer *t;
	int n;

	(void)state;
	atomic_store(&nticks, 0);
	assert_int_equal(tz_timer_every(&t, 0.001, tick, 1), 0);
	assert_true(wait_for(5));
	assert_int_equal(tz_timer_join_until(t, tz_after(0.003)), -ETIMEDOUT);
	(void)tz_timer_cancel(t);
	assert_int_equal(tz_timer_join_until(t, soon()), 0);
	n = atomic_load(&nticks);
	assert_int_equal(tz_timer_calls(t), n);
	(void)usleep(5000);
	assert_int_equal(nticks, n);
	/* It can be set again, and keeps its period. */
	assert_int_equal(tz_timer_reschedule(t, 0), 0);
	while (sem_trywait(&happened) == 0)
		;
	assert_true(wait_for(3));
	tz_timer_close(t); /* cancels */
	(void)usleep(3000);
	n = atomic_load(&nticks);
	(void)usleep(5000);
	assert_int_equal(nticks, n);
}

static void rescheduling_moves_it(void **state)
{
	tz_timer *t;

	(void)state;
	atomic_store(&nticks, 0);
	assert_int_equal(tz_timer_open(&t, 1000, tick, 1), 0);
	assert_int_equal(tz_timer_reschedule(t, 2000), 0);
	assert_int_equal(nticks, 0);
	assert_int_equal(tz_timer_reschedule(t, 0.001), 0);
	assert_true(wait_for(1));
	assert_int_equal(tz_timer_join_until(t, soon()), 0);
	for (int i = 0; i < 200; i++) /* also while it is on its way */
		assert_int_equal(tz_timer_reschedule(t, i % 2 ? 0.0001 : 1000), 0);
	assert_int_equal(tz_timer_reschedule(t, 0), 0);
	assert_int_equal(tz_timer_join_until(t, soon()), 0);
	assert_int_equal(tz_timer_calls(t), nticks);
	tz_timer_close(t);
}

/* --- functions that misbehave, or use their own timer --------------------------------------------------------------- */

static tz_timer *own;
static _Atomic int own_join, own_cancel;

static void use_own(int what)
{
	atomic_store(&own_join, tz_timer_join(own));
	if (what == 0) {
		atomic_store(&own_cancel, tz_timer_cancel(own));
	} else if (what == 1) {
		if (tz_timer_calls(own) < 4)
			(void)tz_timer_reschedule(own, 0);
	} else {
		tz_timer_close(own);
	}
	(void)sem_post(&happened);
}
TZ_TASK(void, use_own, int);

static void open_own(double period, int what)
{
	tz_timer_options o = { .delay = 0, .period = period };
	use_own_args args = tz_bind(use_own, what);

	/* `own` is written before the function is called. */
	assert_int_equal(tz_timer_open_raw(&own, &o, &use_own_task, &args), 0);
}

static void a_function_may_use_its_own_timer(void **state)
{
	(void)state;
	open_own(0.001, 0);
	assert_true(wait_for(1));
	assert_int_equal(own_join, -EDEADLK);
	assert_int_equal(own_cancel, -EINPROGRESS);
	assert_int_equal(tz_timer_join_until(own, soon()), 0);
	assert_int_equal(tz_timer_calls(own), 1); /* in spite of its period */
	tz_timer_close(own);

	open_own(0, 1);
	assert_true(wait_for(4));
	assert_int_equal(tz_timer_join_until(own, soon()), 0);
	assert_int_equal(tz_timer_calls(own), 4);
	tz_timer_close(own);

	open_own(0.001, 2);
	assert_true(wait_for(1));
}

static _Atomic int may_go;

static void hold_up(int unused)
{
	tz_deadline end = soon();

	(void)unused;
	while (!atomic_load(&may_go) && !tz_expired(end))
		(void)usleep(100);
}
TZ_TASK(void, hold_up, int);

static void a_long_function_holds_up_nobody(void **state)
{
	tz_timer *slow_one[3], *t;

	(void)state;
	atomic_store(&nticks, 0);
	atomic_store(&may_go, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_timer_open(&slow_one[i], 0, hold_up, 0), 0);
	assert_int_equal(tz_timer_open(&t, 0.001, tick, 1), 0);
	assert_true(wait_for(1)); /* although three functions do not return */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tz_timer_cancel(slow_one[i]), -EINPROGRESS);
		assert_true(tz_timer_pending(slow_one[i]));
	}
	atomic_store(&may_go, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tz_timer_join_until(slow_one[i], soon()), 0);
		tz_timer_close(slow_one[i]);
	}
	assert_int_equal(tz_timer_reschedule(t, 0), 0);
	assert_true(wait_for(1));
	tz_timer_close(t);
}

static tz_outcome last_uncaught;

static void on_uncaught(tz_thread *thread, const tz_outcome *outcome)
{
	assert_null(thread);
	last_uncaught = *outcome;
	(void)sem_post(&happened);
}

static int fails(int code)
{
	return tz_fail(code, "out of luck");
}
TZ_TASK(int, fails, int);

static void leaves(void)
{
	pthread_exit(NULL);
}
TZ_TASK(void, leaves, void);

static void failures_reach_the_hook_and_nobody_else(void **state)
{
	tz_timer *t, *u;

	(void)state;
	(void)tz_on_uncaught(on_uncaught);
	assert_int_equal(tz_timer_open(&t, 0, fails, -ENOLINK), 0);
	assert_true(wait_for(1));
	assert_int_equal(last_uncaught.status, TZ_FAILED);
	assert_int_equal(last_uncaught.code, -ENOLINK);
	assert_string_equal(last_uncaught.task, "fails");
	assert_string_equal(last_uncaught.message, "out of luck");
	assert_int_equal(tz_timer_join_until(t, soon()), 0);
	tz_timer_close(t);

	assert_int_equal(tz_timer_open(&t, 0, leaves), 0);
	assert_int_equal(tz_timer_open(&u, 0, tick, 1), 0);
	assert_true(wait_for(2)); /* the hook's and the tick's */
	assert_int_equal(last_uncaught.status, TZ_CRASHED);
	assert_int_equal(tz_timer_join_until(t, soon()), 0);
	assert_int_equal(tz_timer_join_until(u, soon()), 0);
	(void)tz_on_uncaught(NULL);
	tz_timer_close(t);
	tz_timer_close(u);
}

static void misuse_is_refused(void **state)
{
	tz_timer *t = (tz_timer *)&t, *const untouched = t;
	tick_args args = tz_bind(tick, 1);
	const tz_timer_options bad[] = {
		{ .period = -1 }, { .period = NAN }, { .delay = NAN }, { .reserved = { 1 } }
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(tz_timer_open_raw(&t, &bad[i], &tick_task, &args), -EINVAL);
	assert_ptr_equal(t, untouched);

	assert_int_equal(tz_timer_open(&t, (double)INFINITY, tick, 1), 0); /* a very long time */
	assert_int_equal(tz_timer_cancel(t), 0);
	tz_timer_close(t);
}

static void join_obeys_the_scope(void **state)
{
	tz_timer *t;
	int e = 0;

	(void)state;
	assert_int_equal(tz_timer_open(&t, 1000, tick, 1), 0);
	TZ_TIMEOUT(0.005) {
		e = tz_timer_join(t);
	}
	assert_int_equal(e, -ETIMEDOUT);
	tz_timer_close(t);
}

static void a_fork_child_has_no_timers(void **state)
{
	tz_timer *t, *waiting;
	int status;
	pid_t pid;

	(void)state;
	atomic_store(&nticks, 0);
	assert_int_equal(tz_timer_open(&waiting, 1000, tick, 1), 0);
	assert_int_equal(tz_timer_every(&t, 0.001, tick, 1), 0);
	assert_true(wait_for(2));
	for (int i = 0; i < 20; i++) { /* at any point of its call */
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			bool good;
			int n = atomic_load(&nticks);

			(void)alarm(20);
			(void)usleep(3000);
			good = !tz_timer_pending(t) && !tz_timer_pending(waiting) &&
			       atomic_load(&nticks) == n;
			good = good && tz_timer_cancel(waiting) == -EALREADY;
			if (THREADS_AFTER_FORK) {
				good = good && tz_timer_reschedule(waiting, 0) == 0;
				good = good && tz_timer_join_until(waiting, soon()) == 0 &&
				       atomic_load(&nticks) == n + 1;
			}
			_exit(good ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		(void)usleep(137);
	}
	assert_true(tz_timer_pending(waiting)); /* here, nothing has changed */
	assert_true(wait_for(3));
	tz_timer_close(waiting);
	(void)tz_timer_cancel(t);
	assert_int_equal(tz_timer_join_until(t, soon()), 0);
	tz_timer_close(t);
}

static void the_shortest_period_is_one(void **state)
{
	tz_timer *t;

	(void)state;
	assert_int_equal(tz_timer_every(&t, 1e-12, tick, 1), 0);
	assert_true(wait_for(3));
	(void)tz_timer_cancel(t);
	assert_int_equal(tz_timer_join_until(t, soon()), 0);
	tz_timer_close(t);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, prepare, clean_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_service_calls_in_order),
		TEST(an_earlier_one_comes_first),
		TEST(remove_waits_for_a_call),
		TEST(a_call_may_set_or_free_its_entry),
		TEST(a_timer_fires_once),
		TEST(timers_fire_in_order),
		TEST(a_cancelled_timer_does_not_fire),
		TEST(a_period_goes_on_until_cancelled),
		TEST(the_shortest_period_is_one),
		TEST(rescheduling_moves_it),
		TEST(a_function_may_use_its_own_timer),
		TEST(a_long_function_holds_up_nobody),
		TEST(failures_reach_the_hook_and_nobody_else),
		TEST(misuse_is_refused),
		TEST(join_obeys_the_scope),
		TEST(a_fork_child_has_no_timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
