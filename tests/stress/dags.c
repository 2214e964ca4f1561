/* Jobs that submit jobs and wait for them, to any depth and in every way; the result is compared with that of plain calls. */
#define _GNU_SOURCE

#include <errno.h>

#include "stress.h"

static tz_executor *ex;
static _Atomic uint64_t stream;

static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

enum { CHILDREN = 5, DEEPEST = 6 };

static int children(uint64_t node, int depth)
{
	return depth <= 0 ? 0 : (int)(mix(node) % (CHILDREN + 1));
}

static uint64_t child(uint64_t node, int i)
{
	return mix(node * 31 + (uint64_t)i + 1);
}

static uint64_t serial(uint64_t node, int depth)
{
	uint64_t sum = mix(node);

	for (int i = 0, n = children(node, depth); i < n; i++)
		sum += serial(child(node, i), depth - 1);
	return sum;
}

static uint64_t visit(uint64_t node, int depth);
TZ_TASK(uint64_t, visit, uint64_t, int);

static uint64_t take(visit_future f)
{
	uint64_t v = 0;

	must(tz_result(f, &v) == 0);
	return v;
}

/* With a deadline, so that nobody can help. */
static uint64_t take_in_time(visit_future f)
{
	int r;

	do
		r = tz_wait(f, tz_after(0.0002));
	while (r == -ETIMEDOUT);
	must(r == 0);
	return take(f);
}

static uint64_t take_as_completed(visit_future *f, int n)
{
	tz_completed *it;
	uint64_t sum = 0;

	must(tz_as_completed(&it, f, (size_t)n) == 0);
	for (int i; (i = tz_completed_next(it, tz_never())) != -ENOENT;) {
		must(i >= 0);
		sum += take(f[i]);
	}
	tz_completed_close(it);
	return sum;
}

static uint64_t map_children(uint64_t node, int n, int depth)
{
	uint64_t nodes[CHILDREN], out[CHILDREN], sum = 0;
	int depths[CHILDREN];

	for (int i = 0; i < n; i++)
		nodes[i] = child(node, i), depths[i] = depth - 1;
	must(tz_map(ex, visit, (size_t)n, out, nodes, depths) == 0);
	for (int i = 0; i < n; i++)
		sum += out[i];
	return sum;
}

static uint64_t fork_children(uint64_t node, int n, int depth)
{
	visit_fork f[CHILDREN];
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		f[i] = tz_fork(visit, child(node, i), depth - 1);
	for (int i = n; i-- > 0;)
		sum += tz_join(f[i]);
	return sum;
}

static uint64_t visit(uint64_t node, int depth)
{
	int n = children(node, depth), way = (int)(mix(node + 3) % 9);
	visit_future f[CHILDREN];
	uint64_t sum = mix(node);

	progress();
	if (n == 0)
		return sum;
	if (way == 0)
		return sum + map_children(node, n, depth);
	if (way == 1)
		return sum + fork_children(node, n, depth);
	if (way == 2)
		(void)tz_sleep(0.00005);
	for (int i = 0; i < n; i++)
		f[i] = tz_submit_with(
			ex,
			&(tz_submit_options){ .priority = way == 3 ? (tz_priority)(i % 3 - 1)
								   : TZ_PRIORITY_NORMAL },
			visit, child(node, i), depth - 1);
	if (way == 4)
		return sum + take_as_completed(f, n);
	if (way == 5)
		must(tz_wait_all(f, n, tz_never()) == 0);
	if (way == 6)
		must(tz_wait_first_failure(f, n, tz_never()) == n);
	for (int i = 0; i < n; i++) {
		int k = way % 2 ? i : n - 1 - i;

		sum += way == 7 ? take_in_time(f[k]) : take(f[k]);
	}
	return sum;
}

static void walk(int index)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	(void)index;
	do {
		uint64_t node = stress_draw(&rnd, UINT32_MAX), v = 0;
		int depth = 1 + (int)stress_draw(&rnd, DEEPEST);

		must(tz_result(tz_submit(ex, visit, node, depth), &v) == 0);
		must(v == serial(node, depth));
	} while (!stress_over());
}

static void on(const char *spec, int callers)
{
	must(tz_executor_open(&ex, spec) == 0);
	stress_threads(callers, walk);
	tz_executor_close(ex);
}

static void on_one(void)
{
	on("threads:1", 2);
}

static void on_two(void)
{
	on("threads:2", 3);
}

static void on_many(void)
{
	on("threads:6,idle=0.001", 1);
}

static void on_one_cpu(void)
{
	stress_one_cpu(true);
	on("threads:8", 2);
	stress_one_cpu(false);
}

static void on_chaos(void)
{
	on("chaos:delay=0.00002", 2);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Nobody may help where there is an initializer: each wait needs a stand-in. */
static void without_help(void)
{
	must(tz_executor_open_with(&ex, "threads:2",
				   &(tz_executor_options){ .initializer = nothing }) == 0);
	stress_threads(2, walk);
	tz_executor_close(ex);
}

/* --- two executors that wait for each other ------------------------------------------------------------------------- */

static tz_executor *pair[2];

static int ping(int n);
TZ_TASK(int, ping, int);
static int ping(int n)
{
	int v = 0;

	if (n == 0)
		return 0;
	must(tz_result(tz_submit(pair[n % 2], ping, n - 1), &v) == 0);
	return v + 1;
}

static void between_two(void)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	must(tz_executor_open(&pair[0], "threads:1") == 0);
	must(tz_executor_open(&pair[1], "threads:2") == 0);
	do {
		int n = (int)stress_draw(&rnd, 60), v = -1;

		must(tz_result(tz_submit(pair[0], ping, n), &v) == 0 && v == n);
		progress();
	} while (!stress_over());
	tz_executor_close(pair[0]);
	tz_executor_close(pair[1]);
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "jobs that wait for jobs on one worker", on_one },
		{ "jobs that wait for jobs on two workers", on_two },
		{ "jobs that wait for jobs on workers that come and go", on_many },
		{ "jobs that wait for jobs on one processor", on_one_cpu },
		{ "jobs that wait for jobs on chaos", on_chaos },
		{ "jobs that wait for jobs without help", without_help },
		{ "jobs of two executors that wait for each other", between_two },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
