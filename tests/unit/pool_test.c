/* The pool: jobs that must not be left lying, and what its numbers say after unusual ends. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>
#include <trenza/event.h>

#include "check.h"
#include "crew.h"
#include "sched/pool.h"

static tz_event first, second;
static _Atomic int stage;

static void set_second(void)
{
	tz_event_set(&second);
}
TZ_TASK(void, set_second, void);

/* Sleeps, so that another worker comes; and then leaves a job in its own queue and waits for it. */
static int wait_with_a_job_in_the_queue(void)
{
	(void)tz_sleep(0.02);
	until(atomic_load(&stage) == 1); /* the other one works, too */
	(void)tz_detach(tz_submit(tz_executor_current(), set_second));
	atomic_store(&stage, 2);
	return tz_event_wait_until(&second, soon());
}
TZ_TASK(int, wait_with_a_job_in_the_queue, void);

static int busy_then_blocked(void)
{
	tz_deadline end = tz_after(0.05);

	atomic_store(&stage, 1);
	while (atomic_load(&stage) != 2)
		;
	while (!tz_expired(end)) /* the other one blocks meanwhile */
		;
	return tz_event_wait_until(&second, soon());
}
TZ_TASK(int, busy_then_blocked, void);

static void a_blocked_workers_queue_is_seen_to(void **state)
{
	tz_executor *ex;
	int a = -1, b = -1;

	(void)state;
	for (int i = 0; i < 5; i++) {
		tz_event_clear(&second);
		atomic_store(&stage, 0);
		assert_int_equal(tz_executor_open(&ex, "threads:1"), 0);
		wait_with_a_job_in_the_queue_future f = tz_submit(ex, wait_with_a_job_in_the_queue);
		busy_then_blocked_future g = tz_submit(ex, busy_then_blocked);

		assert_int_equal(tz_result(f, &a), 0);
		assert_int_equal(tz_result(g, &b), 0);
		assert_int_equal(a, 0);
		assert_int_equal(b, 0);
		tz_executor_close(ex);
	}
}

static _Atomic bool stop;

/* Each job submits its successor: the worker's own queue is never empty. */
static void successor(void);
TZ_TASK(void, successor, void);
static void successor(void)
{
	if (!atomic_load(&stop))
		(void)tz_detach(tz_submit(tz_executor_current(), successor));
}

static void set_stop(void)
{
	atomic_store(&stop, true);
}
TZ_TASK(void, set_stop, void);

static void endless_successors_starve_nobody(void **state)
{
	static const tz_priority priorities[] = { TZ_PRIORITY_HIGH, TZ_PRIORITY_NORMAL,
						  TZ_PRIORITY_LOW };
	tz_executor *ex;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:1"), 0);
	for (int i = 0; i < 3; i++) {
		atomic_store(&stop, false);
		(void)tz_detach(tz_submit(ex, successor));
		(void)tz_detach(tz_submit(ex, successor));
		set_stop_future f = tz_submit_with(
			ex, &(tz_submit_options){ .priority = priorities[i] }, set_stop);

		assert_int_equal(tz_wait(f, soon()), 0);
		assert_int_equal(tz_result(f, NULL), 0);
	}
	tz_executor_close(ex);
}

/* The same, of a priority. There are several of them, so that one waits at any time. */
static void flood(int priority);
TZ_TASK(void, flood, int);
static void flood(int priority)
{
	const tz_submit_options o = { .priority = (tz_priority)priority };

	if (!atomic_load(&stop))
		(void)tz_detach(tz_submit_with(tz_executor_current(), &o, flood, priority));
}

static void begin_flood(tz_executor *ex, tz_priority priority)
{
	const tz_submit_options o = { .priority = priority };

	for (int i = 0; i < 3; i++)
		(void)tz_detach(tz_submit_with(ex, &o, flood, priority));
}

