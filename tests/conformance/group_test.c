/* Groups: their policies, and that what ends one stays inside of it. */
#include "calls.h"

static int give(int value)
{
	atomic_fetch_add(&ran, 1);
	return value;
}
TZ_TASK(int, give, int);

static int go_wrong(int code)
{
	atomic_fetch_add(&ran, 1);
	return tz_fail(code, "as it was told");
}
TZ_TASK(int, go_wrong, int);

/* Fails once the others have begun, or could not. */
static int go_wrong_beside(int others)
{
	for (tz_deadline end = tz_after(0.05); atomic_load(&ran) < others && !tz_expired(end);)
		if (tz_sleep(0.01) < 0)
			break;
	return tz_fail(-EDOM, "as it was told");
}
TZ_TASK(int, go_wrong_beside, int);

/* --- the policies ---------------------------------------------------------------------------------------------------------- */

static int all_end_well(void)
{
	give_future f[50];
	int sum = 0;

	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		for (int i = 0; i < 50; i++)
			f[i] = tz_group_spawn(&g, give, i);
		CHECK(tz_group_wait(&g) == 0);
		CHECK(tz_group_winner(&g) == -1);
		for (int i = 0; i < 50; i++) {
			int one = -1;

			CHECK(tz_result(f[i], &one) == 0);
			sum += one;
		}
	}
	CHECK(sum == 49 * 50 / 2);
	CHECK(tz_interrupted() == 0);
	return 0;
}
TZ_TASK(int, all_end_well, void);

static void waits_for_all(struct subject *s)
{
	RUN(s, all_end_well);
	assert_int_equal(all_end_well(), 0); /* and outside of a job */
}

static int first_failure_ends_it(void)
{
	begin();
	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		for (int i = 0; i < 5; i++)
			(void)tz_group_spawn(&g, sleep_on);
		(void)tz_group_spawn(&g, go_wrong_beside, 1);
		CHECK(tz_group_wait(&g) == -EREMOTEIO);
		CHECK(strcmp(tz_last()->task, "go_wrong_beside") == 0 && tz_last()->code == -EDOM);
		CHECK(tz_group_winner(&g) == 5);
		CHECK(atomic_load(&ended) == atomic_load(&ran) && atomic_load(&woken) == atomic_load(&ended));
		CHECK(tz_interrupted() == 0 && tz_sleep(0.0001) == 0); /* the rest of the block goes on */
	}
	CHECK(tz_interrupted() == 0 && tz_sleep(0.0001) == 0);
	return 0;
}
TZ_TASK(int, first_failure_ends_it, void);

static void cancels_the_others_on_a_failure(struct subject *s)
{
	RUN(s, first_failure_ends_it);
}

/* Its block waits for something else when a call fails. */
static int failure_ends_the_block(void)
{
	int slept = 0;

	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		(void)tz_group_spawn(&g, go_wrong_beside, 1000);
		slept = tz_sleep_until(tz_never());
		CHECK(tz_group_wait(&g) == -EREMOTEIO);
	}
	CHECK(slept == -ECANCELED);
	CHECK(tz_interrupted() == 0);
	return 0;
}
TZ_TASK(int, failure_ends_the_block, void);

static void wakes_its_own_block_on_a_failure(struct subject *s)
{
	RUN(s, failure_ends_the_block);
}

static int collect(void)
{
	give_future f[10];

	begin();
	TZ_GROUP(g, TZ_GROUP_COLLECT)
	{
		for (int i = 0; i < 10; i++) {
			if (i == 3 || i == 7)
				(void)tz_group_spawn(&g, go_wrong, -i);
			else
				f[i] = tz_group_spawn(&g, give, i);
		}
		CHECK(tz_group_wait(&g) == -EREMOTEIO);
		CHECK(tz_last()->code == -3 && tz_group_winner(&g) == -1);
		for (int i = 0; i < 10; i++) {
			int one = -1;

			CHECK(i == 3 || i == 7 || (tz_result(f[i], &one) == 0 && one == i));
		}
	}
	CHECK(atomic_load(&ran) == 10);
	return 0;
}
TZ_TASK(int, collect, void);

static void lets_all_end_if_asked(struct subject *s)
{
	RUN(s, collect);
}

static int race(void)
{
	give_future win;
	int got = 0;

	begin();
	TZ_GROUP(g, TZ_GROUP_RACE)
	{
		(void)tz_group_spawn(&g, go_wrong, -EDOM);
		(void)tz_group_spawn(&g, sleep_on);
		win = tz_group_spawn(&g, give, 77);
		(void)tz_group_spawn(&g, sleep_on);
		CHECK(tz_group_wait(&g) == 0);
		CHECK(tz_group_winner(&g) == 2);
		CHECK(tz_result(win, &got) == 0 && got == 77);
	}
	CHECK(tz_interrupted() == 0);
	CHECK(atomic_load(&ran) == atomic_load(&ended) + 1 + (got == 77));
	return 0;
}
TZ_TASK(int, race, void);

