/* Coroutines of several loops, and threads beside them: storms of spawning, wake-ups from loop to loop, timers against wake-ups, cancels against
 * completions, and loops that are shut down while others submit. */
#define _GNU_SOURCE

#include <errno.h>

#include "stress.h"

static tz_executor *ex;
static _Atomic uint64_t stream;

static stress_random generator(void)
{
	return stress_generator(atomic_fetch_add(&stream, 1));
}

static const char *const specs[] = { "coroutines", "coroutines:2", "coroutines:3",
				     "sim:seed=5,grace=0.001" };
enum { SPECS = sizeof specs / sizeof *specs };

static void open_some(stress_random *r, uint32_t below)
{
	must(tz_executor_open(&ex, specs[stress_draw(r, below)]) == 0);
}

static void close_it(void)
{
	tz_executor_stats s;

	must(tz_executor_shutdown(ex, TZ_DRAIN, tz_never()) == 0);
	tz_executor_stats_of(ex, &s);
	must(s.running == 0 && s.pending == 0 && s.submitted == s.completed);
	tz_executor_close(ex);
}

/* --- storms ---------------------------------------------------------------------------------------- */

static uint32_t tree(uint32_t depth, uint64_t seed);
TZ_TASK(uint32_t, tree, uint32_t, uint64_t);

/* How many calls the tree had; a part of them is submitted, and so may go to another loop, or begins at once. */
static uint32_t tree(uint32_t depth, uint64_t seed)
{
	stress_random rnd = seed;
	tree_future f[3];
	uint32_t n = 1, v;
	uint32_t branches = depth ? 1 + stress_draw(&rnd, 3) : 0;

	for (uint32_t i = 0; i < branches; i++) {
		uint64_t other = seed * 6364136223846793005u + i + 1;
		uint32_t way = stress_draw(&rnd, 4);

		if (way == 0)
			f[i] = tz_submit(tz_executor_current(), tree, depth - 1, other | 1);
		else
			f[i] = tz_spawn_with(TZ_OPTIONS(tz_submit_options, .eager = way == 1), tree,
					     depth - 1, other | 1);
	}
	if (stress_draw(&rnd, 4) == 0)
		(void)tz_yield();
	if (stress_draw(&rnd, 16) == 0)
		(void)tz_sleep(1e-6 * stress_draw(&rnd, 20));
	for (uint32_t i = 0; i < branches; i++) {
		must(tz_result(f[i], &v) == 0);
		n += v;
	}
	return n;
}

static uint32_t size_of_tree(uint32_t depth, uint64_t seed)
{
	stress_random rnd = seed;
	uint32_t n = 1, branches = depth ? 1 + stress_draw(&rnd, 3) : 0;

	for (uint32_t i = 0; i < branches; i++)
		n += size_of_tree(depth - 1, (seed * 6364136223846793005u + i + 1) | 1);
	return n;
}

static void plant(int index)
{
	stress_random rnd = generator();

	(void)index;
	while (!stress_over()) {
		uint64_t seed = ((uint64_t)stress_draw(&rnd, UINT32_MAX) << 20) | 1;
		uint32_t n = 0;

		must(tz_result(tz_submit(ex, tree, 6u, seed), &n) == 0);
		must(n == size_of_tree(6, seed));
		progress();
	}
}

static void storms(void)
{
	stress_random rnd = generator();

	open_some(&rnd, 3);
	stress_threads(3, plant);
	close_it();
}

/* --- from loop to loop ------------------------------------------------------------------------------ */

TZ_QUEUE(uint32_t, numbers);
static numbers lines[2];
static _Atomic uint64_t put_sum, got_sum;

static void produce(uint64_t seed)
{
	stress_random rnd = seed;

	for (int i = 0; i < 200; i++) {
		uint32_t x = 1 + stress_draw(&rnd, 1000);
		int r = numbers_put_until(lines[stress_draw(&rnd, 2)], x,
					  tz_after(1e-6 * (1 + stress_draw(&rnd, 200))));

		if (r == 0)
			atomic_fetch_add(&put_sum, x);
		else
			must(r == -ETIMEDOUT);
	}
	progress();
}
TZ_TASK(void, produce, uint64_t);

static void consume(uint64_t seed)
{
	stress_random rnd = seed;

	for (int i = 0; i < 200; i++) {
		uint32_t x;
		int r = numbers_get_until(lines[stress_draw(&rnd, 2)], &x,
					  tz_after(1e-6 * (1 + stress_draw(&rnd, 200))));

		if (r == 0)
			atomic_fetch_add(&got_sum, x);
		else
			must(r == -ETIMEDOUT);
	}
	progress();
}
TZ_TASK(void, consume, uint64_t);

