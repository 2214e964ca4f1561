/* Events: setting, clearing, waiting, time, signal handlers, and that a waiter may free them. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <trenza/event.h>
#include <trenza/scope.h>
#include <trenza/semaphore.h>

#include "check.h"
#include "core/parking.h"
#include "crew.h"

static bool somebody_waits(tz_event *e)
{
	return (__atomic_load_n(&e->tz__word, __ATOMIC_RELAXED) & 2) != 0;
}

static void set_and_clear(void **state)
{
	tz_event e = { 0 };

	(void)state;
	assert_int_equal(sizeof e, 4);
	assert_false(tz_event_is_set(&e));
	tz_event_clear(&e);
	tz_event_set(&e);
	tz_event_set(&e);
	assert_true(tz_event_is_set(&e));
	assert_int_equal(tz_event_wait(&e), 0);
	assert_int_equal(tz_event_wait_until(&e, tz_after(-1)), 0);
	tz_event_clear(&e);
	assert_false(tz_event_is_set(&e));
	assert_int_equal(tz_event_wait_until(&e, tz_after(0.002)), -ETIMEDOUT);
}

static void waits_end(void **state)
{
	tz_event e = { 0 };
	tz_scope scope = { 0 };

	(void)state;
	TZ_TIMEOUT(0.002) {
		assert_int_equal(tz_event_wait(&e), -ETIMEDOUT);
	}
	tz_scope_enter(&scope, soon());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_event_wait(&e), -ECANCELED);
	tz_event_set(&e);
	assert_int_equal(tz_event_wait(&e), 0); /* what is set beats a cancel */
	(void)tz_scope_leave(&scope);
	assert_false(somebody_waits(&e));
}

static void *wait_for_it(void *arg)
{
	must(tz_event_wait_until(arg, soon()) == 0);
	return NULL;
}

static void all_are_woken(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		tz_event e = { 0 };
		struct crew crew = { 0 };

		for (int k = 0; k < 5; k++)
			crew_add(&crew, wait_for_it, &e);
		if (i % 2)
			until(somebody_waits(&e));
		tz_event_set(&e);
		crew_join(&crew);
	}
}

/* Who waits when the event is set is woken, though it is cleared again at once. */

struct pulse {
	tz_event event;
	_Atomic int waiting;
	_Atomic int woken;
};

static void *wait_for_pulse(void *arg)
{
	struct pulse *p = arg;

	atomic_fetch_add(&p->waiting, 1);
	must(tz_event_wait_until(&p->event, soon()) == 0);
	atomic_fetch_add(&p->woken, 1);
	return NULL;
}

static void set_then_clear_reaches_who_waited(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct pulse p = { 0 };
		struct crew crew = { 0 };

		crew_add(&crew, wait_for_pulse, &p);
		until(somebody_waits(&p.event));
		(void)tz_sleep(0.0001 * (i % 3));
		tz_event_set(&p.event);
		tz_event_clear(&p.event);
		crew_join(&crew);
		assert_false(tz_event_is_set(&p.event));
	}
}

/* A setter is held up between its swap and its waking, and meanwhile others set and clear the event so many times. */
static void a_late_setter_wakes_who_waited(void **state)
{
	static const uint32_t times[] = {
		1, 1 << 28, 1 << 29, (1 << 29) + 1, 3 << 28, (1 << 30) - 1
	};

	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct crew crew = { 0 };
		tz_event e = { 0 };

		crew_add(&crew, wait_for_it, &e);
		until(somebody_waits(&e));
		__atomic_store_n(&e.tz__word, times[i] * 4,
				 __ATOMIC_RELEASE); /* nobody waits, is not set */
		tz_parking_signal(&e.tz__word);
		crew_join(&crew);
	}
}

static void a_pulse_wakes_nobody_who_comes_later(void **state)
{
	tz_event e = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		tz_event_set(&e);
		tz_event_clear(&e);
		assert_int_equal(tz_event_wait_until(&e, tz_after(0.0005)), -ETIMEDOUT);
	}
}

static void *set_it(void *arg)
{
	tz_event_set(arg);
	return NULL;
}

static void who_waited_may_free(void **state)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	for (int i = 0; i < 300; i++) {
		tz_event *e = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
		struct crew crew = { 0 };

		assert_true(e != MAP_FAILED);
		crew_add(&crew, set_it, e);
		assert_int_equal(tz_event_wait_until(e, soon()), 0);
		assert_int_equal(mprotect(e, size, PROT_NONE), 0);
		crew_join(&crew);
		assert_int_equal(munmap(e, size), 0);
	}
}

