/* Threads and timers at random: started, joined by many, cancelled, listed and given up in any order, ending in every way; timers set, moved and
 * cancelled by several while they fire. Each thread ends once, each call of a timer is accounted for. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "stress.h"

/* --- threads ------------------------------------------------------------------------------------------------------ */

enum { HANDLES = 8, STARTERS = 3 };

static tz_thread *shared[HANDLES]; /* under shared_lock; each is a reference */
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t started, ended, failures, uncaught;

static int work(int how)
{
	int e = 0;

	switch (how % 5) {
	case 0:
		e = tz_sleep(0.00001 * how);
		break;
	case 1:
		atomic_fetch_add(&ended, 1);
		pthread_exit(NULL);
	case 2:
		atomic_fetch_add(&failures, 1);
		(void)tz_fail(-ENOENT, "%d", how);
		break;
	case 3:
		e = tz_sleep(60); /* until it is cancelled */
		break;
	default:
		must(tz_thread_join(tz_thread_current()) == -EDEADLK);
	}
	atomic_fetch_add(&ended, 1);
	if (e < 0)
		(void)tz_fail(e, "woken");
	return how;
}
TZ_TASK(int, work, int);

static void on_uncaught(tz_thread *thread, const tz_outcome *outcome)
{
	must(thread == NULL || thread == tz_thread_current());
	must(outcome->status == TZ_FAILED || outcome->status == TZ_CRASHED);
	atomic_fetch_add(&uncaught, outcome->status == TZ_FAILED);
}

/* A reference on a thread that somebody started, or NULL. */
static tz_thread *some_thread(stress_random *r)
{
	tz_thread *t;

	pthread_mutex_lock(&shared_lock);
	t = shared[stress_draw(r, HANDLES)];
	if (t)
		(void)tz_thread_ref(t);
	pthread_mutex_unlock(&shared_lock);
	return t;
}

/* Puts t in the place of another one, which is ended, joined and closed. */
static void exchange(stress_random *r, tz_thread *t)
{
	tz_thread *old;
	uint32_t place = stress_draw(r, HANDLES);
	tz_outcome o;

	pthread_mutex_lock(&shared_lock);
	old = shared[place];
	shared[place] = t;
	pthread_mutex_unlock(&shared_lock);
	if (!old)
		return;
	int e = tz_thread_cancel(old);
	must(e == 0 || e == -EALREADY);
	must(tz_thread_join_until(old, tz_after(60)) == 0);
	tz_thread_outcome(old, &o);
	must(o.status != TZ_PENDING && !tz_thread_alive(old));
	tz_thread_close(old);
}

static void start_one(stress_random *r)
{
	tz_thread_options o = { .name = stress_draw(r, 2) ? "worker" : NULL,
				.deferred = stress_draw(r, 4) == 0 };
	tz_thread *t;
	int e;

	e = tz_thread_open_with(&t, &o, work, (int)stress_draw(r, 50));
	if (e == 0 && o.deferred)
		e = tz_thread_start(t);
	must(e == 0);
	atomic_fetch_add(&started, 1);
	exchange(r, t);
	progress();
}

static void look_around(stress_random *r)
{
	tz_thread *list[4 * HANDLES];
	size_t n = tz_thread_list(list, 4 * HANDLES);
	char name[TZ_NAME_MAX];

	for (size_t i = 0; i < n && i < 4 * HANDLES; i++) {
		must(tz_thread_name(list[i], name, sizeof name) > 0);
		must(tz_thread_native_id(list[i]) > 0 || !tz_thread_alive(list[i]));
		if (list[i] != tz_thread_main() && stress_draw(r, 4) == 0)
			must(tz_thread_set_name(list[i], "renamed") == 0);
		tz_thread_close(list[i]);
	}
}

