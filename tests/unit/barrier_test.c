/* Barriers: rounds, indices, actions, breaking, resetting, time. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <trenza.h>

#include "check.h"
#include "core/parking.h"
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

/* A strand that is held up in the middle of its call, while rounds come and go: it is told of its own.
 *
 * The bucket of the parking lot is kept locked by a thread of the test until the strand, which has arrived, has come no further
 * than to that lock; then a signal handler keeps the strand there, and the lock is let go. */

static struct {
	_Atomic bool locked, unlock; /* the bucket */
	_Atomic bool caught, let_go; /* the strand */
	pthread_t keeper;
} grip;

static void keep_bucket(void *arg, size_t taken, bool more)
{
	(void)arg, (void)taken, (void)more;
	atomic_store(&grip.locked, true);
	while (!atomic_load(&grip.unlock))
		(void)usleep(100);
}

static void *keeper(void *key)
{
	(void)tz_parking_wake(key, 0, NULL, keep_bucket, NULL);
	return NULL;
}

static void keep_strand(int signal)
{
	int e = errno;

	(void)signal;
	atomic_store(&grip.caught, true);
	while (!atomic_load(&grip.let_go))
		(void)usleep(100);
	errno = e;
}

/* From here on no strand can queue for the barrier, or be taken from its queue. */
static void lock_queue(tz_barrier *b)
{
	struct sigaction action = { .sa_handler = keep_strand };

	must(sigaction(SIGUSR1, &action, NULL) == 0);
	atomic_store(&grip.locked, false);
	atomic_store(&grip.unlock, false);
	atomic_store(&grip.caught, false);
	atomic_store(&grip.let_go, false);
	must(pthread_create(&grip.keeper, NULL, keeper, b) == 0);
	until(atomic_load(&grip.locked));
}

/* Others may go on, and only this thread stays where it is. */
static void hold(pthread_t thread)
{
	must(pthread_kill(thread, SIGUSR1) == 0);
	until(atomic_load(&grip.caught));
	atomic_store(&grip.unlock, true);
	must(pthread_join(grip.keeper, NULL) == 0);
}

static void let_go(void)
{
	atomic_store(&grip.let_go, true);
}

static enum tz_parking_choice count_one(struct tz_parked *n, void *count)
{
	(void)n;
	++*(int *)count;
	return TZ_PARKING_PASS;
}

static int queued(const tz_barrier *b)
{
	int n = 0;

	(void)tz_parking_wake(b, SIZE_MAX, count_one, NULL, &n);
	return n;
}

struct latecomer {
	tz_barrier *barrier;
	tz_scope scope;
	pthread_t thread;
	_Atomic int told;
};

enum { NOTHING_YET = 1000, MANY = 25 };

static void come_late(struct latecomer *l)
{
	sigset_t ours;

	l->thread = pthread_self();
	must(sigemptyset(&ours) == 0 && sigaddset(&ours, SIGUSR1) == 0);
	must(pthread_sigmask(SIG_UNBLOCK, &ours, NULL) == 0); /* executors' threads block it */
	tz_scope_enter(&l->scope, soon());
	int answer = tz_barrier_wait(l->barrier);

	(void)tz_scope_leave(&l->scope);
	atomic_store(&l->told, answer);
}

typedef struct latecomer *latecomer;
TZ_TASK(void, come_late, latecomer);

static void *come_late_in_a_thread(void *arg)
{
	come_late(arg);
	return NULL;
}

static void *pass_many_times(void *barrier)
{
	for (int i = 0; i < MANY; i++)
		must(tz_barrier_wait_until(barrier, soon()) >= 0);
	return NULL;
}

static void begin_many_rounds_of_two(tz_barrier *b, struct crew *crew)
{
	for (int i = 0; i < 2; i++)
		crew_add(crew, pass_many_times, b);
}

static void many_rounds_of_two(tz_barrier *b)
{
	struct crew crew = { 0 };

	begin_many_rounds_of_two(b, &crew);
	crew_join(&crew);
}

