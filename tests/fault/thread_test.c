/* Threads and timers, when memory or the system's room for threads runs out at any point. */
#include "fault.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <trenza/thread.h>
#include <trenza/timer.h>

#include "check.h"

static _Atomic int ran;

static int mark(int answer)
{
	atomic_fetch_add(&ran, 1);
	return answer;
}
TZ_TASK(int, mark, int);

static void run_mark(tz_runnable *self)
{
	(void)self;
	atomic_fetch_add(&ran, 1);
}

static int a_thread(const void *arg)
{
	const tz_thread_options *options = arg;
	int before = atomic_load(&ran), r, answer = 0;
	size_t count = tz_thread_count();
	tz_thread *t;

	r = tz_thread_open_with(&t, options, mark, 7);
	if (r < 0) {
		expect(atomic_load(&ran) == before);
		expect(tz_thread_count() == count); /* what did not start is not there */
		return r;
	}
	if (options && options->deferred) {
		r = tz_thread_start(t);
		if (r < 0) { /* it can be tried again */
			expect(!tz_thread_alive(t));
			expect(tz_thread_start(t) == 0);
		}
	}
	expect(tz_thread_result(t, mark, &answer) == 0);
	expect(answer == 7 && atomic_load(&ran) == before + 1);
	tz_thread_close(t);
	return r;
}

static int an_object(const void *arg)
{
	tz_runnable object = { run_mark };
	int before = atomic_load(&ran), r;
	tz_thread *t;

	(void)arg;
	r = tz_thread_open_object(&t, NULL, &object);
	if (r < 0)
		return r;
	expect(tz_thread_join_until(t, tz_after(20)) == 0);
	expect(atomic_load(&ran) == before + 1);
	tz_thread_close(t);
	return 0;
}

/* Once it was set, a timer fires, whatever fails on the way. */
static int a_timer(const void *arg)
{
	int before = atomic_load(&ran), r;
	tz_timer *t;

	(void)arg;
	r = tz_timer_open(&t, 0.001, mark, 1);
	if (r < 0) {
		expect(atomic_load(&ran) == before);
		return r;
	}
	expect(tz_timer_join_until(t, tz_after(20)) == 0);
	expect(atomic_load(&ran) == before + 1);
	tz_timer_close(t);
	return 0;
}

static void threads(void **state)
{
	static const int first = 0;
	static const tz_thread_options pinned = { .name = "pinned", .cpus = &first, .ncpus = 1 };
	static const tz_thread_options deferred = { .deferred = true };
	cpu_set_t cpus;

	(void)state;
	fault_sweep(a_thread, NULL);
	fault_sweep(a_thread, &deferred);
	if (sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_ISSET(0, &cpus))
		fault_sweep(a_thread, &pinned);
}

static void objects(void **state)
{
	(void)state;
	fault_sweep(an_object, NULL);
}

static void timers(void **state)
{
	(void)state;
	fault_sweep(a_timer, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads),
		cmocka_unit_test(objects),
		cmocka_unit_test(timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
