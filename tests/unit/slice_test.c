/* Time slices: a coroutine whose calls always succeed at once must not keep its loop from anything else. Each of them goes on
 * until something else has happened, or far too long. */
#define _GNU_SOURCE

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include <trenza.h>

#include "check.h"
#include "crew.h"

enum { FAR_TOO_LONG = 20 /* seconds */ };

static const tz_loop_options real = { .backend = "epoll" };
static const tz_loop_options sim = { .backend = "sim" };
static const tz_loop_options seeded = { .backend = "sim", .seed = 7 };
static const tz_loop_options *const ways[] = { &real, &sim, &seeded };

static _Atomic bool happened;
static _Atomic bool busy; /* the always-ready one has begun */

static void happen(void)
{
	atomic_store(&happened, true);
}
TZ_TASK(void, happen, void);

static int zero(void)
{
	return 0;
}
TZ_TASK(int, zero, void);

/* --- what is always ready ------------------------------------------------------------------------- */

/* Whether to go on. The clock of the machine, since that of a simulation stands still. */
static bool still(time_t end)
{
	struct timespec now;

	atomic_store(&busy, true);
	must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return !atomic_load(&happened) && now.tv_sec < end;
}

static time_t far_too_long(void)
{
	struct timespec now;

	must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return now.tv_sec + FAR_TOO_LONG;
}

static void get_and_put(size_t capacity)
{
	time_t end = far_too_long();
	tz_queue *q = NULL;
	int item = 1;

	must(tz_queue_open(&q, sizeof item, &(tz_queue_options){ .capacity = capacity }) == 0);
	for (int i = 0; i < 8; i++)
		must(tz_queue_put(q, &item) == 0);
	while (still(end)) {
		must(tz_queue_get(q, &item) == 0);
		must(tz_queue_put(q, &item) == 0);
	}
	tz_queue_close(q);
}

static void bounded(void)
{
	get_and_put(8);
}

static void unbounded(void)
{
	get_and_put(0);
}

static void only_put(void)
{
	time_t end = far_too_long();
	tz_queue *q = NULL;
	int item = 1;

	must(tz_queue_open(&q, sizeof item, NULL) == 0);
	while (still(end))
		must(tz_queue_put(q, &item) == 0);
	tz_queue_close(q);
}

static void batches(void)
{
	time_t end = far_too_long();
	tz_queue *q = NULL;
	int items[4] = { 0 };

	must(tz_queue_open(&q, sizeof *items, &(tz_queue_options){ .capacity = 8 }) == 0);
	while (still(end)) {
		must(tz_queue_put_n(q, items, 4) == 4);
		must(tz_queue_get_n(q, items, 4) == 4);
	}
	tz_queue_close(q);
}

static void permits(void)
{
	time_t end = far_too_long();
	tz_semaphore s;

	must(tz_semaphore_init(&s, 1) == 0);
	while (still(end)) {
		must(tz_semaphore_acquire(&s) == 0);
		must(tz_semaphore_release(&s) == 0);
	}
}

static void an_event_that_is_set(void)
{
	time_t end = far_too_long();
	tz_event e = { 0 };

	tz_event_set(&e);
	while (still(end))
		must(tz_event_wait(&e) == 0);
}

static void free_locks(void)
{
	time_t end = far_too_long();
	tz_rwlock rw = { 0 };
	tz_lock lock = { 0 };
	tz_rlock rlock = { 0 };

	for (int i = 0; still(end); i++) {
		if (i % 4 == 0) {
			must(tz_lock_acquire_until(&lock, tz_never()) == 0);
			must(tz_lock_release(&lock) == 0);
		} else if (i % 4 == 1) {
			tz_rlock_acquire(&rlock);
			must(tz_rlock_release(&rlock) == 0);
		} else if (i % 4 == 2) {
			tz_rwlock_acquire_read(&rw);
			must(tz_rwlock_release_read(&rw) == 0);
		} else {
			tz_rwlock_acquire_write(&rw);
			must(tz_rwlock_release_write(&rw) == 0);
		}
	}
}

static bool yes(void *unused)
{
	return unused == NULL;
}

static void a_condition_that_holds(void)
{
	time_t end = far_too_long();
	tz_condition changed = { 0 };
	tz_lock lock = { 0 };

	while (still(end)) {
		tz_lock_acquire(&lock);
		must(tz_condition_wait_for(&changed, &lock, yes, NULL) == 0);
		must(tz_lock_release(&lock) == 0);
	}
}

static void a_barrier_for_one(void)
{
	time_t end = far_too_long();
	tz_barrier b;

	must(tz_barrier_init(&b, 1, NULL, NULL) == 0);
	while (still(end))
		must(tz_barrier_wait(&b) == 0);
}

static void a_word_that_differs(void)
{
	time_t end = far_too_long();
	uint32_t word = 1;

	while (still(end))
		must(tz_wait_word(&word, 0, tz_never()) == -EAGAIN);
}

