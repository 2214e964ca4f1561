/* Cancels, time-outs and errors at every point where a coroutine waits. Each scenario is run in virtual time, to count these points; then
 * once per point with a disturbance there; then in many random orders. Whatever happens where: it ends, nothing is lost, nothing is left over.
 *
 * TZ_SEEDS in the environment says how many orders. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza.h>

#include "check.h"
#include "crew.h"
#include "loop/loop.h"

enum { SEEDS = 100, MOST_POINTS = 100000 };

typedef void (*scenario)(void);

static unsigned long felt; /* how many runs were asked to end */

static void play(scenario what)
{
	what();
	felt += tz_interrupted() != 0;
}
TZ_TASK(void, play, scenario);

/* What is being run, for who reads about a failure. */
static struct run {
	const char *title;
	uint64_t seed, point;
	int disturbance;
} now_running;

static void too_long(int signal)
{
	(void)signal;
	printf("Bail out! %s never ends: seed %lu, point %lu, disturbance %d\n", now_running.title,
	       (unsigned long)now_running.seed, (unsigned long)now_running.point,
	       now_running.disturbance);
	(void)fflush(stdout);
	_exit(1);
}

/* Holds in a scenario, whatever was done to it. */
#define always(condition) \
	do { \
		if (!(condition)) { \
			printf("# %s: seed %lu, point %lu, disturbance %d\n", now_running.title, \
			       (unsigned long)now_running.seed, (unsigned long)now_running.point, \
			       now_running.disturbance); \
			must(condition); \
		} \
	} while (0)

static bool undisturbed(void)
{
	return now_running.point == 0;
}

/* --- scenarios ------------------------------------------------------------------------------------ */

/* How many calls are between their beginning and their end. */
static int alive;
static int sum;

TZ_QUEUE(int, numbers);

static void produce(numbers q)
{
	alive++;
	for (int i = 1; i <= 6; i++) {
		if (numbers_put(q, i) == 0)
			sum += i;
		if (i % 3 == 0)
			(void)tz_sleep(0.001);
	}
	alive--;
}
TZ_TASK(void, produce, numbers);

static void consume(numbers q)
{
	int i;

	alive++;
	while (numbers_get(q, &i) == 0)
		sum -= i;
	alive--;
}
TZ_TASK(void, consume, numbers);

static void queues(void)
{
	numbers q;
	int i;

	sum = 0;
	if (numbers_open(&q, &(tz_queue_options){ .capacity = 2 }) < 0)
		return;
	TZ_SCOPE(s) {
		produce_future p[2] = { tz_spawn(produce, q), tz_spawn(produce, q) };

		(void)tz_spawn(consume, q);
		(void)tz_spawn(consume, q);
		(void)tz_wait_all(p, 2, tz_never());
		(void)tz_queue_shutdown(q.queue, TZ_QUEUE_DRAIN);
	}
	while (numbers_try_get(q, &i) == 0)
		sum -= i;
	always(sum == 0);
	numbers_close(&q);
}

static void nap(double seconds, int code)
{
	alive++;
	if (tz_sleep(seconds) == 0 && code)
		(void)tz_fail(code, "as told");
	(void)tz_yield();
	alive--;
}
TZ_TASK(void, nap, double, int);

static void fail_fast(void)
{
	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		nap_future f = tz_group_spawn(&g, nap, 0.002, -EIO);

		for (int i = 0; i < 4; i++)
			(void)tz_group_spawn(&g, nap, 0.001 * i * i, 0);
		int r = tz_group_wait(&g);

		always(alive == 0 && tz_done(f) == 1);
		always(!undisturbed() || (r == -EREMOTEIO && tz_last()->code == -EIO));
	}
}

static void race(void)
{
	TZ_GROUP(g, TZ_GROUP_RACE)
	{
		for (int i = 0; i < 4; i++)
			(void)tz_group_spawn(&g, nap, 0.005 - 0.001 * i, i == 3 ? -EIO : 0);
		int r = tz_group_wait(&g);

		always(alive == 0);
		always(!undisturbed() || (r == 0 && tz_group_winner(&g) == 2));
	}
}

static void time_outs(void)
{
	uint64_t begin = tz_now();
	int inner = 0, outer = 0;

	TZ_TIMEOUT(0.03) {
		TZ_TIMEOUT(0.01) {
			(void)tz_spawn(nap, 5.0, 0);
			inner = tz_sleep(1);
		}
		TZ_TIMEOUT(1) {
			(void)tz_spawn(nap, 5.0, 0);
			outer = tz_sleep(2);
		}
		always(outer < 0);
	}
	always(inner < 0 && alive == 0);
	always(!undisturbed() || (inner == -ETIMEDOUT && outer == -ETIMEDOUT));
	always(tz_now() - begin < UINT64_C(40000000));
}

