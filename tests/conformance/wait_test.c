/* Waiting: for one, for several, in the order in which they end; callbacks; who owns a future, and for how long. */
#include "conformance.h"

static int twice(int n)
{
	return 2 * n;
}
TZ_TASK(int, twice, int);

static int fail_with(int code)
{
	return tz_fail(code, "failed on purpose");
}
TZ_TASK(int, fail_with, int);

static int hold(struct gate *g, int n)
{
	(void)pass(g);
	return n;
}
TZ_TASK(int, hold, struct gate *, int);

static void hold_and_fail(struct gate *g)
{
	(void)pass(g);
	(void)tz_fail(-EDOM, "behind the gate");
}
TZ_TASK(void, hold_and_fail, struct gate *);

/* --- one -------------------------------------------------------------------------------------------------------------- */

static void moves_the_result_out_once(struct subject *s)
{
	twice_future f = tz_submit(s->ex, twice, 21);
	int got = 0;

	settle(f);
	assert_int_equal(tz_done(f), 1);
	assert_int_equal(tz_running(f), 0);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 42);
	assert_int_equal(tz_result(f, &got), -ESTALE);
	assert_int_equal(tz_wait(f, soon()), -ESTALE);
	assert_int_equal(tz_done(f), -ESTALE);
	assert_int_equal(tz_running(f), -ESTALE);
	assert_int_equal(tz_cancel(f), -ESTALE);
	assert_int_equal(tz_detach(f), -ESTALE);
	assert_int_equal(tz_outcome_of(f, &(tz_outcome){ 0 }), -ESTALE);
	assert_int_equal(tz_on_done(f, NULL, NULL), -ESTALE);
	assert_int_equal(tz_wait_all(&f, 1, soon()), -ESTALE);
	assert_int_equal(tz_wait_any(&f, 1, soon()), -ESTALE);
	assert_int_equal(tz_gather_all(&f, 1), -ESTALE);
}

static void knows_a_handle_that_is_none(struct subject *s)
{
	twice_future none = { .handle = { NULL, 0 } };
	int got;

	(void)s;
	assert_int_equal(tz_result(none, &got), -ESTALE);
	assert_int_equal(tz_wait(none, soon()), -ESTALE);
	assert_int_equal(tz_detach(none), -ESTALE);
	assert_int_equal(tz_cancel(none), -ESTALE);
}

static void knows_a_stale_handle_after_reuse(struct subject *s)
{
	enum { MANY = 2000 };
	static twice_future old[MANY];
	int got;

	for (int i = 0; i < MANY; i++) {
		old[i] = tz_submit(s->ex, twice, i);
		settle(old[i]);
		assert_int_equal(tz_result(old[i], &got), 0);
	}
	twice_future now = tz_submit(s->ex, twice, 7);

	for (int i = 0; i < MANY; i++)
		assert_int_equal(tz_result(old[i], &got), -ESTALE);
	settle(now);
	assert_int_equal(tz_result(now, &got), 0);
	assert_int_equal(got, 14);
}

static void outlives_its_executor(struct subject *s)
{
	tz_executor *ex = open_another(s, NULL);
	twice_future f = tz_submit(ex, twice, 4);
	int got = 0;

	tz_executor_close(ex);
	assert_int_equal(tz_done(f), 1);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 8);
}

static void tells_what_failed(struct subject *s)
{
	fail_with_future f = tz_submit(s->ex, fail_with, -ENOENT);
	int got = 99;
	tz_outcome o;

	settle(f);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_int_equal(o.status, TZ_FAILED);
	assert_int_equal(o.code, -ENOENT);
	assert_int_equal(o.signal, 0);
	assert_true(o.worker >= 0);
	assert_string_equal(o.task, "fail_with");
	assert_string_equal(o.message, "failed on purpose");
	assert_int_equal(tz_result(f, &got), -EREMOTEIO);
	assert_int_equal(got, 99);
	assert_int_equal(tz_last()->code, -ENOENT);
	assert_string_equal(tz_last()->task, "fail_with");
	assert_int_equal(tz_result(f, &got), -ESTALE);
}

static void drops_a_result(struct subject *s)
{
	twice_future f = tz_submit(s->ex, twice, 1);

	settle(f);
	assert_int_equal(tz_result(f, NULL), 0);
	f = tz_submit(s->ex, twice, 1);
	settle(f);
	int wrong[2] = { 3, 4 };

	assert_int_equal(tz_result_raw(f.handle, wrong, sizeof wrong), -EINVAL);
	assert_int_equal(wrong[0], 3);
	assert_int_equal(tz_detach(f), 0);
}

