/* The life of pools: opened and shut down while others submit, workers that come and go, jobs that take their thread along or close their own executor, and processes
 * that fork under load. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

static tz_executor *ex;
static _Atomic uint64_t stream;

static uint32_t twice(uint32_t x)
{
	return 2 * x;
}
TZ_TASK(uint32_t, twice, uint32_t);

/* --- shutting down under submitters ------------------------------------------------------------------------------------------ */

static _Atomic bool refused;
static tz_shutdown how;

static uint32_t rest_and_twice(uint32_t x)
{
	(void)tz_sleep(0.0001);
	return 2 * x;
}
TZ_TASK(uint32_t, rest_and_twice, uint32_t);

static void take(twice_future f, uint32_t x)
{
	uint32_t v = 0;
	int r = tz_result(f, &v);

	if (r == 0) {
		must(v == 2 * x);
		return;
	}
	must(r == -EREMOTEIO);
	if (tz_last()->status == TZ_FAILED) {
		must(tz_last()->code == -ESHUTDOWN);
		atomic_store(&refused, true);
	} else {
		must(tz_last()->status == TZ_CANCELLED && how != TZ_DRAIN);
	}
}

static void submit_until_refused(int index)
{
	enum { MANY = 50 };
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));
	twice_future f[MANY];
	twice_args args[MANY];
	uint32_t x[MANY];

	(void)index;
	while (!atomic_load(&refused)) {
		int n = 1 + (int)stress_draw(&rnd, MANY);
		uint32_t way = stress_draw(&rnd, 3);

		for (int i = 0; i < n; i++) {
			x[i] = stress_draw(&rnd, 1000000);
			args[i] = tz_bind(twice, x[i]);
			if (way == 0)
				f[i] = tz_submit(ex, twice, x[i]);
			else if (way == 1)
				f[i].handle = tz_submit(ex, rest_and_twice, x[i]).handle;
		}
		if (way == 2)
			must(tz_submit_bulk(ex, NULL, twice, n, args, f) == 0);
		for (int i = 0; i < n; i++)
			take(f[i], x[i]);
		progress();
	}
}

static void shut_down(int index)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));
	int r;

	if (index > 0) {
		submit_until_refused(index);
		return;
	}
	(void)tz_sleep(stress_draw(&rnd, 2000) * 1e-6);
	if (stress_draw(&rnd, 3) == 0)
		tz_executor_request_shutdown(ex, how);
	do
		r = tz_executor_shutdown(ex, how, tz_after(stress_draw(&rnd, 500) * 1e-6));
	while (r == -ETIMEDOUT);
	must(r == 0);
}

static void shutdown_under_submitters(void)
{
	static const char *const specs[] = {
		"threads:2", "threads:4,idle=0.0002", "chaos:delay=0.00001",
		"inline",    "threads:2,queue=5",     "threads:2,queue=5,full=caller"
	};
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	do {
		tz_executor_stats s;

		atomic_store(&refused, false);
		how = (tz_shutdown)stress_draw(&rnd, 3);
		must(tz_executor_open(&ex,
				      specs[stress_draw(&rnd, sizeof specs / sizeof *specs)]) == 0);
		stress_threads(4, shut_down);
		tz_executor_stats_of(ex, &s);
		must(s.running == 0 && s.pending == 0 && s.workers == 0);
		tz_executor_close(ex);
		progress();
	} while (!stress_over());
}

/* --- jobs that close their executor -------------------------------------------------------------------------------------------- */

static void close_it(tz_executor *mine)
{
	tz_executor_close(mine);
}
TZ_TASK(void, close_it, tz_executor *);

static void close_from_inside(int index)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	(void)index;
	do {
		tz_executor *mine;
		twice_future f[8];
		int n = (int)stress_draw(&rnd, 8);

		must(tz_executor_open(&mine, stress_draw(&rnd, 4) ? "threads:2"
								  : "threads:2,idle=0.0001") == 0);
		for (int i = 0; i < n; i++)
			f[i] = tz_submit(mine, twice, (uint32_t)i);
		if (stress_draw(&rnd, 2))
			(void)tz_sleep(0.0001);
		must(tz_result(tz_submit(mine, close_it, mine), NULL) == 0);
		for (int i = 0; i < n; i++)
			take(f[i], (uint32_t)i);
		progress();
	} while (!stress_over());
}

static void closed_from_inside(void)
{
	stress_threads(2, close_from_inside);
	(void)tz_sleep(0.05);
}

/* --- workers that end while jobs come -------------------------------------------------------------------------------------------- */

