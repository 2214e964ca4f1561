/* Clocks that are set, joins that are disturbed, threads at the end of the process. See failures.h.
 *
 * Linked with --wrap=clock_gettime and --wrap=syscall: the library sees a system whose date is set back by an hour again and again. */
#define _GNU_SOURCE

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <trenza.h>

#include "failures.h"

/* --- 55: the date is set while somebody waits ------------------------------------------------------------------------------ */

static _Atomic bool is_set_back; /* during this test only: others read the date for themselves */
static _Atomic long set_back; /* hours */
static _Atomic int sleeps;

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = __real_clock_gettime(clock, t);

	if (clock == CLOCK_REALTIME && atomic_load(&is_set_back))
		t->tv_sec -= 3600 * atomic_fetch_add(&set_back, 1);
	return r;
}

/* Reads six arguments as syscall itself does, however many there are: not a matter for the address sanitizer. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
__attribute__((no_sanitize_address)) long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && a[3]) {
		atomic_fetch_add(&sleeps, 1);
		if ((a[1] & FUTEX_CLOCK_REALTIME) && atomic_load(&is_set_back)) {
			/* The date that is waited for lies further away now, by all that it has been set back. */
			struct timespec later = *(const struct timespec *)a[3];

			later.tv_sec += 3600 * atomic_load(&set_back);
			return __real_syscall(number, a[0], a[1], a[2], &later, a[4], a[5]);
		}
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static tz_lock held;
static tz_event never_set;
static tz_semaphore none_left;
static tz_queue *empty;
static tz_condition never_notified;
static tz_executor *executor;

static int wait_for_lock(tz_deadline d)
{
	return tz_lock_acquire_until(&held, d);
}

static int wait_for_event(tz_deadline d)
{
	return tz_event_wait_until(&never_set, d);
}

static int wait_for_semaphore(tz_deadline d)
{
	return tz_semaphore_acquire_until(&none_left, d);
}

static int wait_for_element(tz_deadline d)
{
	int item;

	return tz_queue_get_until(empty, &item, d);
}

static int wait_for_condition(tz_deadline d)
{
	tz_lock lock = { 0 };

	tz_lock_acquire(&lock);
	int r = tz_condition_wait_until(&never_notified, &lock, d);

	tz_lock_release(&lock);
	return r;
}

static void wait_for_the_event(void)
{
	(void)tz_event_wait_until(&never_set, soon());
}
TZ_TASK(void, wait_for_the_event, void);

static int wait_for_future(tz_deadline d)
{
	wait_for_the_event_future f = tz_submit(executor, wait_for_the_event);
	int r = tz_wait(f, d);

	(void)tz_cancel(f);
	(void)tz_result(f, NULL);
	return r;
}

static int sleep_until(tz_deadline d)
{
	int r = tz_sleep_until(d);

	return r == 0 ? -ETIMEDOUT : r;
}

/* Not earlier, and not an hour later, and asleep meanwhile. */
static void row_55_waits_do_not_follow_the_date(void **state)
{
	static int (*const waits[])(tz_deadline) = { wait_for_lock,      wait_for_event,
						     wait_for_semaphore, wait_for_element,
						     wait_for_condition, wait_for_future,
						     sleep_until };

	(void)state;
	tz_lock_acquire(&held);
	assert_int_equal(tz_queue_open(&empty, sizeof(int), NULL), 0);
	assert_int_equal(tz_executor_open(&executor, "threads:1"), 0);
	atomic_store(&sleeps, 0);
	atomic_store(&is_set_back, true);
	alarm(CREW_PATIENCE); /* our own deadlines are under test */
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
		struct timespec begin, end;

		(void)__real_clock_gettime(CLOCK_MONOTONIC, &begin);
		assert_int_equal(waits[i](tz_after(0.02)), -ETIMEDOUT);
		(void)__real_clock_gettime(CLOCK_MONOTONIC, &end);
		assert_true((double)(end.tv_sec - begin.tv_sec) +
				    (double)(end.tv_nsec - begin.tv_nsec) / 1e9 >=
			    0.02);
	}
	alarm(0);
	atomic_store(&is_set_back, false);
	/* Fewer: our wrapper was not called. More: sleeps are over at once, again and again. */
	assert_in_range(atomic_load(&sleeps), 7, 7 * 10);
	tz_executor_close(executor);
	tz_queue_close(empty);
	tz_lock_release(&held);
}

/* --- 56: joins that are disturbed -------------------------------------------------------------------------------------------- */

static _Atomic bool may_end, has_ended, stop_signals;
static _Atomic unsigned handled;

static int work(void)
{
	while (!atomic_load(&may_end))
		(void)tz_sleep(0.001);
	atomic_store(&has_ended, true);
	return 5;
}
TZ_TASK(int, work, void);

