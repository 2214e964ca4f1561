/* fork(2) beside a live executor: the child knows what it has lost, and has executors of its own. Each check runs in a child, whose exit
 * status says which one failed. */
#include "conformance.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int hold(struct gate *g)
{
	return pass(g);
}
TZ_TASK(int, hold, struct gate *);

static int twice(int n)
{
	return 2 * n;
}
TZ_TASK(int, twice, int);

/* The number of the check that failed, 0 for none. */
#define child_must(condition) \
	do { \
		if (!(condition)) \
			_exit(__LINE__ % 250 + 1); \
	} while (0)

/* Runs `check` in a child, and waits for it, but not for ever. */
static void in_a_child(void (*check)(struct subject *s, void *arg), struct subject *s, void *arg)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		(void)alarm(CREW_PATIENCE);
		check(s, arg);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

struct before {
	hold_future running, pending;
	twice_future ended;
	twice_future calling; /* has ended, and a strand of the parent is in a callback of it */
};

static struct gate in_callback;
static atomic_int called;

static void call_and_wait(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)arg, (void)outcome, (void)result;
	(void)pass(&in_callback);
}

static void call_and_count(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)arg, (void)outcome;
	atomic_fetch_add(&called, result && *(const int *)result == 10);
}

static void child_has_lost_them(struct subject *s, void *arg)
{
	struct before *b = arg;
	tz_outcome o;
	tz_completed *c;
	int got = 0;

	child_must(tz_result(b->ended, &got) == 0 && got == 8); /* what had ended is there */
	child_must(tz_on_done(b->calling, call_and_count, NULL) == 0);
	child_must(tz_detach(b->calling) == 0);
	until(atomic_load(&called) == 1); /* though the one before it never returns here */
	if (can(s, TZ_CAN_RUN_AT_SUBMIT))
		return;
	child_must(tz_done(b->running) == 1);
	child_must(tz_outcome_of(b->running, &o) == 0);
	child_must(o.status == TZ_LOST && o.code == -EOWNERDEAD);
	child_must(tz_cancel(b->pending) == -EALREADY);
	child_must(tz_wait(b->pending, tz_never()) == 0);
	child_must(tz_wait_any(&b->pending, 1, tz_never()) == 0);
	child_must(tz_as_completed(&c, &b->pending, 1) == 0);
	child_must(tz_completed_next(c, tz_never()) == 0);
	tz_completed_close(c);
	child_must(tz_result(b->pending, NULL) == -EREMOTEIO);
	child_must(tz_last()->status == TZ_LOST);
	child_must(tz_detach(b->running) == 0);
	child_must(tz_detach(b->running) == -ESTALE);
}

static void child_loses_the_parents_futures(struct subject *s)
{
	struct gate g = { .open = can(s, TZ_CAN_RUN_AT_SUBMIT) };
	struct before b;
	int got = 0;

	memset((void *)&in_callback, 0, sizeof in_callback);
	atomic_store(&called, 0);
	b.calling = tz_submit(s->ex, twice, 5);
	settle(b.calling);
	assert_int_equal(tz_on_done(b.calling, call_and_wait, NULL), 0);
	until(atomic_load(&in_callback.waiting));
	b.ended = tz_submit(s->ex, twice, 4);
	settle(b.ended);
	b.running = tz_submit(s->ex, hold, &g);
	until(atomic_load(&g.waiting) || atomic_load(&g.open));
	b.pending = tz_submit(s->ex, hold, &g);
	in_a_child(child_has_lost_them, s, &b);
	atomic_store(&g.open, 1); /* the parent notices nothing */
	assert_int_equal(tz_on_done(b.calling, call_and_count, NULL), 0);
	assert_int_equal(atomic_load(&called), 0);
	atomic_store(&in_callback.open, 1);
	until(atomic_load(&called) == 1);
	assert_int_equal(tz_detach(b.calling), 0);
	settle(b.running);
	settle(b.pending);
	assert_int_equal(tz_gather(b.running, b.pending), 0);
	assert_int_equal(tz_result(b.ended, &got), 0);
	assert_int_equal(got, 8);
}

static void child_cannot_use_it(struct subject *s, void *arg)
{
	twice_future f = tz_submit(s->ex, twice, 1);
	double in[2] = { 1, 2 };
	tz_executor_stats stats;
	tz_outcome o;

	(void)arg, (void)in;
	child_must(tz_wait(f, tz_never()) == 0);
	child_must(tz_outcome_of(f, &o) == 0);
	child_must(o.status == TZ_LOST && o.code == -EOWNERDEAD);
	child_must(tz_detach(f) == 0);
	tz_executor_stats_of(s->ex, &stats);
	child_must(stats.workers == 0);
	tz_executor_request_shutdown(s->ex, TZ_STOP_NOW);
	child_must(tz_executor_shutdown(s->ex, TZ_DRAIN, tz_never()) == 0);
	tz_executor_close(s->ex);
}

