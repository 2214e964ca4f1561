/* Executors whose jobs do not see the memory of who submits them: what goes there and comes back, what is refused, and what becomes of jobs whose
 * workers die. */
#include "conformance.h"

#include <signal.h>
#include <unistd.h>

static int count; /* each process has its own */

static int count_up(void)
{
	return ++count;
}
TZ_TASK(int, count_up, void);

static long own_pid(void)
{
	return (long)getpid();
}
TZ_TASK(long, own_pid, void);

static int twice(int n)
{
	return 2 * n;
}
TZ_TASK(int, twice, int);

static char *join(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	char *both = malloc(n + m + 1);

	if (both) {
		memcpy(both, a, n);
		memcpy(both + n, b, m + 1);
	}
	return both;
}
TZ_TASK(char *, join, const char *, const char *);

static const char *name_of(int n)
{
	return n ? "one" : "none";
}
TZ_TASK(const char *, name_of, int);

static size_t length(const char *s)
{
	return s ? strlen(s) : (size_t)-1;
}
TZ_TASK(size_t, length, const char *);

static int take_pointer(int *p)
{
	return *p;
}
TZ_TASK(int, take_pointer, int *);

static int end_by(int signal_number)
{
	return signal_number ? raise(signal_number) : tz_fail(-EDOM, "in words");
}
TZ_TASK(int, end_by, int);

static void jobs_have_memory_of_their_own(struct subject *s)
{
	long pid = 0;
	int got = 0, r;

	count = 1000;
	bounded(r, tz_result(tz_submit(s->ex, count_up), &got));
	assert_int_equal(r, 0);
	assert_in_range(got, 1, 999);
	assert_int_equal(count, 1000);
	bounded(r, tz_result(tz_submit(s->ex, own_pid), &pid));
	assert_int_equal(r, 0);
	assert_int_not_equal(pid, getpid());
}

static void strings_go_by_content(struct subject *s)
{
	static char big[300000];
	char text[] = "to be changed", *both = NULL;
	const char *name = NULL, *again = NULL;
	size_t n = 0;
	int r;

	join_future f = tz_submit(s->ex, join, text, "!");

	memset(text, 'x', sizeof text - 1); /* it was copied */
	bounded(r, tz_result(f, &both));
	assert_int_equal(r, 0);
	assert_string_equal(both, "to be changed!");
	free(both);
	bounded(r, tz_result(tz_submit(s->ex, name_of, 1), &name));
	bounded(r, tz_result(tz_submit(s->ex, name_of, 1), &again));
	assert_int_equal(r, 0);
	assert_string_equal(name, "one");
	assert_ptr_equal(name, again); /* kept once */
	memset(big, 'y', sizeof big - 1);
	bounded(r, tz_result(tz_submit(s->ex, length, big), &n));
	assert_int_equal(r, 0);
	assert_int_equal(n, sizeof big - 1);
	bounded(r, tz_result(tz_submit(s->ex, length, NULL), &n));
	assert_int_equal(n, (size_t)-1);
}

static void strings_go_in_maps(struct subject *s)
{
	const char *a[40], *b[40];
	char *out[40];
	int r;

	for (int i = 0; i < 40; i++) {
		a[i] = i % 2 ? "odd" : "even";
		b[i] = i % 3 ? "" : ", and a multiple of three";
	}
	bounded(r, tz_map(s->ex, join, 40, out, a, b));
	assert_int_equal(r, 0);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(strncmp(out[i], a[i], strlen(a[i])), 0);
		assert_string_equal(out[i] + strlen(a[i]), b[i]);
		free(out[i]);
	}
}

static void count_range(size_t lo, size_t hi, void *arg)
{
	*(int *)arg += (int)(hi - lo);
}