static void submit_in_bursts(int index)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	(void)index;
	do {
		int n = 1 + (int)stress_draw(&rnd, 6);
		twice_future f[6];

		for (int i = 0; i < n; i++)
			f[i] = tz_submit(ex, twice, (uint32_t)i);
		for (int i = 0; i < n; i++)
			take(f[i], (uint32_t)i);
		(void)tz_sleep((150 + stress_draw(&rnd, 200)) *
			       1e-6); /* about when idle workers end */
		progress();
	} while (!stress_over());
}

static void idle_exits(void)
{
	must(tz_executor_open(&ex, "threads:3,idle=0.0002") == 0);
	stress_threads(2, submit_in_bursts);
	tz_executor_close(ex);
}

static _Atomic uint32_t alive;

static void leave_sometimes(uint32_t x)
{
	if (x % 3 == 0)
		(void)tz_detach(tz_submit(tz_executor_current(), twice,
					  x)); /* stays in the queue of a worker that ends */
	if (x % 5 == 0)
		tz_blocking_begin();
	if (x % 7 == 0)
		pthread_exit(NULL);
	if (x % 5 == 0)
		tz_blocking_end();
}
TZ_TASK(void, leave_sometimes, uint32_t);

static int count_in(void *arg)
{
	(void)arg;
	atomic_fetch_add(&alive, 1);
	return 0;
}

static void count_out(void *arg)
{
	(void)arg;
	atomic_fetch_sub(&alive, 1);
}

static void leave(int index)
{
	enum { MANY = 100 };
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	(void)index;
	do {
		leave_sometimes_future f[MANY];
		uint32_t x[MANY];

		for (int i = 0; i < MANY; i++) {
			x[i] = stress_draw(&rnd, 1000000);
			f[i] = tz_submit(ex, leave_sometimes, x[i]);
		}
		for (int i = 0; i < MANY; i++) {
			int r = tz_result(f[i], NULL);

			must(r == (x[i] % 7 ? 0 : -EREMOTEIO));
			must(r == 0 || tz_last()->status == TZ_CRASHED);
		}
		progress();
	} while (!stress_over());
}

static void jobs_that_leave(void)
{
	tz_executor_options o = { .initializer = count_in, .finalizer = count_out };
	tz_executor_stats s;

	must(tz_executor_open_with(&ex, "threads:3", &o) == 0);
	stress_threads(2, leave);
	must(tz_executor_shutdown(ex, TZ_DRAIN, tz_never()) == 0);
	tz_executor_stats_of(ex, &s);
	must(s.completed == s.submitted && s.running == 0);
	must(atomic_load(&alive) == 0);
	tz_executor_close(ex);
}

/* --- fork(2) ------------------------------------------------------------------------------------------------------------------------ */

static _Atomic bool forked_enough;

static void load_the_pool(int index)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	if (index == 0) {
		do {
			twice_future before = tz_submit(ex, twice, 4u);
			pid_t child = fork();
			int status;

			must(child >= 0);
			if (child == 0) {
				if (!THREADS_AFTER_FORK)
					_exit(0);
				uint32_t v = 0;
				int r, bad = 0;

				alarm(60);
				r = tz_result(before, &v); /* it may have ended before the fork */
				bad |= !(r == 0 && v == 8) &&
				       !(r == -EREMOTEIO && tz_last()->status == TZ_LOST);
				r = tz_result(tz_submit(ex, twice, 1u), &v);
				bad |= !(r == -EREMOTEIO && tz_last()->status == TZ_LOST) * 2;
				tz_executor *mine;
				if (tz_executor_open(&mine, "threads:2") < 0)
					_exit(4);
				for (uint32_t i = 0; i < 50; i++)
					bad |= (tz_result(tz_submit(mine, twice, i), &v) != 0 ||
						v != 2 * i) *
					       8;
				tz_executor_close(mine);
				if (stress_draw(&rnd, 2))
					tz_executor_close(ex);
				_exit(bad);
			}
			must(waitpid(child, &status, 0) == child);
			must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
			take(before, 4);
			progress();
		} while (!stress_over());
		atomic_store(&forked_enough, true);
		return;
	}
	while (!atomic_load(&forked_enough)) {
		twice_future f[10];

		for (uint32_t i = 0; i < 10; i++)
			f[i] = tz_submit(ex, twice, i);
		for (uint32_t i = 0; i < 10; i++)
			take(f[i], i);
	}
}

static void forks_under_load(void)
{
	atomic_store(&forked_enough, false);
	atomic_store(&refused, false);
	must(tz_executor_open(&ex, "threads:2") == 0);
	stress_threads(3, load_the_pool);
	tz_executor_close(ex);
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "shutdowns under submitters", shutdown_under_submitters },
		{ "executors that are closed from inside", closed_from_inside },
		{ "workers that end while jobs come", idle_exits },
		{ "jobs that leave by pthread_exit", jobs_that_leave },
		{ "fork under load", forks_under_load },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