static void any_of_what_is_done(void)
{
	time_t end = far_too_long();
	zero_future f[2] = { tz_submit(tz_executor_current(), zero),
			     tz_submit(tz_executor_current(), zero) };

	must(tz_wait_all(f, 2, tz_never()) == 0);
	while (still(end))
		must(tz_wait_any(f, 2, tz_never()) == 0);
	must(tz_gather_all(f, 2) == 0);
}

static void wait_for_what_is_done(void)
{
	time_t end = far_too_long();
	zero_future f = tz_submit(tz_executor_current(), zero);

	must(tz_wait(f, tz_never()) == 0);
	while (still(end))
		must(tz_wait(f, tz_never()) == 0);
	must(tz_result(f, NULL) == 0);
}

typedef void (*work)(void);
static const work works[] = { bounded,
			      unbounded,
			      only_put,
			      batches,
			      permits,
			      an_event_that_is_set,
			      free_locks,
			      a_condition_that_holds,
			      a_barrier_for_one,
			      a_word_that_differs,
			      any_of_what_is_done,
			      wait_for_what_is_done };

/* --- what must happen all the same ----------------------------------------------------------------- */

static void beside_a_coroutine(work what)
{
	tz_future f;

	f.handle = tz_submit(tz_executor_current(), happen).handle;
	what();
	must(atomic_load(&happened));
	must(tz_wait(f, tz_never()) == 0 && tz_detach(f) == 0);
}
TZ_TASK(void, beside_a_coroutine, work);

static void beside_a_timer(work what)
{
	tz_future f;

	f.handle = tz_call_later(tz_loop_current(), 0.002, happen).handle;
	what();
	must(atomic_load(&happened));
	must(tz_wait(f, tz_never()) == 0 && tz_detach(f) == 0);
}
TZ_TASK(void, beside_a_timer, work);

static int pipe_ends[2];

static void await_byte(void)
{
	must(tz_wait_fd(pipe_ends[0], POLLIN, tz_never()) == POLLIN);
	happen();
}
TZ_TASK(void, await_byte, void);

static void beside_a_descriptor(work what)
{
	tz_future f;

	f.handle = tz_submit(tz_executor_current(), await_byte).handle;
	must(tz_yield() == 0); /* now it waits */
	must(write(pipe_ends[1], "x", 1) == 1);
	what();
	must(atomic_load(&happened));
	must(tz_wait(f, tz_never()) == 0 && tz_detach(f) == 0);
}
TZ_TASK(void, beside_a_descriptor, work);

static void *submit_from_thread(void *loop)
{
	tz_future f;

	while (!atomic_load(&busy))
		(void)tz_sleep(0.0001);
	f.handle = tz_submit(tz_loop_executor(loop), happen).handle;
	must(tz_detach(f) == 0);
	return NULL;
}

static void beside_a_thread(work what)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, submit_from_thread, tz_loop_current()) == 0);
	what();
	must(atomic_load(&happened));
	must(pthread_join(thread, NULL) == 0);
}
TZ_TASK(void, beside_a_thread, work);

#define PLAY(options, beside, what) \
	do { \
		atomic_store(&happened, false); \
		atomic_store(&busy, false); \
		assert_int_equal(tz_run_with(options, NULL, beside, what), 0); \
	} while (0)

#define EACH_WORK(i) (size_t i = 0; i < sizeof works / sizeof *works; i++)

static void other_coroutines_run(void **state)
{
	(void)state;
	for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
		for
			EACH_WORK(i)
	PLAY(ways[w], beside_a_coroutine, works[i]);
}

static void timers_fire(void **state)
{
	(void)state;
	for
		EACH_WORK(i)
	PLAY(&real, beside_a_timer, works[i]);
}

static void descriptors_are_seen(void **state)
{
	(void)state;
	for
		EACH_WORK(i)
		{
			assert_int_equal(pipe(pipe_ends), 0);
			PLAY(&real, beside_a_descriptor, works[i]);
			assert_int_equal(close(pipe_ends[0]), 0);
			assert_int_equal(close(pipe_ends[1]), 0);
		}
}

static void other_threads_are_heard(void **state)
{
	(void)state;
	for
		EACH_WORK(i)
	PLAY(&real, beside_a_thread, works[i]);
}

/* A thread shares its processor with nobody that the library would have to think of: nothing suspends there. */
static void threads_just_go_on(void **state)
{
	tz_queue *q = NULL;
	int item = 0;

	(void)state;
	assert_int_equal(tz_queue_open(&q, sizeof item, NULL), 0);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(tz_queue_put(q, &i), 0);
		assert_int_equal(tz_queue_get(q, &item), 0);
		assert_int_equal(item, i);
	}
	tz_queue_close(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_coroutines_run), cmocka_unit_test(timers_fire),
		cmocka_unit_test(descriptors_are_seen), cmocka_unit_test(other_threads_are_heard),
		cmocka_unit_test(threads_just_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
