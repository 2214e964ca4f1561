/* Jobs that submit jobs: no depth deadlocks, and nothing foreign runs on a waiter's stack. */
#include "conformance.h"

static int chain(int n);
TZ_TASK(int, chain, int);
static int chain(int n)
{
	int below = 0;

	if (n == 0)
		return 0;
	if (tz_result(tz_submit(tz_executor_current(), chain, n - 1), &below) < 0)
		return tz_fail(tz_last()->code, "%s", tz_last()->message);
	return below + 1;
}

static int chain_timed(int n);
TZ_TASK(int, chain_timed, int);
static int chain_timed(int n)
{
	int below = 0, r = -1;

	if (n == 0)
		return 0;
	chain_timed_future f = tz_submit(tz_executor_current(), chain_timed, n - 1);

	r = tz_wait(f, soon()); /* a wait with a deadline is not run on this stack */
	if (r < 0)
		return tz_fail(r, "depth %d", n);
	(void)tz_result(f, &below);
	return below + 1;
}

static long fib_nested(int n);
TZ_TASK(long, fib_nested, int);
static long fib_nested(int n)
{
	long a = 0, b = 0;

	if (n < 2)
		return n;
	fib_nested_future f = tz_submit(tz_executor_current(), fib_nested, n - 1);
	fib_nested_future g = tz_submit(tz_executor_current(), fib_nested, n - 2);

	if (tz_result(f, &a) < 0 || tz_result(g, &b) < 0)
		return tz_fail(-EIO, "a child failed");
	return a + b;
}

static long fib_forked(int n);
TZ_TASK(long, fib_forked, int);
static long fib_forked(int n)
{
	if (n < 2)
		return n;
	fib_forked_fork f = tz_fork(fib_forked, n - 1);
	long b = fib_forked(n - 2);

	return tz_join(f) + b;
}

static int spread(int depth);
TZ_TASK(int, spread, int);
static int spread(int depth)
{
	spread_future f[4];
	int sum = 1;

	if (depth == 0)
		return 1;
	for (int i = 0; i < 4; i++)
		f[i] = tz_submit(tz_executor_current(), spread, depth - 1);
	for (int i = 3; i >= 0; i--) {
		int one = 0;

		if (tz_result(f[i], &one) < 0)
			return tz_fail(-EIO, "a child failed");
		sum += one;
	}
	return sum;
}

static int wait_for_any_child(int n)
{
	chain_future f[3];
	int sum = 0;

	for (int i = 0; i < 3; i++)
		f[i] = tz_submit(tz_executor_current(), chain, n + i);
	for (int left = 3; left > 0; left--) {
		int k = tz_wait_any(f, (size_t)left, soon()), one = 0;

		if (k < 0 || tz_result(f[k], &one) < 0)
			return tz_fail(k, "tz_wait_any");
		f[k] = f[left - 1];
		sum += one;
	}
	return sum;
}
TZ_TASK(int, wait_for_any_child, int);

#define check(type, expected, ...) \
	do { \
		type got_ = 0; \
		int r_; \
		bounded(r_, tz_result(tz_submit(s->ex, __VA_ARGS__), &got_)); \
		assert_int_equal(r_, 0); \
		assert_int_equal(got_, expected); \
	} while (0)

static void nests_deeply(struct subject *s)
{
	check(int, 64, chain, 64);
	check(int, 300, chain, 300); /* deeper than anybody runs on one stack */
}

static void nests_deeply_with_deadlines(struct subject *s)
{
	check(int, 64, chain_timed, 64);
}

static void nests_widely(struct subject *s)
{
	check(int, 341, spread, 4);
	check(long, 610, fib_nested, 15);
	check(int, 18, wait_for_any_child, 5);
}

static void forks(struct subject *s)
{
	for (int i = 0; i < 3; i++)
		check(long, 28657, fib_forked, 23);
	assert_int_equal(fib_forked(15), 610); /* outside of any job */
}

/* --- forks at odds ------------------------------------------------------------------------------------------------------ */

typedef struct {
	char c[200];
} large;

static atomic_int touched;

static large touch_large(large a)
{
	atomic_fetch_add(&touched, 1);
	a.c[0]++;
	return a;
}
TZ_TASK(large, touch_large, large);

