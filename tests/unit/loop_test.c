/* Loops as programs use them: opening, running, stopping and closing; calls with a time or a descriptor; what
 * coroutines may do in the middle; wrong use. Most run in virtual time, and in real time as well where that is short. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <trenza.h>

#include "abilities.h"
#include "check.h"
#include "crew.h"

#ifdef __clang__ /* does not see that other coroutines change what a loop waits for */
#pragma clang diagnostic ignored "-Wfor-loop-analysis"
#endif

enum { LONG = 3600 }; /* seconds that are not to pass, in virtual time neither */

static const tz_loop_options real = { .backend = "epoll" };
static const tz_loop_options sim = { .backend = "sim" };
static const tz_loop_options seeded = { .backend = "sim", .seed = 7 };
static const tz_loop_options *const ways[] = { &real, &sim, &seeded };

typedef void (*scenario)(void);

static void play(scenario what)
{
	what();
}
TZ_TASK(void, play, scenario);

static void on(const tz_loop_options *options, scenario what)
{
	if (tz_run_with(options, NULL, play, what) < 0)
		fail_msg("%s: %s", options->backend, tz_last()->message);
}

static void everywhere(scenario what)
{
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		on(ways[i], what);
}

/* What has happened, in order. */
static char notes[256];
static size_t noted;

static void note(char c)
{
	must(noted < sizeof notes - 1);
	notes[noted++] = c;
	notes[noted] = 0;
}
TZ_TASK(void, note, char);

static void forget(void)
{
	noted = 0;
	notes[0] = 0;
}

static bool noted_was(const char *what)
{
	if (strcmp(notes, what) == 0)
		return true;
	printf("# noted %s, not %s\n", notes, what);
	return false;
}

/* --- tz_run -------------------------------------------------------------------------------------- */

static int add(int a, int b)
{
	must(tz_sleep(0.001) == 0);
	return a + b;
}
TZ_TASK(int, add, int, int);

static int give_up_early(int code)
{
	return tz_fail(code, "no use"), 1;
}
TZ_TASK(int, give_up_early, int);

static void nothing(void)
{
}
TZ_TASK(void, nothing, void);

static void results(void **state)
{
	int r = 0;

	(void)state;
	assert_int_equal(tz_run(add, 2, 3), 0);
	assert_int_equal(tz_run(nothing), 0);
	assert_int_equal(tz_run_with(NULL, &r, add, 2, 3), 0);
	assert_int_equal(r, 5);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		assert_int_equal(tz_run_with(ways[i], &r, add, (int)i, 40), 0);
		assert_int_equal(r, 40 + (int)i);
		assert_int_equal(tz_run_with(ways[i], NULL, nothing), 0);
	}
	assert_null(tz_loop_current());
}

static void failures(void **state)
{
	int r = 77;

	(void)state;
	assert_int_equal(tz_run_with(&real, &r, give_up_early, -ENOENT), -EREMOTEIO);
	assert_int_equal(r, 77);
	assert_int_equal(tz_last()->code, -ENOENT);
	assert_string_equal(tz_last()->message, "no use");
	assert_int_equal(tz_run(give_up_early, -EIO), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EIO);
}

static void wrong_calls(void **state)
{
	int r = 77;
	tz_loop *loop = NULL;

	(void)state;
	assert_int_equal(tz_run_raw(NULL, &add_task, &(add_args){ 1, 2 }, &r, 1), -EINVAL);
	assert_int_equal(tz_run_raw(NULL, &(tz_task){ .name = "none" }, NULL, NULL, 0), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EINVAL);
	assert_int_equal(tz_run_with(&(tz_loop_options){ .backend = "none" }, &r, add, 1, 2),
			 -EINVAL);
	assert_int_equal(r, 77);
	assert_int_equal(tz_loop_open(NULL, NULL), -EINVAL);
	assert_int_equal(tz_loop_open(&loop, &(tz_loop_options){ .size = 4096 }), -EINVAL);
	assert_int_equal(tz_loop_open(&loop, &(tz_loop_options){ .grace = -1 }), -EINVAL);
	assert_int_equal(tz_loop_open(&loop, &(tz_loop_options){ .delay = 1e300 }), -EINVAL);
	assert_int_equal(tz_loop_open(&loop, &(tz_loop_options){ .fail = 1.5 }), -EINVAL);
	assert_null(loop);
	tz_loop_close(NULL);
}

static void run_inside(void)
{
	tz_loop *loop = tz_loop_current();
	int r = 0;

	must(loop);
	must(tz_run_with(NULL, &r, add, 1, 2) == 0 && r == 3);
	must(tz_loop_current() == loop);
	must(tz_run(give_up_early, -EIO) == -EREMOTEIO && tz_last()->code == -EIO);
	must(tz_run_with(&real, &r, add, 1, 2) == -EBUSY);
}