/* With or without a second flood, of the one priority that the job itself does not have. */
static void urgent_jobs_starve_nobody(void **state)
{
	tz_executor *ex;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:1"), 0);
	for (int i = 0; i < 4; i++) {
		const tz_submit_options o = { .priority = i % 2 ? TZ_PRIORITY_LOW : TZ_PRIORITY_NORMAL };

		atomic_store(&stop, false);
		begin_flood(ex, TZ_PRIORITY_HIGH);
		if (i >= 2)
			begin_flood(ex, i % 2 ? TZ_PRIORITY_NORMAL : TZ_PRIORITY_LOW);
		set_stop_future f = tz_submit_with(ex, &o, set_stop);

		assert_int_equal(tz_wait(f, soon()), 0);
		assert_int_equal(tz_result(f, NULL), 0);
	}
	tz_executor_close(ex);
}

static void idle_for_very_long_is_for_ever(void **state)
{
	/* Just below what 64 bits of nanoseconds hold, and infinity. */
	static const double spans[] = { 1.8446744073e10, 1e300, INFINITY };

	(void)state;
	for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
		const tz_executor_options o = { .workers = 1, .idle_seconds = spans[i] };
		tz_executor_stats s = { 0 };
		tz_executor *ex;

		assert_int_equal(tz_executor_open_with(&ex, "threads", &o), 0);
		atomic_store(&stop, true);
		assert_int_equal(tz_result(tz_submit(ex, successor), NULL), 0);
		until((tz_executor_stats_of(ex, &s), s.idle == 1 || s.workers == 0));
		(void)tz_sleep(0.01);
		tz_executor_stats_of(ex, &s);
		assert_int_equal(s.workers, 1);
		tz_executor_close(ex);
	}
}

static void leave(void)
{
	pthread_exit(NULL);
}
TZ_TASK(void, leave, void);

/* Keeps its worker: the pool does not know that it blocks, and lets nobody stand in. */
static void hold(void)
{
	for (tz_deadline end = soon(); !tz_event_is_set(&first); (void)usleep(200))
		must(!tz_expired(end));
}
TZ_TASK(void, hold, void);

static void numbers_add_up_after_unusual_ends(void **state)
{
	tz_executor *ex;
	tz_executor_stats s;

	(void)state;
	tz_event_clear(&first);
	assert_int_equal(tz_executor_open(&ex, "threads:1"), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tz_result(tz_submit(ex, leave), NULL), -EREMOTEIO);
		assert_int_equal(tz_last()->status, TZ_CRASHED);
	}
	hold_future h = tz_submit(ex, hold), cancelled[20];

	until(tz_running(h) == 1);
	for (int i = 0; i < 20; i++)
		cancelled[i] = tz_submit(ex, hold);
	assert_int_equal(tz_cancel(cancelled[7]), 0);
	assert_int_equal(tz_executor_shutdown(ex, TZ_CANCEL_PENDING, tz_after(0)), -ETIMEDOUT);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(tz_result(cancelled[i], NULL), -EREMOTEIO);
		assert_int_equal(tz_last()->status, TZ_CANCELLED);
	}
	tz_event_set(&first);
	assert_int_equal(tz_result(h, NULL), 0);
	assert_int_equal(tz_executor_shutdown(ex, TZ_DRAIN, soon()), 0);
	tz_executor_stats_of(ex, &s);
	assert_int_equal(s.submitted, 24);
	assert_int_equal(s.completed, 24);
	assert_int_equal(s.running, 0);
	assert_int_equal(s.pending, 0);
	assert_int_equal(s.workers, 0);
	tz_executor_close(ex);
}

