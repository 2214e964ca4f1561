/* Spawning: where it runs, who waits for it, what becomes of its failures; calls under a deadline; shields and moved deadlines. */
#include "calls.h"

static int add(int a, int b)
{
	atomic_fetch_add(&ran, 1);
	return a + b;
}
TZ_TASK(int, add, int, int);

static int go_wrong(int code)
{
	return tz_fail(code, "as it was told");
}
TZ_TASK(int, go_wrong, int);

/* --- where it runs, and for how long ------------------------------------------------------------------------------------ */

static void *where(void)
{
	return tz_executor_current();
}
TZ_TASK(void *, where, void);

static void *where_its_child_is(void)
{
	void *there = NULL;

	return tz_result(tz_spawn(where), &there) < 0 ? NULL : there;
}
TZ_TASK(void *, where_its_child_is, void);

static void runs_where_its_caller_runs(struct subject *s)
{
	where_its_child_is_future f = tz_submit(s->ex, where_its_child_is);
	void *there = NULL;

	settle(f);
	assert_int_equal(tz_result(f, &there), 0);
	assert_ptr_equal(there, s->ex);
}

static void runs_on_the_default_executor_outside_of_a_job(struct subject *s)
{
	where_future f = tz_spawn(where);
	void *there = NULL;

	(void)s;
	settle(f);
	assert_int_equal(tz_result(f, &there), 0);
	assert_ptr_equal(there, tz_executor_default());
	assert_int_equal(tz_result(f, &there), -ESTALE);
}

static int spawn_and_leave(struct gate *g)
{
	(void)tz_spawn(hold, g);
	(void)tz_spawn(hold, g);
	return 3;
}
TZ_TASK(int, spawn_and_leave, struct gate *);

static void waits_for_what_it_spawned(struct subject *s)
{
	struct gate g = { 0 };
	spawn_and_leave_future f;
	int got = 0;

	begin();
	f = tz_submit(s->ex, spawn_and_leave, &g);
	until(atomic_load(&g.waiting) >= 1);
	assert_int_equal(tz_wait(f, tz_after(0.01)), -ETIMEDOUT);
	atomic_store(&g.open, 1);
	settle(f);
	assert_int_equal(atomic_load(&ended), 2);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 3);
}

static int detach_and_leave(struct gate *g)
{
	return tz_detach(tz_spawn(hold, g));
}
TZ_TASK(int, detach_and_leave, struct gate *);

static void does_not_wait_for_what_is_detached(struct subject *s)
{
	static struct gate g;
	int got = -1, r;

	begin();
	atomic_store(&g.open, 0);
	bounded(r, tz_result(tz_submit(s->ex, detach_and_leave, &g), &got));
	assert_int_equal(r, 0);
	assert_int_equal(got, 0);
	assert_int_equal(atomic_load(&ended), 0);
	atomic_store(&g.open, 1);
	until(atomic_load(&ended) == 1);
}

/* A tree of calls that nobody waits for but their parents. */
static void grow(int depth);
TZ_TASK(void, grow, int);
static void grow(int depth)
{
	atomic_fetch_add(&ran, 1);
	for (int i = 0; i < 3 && depth > 0; i++)
		(void)tz_spawn(grow, depth - 1);
}

static void waits_for_a_whole_tree(struct subject *s)
{
	grow_future f;

	begin();
	f = tz_submit(s->ex, grow, 5);
	settle(f);
	assert_int_equal(atomic_load(&ran), 1 + 3 + 9 + 27 + 81 + 243);
	assert_int_equal(tz_result(f, NULL), 0);
}

static int spawn_often(int times)
{
	int sum = 0;

	for (int i = 0; i < times; i++) {
		int one = 0;

		if (tz_result(tz_spawn(add, i, 1), &one) < 0 || one != i + 1)
			return tz_fail(-EILSEQ, "turn %d", i);
		sum += one - i;
	}
	return sum;
}
TZ_TASK(int, spawn_often, int);