static void a_run_inside_a_run(void **state)
{
	(void)state;
	everywhere(run_inside);
}

static int sleep_long(void)
{
	return tz_sleep(LONG);
}
TZ_TASK(int, sleep_long, void);

static void a_deadline_around_a_run(void **state)
{
	int r = 0, slept = 0;

	(void)state;
	TZ_TIMEOUT(0.02)
		r = tz_run_with(&real, &slept, sleep_long);
	/* The call was cancelled, saw that, and returned. */
	assert_int_equal(r, 0);
	assert_int_equal(slept, -ECANCELED);
}

static int seen_by_leftover;

static void leftover(void)
{
	seen_by_leftover = tz_sleep(LONG);
}
TZ_TASK(void, leftover, void);

static void leave_something_behind(void)
{
	(void)tz_detach(tz_submit(tz_loop_executor(tz_loop_current()), leftover));
	must(tz_sleep(0.001) == 0);
}

static void leftovers_are_cancelled(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		seen_by_leftover = 1;
		on(ways[i], leave_something_behind);
		assert_int_equal(seen_by_leftover, -ECANCELED);
	}
}

/* --- loops ----------------------------------------------------------------------------------------- */

static tz_loop *opened(const tz_loop_options *options)
{
	tz_loop *loop = NULL;

	assert_int_equal(tz_loop_open(&loop, options), 0);
	return loop;
}

static void a_loop_runs_until(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		tz_loop *loop = opened(ways[i]);
		add_future f = tz_submit(tz_loop_executor(loop), add, 4, 5),
			   g = tz_submit(tz_loop_executor(loop), add, 6, 7);
		int r = 0;

		assert_int_equal(tz_done(f), 0);
		assert_int_equal(tz_loop_run_until(loop, f), 0);
		assert_int_equal(tz_loop_run_until(loop, f), 0);
		assert_int_equal(tz_result(f, &r), 0);
		assert_int_equal(r, 9);
		assert_int_equal(tz_loop_run_until(loop, f), -ESTALE);
		assert_int_equal(tz_loop_run_until(loop, g), 0);
		assert_int_equal(tz_result(g, &r), 0);
		assert_int_equal(r, 13);
		tz_loop_close(loop);
	}
}

static void a_loop_runs_until_a_job_of_threads(void **state)
{
	tz_loop *loop = opened(NULL);
	add_future f = tz_submit(NULL, add, 4, 5);
	int r = 0;

	(void)state;
	assert_int_equal(tz_loop_run_until(loop, f), 0);
	assert_int_equal(tz_result(f, &r), 0);
	assert_int_equal(r, 9);
	tz_loop_close(loop);
}

static void run_it(tz_loop *loop)
{
	must(tz_loop_run(loop) == 0);
}
TZ_TASK(void, run_it, tz_loop *);

static void *run_loop(void *loop)
{
	run_it(loop);
	return NULL;
}

static void stop_it(tz_loop *loop)
{
	tz_loop_stop(loop);
}
TZ_TASK(void, stop_it, tz_loop *);

static void a_loop_runs_until_it_is_stopped(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		tz_loop *loop = opened(ways[i]);

		forget();
		tz_loop_stop(loop);
		assert_int_equal(tz_loop_run(loop), 0);
		tz_deadline first = tz_loop_after(loop, 0.1), second = tz_loop_after(loop, 0.2);

		(void)tz_detach(tz_call_at(loop, second, note, 'b'));
		(void)tz_detach(tz_call_at(loop, first, note, 'a'));
		(void)tz_detach(tz_call_later(loop, 0.3, stop_it, loop));
		(void)tz_detach(tz_call_later(loop, LONG, note, 'c'));
		assert_int_equal(tz_loop_run(loop), 0);
		assert_string_equal(notes, "ab");
		tz_loop_close(loop);
		assert_string_equal(notes, "ab");
	}
}

static void a_loop_is_stopped_by_a_thread(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		tz_loop *loop = opened(NULL);
		struct crew crew = { .count = 0 };

		crew_add(&crew, run_loop, loop);
		if (i % 2)
			(void)tz_sleep(0.001);
		tz_loop_stop(loop);
		crew_join(&crew);
		tz_loop_close(loop);
	}
}

static void the_scope_ends_a_run(void **state)
{
	tz_loop *loop = opened(NULL);
	tz_scope s = { 0 };
	int r;

	(void)state;
	tz_scope_enter(&s, tz_after(0.01));
	r = tz_loop_run(loop);
	assert_int_equal(tz_scope_leave(&s), -ETIMEDOUT); /* it knows, too */
	assert_int_equal(r, -ETIMEDOUT);
	add_future f = tz_call_later(loop, 0.05, add, 1, 1);

	tz_scope_enter(&s, tz_after(0.01));
	r = tz_loop_run_until(loop, f);
	assert_int_equal(tz_scope_leave(&s), -ETIMEDOUT);
	assert_int_equal(r, -ETIMEDOUT);
	assert_int_equal(tz_loop_run_until(loop, f), 0); /* it can be run again */
	assert_int_equal(tz_result(f, NULL), 0);
	tz_loop_close(loop);
}

