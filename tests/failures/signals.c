/* What signal handlers may call: an event is set, an executor is shut down, and something is put into a queue, by a handler that has interrupted
 * the very same thing. The numbers are those of the known failures of other libraries: docs/failures.md. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <trenza.h>

#include "failures.h"

static pthread_t target;
static _Atomic bool over;
static _Atomic unsigned handled;

/* Sends a signal to the target again and again, each when the one before was handled. */
static void *send_signals(void *arg)
{
	int signum = *(const int *)arg;

	for (unsigned n = atomic_load(&handled); !atomic_load(&over);) {
		must(pthread_kill(target, signum) == 0);
		while (atomic_load(&handled) == n && !atomic_load(&over))
			(void)usleep(1);
		n = atomic_load(&handled);
		(void)usleep(n % 97);
	}
	return NULL;
}

static void begin_signals(struct crew *crew, const int *signum, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

	target = pthread_self();
	atomic_store(&over, false);
	must(sigaction(*signum, &action, NULL) == 0);
	crew_add(crew, send_signals, (void *)(uintptr_t)signum);
}

static void end_signals(struct crew *crew)
{
	atomic_store(&over, true);
	crew_join(crew);
}

/* --- 10: an event set by a handler ------------------------------------------------------------------------------------ */

static tz_event event;

static void set_event(int signum)
{
	(void)signum;
	tz_event_set(&event);
	atomic_fetch_add(&handled, 1);
}

/* The thread that waits for an event is interrupted in the middle of that, and the handler sets the event. */
static void row_10_handler_sets_the_event_that_it_interrupted(void **state)
{
	static const int signum = SIGUSR1;
	struct crew crew = { 0 };

	(void)state;
	begin_signals(&crew, &signum, set_event);
	for (unsigned i = 0, end = atomic_load(&handled) + 3000; atomic_load(&handled) < end; i++) {
		int r = tz_event_wait_until(&event, tz_after(i % 64 ? 0 : 0.00001));

		assert_true(r == 0 || r == -ETIMEDOUT);
		tz_event_clear(&event);
	}
	end_signals(&crew);
}

static _Atomic unsigned heard;

static void *hear(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		must(tz_event_wait_until(&event, soon()) == 0);
		tz_event_clear(&event);
		atomic_fetch_add(&heard, 1);
	}
	return NULL;
}

/* A handler that has interrupted the holder of a lock cannot wake those who wait behind it. Somebody must. */
static void row_10_no_set_is_lost(void **state)
{
	static const int signum = SIGUSR1;
	struct crew crew = { 0 };

	(void)state;
	atomic_store(&heard, 0);
	tz_event_clear(&event);
	begin_signals(&crew, &signum, set_event);
	crew_add(&crew, hear, NULL);
	for (tz_deadline end = soon(); atomic_load(&heard) < 500;) {
		must(!tz_expired(end));
		(void)tz_event_wait_until(
			&event, tz_after(0)); /* locks what the waiter queues in, and unlocks it */
	}
	atomic_store(&over, true);
	tz_event_set(&event);
	end_signals(&crew);
}

/* --- 24: an executor that a handler shuts down --------------------------------------------------------------------------- */

static tz_executor *_Atomic executor;

static void shut_down(int signum)
{
	tz_executor *ex = atomic_load(&executor);

	(void)signum;
	if (ex)
		tz_executor_request_shutdown(ex, TZ_DRAIN);
	atomic_fetch_add(&handled, 1);
}

static int one(void)
{
	return 1;
}
TZ_TASK(int, one, void);

static void row_24_handler_shuts_down_the_executor_that_it_interrupted(void **state)
{
	static const int signum = SIGTERM;
	struct crew crew = { 0 };

	(void)state;
	begin_signals(&crew, &signum, shut_down);
	for (int round = 0; round < 300; round++) {
		tz_executor *ex;
		bool refused = false;

		assert_int_equal(tz_executor_open(&ex, "threads:2"), 0);
		atomic_store(&executor, ex);
		while (!refused) {
			one_future f[20];
			int v = 0;

			for (int i = 0; i < 20; i++)
				f[i] = tz_submit(ex, one);
			for (int i = 0; i < 20; i++) {
				if (tz_result(f[i], &v) == 0) {
					assert_int_equal(v, 1);
				} else {
					assert_int_equal(tz_last()->code, -ESHUTDOWN);
					refused = true;
				}
			}
		}
		assert_int_equal(tz_executor_shutdown(ex, TZ_DRAIN, soon()), 0);
		atomic_store(&executor, NULL);
		tz_executor_close(ex);
	}
	end_signals(&crew);
}

/* --- 57: a queue that a handler puts into ------------------------------------------------------------------------------------ */

static tz_queue *queue;
static _Atomic long put_by_handler, got;

static void put(int signum)
{
	long item = 1;

	(void)signum;
	if (tz_queue_try_put(queue, &item) == 0)
		atomic_fetch_add(&put_by_handler, 1);
	atomic_fetch_add(&handled, 1);
}

static void *get_all(void *arg)
{
	long item;

	(void)arg;
	while (tz_queue_get(queue, &item) == 0)
		atomic_fetch_add(&got, item);
	return NULL;
}

static void row_57_handler_puts_into_the_queue_that_it_interrupted(void **state)
{
	static const int signum = SIGUSR2;
	struct crew crew = { 0 }, getters = { 0 };
	long sum = 0;

	(void)state;
	assert_int_equal(tz_queue_open(&queue, sizeof sum,
				       &(tz_queue_options){ .order = TZ_FIFO, .capacity = 16 }),
			 0);
	assert_true(tz_queue_signal_safe(queue));
	begin_signals(&crew, &signum, put);
	crew_add(&getters, get_all, NULL);
	for (long i = 0; i < 200000; i++) {
		long item = 2;

		if (i % 16)
			assert_int_equal(tz_queue_put(queue, &item), 0);
		else if (tz_queue_try_put(queue, &item) < 0)
			continue;
		sum += item;
	}
	end_signals(&crew);
	tz_queue_shutdown(queue, TZ_QUEUE_DRAIN);
	crew_join(&getters);
	assert_true(atomic_load(&put_by_handler) > 0);
	assert_int_equal(atomic_load(&got), sum + atomic_load(&put_by_handler));
	tz_queue_close(queue);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_10_handler_sets_the_event_that_it_interrupted),
		cmocka_unit_test(row_10_no_set_is_lost),
		cmocka_unit_test(row_24_handler_shuts_down_the_executor_that_it_interrupted),
		cmocka_unit_test(row_57_handler_puts_into_the_queue_that_it_interrupted),
	};

	choose(argc, argv);
	return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
