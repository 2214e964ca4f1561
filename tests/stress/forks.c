/* Forks and maps at random: deep, unbalanced, in loops, joined out of order, inside each other; and maps of which elements fail. Results are
 * compared with those of the same computation done by plain calls. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "stress.h"

static tz_executor *ex;

static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* --- random trees -------------------------------------------------------------------------------------------------- */

enum { CHILDREN = 6 };

/* How many children a node has, and what each has left to spend: drawn from the node's own number. */
static int children(uint64_t node, int budget)
{
	return budget <= 0 ? 0 : 1 + (int)(mix(node) % CHILDREN);
}

static uint64_t child(uint64_t node, int i)
{
	return mix(node * 31 + (uint64_t)i + 1);
}

static int share(uint64_t node, int budget, int i, int n)
{
	/* The first child gets most: unbalanced. */
	return i == 0 ? budget - 1 - (budget - 1) / 4
		      : (budget - 1) / 4 / (n > 1 ? n - 1 : 1) - (int)(mix(node) % 2);
}

static uint64_t serial(uint64_t node, int budget)
{
	int n = children(node, budget);
	uint64_t sum = mix(node);

	for (int i = 0; i < n; i++)
		sum = sum * 3 + serial(child(node, i), share(node, budget, i, n));
	return sum;
}

static uint64_t forked(uint64_t node, int budget);
TZ_TASK(uint64_t, forked, uint64_t, int);

/* Forks in a loop; joins in an order that the node's number decides. */
static uint64_t forked(uint64_t node, int budget)
{
	int n = children(node, budget), order = (int)(mix(node + 7) % 8);
	uint64_t sum = mix(node), values[CHILDREN] = { 0 };
	forked_fork forks[CHILDREN];

	if (n == 0)
		return sum;
	if (order == 7)
		(void)tz_sleep(mix(node) % 16 ? 0
					      : 0.00005); /* blocks with public forks below it */
	for (int i = 1; i < n; i++)
		forks[i] = tz_fork(forked, child(node, i), share(node, budget, i, n));
	values[0] = forked(child(node, 0), share(node, budget, 0, n));
	if (order == 0) { /* the oldest first */
		for (int i = 1; i < n; i++)
			values[i] = tz_join(forks[i]);
	} else if (order == 1 && n > 2) { /* from the middle */
		for (int i = n / 2; i < n; i++)
			values[i] = tz_join(forks[i]);
		for (int i = n / 2 - 1; i >= 1; i--)
			values[i] = tz_join(forks[i]);
	} else if (order == 2 && n > 2) { /* new forks above one that was joined out of order */
		values[1] = tz_join(forks[1]);
		forked_fork again = tz_fork(forked, child(node, 1), share(node, budget, 1, n));

		must(tz_join(again) == values[1]);
		for (int i = n - 1; i > 1; i--)
			values[i] = tz_join(forks[i]);
	} else {
		for (int i = n - 1; i >= 1; i--)
			values[i] = tz_join(forks[i]);
	}
	for (int i = 0; i < n; i++)
		sum = sum * 3 + values[i];
	return sum;
}

static _Atomic uint64_t stream;

static void plant_trees(int index)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	(void)index;
	do {
		uint64_t node = stress_draw(&rnd, UINT32_MAX), v = 0;
		int budget = 2 + (int)stress_draw(&rnd, 60);

		must(tz_result(tz_submit(ex, forked, node, budget), &v) == 0);
		must(v == serial(node, budget));
		progress();
	} while (!stress_over());
}

static void on(const char *spec, int threads, void (*body)(int))
{
	must(tz_executor_open(&ex, spec) == 0);
	stress_threads(threads, body);
	tz_executor_close(ex);
}

static void trees_on_two(void)
{
	on("threads:2", 2, plant_trees);
}

static void trees_on_four(void)
{
	on("threads:4", 1, plant_trees);
}

static void trees_on_one_cpu(void)
{
	stress_one_cpu(true);
	on("threads:8", 2, plant_trees);
	stress_one_cpu(false);
}

/* --- chains --------------------------------------------------------------------------------------------------------------- */

