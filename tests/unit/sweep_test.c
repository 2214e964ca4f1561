/* Cancels, time-outs and errors at every point where a coroutine waits. Each scenario is run in virtual time, to count these points; then
 * once per point with a disturbance there; then in many random orders. Whatever happens where: it ends, nothing is lost, nothing is left over.
 *
 * A disturbance at a point is the waiter's own. But who waits may also be asked to end later, when it has just been woken, or by somebody who runs
 * between its waker and itself. So each scenario is run again, once per step of the loop and coroutine that is there then, whatever that
 * is doing: a strike, at the job or at one of its scopes.
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

#include "abilities.h"
#include "check.h"
#include "core/frame.h"
#include "crew.h"
#include "loop/loop.h"

enum { SEEDS = EMULATED ? 20 : 100, MOST_POINTS = 100000 };

typedef void (*scenario)(void);

static unsigned long felt; /* how many runs were asked to end */

/* Whom to strike at a step: the n-th of the loop's coroutines that run a job; as a whole, or the innermost of its scopes that others could know. */
struct strike {
	uint64_t step; /* from 1; 0: none */
	unsigned whom;
	bool inner;
};

/* What is being run, for who reads about a failure. */
static struct run {
	const char *title;
	uint64_t seed, point;
	struct strike strike;
	int disturbance; /* of either */
} now_running;

static void say_what_runs(const char *begin)
{
	printf("%s%s: seed %lu, point %lu, step %lu, coroutine %u%s, disturbance %d\n", begin,
	       now_running.title, (unsigned long)now_running.seed, (unsigned long)now_running.point,
	       (unsigned long)now_running.strike.step, now_running.strike.whom,
	       now_running.strike.inner ? " (inner)" : "", now_running.disturbance);
	(void)fflush(stdout);
}

static void too_long(int signal)
{
	(void)signal;
	say_what_runs("Bail out! this never ends: ");
	_exit(1);
}

/* Holds in a scenario, whatever was done to it. */
#define always(condition) \
	do { \
		if (!(condition)) { \
			say_what_runs("# "); \
			must(condition); \
		} \
	} while (0)

static bool undisturbed(void)
{
	return now_running.point == 0 && now_running.strike.step == 0;
}

/* --- strikes --------------------------------------------------------------------------------------- */

static struct tz_loop *loop; /* that runs */
static uint64_t steps; /* that it has made */

/* What has been struck in this run. */
static struct {
	bool any;
	uint32_t job; /* by its id; 0: none */
	const tz_scope *scope; /* that was cancelled, and is still entered; or NULL */
} struck;

/* The scope of a call under a limit: nobody else has a handle on it. */
static bool is_of_call(const struct tz_strand *s, const tz_scope *scope)
{
	for (const struct tz_frame *f = s->frame; f && f->outer; f = f->outer)
		if (scope == &f->scope)
			return true;
	return false;
}

/* NULL if there is nothing like that. */
static tz_scope *target_in(const struct tz_coroutine *c, bool inner)
{
	tz_scope *scope = c->strand.scope, *outermost = scope;

	while (outermost && outermost->tz__parent && outermost->tz__parent != c->strand.base)
		outermost = outermost->tz__parent;
	if (!inner)
		return outermost;
	while (scope && (scope->tz__shield || is_of_call(&c->strand, scope)))
		scope = scope->tz__parent;
	return scope != outermost ? scope : NULL;
}

static void strike(void)
{
	const struct tz_coroutine *c = loop->all;

	for (unsigned n = now_running.strike.whom; c; c = c->next)
		if (c->job && c->strand.scope && n-- == 0)
			break;
	tz_scope *scope = c ? target_in(c, now_running.strike.inner) : NULL;

	if (!scope)
		return;
	struck.any = true;
	if (now_running.disturbance !=
	    -ECANCELED) { /* a deadline may be moved again, by the job's parent */
		(void)tz_scope_reschedule(scope, (tz_deadline){ 1 });
		return;
	}
	if (now_running.strike.inner)
		struck.scope = scope;
	else
		struck.job = c->job->id;
	tz_scope_cancel(scope);
}

static uint64_t choose_and_strike(struct tz_backend *b, uint64_t n)
{
	if (++steps == now_running.strike.step)
		strike();
	return tz_backend_sim.choose(b, n);
}

/* At the end of what a job does, outside of all its scopes: what was asked of it is still true. */
static void still_told(void)
{
	if (struck.job == loop->current->job->id)
		always(tz_interrupted() == -ECANCELED);
}

/* The same for a scope, before it is left. */
static void still_cancelled(tz_scope *scope)
{
	if (struck.scope != scope)
		return;
	always(tz_scope_cancelled(scope));
	struck.scope = NULL; /* there may be another one at this address */
}

static void play(scenario what)
{
	what();
	still_told();
	felt += tz_interrupted() != 0;
}
TZ_TASK(void, play, scenario);

/* --- scenarios ------------------------------------------------------------------------------------ */

