/* Cancelling, scopes, and the ways in which a job can fail. */
#include "calls.h"

#include <poll.h>
#include <unistd.h>

/* --- cancelling a job --------------------------------------------------------------------------------------------------- */

static void cancels_what_has_not_begun(struct subject *s)
{
	struct gate g = { 0 };
	hold_future first = tz_submit(s->ex, hold, &g);
	count_call_future f[20];

	until(atomic_load(&g.waiting));
	atomic_store(&calls, 0);
	for (int i = 0; i < 20; i++)
		f[i] = tz_submit(s->ex, count_call);
	for (int i = 0; i < 20; i++)
		assert_int_equal(tz_cancel(f[i]), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(tz_done(f[i]), 1); /* at once */
		assert_outcome(f[i], TZ_CANCELLED, -ECANCELED);
		assert_int_equal(tz_cancel(f[i]), -EALREADY);
		assert_int_equal(tz_result(f[i], NULL), -EREMOTEIO);
	}
	atomic_store(&g.open, 1);
	settle(first);
	assert_int_equal(tz_result(first, NULL), 0);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(atomic_load(&calls), 0);
}

static void asks_what_runs(struct subject *s)
{
	struct gate g = { 0 };
	hold_future f = tz_submit(s->ex, hold, &g);

	until(atomic_load(&g.waiting));
	assert_int_equal(tz_cancel(f), 1);
	assert_int_equal(tz_cancel(f) == 1 || tz_done(f) == 1, 1); /* twice is legal */
	assert_outcome(f, TZ_CANCELLED, -ECANCELED);
	assert_int_equal(tz_detach(f), 0);
}

static void wakes_what_waits(struct subject *s)
{
	sleep_long_future f = tz_submit(s->ex, sleep_long);

	until(tz_running(f) == 1);
	assert_int_equal(tz_cancel(f), 1);
	assert_outcome(f, TZ_CANCELLED, -ECANCELED);
	assert_int_equal(tz_detach(f), 0);
}

static void lets_a_result_beat_a_cancel(struct subject *s)
{
	struct gate g = { 0 };
	hold_deaf_future f = tz_submit(s->ex, hold_deaf, &g);
	int got = 0;

	until(atomic_load(&g.waiting));
	assert_int_equal(tz_cancel(f), 1);
	atomic_store(&g.open, 1);
	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 7);
}

static void refuses_to_cancel_what_has_ended(struct subject *s)
{
	count_call_future f = tz_submit(s->ex, count_call);

	settle(f);
	assert_int_equal(tz_cancel(f), -EALREADY);
	assert_int_equal(tz_result(f, NULL), 0);
}

static void *wait_for_future(void *future)
{
	must(tz_wait_all((hold_future *)future, 1, soon()) == 0);
	return NULL;
}

static void wakes_who_waits_for_what_is_cancelled(struct subject *s)
{
	struct gate g = { 0 };
	hold_future first = tz_submit(s->ex, hold, &g), pending[8];
	tz_completed *c;
	struct crew crew = { .count = 0 };

	until(atomic_load(&g.waiting));
	for (int i = 0; i < 8; i++)
		pending[i] = tz_submit(s->ex, hold, &g);
	crew_add(&crew, wait_for_future, &pending[7]);
	assert_int_equal(tz_as_completed(&c, pending, 8), 0);
	for (int i = 0; i < 8; i++)
		assert_true(tz_cancel(pending[i]) >= 0);
	for (int i = 0; i < 8; i++)
		assert_true(tz_completed_next(c, soon()) >= 0);
	tz_completed_close(c);
	crew_join(&crew);
	atomic_store(&g.open, 1);
	settle(first);
	assert_int_equal(tz_gather_all(pending, 8), -EREMOTEIO);
	assert_int_equal(tz_detach(first), 0);
}

static void note_inside(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)outcome, (void)result;
	atomic_store((_Atomic(pthread_t) *)arg, pthread_self());
}

static void calls_back_outside_of_the_cancel(struct subject *s)
{
	static _Atomic(pthread_t) caller;
	struct gate g = { 0 };
	hold_future first = tz_submit(s->ex, hold, &g), f;

	until(atomic_load(&g.waiting));
	f = tz_submit_with(s->ex, &(tz_submit_options){ .priority = TZ_PRIORITY_LOW }, hold, &g);
	atomic_store(&caller, 0);
	assert_int_equal(tz_on_done(f, note_inside, (void *)&caller), 0);
	assert_true(tz_cancel(f) >= 0);
	until(atomic_load(&caller) != 0);
	assert_false(pthread_equal(atomic_load(&caller), pthread_self()));
	atomic_store(&g.open, 1);
	settle(first);
	assert_int_equal(tz_detach(first), 0);
	assert_int_equal(tz_detach(f), 0);
}