static void spawns_and_joins_without_end(struct subject *s)
{
	spawn_often_future f = tz_submit(s->ex, spawn_often, 3000);
	int got = 0;

	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 3000);
}

static int scope_in_a_job(struct gate *g)
{
	TZ_SCOPE(inner)
	{
		(void)tz_spawn(hold, g);
	}
	return atomic_load(&ended);
}
TZ_TASK(int, scope_in_a_job, struct gate *);

static void belongs_to_the_innermost_scope(struct subject *s)
{
	struct gate g = { 0 };
	scope_in_a_job_future f;
	int got = 0;

	begin();
	f = tz_submit(s->ex, scope_in_a_job, &g);
	until(atomic_load(&g.waiting) == 1);
	atomic_store(&g.open, 1);
	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 1);
}

/* A scope outside of any job owns what is spawned in it, too. */
static void belongs_to_a_scope_outside_of_a_job(struct subject *s)
{
	(void)s;
	begin();
	TZ_SCOPE(here)
	{
		for (int i = 0; i < 50; i++)
			(void)tz_spawn(add, i, i);
	}
	assert_int_equal(atomic_load(&ran), 50);
}

/* --- failures -------------------------------------------------------------------------------------------------------------- */

static int spawn_failure(int look)
{
	go_wrong_future f = tz_spawn(go_wrong, -EDOM);
	tz_outcome o;
	int r = 0;

	if (look == 1 && tz_result(f, NULL) != -EREMOTEIO)
		r = 1;
	if (look == 2 && (tz_wait(f, tz_never()) < 0 || tz_outcome_of(f, &o) < 0 || o.code != -EDOM))
		r = 2;
	if (look == 3 && tz_detach(f) < 0)
		r = 3;
	return r;
}
TZ_TASK(int, spawn_failure, int);

static void fails_with_a_child_that_nobody_looked_at(struct subject *s)
{
	spawn_failure_future f = tz_submit(s->ex, spawn_failure, 0);
	tz_outcome o;

	settle(f);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_int_equal(o.status, TZ_FAILED);
	assert_int_equal(o.code, -EREMOTEIO);
	assert_non_null(strstr(o.message, "go_wrong"));
	assert_non_null(strstr(o.message, "as it was told"));
	assert_string_equal(o.task, "spawn_failure");
	assert_int_equal(tz_detach(f), 0);
}

static void does_not_fail_with_a_child_that_was_looked_at(struct subject *s)
{
	for (int look = 1; look <= 3; look++) {
		spawn_failure_future f = tz_submit(s->ex, spawn_failure, look);
		int got = -1;

		settle(f);
		assert_int_equal(tz_result(f, &got), 0);
		assert_int_equal(got, 0);
	}
}

static int fail_beside_children(void)
{
	(void)tz_spawn(sleep_on);
	(void)tz_spawn(sleep_on);
	while (atomic_load(&ran) == 0 && tz_sleep(0.0002) == 0)
		;
	return tz_fail(-EBADMSG, "its own");
}
TZ_TASK(int, fail_beside_children, void);

static void cancels_its_children_when_it_has_failed(struct subject *s)
{
	fail_beside_children_future f;

	begin();
	f = tz_submit(s->ex, fail_beside_children);
	assert_outcome(f, TZ_FAILED, -EBADMSG);
	assert_int_equal(atomic_load(&ended), atomic_load(&ran)); /* none that began goes on */
	assert_true(atomic_load(&ran) >= 1);
	assert_int_equal(tz_detach(f), 0);
}

static atomic_int tries;

static int fail_once(struct gate *g)
{
	(void)tz_spawn(sleep_on);
	(void)g;
	return atomic_fetch_add(&tries, 1) == 0 ? tz_fail(-EAGAIN, "the first time") : 5;
}
TZ_TASK(int, fail_once, struct gate *);