/* How many calls are between their beginning and their end. */
static int alive;
static int sum;

static void end_call(void)
{
	still_told();
	alive--;
}

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
	end_call();
}
TZ_TASK(void, produce, numbers);

static void consume(numbers q)
{
	int i;

	alive++;
	while (numbers_get(q, &i) == 0)
		sum -= i;
	end_call();
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
	end_call();
}
TZ_TASK(void, nap, double, int);

static void fail_fast(void)
{
	uint64_t begin = tz_now();

	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		nap_future f = tz_group_spawn(&g, nap, 0.002, -EIO);
		tz_outcome o;

		for (int i = 0; i < 4; i++)
			(void)tz_group_spawn(&g, nap, i == 3 ? 3600.0 : 0.001 * i * i, 0);
		int r = tz_group_wait(&g);

		always(alive == 0 && tz_done(f) == 1);
		always(!undisturbed() || (r == -EREMOTEIO && tz_last()->code == -EIO));
		/* If that one failed, nobody has waited for the others. */
		if (tz_outcome_of(f, &o) == 0 && o.status == TZ_FAILED)
			always(tz_now() - begin < UINT64_C(1000000000));
		still_cancelled(&g.tz__scope);
	}
}

/* Each group is cut by its policy, and may be cancelled at any time. */
static void nested_groups(void)
{
	TZ_GROUP(outer, TZ_GROUP_FAIL_FAST)
	{
		(void)tz_group_spawn(&outer, nap, 3600.0, 0);
		TZ_GROUP(inner, TZ_GROUP_RACE)
		{
			for (int i = 1; i <= 3; i++)
				(void)tz_group_spawn(&inner, nap, 0.001 * i, 0);
			int r = tz_group_wait(&inner);

			always(!undisturbed() || (r == 0 && tz_group_winner(&inner) == 0));
			always(!undisturbed() || tz_interrupted() == 0);
			still_cancelled(&inner.tz__scope);
		}
		(void)tz_group_spawn(&outer, nap, 0.001, -EIO);
		int r = tz_group_wait(&outer);

		always(alive == 0);
		always(!undisturbed() || (r == -EREMOTEIO && tz_interrupted() == 0));
		still_cancelled(&outer.tz__scope);
	}
}

/* Fails while what it has spawned still goes on, and is not waited for. */
static void fail_early(int code)
{
	for (int i = 0; i < 3; i++)
		(void)tz_spawn(nap, 3600.0, 0);
	(void)tz_sleep(0.001);
	(void)tz_fail(code, "given up");
}
TZ_TASK(void, fail_early, int);