struct table {
	tz_lock lock;
	tz_condition changed;
	int turn, left, players;
};
typedef struct table *table_at;

static void take_turns(struct table *t, int me)
{
	alive++;
	for (int r = 0; r == 0;) {
		r = tz_lock_acquire_until(&t->lock, tz_never());
		if (r < 0)
			break;
		while (r == 0 && t->left > 0 && t->left % 2 != me && t->players == 2)
			r = tz_condition_wait(&t->changed, &t->lock);
		if (r == 0 && t->left > 0)
			t->left--;
		else if (r == 0)
			r = 1;
		tz_condition_notify(&t->changed);
		always(tz_lock_release(&t->lock) == 0);
	}
	/* Whoever leaves says so, or the other one would wait for ever. */
	tz_lock_acquire(&t->lock);
	t->players--;
	tz_condition_notify_all(&t->changed);
	always(tz_lock_release(&t->lock) == 0);
	alive--;
}
TZ_TASK(void, take_turns, table_at, int);

static void conditions(void)
{
	struct table t = { .left = 10, .players = 2 };

	TZ_SCOPE(s) {
		take_turns_future f = tz_spawn(take_turns, &t, 0), g = tz_spawn(take_turns, &t, 1);

		(void)f, (void)g;
	}
	always(!tz_lock_is_held(&t.lock) && alive == 0);
	always(!undisturbed() || (t.left == 0 && t.players == 0));
}

static void use_permit(tz_semaphore *s)
{
	alive++;
	for (int i = 0; i < 3; i++) {
		if (tz_semaphore_acquire(s) < 0)
			break;
		always(++sum <= 2);
		(void)tz_sleep(0.001);
		(void)tz_yield();
		sum--;
		always(tz_semaphore_release(s) == 0);
	}
	alive--;
}
typedef tz_semaphore *semaphore_at;
TZ_TASK(void, use_permit, semaphore_at);

static void semaphores(void)
{
	tz_semaphore permits;

	sum = 0;
	must(tz_semaphore_init_bounded(&permits, 2) == 0);
	TZ_SCOPE(s)
		for (int i = 0; i < 5; i++)
			(void)tz_spawn(use_permit, &permits);
	always(tz_semaphore_permits(&permits) == 2 && sum == 0 && alive == 0);
}

static void pass_barrier(tz_barrier *b)
{
	alive++;
	for (int i = 0; i < 3; i++)
		if (tz_barrier_wait(b) < 0) {
			tz_barrier_abort(b); /* the others must not wait for us */
			break;
		}
	alive--;
}
typedef tz_barrier *barrier_at;
TZ_TASK(void, pass_barrier, barrier_at);

static void barriers(void)
{
	tz_barrier b;

	must(tz_barrier_init(&b, 3, NULL, NULL) == 0);
	TZ_SCOPE(s)
		for (int i = 0; i < 3; i++)
			(void)tz_spawn(pass_barrier, &b);
	always(tz_barrier_waiting(&b) == 0 && alive == 0);
	always(!undisturbed() || !tz_barrier_is_broken(&b));
}

static int doubled(int n)
{
	alive++;
	(void)tz_sleep(0.001 * (n % 3));
	alive--;
	return 2 * n;
}
TZ_TASK(int, doubled, int);

static void gathering(void)
{
	doubled_future f[5];

	for (int i = 0; i < 5; i++)
		f[i] = tz_spawn(doubled, i);
	int at = tz_wait_any(f, 5, tz_never());

	always(at >= 0 || !undisturbed());
	at = tz_wait_first_failure(f, 5, tz_after(1));
	always(at == 5 || !undisturbed());
	if (tz_gather_all(f, 5) == 0)
		always(alive == 0);
	else
		always(!undisturbed());
}

static int open_things;

static void use_thing(int n)
{
	bool cleaned = false;

	open_things++;
	(void)tz_sleep(0.001 * n);
	TZ_SHIELD(1)
	{
		/* In spite of everything around it. */
		cleaned = tz_sleep(0.002) == 0 && tz_yield() == 0;
		open_things--;
	}
	/* A disturbance reaches the outermost scope only, and does not come in here. */
	always(cleaned);
}
TZ_TASK(void, use_thing, int);

static void shields(void)
{
	TZ_TIMEOUT(0.002)
		for (int i = 0; i < 4; i++)
			(void)tz_spawn(use_thing, i);
	always(open_things == 0);
}

static bool up_to_twelve(void *arg, doubled_args *args)
{
	int *n = arg;

	args->a1 = *n;
	return (*n)++ < 12;
}