/* A child that a job forked may wait, though there is no pool behind its thread any more. */
static int fork_and_sleep(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		alarm(CREW_PATIENCE);
		for (int i = 0; i < 10; i++)
			(void)tz_sleep(0.0001);
		_exit(7);
	}
	must(child > 0 && waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
TZ_TASK(int, fork_and_sleep, void);

static void children_of_jobs_can_wait(void **state)
{
	tz_executor *ex;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:3"), 0);
	for (int i = 0; i < 30; i++) {
		fork_and_sleep_future f[3];
		int r = 0;

		for (int k = 0; k < 3; k++)
			f[k] = tz_submit(ex, fork_and_sleep);
		for (int k = 0; k < 3; k++) {
			assert_int_equal(tz_result(f[k], &r), 0);
			assert_int_equal(r, 7);
		}
	}
	tz_executor_close(ex);
}

/* How many threads of a pool have ended and were not joined. */
static int count_unjoined(tz_executor *ex)
{
	struct tz_pool *p = (struct tz_pool *)ex;
	int n = 0;

	tz_mutex_lock(&p->lock);
	for (int i = 0; i < atomic_load(&p->known); i++)
		n += !p->workers[i]->taken && p->workers[i]->joinable;
	tz_mutex_unlock(&p->lock);
	return n;
}

static int count_workers(tz_executor *ex)
{
	tz_executor_stats s;

	tz_executor_stats_of(ex, &s);
	return s.workers;
}

static void wait_for_first(void)
{
	must(tz_event_wait_until(&first, soon()) == 0);
}
TZ_TASK(void, wait_for_first, void);

static void threads_that_end_are_joined(void **state)
{
	static const char *const specs[] = { "threads:8,min=1,idle=0.02", "threads:1" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		wait_for_first_future f[8];
		tz_executor *ex;

		tz_event_clear(&first);
		assert_int_equal(tz_executor_open(&ex, specs[i]), 0);
		for (int k = 0; k < 8; k++)
			f[k] = tz_submit(ex, wait_for_first);
		until(count_workers(ex) == 8); /* spares, for some of them */
		tz_event_set(&first);
		assert_int_equal(tz_gather_all(f, 8), 0);
		until(count_workers(ex) == 1);
		until(count_unjoined(ex) == 0);
		assert_int_equal(tz_result(tz_submit(ex, leave), NULL), -EREMOTEIO);
		assert_int_equal(tz_result(tz_submit(ex, set_second), NULL), 0);
		until(count_unjoined(ex) == 0);
		tz_executor_close(ex);
	}
}

static int begin_worker(void *unused)
{
	(void)unused;
	return 0;
}

/* Takes until the test has gone on. */
static void end_worker(void *unused)
{
	(void)unused;
	if (atomic_load(&stage) == 0) {
		atomic_store(&stage, 1);
		until(atomic_load(&stage) == 2);
	}
}

/* All places have threads that are on their way out: the next one gets one of theirs. */
static void a_job_that_comes_when_the_last_worker_ends_is_run(void **state)
{
	tz_executor_options options = {
		.workers = 1, .spares = -1, .idle_seconds = 0.001, .initializer = begin_worker, .finalizer = end_worker,
	};
	tz_executor *ex;

	(void)state;
	for (int i = 0; i < 20; i++) {
		atomic_store(&stage, 0);
		assert_int_equal(tz_executor_open_with(&ex, "threads", &options), 0);
		assert_int_equal(tz_result(tz_submit(ex, set_second), NULL), 0);
		until(atomic_load(&stage) == 1);
		set_second_future f = tz_submit(ex, set_second);

		atomic_store(&stage, 2);
		assert_int_equal(tz_result(f, NULL), 0);
		tz_executor_close(ex);
	}
}

/* --- maps and forks whose code leaves ---------------------------------------------------------------------------------- */

enum { ELEMENTS = 400 };
static _Atomic unsigned char called[ELEMENTS];

static void spin_a_little(void)
{
	for (volatile int i = 0; i < 20000; i++)
		;
}

static void leave_at_some(int i, int leaves)
{
	atomic_fetch_add(&called[i], 1);
	spin_a_little();
	if (leaves && tz_worker_index() >= 0)
		pthread_exit(NULL);
}
TZ_TASK(void, leave_at_some, int, int);

static void a_map_goes_on_without_who_left(void **state)
{
	static tz_outcome outcomes[ELEMENTS];
	int in[ELEMENTS], leaves[ELEMENTS];
	tz_executor *ex;

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:3"), 0);
	for (int round = 0; round < 20; round++) {
		tz_map_options o = { .chunk = 10,
				     .policy = TZ_MAP_ALL,
				     .outcomes = round % 2 ? outcomes : NULL };

		memset((void *)called, 0, sizeof called);
		for (int i = 0; i < ELEMENTS; i++)
			in[i] = i, leaves[i] = i % 50 == 25;
		int r = tz_map_with(ex, &o, leave_at_some, ELEMENTS, in, leaves);

		assert_true(r == 0 ||
			    r == -EREMOTEIO); /* 0 if the caller came to all of those itself */
		for (int i = 0; i < ELEMENTS; i++) {
			assert_int_equal(atomic_load(&called[i]), 1);
			if (o.outcomes && !leaves[i])
				assert_int_equal(outcomes[i].status, TZ_OK);
		}
	}
	tz_executor_close(ex);
}

static _Atomic int in_a_fork;

static void fail_elsewhere(int i, int me)
{
	atomic_fetch_add(&in_a_fork, 1);
	if (tz_worker_index() != me)
		(void)tz_fail(-EDOM, "element %d was stolen", i);
}
TZ_TASK(void, fail_elsewhere, int, int);

/* Waits until its fork was stolen. */
static void element_with_a_fork(int i)
{
	tz_deadline end = tz_after(0.5);

	atomic_store(&in_a_fork, 0);
	if (tz_worker_index() < 0 || i != 3)
		return;
	fail_elsewhere_fork f = tz_fork(fail_elsewhere, i, tz_worker_index()), g;

	while (atomic_load(&in_a_fork) == 0 && !tz_expired(end)) {
		g = tz_fork(fail_elsewhere, i,
			    tz_worker_index()); /* a fork publishes what a thief asked for */
		tz_join(g);
		if (atomic_load(&in_a_fork) == 1)
			atomic_fetch_sub(&in_a_fork, 1); /* that was ours */
		sched_yield();
	}
	tz_join(f);
}
TZ_TASK(void, element_with_a_fork, int);

static _Atomic int failures;

static void map_with_forks(void)
{
	int in[10];

	for (int i = 0; i < 10; i++)
		in[i] = i;
	int r = tz_map_with(tz_executor_current(), &(tz_map_options){ .workers = 1 },
			    element_with_a_fork, 10, in);

	if (r == -EREMOTEIO) {
		must(strcmp(tz_last()->message, "element 3: element 3 was stolen") == 0);
		atomic_fetch_add(&failures, 1);
	} else {
		must(r == 0);
	}
}
TZ_TASK(void, map_with_forks, void);

static void an_element_fails_with_its_stolen_fork(void **state)
{
	tz_executor *ex;
	tz_executor_stats s = { 0 };

	(void)state;
	assert_int_equal(tz_executor_open(&ex, "threads:2"), 0);
	for (tz_deadline end = soon(); s.forks_stolen == 0 && !tz_expired(end);) {
		spin_a_little();
		assert_int_equal(tz_result(tz_submit(ex, map_with_forks), NULL), 0);
		tz_executor_stats_of(ex, &s);
	}
	/* One was stolen sooner or later, and what is stolen fails. */
	assert_true(s.forks_stolen > 0);
	assert_int_equal(atomic_load(&failures) > 0, 1);
	tz_executor_close(ex);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_blocked_workers_queue_is_seen_to),
		cmocka_unit_test(endless_successors_starve_nobody),
		cmocka_unit_test(urgent_jobs_starve_nobody),
		cmocka_unit_test(idle_for_very_long_is_for_ever),
		cmocka_unit_test(numbers_add_up_after_unusual_ends),
		cmocka_unit_test(children_of_jobs_can_wait),
		cmocka_unit_test(threads_that_end_are_joined),
		cmocka_unit_test(a_job_that_comes_when_the_last_worker_ends_is_run),
		cmocka_unit_test(a_map_goes_on_without_who_left),
		cmocka_unit_test(an_element_fails_with_its_stolen_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