static void failing_early(void)
{
	uint64_t begin = tz_now();
	fail_early_future f = tz_spawn(fail_early, -EIO);
	int r = 0;

	/* Not by this job's own end: that would wait for the others in any case. */
	TZ_SHIELD(7200)
	r = tz_wait(f, tz_never());
	always(r < 0 || alive == 0);
	(void)tz_result(f, NULL);
	always(tz_now() - begin < UINT64_C(1000000000));
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
		still_cancelled(&g.tz__scope);
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
	end_call();
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
	end_call();
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
	end_call();
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
	end_call();
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

static atomic_int round_of_calls, blocking_calls;

static int block(int n)
{
	if (n / 4 == atomic_load(&round_of_calls)) /* not one that an earlier run has given up */
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
	end_call();
}
TZ_TASK(void, call_out, int);

static void lanes(void)
{
	int round = atomic_fetch_add(&round_of_calls, 1) + 1;

	atomic_store(&blocking_calls, 0);
	TZ_SCOPE(s)
		for (int i = 0; i < 4; i++)
			(void)tz_spawn(call_out, 4 * round + i);
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
	end_call();
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
	end_call();
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

/* What a call under a limit has taken is not lost, and neither is a cancel that comes meanwhile. Elements come when the limits end. */
static int take_one(numbers q)
{
	int item = 0, r = numbers_get(q, &item);

	return r < 0 ? tz_fail(r, "nothing came") : item;
}
TZ_TASK(int, take_one, numbers);

static void take_within_limits(numbers q)
{
	alive++;
	for (int i = 0; i < 8; i++) {
		int item = 0, r = tz_wait_for(0.001, &item, take_one, q);

		sum -= item;
		if (r == -ECANCELED || r == -EREMOTEIO)
			break;
	}
	end_call();
}
TZ_TASK(void, take_within_limits, numbers);

static void give_at_limits(numbers q, tz_deadline begin)
{
	alive++;
	for (int i = 1; i <= 6; i++) {
		(void)tz_sleep_until((tz_deadline){ begin.ns + 1000000 * (uint64_t)i });
		if (numbers_put(q, i) == 0)
			sum += i;
	}
	end_call();
}
TZ_TASK(void, give_at_limits, numbers, tz_deadline);

static void limits(void)
{
	numbers q;
	int i;

	sum = 0;
	if (numbers_open(&q, NULL) < 0)
		return;
	TZ_SCOPE(s) {
		(void)tz_spawn(take_within_limits, q);
		(void)tz_spawn(take_within_limits, q);
		(void)tz_spawn(give_at_limits, q, tz_after(0));
	}
	while (numbers_try_get(q, &i) == 0)
		sum -= i;
	always(sum == 0 && alive == 0);
	numbers_close(&q);
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
	end_call();
}
TZ_TASK(void, come_in_time, int);

static void give_in_time(int n)
{
	alive++;
	(void)tz_sleep_until(meeting.limit);
	meeting.given += tz_semaphore_release(&meeting.permits) == 0;
	if (numbers_try_put(meeting.numbers, n) == 0)
		sum += n;
	end_call();
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

/* The simulation, with strikes. */
static struct tz_backend_ops striking;

/* Once, as now_running says. Returns how many points it met. */
static uint64_t run(scenario what)
{
	struct tz_loop *l = open_loop(now_running.seed, now_running.point, now_running.disturbance);
	tz_executor_stats stats;

	striking = *l->backend->ops;
	striking.choose = choose_and_strike;
	l->backend->ops = &striking;
	loop = l;
	steps = 0;
	memset(&struck, 0, sizeof struck);
	alive = 0;
	play_future f = tz_submit(tz_loop_executor(l), play, what);

	always(tz_loop_run_until(l, f) == 0);
	l->backend->ops = &tz_backend_sim;
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

static uint64_t run_once(scenario what, uint64_t seed, uint64_t point, int disturbance)
{
	now_running.seed = seed;
	now_running.point = point;
	now_running.strike = (struct strike){ 0 };
	now_running.disturbance = disturbance;
	return run(what);
}

/* Whether there was anybody to strike. */
static bool run_and_strike(scenario what, uint64_t seed, struct strike at, int disturbance)
{
	now_running.seed = seed;
	now_running.point = 0;
	now_running.strike = at;
	now_running.disturbance = disturbance;
	(void)run(what);
	return struck.any;
}

/* At every step, every coroutine that is there. */
static unsigned long strike_everywhere(scenario what, uint64_t nsteps)
{
	unsigned long runs = 0;

	for (uint64_t step = 1; step <= nsteps; step++)
		for (struct strike at = { .step = step }; run_and_strike(what, 0, at, -ECANCELED);
		     at.whom++) {
			(void)run_and_strike(what, 0, at, -ETIMEDOUT);
			at.inner = true;
			if (run_and_strike(what, 0, at, -ECANCELED))
				(void)run_and_strike(what, 0, at, -ETIMEDOUT);
			at.inner = false;
			runs++;
		}
	return runs;
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
	uint64_t points = run_once(what, 0, 0, 0), nsteps = steps;

	assert_in_range(points, 1, MOST_POINTS);
	/* A disturbance may lead to more points, not to fewer that matter. */
	for (uint64_t point = 1; point <= points; point++)
		for (int i = 0; i < DISTURBANCES; i++)
			(void)run_once(what, 0, point, disturbances[i]);
	unsigned long strikes = strike_everywhere(what, nsteps);

	for (unsigned long seed = 1, n = seeds(); seed <= n; seed++) {
		uint64_t here = run_once(what, seed, 0, 0);

		for (int i = 0; i < DISTURBANCES; i++)
			(void)run_once(what, seed, 1 + (seed * 7919 + (unsigned long)i) % here,
				       disturbances[i]);
		for (unsigned i = 0; i < 8; i++)
			(void)run_and_strike(what, seed,
					     (struct strike){ 1 + (seed * 7919 + i * 31) % nsteps,
							      i / 4, i % 2 },
					     i / 2 % 2 ? -ECANCELED : -ETIMEDOUT);
	}
	(void)alarm(0);
	assert_true(felt > 0);
	print_message(
		"# %s: %lu points, %lu steps; %lu coroutines struck; asked to end %lu times\n",
		title, (unsigned long)points, (unsigned long)nsteps, strikes, felt);
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
SWEEP(nested_groups);
SWEEP(failing_early);
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
SWEEP(limits);
SWEEP(coincidences);

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sweep_queues),        cmocka_unit_test(sweep_fail_fast),
		cmocka_unit_test(sweep_race),          cmocka_unit_test(sweep_time_outs),
		cmocka_unit_test(sweep_nested_groups), cmocka_unit_test(sweep_failing_early),
		cmocka_unit_test(sweep_limits),        cmocka_unit_test(sweep_conditions),
		cmocka_unit_test(sweep_semaphores),    cmocka_unit_test(sweep_barriers),
		cmocka_unit_test(sweep_gathering),     cmocka_unit_test(sweep_shields),
		cmocka_unit_test(sweep_streaming),     cmocka_unit_test(sweep_lanes),
		cmocka_unit_test(sweep_descriptors),   cmocka_unit_test(sweep_timers),
		cmocka_unit_test(sweep_coincidences),
	};

	(void)signal(SIGALRM, too_long);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
