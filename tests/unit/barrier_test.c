/* Barriers: rounds, indices, actions, breaking, resetting, time. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include <trenza/barrier.h>
#include <trenza/scope.h>

#include "check.h"
#include "crew.h"

enum { PARTIES = 4, ROUNDS = 500 };

static void all_zero_is_a_barrier_of_one(void **state)
{
	tz_barrier b = { 0 };

	(void)state;
	assert_int_equal(tz_barrier_parties(&b), 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_barrier_wait(&b), 0);
	assert_int_equal(tz_barrier_waiting(&b), 0);
}

static void misuse(void **state)
{
	tz_barrier b = { 0 };

	(void)state;
	assert_int_equal(tz_barrier_init(&b, 0, NULL, NULL), -EINVAL);
	assert_int_equal(tz_barrier_init(&b, -3, NULL, NULL), -EINVAL);
	assert_int_equal(tz_barrier_init(&b, TZ_BARRIER_MAX + 1, NULL, NULL), -EINVAL);
	assert_int_equal(tz_barrier_parties(&b), 1);
}

/* Each round: every index once, the action once, and nobody a round ahead. */

struct game {
	tz_barrier barrier;
	_Atomic int arrived; /* in all rounds */
	_Atomic unsigned indices; /* of this round, as bits */
	int actions;
	bool with_action;
};

static int end_round(void *arg)
{
	struct game *g = arg;

	g->actions++;
	must(atomic_load(&g->arrived) == PARTIES * g->actions);
	atomic_store(&g->indices, 0);
	return 0;
}

static void *play(void *arg)
{
	struct game *g = arg;

	for (int i = 0; i < ROUNDS; i++) {
		atomic_fetch_add(&g->arrived, 1);
		int index = tz_barrier_wait_until(&g->barrier, soon());

		must(index >= 0 && index < PARTIES);
		must(atomic_load(&g->arrived) >= PARTIES * (i + 1));
		if (!g->with_action)
			continue;
		must(g->actions == i + 1);
		must(!(atomic_fetch_or(&g->indices, 1u << index) & 1u << index));
	}
	return NULL;
}

static void rounds(bool with_action)
{
	struct game g = { .with_action = with_action };
	struct crew crew = { 0 };

	assert_int_equal(tz_barrier_init(&g.barrier, PARTIES, with_action ? end_round : NULL, &g),
			 0);
	assert_int_equal(tz_barrier_parties(&g.barrier), PARTIES);
	for (int i = 0; i < PARTIES; i++)
		crew_add(&crew, play, &g);
	crew_join(&crew);
	assert_int_equal(atomic_load(&g.arrived), PARTIES * ROUNDS);
	assert_int_equal(g.actions, with_action ? ROUNDS : 0);
	assert_int_equal(tz_barrier_waiting(&g.barrier), 0);
	assert_false(tz_barrier_is_broken(&g.barrier));
}

static void rounds_without_action(void **state)
{
	(void)state;
	rounds(false);
}

static void rounds_with_action(void **state)
{
	(void)state;
	rounds(true);
}

/* Breaking. The others wait in threads and report what they were told. */

struct round {
	tz_barrier barrier;
	tz_deadline deadline; /* of the first one to come */
	_Atomic int told[PARTIES];
	_Atomic int come;
};

static void *arrive(void *arg)
{
	struct round *r = arg;
	int me = atomic_fetch_add(&r->come, 1);
	int answer = tz_barrier_wait_until(&r->barrier,
					   me == 0 && r->deadline.ns ? r->deadline : soon());

	atomic_store(&r->told[me], answer);
	return NULL;
}

static void start(struct round *r, struct crew *crew, int parties, int waiting)
{
	assert_int_equal(tz_barrier_init(&r->barrier, parties, NULL, NULL), 0);
	for (int i = 0; i < waiting; i++)
		crew_add(crew, arrive, r);
	until(tz_barrier_waiting(&r->barrier) == waiting || tz_barrier_is_broken(&r->barrier));
}