/* More forks than a worker's stack of them has room for. */
static uint64_t leaf(uint32_t x)
{
	return mix(x);
}
TZ_TASK(uint64_t, leaf, uint32_t);

static uint64_t many_leaves(uint32_t n)
{
	leaf_fork *f = malloc(n * sizeof *f);
	uint64_t sum = 0;

	must(f);
	for (uint32_t i = 0; i < n; i++)
		f[i] = tz_fork(leaf, i);
	if (n % 2)
		for (uint32_t i = 0; i < n; i++)
			sum += tz_join(f[i]);
	else
		for (uint32_t i = n; i-- > 0;)
			sum += tz_join(f[i]);
	free(f);
	return sum;
}
TZ_TASK(uint64_t, many_leaves, uint32_t);

static uint64_t deep(uint32_t n)
{
	if (n == 0)
		return 0;
	leaf_fork f = tz_fork(leaf, n);
	uint64_t rest = deep(n - 1);

	return rest + tz_join(f);
}
TZ_TASK(uint64_t, deep, uint32_t);

/* Leaves its forks to the end of the job. */
static _Atomic uint64_t left_behind;

static void count_one(uint32_t n)
{
	atomic_fetch_add(&left_behind, n);
}
TZ_TASK(void, count_one, uint32_t);

static void leave_forks(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		(void)tz_fork(count_one, 1u);
}
TZ_TASK(void, leave_forks, uint32_t);

static uint64_t leaves(uint32_t from, uint32_t to)
{
	uint64_t sum = 0;

	for (uint32_t i = from; i < to; i++)
		sum += mix(i);
	return sum;
}

static void chains(void)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	must(tz_executor_open(&ex, "threads:3") == 0);
	do {
		uint32_t n = 1 + stress_draw(&rnd, 12000);
		uint64_t v = 0;

		must(tz_result(tz_submit(ex, many_leaves, n), &v) == 0 && v == leaves(0, n));
		must(tz_result(tz_submit(ex, deep, n), &v) == 0 && v == leaves(1, n + 1));
		atomic_store(&left_behind, 0);
		must(tz_result(tz_submit(ex, leave_forks, n), NULL) == 0 &&
		     atomic_load(&left_behind) == n);
		progress();
	} while (!stress_over());
	tz_executor_close(ex);
}

/* --- failures in forks ------------------------------------------------------------------------------------------------------ */

static void fail_at(uint32_t lo, uint32_t hi, uint32_t at);
TZ_TASK(void, fail_at, uint32_t, uint32_t, uint32_t);
static void fail_at(uint32_t lo, uint32_t hi, uint32_t at)
{
	if (hi - lo == 1) {
		if (lo == at)
			(void)tz_fail(-ERANGE, "leaf %u", lo);
		return;
	}
	uint32_t middle = lo + (hi - lo) / 2;
	fail_at_fork f = tz_fork(fail_at, lo, middle, at);

	fail_at(middle, hi, at);
	tz_join(f);
}

static void failing_trees(void)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	must(tz_executor_open(&ex, "threads:3") == 0);
	do {
		uint32_t n = 1 + stress_draw(&rnd, 2000), at = stress_draw(&rnd, 2 * n);
		int r = tz_result(tz_submit(ex, fail_at, 0u, n, at), NULL);
		char want[32];

		(void)snprintf(want, sizeof want, "leaf %u", at);
		if (at < n)
			must(r == -EREMOTEIO && tz_last()->code == -ERANGE &&
			     strcmp(tz_last()->message, want) == 0);
		else
			must(r == 0);
		progress();
	} while (!stress_over());
	tz_executor_close(ex);
}

/* --- maps --------------------------------------------------------------------------------------------------------------------- */

enum { ELEMENTS = 3000 };

struct job {
	uint32_t work, fails; /* below 1000: of 1000 elements */
	uint64_t salt;
};

static uint64_t element(uint32_t i, const struct job *job)
{
	uint64_t h = mix(i + job->salt);

	for (uint32_t k = 0; k < job->work; k++)
		h = mix(h) ^ (h << 1);
	if (mix(h) % 1000 < job->fails)
		(void)tz_fail(-EDOM, "it is %u", i);
	return h;
}
TZ_TASK(uint64_t, element, uint32_t, const struct job *);