/* What a first attempt has spawned is over when the second begins; what the second has, is cancelled with it from outside. */
static void ends_the_children_of_an_attempt_before_the_next(struct subject *s)
{
	tz_submit_options again = { .retries = 1 };
	fail_once_future f;

	begin();
	atomic_store(&tries, 0);
	f = tz_submit_with(s->ex, &again, fail_once, NULL);
	until(atomic_load(&tries) == 2);
	assert_int_equal(tz_cancel(f), 1);
	assert_outcome(f, TZ_CANCELLED, -ECANCELED); /* while what it spawned was running */
	assert_int_equal(atomic_load(&ended), atomic_load(&ran));
	assert_int_equal(tz_detach(f), 0);
}

/* --- cancel and deadlines ------------------------------------------------------------------------------------------------- */

/* A chain of calls, each waiting for the next one. */
static int chain(int depth);
TZ_TASK(int, chain, int);
static int chain(int depth)
{
	int r = depth > 0 ? tz_result(tz_spawn(chain, depth - 1), NULL) : tz_sleep_until(tz_never());

	atomic_fetch_add(&ended, 1);
	if (depth == 0)
		atomic_fetch_add(&woken, r == -ECANCELED);
	if (r == -EREMOTEIO) /* the next one heard of it first */
		r = tz_interrupted();
	return r < 0 ? tz_fail(r, "at %d", depth) : 0;
}

static int wait_at_the_end(void)
{
	(void)tz_spawn(chain, 300);
	return 0;
}
TZ_TASK(int, wait_at_the_end, void);

static void passes_a_cancel_down_a_deep_tree(struct subject *s)
{
	wait_at_the_end_future f;

	begin();
	f = tz_submit(s->ex, wait_at_the_end);
	until(tz_running(f) == 1);
	assert_int_equal(tz_cancel(f), 1);
	assert_outcome(f, TZ_CANCELLED, -ECANCELED);
	assert_int_equal(tz_detach(f), 0);

	begin();
	f = tz_submit(s->ex, wait_at_the_end);
	until(tz_running(f) == 1);
	for (int i = 0; i < 20; i++)
		(void)tz_sleep(0.001); /* let it go down some way */
	assert_int_equal(tz_cancel(f), 1);
	assert_outcome(f, TZ_CANCELLED, -ECANCELED);
	assert_int_equal(tz_detach(f), 0);
}

/* Its scope is cancelled: what it spawns then does not begin. */
static int spawn_when_cancelled(void)
{
	add_future f;
	tz_outcome o = { .status = TZ_PENDING };

	TZ_SCOPE(inner)
	{
		tz_scope_cancel(&inner);
		f = tz_spawn(add, 1, 2);
		(void)tz_outcome_of(f, &o);
	}
	return (int)o.status;
}
TZ_TASK(int, spawn_when_cancelled, void);

static void cancels_at_once_in_a_cancelled_scope(struct subject *s)
{
	spawn_when_cancelled_future f;
	int got = 0;

	begin();
	f = tz_submit(s->ex, spawn_when_cancelled);
	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, TZ_CANCELLED);
	assert_int_equal(atomic_load(&ran), 0);
}

static int child_in_time(void)
{
	sleep_on_future f;
	tz_outcome o = { .status = TZ_PENDING };

	TZ_TIMEOUT(0.005)
	{
		f = tz_spawn(sleep_on);
		(void)tz_wait(f, tz_never());
		TZ_SHIELD(CREW_PATIENCE)
		{
			(void)tz_wait(f, tz_never());
			(void)tz_outcome_of(f, &o);
		}
	}
	return (int)o.status;
}
TZ_TASK(int, child_in_time, void);

static void hands_its_scopes_deadline_to_its_children(struct subject *s)
{
	child_in_time_future f = tz_submit(s->ex, child_in_time);
	int got = 0;

	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, TZ_TIMED_OUT);
}

/* --- shields ------------------------------------------------------------------------------------------------------------- */