static int slack(void)
{
	return prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
}
TZ_TASK(int, slack, void);

/* On the thread that runs the loop, and only as long as it does. */
static void *sleep_exactly(void *loop)
{
	int usual = slack(), r = 0;
	slack_future f = tz_submit(tz_loop_executor(loop), slack);

	must(usual != 1);
	must(tz_loop_run_until(loop, f) == 0);
	must(tz_result(f, &r) == 0);
	must(r == 1);
	must(slack() == usual);
	return NULL;
}

static void sleeps_are_exact(void **state)
{
	struct crew crew = { .count = 0 };
	int usual = 70000, r = 0;

	(void)state;
	assert_int_equal(prctl(PR_SET_TIMERSLACK, (unsigned long)usual, 0, 0, 0), 0);
	tz_loop *loop = opened(NULL);

	assert_int_equal(slack(), usual);
	crew_add(&crew, sleep_exactly, loop);
	crew_join(&crew);
	tz_loop_close(loop);
	assert_int_equal(tz_run_with(&sim, &r, slack), 0); /* it does not sleep */
	assert_int_equal(r, usual);
	assert_int_equal(prctl(PR_SET_TIMERSLACK, 0UL, 0, 0, 0), 0); /* the usual one again */
}

static void try_to_run(tz_loop *other)
{
	must(tz_loop_run(other) == -EBUSY);
	nothing_future f = tz_submit(tz_loop_executor(other), nothing);

	must(tz_loop_run_until(other, f) == -EBUSY);
	(void)tz_detach(f);
	add_future own = tz_spawn(add, 1, 1);

	must(tz_loop_run_until(tz_loop_current(), own) == 0);
}
TZ_TASK(void, try_to_run, tz_loop *);

static void one_loop_at_a_time(void **state)
{
	tz_loop *loop = opened(NULL), *other = opened(NULL);
	struct crew crew = { .count = 0 };
	try_to_run_future f = tz_submit(tz_loop_executor(loop), try_to_run, other);

	(void)state;
	assert_int_equal(tz_loop_run_until(loop, f), 0);
	assert_int_equal(tz_result(f, NULL), 0);

	crew_add(&crew, run_loop, loop);
	nothing_future g = tz_submit(tz_loop_executor(loop), nothing);

	assert_int_equal(tz_wait(g, soon()), 0);
	assert_int_equal(tz_loop_run(loop), -EBUSY); /* it runs on the other thread */
	assert_int_equal(tz_result(g, NULL), 0);
	tz_loop_stop(loop);
	crew_join(&crew);
	tz_loop_close(loop);
	tz_loop_close(other);
}

static void jobs_of_a_closed_loop(void **state)
{
	tz_loop *loop = opened(NULL);
	note_future never_begun = tz_call_later(loop, LONG, note, 'x'),
		    pending = tz_submit(tz_loop_executor(loop), note, 'y');
	tz_outcome o;

	(void)state;
	forget();
	assert_int_equal(tz_executor_shutdown(tz_loop_executor(loop), TZ_DRAIN, tz_after(0)),
			 -EPERM);
	tz_executor_close(tz_loop_executor(loop)); /* does nothing */
	tz_loop_close(loop);
	assert_string_equal(notes, "");
	assert_int_equal(tz_outcome_of(never_begun, &o), 0);
	assert_int_equal(o.status, TZ_CANCELLED);
	assert_int_equal(tz_result(never_begun, NULL), -EREMOTEIO);
	assert_int_equal(tz_result(pending, NULL), -EREMOTEIO);
	assert_int_equal(tz_last()->status, TZ_CANCELLED);
}

/* --- calls with a time --------------------------------------------------------------------------- */

/* Seconds between times whose order is looked at: more than a busy machine takes from one call to the next. */
#define STEP 0.03

static void in_order_of_time(void)
{
	tz_loop *loop = tz_loop_current();
	tz_deadline at = tz_loop_after(loop, 4 * STEP);

	forget();
	(void)tz_detach(tz_call_later(loop, 3 * STEP, note, 'c'));
	(void)tz_detach(tz_call_at(loop, at, note, 'd'));
	(void)tz_detach(tz_call_later(loop, 2 * STEP, note, 'b'));
	(void)tz_detach(tz_call_soon(loop, note, 'a'));
	note_future cancelled = tz_call_later(loop, 2 * STEP, note, 'x');

	must(tz_cancel(cancelled) == 0);
	must(tz_result(cancelled, NULL) == -EREMOTEIO && tz_last()->status == TZ_CANCELLED);
	must(tz_sleep(10 * STEP) == 0);
	must(noted_was("abcd"));
	note_future past = tz_call_at(loop, tz_loop_after(loop, -5), note, 'e');

	must(tz_result(past, NULL) == 0);
	must(noted_was("abcde"));
}