static void refuses_pointers(struct subject *s)
{
	int here = 1, r;
	take_pointer_future f = tz_submit(s->ex, take_pointer, &here);
	tz_outcome o;

	assert_int_equal(tz_done(f), 1);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_int_equal(o.status, TZ_FAILED);
	assert_int_equal(o.code, -ENOTSUP);
	assert_string_equal(o.task, "take_pointer");
	assert_non_null(strstr(o.message, "argument 1"));
	assert_int_equal(tz_detach(f), 0);
	bounded(r, tz_for_range(s->ex, NULL, 0, 10, count_range, &here));
	assert_int_equal(r, -ENOTSUP);
	assert_int_equal(here, 1);
}

static char plain[] = "plain", excited[] = "excited";
static tz_context_var mood = TZ_CONTEXT_VAR(plain, NULL);

static int is_plain(void)
{
	return tz_context_get(&mood) == plain;
}
TZ_TASK(int, is_plain, void);

static void contexts_stay_at_home(struct subject *s)
{
	int r, got = 0;

	tz_with_context(&mood, excited)
	{
		assert_int_equal(is_plain(), 0);
		bounded(r, tz_result(tz_submit(s->ex, is_plain), &got));
		assert_int_equal(r, 0);
		assert_int_equal(got, 1);
	}
}

static void a_crash_is_one_job(struct subject *s)
{
	twice_future f[30];
	tz_outcome o;
	int got;

	end_by_future crash = tz_submit(s->ex, end_by, SIGKILL), fail = tz_submit(s->ex, end_by, 0);

	for (int i = 0; i < 30; i++)
		f[i] = tz_submit(s->ex, twice, i);
	settle(crash);
	assert_int_equal(tz_outcome_of(crash, &o), 0);
	assert_int_equal(o.status, TZ_CRASHED);
	assert_int_equal(o.signal, SIGKILL);
	assert_true(o.worker >= 0);
	assert_string_equal(o.task, "end_by");
	assert_int_equal(tz_detach(crash), 0);
	assert_outcome(fail, TZ_FAILED, -EDOM);
	assert_int_equal(tz_detach(fail), 0);
	for (int i = 0; i < 30; i++) {
		settle(f[i]);
		assert_int_equal(tz_result(f[i], &got), 0);
		assert_int_equal(got, 2 * i);
	}
}

static int crash_at_7(int n)
{
	return n == 7 ? raise(SIGKILL) : n;
}
TZ_TASK(int, crash_at_7, int);

static void a_crash_is_one_element(struct subject *s)
{
	tz_map_options all = { .policy = TZ_MAP_ALL };
	int in[100], out[100], r;

	for (int i = 0; i < 100; i++) {
		in[i] = i;
		out[i] = -1;
	}
	bounded(r, tz_map_with(s->ex, &all, crash_at_7, 100, out, in));
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(tz_last()->status, TZ_CRASHED);
	assert_int_equal(tz_last()->signal, SIGKILL);
	for (int i = 0; i < 100; i++)
		assert_int_equal(out[i], i == 7 ? -1 : i);
}

static int spin_at_7(int n)
{
	while (n == 7)
		(void)tz_now();
	return n;
}
TZ_TASK(int, spin_at_7, int);

/* A scope whose deadline comes ends what would never end. */
static void a_deadline_ends_a_map_and_a_call(struct subject *s)
{
	enum { N = 20 };
	tz_outcome outcomes[N];
	tz_map_options all = { .policy = TZ_MAP_ALL, .outcomes = outcomes };
	int in[N], out[N], r = 0;

	for (int i = 0; i < N; i++)
		in[i] = i;
	TZ_TIMEOUT(0.1)
		r = tz_map(s->ex, spin_at_7, N, out, in);
	assert_int_equal(r, -ETIMEDOUT);
	TZ_TIMEOUT(0.1)
		r = tz_map_with(s->ex, &all, spin_at_7, N, out, in);
	assert_int_equal(r, -ETIMEDOUT);
	assert_in_range(outcomes[7].status, TZ_CANCELLED, TZ_TIMED_OUT); /* it may not have begun */
	TZ_TIMEOUT(0.1)
		r = tz_apply(s->ex, &out[0], spin_at_7, 7);
	assert_int_equal(r, -ETIMEDOUT);
	TZ_TIMEOUT(0)
		r = tz_apply(s->ex, &out[0], spin_at_7, 6);
	assert_int_equal(r, -ETIMEDOUT);
	bounded(r, tz_apply(s->ex, &out[0], spin_at_7, 6)); /* there is a worker again */
	assert_int_equal(r, 0);
}