static int clean_up(void)
{
	int before, within = 1, late = 1, after;

	atomic_fetch_add(&ran, 1);
	before = tz_sleep_until(tz_never());
	TZ_SHIELD(CREW_PATIENCE)
	{
		within = tz_interrupted() | tz_sleep(0.001) | tz_result(tz_spawn(add, 1, 1), NULL);
	}
	TZ_SHIELD(0.001)
	{
		late = tz_sleep_until(tz_never());
	}
	after = tz_sleep_until(tz_never());
	return before == -ECANCELED && within == 0 && late == -ETIMEDOUT && after == -ECANCELED ? 1 : 0;
}
TZ_TASK(int, clean_up, void);

static void shields_what_must_be_done(struct subject *s)
{
	clean_up_future f;
	int got = 0;

	begin();
	f = tz_submit(s->ex, clean_up);
	until(atomic_load(&ran) == 1);
	assert_int_equal(tz_cancel(f), 1);
	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 1);
}

/* --- deadlines that move --------------------------------------------------------------------------------------------------- */

/* Waits for a child in a scope that others can reach. */
static int wait_in_scope(_Atomic(tz_scope *) *where)
{
	sleep_on_future f;
	tz_outcome o = { .status = TZ_PENDING };
	int r = 0;

	TZ_SCOPE(outer_scope)
	{
		TZ_SCOPE(inner)
		{
			f = tz_spawn(sleep_on);
			atomic_store(where, &outer_scope);
			r = tz_wait(f, tz_never());
			if (r == 0) /* told before its parent was */
				r = tz_sleep_until(tz_never());
			if (tz_interrupted_by() != &outer_scope || !tz_scope_expired(&outer_scope) ||
			    tz_scope_expired(&inner) || tz_scope_cancelled(&outer_scope))
				r = -EILSEQ;
			TZ_SHIELD(CREW_PATIENCE)
			{
				(void)tz_wait(f, tz_never());
				(void)tz_outcome_of(f, &o);
			}
		}
	}
	return r == -ETIMEDOUT ? (int)o.status : r;
}
TZ_TASK(int, wait_in_scope, _Atomic(tz_scope *) *);

static void moves_a_deadline_that_is_waited_for(struct subject *s)
{
	static _Atomic(tz_scope *) there;
	wait_in_scope_future f;
	int got = 0;

	begin();
	atomic_store(&there, NULL);
	f = tz_submit(s->ex, wait_in_scope, &there);
	until(atomic_load(&there) && atomic_load(&ran) == 1);
	assert_int_equal(tz_scope_reschedule(atomic_load(&there), tz_after(0)), 0);
	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, TZ_TIMED_OUT); /* the child heard of it, too */
}

static int move_later(void)
{
	int turns = 0;

	TZ_SCOPE_UNTIL(s, tz_after(0))
	{
		TZ_SCOPE(inner)
		{
			turns += tz_sleep(0.001) == -ETIMEDOUT;
			turns += tz_scope_deadline(&inner).ns == tz_scope_deadline(&s).ns;
			turns += tz_scope_reschedule(&s, tz_after(100 * CREW_PATIENCE)) == -ETIMEDOUT;
			turns += tz_interrupted() == 0;
			turns += tz_sleep(0.001) == 0;
			turns += tz_scope_reschedule(&s, tz_never()) == 0;
			turns += tz_scope_deadline(&inner).ns == 0;
			turns += tz_scope_reschedule(&inner, tz_after(0)) == 0;
			turns += tz_sleep(0.001) == -ETIMEDOUT && tz_interrupted_by() == &inner;
		}
		turns += tz_sleep(0.001) == 0 && tz_interrupted_by() == NULL;
	}
	return turns;
}
TZ_TASK(int, move_later, void);

static void moves_a_deadline_to_later(struct subject *s)
{
	move_later_future f = tz_submit(s->ex, move_later);
	int got = 0;

	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 10);
}

/* --- codes that nobody looks at --------------------------------------------------------------------------------------------- */

static atomic_int flag;

static void raise_flag(void)
{
	atomic_store(&flag, 1);
}
TZ_TASK(void, raise_flag, void);