static int touch(int n)
{
	atomic_fetch_add(&touched, 1);
	return n * n;
}
TZ_TASK(int, touch, int);

static int fork_in_all_ways(void)
{
	touch_fork f[64];
	large a = { { 5 } };
	int sum = 0;

	touch_large_fork l =
		tz_fork(touch_large, a); /* too large to be left for others: called at once */

	for (int i = 0; i < 64; i++)
		f[i] = tz_fork(touch, i);
	for (int i = 0; i < 64; i += 2)
		sum += tz_join(f[i]); /* out of order */
	for (int i = 63; i > 0; i -= 2)
		sum += tz_join(f[i]);
	return tz_join(l).c[0] == 6 ? sum : -1;
}
TZ_TASK(int, fork_in_all_ways, void);

static void leave_forks(int n)
{
	for (int i = 0; i < n; i++)
		(void)tz_fork(touch, i);
}
TZ_TASK(void, leave_forks, int);

static int fail_in_fork(int n)
{
	return n == 7 ? tz_fail(-EDOM, "seven") : n;
}
TZ_TASK(int, fail_in_fork, int);

static int fork_what_fails(void)
{
	fail_in_fork_fork f[16];
	int sum = 0;

	for (int i = 0; i < 16; i++)
		f[i] = tz_fork(fail_in_fork, i);
	for (int i = 15; i >= 0; i--)
		sum += tz_join(f[i]);
	return sum;
}
TZ_TASK(int, fork_what_fails, void);

static void forks_in_all_ways(struct subject *s)
{
	atomic_store(&touched, 0);
	check(int, 85344, fork_in_all_ways);
	assert_int_equal(atomic_load(&touched), 65);
}

static void joins_what_a_job_left(struct subject *s)
{
	int r;

	atomic_store(&touched, 0);
	bounded(r, tz_result(tz_submit(s->ex, leave_forks, 100), NULL));
	assert_int_equal(r, 0);
	assert_int_equal(atomic_load(&touched), 100);
	check(long, 610, fib_forked, 15);
}

static void fork_fails_its_job(struct subject *s)
{
	for (int i = 0; i < 20; i++) {
		fork_what_fails_future f = tz_submit(s->ex, fork_what_fails);

		assert_outcome(f, TZ_FAILED, -EDOM);
		assert_int_equal(tz_detach(f), 0);
	}
}

/* --- whose stack -------------------------------------------------------------------------------------------------------------- */

static _Thread_local int waits_here;
static atomic_int foreign, strangers_run;

static void be_foreign(void)
{
	if (waits_here)
		atomic_fetch_add(&foreign, 1);
	atomic_fetch_add(&strangers_run, 1);
}
TZ_TASK(void, be_foreign, void);

static int be_waited_for(struct gate *g)
{
	(void)pass(g);
	return 3;
}
TZ_TASK(int, be_waited_for, struct gate *);

static int wait_among_strangers(struct gate *g)
{
	int got = 0;
	be_waited_for_future f = tz_submit(tz_executor_current(), be_waited_for, g);

	for (int i = 0; i < 100; i++)
		(void)tz_detach(tz_submit(tz_executor_current(), be_foreign));
	waits_here++;
	int r = tz_result(f, &got);

	waits_here--;
	return r < 0 ? tz_fail(r, "tz_result") : got;
}
TZ_TASK(int, wait_among_strangers, struct gate *);

static void runs_nothing_foreign_while_it_waits(struct subject *s)
{
	struct gate g = { .open = can(s, TZ_CAN_RUN_AT_SUBMIT) };

	atomic_store(&foreign, 0);
	atomic_store(&strangers_run, 0);
	wait_among_strangers_future f[3];

	for (int i = 0; i < 3; i++)
		f[i] = tz_submit(s->ex, wait_among_strangers, &g);
	until(atomic_load(&g.waiting) || atomic_load(&g.open));
	atomic_store(&g.open, 1);
	for (int i = 0; i < 3; i++) {
		settle(f[i]);
		assert_int_equal(tz_result(f[i], NULL), 0);
	}
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(atomic_load(&strangers_run), 300);
	assert_int_equal(atomic_load(&foreign), 0);
}