/* An element that forks, and whose forks fail. */
static void bad_leaf(uint32_t i, uint32_t fails)
{
	if (fails)
		(void)tz_fail(-EDOM, "it is %u", i);
}
TZ_TASK(void, bad_leaf, uint32_t, uint32_t);

static uint64_t forking_element(uint32_t i, const struct job *job)
{
	uint64_t h = mix(i + job->salt);
	bad_leaf_fork f = tz_fork(bad_leaf, i, (uint32_t)(mix(h) % 1000 < job->fails));

	for (uint32_t k = 0; k < job->work; k++)
		h = mix(h) ^ (h << 1);
	tz_join(f);
	return h;
}
TZ_TASK(uint64_t, forking_element, uint32_t, const struct job *);

/* One map, its results and its error checked. */
static void map_once(stress_random *rnd, bool forking)
{
	struct job job = { .work = stress_draw(rnd, 3) ? stress_draw(rnd, 40)
						       : stress_draw(rnd, 1000),
			   .fails = stress_draw(rnd, 2) ? stress_draw(rnd, 3) : 0,
			   .salt = stress_draw(rnd, UINT32_MAX) };
	uint32_t n = 1 + stress_draw(rnd, ELEMENTS), *in = malloc(n * sizeof *in);
	uint64_t *out = calloc(n, sizeof *out);
	const struct job **jobs = malloc(n * sizeof *jobs);
	tz_map_options o = { .chunk = stress_draw(rnd, 3) ? 0 : 1 + stress_draw(rnd, 100),
			     .policy = stress_draw(rnd, 2) ? TZ_MAP_STOP : TZ_MAP_ALL };

	must(in && out && jobs);
	if (forking)
		job.work = 20 * job.work;
	for (uint32_t i = 0; i < n; i++)
		in[i] = i, jobs[i] = &job;
	int r = forking ? tz_map_with(ex, &o, forking_element, n, out, in, jobs)
			: tz_map_with(ex, &o, element, n, out, in, jobs);
	uint32_t first = n;

	for (uint32_t i = 0; i < n && first == n; i++) {
		uint64_t h = mix(i + job.salt), h0 = h;

		for (uint32_t k = 0; k < job.work; k++)
			h = mix(h) ^ (h << 1);
		must(out[i] == h);
		if (mix(forking ? h0 : h) % 1000 < job.fails)
			first = i;
	}
	if (first < n) {
		char want[64];

		(void)snprintf(want, sizeof want, "element %u: it is %u", first, first);
		must(r == -EREMOTEIO && tz_last()->status == TZ_FAILED && tz_last()->code == -EDOM);
		must(strcmp(tz_last()->message, want) == 0);
	} else {
		must(r == 0);
	}
	free(in);
	free(out);
	free(jobs);
	progress();
}

static void map_a_while(int index)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	(void)index;
	do
		map_once(&rnd, false);
	while (!stress_over());
}

static void maps_of_several_callers(void)
{
	on("threads:3", 3, map_a_while);
}

static void map_in_a_job(uint64_t s)
{
	stress_random rnd = s;

	map_once(&rnd, stress_draw(&rnd, 2));
}
TZ_TASK(void, map_in_a_job, uint64_t);

static void map_in_jobs(int index)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	(void)index;
	do {
		map_in_a_job_future f[4];

		for (int i = 0; i < 4; i++)
			f[i] = tz_submit(ex, map_in_a_job, rnd + (uint64_t)i);
		must(tz_gather_all(f, 4) == 0);
		(void)stress_draw(&rnd, 2);
	} while (!stress_over());
}

static void maps_in_jobs(void)
{
	on("threads:3", 2, map_in_jobs);
}

static void maps_on_one_cpu(void)
{
	stress_one_cpu(true);
	on("threads:8", 2, map_in_jobs);
	stress_one_cpu(false);
}

/* --- short maps in a row, and jobs between them -------------------------------------------------------------------------------------- */