/* Its waits all fail, and it does not care; but it lets others run. */
static int wait_in_vain(void)
{
	raise_flag_future f = tz_spawn(raise_flag);
	int refused = 0;

	TZ_SCOPE(s)
	{
		tz_scope_cancel(&s);
		for (tz_deadline end = soon(); !atomic_load(&flag) && !tz_expired(end);)
			refused += tz_sleep_until(tz_never()) == -ECANCELED;
		for (int i = 0; i < 120; i++)
			refused += tz_wait(f, tz_never()) == 0;
	}
	return atomic_load(&flag) && refused >= 120;
}
TZ_TASK(int, wait_in_vain, void);

static void lets_others_run_when_it_waits_in_vain(struct subject *s)
{
	wait_in_vain_future f;
	int got = 0;

	atomic_store(&flag, 0);
	f = tz_submit(s->ex, wait_in_vain);
	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 1);
}

/* --- calls under a deadline -------------------------------------------------------------------------------------------------- */

static int take_time(double seconds)
{
	int r = tz_sleep(seconds);

	return r < 0 ? tz_fail(r, "not slept") : 4;
}
TZ_TASK(int, take_time, double);

static void doze(double seconds)
{
	(void)tz_sleep(seconds);
}
TZ_TASK(void, doze, double);

/* Is told to end, and has something in hand all the same. */
static int give_up_with(int value)
{
	(void)tz_sleep_until(tz_never());
	return value;
}
TZ_TASK(int, give_up_with, int);

static int leave_a_child(void)
{
	(void)tz_spawn(sleep_on);
	return 2;
}
TZ_TASK(int, leave_a_child, void);

static int call_within(void)
{
	int got = 0, right = 0;

	right += tz_wait_for(CREW_PATIENCE, &got, add, 2, 3) == 0 && got == 5;
	right += tz_wait_for(CREW_PATIENCE, NULL, add, 2, 3) == 0;
	right += tz_wait_for(CREW_PATIENCE, &got, take_time, 0.0) == 0 && got == 4;
	got = 9;
	right += tz_wait_for(0.002, &got, take_time, 100.0 * CREW_PATIENCE) == -ETIMEDOUT && got == 9;
	right += tz_last()->status == TZ_TIMED_OUT && strcmp(tz_last()->task, "take_time") == 0;
	right += tz_wait_for(0.002, NULL, doze, 100.0 * CREW_PATIENCE) == -ETIMEDOUT;
	right += tz_wait_for(0.002, &got, give_up_with, 6) == -ETIMEDOUT && got == 6;
	right += tz_wait_for(CREW_PATIENCE, &got, go_wrong, -EDOM) == -EREMOTEIO && got == 6;
	right += tz_last()->code == -EDOM && strcmp(tz_last()->message, "as it was told") == 0;
	right += tz_wait_for(0, &got, add, 1, 1) == -ETIMEDOUT && got == 6;
	right += tz_wait_for(0.002, &got, leave_a_child) == -ETIMEDOUT && atomic_load(&ran) == atomic_load(&ended) + 2;
	TZ_TIMEOUT(0.002)
	{
		right += tz_wait_for(CREW_PATIENCE, NULL, doze, 100.0 * CREW_PATIENCE) == -ETIMEDOUT;
		right += tz_wait_for(CREW_PATIENCE, &got, add, 1, 1) == -ETIMEDOUT; /* not begun */
	}
	TZ_SCOPE(s)
	{
		tz_scope_cancel(&s);
		right += tz_wait_for(CREW_PATIENCE, &got, add, 1, 1) == -ECANCELED && got == 6;
	}
	right += tz_interrupted() == 0;
	return right;
}
TZ_TASK(int, call_within, void);

static void calls_under_a_deadline(struct subject *s)
{
	call_within_future f;
	int got = 0;

	begin();
	f = tz_submit(s->ex, call_within);
	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 15);
	begin();
	assert_int_equal(call_within(), 15); /* outside of a job, too */
}

static int call_outside_a_cancel(void)
{
	int r;

	atomic_fetch_add(&ran, 1);
	r = tz_wait_for(100 * CREW_PATIENCE, NULL, doze, 100.0 * CREW_PATIENCE);
	/* What was meant for the job is still there. */
	return r == -ECANCELED && tz_sleep_until(tz_never()) == -ECANCELED ? tz_fail(-ECANCELED, "told") : 0;
}
TZ_TASK(int, call_outside_a_cancel, void);