static void ends_a_wait_by_its_deadline(struct subject *s)
{
	struct gate g = { 0 };
	hold_future f = tz_submit(s->ex, hold, &g, 3);
	int got = 0, r;
	tz_outcome o;

	assert_int_equal(tz_wait(f, tz_after(0)), -ETIMEDOUT);
	assert_int_equal(tz_wait(f, tz_after(0.005)), -ETIMEDOUT);
	assert_int_equal(tz_wait_all(&f, 1, tz_after(0.005)), -ETIMEDOUT);
	assert_int_equal(tz_wait_any(&f, 1, tz_after(0.005)), -ETIMEDOUT);
	TZ_TIMEOUT(0.005)
		r = tz_result(f, &got);
	assert_int_equal(r, -ETIMEDOUT);
	TZ_TIMEOUT(0.005)
		r = tz_gather(f);
	assert_int_equal(r, -ETIMEDOUT);
	assert_int_equal(tz_done(f), 0);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_int_equal(o.status, TZ_PENDING);
	until(tz_running(f) == 1);
	atomic_store(&g.open, 1);
	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 3);
}

static void detached_job_goes_on(struct subject *s)
{
	struct gate g = { 0 };
	bool waits = !can(s, TZ_CAN_RUN_AT_SUBMIT);

	atomic_store(&g.open, !waits);
	hold_future f = tz_submit(s->ex, hold, &g, 0);

	assert_int_equal(tz_detach(f), 0);
	if (waits)
		until(atomic_load(&g.waiting));
	atomic_store(&g.open, 1);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(atomic_load(&g.waiting), 0);
}

/* --- several ------------------------------------------------------------------------------------------------------------ */

enum { SOME = 40 };

static void waits_for_all(struct subject *s)
{
	twice_future f[SOME];

	for (int i = 0; i < SOME; i++)
		f[i] = tz_submit(s->ex, twice, i);
	assert_int_equal(tz_wait_all(f, SOME, soon()), 0);
	for (int i = 0; i < SOME; i++) {
		int got;

		assert_int_equal(tz_done(f[i]), 1);
		assert_int_equal(tz_result(f[i], &got), 0);
		assert_int_equal(got, 2 * i);
	}
	assert_int_equal(tz_wait_all(f, 0, soon()), 0);
}

/* One of many, among jobs that do not end: on an executor that can run only one, it goes first. */
static void waits_for_any(struct subject *s)
{
	struct gate g = { 0 }, open = { .open = 1 };
	hold_future f[20];
	tz_executor *held;

	assert_int_equal(tz_executor_open(&held, "threads:1"), 0);
	for (int i = 0; i < 20; i++)
		f[i] = tz_submit(i == 13 ? s->ex : held, hold,
				 i == 13 ? &open : &g, i);
	assert_int_equal(tz_wait_any(f, 20, soon()), 13);
	atomic_store(&g.open, 1);
	assert_int_equal(tz_wait_all(f, 20, soon()), 0);
	assert_int_equal(tz_wait_any(f, 20, soon()), 0); /* the lowest of several */
	assert_int_equal(tz_wait_any(f, 0, soon()), -EINVAL);
	assert_int_equal(tz_gather_all(f, 20), 0);
	tz_executor_close(held);
}

static void waits_for_the_first_failure(struct subject *s)
{
	struct gate g = { 0 }, open = { .open = 1 };
	tz_future f[4];
	tz_executor *held;

	assert_int_equal(tz_executor_open(&held, "threads:1"), 0);
	f[0] = TZ_FUTURE(tz_submit(held, hold, &g, 0));
	f[1] = TZ_FUTURE(tz_submit(s->ex, twice, 1));
	f[2] = TZ_FUTURE(tz_submit(s->ex, hold_and_fail, &open));
	f[3] = TZ_FUTURE(tz_submit(s->ex, twice, 1));
	assert_int_equal(tz_wait_first_failure(f, 4, soon()), 2);
	assert_int_equal(tz_wait_first_failure(f, 2, tz_after(0.005)), -ETIMEDOUT);
	atomic_store(&g.open, 1);
	assert_int_equal(tz_wait_first_failure(f, 2, soon()), 2); /* all ended well */
	assert_int_equal(tz_wait_first_failure(f, 0, soon()), 0);
	assert_int_equal(tz_wait_all(f, 4, soon()), 0);
	assert_int_equal(tz_gather_all(f, 4), -EREMOTEIO);
	assert_string_equal(tz_last()->task, "hold_and_fail");
	tz_executor_close(held);
}