static void streaming(void)
{
	doubled_stream s;
	int next = 0, r = 0, n = 0, value = 0;

	sum = 0;
	if (tz_stream_open(&s, tz_executor_current(), doubled,
			   TZ_OPTIONS(tz_stream_options, .window = 3), up_to_twelve, &next) < 0)
		return;
	while ((r = tz_stream_next(s, &value)) > 0)
		always(value == 2 * n++);
	tz_stream_close(s);
	always(!undisturbed() || (r == 0 && n == 12));
	/* What was taken from it and not given out has been dropped, and may still end by itself. */
	for (int i = 0; i < 100 && alive; i++)
		TZ_SHIELD(1)
	(void)tz_sleep(0.001);
	always(alive == 0);
}

static atomic_int blocking_calls;

static int block(int n)
{
	atomic_fetch_add(&blocking_calls, 1);
	return n;
}
TZ_TASK(int, block, int);

static void call_out(int n)
{
	block_future f = tz_to_thread(block, n);
	int r = -1;

	alive++;
	if (tz_result(f, &r) == 0)
		always(r == n);
	else
		(void)tz_detach(f);
	alive--;
}
TZ_TASK(void, call_out, int);

static void lanes(void)
{
	atomic_store(&blocking_calls, 0);
	TZ_SCOPE(s)
		for (int i = 0; i < 4; i++)
			(void)tz_spawn(call_out, i);
	always(alive == 0);
	always(!undisturbed() || atomic_load(&blocking_calls) == 4);
}

static void send_bytes(int fd)
{
	char byte = 0;

	alive++;
	for (int i = 0; i < 5; i++) {
		if (tz_wait_fd(fd, POLLOUT, tz_never()) < 0)
			break;
		sum += write(fd, &byte, 1) == 1;
		(void)tz_yield();
	}
	alive--;
}
TZ_TASK(void, send_bytes, int);

static void receive_bytes(int fd)
{
	char byte;

	alive++;
	for (int i = 0; i < 5; i++) {
		if (tz_wait_fd(fd, POLLIN, tz_after(1)) < 0)
			break;
		sum -= read(fd, &byte, 1) == 1;
	}
	alive--;
}
TZ_TASK(void, receive_bytes, int);