/* Signal handlers. They interrupt the very thread that waits, at any instruction of it: a timer fires again and again
 * while the thread waits and gives up, locks and unlocks the same bucket, in a loop. */

static tz_event signalled;

static void set_in_handler(int number)
{
	(void)number;
	tz_event_set(&signalled);
}

static void install(int number, void (*handler)(int))
{
	struct sigaction a = { .sa_handler = handler, .sa_flags = SA_RESTART };

	assert_int_equal(sigaction(number, &a, NULL), 0);
}

static void fire_every(long us)
{
	struct itimerval t = { .it_interval.tv_usec = us, .it_value.tv_usec = us };

	assert_int_equal(setitimer(ITIMER_REAL, &t, NULL), 0);
}

static void handler_ends_the_wait_that_it_interrupts(void **state)
{
	(void)state;
	install(SIGALRM, set_in_handler);
	for (int i = 0; i < 20; i++) {
		struct itimerval once = { .it_value.tv_usec = 200 + 100 * i };

		tz_event_clear(&signalled);
		assert_int_equal(setitimer(ITIMER_REAL, &once, NULL), 0);
		assert_int_equal(tz_event_wait_until(&signalled, soon()), 0);
	}
	install(SIGALRM, SIG_DFL);
}

static void handler_may_interrupt_any_instruction(void **state)
{
	int set = 0, timed_out = 0;

	(void)state;
	install(SIGALRM, set_in_handler);
	fire_every(50);
	for (int i = 0; i < 5000; i++) {
		tz_event_clear(&signalled);
		int r = tz_event_wait_until(&signalled, tz_after(1e-6 * (i % 100)));

		assert_true(r == 0 || r == -ETIMEDOUT);
		*(r == 0 ? &set : &timed_out) += 1;
	}
	for (int i = 0; i < 200; i++) {
		tz_event_clear(&signalled);
		assert_int_equal(tz_event_wait_until(&signalled, soon()), 0);
	}
	fire_every(0);
	install(SIGALRM, SIG_DFL);
	assert_true(set > 0);
	assert_true(timed_out > 0);
}

/* Objects of other kinds may lie in the same bucket: the handler comes in the middle of all of them. */

enum { OBJECTS = 600 }; /* more than there are buckets */

static tz_semaphore semaphores[OBJECTS];
static tz_event events[OBJECTS];
static _Atomic int fired;

static void set_all_in_handler(int number)
{
	(void)number;
	int n = atomic_fetch_add(&fired, 1);

	for (int i = 0; i < 8; i++)
		tz_event_set(&events[(n * 8 + i) % OBJECTS]);
}

static void *wait_for_each(void *arg)
{
	(void)arg;
	for (int i = 0; i < OBJECTS; i++)
		must(tz_event_wait_until(&events[i], soon()) == 0);
	return NULL;
}

static void handler_finds_any_bucket_locked(void **state)
{
	struct crew crew = { 0 };
	sigset_t alarm, before;

	(void)state;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	install(SIGALRM, set_all_in_handler);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &alarm, &before), 0);
	crew_add(&crew, wait_for_each, NULL); /* the signal comes to this thread, not to that one */
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
	fire_every(50);
	for (tz_deadline end = soon(); atomic_load(&fired) <= OBJECTS / 8;) {
		must(!tz_expired(end));
		for (int i = 0; i < OBJECTS; i++)
			assert_int_equal(tz_semaphore_acquire_until(&semaphores[i], tz_after(-1)),
					 -ETIMEDOUT);
	}
	crew_join(&crew);
	fire_every(0);
	install(SIGALRM, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_and_clear),
		cmocka_unit_test(waits_end),
		cmocka_unit_test(all_are_woken),
		cmocka_unit_test(set_then_clear_reaches_who_waited),
		cmocka_unit_test(a_late_setter_wakes_who_waited),
		cmocka_unit_test(a_pulse_wakes_nobody_who_comes_later),
		cmocka_unit_test(who_waited_may_free),
		cmocka_unit_test(handler_ends_the_wait_that_it_interrupts),
		cmocka_unit_test(handler_may_interrupt_any_instruction),
		cmocka_unit_test(handler_finds_any_bucket_locked),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