static void calls_with_a_time(void **state)
{
	(void)state;
	everywhere(in_order_of_time);
}

static void call_first_come_first_served(void)
{
	forget();
	for (char c = 'a'; c <= 'j'; c++)
		(void)tz_detach(tz_call_soon(tz_loop_current(), note, c));
	must(tz_yield() == 0);
	must(noted_was("abcdefghij"));
}

static void calls_in_order(void **state)
{
	(void)state;
	on(&real, call_first_come_first_served);
	on(&sim, call_first_come_first_served);
}

static void timer_futures(void)
{
	tz_future f[3] = { tz_timer_future(tz_after(3 * STEP)), tz_timer_future(tz_after(STEP)),
			   tz_timer_future(tz_after(2 * STEP)) };
	tz_future never = tz_timer_future(tz_never()), past = tz_timer_future(tz_after(-1));
	tz_completed *c;

	must(tz_as_completed(&c, f, 3) == 0);
	must(tz_completed_next(c, tz_never()) == 1);
	must(tz_completed_next(c, tz_never()) == 2);
	must(tz_completed_next(c, tz_never()) == 0);
	tz_completed_close(c);
	must(tz_gather_all(f, 3) == 0);
	must(tz_wait(never, tz_after(0.001)) == -ETIMEDOUT);
	must(tz_cancel(never) >= 0);
	must(tz_wait(never, tz_after(LONG)) == 0);
	must(tz_result(never, NULL) == -EREMOTEIO && tz_last()->status == TZ_CANCELLED);
	must(tz_result(past, NULL) == 0);
	(void)tz_detach(tz_timer_future(tz_after(0.001)));
	must(tz_sleep(0.002) == 0);
}

static tz_future moved(double from, double to)
{
	tz_future f = tz_timer_future(tz_after(from));

	must(tz_timer_future_reschedule(f, tz_after(to)) == 0);
	return f;
}

static void timer_futures_moved(void)
{
	tz_future f[4] = { moved(LONG, STEP), moved(2 * STEP, LONG), moved(STEP, 2 * STEP), moved(LONG, -1) };
	tz_future never = tz_timer_future(tz_never());
	nothing_future other = tz_submit(tz_loop_executor(tz_loop_current()), nothing);
	tz_completed *c;

	must(tz_timer_future_reschedule(f[1], tz_never()) == 0);
	must(tz_timer_future_reschedule(f[1], tz_after(3 * STEP)) == 0);
	must(tz_as_completed(&c, f, 4) == 0);
	must(tz_completed_next(c, tz_never()) == 3);
	must(tz_completed_next(c, tz_never()) == 0);
	must(tz_completed_next(c, tz_never()) == 2);
	must(tz_completed_next(c, tz_never()) == 1);
	tz_completed_close(c);
	must(tz_timer_future_reschedule(f[0], tz_after(STEP)) == -EALREADY);
	must(tz_gather_all(f, 4) == 0);
	must(tz_timer_future_reschedule(f[0], tz_after(STEP)) == -ESTALE);
	must(tz_timer_future_reschedule((tz_future){ .handle = other.handle }, tz_after(STEP)) == -EINVAL);
	must(tz_cancel(never) == 0);
	must(tz_timer_future_reschedule(never, tz_after(STEP)) == -EALREADY);
	must(tz_detach(never) == 0 && tz_result(other, NULL) == 0);
}

/* Somebody else cancels it, and so it stays on the wheel until its time. */
static void cancel_there(tz_future f)
{
	must(tz_cancel(f) == 0);
}
TZ_TASK(void, cancel_there, tz_future);

static void timer_future_moved_on_one_that_is_cancelled(void)
{
	tz_executor *ex;

	must(tz_executor_open(&ex, "threads:1") == 0);
	for (int i = 0; i < 100; i++) {
		tz_future f = tz_timer_future(tz_after(LONG));
		cancel_there_future c = tz_submit(ex, cancel_there, f);
		int r = tz_timer_future_reschedule(f, tz_after(i % 2 ? LONG : LONG / 2));

		must(r == 0 || r == -EALREADY);
		must(tz_result(c, NULL) == 0);
		must(tz_timer_future_reschedule(f, tz_after(0.001)) == -EALREADY);
		must(tz_result(f, NULL) == -EREMOTEIO && tz_last()->status == TZ_CANCELLED);
	}
	tz_executor_close(ex);
}

static void futures_of_time_are_moved(void **state)
{
	tz_future f = tz_timer_future(tz_after(0));

	(void)state;
	everywhere(timer_futures_moved);
	on(&real, timer_future_moved_on_one_that_is_cancelled);
	assert_int_equal(tz_timer_future_reschedule(f, tz_after(0)), -EINVAL);
	(void)tz_detach(f);
}