/* A lock of the caller, taken around a wait: were a foreign job run on this stack, it would wait for itself. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int one(void)
{
	return 1;
}
TZ_TASK(int, one, void);

static int wait_under_a_lock(void)
{
	int got = 0;

	tz_blocking_begin();
	int locked = pthread_mutex_lock(&lock);

	tz_blocking_end();
	if (locked)
		return tz_fail(-locked, "pthread_mutex_lock");
	int r = tz_result(tz_submit(tz_executor_current(), one), &got);

	(void)pthread_mutex_unlock(&lock);
	return r < 0 ? tz_fail(r, "tz_result") : got;
}
TZ_TASK(int, wait_under_a_lock, void);

static void may_wait_under_a_lock(struct subject *s)
{
	wait_under_a_lock_future f[40];

	for (int i = 0; i < 40; i++)
		f[i] = tz_submit(s->ex, wait_under_a_lock);
	for (int i = 0; i < 40; i++) {
		int got = 0;

		settle(f[i]);
		assert_int_equal(tz_result(f[i], &got), 0);
		assert_int_equal(got, 1);
	}
}

/* --- blocking ------------------------------------------------------------------------------------------------------------------- */

static int block_until(struct gate *g)
{
	int r;

	tz_blocking_begin();
	tz_blocking_begin(); /* they nest */
	r = pass(g);
	tz_blocking_end();
	tz_blocking_end();
	return r;
}
TZ_TASK(int, block_until, struct gate *);

static void open_gate(struct gate *g)
{
	atomic_store(&g->open, 1);
}
TZ_TASK(void, open_gate, struct gate *);

static void lets_another_stand_in_for_a_blocked_one(struct subject *s)
{
	struct gate g = { 0 };
	block_until_future f[8];

	for (int i = 0; i < 8; i++)
		f[i] = tz_submit(s->ex, block_until, &g);
	open_gate_future o = tz_submit(s->ex, open_gate,
				       &g); /* behind eight that block on at most four workers */

	settle(o);
	assert_int_equal(tz_detach(o), 0);
	for (int i = 0; i < 8; i++) {
		settle(f[i]);
		assert_int_equal(tz_result(f[i], NULL), 0);
	}
}

/* --- two executors ---------------------------------------------------------------------------------------------------------------- */

static tz_executor *other;

static int ping(int n);
TZ_TASK(int, ping, int);
static int pong(tz_executor *back, int n);
TZ_TASK(int, pong, tz_executor *, int);
static int ping(int n)
{
	int got = 0;

	if (n == 0)
		return 0;
	return tz_result(tz_submit(other, pong, tz_executor_current(), n), &got) < 0
		       ? tz_fail(-EIO, "pong")
		       : got + 1;
}
static int pong(tz_executor *back, int n)
{
	int got = 0;

	return tz_result(tz_submit(back, ping, n - 1), &got) < 0 ? tz_fail(-EIO, "ping") : got + 1;
}

static void waits_across_executors(struct subject *s)
{
	assert_int_equal(tz_executor_open(&other, "threads:1"), 0);
	check(int, 40, ping, 20);
	tz_executor_close(other);
}

static const struct conformance_case cases[] = {
	CASE("jobs wait for jobs, 64 and 300 deep", nests_deeply),
	CASE("jobs wait for jobs with a deadline, 64 deep", nests_deeply_with_deadlines),
	CASE("jobs wait for many jobs", nests_widely),
	CASE("fork and join", forks),
	SHARING("forks joined out of order, and too large ones", forks_in_all_ways),
	SHARING("forks that a job left are joined at its end", joins_what_a_job_left),
	CASE("a failure in a fork is the job's", fork_fails_its_job),
	{ "a wait runs nothing foreign", runs_nothing_foreign_while_it_waits, TZ_CAN_SHARE_MEMORY, TZ_CAN_SUSPEND, 0 },
	{ "a job may wait under a lock of its own", may_wait_under_a_lock, 0, TZ_CAN_SUSPEND, 0 },
	{ "another worker stands in for a blocked one", lets_another_stand_in_for_a_blocked_one, TZ_CAN_SHARE_MEMORY,
	  TZ_CAN_RUN_AT_SUBMIT | TZ_CAN_SUSPEND, 0 },
	CASE("jobs of two executors wait for each other", waits_across_executors),
};

int main(void)
{
	return RUN_CASES("nest", cases);
}
