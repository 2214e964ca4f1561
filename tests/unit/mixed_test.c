/* Objects that strands of all kinds use at the same time: coroutines of one loop, coroutines of several, and threads beside them. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <trenza.h>

#include "check.h"
#include "crew.h"

enum { PLAYERS = 9, THREADS = 3, ROUNDS = 60 };

typedef void (*game)(int player);

static void play(game what, int player)
{
	what(player);
}
TZ_TASK(void, play, game, int);

struct seat {
	game what;
	int player;
};

static void *sit(void *arg)
{
	const struct seat *s = arg;

	s->what(s->player);
	return NULL;
}

/* Players are coroutines of the executor, and THREADS of them threads if `threads`. */
static void match(const char *spec, game what, bool threads)
{
	struct crew crew = { .count = 0 };
	struct seat seats[THREADS];
	play_future f[PLAYERS];
	tz_executor *ex;
	int n = PLAYERS - (threads ? THREADS : 0);

	must(tz_executor_open(&ex, spec) == 0);
	for (int i = 0; i < n; i++)
		f[i] = tz_submit(ex, play, what, i);
	for (int i = n; i < PLAYERS; i++) {
		seats[i - n] = (struct seat){ what, i };
		crew_add(&crew, sit, &seats[i - n]);
	}
	must(tz_wait_all(f, (size_t)n, soon()) == 0);
	crew_join(&crew);
	must(tz_gather_all(f, (size_t)n) == 0);
	tz_executor_close(ex);
}

static void everywhere(game what, void (*prepare)(void), void (*check)(void))
{
	static const char *const specs[] = { "coroutines", "coroutines:2",
					     "sim:seed=3,grace=0.001" };

	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
		for (int threads = 0; threads < 2; threads++) {
			prepare();
			match(specs[i], what, threads);
			check();
		}
}

/* Gives others a chance in the middle of something. */
static void dawdle(int round)
{
	if (round % 7 == 0)
		must(tz_sleep(0.00001) == 0);
	else if (round % 3 == 0)
		must(tz_yield() == 0);
}

/* --- locks ------------------------------------------------------------------------------------------ */

static tz_lock lock;
static tz_rlock rlock;
static tz_rwlock rwlock;
static long counter, pair[2]; /* not atomic: the objects guard them */

static void prepare_counter(void)
{
	counter = pair[0] = pair[1] = 0;
}

static void check_counter(void)
{
	assert_int_equal(counter, PLAYERS * ROUNDS);
	assert_false(tz_lock_is_held(&lock));
	assert_false(tz_rlock_is_held(&rlock));
}

static void with_a_lock(int player)
{
	for (int i = 0; i < ROUNDS; i++) {
		if ((i + player) % 2)
			tz_lock_acquire(&lock);
		else
			while (tz_lock_acquire_until(&lock, tz_after(0.00005)) < 0)
				;
		long c = counter;

		dawdle(i + player);
		counter = c + 1;
		must(tz_lock_release(&lock) == 0);
	}
}

static void with_an_rlock(int player)
{
	for (int i = 0; i < ROUNDS; i++) {
		tz_rlock_acquire(&rlock);
		tz_rlock_acquire(&rlock);
		long c = counter;

		dawdle(i + player);
		must(tz_rlock_is_mine(&rlock));
		counter = c + 1;
		must(tz_rlock_release(&rlock) == 0);
		must(tz_rlock_is_mine(&rlock));
		must(tz_rlock_release(&rlock) == 0);
		must(!tz_rlock_is_mine(&rlock));
	}
}

static void with_an_rwlock(int player)
{
	for (int i = 0; i < ROUNDS; i++) {
		if ((i + player) % 3) {
			tz_rwlock_acquire_read(&rwlock);
			long a = pair[0];

			dawdle(i + player);
			must(a == pair[1]);
			must(tz_rwlock_release_read(&rwlock) == 0);
		}
		tz_rwlock_acquire_write(&rwlock);
		pair[0]++;
		dawdle(i);
		pair[1]++;
		counter++;
		must(tz_rwlock_release_write(&rwlock) == 0);
	}
}

static void locks(void **state)
{
	(void)state;
	everywhere(with_a_lock, prepare_counter, check_counter);
	everywhere(with_an_rlock, prepare_counter, check_counter);
	everywhere(with_an_rwlock, prepare_counter, check_counter);
	assert_int_equal(tz_rwlock_readers(&rwlock), 0);
	assert_false(tz_rwlock_is_written(&rwlock));
}