static void gathers(struct subject *s)
{
	int r;

	bounded(r, tz_gather(tz_submit(s->ex, twice, 1), tz_submit(s->ex, twice, 2)));
	assert_int_equal(r, 0);
	bounded(r, tz_gather(tz_submit(s->ex, twice, 1), tz_submit(s->ex, fail_with, -EDOM),
			     tz_submit(s->ex, fail_with, -ERANGE)));
	assert_int_equal(r, -EREMOTEIO);
	assert_int_equal(tz_last()->code, -EDOM);
}

static void gives_out_as_they_complete(struct subject *s)
{
	struct gate first = { 0 }, second = { 0 };
	tz_executor *two, *own;
	tz_completed *c;
	hold_future f[3];

	assert_int_equal(tz_executor_open(&two, "threads:2"), 0);
	assert_int_equal(tz_executor_open(&own, "inline"), 0);
	f[0] = tz_submit(two, hold, &first, 0);
	f[1] = tz_submit(two, hold, &second, 1);
	f[2] = tz_submit(s->ex, hold, &(struct gate){ .open = 1 }, 2);
	settle(f[2]);
	assert_int_equal(tz_as_completed(&c, f, 3), 0);
	assert_int_equal(tz_completed_next(c, soon()), 2);
	assert_int_equal(tz_completed_next(c, tz_after(0.005)), -ETIMEDOUT);
	atomic_store(&second.open, 1);
	assert_int_equal(tz_completed_next(c, soon()), 1);
	assert_int_equal(tz_result(f[1], NULL), 0); /* one that was given out may be released */
	atomic_store(&first.open, 1);
	assert_int_equal(tz_completed_next(c, soon()), 0);
	assert_int_equal(tz_completed_next(c, soon()), -ENOENT);
	tz_completed_close(c);
	tz_completed_close(NULL);
	assert_int_equal(tz_gather(f[0], f[2]), 0);
	assert_int_equal(tz_as_completed(&c, f, 3), -ESTALE);
	assert_int_equal(tz_as_completed(&c, f, 0), 0);
	assert_int_equal(tz_completed_next(c, soon()), -ENOENT);
	tz_completed_close(c);
	tz_executor_close(two);
	tz_executor_close(own);
}

static void closes_an_iterator_early(struct subject *s)
{
	struct gate g = { 0 };
	bool waits = !can(s, TZ_CAN_RUN_AT_SUBMIT);
	hold_future f[8];
	tz_completed *c;

	atomic_store(&g.open, !waits);
	for (int i = 0; i < 8; i++)
		f[i] = tz_submit(s->ex, hold, &g, i);
	assert_int_equal(tz_as_completed(&c, f, 8), 0);
	tz_completed_close(c);
	atomic_store(&g.open, 1);
	assert_int_equal(tz_wait_all(f, 8, soon()), 0);
	assert_int_equal(tz_gather_all(f, 8), 0);
}

static void gives_each_out_once(struct subject *s)
{
	enum { MANY = 3000 };
	static twice_future f[MANY];
	static char seen[MANY];
	tz_completed *c;

	memset(seen, 0, sizeof seen);
	for (int i = 0; i < MANY; i++)
		f[i] = tz_submit(s->ex, twice, i);
	assert_int_equal(tz_as_completed(&c, f, MANY), 0);
	for (int i = 0; i < MANY; i++) {
		int k = tz_completed_next(c, soon()), got;

		assert_in_range(k, 0, MANY - 1);
		assert_int_equal(seen[k]++, 0);
		assert_int_equal(tz_result(f[k], &got), 0);
		assert_int_equal(got, 2 * k);
	}
	assert_int_equal(tz_completed_next(c, soon()), -ENOENT);
	tz_completed_close(c);
}

/* --- callbacks -------------------------------------------------------------------------------------------------------------- */

struct note {
	atomic_int calls;
	atomic_bool inside; /* of the call that adds it or cancels */
	atomic_bool was_inside;
	pthread_t adder;
	tz_outcome outcome;
	int result;
	bool has_result;
	int order[4];
};

static void take_note(void *arg, const tz_outcome *outcome, const void *result)
{
	struct note *n = arg;

	if (atomic_load(&n->inside) && pthread_equal(n->adder, pthread_self()))
		atomic_store(&n->was_inside, true);
	n->outcome = *outcome;
	n->has_result = result != NULL;
	if (result)
		memcpy(&n->result, result, sizeof n->result);
	atomic_fetch_add(&n->calls, 1);
}