static uint32_t cheap(uint32_t i, uint32_t salt)
{
	uint32_t x = i * 2654435761u + salt;

	if (__builtin_expect(x == 0, 0))
		(void)tz_fail(-EDOM, "none");
	return x;
}
TZ_TASK(uint32_t, cheap, uint32_t, uint32_t);

static void nothing(void)
{
}
TZ_TASK(void, nothing, void);

static void map_in_a_row(int index)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));
	uint32_t in[ELEMENTS], out[ELEMENTS], salts[ELEMENTS];

	(void)index;
	for (uint32_t i = 0; i < ELEMENTS; i++)
		in[i] = i;
	do {
		uint32_t salt = stress_draw(&rnd, 1000), rounds = 1 + stress_draw(&rnd, 300);
		uint32_t n = 1 + stress_draw(&rnd, ELEMENTS), zero = n;

		for (uint32_t i = 0; i < n; i++) {
			salts[i] = salt;
			if (i * 2654435761u + salt == 0 && zero == n)
				zero = i;
		}
		for (uint32_t k = 0; k < rounds; k++)
			must(tz_map(ex, cheap, n, out, in, salts) == (zero < n ? -EREMOTEIO : 0));
		for (uint32_t i = 0; i < n && i < zero; i++)
			must(out[i] == i * 2654435761u + salt);
		if (stress_draw(&rnd, 3) == 0)
			must(tz_result(tz_submit(ex, nothing), NULL) == 0);
		progress();
	} while (!stress_over());
}

static void short_maps(void)
{
	on("threads:2", 1, map_in_a_row);
}

static void short_maps_of_several_callers(void)
{
	on("threads:3", 3, map_in_a_row);
}

/* --- elements that take their thread along --------------------------------------------------------------------------------------- */

static _Atomic unsigned char visited[ELEMENTS];

static void leaf_visit(uint32_t i)
{
	(void)mix(i);
}
TZ_TASK(void, leaf_visit, uint32_t);

static void visit(uint32_t i, uint32_t exits)
{
	leaf_visit_fork f[3];

	for (int k = 0; k < 3; k++)
		f[k] = tz_fork(leaf_visit, i);
	atomic_fetch_add(&visited[i], 1);
	for (uint64_t k = 0; k < 2000; k++)
		if (mix(k) == i)
			(void)mix(k);
	if (mix(i) % ELEMENTS < exits)
		pthread_exit(NULL);
	for (int k = 3; k-- > 0;)
		tz_join(f[k]);
}
TZ_TASK(void, visit, uint32_t, uint32_t);

static void visit_all(uint32_t exits)
{
	static uint32_t in[ELEMENTS], all[ELEMENTS];

	for (uint32_t i = 0; i < ELEMENTS; i++)
		in[i] = i, all[i] = exits;
	(void)tz_map(tz_executor_current(), visit, ELEMENTS, in, all);
}
TZ_TASK(void, visit_all, uint32_t);

static void exits_in_maps(void)
{
	stress_random rnd = stress_generator(atomic_fetch_add(&stream, 1));

	must(tz_executor_open(&ex, "threads:3") == 0);
	do {
		memset((void *)visited, 0, sizeof visited);
		int r = tz_result(tz_submit(ex, visit_all, stress_draw(&rnd, 3)), NULL);

		must(r == 0 || (r == -EREMOTEIO && tz_last()->status == TZ_CRASHED));
		for (int i = 0; i < ELEMENTS; i++)
			must(atomic_load(&visited[i]) <= 1);
		progress();
	} while (!stress_over());
	tz_executor_close(ex);
}

int main(int argc, char **argv)
{
	static const struct stress_case cases[] = {
		{ "trees on two workers", trees_on_two },
		{ "trees on four workers", trees_on_four },
		{ "trees on one processor", trees_on_one_cpu },
		{ "chains", chains },
		{ "failures in forks", failing_trees },
		{ "maps of several callers", maps_of_several_callers },
		{ "maps in jobs", maps_in_jobs },
		{ "maps on one processor", maps_on_one_cpu },
		{ "short maps", short_maps },
		{ "short maps of several callers", short_maps_of_several_callers },
		{ "maps whose elements leave by pthread_exit", exits_in_maps },
	};

	return stress_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
