/* Inlets: what lies in the ring of one thread, who may take it, and who outlives whom. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <trenza.h>

#include "check.h"
#include "crew.h"
#include "sched/inlet.h"

/* --- the ring alone ------------------------------------------------------------------------------- */

enum { THINGS = 200000, TAKERS = 3 };

static struct tz_inlets inlets;
static _Atomic unsigned char times_taken[THINGS];
static _Atomic int taken;

/* Nobody looks into a job: any address will do. */
static tz_job *thing(size_t i)
{
	return (tz_job *)(void *)&times_taken[i];
}

static void note(tz_job *job)
{
	atomic_fetch_add((_Atomic unsigned char *)(void *)job, 1);
	atomic_fetch_add(&taken, 1);
}

static void *take_all(void *arg)
{
	size_t most = (size_t)(uintptr_t)arg, before = 0;
	tz_deadline end = soon();

	while (atomic_load(&taken) < THINGS) {
		struct tz_inlet *in = tz_inlet_at(&inlets, 0);
		tz_job *jobs[8] = { most == 1 ? tz_inlet_take(in) : NULL };
		size_t n = most == 1 ? jobs[0] != NULL : tz_inlet_take_all(in, jobs, most);

		must(!tz_expired(end));
		for (size_t i = 0; i < n; i++) {
			size_t at =
				(size_t)((_Atomic unsigned char *)(void *)jobs[i] - times_taken);

			must(at >= before); /* each taker sees them in order */
			before = at;
			note(jobs[i]);
		}
	}
	return NULL;
}

static void each_is_taken_once_and_in_order(void **state)
{
	struct crew crew = { 0 };
	size_t pushed = 0;

	(void)state;
	assert_true(tz_inlet_add(&inlets, tz_inlet_pool_number()));
	for (uintptr_t i = 0; i < TAKERS; i++)
		crew_add(&crew, take_all, (void *)(2 * i + 1));
	while (pushed < THINGS) {
		struct tz_inlet *in = tz_inlet_here.inlet;
		tz_job *some[5];
		size_t n = 0;

		while (n < 5 && pushed + n < THINGS) {
			some[n] = thing(pushed + n);
			n++;
		}
		if (pushed % 3 && tz_inlet_push(in, some[0]))
			n = 1;
		else
			n = tz_inlet_push_all(in, some, n);
		pushed += n;
		if (n)
			tz_inlet_leave(in);
		assert_true(tz_inlet_length(in) <= TZ_INLET_SIZE);
	}
	crew_join(&crew);
	for (size_t i = 0; i < THINGS; i++)
		assert_int_equal(atomic_load(&times_taken[i]), 1);
	assert_int_equal(tz_inlets_pushed(&inlets), THINGS);
	assert_int_equal(tz_inlets_length(&inlets), 0);
	tz_inlets_done(&inlets);
	memset((void *)&inlets, 0, sizeof inlets);
}

static void what_is_beyond_its_size_is_refused(void **state)
{
	tz_job *jobs[TZ_INLET_SIZE + 10], *back[TZ_INLET_SIZE];

	(void)state;
	for (size_t i = 0; i < TZ_INLET_SIZE + 10; i++)
		jobs[i] = thing(i);
	assert_true(tz_inlet_add(&inlets, tz_inlet_pool_number()));
	struct tz_inlet *in = tz_inlet_here.inlet;

	assert_int_equal(tz_inlet_push_all(in, jobs, 10), 10);
	assert_int_equal(tz_inlet_push_all(in, jobs + 10, TZ_INLET_SIZE), TZ_INLET_SIZE - 10);
	assert_false(tz_inlet_push(in, jobs[0]));
	assert_int_equal(tz_inlet_push_all(in, jobs, 1), 0);
	tz_inlet_leave(in);
	assert_ptr_equal(tz_inlet_take(in), jobs[0]);
	assert_int_equal(tz_inlet_push_all(in, jobs + TZ_INLET_SIZE, 10), 1);
	tz_inlet_leave(in);
	/* Taken by what was seen of its tail; looked at again only when that does not do. */
	assert_int_equal(tz_inlet_take_all(in, back, TZ_INLET_SIZE), TZ_INLET_SIZE - 1);
	assert_int_equal(tz_inlet_take_all(in, back + TZ_INLET_SIZE - 1, 10), 1);
	assert_memory_equal(back, jobs + 1, sizeof back);
	assert_null(tz_inlet_take(in));
	tz_inlets_done(&inlets);
	memset((void *)&inlets, 0, sizeof inlets);
}

/* --- in pools --------------------------------------------------------------------------------------- */

static tz_event gate;
static _Atomic int ran, last, out_of_order;

/* Keeps its worker: the pool does not know that it blocks, and lets nobody stand in. */
static void hold(void)
{
	for (tz_deadline end = soon(); !tz_event_is_set(&gate); (void)sched_yield())
		must(!tz_expired(end));
}
TZ_TASK(void, hold, void);

static void count(int i)
{
	if (i <= atomic_exchange(&last, i))
		atomic_fetch_add(&out_of_order, 1);
	atomic_fetch_add(&ran, 1);
}
TZ_TASK(void, count, int);

static tz_executor *open_held(const char *spec, hold_future *ret)
{
	tz_executor *ex;

	tz_event_clear(&gate);
	atomic_store(&ran, 0);
	atomic_store(&last, 0);
	atomic_store(&out_of_order, 0);
	must(tz_executor_open(&ex, spec) == 0);
	*ret = tz_submit(ex, hold);
	until(tz_running(*ret) == 1);
	return ex;
}