static void futures_of_time(void **state)
{
	tz_future f = tz_timer_future(tz_after(0));

	(void)state;
	everywhere(timer_futures);
	assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EINVAL);
}

static void a_million(void)
{
	enum { N = 1000000 };
	tz_future *f = malloc(N * sizeof *f);
	uint32_t seed = 99;
	uint64_t begin = tz_now();

	must(f);
	for (int i = 0; i < N; i++)
		f[i] = tz_timer_future(tz_after(1 + next_random(&seed) % 86400));
	for (int i = 0; i < N; i += 2)
		must(tz_cancel(f[i]) >= 0);
	for (int i = 0; i < N; i++)
		must(tz_result(f[i], NULL) == (i % 2 ? 0 : -EREMOTEIO));
	must(tz_now() - begin <= UINT64_C(86401000000000)); /* virtual: exact */
	free(f);
}

static void a_million_timers(void **state)
{
	(void)state;
	on(&sim, a_million);
}

/* --- descriptors ----------------------------------------------------------------------------------- */

static int got;

static void take_one(int fd, void *arg)
{
	char c;

	must(tz_loop_current());
	if (read(fd, &c, 1) == 1)
		got += c;
	*(int *)arg += 1;
}

static void fill(int fd, void *arg)
{
	*(int *)arg += 1;
	must(write(fd, "x", 1) == 1);
	(void)tz_sleep(0.001);
}