/* --- failing ---------------------------------------------------------------------------------------------------------------- */

static int fail_twice(void)
{
	if (tz_fail(-ENOENT, "first %d", 1) != -ENOENT || tz_fail(-EDOM, "second") != -EDOM)
		return 1;
	return 2;
}
TZ_TASK(int, fail_twice, void);

static int fail_with_zero(void)
{
	return tz_fail(0, NULL);
}
TZ_TASK(int, fail_with_zero, void);

static int fail_at_length(void)
{
	return tz_fail(-E2BIG, "%0500d", 1);
}
TZ_TASK(int, fail_at_length, void);

static void first_failure_wins(struct subject *s)
{
	fail_twice_future f = tz_submit(s->ex, fail_twice);
	tz_outcome o;

	assert_outcome(f, TZ_FAILED, -ENOENT);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_string_equal(o.message, "first 1");
	assert_int_equal(tz_detach(f), 0);
}

static void zero_is_no_code(struct subject *s)
{
	fail_with_zero_future f = tz_submit(s->ex, fail_with_zero);

	assert_outcome(f, TZ_FAILED, -EINVAL);
	assert_int_equal(tz_detach(f), 0);
	assert_int_equal(tz_fail(-EDOM, "outside"), -EINVAL);
}

static void cuts_long_messages(struct subject *s)
{
	fail_at_length_future f = tz_submit(s->ex, fail_at_length);
	tz_outcome o;

	assert_outcome(f, TZ_FAILED, -E2BIG);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_int_equal(strlen(o.message), TZ_MESSAGE_MAX - 1);
	assert_int_equal(tz_detach(f), 0);
}

static void leave_the_thread(void)
{
	pthread_exit(NULL);
}
TZ_TASK(void, leave_the_thread, void);

static void survives_pthread_exit(struct subject *s)
{
	int r;

	for (int i = 0; i < 6; i++) {
		leave_the_thread_future f = tz_submit(s->ex, leave_the_thread);

		assert_outcome(f, TZ_CRASHED, -ECANCELED);
		assert_int_equal(tz_detach(f), 0);
	}
	atomic_store(&calls, 0);
	bounded(r, tz_result(tz_submit(s->ex, count_call), NULL));
	assert_int_equal(r, 0);
	assert_int_equal(atomic_load(&calls), 1);
}

static void *submit_what_leaves(void *arg)
{
	struct subject *s = arg;

	(void)tz_submit(s->ex, leave_the_thread);
	must(!"the thread is gone");
	return NULL;
}

/* On the caller's stack, it is the caller's thread that ends. */
static void pthread_exit_ends_the_caller(struct subject *s)
{
	struct crew crew = { .count = 0 };
	tz_executor_stats stats;

	crew_add(&crew, submit_what_leaves, s);
	crew_join(&crew);
	tz_executor_stats_of(s->ex, &stats);
	assert_int_equal(stats.running, 0);
	assert_int_equal(stats.completed, 1);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
}

static struct {
	leave_the_thread_future inner;
	atomic_int ends;
} dragging;

static void note_an_end(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)arg, (void)outcome, (void)result;
	atomic_fetch_add(&dragging.ends, 1);
}

/* Waits for a job that takes its thread along. If that runs on this stack, this job has to go, too. */
static int wait_for_what_leaves(void)
{
	dragging.inner = tz_submit(tz_executor_current(), leave_the_thread);
	must(tz_on_done(dragging.inner, note_an_end, NULL) == 0);
	return tz_wait(dragging.inner, tz_never());
}
TZ_TASK(int, wait_for_what_leaves, void);

static int wait_for_who_waits(void)
{
	int r = -1;

	(void)tz_result(tz_submit(tz_executor_current(), wait_for_what_leaves), &r);
	return tz_last()->status == TZ_OK ? r : tz_last()->code;
}
TZ_TASK(int, wait_for_who_waits, void);