static void jobs_beyond_the_ring_wait_too(void **state)
{
	enum { JOBS = 3 * TZ_INLET_SIZE + 7 };
	hold_future h;
	tz_executor *ex = open_held("threads:1", &h);
	tz_executor_stats s;

	(void)state;
	for (int i = 1; i <= JOBS; i++)
		assert_int_equal(tz_detach(tz_submit(ex, count, i)), 0);
	tz_executor_stats_of(ex, &s);
	assert_int_equal(s.submitted, JOBS + 1);
	assert_int_equal(s.pending, JOBS);
	tz_event_set(&gate);
	assert_int_equal(tz_result(h, NULL), 0);
	assert_int_equal(tz_executor_shutdown(ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(atomic_load(&ran), JOBS);
	tz_executor_stats_of(ex, &s);
	assert_int_equal(s.completed, JOBS + 1);
	assert_int_equal(s.pending, 0);
	tz_executor_close(ex);
}

static void one_worker_keeps_the_order(void **state)
{
	hold_future h;
	tz_executor *ex = open_held("threads:1", &h);

	(void)state;
	for (int i = 1; i <= TZ_INLET_SIZE / 2; i++)
		assert_int_equal(tz_detach(tz_submit(ex, count, i)), 0);
	tz_event_set(&gate);
	assert_int_equal(tz_result(h, NULL), 0);
	assert_int_equal(tz_executor_shutdown(ex, TZ_DRAIN, soon()), 0);
	assert_int_equal(atomic_load(&out_of_order), 0);
	tz_executor_close(ex);
}

struct submitter {
	tz_executor *ex;
	pthread_barrier_t *together;
	int jobs;
};

static void *submit_some(void *arg)
{
	struct submitter *s = arg;

	if (s->together)
		(void)pthread_barrier_wait(s->together);
	for (int i = 0; i < s->jobs; i++)
		must(tz_detach(tz_submit(s->ex, count, i)) == 0);
	if (s->together)
		(void)pthread_barrier_wait(s->together);
	return NULL;
}

/* Their jobs wait while they are gone, and new threads take their places. */
static void threads_leave_their_jobs(void **state)
{
	hold_future h;
	tz_executor *ex = open_held("threads:1", &h);
	struct submitter s = { .ex = ex, .jobs = 3 };

	(void)state;
	for (int i = 0; i < 5 * TZ_INLETS; i++) {
		struct crew crew = { 0 };

		crew_add(&crew, submit_some, &s);
		crew_join(&crew);
	}
	tz_event_set(&gate);
	assert_int_equal(tz_result(h, NULL), 0);
	tz_executor_close(ex);
	assert_int_equal(atomic_load(&ran), 5 * TZ_INLETS * 3);
}

static void more_threads_than_inlets(void **state)
{
	enum { THREADS = 2 * TZ_INLETS - 10 };
	tz_executor *ex;
	pthread_barrier_t together;
	struct crew a = { 0 }, b = { 0 };

	(void)state;
	atomic_store(&ran, 0);
	assert_int_equal(tz_executor_open(&ex, "threads:3"), 0);
	assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
	struct submitter s = { .ex = ex, .together = &together, .jobs = 50 };

	for (int i = 0; i < THREADS; i++)
		crew_add(i % 2 ? &a : &b, submit_some, &s);
	crew_join(&a);
	crew_join(&b);
	tz_executor_close(ex);
	assert_int_equal(atomic_load(&ran), THREADS * 50);
	assert_int_equal(pthread_barrier_destroy(&together), 0);
}

/* A thread goes from pool to pool, and back; many of them close before it ends. */
static void *visit_pools(void *arg)
{
	tz_executor *stays = arg, *goes;

	for (int i = 0; i < 100; i++) {
		must(tz_executor_open(&goes, "threads:1") == 0);
		for (int k = 0; k < 3; k++) {
			must(tz_result(tz_submit(goes, count, k), NULL) == 0);
			must(tz_result(tz_submit(stays, count, k), NULL) == 0);
		}
		tz_executor_close(goes);
	}
	return NULL;
}

static void a_thread_outlives_pools_and_the_other_way_round(void **state)
{
	struct crew crew = { 0 };
	tz_executor *ex;

	(void)state;
	atomic_store(&ran, 0);
	assert_int_equal(tz_executor_open(&ex, "threads:2"), 0);
	for (int i = 0; i < 3; i++)
		crew_add(&crew, visit_pools, ex);
	crew_join(&crew);
	assert_int_equal(tz_result(tz_submit(ex, count, 1), NULL), 0);
	tz_executor_close(ex);
	assert_int_equal(atomic_load(&ran), 3 * 600 + 1);
}

static void a_closing_pool_refuses_the_next_job(void **state)
{
	hold_future h;
	tz_executor *ex = open_held("threads:1", &h);

	(void)state;
	assert_int_equal(tz_detach(tz_submit(ex, count, 1)), 0);
	tz_executor_request_shutdown(ex, TZ_DRAIN);
	count_future f = tz_submit(ex, count, 2);

	assert_int_equal(tz_result(f, NULL), -EREMOTEIO);
	assert_int_equal(tz_last()->code, -ESHUTDOWN);
	tz_event_set(&gate);
	assert_int_equal(tz_result(h, NULL), 0);
	tz_executor_close(ex);
	assert_int_equal(atomic_load(&ran), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_taken_once_and_in_order),
		cmocka_unit_test(what_is_beyond_its_size_is_refused),
		cmocka_unit_test(jobs_beyond_the_ring_wait_too),
		cmocka_unit_test(one_worker_keeps_the_order),
		cmocka_unit_test(threads_leave_their_jobs),
		cmocka_unit_test(more_threads_than_inlets),
		cmocka_unit_test(a_thread_outlives_pools_and_the_other_way_round),
		cmocka_unit_test(a_closing_pool_refuses_the_next_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