/* --- conditions: each one takes its turn ---------------------------------------------------------------- */

static tz_condition changed;

static void in_turn(int player)
{
	for (int i = 0; i < ROUNDS; i++) {
		tz_lock_acquire(&lock);
		while (counter % PLAYERS != player)
			must(tz_condition_wait(&changed, &lock) == 0);
		counter++;
		tz_condition_notify_all(&changed);
		must(tz_lock_release(&lock) == 0);
	}
}

static void conditions(void **state)
{
	(void)state;
	everywhere(in_turn, prepare_counter, check_counter);
}

/* --- semaphores ------------------------------------------------------------------------------------------ */

static tz_semaphore permits;
static atomic_int inside;

static void prepare_permits(void)
{
	must(tz_semaphore_init_bounded(&permits, 2) == 0);
}

static void check_permits(void)
{
	assert_int_equal(tz_semaphore_permits(&permits), 2);
	assert_int_equal(inside, 0);
}

static void with_permits(int player)
{
	for (int i = 0; i < ROUNDS; i++) {
		if ((i + player) % 2)
			must(tz_semaphore_acquire(&permits) == 0);
		else
			while (tz_semaphore_acquire_until(&permits, tz_after(0.00005)) < 0)
				;
		must(atomic_fetch_add(&inside, 1) < 2);
		dawdle(i + player);
		atomic_fetch_sub(&inside, 1);
		must(tz_semaphore_release(&permits) == 0);
	}
}

static void semaphores(void **state)
{
	(void)state;
	everywhere(with_permits, prepare_permits, check_permits);
}

/* --- barriers, events, once ------------------------------------------------------------------------------- */

static tz_barrier barrier;
static tz_event events[ROUNDS];
static tz_once once[ROUNDS];
static atomic_int steps, runs;

static int run_once(void *round)
{
	atomic_fetch_add(&runs, 1);
	must(tz_sleep(0.00002) == 0);
	return *(int *)round;
}

static void prepare_steps(void)
{
	must(tz_barrier_init(&barrier, PLAYERS, NULL, NULL) == 0);
	memset(events, 0, sizeof events);
	memset(once, 0, sizeof once);
	steps = runs = 0;
}

static void check_steps(void)
{
	assert_int_equal(steps, PLAYERS * ROUNDS);
	assert_int_equal(runs, ROUNDS);
}

static void step_by_step(int player)
{
	for (int i = 0; i < ROUNDS; i++) {
		atomic_fetch_add(&steps, 1);
		must(tz_barrier_wait(&barrier) >= 0);
		must(steps >= PLAYERS * (i + 1));
		if (player == i % PLAYERS)
			tz_event_set(&events[i]);
		must(tz_event_wait(&events[i]) == 0);
		must(tz_once_call(&once[i], run_once, &i) == i);
	}
}

static void barriers_events_and_once(void **state)
{
	(void)state;
	everywhere(step_by_step, prepare_steps, check_steps);
}

/* --- queues ------------------------------------------------------------------------------------------------ */

TZ_QUEUE(long, numbers);
static numbers queue;
static tz_queue_options queue_options;
static atomic_long sum;

static void prepare_queue(void)
{
	sum = 0;
	must(numbers_open(&queue, &queue_options) == 0);
}

static void check_queue(void)
{
	assert_true(tz_queue_empty(queue.queue));
	assert_int_equal(sum, 0);
	numbers_close(&queue);
}

/* Each one gets as many as it puts, in an order in which a full queue and an empty one cannot stop all of them. */
static void put_and_get(int player)
{
	for (int i = 0; i < ROUNDS; i++) {
		long x = player * ROUNDS + i;

		atomic_fetch_add(&sum, x);
		must(numbers_put(queue, x) == 0);
		dawdle(i + player);
		must(numbers_get(queue, &x) == 0);
		atomic_fetch_sub(&sum, x);
	}
}

static void queues(void **state)
{
	static const tz_queue_options kinds[] = {
		{ .capacity = 2 },    { .capacity = 0 },
		{ .order = TZ_LIFO }, { .order = TZ_LIFO, .capacity = 3 },
		{ .capacity = 64 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		queue_options = kinds[i];
		everywhere(put_and_get, prepare_queue, check_queue);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(locks),      cmocka_unit_test(conditions),
		cmocka_unit_test(semaphores), cmocka_unit_test(barriers_events_and_once),
		cmocka_unit_test(queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