static void on_signal(int signum)
{
	(void)signum;
	atomic_fetch_add(&handled, 1);
}

static void *join(void *arg)
{
	tz_thread *t = arg;
	int r, v = 0;

	do {
		r = tz_thread_join_until(t, tz_after(0.003));
		must(r == 0 || r == -ETIMEDOUT);
		must(r != 0 || atomic_load(&has_ended)); /* joined means ended */
		must(r != 0 || !tz_thread_alive(t));
	} while (r != 0 && !atomic_load(&may_end));
	r = tz_thread_join(t);
	must(r == 0 && atomic_load(&has_ended));
	must(tz_thread_result(t, work, &v) == 0 && v == 5);
	return NULL;
}

static void *disturb(void *arg)
{
	const struct crew *joiners = arg;

	while (!atomic_load(&stop_signals)) {
		for (int i = 0; i < 3; i++)
			(void)pthread_kill(joiners->threads[i], SIGINT);
		(void)usleep(200);
	}
	return NULL;
}

static void row_56_joins_survive_signals_and_each_other(void **state)
{
	struct sigaction action = { .sa_handler = on_signal };

	(void)state;
	assert_int_equal(sigaction(SIGINT, &action, NULL), 0);
	for (int round = 0; round < 5; round++) {
		struct crew joiners = { 0 }, crew = { 0 };
		tz_thread *t;

		atomic_store(&may_end, false);
		atomic_store(&has_ended, false);
		atomic_store(&stop_signals, false);
		atomic_store(&handled, 0);
		assert_int_equal(tz_thread_open(&t, work), 0);
		for (int i = 0; i < 3; i++)
			crew_add(&joiners, join, t);
		crew_add(&crew, disturb, &joiners);
		until(atomic_load(&handled) > 20);
		assert_true(tz_thread_alive(t));
		atomic_store(&stop_signals, true);
		crew_join(&crew);
		atomic_store(&may_end, true);
		crew_join(&joiners);
		assert_false(tz_thread_alive(t));
		tz_thread_close(t);
	}
}

static void *join_once(void *arg)
{
	must(tz_thread_join(arg) == 0 && atomic_load(&has_ended));
	return NULL;
}

static void row_56_all_joiners_hear_of_the_end(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		struct crew joiners = { 0 };
		tz_thread *t;

		atomic_store(&may_end, false);
		atomic_store(&has_ended, false);
		assert_int_equal(tz_thread_open(&t, work), 0);
		for (int i = 0; i < 4; i++)
			crew_add(&joiners, join_once, t);
		(void)tz_sleep(0.01); /* so that they wait */
		atomic_store(&may_end, true);
		crew_join(&joiners);
		tz_thread_close(t);
	}
}

/* --- 58: threads that start threads while the process ends ------------------------------------------------------------------- */

static int to_parent;

static void say(char c)
{
	must(write(to_parent, &c, 1) == 1);
}

static void last_one(void)
{
	(void)tz_sleep(0.03);
	say('c');
}
TZ_TASK(void, last_one, void);

static void next_one(void)
{
	tz_thread *t;

	(void)tz_sleep(0.03);
	must(tz_thread_open(&t, last_one) == 0);
	say('b');
	tz_thread_close(t);
}
TZ_TASK(void, next_one, void);

static void first_one(void)
{
	tz_thread *t;

	(void)tz_sleep(0.03); /* main has called exit() by now */
	must(tz_thread_open(&t, next_one) == 0);
	say('a');
	tz_thread_close(t);
}
TZ_TASK(void, first_one, void);

static void last_handler(void)
{
	say('.');
}

static void row_58_the_end_waits_for_threads_and_those_they_start(void **state)
{
	int ends[2], status;
	char said[16] = "";
	size_t n = 0;

	(void)state;
	if (!THREADS_AFTER_FORK)
		skip();
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		tz_thread *t;

		alarm(CREW_PATIENCE);
		(void)close(ends[0]);
		to_parent = ends[1];
		must(atexit(last_handler) ==
		     0); /* registered before: runs after all threads have ended */
		must(tz_thread_open(&t, first_one) == 0);
		tz_thread_close(t);
		exit(3);
	}
	(void)close(ends[1]);
	for (ssize_t got; n < sizeof said - 1 && (got = read(ends[0], said + n, 1)) > 0;)
		n++;
	(void)close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_string_equal(said, "abc.");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		/* First: the library begins to watch for the end of the process when the first thread is started. */
		cmocka_unit_test(row_58_the_end_waits_for_threads_and_those_they_start),
		cmocka_unit_test(row_55_waits_do_not_follow_the_date),
		cmocka_unit_test(row_56_joins_survive_signals_and_each_other),
		cmocka_unit_test(row_56_all_joiners_hear_of_the_end),
	};

	choose(argc, argv);
	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