/* Adds a callback, and notices if it is called from inside. */
#define add_note(f, n) \
	do { \
		(n)->adder = pthread_self(); \
		atomic_store(&(n)->inside, true); \
		int r_ = tz_on_done(f, take_note, n); \
		atomic_store(&(n)->inside, false); \
		assert_int_equal(r_, 0); \
	} while (0)

static void calls_back_with_the_result(struct subject *s)
{
	static struct note n;
	struct gate g = { 0 };

	memset((void *)&n, 0, sizeof n);
	if (can(s, TZ_CAN_RUN_AT_SUBMIT))
		atomic_store(&g.open, 1);
	hold_future f = tz_submit(s->ex, hold, &g, 17);

	add_note(f, &n);
	atomic_store(&g.open, 1);
	until(atomic_load(&n.calls) == 1);
	assert_false(atomic_load(&n.was_inside));
	assert_int_equal(n.outcome.status, TZ_OK);
	assert_string_equal(n.outcome.task, "hold");
	assert_true(n.has_result);
	assert_int_equal(n.result, 17);
	assert_int_equal(tz_detach(f), 0);
}

static void calls_back_for_what_has_ended(struct subject *s)
{
	static struct note n;
	fail_with_future f = tz_submit(s->ex, fail_with, -EDOM);

	memset((void *)&n, 0, sizeof n);
	settle(f);
	add_note(f, &n);
	assert_int_equal(tz_detach(f), 0); /* may be released before the callback runs */
	until(atomic_load(&n.calls) == 1);
	assert_false(atomic_load(&n.was_inside));
	assert_int_equal(n.outcome.code, -EDOM);
	assert_false(n.has_result);
}

struct in_order {
	struct note *note;
	int which;
};

static void take_place(void *arg, const tz_outcome *outcome, const void *result)
{
	struct in_order *p = arg;

	(void)outcome, (void)result;
	p->note->order[atomic_load(&p->note->calls)] = p->which;
	atomic_fetch_add(&p->note->calls, 1);
}

static void calls_back_in_order(struct subject *s)
{
	static struct note n;
	static struct in_order p[4];
	struct gate g = { 0 };

	memset((void *)&n, 0, sizeof n);
	if (can(s, TZ_CAN_RUN_AT_SUBMIT))
		atomic_store(&g.open, 1);
	hold_future f = tz_submit(s->ex, hold, &g, 0);

	for (int i = 0; i < 4; i++) {
		p[i] = (struct in_order){ &n, i };
		assert_int_equal(tz_on_done(f, take_place, &p[i]), 0);
	}
	atomic_store(&g.open, 1);
	until(atomic_load(&n.calls) == 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(n.order[i], i);
	assert_int_equal(tz_detach(f), 0);
}

static struct {
	atomic_int begun, others, calls;
	int order[8];
	hold_future future;
} late;

static void note_late(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)outcome, (void)result;
	late.order[atomic_load(&late.calls)] = (int)(intptr_t)arg;
	atomic_fetch_add(&late.calls, 1);
}

/* Goes on when others were added; gives them time to overtake. */
static void linger_first(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)arg;
	atomic_store(&late.begun, 1);
	until(atomic_load(&late.others));
	for (int i = 0; i < 100 && atomic_load(&late.calls) == 0; i++)
		(void)tz_sleep(0.0005);
	note_late((void *)0, outcome, result);
}