static void abort_tells_all(void **state)
{
	struct round r = { 0 };
	struct crew crew = { 0 };

	(void)state;
	start(&r, &crew, PARTIES, PARTIES - 1);
	tz_barrier_abort(&r.barrier);
	crew_join(&crew);
	for (int i = 0; i < PARTIES - 1; i++)
		assert_int_equal(atomic_load(&r.told[i]), -EPIPE);
	assert_true(tz_barrier_is_broken(&r.barrier));
	assert_int_equal(tz_barrier_wait(&r.barrier), -EPIPE); /* and who comes later */
	tz_barrier_abort(&r.barrier);
	assert_int_equal(tz_barrier_wait_until(&r.barrier, tz_after(-1)), -EPIPE);
	tz_barrier_reset(&r.barrier);
	assert_false(tz_barrier_is_broken(&r.barrier));
	assert_int_equal(tz_barrier_wait_until(&r.barrier, tz_after(0.001)), -ETIMEDOUT);
}

static void reset_tells_who_waits_and_starts_anew(void **state)
{
	struct round r = { 0 };
	struct game g = { 0 };
	struct crew crew = { 0 };

	(void)state;
	start(&r, &crew, PARTIES, PARTIES - 1);
	tz_barrier_reset(&r.barrier);
	crew_join(&crew);
	for (int i = 0; i < PARTIES - 1; i++)
		assert_int_equal(atomic_load(&r.told[i]), -EPIPE);
	assert_false(tz_barrier_is_broken(&r.barrier));
	assert_int_equal(tz_barrier_waiting(&r.barrier), 0);
	g.barrier = r.barrier;
	for (int i = 0; i < PARTIES; i++)
		crew_add(&crew, play, &g);
	crew_join(&crew);
	assert_int_equal(atomic_load(&g.arrived), PARTIES * ROUNDS);
}

static void time_out_breaks_it_for_all(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		struct round r = { .deadline = tz_after(0.0003 * i) };
		struct crew crew = { 0 };
		int timed_out = 0;

		start(&r, &crew, PARTIES, PARTIES - 1);
		crew_join(&crew);
		for (int k = 0; k < PARTIES - 1; k++) {
			int told = atomic_load(&r.told[k]);

			assert_true(told == -EPIPE || told == -ETIMEDOUT);
			timed_out += told == -ETIMEDOUT;
		}
		assert_int_equal(timed_out, 1);
		assert_true(tz_barrier_is_broken(&r.barrier));
	}
}

static void cancel_breaks_it(void **state)
{
	struct round r = { 0 };
	struct crew crew = { 0 };
	tz_scope scope = { 0 };

	(void)state;
	start(&r, &crew, 3, 1);
	tz_scope_enter(&scope, soon());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_barrier_wait(&r.barrier), -ECANCELED);
	(void)tz_scope_leave(&scope);
	crew_join(&crew);
	assert_int_equal(atomic_load(&r.told[0]), -EPIPE);
}

/* The last to arrive does not wait, and so is not cut short. */
static void the_last_one_completes_the_round(void **state)
{
	struct round r = { 0 };
	struct crew crew = { 0 };
	tz_scope scope = { 0 };

	(void)state;
	start(&r, &crew, 2, 1);
	tz_scope_enter(&scope, soon());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_barrier_wait_until(&r.barrier, tz_after(-1)), 1);
	(void)tz_scope_leave(&scope);
	crew_join(&crew);
	assert_int_equal(atomic_load(&r.told[0]), 0);
}

static int fail_with(void *arg)
{
	return *(int *)arg;
}

static void failing_action_breaks_it(void **state)
{
	int code = -EIO;
	struct round r = { 0 };
	struct crew crew = { 0 };

	(void)state;
	start(&r, &crew, 2, 1);
	r.barrier.tz__action = fail_with;
	r.barrier.tz__arg = &code;
	assert_int_equal(tz_barrier_wait(&r.barrier), -EIO);
	crew_join(&crew);
	assert_int_equal(atomic_load(&r.told[0]), -EPIPE);
	assert_true(tz_barrier_is_broken(&r.barrier));
	tz_barrier_reset(&r.barrier);
	code = 7;
	crew_add(&crew, arrive, &r);
	until(tz_barrier_waiting(&r.barrier) == 1);
	assert_int_equal(tz_barrier_wait(&r.barrier), -EPIPE);
	crew_join(&crew);
}

static int break_it(void *barrier)
{
	tz_barrier_abort(barrier);
	return 0;
}

static int mend_it(void *barrier)
{
	tz_barrier_reset(barrier);
	return 0;
}