static void many_breaks(tz_barrier *b)
{
	for (int i = 0; i < MANY; i++) {
		tz_barrier_reset(b);
		assert_int_equal(tz_barrier_wait_until(b, tz_after(0)), -ETIMEDOUT);
		assert_true(tz_barrier_is_broken(b));
		tz_barrier_abort(b);
		tz_barrier_reset(b);
		assert_int_equal(tz_barrier_waiting(b), 0);
		tz_barrier_abort(b);
		assert_int_equal(tz_barrier_wait(b), -EPIPE);
	}
	tz_barrier_reset(b);
	assert_false(tz_barrier_is_broken(b));
}

/* Its round is completed, or broken; others are completed and broken after it. */
static void late(bool complete, const char *spec)
{
	tz_barrier b;
	struct latecomer l = { .barrier = &b, .told = NOTHING_YET };
	struct crew crew = { 0 };
	come_late_future f;
	tz_executor *ex;

	assert_int_equal(tz_barrier_init(&b, 2, NULL, NULL), 0);
	assert_int_equal(tz_executor_open(&ex, spec), 0);
	lock_queue(&b);
	f = tz_submit(ex, come_late, &l);
	until(tz_barrier_waiting(&b) == 1);
	hold(l.thread);
	if (complete) {
		assert_int_equal(tz_barrier_wait(&b), 1);
		many_rounds_of_two(&b);
	} else {
		tz_barrier_abort(&b);
	}
	many_breaks(&b);
	begin_many_rounds_of_two(&b, &crew);
	if (complete) {
		crew_join(&crew);
	} else { /* who comes before the late one knows waits for it */
		until(queued(&b) == 2);
		assert_int_equal(tz_barrier_waiting(&b), 0);
	}
	assert_int_equal(atomic_load(&l.told), NOTHING_YET);
	let_go();
	crew_join(&crew);
	assert_int_equal(tz_wait_all(&f, 1, soon()), 0);
	assert_int_equal(tz_gather_all(&f, 1), 0);
	tz_executor_close(ex);
	assert_int_equal(atomic_load(&l.told), complete ? 0 : -EPIPE);
	assert_int_equal(tz_barrier_waiting(&b), 0);
}

static void late_for_the_end_of_a_round(void **state)
{
	(void)state;
	late(true, "threads:1");
	late(true, "coroutines");
}

static void late_for_the_break_of_a_round(void **state)
{
	(void)state;
	late(false, "threads:1");
	late(false, "coroutines");
}

/* The one who is held up has completed a round, and has still to wake who sleeps. That one's wait is cancelled meanwhile, or
 * somebody else's round is broken; both were told of another round than theirs, once. */
static void late_waker(bool cancel)
{
	tz_barrier b;
	struct latecomer sleeper = { .barrier = &b, .told = NOTHING_YET }, waker = sleeper,
			 other = sleeper;
	struct crew crew = { 0 };

	assert_int_equal(tz_barrier_init(&b, 2, NULL, NULL), 0);
	crew_add(&crew, come_late_in_a_thread, &sleeper);
	until(queued(&b) == 1);
	lock_queue(&b);
	crew_add(&crew, come_late_in_a_thread, &waker);
	until(tz_barrier_waiting(&b) == 0);
	hold(waker.thread);
	if (cancel) {
		many_breaks(&b);
		tz_scope_cancel(&sleeper.scope);
		until(atomic_load(&sleeper.told) != NOTHING_YET);
		assert_false(tz_barrier_is_broken(&b));
	}
	crew_add(&crew, come_late_in_a_thread, &other);
	until(queued(&b) == (cancel ? 1 : 2));
	tz_barrier_abort(&b);
	until(atomic_load(&other.told) != NOTHING_YET);
	let_go();
	crew_join(&crew);
	assert_int_equal(atomic_load(&sleeper.told), 0);
	assert_int_equal(atomic_load(&waker.told), 1);
	assert_int_equal(atomic_load(&other.told), -EPIPE);
}

static void late_to_wake_others(void **state)
{
	(void)state;
	late_waker(false);
	late_waker(true);
}

/* An action goes on though its round was broken: the next one waits for it. */

struct stage {
	struct crowd crowd;
	_Atomic bool curtain;
};

static int play_on(void *arg)
{
	struct stage *s = arg;

	must(atomic_fetch_add(&s->crowd.acting, 1) == 0);
	until(atomic_load(&s->curtain));
	must(atomic_fetch_sub(&s->crowd.acting, 1) == 1);
	return 0;
}