static void child_cannot_use_the_parents_executor(struct subject *s)
{
	twice_future f = tz_submit(s->ex, twice, 1);
	int r;

	settle(f);
	in_a_child(child_cannot_use_it, s, NULL);
	assert_int_equal(tz_gather(f), 0);
	bounded(r, tz_result(tz_submit(s->ex, twice, 1), NULL));
	assert_int_equal(r, 0);
}

static void child_opens_its_own(struct subject *s, void *parents_default)
{
	tz_executor *ex;
	int got = 0;

	child_must(tz_executor_open(&ex, s->spec) == 0);
	for (int i = 0; i < 50; i++) {
		child_must(tz_result(tz_submit(ex, twice, i), &got) == 0 && got == 2 * i);
		child_must(tz_result(tz_submit(NULL, twice, i), &got) == 0 && got == 2 * i);
	}
	child_must(tz_executor_default() != parents_default);
	tz_executor_close(ex);
}

static void child_has_executors_of_its_own(struct subject *s)
{
	int r;

	bounded(r, tz_result(tz_submit(NULL, twice, 1), NULL));
	assert_int_equal(r, 0);
	in_a_child(child_opens_its_own, s, tz_executor_default());
}

static void child_forks_again(struct subject *s, void *arg)
{
	tz_executor *ex;
	int got, status = -1;

	child_must(tz_executor_open(&ex, s->spec) == 0);
	child_must(tz_result(tz_submit(ex, twice, 5), &got) == 0);
	pid_t child = fork();

	if (child == 0) {
		child_opens_its_own(s, arg);
		_exit(0);
	}
	child_must(waitpid(child, &status, 0) == child && status == 0);
	tz_executor_close(ex);
}

static void grandchild_has_executors_of_its_own(struct subject *s)
{
	in_a_child(child_forks_again, s, tz_executor_default());
}

struct load {
	struct subject *s;
	atomic_int stop;
};

static void *keep_busy(void *arg)
{
	struct load *l = arg;

	while (!atomic_load(&l->stop)) {
		twice_future f[20];

		for (int i = 0; i < 20; i++)
			f[i] = tz_submit(l->s->ex, twice, i);
		must(tz_wait_all(f, 20, soon()) == 0);
		must(tz_gather_all(f, 20) == 0);
	}
	return NULL;
}

/* Wherever the other threads are, the child finds nothing locked. */
static void fork_amid_work(struct subject *s)
{
	struct crew crew = { .count = 0 };
	struct load load = { .s = s };

	crew_add(&crew, keep_busy, &load);
	crew_add(&crew, keep_busy, &load);
	for (int i = 0; i < 20; i++)
		in_a_child(child_opens_its_own, s, NULL);
	atomic_store(&load.stop, 1);
	crew_join(&crew);
}

/* --- what ends the process ---------------------------------------------------------------------------------------------- */

static void end_the_process(int signal)
{
	if (signal == 0)
		exit(3);
	(void)raise(signal);
}
TZ_TASK(void, end_the_process, int);

static int status_of_a_child_whose_job(struct subject *s, int signal)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		tz_executor *ex;

		(void)alarm(CREW_PATIENCE);
		child_must(tz_executor_open(&ex, s->spec) == 0);
		(void)tz_result(tz_submit(ex, end_the_process, signal), NULL);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void exit_and_signals_end_the_process(struct subject *s)
{
	int status = status_of_a_child_whose_job(s, 0);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
	status = status_of_a_child_whose_job(s, SIGKILL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static const struct conformance_case cases[] = {
	SHARING("a child has lost the parent's futures, and knows it",
	     child_loses_the_parents_futures),
	CASE("a child cannot use the parent's executor, but close it",
	     child_cannot_use_the_parents_executor),
	CASE("a child has executors of its own, a default one too", child_has_executors_of_its_own),
	CASE("so has a grandchild", grandchild_has_executors_of_its_own),
	CASE("a fork amid work", fork_amid_work),
	{ "exit and signals in a job end the process", exit_and_signals_end_the_process, 0,
	  TZ_CAN_SURVIVE_CRASH, 0 },
};

int main(void)
{
	if (!THREADS_AFTER_FORK) {
		printf("1..0 # SKIP a child that was forked from several threads may not start one here\n");
		return 0;
	}
	return RUN_CASES("fork", cases);
}