static void descriptors(void)
{
	int fds[2];
	char byte;

	sum = 0;
	must(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
	TZ_SCOPE(s) {
		(void)tz_spawn(receive_bytes, fds[0]);
		(void)tz_spawn(send_bytes, fds[1]);
	}
	while (read(fds[0], &byte, 1) == 1)
		sum--;
	always(sum == 0 && alive == 0);
	must(close(fds[0]) == 0 && close(fds[1]) == 0);
}

static void timers(void)
{
	tz_future f[4];

	for (int i = 0; i < 4; i++)
		f[i] = tz_timer_future(i == 3 ? tz_never() : tz_after(0.001 * i));
	for (int i = 0; i < 3; i++)
		(void)tz_wait(f[i], tz_after(1));
	(void)tz_cancel(f[3]);
	for (int i = 0; i < 4; i++) {
		TZ_SHIELD(1)
		(void)tz_wait(f[i], tz_never());
		always(tz_done(f[i]) == 1);
		(void)tz_detach(f[i]);
	}
}

/* Time limits that end in the very moment in which what was waited for comes: in virtual time that is sure, and the seed says who is first. */
static struct {
	tz_semaphore permits;
	numbers numbers;
	tz_deadline limit;
	int given, taken;
} meeting;

static void come_in_time(int way)
{
	int n = 0, r = 0;

	alive++;
	if (way == 0)
		r = tz_semaphore_acquire_until(&meeting.permits, meeting.limit);
	else if (way == 1)
		TZ_SCOPE_UNTIL(s, meeting.limit)
			r = tz_semaphore_acquire(&meeting.permits);
	else
		r = numbers_get_until(meeting.numbers, &n, meeting.limit);
	if (r == 0 && way < 2)
		meeting.taken++;
	sum -= n;
	alive--;
}
TZ_TASK(void, come_in_time, int);

static void give_in_time(int n)
{
	alive++;
	(void)tz_sleep_until(meeting.limit);
	meeting.given += tz_semaphore_release(&meeting.permits) == 0;
	if (numbers_try_put(meeting.numbers, n) == 0)
		sum += n;
	alive--;
}
TZ_TASK(void, give_in_time, int);

static void coincidences(void)
{
	int n;

	sum = meeting.given = meeting.taken = 0;
	must(tz_semaphore_init(&meeting.permits, 0) == 0);
	if (numbers_open(&meeting.numbers, NULL) < 0)
		return;
	meeting.limit = tz_after(0.001);
	TZ_SCOPE(s) {
		for (int i = 0; i < 6; i++)
			(void)tz_spawn(come_in_time, i % 3);
		for (int i = 1; i <= 3; i++)
			(void)tz_spawn(give_in_time, i);
	}
	always(meeting.given == meeting.taken + tz_semaphore_permits(&meeting.permits));
	while (numbers_try_get(meeting.numbers, &n) == 0)
		sum -= n;
	always(sum == 0 && alive == 0);
	numbers_close(&meeting.numbers);
}

/* --- running them ------------------------------------------------------------------------------------ */

static struct tz_loop *open_loop(uint64_t seed, uint64_t point, int disturbance)
{
	struct tz_loop_setup setup = {
		.backend = &tz_backend_sim,
		.backend_options = { .seed = seed, .fail_at = point, .fail_with = disturbance },
	};
	struct tz_loop *l = aligned_alloc(64, (sizeof *l + 63) / 64 * 64);

	must(l);
	must(tz_loop_init(l, &tz_loop_ops, &(tz_executor_options){ .name = "sweep" }, &setup) == 0);
	return l;
}

/* Returns how many points it met. */
static uint64_t run_once(scenario what, uint64_t seed, uint64_t point, int disturbance)
{
	struct tz_loop *l = open_loop(seed, point, disturbance);
	tz_executor_stats stats;

	now_running.seed = seed;
	now_running.point = point;
	now_running.disturbance = disturbance;
	alive = 0;
	play_future f = tz_submit(tz_loop_executor(l), play, what);

	always(tz_loop_run_until(l, f) == 0);
	uint64_t points = tz_sim_points(l->backend);

	always(tz_done(f) == 1);
	tz_executor_stats_of(tz_loop_executor(l), &stats);
	always(stats.running == 0 && stats.pending == 0 && stats.submitted == stats.completed);
	always(alive == 0);
	tz_outcome o;

	always(tz_outcome_of(f, &o) == 0);
	always(o.status == TZ_OK || !undisturbed());
	(void)tz_detach(f);
	tz_loop_close(l);
	return points;
}

static const int disturbances[] = { -ECANCELED, -ETIMEDOUT, -EIO };
enum { DISTURBANCES = sizeof disturbances / sizeof *disturbances };

static unsigned long seeds(void)
{
	const char *s = getenv("TZ_SEEDS");

	return s ? strtoul(s, NULL, 10) : SEEDS;
}

static void sweep(const char *title, scenario what)
{
	now_running.title = title;
	felt = 0;
	(void)alarm(300);
	uint64_t points = run_once(what, 0, 0, 0);

	assert_in_range(points, 1, MOST_POINTS);
	/* A disturbance may lead to more points, not to fewer that matter. */
	for (uint64_t point = 1; point <= points; point++)
		for (int i = 0; i < DISTURBANCES; i++)
			(void)run_once(what, 0, point, disturbances[i]);
	for (unsigned long seed = 1, n = seeds(); seed <= n; seed++) {
		uint64_t here = run_once(what, seed, 0, 0);

		for (int i = 0; i < DISTURBANCES; i++)
			(void)run_once(what, seed, 1 + (seed * 7919 + (unsigned long)i) % here,
				       disturbances[i]);
	}
	(void)alarm(0);
	assert_true(felt > 0);
	print_message("# %s: %lu points; asked to end %lu times\n", title, (unsigned long)points,
		      felt);
}

#define SWEEP(what) \
	static void sweep_##what(void **state) \
	{ \
		(void)state; \
		sweep(#what, what); \
	} \
	struct nothing /* takes the semicolon */

SWEEP(queues);
SWEEP(fail_fast);
SWEEP(race);
SWEEP(time_outs);
SWEEP(conditions);
SWEEP(semaphores);
SWEEP(barriers);
SWEEP(gathering);
SWEEP(shields);
SWEEP(streaming);
SWEEP(lanes);
SWEEP(descriptors);
SWEEP(timers);
SWEEP(coincidences);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sweep_queues),     cmocka_unit_test(sweep_fail_fast),
		cmocka_unit_test(sweep_race),       cmocka_unit_test(sweep_time_outs),
		cmocka_unit_test(sweep_conditions), cmocka_unit_test(sweep_semaphores),
		cmocka_unit_test(sweep_barriers),   cmocka_unit_test(sweep_gathering),
		cmocka_unit_test(sweep_shields),    cmocka_unit_test(sweep_streaming),
		cmocka_unit_test(sweep_lanes),      cmocka_unit_test(sweep_descriptors),
		cmocka_unit_test(sweep_timers),     cmocka_unit_test(sweep_coincidences),
	};

	(void)signal(SIGALRM, too_long);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