static void no_action_meets_a_broken_rounds(void **state)
{
	struct stage s = { .curtain = false };
	struct latecomer first = { .barrier = &s.crowd.barrier, .told = NOTHING_YET },
			 second = first;
	struct crew crew = { 0 };

	(void)state;
	assert_int_equal(tz_barrier_init(&s.crowd.barrier, 1, play_on, &s), 0);
	crew_add(&crew, come_late_in_a_thread, &first);
	until(atomic_load(&s.crowd.acting) == 1);
	many_breaks(&s.crowd.barrier);
	crew_add(&crew, come_late_in_a_thread, &second);
	until(queued(&s.crowd.barrier) == 1);
	assert_int_equal(atomic_load(&first.told), NOTHING_YET);
	atomic_store(&s.curtain, true);
	crew_join(&crew);
	assert_int_equal(atomic_load(&first.told), -EPIPE);
	assert_int_equal(atomic_load(&second.told), 0);
}

/* Who waits for others to be told of a break hears of the next one. */
static void abort_tells_who_waits_to_be_counted(void **state)
{
	struct stage s = { .curtain = false };
	struct latecomer first = { .barrier = &s.crowd.barrier, .told = NOTHING_YET },
			 second = first;
	struct crew crew = { 0 };

	(void)state;
	assert_int_equal(tz_barrier_init(&s.crowd.barrier, 1, play_on, &s), 0);
	crew_add(&crew, come_late_in_a_thread, &first);
	until(atomic_load(&s.crowd.acting) == 1);
	tz_barrier_reset(&s.crowd.barrier);
	for (int i = 0; i < 2; i++) { /* by tz_barrier_abort, and by one who gives up */
		atomic_store(&second.told, NOTHING_YET);
		crew_add(&crew, come_late_in_a_thread, &second);
		until(queued(&s.crowd.barrier) == 1);
		if (i == 0)
			tz_barrier_abort(&s.crowd.barrier);
		else
			assert_int_equal(tz_barrier_wait_until(&s.crowd.barrier, tz_after(0)),
					 -ETIMEDOUT);
		until(atomic_load(&second.told) != NOTHING_YET);
		assert_int_equal(atomic_load(&second.told), -EPIPE);
		tz_barrier_reset(&s.crowd.barrier);
	}
	atomic_store(&s.curtain, true);
	crew_join(&crew);
	assert_int_equal(atomic_load(&first.told), -EPIPE);
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

static int take_a_while(void *arg)
{
	(void)arg;
	return tz_sleep(0.00002);
}

static void weather(int strands, tz_barrier_action *action)
{
	struct storm s = { 0 };
	struct crew crew = { 0 };
	uint32_t seed = 99;

	assert_int_equal(tz_barrier_init(&s.barrier, PARTIES, action, NULL), 0);
	for (int i = 0; i < strands; i++)
		crew_add(&crew, weather_it, &s);
	for (int i = 0; i < 300; i++) {
		(void)tz_sleep(1e-6 * (next_random(&seed) % 500));
		(i % 2 ? tz_barrier_abort : tz_barrier_reset)(&s.barrier);
	}
	atomic_store(&s.stop, true);
	crew_join(&crew);
	assert_int_equal(atomic_load(&s.answers[0]), (long)PARTIES * atomic_load(&s.rounds));
	assert_int_equal(tz_barrier_waiting(&s.barrier), 0);
}

static void storm(void **state)
{
	(void)state;
	weather(PARTIES, NULL);
}

static void storm_of_more_than_the_parties(void **state)
{
	(void)state;
	weather(PARTIES + 3, NULL);
}

static void storm_with_an_action(void **state)
{
	(void)state;
	weather(PARTIES + 1, take_a_while);
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
		cmocka_unit_test(late_for_the_end_of_a_round),
		cmocka_unit_test(late_for_the_break_of_a_round),
		cmocka_unit_test(late_to_wake_others),
		cmocka_unit_test(no_action_meets_a_broken_rounds),
		cmocka_unit_test(abort_tells_who_waits_to_be_counted),
		cmocka_unit_test(storm),
		cmocka_unit_test(storm_of_more_than_the_parties),
		cmocka_unit_test(storm_with_an_action),
	};

	return cmocka_run_group_tests_name("barriers", tests, NULL, NULL);
}