static int race_that_nobody_wins(void)
{
	TZ_GROUP(empty, TZ_GROUP_RACE)
	{
		CHECK(tz_group_wait(&empty) == -ENOENT);
	}
	TZ_GROUP(g, TZ_GROUP_RACE)
	{
		(void)tz_group_spawn(&g, go_wrong, -EDOM);
		(void)tz_group_spawn(&g, go_wrong, -ERANGE);
		CHECK(tz_group_wait(&g) == -EREMOTEIO && tz_last()->code == -EDOM);
		CHECK(tz_group_winner(&g) == -1);
	}
	return 0;
}
TZ_TASK(int, race_that_nobody_wins, void);

static void races(struct subject *s)
{
	RUN(s, race);
}

static void races_without_a_winner(struct subject *s)
{
	RUN(s, race_that_nobody_wins);
}

/* A call that is late by itself has failed; one that is late with its group has not. */
static int late_by_itself(void)
{
	tz_submit_options limited = { .deadline = tz_after(0.002) };

	begin();
	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		limited.group = &g;
		(void)tz_group_spawn(&g, sleep_on);
		(void)tz_spawn_with(&limited, sleep_on);
		CHECK(tz_group_wait(&g) == -EREMOTEIO && tz_last()->status == TZ_TIMED_OUT);
		CHECK(tz_group_winner(&g) == 1);
	}
	CHECK(atomic_load(&ran) == atomic_load(&ended));
	return 0;
}
TZ_TASK(int, late_by_itself, void);

static void fails_with_a_call_that_is_late(struct subject *s)
{
	RUN(s, late_by_itself);
}

/* --- leaving --------------------------------------------------------------------------------------------------------------- */

static int leave_early(void)
{
	begin();
	for (int way = 0; way < 2; way++) {
		TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
		{
			for (int i = 0; i < 3; i++)
				(void)tz_group_spawn(&g, give, i);
			if (way == 0)
				break;
			goto out;
		}
	}
out:
	return atomic_load(&ran);
}
TZ_TASK(int, leave_early, void);

static void is_never_left_with_calls_alive(struct subject *s)
{
	leave_early_future f = tz_submit(s->ex, leave_early);
	int got = 0;

	settle(f);
	assert_int_equal(tz_result(f, &got), 0);
	assert_int_equal(got, 6);
}

static int not_asked(void)
{
	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		(void)tz_group_spawn(&g, go_wrong, -EDOM);
	}
	return 0;
}
TZ_TASK(int, not_asked, void);

static void fails_its_job_if_nobody_asked(struct subject *s)
{
	not_asked_future f = tz_submit(s->ex, not_asked);
	tz_outcome o;

	assert_outcome(f, TZ_FAILED, -EREMOTEIO);
	assert_int_equal(tz_outcome_of(f, &o), 0);
	assert_non_null(strstr(o.message, "go_wrong"));
	assert_int_equal(tz_detach(f), 0);
}

/* A call that adds others to the group it is in. */
static void add_others(tz_group *g, int depth);
TZ_TASK(void, add_others, tz_group *, int);
static void add_others(tz_group *g, int depth)
{
	atomic_fetch_add(&ran, 1);
	for (int i = 0; i < 3 && depth > 0; i++)
		(void)tz_group_spawn(g, add_others, g, depth - 1);
}

static int grows_from_inside(void)
{
	begin();
	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		(void)tz_group_spawn(&g, add_others, &g, 4);
		CHECK(tz_group_wait(&g) == 0);
		CHECK(atomic_load(&ran) == 1 + 3 + 9 + 27 + 81);
	}
	TZ_GROUP(g, TZ_GROUP_COLLECT | TZ_GROUP_REAP)
	{
		(void)tz_group_spawn(&g, add_others, &g, 4);
	}
	CHECK(atomic_load(&ran) == 2 * (1 + 3 + 9 + 27 + 81));
	return 0;
}
TZ_TASK(int, grows_from_inside, void);

static void takes_calls_from_its_calls(struct subject *s)
{
	RUN(s, grows_from_inside);
}

static int server(void)
{
	give_future first;

	begin();
	TZ_GROUP(g, TZ_GROUP_FAIL_FAST | TZ_GROUP_REAP)
	{
		first = tz_group_spawn(&g, give, 0);
		for (int i = 1; i < 5000; i++)
			(void)tz_group_spawn(&g, give, i);
		CHECK(tz_group_wait(&g) == 0);
		for (int i = 0; i < 8; i++) /* a full list is looked through */
			(void)tz_group_spawn(&g, give, i);
	}
	CHECK(tz_done(first) == -ESTALE);
	CHECK(atomic_load(&ran) == 5008);
	return 0;
}
TZ_TASK(int, server, void);