static void does_not_swallow_a_cancel_in_a_call(struct subject *s)
{
	call_outside_a_cancel_future f;

	begin();
	f = tz_submit(s->ex, call_outside_a_cancel);
	until(atomic_load(&ran) == 1);
	assert_int_equal(tz_cancel(f), 1);
	assert_outcome(f, TZ_CANCELLED, -ECANCELED);
	assert_int_equal(tz_detach(f), 0);
}

/* --- a hint ------------------------------------------------------------------------------------------------------------------ */

static int spawn_eagerly(void)
{
	tz_submit_options eager = { .eager = true, .name = "keen" };
	add_future f = tz_spawn_with(&eager, add, 20, 22);
	int got = 0;

	if (tz_result(f, &got) < 0 || strcmp(tz_last()->task, "keen") != 0)
		return tz_fail(-EILSEQ, "options");
	return got;
}
TZ_TASK(int, spawn_eagerly, void);

static void takes_options(struct subject *s)
{
	spawn_eagerly_future f = tz_submit(s->ex, spawn_eagerly);
	int got = 0;

	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 42);
}

/* In virtual time, which stands still while a job runs, however long that takes. */
static int begin_late(void)
{
	int got = 0, right = 0;

	TZ_TIMEOUT(0.002)
	{
		add_future f = tz_spawn(add, 2, 3);

		right += nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL) == 0;
		right += tz_result(f, &got) == 0 && got == 5;
	}
	return right;
}
TZ_TASK(int, begin_late, void);

static void measures_deadlines_in_its_own_time(struct subject *s)
{
	begin_late_future f = tz_submit(s->ex, begin_late);
	int got = 0;

	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 2);
}

int main(void)
{
	static const struct conformance_case cases[] = {
		SHARING("a spawned call runs where its caller runs", runs_where_its_caller_runs),
		CASE("outside of a job, on the default executor", runs_on_the_default_executor_outside_of_a_job),
		BESIDE("a job waits for what it spawned", waits_for_what_it_spawned),
		BESIDE("but not for what it detached", does_not_wait_for_what_is_detached),
		SHARING("a whole tree is waited for", waits_for_a_whole_tree),
		CASE("spawns and joins, many times", spawns_and_joins_without_end),
		BESIDE("the innermost scope owns it", belongs_to_the_innermost_scope),
		CASE("so does one outside of a job", belongs_to_a_scope_outside_of_a_job),
		CASE("an unseen failure is its parent's", fails_with_a_child_that_nobody_looked_at),
		CASE("one that was seen is not", does_not_fail_with_a_child_that_was_looked_at),
		BESIDE("a failed job cancels its children", cancels_its_children_when_it_has_failed),
		BESIDE("each attempt has its own children", ends_the_children_of_an_attempt_before_the_next),
		BESIDE("a cancel goes down a deep tree", passes_a_cancel_down_a_deep_tree),
		CASE("in a cancelled scope nothing begins", cancels_at_once_in_a_cancelled_scope),
		CASE("children have their scope's deadline", hands_its_scopes_deadline_to_its_children),
		BESIDE("a shield keeps a cancel out", shields_what_must_be_done),
		BESIDE("a deadline moves under who waits", moves_a_deadline_that_is_waited_for),
		CASE("a deadline moves to later", moves_a_deadline_to_later),
		CASE("who waits in vain lets others run", lets_others_run_when_it_waits_in_vain),
		BESIDE("a call under a deadline", calls_under_a_deadline),
		BESIDE("does not swallow a cancel", does_not_swallow_a_cancel_in_a_call),
		CASE("options of a spawned call", takes_options),
		{ "a deadline is one of virtual time", measures_deadlines_in_its_own_time, TZ_CAN_SIMULATE, 0, 0 },
	};

	return RUN_CASES("spawn", cases);
}