static void disturb(stress_random *r)
{
	tz_thread *t = some_thread(r);
	int e;

	if (!t)
		return;
	switch (stress_draw(r, 3)) {
	case 0:
		e = tz_thread_join_until(t, tz_after(0.00001 * stress_draw(r, 30)));
		must(e == 0 || e == -ETIMEDOUT);
		break;
	case 1:
		(void)tz_thread_cancel(t);
		must(tz_thread_join_until(t, tz_after(60)) == 0);
		break;
	default:
		look_around(r);
	}
	tz_thread_close(t);
}

static void start_or_disturb(int index)
{
	stress_random r = stress_generator((unsigned)index);

	while (!stress_over()) {
		if (index < STARTERS)
			start_one(&r);
		else
			disturb(&r);
	}
}

static void threads(void)
{
	(void)tz_on_uncaught(on_uncaught);
	stress_threads(2 * STARTERS, start_or_disturb);
	for (int i = 0; i < HANDLES; i++) {
		pthread_mutex_lock(&shared_lock);
		tz_thread *t = shared[i];
		shared[i] = NULL;
		pthread_mutex_unlock(&shared_lock);
		if (t) {
			(void)tz_thread_cancel(t);
			must(tz_thread_join_until(t, tz_after(60)) == 0);
			tz_thread_close(t);
		}
	}
	(void)tz_on_uncaught(NULL);
	must(atomic_load(&started) == atomic_load(&ended));
	must(atomic_load(&failures) == atomic_load(&uncaught));
}

/* --- timers ------------------------------------------------------------------------------------------------------- */

enum { TIMERS = 16 };

static tz_timer *timers[TIMERS];
static _Atomic uint64_t calls[TIMERS];
static atomic_bool ending; /* no timer sets itself again */

static void call(int i)
{
	atomic_fetch_add(&calls[i], 1);
	if (i % 8 == 0 && !atomic_load(&ending))
		(void)tz_timer_reschedule(timers[i], 0.0001);
	if (atomic_load(&calls[i]) % 512 == 17)
		(void)tz_sleep(0.02); /* holds the others up, if it can */
	if (i == 5 && atomic_load(&calls[i]) % 64 == 0)
		pthread_exit(NULL);
	progress();
}
TZ_TASK(void, call, int);

static void handle_timers(int index)
{
	stress_random r = stress_generator((unsigned)index);

	while (!stress_over()) {
		uint32_t i = stress_draw(&r, TIMERS);
		int e = 0;

		switch (stress_draw(&r, 4)) {
		case 0:
			e = tz_timer_cancel(timers[i]);
			must(e == 0 || e == -EALREADY || e == -EINPROGRESS);
			break;
		case 1:
		case 2:
			must(tz_timer_reschedule(timers[i], 0.00001 * stress_draw(&r, 50)) == 0);
			break;
		default:
			e = tz_timer_join_until(timers[i], tz_after(0.00001 * stress_draw(&r, 50)));
			must(e == 0 || e == -ETIMEDOUT);
		}
	}
}

static void timers_case(void)
{
	atomic_store(&ending, false);
	for (int i = 0; i < TIMERS; i++) {
		tz_timer_options o = { .delay = 1000, .period = i % 4 == 3 ? 0.0003 : 0 };
		call_args args = tz_bind(call, i);

		atomic_store(&calls[i], 0);
		must(tz_timer_open_raw(&timers[i], &o, &call_task, &args) == 0);
	}
	stress_threads(4, handle_timers);
	atomic_store(&ending, true);
	for (int i = 0; i < TIMERS; i++) {
		/* One that was about to set itself again may still do so after it was cancelled, once. */
		do {
			(void)tz_timer_cancel(timers[i]);
			must(tz_timer_join_until(timers[i], tz_after(60)) == 0);
		} while (tz_timer_pending(timers[i]));
		must(tz_timer_calls(timers[i]) == atomic_load(&calls[i]));
		tz_timer_close(timers[i]);
	}
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "threads come, go and are disturbed", threads },
		{ "timers are set, moved and cancelled", timers_case },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