static void pthread_exit_on_a_waiters_stack(struct subject *s)
{
	for (int i = 0; i < 6; i++) {
		tz_outcome o;

		atomic_store(&dragging.ends, 0);
		wait_for_who_waits_future f = tz_submit(s->ex, wait_for_who_waits);

		assert_int_equal(tz_on_done(f, note_an_end, NULL), 0);
		settle(f);
		settle(dragging.inner);
		assert_int_equal(tz_outcome_of(dragging.inner, &o), 0);
		assert_int_equal(o.status, TZ_CRASHED);
		assert_string_equal(o.message, "left by pthread_exit or a thread cancellation");
		assert_int_equal(tz_outcome_of(f, &o), 0);
		if (o.status == TZ_OK) { /* it ran elsewhere */
			assert_string_not_equal(s->spec, "threads:1");
		} else {
			assert_int_equal(o.status, TZ_CRASHED);
			assert_int_equal(o.code, -ECANCELED);
			assert_string_equal(o.message, "its thread was ended by leave_the_thread, "
						       "which it waited for");
		}
		until(atomic_load(&dragging.ends) == 2); /* each ended once */
		assert_int_equal(tz_detach(f), 0);
		assert_int_equal(tz_detach(dragging.inner), 0);
	}
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(atomic_load(&dragging.ends), 2);
}

/* --- scopes ------------------------------------------------------------------------------------------------------------------- */

static void scope_waits_for_what_it_owns(struct subject *s)
{
	atomic_store(&calls, 0);
	TZ_SCOPE(scope) {
		for (int i = 0; i < 50; i++)
			(void)tz_scope_submit(&scope, s->ex, count_call);
	}
	assert_int_equal(atomic_load(&calls), 50);
}

static void scope_releases_what_it_owns(struct subject *s)
{
	count_call_future owned = { 0 }, used = { 0 };
	int r = -1;

	TZ_SCOPE(scope) {
		owned = tz_scope_submit(&scope, s->ex, count_call);
		used = tz_scope_submit(&scope, s->ex, count_call);
		r = tz_result(used, NULL); /* the scope's job is then done for it */
	}
	assert_int_equal(r, 0);
	assert_int_equal(tz_done(owned), -ESTALE);
	assert_int_equal(tz_done(used), -ESTALE);
}

static int leave_by_return(struct subject *s)
{
	TZ_SCOPE(scope) {
		(void)tz_scope_submit(&scope, s->ex, count_call);
		return 5;
	}
	return 6;
}

static void scope_is_left_by_any_way(struct subject *s)
{
	atomic_store(&calls, 0);
	assert_int_equal(leave_by_return(s), 5);
	assert_int_equal(atomic_load(&calls), 1);
	TZ_SCOPE(scope) {
		(void)tz_scope_submit(&scope, s->ex, count_call);
		break;
	}
	assert_int_equal(atomic_load(&calls), 2);
	TZ_SCOPE(scope) {
		(void)tz_scope_submit(&scope, s->ex, count_call);
		goto out;
	}
out:
	assert_int_equal(atomic_load(&calls), 3);
	for (int i = 0; i < 3; i++) {
		TZ_SCOPE(scope) {
			(void)tz_scope_submit(&scope, s->ex, count_call);
			continue; /* leaves the block, not the loop */
		}
	}
	assert_int_equal(atomic_load(&calls), 6);
	assert_int_equal(tz_interrupted(), 0);
}

static void scope_tells_of_a_failure(struct subject *s)
{
	tz_scope scope = { 0 };

	tz_scope_enter(&scope, tz_never());
	(void)tz_scope_submit(&scope, s->ex, count_call);
	(void)tz_scope_submit(&scope, s->ex, fail_twice);
	(void)tz_scope_submit(&scope, s->ex, fail_with_zero);
	int r = tz_scope_leave(&scope);

	assert_int_equal(r, -EREMOTEIO);
	assert_string_equal(tz_last()->task, "fail_twice");
}

static void scope_cancels_at_its_deadline(struct subject *s)
{
	tz_scope scope = { 0 };

	tz_scope_enter(&scope, tz_after(0.02));
	for (int i = 0; i < 6; i++)
		(void)tz_scope_submit(&scope, s->ex, sleep_long);
	assert_int_equal(tz_scope_leave(&scope), -ETIMEDOUT);
	assert_int_equal(tz_interrupted(), 0);
}

static void *cancel_scope(void *scope)
{
	tz_scope_cancel(scope);
	return NULL;
}