static void breaking_while_the_action_runs(void **state)
{
	tz_barrier_action *const actions[] = { break_it, mend_it };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct round r = { 0 };
		struct crew crew = { 0 };

		start(&r, &crew, 2, 1);
		r.barrier.tz__action = actions[i];
		r.barrier.tz__arg = &r.barrier;
		assert_int_equal(tz_barrier_wait(&r.barrier), -EPIPE);
		crew_join(&crew);
		assert_int_equal(atomic_load(&r.told[0]), -EPIPE);
		assert_int_equal(tz_barrier_is_broken(&r.barrier), i == 0);
	}
}

/* More strands than parties: an action never meets another one, and each arrival belongs to one round. */

struct crowd {
	tz_barrier barrier;
	_Atomic int acting;
	_Atomic int actions;
	_Atomic int left; /* arrivals that are still to come */
};

static int act_alone(void *arg)
{
	struct crowd *c = arg;

	must(atomic_fetch_add(&c->acting, 1) == 0);
	(void)tz_sleep(0.0001);
	atomic_fetch_add(&c->actions, 1);
	must(atomic_fetch_sub(&c->acting, 1) == 1);
	return 0;
}

static void *come_again(void *arg)
{
	struct crowd *c = arg;

	while (atomic_fetch_sub(&c->left, 1) > 0)
		must(tz_barrier_wait_until(&c->barrier, soon()) >= 0);
	return NULL;
}

static void more_strands_than_parties(void **state)
{
	struct crowd c = { .left = 200 };
	struct crew crew = { 0 };

	(void)state;
	assert_int_equal(tz_barrier_init(&c.barrier, 1, act_alone, &c), 0);
	for (int i = 0; i < 5; i++)
		crew_add(&crew, come_again, &c);
	crew_join(&crew);
	assert_int_equal(atomic_load(&c.actions), 200);
}

/* Rounds, breaks and resets at random: every wait ends, and a whole round is whole. */

struct storm {
	tz_barrier barrier;
	_Atomic int rounds; /* completed, counted by the last one */
	_Atomic long answers[2]; /* that were an index, that were -EPIPE or a time-out */
	_Atomic bool stop;
};

static void *weather_it(void *arg)
{
	struct storm *s = arg;
	uint32_t seed = (uint32_t)(uintptr_t)&s | 1;

	while (!atomic_load(&s->stop)) {
		tz_deadline end = tz_after(1e-6 * (next_random(&seed) % 2000));
		int r = tz_barrier_wait_until(&s->barrier, end);

		must(r == -EPIPE || r == -ETIMEDOUT || (r >= 0 && r < PARTIES));
		atomic_fetch_add(&s->answers[r < 0], 1);
		if (r == PARTIES - 1)
			atomic_fetch_add(&s->rounds, 1);
		if (r < 0)
			tz_barrier_reset(&s->barrier);
	}
	return NULL;
}

static void storm(void **state)
{
	struct storm s = { 0 };
	struct crew crew = { 0 };
	uint32_t seed = 99;

	(void)state;
	assert_int_equal(tz_barrier_init(&s.barrier, PARTIES, NULL, NULL), 0);
	for (int i = 0; i < PARTIES; i++)
		crew_add(&crew, weather_it, &s);
	for (int i = 0; i < 300; i++) {
		(void)tz_sleep(1e-6 * (next_random(&seed) % 500));
		(i % 2 ? tz_barrier_abort : tz_barrier_reset)(&s.barrier);
	}
	atomic_store(&s.stop, true);
	crew_join(&crew);
	assert_int_equal(atomic_load(&s.answers[0]), (long)PARTIES * atomic_load(&s.rounds));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_zero_is_a_barrier_of_one),
		cmocka_unit_test(misuse),
		cmocka_unit_test(rounds_without_action),
		cmocka_unit_test(rounds_with_action),
		cmocka_unit_test(abort_tells_all),
		cmocka_unit_test(reset_tells_who_waits_and_starts_anew),
		cmocka_unit_test(time_out_breaks_it_for_all),
		cmocka_unit_test(cancel_breaks_it),
		cmocka_unit_test(the_last_one_completes_the_round),
		cmocka_unit_test(failing_action_breaks_it),
		cmocka_unit_test(breaking_while_the_action_runs),
		cmocka_unit_test(more_strands_than_parties),
		cmocka_unit_test(storm),
	};

	return cmocka_run_group_tests_name("barriers", tests, NULL, NULL);
}