static void cancel_later(tz_scope *scope)
{
	(void)tz_sleep(0.1);
	tz_scope_cancel(scope);
}
TZ_TASK(void, cancel_later, tz_scope *);

static void a_cancel_ends_a_map_that_is_to_be_killed(struct subject *s)
{
	tz_map_options kill = { .chunk = 1, .submit.kill = true };
	int in[2] = { 7, 8 }, out[2], r = 0;
	tz_executor *threads;

	assert_int_equal(tz_executor_open(&threads, "threads:1"), 0);
	TZ_SCOPE(scope) {
		tz_detach(tz_submit(threads, cancel_later, &scope));
		r = tz_map_with(s->ex, &kill, spin_at_7, 2, out, in);
		tz_executor_close(threads);
	}
	assert_int_equal(r, -ECANCELED);
}

static int nap(double seconds)
{
	return tz_sleep(seconds);
}
TZ_TASK(int, nap, double);

static void wakes_what_is_cancelled(struct subject *s)
{
	nap_future f = tz_submit(s->ex, nap, (double)CREW_PATIENCE);
	int got = 0;

	until(tz_running(f) == 1);
	(void)tz_sleep(0.01);
	assert_in_range(tz_cancel(f), 0, 1);
	settle(f);
	if (tz_result(f, &got) == 0)
		assert_int_equal(got, -ECANCELED);
	else
		assert_int_equal(tz_last()->status, TZ_CANCELLED); /* it had not begun yet */
}

static void cancels_what_waits(struct subject *s)
{
	nap_future f[10];

	for (int i = 0; i < 10; i++)
		f[i] = tz_submit(s->ex, nap, (double)CREW_PATIENCE);
	for (int i = 9; i >= 0; i--)
		assert_in_range(tz_cancel(f[i]), 0, 1);
	for (int i = 9; i >= 0; i--) {
		settle(f[i]);
		assert_int_equal(tz_detach(f[i]), 0);
	}
}

static int chatter(int n)
{
	nap_future f = tz_spawn(nap, 0.001);
	int got = -1;

	(void)tz_result(f, &got);
	return tz_executor_current() && tz_worker_index() >= 0 && got == 0 ? n : -n;
}
TZ_TASK(int, chatter, int);

static void jobs_may_spawn_inside(struct subject *s)
{
	int got = 0, r;

	bounded(r, tz_result(tz_submit(s->ex, chatter, 5), &got));
	assert_int_equal(r, 0);
	assert_int_equal(got, 5);
}

static void limits_its_queue(struct subject *s)
{
	tz_executor *ex = open_another(
		s, &(tz_executor_options){ .workers = 1, .queue_limit = 2, .full = TZ_FULL_FAIL });
	nap_future first = tz_submit(ex, nap, (double)CREW_PATIENCE), f[10];
	tz_outcome o;
	int full = 0;

	for (int i = 0; i < 10; i++)
		f[i] = tz_submit(ex, nap, 0.0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(tz_outcome_of(f[i], &o), 0);
		full += o.status == TZ_FAILED && o.code == -EAGAIN;
	}
	assert_in_range(full, 7, 8);
	assert_in_range(tz_cancel(first), 0, 1);
	for (int i = 0; i < 10; i++) {
		settle(f[i]);
		assert_int_equal(tz_detach(f[i]), 0);
	}
	assert_int_equal(tz_detach(first), 0);
	tz_executor_close(ex);
}