static void scope_can_be_cancelled_from_elsewhere(struct subject *s)
{
	tz_scope scope = { 0 };
	struct crew crew = { .count = 0 };
	struct gate g = { 0 };

	tz_scope_enter(&scope, tz_never());
	for (int i = 0; i < 6; i++)
		(void)tz_scope_submit(&scope, s->ex, hold, &g);
	crew_add(&crew, cancel_scope, &scope);
	int slept = tz_sleep(CREW_PATIENCE), again = tz_sleep(CREW_PATIENCE); /* level-triggered */
	int seen = tz_interrupted();

	crew_join(&crew);
	assert_int_equal(tz_scope_leave(&scope), -ECANCELED);
	assert_int_equal(slept, -ECANCELED);
	assert_int_equal(again, -ECANCELED);
	assert_int_equal(seen, -ECANCELED);
	assert_int_equal(tz_interrupted(), 0);
	assert_int_equal(atomic_load(&g.waiting), 0);
}

static void timeouts_nest(struct subject *s)
{
	int inner = 0, outer = 0, after = 0;

	(void)s;
	TZ_TIMEOUT(0.02) {
		TZ_SCOPE(free)
			inner = tz_sleep(
				CREW_PATIENCE); /* the inner scope is no longer than the outer one */
		outer = tz_sleep(CREW_PATIENCE);
	}
	after = tz_sleep(0);
	assert_int_equal(inner, -ETIMEDOUT);
	assert_int_equal(outer, -ETIMEDOUT);
	assert_int_equal(after, 0);
}

/* A pipe that nothing is written to, or a word that nobody changes. */
static int wait_for_nothing(int fd)
{
	static const uint32_t word;
	int r;

	if (fd >= 0)
		return tz_wait_fd(fd, POLLIN, tz_never());
	while ((r = tz_wait_word(&word, 0, tz_never())) == 0)
		; /* it may have changed */
	return r;
}
TZ_TASK(int, wait_for_nothing, int);

/* The scope knows what it has ended: those who go by that see it. */
static int is_told_of_the_wait(int fd)
{
	tz_scope s = { 0 };
	int waited, left, got = 0;

	tz_scope_enter(&s, tz_after(0.005));
	waited = wait_for_nothing(fd);
	left = tz_scope_leave(&s);
	CHECK(waited == -ETIMEDOUT && left == -ETIMEDOUT);
	tz_scope_enter(&s, tz_never());
	tz_scope_cancel(&s);
	waited = wait_for_nothing(fd);
	left = tz_scope_leave(&s);
	CHECK(waited == -ECANCELED && left == -ECANCELED);
	CHECK(tz_wait_for(0.005, &got, wait_for_nothing, fd) == -ETIMEDOUT);
	CHECK(got == -ETIMEDOUT || got == 0); /* it may have been late before the call */
	CHECK(tz_interrupted() == 0);
	return 0;
}
TZ_TASK(int, is_told_of_the_wait, int);

static void scopes_are_told_of_each_wait(struct subject *s)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	for (int i = 0; i < 2; i++) {
		is_told_of_the_wait_future f = tz_submit(s->ex, is_told_of_the_wait, i ? -1 : ends[0]);

		settle(f);
		if (tz_result(f, NULL) < 0)
			fail_msg("%s", tz_last()->message);
	}
	assert_int_equal(is_told_of_the_wait(ends[0]), 0);
	assert_int_equal(is_told_of_the_wait(-1), 0);
	close(ends[0]);
	close(ends[1]);
}

/* What is told of a wait without an answer is not what the wait before it met. */
static void a_wait_without_an_answer_is_told(struct subject *s)
{
	struct gate g = { 0 };
	hold_future f;
	int r = 0;

	assert_int_equal(tz_result(tz_submit(s->ex, count_call), NULL), 0);
	f = tz_submit(s->ex, hold, &g);
	TZ_TIMEOUT(0.02)
		r = tz_result(f, NULL);
	assert_int_equal(r, -ETIMEDOUT);
	assert_int_equal(tz_last()->status, TZ_PENDING);
	assert_int_equal(tz_last()->code, -ETIMEDOUT);
	assert_string_equal(tz_last()->task, "hold");
	assert_non_null(strstr(tz_last()->message, "deadline"));
	atomic_store(&g.open, 1);
	settle(f);
	assert_int_equal(tz_result(f, NULL), 0);
	assert_int_equal(tz_result(f, NULL), -ESTALE);
	assert_int_equal(tz_last()->status, TZ_PENDING);
	assert_int_equal(tz_last()->code, -ESTALE);
}