static void reaps_if_asked(struct subject *s)
{
	RUN(s, server);
}

static int on_another_executor(void)
{
	give_future f;
	int got = 0;

	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		f = tz_group_submit(&g, NULL, give, 9);
		(void)tz_group_submit(&g, NULL, give, 8);
		CHECK(tz_group_wait(&g) == 0 && tz_result(f, &got) == 0 && got == 9);
	}
	return 0;
}
TZ_TASK(int, on_another_executor, void);

static void takes_calls_of_other_executors(struct subject *s)
{
	RUN(s, on_another_executor);
}

/* --- what is around it ------------------------------------------------------------------------------------------------------- */

static int nested(tz_group_policy outer, int code)
{
	int inner_result = 0, after = 0;

	TZ_GROUP(a, outer)
	{
		TZ_GROUP(b, TZ_GROUP_FAIL_FAST)
		{
			(void)tz_group_spawn(&b, go_wrong, code);
			inner_result = tz_group_wait(&b);
		}
		after = tz_interrupted();
		CHECK(tz_group_wait(&a) == (outer == TZ_GROUP_RACE ? -ENOENT : 0));
	}
	CHECK(inner_result == -EREMOTEIO);
	CHECK(after == 0 && tz_interrupted() == 0);
	return 0;
}

static int failure_stays_inside(void)
{
	int r = nested(TZ_GROUP_FAIL_FAST, -EDOM);

	return r < 0 ? r : nested(TZ_GROUP_RACE, -EDOM);
}
TZ_TASK(int, failure_stays_inside, void);

static void keeps_a_failure_inside(struct subject *s)
{
	RUN(s, failure_stays_inside);
}

/* A group in a time limit in a group: the outermost is cancelled, at any moment. */
static int three_deep(_Atomic(tz_group *) *where)
{
	int inner = 0, outer = 0, late = 0;

	TZ_GROUP(a, TZ_GROUP_FAIL_FAST)
	{
		TZ_SCOPE_UNTIL(long_enough, tz_never())
		{
			TZ_GROUP(b, TZ_GROUP_FAIL_FAST)
			{
				(void)tz_group_spawn(&b, sleep_on);
				atomic_store(where, &a);
				inner = tz_group_wait(&b);
			}
			late = tz_sleep_until(tz_never());
		}
		outer = tz_group_wait(&a);
	}
	CHECK(inner == -ECANCELED);
	CHECK(late == -ECANCELED);
	CHECK(outer == -ECANCELED);
	CHECK(tz_interrupted() == 0);
	CHECK(atomic_load(&ran) == atomic_load(&ended));
	return 0;
}
TZ_TASK(int, three_deep, _Atomic(tz_group *) *);

static void does_not_lose_a_cancel_of_an_outer_group(struct subject *s)
{
	static _Atomic(tz_group *) outer;

	for (int i = 0; i < 10; i++) {
		three_deep_future f;
		tz_outcome o;

		begin();
		atomic_store(&outer, NULL);
		f = tz_submit(s->ex, three_deep, &outer);
		until(atomic_load(&outer) != NULL);
		if (i % 2)
			(void)tz_sleep(0.0005);
		tz_group_cancel(atomic_load(&outer));
		settle(f);
		assert_int_equal(tz_outcome_of(f, &o), 0);
		if (o.status != TZ_OK)
			print_message("# %s\n", o.message);
		assert_int_equal(o.status, TZ_OK);
		assert_int_equal(tz_detach(f), 0);
	}
}

static int late_outside(void)
{
	int inner = 0, late = 0;

	TZ_TIMEOUT(0.005)
	{
		TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
		{
			(void)tz_group_spawn(&g, sleep_on);
			inner = tz_group_wait(&g);
		}
		late = tz_sleep_until(tz_never());
	}
	if (inner != -ETIMEDOUT || late != -ETIMEDOUT)
		return tz_fail(-EILSEQ, "%d, then %d; %s: %s", inner, late, tz_status_name(tz_last()->status), tz_last()->message);
	CHECK(tz_interrupted() == 0);
	return 0;
}
TZ_TASK(int, late_outside, void);

static void is_late_with_what_is_around_it(struct subject *s)
{
	RUN(s, late_outside);
}

/* The job is cancelled while its group loses a call: the one does not hide the other. */
static int cancelled_outside(void)
{
	int r = 0;

	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		(void)tz_group_spawn(&g, sleep_on);
		(void)tz_group_spawn(&g, go_wrong_beside, 1);
		r = tz_group_wait(&g);
	}
	if (r != -EREMOTEIO && r != -ECANCELED)
		return tz_fail(-EILSEQ, "%d", r);
	r = tz_sleep_until(tz_never()); /* ends in any case, since the job is cancelled */
	return tz_fail(r, "told");
}
TZ_TASK(int, cancelled_outside, void);