static void close_both(const int fds[2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void readers_and_writers(void)
{
	int fds[2], calls = 0, fills = 0;
	tz_loop *loop = tz_loop_current();

	got = 0;
	must(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
	tz_future in = tz_add_reader(loop, fds[0], take_one, &calls);

	must(tz_sleep(0.001) == 0);
	must(calls == 0);
	must(write(fds[1], "\1\2\3", 3) == 3); /* level-triggered: three calls */
	tz_deadline end = tz_after(LONG);

	while (calls < 3)
		must(!tz_expired(end) && tz_sleep(0.001) == 0);
	must(calls == 3 && got == 6);
	tz_future out = tz_add_writer(loop, fds[1], fill, &fills);

	end = tz_after(LONG);
	while (fills < 5 || calls < 8)
		must(!tz_expired(end) && tz_sleep(0.001) == 0);
	must(tz_cancel(out) >= 0 && tz_wait(out, tz_after(LONG)) == 0);
	(void)tz_detach(out);
	must(tz_sleep(0.01) == 0);
	must(tz_cancel(in) >= 0 && tz_wait(in, tz_after(LONG)) == 0);
	tz_outcome o;

	must(tz_outcome_of(in, &o) == 0 && o.status == TZ_CANCELLED);
	(void)tz_detach(in);
	int before = calls;

	must(write(fds[1], "x", 1) == 1 && tz_sleep(0.005) == 0);
	must(calls == before);
	close_both(fds);

	in = tz_add_reader(loop, fds[0], take_one, &calls);
	must(tz_result(in, NULL) == -EREMOTEIO && tz_last()->code == -EBADF);
	out = tz_add_writer(loop, -1, fill, &fills);
	must(tz_result(out, NULL) == -EREMOTEIO && tz_last()->code == -EBADF);
}

static void functions_for_descriptors(void **state)
{
	(void)state;
	everywhere(readers_and_writers);
}

static void all_kinds_of_descriptors(void)
{
	int fds[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	must(file >= 0);
	must(tz_wait_fd(file, POLLIN, tz_after(LONG)) == POLLIN);
	must(tz_wait_fd(file, POLLIN, tz_after(LONG)) == POLLIN);
	(void)close(file);
	must(tz_wait_fd(file, POLLIN, tz_after(LONG)) == -EBADF);
	must(tz_wait_fd(-5, POLLIN, tz_after(LONG)) == -EBADF);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	(void)close(fds[1]);
	must(tz_wait_fd(fds[0], POLLIN, tz_after(LONG)) & (POLLIN | POLLHUP));
	(void)close(fds[0]);
	must(pipe2(fds, O_CLOEXEC) == 0);
	(void)close(fds[0]);
	must(tz_wait_fd(fds[1], POLLOUT, tz_after(LONG)) & POLLERR);
	(void)close(fds[1]);
}

static void kinds_of_descriptors(void **state)
{
	(void)state;
	everywhere(all_kinds_of_descriptors);
}

/* --- many, from everywhere ------------------------------------------------------------------------- */

static atomic_int counted;

static void count(void)
{
	atomic_fetch_add(&counted, 1);
}
TZ_TASK(void, count, void);

enum { SUBMITTERS = 4, EACH = 25000 };

static void *submit_many(void *loop)
{
	for (int i = 0; i < EACH; i++)
		(void)tz_detach(tz_submit(tz_loop_executor(loop), count));
	return NULL;
}

static void wait_for_count(int n)
{
	for (tz_deadline end = tz_after(1e9); atomic_load(&counted) < n;)
		must(!tz_expired(end) && tz_sleep(0.001) == 0);
}
TZ_TASK(void, wait_for_count, int);

static void bursts_from_threads(void **state)
{
	tz_loop *loop = opened(NULL);
	struct crew crew = { .count = 0 };
	wait_for_count_future f =
		tz_submit(tz_loop_executor(loop), wait_for_count, SUBMITTERS * EACH);
	tz_executor_stats stats = { .submitted = 0 };

	(void)state;
	atomic_store(&counted, 0);
	for (int i = 0; i < SUBMITTERS; i++)
		crew_add(&crew, submit_many, loop);
	assert_int_equal(tz_loop_run_until(loop, f), 0);
	assert_int_equal(tz_result(f, NULL), 0);
	crew_join(&crew);
	tz_executor_stats_of(tz_loop_executor(loop), &stats);
	assert_int_equal(stats.submitted, SUBMITTERS * EACH + 1);
	assert_int_equal(stats.completed, SUBMITTERS * EACH + 1);
	tz_loop_close(loop);
}

/* --- order ------------------------------------------------------------------------------------------- */

static void note_twice(char c)
{
	note(c);
	must(tz_yield() == 0);
	note(c);
}
TZ_TASK(void, note_twice, char);

static void take_turns(void)
{
	forget();
	note_twice_future f = tz_spawn(note_twice, 'a'), g = tz_spawn(note_twice, 'b'),
			  h = tz_spawn(note_twice, 'c');

	must(tz_gather(f, g, h) == 0);
	must(noted_was("abcabc"));
}

static void be_eager(void)
{
	forget();
	note_twice_future f = tz_spawn(note_twice, 'a');
	note_twice_future g =
		tz_spawn_with(TZ_OPTIONS(tz_submit_options, .eager = true), note_twice, 'b');

	note('m'); /* b has begun, and waits; a has not */
	must(tz_gather(f, g) == 0);
	must(noted_was("bmaba") || noted_was("bmabb"));
	forget();
	note_future h = tz_spawn_with(TZ_OPTIONS(tz_submit_options, .eager = true), note, 'q');

	must(tz_done(h) == 1);
	note('r');
	must(tz_result(h, NULL) == 0);
	must(noted_was("qr"));
	errno = 42;
	(void)tz_spawn_with(TZ_OPTIONS(tz_submit_options, .eager = true, .start = tz_after(0.001)),
			    note, 's');
	must(errno == 42);
	must(noted_was("qr"));
	must(tz_sleep(0.002) == 0);
	must(noted_was("qrs"));
}

static void dig(int depth);
TZ_TASK(void, dig, int);

/* Each begins before the one that spawned it goes on. */
static void dig(int depth)
{
	if (depth > 0)
		must(tz_done(tz_spawn_with(TZ_OPTIONS(tz_submit_options, .eager = true), dig,
					   depth - 1)) == 1);
}

static void eager_a_thousand_deep(void)
{
	dig(1000);
}

static void order(void **state)
{
	(void)state;
	on(&real, take_turns);
	on(&sim, take_turns);
	on(&real, be_eager);
	on(&sim, be_eager);
	on(&real, eager_a_thousand_deep);
	on(&sim, eager_a_thousand_deep);
}

/* --- states ------------------------------------------------------------------------------------------- */

static void wait_for_event(tz_event *event)
{
	must(tz_event_wait(event) == 0);
	must(tz_yield() == 0);
}
TZ_TASK(void, wait_for_event, tz_event *);

static int own_state(void **handle)
{
	return tz_state_raw(*(tz_handle *)*handle);
}
typedef void **address;
TZ_TASK(int, own_state, address);

static void states_of_a_task(void)
{
	tz_event event = { 0 };
	tz_handle h;
	void *at = &h;
	int s = -1;
	wait_for_event_future f = tz_spawn(wait_for_event, &event);

	must(tz_state(f) == TZ_TASK_QUEUED);
	must(tz_sleep(0.001) == 0);
	must(tz_state(f) == TZ_TASK_WAITING);
	tz_event_set(&event);
	must(tz_state(f) == TZ_TASK_RUNNABLE);
	must(tz_wait(f, tz_after(LONG)) == 0);
	must(tz_state(f) == TZ_TASK_DONE);
	must(tz_result(f, NULL) == 0);
	own_state_future g = tz_spawn(own_state, &at);

	h = g.handle;
	must(tz_result(g, &s) == 0 && s == TZ_TASK_RUNNING);
}

static void states(void **state)
{
	(void)state;
	everywhere(states_of_a_task);
}

/* --- in the middle of a coroutine ------------------------------------------------------------------------- */

static tz_event rung;

static void ring(int signal)
{
	(void)signal;
	tz_event_set(&rung);
}

static void hear_the_signal(void)
{
	tz_event_clear(&rung);
	must(alarm(0) == 0 && ualarm(2000, 0) == 0); /* while the loop sleeps */
	must(tz_event_wait_until(&rung, tz_never()) == 0);
	tz_event_clear(&rung);
	must(raise(SIGALRM) == 0); /* on the loop's own thread */
	must(tz_event_wait(&rung) == 0);
	for (int i = 0; i < 1000; i++) {
		wait_for_event_future f = tz_spawn(wait_for_event, &rung);

		tz_event_clear(&rung);
		must(tz_yield() == 0);
		must(raise(SIGALRM) == 0);
		must(tz_result(f, NULL) == 0);
	}
}

static void signals(void **state)
{
	(void)state;
	(void)signal(SIGALRM, ring);
	on(&real, hear_the_signal);
	on(&sim, hear_the_signal);
	(void)signal(SIGALRM, SIG_DFL);
}

static void fork_in_the_middle(void)
{
	add_future f = tz_spawn(add, 1, 2);
	int status = -1, r = 0;
	pid_t child = fork();

	must(child >= 0);
	if (child == 0) {
		/* A thread from now on: it may wait, and run loops of its own. */
		if (tz_loop_current() || tz_sleep(0.001) < 0 ||
		    tz_run_with(NULL, &r, add, 3, 4) < 0 || r != 7)
			_exit(1);
		if (tz_result(f, &r) != -EREMOTEIO || tz_last()->status != TZ_LOST)
			_exit(2);
		_exit(0);
	}
	must(tz_result(f, &r) == 0 && r == 3);
	must(waitpid(child, &status, 0) == child && status == 0);
	must(tz_sleep(0.001) == 0);
}

static void forks(void **state)
{
	(void)state;
	everywhere(fork_in_the_middle);
}

static void leave_by_force(void)
{
	(void)tz_sleep(0.001);
	pthread_exit(NULL);
}
TZ_TASK(void, leave_by_force, void);

static void exits_of_coroutines(void)
{
	for (int i = 0; i < 20; i++) {
		leave_by_force_future f = tz_spawn(leave_by_force);

		must(tz_result(f, NULL) == -EREMOTEIO && tz_last()->status == TZ_CRASHED);
		int r = 0;

		must(tz_result(tz_spawn(add, i, i), &r) == 0 && r == 2 * i);
	}
}

static void pthread_exit_costs_one_task(void **state)
{
	(void)state;
	if (EXIT_ON_COROUTINES)
		everywhere(exits_of_coroutines);
}

static void set_errno(int value)
{
	errno = value;
	must(tz_sleep(0.001) == 0);
	must(errno == value);
	must(tz_yield() == 0);
	must(errno == value);
}
TZ_TASK(void, set_errno, int);

static void several_errnos(void)
{
	set_errno_future f = tz_spawn(set_errno, 3), g = tz_spawn(set_errno, 4),
			 h = tz_spawn(set_errno, 5);

	must(tz_gather(f, g, h) == 0);
}

static void errno_is_kept(void **state)
{
	(void)state;
	everywhere(several_errnos);
}

/* Uses at least so many bytes of its stack, with a wait at the bottom. */
__attribute__((noinline)) static size_t descend(size_t bytes)
{
	volatile char frame[512];

	frame[0] = (char)bytes;
	if (bytes <= sizeof frame)
		return tz_sleep(0.001) == 0 ? 1 : 0;
	size_t r = descend(bytes - sizeof frame);

	return r ? r + (frame[0] == (char)bytes) : 0;
}
TZ_TASK(size_t, descend, size_t);

static void deep(void)
{
	size_t r = 0;

	must(tz_result(tz_spawn(descend, (size_t)64 << 10), &r) == 0 && r > 1);
	for (int i = 0; i < 3; i++) {
		descend_future f =
			tz_spawn_with(TZ_OPTIONS(tz_submit_options, .stack_size = (size_t)8 << 20),
				      descend, (size_t)2 << 20);

		must(tz_result(f, &r) == 0 && r > 4000);
	}
}

static void deep_recursion(void **state)
{
	(void)state;
	everywhere(deep);
	size_t r = 0;

	assert_int_equal(tz_run_with(TZ_OPTIONS(tz_loop_options, .stack_size = (size_t)8 << 20), &r,
				     descend, (size_t)2 << 20),
			 0);
	assert_true(r > 4000);
}

static void options_of_jobs(void)
{
	tz_outcome o;
	int r = 0;
	sleep_long_future f = tz_spawn_with(
		TZ_OPTIONS(tz_submit_options, .deadline = tz_after(0.002)), sleep_long);

	/* On a busy machine it may be too late to begin. */
	must(tz_result(f, &r) == 0 ? r == -ETIMEDOUT : tz_last()->status == TZ_TIMED_OUT);
	add_future g = tz_spawn_with(
		TZ_OPTIONS(tz_submit_options, .start = tz_after(LONG), .deadline = tz_after(0.002)),
		add, 1, 1);

	must(tz_wait(g, tz_after(2 * LONG)) == 0);
	must(tz_outcome_of(g, &o) == 0 && o.status == TZ_TIMED_OUT);
	(void)tz_detach(g);
	note_future h =
		tz_spawn_with(TZ_OPTIONS(tz_submit_options, .stack_size = SIZE_MAX / 2), note, 'x');

	must(tz_result(h, NULL) == -EREMOTEIO && tz_last()->code == -ENOMEM);
}

static int wait_a_little(void)
{
	return tz_sleep(0.001);
}
TZ_TASK(int, wait_a_little, void);

/* Real time goes by, and virtual time does not. */
static void compute(void)
{
	must(nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL) == 0);
}

static void virtual_deadlines_of_jobs(void)
{
	tz_deadline limit = tz_after(0.002);
	tz_outcome o;
	int r = -1;
	wait_a_little_future f =
		tz_spawn_with(TZ_OPTIONS(tz_submit_options, .deadline = limit), wait_a_little);

	compute();
	must(tz_result(f, &r) == 0 && r == 0);
	must(!tz_expired(limit));
	add_future g = tz_spawn_with(
		TZ_OPTIONS(tz_submit_options, .start = tz_after(LONG), .deadline = limit), add, 1,
		1);

	compute();
	must(tz_done(g) == 0);
	must(tz_wait(g, tz_never()) == 0);
	must(tz_now() == limit.ns); /* virtual: exact */
	must(tz_outcome_of(g, &o) == 0 && o.status == TZ_TIMED_OUT);
	(void)tz_detach(g);
}

static void deadlines_in_virtual_time(void **state)
{
	(void)state;
	on(&sim, virtual_deadlines_of_jobs);
	on(&seeded, virtual_deadlines_of_jobs);
}

static void options(void **state)
{
	(void)state;
	everywhere(options_of_jobs);
}

static int twice(int n)
{
	(void)tz_sleep(0.0001 * (n % 3));
	return 2 * n;
}
TZ_TASK(int, twice, int);

static bool next_number(void *arg, twice_args *args)
{
	int *n = arg;

	args->a1 = *n;
	return (*n)++ < 100;
}

static void maps_and_streams(void)
{
	tz_executor *ex = tz_executor_current();
	int in[100], out[100], r, sum = 0, next = 0;
	twice_stream s;

	for (int i = 0; i < 100; i++)
		in[i] = i;
	must(tz_map(ex, twice, 100, out, in) == 0);
	for (int i = 0; i < 100; i++)
		must(out[i] == 2 * i);
	must(tz_stream_open(&s, ex, twice, NULL, next_number, &next) == 0);
	for (int i = 0; tz_stream_next(s, &r) == 1; i++) {
		must(r == 2 * i);
		sum += r;
	}
	tz_stream_close(s);
	must(sum == 9900);
}

static void many_at_once(void **state)
{
	(void)state;
	everywhere(maps_and_streams);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results),
		cmocka_unit_test(failures),
		cmocka_unit_test(wrong_calls),
		cmocka_unit_test(a_run_inside_a_run),
		cmocka_unit_test(a_deadline_around_a_run),
		cmocka_unit_test(leftovers_are_cancelled),
		cmocka_unit_test(a_loop_runs_until),
		cmocka_unit_test(a_loop_runs_until_a_job_of_threads),
		cmocka_unit_test(a_loop_runs_until_it_is_stopped),
		cmocka_unit_test(a_loop_is_stopped_by_a_thread),
		cmocka_unit_test(the_scope_ends_a_run),
		cmocka_unit_test(sleeps_are_exact),
		cmocka_unit_test(one_loop_at_a_time),
		cmocka_unit_test(jobs_of_a_closed_loop),
		cmocka_unit_test(calls_with_a_time),
		cmocka_unit_test(calls_in_order),
		cmocka_unit_test(futures_of_time),
		cmocka_unit_test(futures_of_time_are_moved),
		cmocka_unit_test(a_million_timers),
		cmocka_unit_test(functions_for_descriptors),
		cmocka_unit_test(kinds_of_descriptors),
		cmocka_unit_test(bursts_from_threads),
		cmocka_unit_test(order),
		cmocka_unit_test(states),
		cmocka_unit_test(signals),
		cmocka_unit_test(forks),
		cmocka_unit_test(pthread_exit_costs_one_task),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(deep_recursion),
		cmocka_unit_test(options),
		cmocka_unit_test(deadlines_in_virtual_time),
		cmocka_unit_test(many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