static int wait_in_a_scope(tz_executor *ex)
{
	int r = 0;

	TZ_TIMEOUT(0.02)
		r = tz_result(tz_scope_submit(&tz__timeout, ex, sleep_long), NULL);
	/* The scope's deadline is the job's, too: which of them ends the wait is a matter of luck. */
	return r == -ETIMEDOUT || (r == -EREMOTEIO && tz_last()->status == TZ_TIMED_OUT) ? 11 : r;
}
TZ_TASK(int, wait_in_a_scope, tz_executor *);

static void scopes_work_inside_jobs(struct subject *s)
{
	int got = 0, r;

	bounded(r, tz_result(tz_submit(s->ex, wait_in_a_scope, s->ex), &got));
	assert_int_equal(r, 0);
	assert_int_equal(got, 11);
}

/* A job's scope ends with it: what it left entered does not reach the next job of its strand. */
static tz_scope left_open;

static void leave_a_scope_open(void)
{
	tz_scope_enter(&left_open, (tz_deadline){ 1 });
}
TZ_TASK(void, leave_a_scope_open, void);

static int look(void)
{
	return tz_interrupted();
}
TZ_TASK(int, look, void);

static void closes_what_a_job_left_open(struct subject *s)
{
	int got = 1, r;

	bounded(r, tz_result(tz_submit(s->ex, leave_a_scope_open), NULL));
	assert_int_equal(r, 0);
	for (int i = 0; i < 8; i++) {
		bounded(r, tz_result(tz_submit(s->ex, look), &got));
		assert_int_equal(r, 0);
		assert_int_equal(got, 0);
	}
}

static const struct conformance_case cases[] = {
	{ "a job that has not begun is cancelled at once", cancels_what_has_not_begun,
	  TZ_CAN_CANCEL_PENDING, 0, 1 },
	BESIDE("a job that runs sees the request", asks_what_runs),
	BESIDE("a job that waits is woken by the request", wakes_what_waits),
	BESIDE("a result beats a cancel", lets_a_result_beat_a_cancel),
	CASE("what has ended cannot be cancelled", refuses_to_cancel_what_has_ended),
	BESIDE("who waits for what is cancelled is woken", wakes_who_waits_for_what_is_cancelled),
	BESIDE("a callback never runs inside the cancel", calls_back_outside_of_the_cancel),
	CASE("the first failure of a job wins", first_failure_wins),
	CASE("a failure without a code is -EINVAL; there is none outside of a job",
	     zero_is_no_code),
	CASE("a long message is cut", cuts_long_messages),
	{ "pthread_exit in a job ends that job only", survives_pthread_exit, TZ_CAN_SHARE_MEMORY,
	  TZ_CAN_RUN_AT_SUBMIT | LACKS_FOR_EXIT, 0 },
	{ "pthread_exit in a job on the stack of who waits for it ends both",
	  pthread_exit_on_a_waiters_stack, TZ_CAN_SHARE_MEMORY, TZ_CAN_RUN_AT_SUBMIT | TZ_CAN_SUSPEND, 0 },
	{ "pthread_exit in a job ends its caller's thread", pthread_exit_ends_the_caller,
	  TZ_CAN_RUN_AT_SUBMIT, 0, 0 },
	SHARING("a scope waits for what it owns", scope_waits_for_what_it_owns),
	CASE("a scope releases what it owns", scope_releases_what_it_owns),
	SHARING("a scope is left by return, break, goto and continue", scope_is_left_by_any_way),
	CASE("a scope tells of the first failure", scope_tells_of_a_failure),
	BESIDE("a scope cancels what it owns at its deadline", scope_cancels_at_its_deadline),
	BESIDE("a scope can be cancelled from elsewhere", scope_can_be_cancelled_from_elsewhere),
	CASE("time-outs nest", timeouts_nest),
	SHARING("a scope is told of each wait that it ended", scopes_are_told_of_each_wait),
	BESIDE("a wait without an answer is told as that", a_wait_without_an_answer_is_told),
	BESIDE("scopes work inside jobs", scopes_work_inside_jobs),
	CASE("a scope that a job left open does not reach the next job",
	     closes_what_a_job_left_open),
};

int main(void)
{
	return RUN_CASES("cancel", cases);
}