static tz_executor *narrow;

static void *submit_many(void *unused)
{
	int got = 0;

	(void)unused;
	for (int i = 0; i < 100; i++) {
		twice_future f[5];

		for (int k = 0; k < 5; k++)
			f[k] = tz_submit(narrow, twice, i + k);
		for (int k = 0; k < 5; k++) {
			must(tz_wait(f[k], soon()) == 0);
			must(tz_result(f[k], &got) == 0 && got == 2 * (i + k));
		}
	}
	return NULL;
}

static void waits_for_room(struct subject *s)
{
	struct crew crew = { 0 };

	narrow = open_another(s, &(tz_executor_options){ .queue_limit = 1 });
	for (int i = 0; i < 4; i++)
		crew_add(&crew, submit_many, NULL);
	crew_join(&crew);
	tz_executor_close(narrow);
}

static void goes_down_when_idle(struct subject *s)
{
	tz_executor *ex =
		open_another(s, &(tz_executor_options){ .min_workers = 1, .idle_seconds = 0.02 });
	nap_future f[2];
	tz_executor_stats stats;
	int got = 0, r;

	for (int i = 0; i < 2; i++)
		f[i] = tz_submit(ex, nap, 0.05);
	for (int i = 0; i < 2; i++) {
		settle(f[i]);
		assert_int_equal(tz_detach(f[i]), 0);
	}
	for (tz_deadline end = soon(); tz_executor_stats_of(ex, &stats), stats.workers > 1;
	     (void)tz_sleep(0.001))
		assert_false(tz_expired(end));
	bounded(r, tz_result(tz_submit(ex, twice, 4), &got));
	assert_int_equal(r, 0);
	assert_int_equal(got, 8);
	tz_executor_close(ex);
}

#define APART(title, run) \
	{ \
		title, run, 0, TZ_CAN_SHARE_MEMORY, 0 \
	}

int main(void)
{
	static const struct conformance_case cases[] = {
		APART("jobs have memory of their own", jobs_have_memory_of_their_own),
		APART("strings go by content, and come back", strings_go_by_content),
		APART("strings go in maps, too", strings_go_in_maps),
		APART("pointers are refused at submit, in words", refuses_pointers),
		APART("context variables have their initial values", contexts_stay_at_home),
		{ "a crash is the end of one job", a_crash_is_one_job, TZ_CAN_SURVIVE_CRASH,
		  TZ_CAN_SHARE_MEMORY, 0 },
		{ "a crash is the end of one element of a map", a_crash_is_one_element,
		  TZ_CAN_SURVIVE_CRASH, TZ_CAN_SHARE_MEMORY, 0 },
		{ "a deadline ends a map and a call that would never end",
		  a_deadline_ends_a_map_and_a_call, TZ_CAN_KILL, TZ_CAN_SHARE_MEMORY, 0 },
		{ "a cancel does so if it is to kill", a_cancel_ends_a_map_that_is_to_be_killed,
		  TZ_CAN_KILL, TZ_CAN_SHARE_MEMORY, 0 },
		APART("what waits inside is woken by a cancel", wakes_what_is_cancelled),
		APART("what has not begun is cancelled", cancels_what_waits),
		APART("jobs may spawn inside", jobs_may_spawn_inside),
		{ "the queue has a limit", limits_its_queue, TZ_CAN_LIMIT_QUEUE,
		  TZ_CAN_SHARE_MEMORY, 0 },
		{ "a submit waits for room", waits_for_room, TZ_CAN_LIMIT_QUEUE,
		  TZ_CAN_SHARE_MEMORY, 0 },
		{ "idle workers end", goes_down_when_idle, TZ_CAN_SHRINK, TZ_CAN_SHARE_MEMORY, 0 },
	};

	return RUN_CASES("apart", cases);
}