/* Threads do the same as the coroutines. */
static void trade(int index)
{
	stress_random rnd = generator();

	while (!stress_over()) {
		uint64_t seed = stress_draw(&rnd, UINT32_MAX) | 1;

		if (index == 0)
			produce(seed);
		else if (index == 1)
			consume(seed);
		else
			must(tz_gather(tz_submit(ex, produce, seed),
				       tz_submit(ex, consume, seed + 2),
				       tz_submit(ex, produce, seed + 4),
				       tz_submit(ex, consume, seed + 6)) == 0);
	}
}

static void from_loop_to_loop(void)
{
	stress_random rnd = generator();
	uint32_t x;

	for (int i = 0; i < 2; i++)
		must(numbers_open(&lines[i], &(tz_queue_options){ .capacity = i ? 3 : 64 }) == 0);
	put_sum = got_sum = 0;
	open_some(&rnd, 3);
	stress_threads(4, trade);
	close_it();
	for (int i = 0; i < 2; i++) {
		while (numbers_try_get(lines[i], &x) == 0)
			got_sum += x;
		numbers_close(&lines[i]);
	}
	must(put_sum == got_sum);
}

/* --- timers against wake-ups ------------------------------------------------------------------------- */

static tz_semaphore permits;
static _Atomic long given, taken;

static void take_permits(uint64_t seed)
{
	stress_random rnd = seed;

	for (int i = 0; i < 100; i++) {
		int r = 0;

		if (stress_draw(&rnd, 2))
			r = tz_semaphore_acquire_until(&permits,
						       tz_after(1e-6 * stress_draw(&rnd, 60)));
		else
			TZ_TIMEOUT(1e-6 * stress_draw(&rnd, 60))
				r = tz_semaphore_acquire(&permits);
		if (r == 0)
			atomic_fetch_add(&taken, 1);
		else
			must(r == -ETIMEDOUT);
	}
	progress();
}
TZ_TASK(void, take_permits, uint64_t);

static void give_permits(int index)
{
	stress_random rnd = generator();

	while (!stress_over()) {
		uint64_t seed = stress_draw(&rnd, UINT32_MAX) | 1;
		take_permits_future f[4];

		for (int i = 0; i < 4; i++)
			f[i] = tz_submit(ex, take_permits, seed + 2 * (uint64_t)i);
		if (index == 0)
			take_permits(seed + 100);
		while (tz_wait_all(f, 4, tz_after(1e-6 * stress_draw(&rnd, 100))) < 0) {
			must(tz_semaphore_release(&permits) == 0);
			atomic_fetch_add(&given, 1);
		}
		must(tz_gather_all(f, 4) == 0);
	}
}

static void timers_against_wakes(void)
{
	stress_random rnd = generator();

	given = taken = 0;
	must(tz_semaphore_init(&permits, 0) == 0);
	open_some(&rnd, 3);
	stress_threads(3, give_permits);
	close_it();
	must(given == taken + tz_semaphore_permits(&permits));
}

/* --- cancels against completions ---------------------------------------------------------------------- */

static _Atomic long alive;

static uint32_t doubled(uint32_t x, uint32_t rest)
{
	atomic_fetch_add(&alive, 1);
	int r = tz_sleep(1e-6 * rest);

	must(r == 0 || r == -ECANCELED);
	atomic_fetch_sub(&alive, 1);
	if (r < 0)
		(void)tz_fail(r, "asked to end");
	return 2 * x;
}
TZ_TASK(uint32_t, doubled, uint32_t, uint32_t);

static void submit_and_cancel(uint64_t seed)
{
	enum { MANY = 20 };
	stress_random rnd = seed;
	doubled_future f[MANY];
	tz_future timer[MANY];

	for (uint32_t i = 0; i < MANY; i++)
		f[i] = tz_submit_with(ex,
				      TZ_OPTIONS(tz_submit_options,
						 .start = tz_after(1e-6 * stress_draw(&rnd, 30))),
				      doubled, i, stress_draw(&rnd, 50));
	for (uint32_t i = 0; i < MANY; i++)
		timer[i] = tz_timer_future(tz_after(1e-6 * stress_draw(&rnd, 50)));
	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t v = 0;

		if (stress_draw(&rnd, 2))
			(void)tz_sleep(1e-6 * stress_draw(&rnd, 10));
		(void)tz_cancel(f[i]);
		(void)tz_cancel(timer[i]);
		if (tz_result(f[i], &v) == 0)
			must(v == 2 * i);
		else
			must(tz_last()->status == TZ_CANCELLED);
		if (tz_result(timer[i], NULL) < 0)
			must(tz_last()->status == TZ_CANCELLED || tz_last()->code == -EINVAL);
	}
	progress();
}
TZ_TASK(void, submit_and_cancel, uint64_t);