static void does_not_swallow_the_jobs_cancel(struct subject *s)
{
	for (int i = 0; i < 20; i++) {
		cancelled_outside_future f;

		begin();
		f = tz_submit(s->ex, cancelled_outside);
		until(atomic_load(&ran) >= 1);
		for (volatile int spin = 0; spin < i * 3000; spin++)
			;
		assert_int_equal(tz_cancel(f), 1);
		assert_outcome(f, TZ_CANCELLED, -ECANCELED);
		assert_int_equal(tz_detach(f), 0);
	}
}

/* One that was cancelled by itself is no failure. */
static int cancel_one(void)
{
	begin();
	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		sleep_on_future one = tz_group_spawn(&g, sleep_on);
		give_future other;
		int got = 0;

		CHECK(tz_cancel(one) >= 0);
		CHECK(tz_wait(one, tz_never()) == 0);
		other = tz_group_spawn(&g, give, 4);
		CHECK(tz_group_wait(&g) == 0);
		CHECK(tz_result(other, &got) == 0 && got == 4);
	}
	return 0;
}
TZ_TASK(int, cancel_one, void);

static void does_not_fail_with_one_that_was_cancelled(struct subject *s)
{
	RUN(s, cancel_one);
}

static int raise_after_cancel(void)
{
	tz_outcome o = { .status = TZ_PENDING };

	begin();
	TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
	{
		tz_group_cancel(&g);
		give_future f = tz_group_spawn(&g, give, 1);

		CHECK(tz_outcome_of(f, &o) == 0 && o.status == TZ_CANCELLED);
		CHECK(tz_group_wait(&g) == -ECANCELED);
		CHECK(tz_interrupted() == -ECANCELED); /* it was not the policy: the block is to end */
	}
	CHECK(tz_interrupted() == 0 && atomic_load(&ran) == 0);
	return 0;
}
TZ_TASK(int, raise_after_cancel, void);

static void stays_cancelled(struct subject *s)
{
	RUN(s, raise_after_cancel);
}

/* A scope inside the group that ends the wait for it. */
static int late_inside(int policy)
{
	sleep_on_future f;
	tz_outcome o;
	int waited = 0;

	TZ_GROUP(g, (tz_group_policy)policy)
	{
		f = tz_group_spawn(&g, sleep_on);
		TZ_TIMEOUT(0.005)
			waited = tz_group_wait(&g);
		CHECK(tz_outcome_of(f, &o) == 0 && o.status == TZ_CANCELLED);
		CHECK(waited == -ETIMEDOUT);
		CHECK(tz_interrupted() == 0);
	}
	return 0;
}
TZ_TASK(int, late_inside, int);

static void is_late_with_what_is_inside_it(struct subject *s)
{
	for (int policy = TZ_GROUP_FAIL_FAST; policy <= TZ_GROUP_RACE; policy++) {
		late_inside_future f = tz_submit(s->ex, late_inside, policy);

		settle(f);
		if (tz_result(f, NULL) < 0)
			fail_msg("policy %d: %s", policy, tz_last()->message);
	}
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CASE("a group waits for all", waits_for_all),
		BESIDE("the first failure cancels the others", cancels_the_others_on_a_failure),
		CASE("and wakes the block", wakes_its_own_block_on_a_failure),
		CASE("all go on to their ends, if asked", lets_all_end_if_asked),
		BESIDE("the first that ends well wins a race", races),
		CASE("a race that nobody wins", races_without_a_winner),
		BESIDE("a call that is late by itself", fails_with_a_call_that_is_late),
		CASE("a group is not left with calls alive", is_never_left_with_calls_alive),
		CASE("an unseen failure is the job's", fails_its_job_if_nobody_asked),
		CASE("calls add calls", takes_calls_from_its_calls),
		CASE("a group that reaps", reaps_if_asked),
		CASE("calls of other executors", takes_calls_of_other_executors),
		CASE("a failure stays inside", keeps_a_failure_inside),
		BESIDE("an outer group's cancel is not lost", does_not_lose_a_cancel_of_an_outer_group),
		BESIDE("an outer deadline is not lost", is_late_with_what_is_around_it),
		BESIDE("a time limit inside is not lost", is_late_with_what_is_inside_it),
		BESIDE("the job's cancel is not swallowed", does_not_swallow_the_jobs_cancel),
		BESIDE("a call cancelled by itself has not failed", does_not_fail_with_one_that_was_cancelled),
		CASE("a cancelled group stays cancelled", stays_cancelled),
	};

	return RUN_CASES("group", cases);
}