static void calls_back_late_ones_last(struct subject *s)
{
	struct gate g = { .open = can(s, TZ_CAN_RUN_AT_SUBMIT) };

	memset((void *)&late, 0, sizeof late);
	late.future = tz_submit(s->ex, hold, &g, 0);
	assert_int_equal(tz_on_done(late.future, linger_first, NULL), 0);
	assert_int_equal(tz_on_done(late.future, note_late, (void *)1), 0);
	atomic_store(&g.open, 1);
	until(atomic_load(&late.begun)); /* the job has ended */
	assert_int_equal(tz_on_done(late.future, note_late, (void *)2), 0);
	assert_int_equal(tz_on_done(late.future, note_late, (void *)3), 0);
	atomic_store(&late.others, 1);
	assert_int_equal(tz_detach(late.future), 0);
	until(atomic_load(&late.calls) == 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(late.order[i], i);
}

static void add_another(void *arg, const tz_outcome *outcome, const void *result)
{
	int n = (int)(intptr_t)arg;

	if (n < 7)
		must(tz_on_done(late.future, add_another, (void *)(intptr_t)(n + 1)) == 0);
	must(atomic_load(&late.calls) == n); /* the other one was not called in here */
	note_late(arg, outcome, result);
}

static void calls_back_what_a_callback_adds(struct subject *s)
{
	struct gate g = { .open = can(s, TZ_CAN_RUN_AT_SUBMIT) };

	memset((void *)&late, 0, sizeof late);
	late.future = tz_submit(s->ex, hold, &g, 0);
	assert_int_equal(tz_on_done(late.future, add_another, (void *)0), 0);
	atomic_store(&g.open, 1);
	until(atomic_load(&late.calls) == 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(late.order[i], i);
	assert_int_equal(tz_detach(late.future), 0);
}

static void leave_after_note(void *arg, const tz_outcome *outcome, const void *result)
{
	note_late(arg, outcome, result);
	pthread_exit(NULL);
}

/* Who takes the thread of the callbacks along takes none of the others. */
static void calls_back_after_one_that_leaves(struct subject *s)
{
	for (int round = 0; round < 4; round++) {
		struct gate g = { .open = round % 2 || can(s, TZ_CAN_RUN_AT_SUBMIT) };
		int got = 0;

		memset((void *)&late, 0, sizeof late);
		late.future = tz_submit(s->ex, hold, &g, 3);
		if (round % 2)
			settle(late.future); /* then they are the service thread's */
		for (intptr_t i = 0; i < 6; i++)
			assert_int_equal(tz_on_done(late.future,
						    i % 2 ? note_late : leave_after_note,
						    (void *)i),
					 0);
		atomic_store(&g.open, 1);
		until(atomic_load(&late.calls) == 6);
		for (int i = 0; i < 6; i++)
			assert_int_equal(late.order[i], i);
		assert_int_equal(tz_result(late.future, &got), 0);
		assert_int_equal(got, 3);
	}
}

enum { MANY_CALLBACKS = 1 << 16 }; /* more than a counter of 16 bits holds */

static void count_in_order(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)outcome;
	must(result && *(const int *)result == 5);
	must(atomic_load(&late.calls) == (int)(intptr_t)arg);
	atomic_fetch_add(&late.calls, 1);
}

static void calls_back_as_many_as_there_are(struct subject *s)
{
	struct gate g = { .open = can(s, TZ_CAN_RUN_AT_SUBMIT) };

	memset((void *)&late, 0, sizeof late);
	late.future = tz_submit(s->ex, hold, &g, 5);
	for (int i = 0; i < MANY_CALLBACKS; i++)
		must(tz_on_done(late.future, count_in_order, (void *)(intptr_t)i) == 0);
	assert_int_equal(tz_detach(late.future), 0);
	atomic_store(&g.open, 1);
	until(atomic_load(&late.calls) == MANY_CALLBACKS);
	assert_int_equal(tz_done(late.future), -ESTALE);
}

static atomic_int next_submitted;

static void submit_next(void *arg, const tz_outcome *outcome, const void *result)
{
	twice_future *next = arg;

	(void)outcome;
	*next = tz_submit(tz_executor_default(), twice, *(const int *)result);
	atomic_store(&next_submitted, 1);
}

static void lets_a_callback_use_the_library(struct subject *s)
{
	static twice_future next;
	twice_future f = tz_submit(s->ex, twice, 3);
	int got = 0;

	atomic_store(&next_submitted, 0);
	assert_int_equal(tz_on_done(f, submit_next, &next), 0);
	until(atomic_load(&next_submitted));
	settle(next);
	assert_int_equal(tz_result(next, &got), 0);
	assert_int_equal(got, 12);
	assert_int_equal(tz_detach(f), 0);
}

/* --- failures that nobody looked at -------------------------------------------------------------------------------------------- */

static atomic_int reports;
static char reported[TZ_NAME_MAX];

static void hear(const tz_outcome *outcome)
{
	memcpy(reported, outcome->task, sizeof reported);
	atomic_fetch_add(&reports, 1);
}

static void reports_a_failure_that_nobody_saw(struct subject *s)
{
	tz_unobserved_hook before = tz_on_unobserved(hear);
	fail_with_future f =
		tz_submit_with(s->ex, &(tz_submit_options){ .name = "unseen" }, fail_with, -EDOM);

	atomic_store(&reports, 0);
	settle(f); /* waiting is not looking */
	assert_int_equal(atomic_load(&reports), 0);
	assert_int_equal(tz_detach(f), 0);
	until(atomic_load(&reports) == 1);
	assert_string_equal(reported, "unseen");
	assert_ptr_equal(tz_on_unobserved(before), hear);
}

static void reports_a_detached_failure(struct subject *s)
{
	tz_unobserved_hook before = tz_on_unobserved(hear);
	struct gate g = { .open = can(s, TZ_CAN_RUN_AT_SUBMIT) };

	atomic_store(&reports, 0);
	assert_int_equal(tz_detach(tz_submit(s->ex, hold_and_fail, &g)), 0);
	atomic_store(&g.open, 1);
	until(atomic_load(&reports) == 1);
	assert_string_equal(reported, "hold_and_fail");
	(void)tz_on_unobserved(before);
}

static void reports_nothing_else(struct subject *s)
{
	tz_unobserved_hook before = tz_on_unobserved(hear);
	fail_with_future f = tz_submit(s->ex, fail_with, -EDOM);
	tz_outcome o;

	atomic_store(&reports, 0);
	settle(f);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_int_equal(tz_detach(f), 0);
	f = tz_submit(s->ex, fail_with, -EDOM);
	settle(f);
	assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
	assert_int_equal(tz_detach(tz_submit(s->ex, twice, 1)), 0);
	assert_int_equal(tz_executor_shutdown(s->ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(atomic_load(&reports), 0);
	(void)tz_on_unobserved(before);
}

/* --- itself ---------------------------------------------------------------------------------------------------------------------- */

static tz_future myself;
static atomic_int known;

static int wait_for_myself(void)
{
	for (tz_deadline end = soon(); !atomic_load(&known) && !tz_expired(end);)
		(void)tz_sleep(0.0005);
	return tz_result(myself, NULL);
}
TZ_TASK(int, wait_for_myself, void);

static void refuses_to_wait_for_itself(struct subject *s)
{
	int got = 0;

	atomic_store(&known, 0);
	wait_for_myself_future f = tz_submit(s->ex, wait_for_myself);

	myself = TZ_FUTURE(f);
	atomic_store(&known, 1);
	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, -EDEADLK);
}

static const struct conformance_case cases[] = {
	CASE("tz_result moves the value out, once", moves_the_result_out_once),
	CASE("an all-zero handle is stale", knows_a_handle_that_is_none),
	CASE("a stale handle stays stale when its memory is used again",
	     knows_a_stale_handle_after_reuse),
	CASE("a future outlives its executor", outlives_its_executor),
	CASE("a failure has a code, a message, a task and a worker", tells_what_failed),
	CASE("a result may be dropped; a wrong size is refused", drops_a_result),
	BESIDE("a wait ends at its deadline or its scope's, and the future is kept",
	     ends_a_wait_by_its_deadline),
	SHARING("a detached job goes on", detached_job_goes_on),
	CASE("wait for all", waits_for_all),
	SHARING("wait for any", waits_for_any),
	CASE("wait for the first failure", waits_for_the_first_failure),
	CASE("gather releases all and remembers the first failure", gathers),
	SHARING("as completed, over futures of several executors", gives_out_as_they_complete),
	SHARING("as completed, closed early", closes_an_iterator_early),
	CASE("as completed gives each out once", gives_each_out_once),
	SHARING("a callback gets the outcome and the result, never inside the call that adds it",
	     calls_back_with_the_result),
	CASE("a callback on what has ended", calls_back_for_what_has_ended),
	CASE("callbacks run in the order of their adding", calls_back_in_order),
	CASE("a callback that is added while others are called waits for its turn",
	     calls_back_late_ones_last),
	CASE("a callback may add callbacks", calls_back_what_a_callback_adds),
	{ "a callback that leaves by pthread_exit takes no other one along",
	  calls_back_after_one_that_leaves, TZ_CAN_SHARE_MEMORY, LACKS_FOR_EXIT, 0 },
	SHARING("a job has any number of callbacks", calls_back_as_many_as_there_are),
	CASE("a callback may use the library", lets_a_callback_use_the_library),
	CASE("a failure that nobody looked at is reported at release",
	     reports_a_failure_that_nobody_saw),
	CASE("a failure of a detached job is reported at its end", reports_a_detached_failure),
	CASE("what was looked at, or went well, is not reported", reports_nothing_else),
	BESIDE("a job that waits for itself is told so", refuses_to_wait_for_itself),
};

int main(void)
{
	return RUN_CASES("wait", cases);
}