static void cancel_all_the_time(int index)
{
	stress_random rnd = generator();

	while (!stress_over()) {
		uint64_t seed = stress_draw(&rnd, UINT32_MAX) | 1;

		if (index == 0)
			submit_and_cancel(seed);
		else
			must(tz_gather(tz_submit(ex, submit_and_cancel, seed),
				       tz_submit(ex, submit_and_cancel, seed + 2)) == 0);
	}
}

static void cancels_against_completions(void)
{
	stress_random rnd = generator();

	open_some(&rnd, 3);
	stress_threads(3, cancel_all_the_time);
	close_it();
	must(alive == 0);
}

/* --- the ends of loops -------------------------------------------------------------------------------- */

static _Atomic bool refused;
static tz_shutdown how;

static void submit_until_refused(int index)
{
	stress_random rnd = generator();

	while (index > 0 && !atomic_load(&refused)) {
		doubled_future f[10];

		for (uint32_t i = 0; i < 10; i++)
			f[i] = tz_submit(ex, doubled, i, stress_draw(&rnd, 100));
		for (uint32_t i = 0; i < 10; i++) {
			uint32_t v = 0;

			if (tz_result(f[i], &v) == 0)
				must(v == 2 * i);
			else if (tz_last()->code == -ESHUTDOWN)
				atomic_store(&refused, true);
			else
				must(tz_last()->status == TZ_CANCELLED && how != TZ_DRAIN);
		}
		progress();
	}
	if (index > 0)
		return;
	(void)tz_sleep(stress_draw(&rnd, 2000) * 1e-6);
	if (stress_draw(&rnd, 3) == 0)
		tz_executor_request_shutdown(ex, how);
	int r;

	do
		r = tz_executor_shutdown(ex, how, tz_after(stress_draw(&rnd, 500) * 1e-6));
	while (r == -ETIMEDOUT);
	must(r == 0);
}

static void shutdown_under_submitters(void)
{
	stress_random rnd = generator();

	do {
		atomic_store(&refused, false);
		how = (tz_shutdown)stress_draw(&rnd, 3);
		open_some(&rnd, SPECS);
		stress_threads(4, submit_until_refused);
		close_it();
		must(alive == 0);
		progress();
	} while (!stress_over());
}

/* Loops that a thread runs, and stops, and closes with jobs on them. */
static void run_and_close(int index)
{
	stress_random rnd = generator();

	(void)index;
	while (!stress_over()) {
		tz_loop *loop;
		doubled_future f[8];
		bool sim = stress_draw(&rnd, 2);

		must(tz_loop_open(&loop,
				  TZ_OPTIONS(tz_loop_options, .backend = sim ? "sim" : "epoll",
					     .seed = stress_draw(&rnd, 9))) == 0);
		for (uint32_t i = 0; i < 8; i++)
			f[i] = tz_submit(tz_loop_executor(loop), doubled, i,
					 stress_draw(&rnd, 200));
		must(tz_loop_run_until(loop, f[stress_draw(&rnd, 8)]) == 0);
		if (stress_draw(&rnd, 2)) {
			tz_loop_stop(loop);
			must(tz_loop_run(loop) == 0);
		}
		tz_loop_close(loop);
		for (uint32_t i = 0; i < 8; i++) {
			uint32_t v = 0;

			must(tz_done(f[i]) == 1);
			must(tz_result(f[i], &v) == 0 ? v == 2 * i
						      : tz_last()->status == TZ_CANCELLED);
		}
		progress();
	}
}

static void loops_come_and_go(void)
{
	stress_threads(3, run_and_close);
	must(alive == 0);
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "storms", storms },
		{ "from_loop_to_loop", from_loop_to_loop },
		{ "timers_against_wakes", timers_against_wakes },
		{ "cancels_against_completions", cancels_against_completions },
		{ "shutdown_under_submitters", shutdown_under_submitters },
		{ "loops_come_and_go", loops_come_and_go },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
