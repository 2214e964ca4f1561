/*
 * The APR contender: apr_thread_pool, apr_thread_mutex, apr_thread_cond and apr_queue.
 *
 * Its pool has no futures: tasks are counted when they have run. Its queue is bounded and carries
 * pointers: a message is allocated by the sender and freed by the receiver.
 */
#include <apr_general.h>
#include <apr_queue.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <apr_thread_pool.h>
#include <stdatomic.h>

#include "../bench.h"

#ifndef OUTSIDE_WORKERS
#define OUTSIDE_WORKERS 1
#endif

static apr_pool_t *memory;
static _Alignas(128) atomic_long ran;

static void *APR_THREAD_FUNC count(apr_thread_t *self, void *unused)
{
	(void)self;
	(void)unused;
	bench_nop();
	atomic_fetch_add_explicit(&ran, 1, memory_order_release);
	return NULL;
}

static apr_thread_pool_t *pool_of(apr_size_t workers)
{
	apr_thread_pool_t *pool;
	bench_check(!apr_thread_pool_create(&pool, workers, workers, memory), "no pool");
	return pool;
}

static apr_thread_pool_t *the_pool;

static void submit_window(long n)
{
	atomic_store(&ran, 0);
	for (long i = 0; i < n; i++) {
		while (i - atomic_load_explicit(&ran, memory_order_acquire) >= BENCH_WINDOW)
			apr_thread_yield();
		apr_thread_pool_push(the_pool, count, NULL, APR_THREAD_TASK_PRIORITY_NORMAL, NULL);
	}
	while (atomic_load_explicit(&ran, memory_order_acquire) < n)
		apr_thread_yield();
}

static double submit_outside(void)
{
	the_pool = pool_of(OUTSIDE_WORKERS);
	double ns = bench_each(submit_window, BENCH_TASKS);
	apr_thread_pool_destroy(the_pool);
	return ns;
}

static double idle_cpu(void)
{
	the_pool = pool_of(2);
	submit_window(BENCH_TASKS / 10);
	double ms = bench_idle_cpu();
	apr_thread_pool_destroy(the_pool);
	return ms;
}

static apr_thread_mutex_t *mutex;
static apr_thread_cond_t *changed;
static int arrived;

static void make_condition(void)
{
	apr_thread_mutex_create(&mutex, APR_THREAD_MUTEX_DEFAULT, memory);
	apr_thread_cond_create(&changed, memory);
}

static void *APR_THREAD_FUNC arrive(apr_thread_t *self, void *unused)
{
	(void)self;
	(void)unused;
	apr_thread_mutex_lock(mutex);
	arrived = 1;
	apr_thread_cond_signal(changed);
	apr_thread_mutex_unlock(mutex);
	return NULL;
}

static void trip(void)
{
	arrived = 0;
	apr_thread_pool_push(the_pool, arrive, NULL, APR_THREAD_TASK_PRIORITY_NORMAL, NULL);
	apr_thread_mutex_lock(mutex);
	while (!arrived)
		apr_thread_cond_wait(changed, mutex);
	apr_thread_mutex_unlock(mutex);
}

static void trips(long n)
{
	while (n-- > 0)
		trip();
}

static double round_trip_steady(void)
{
	make_condition();
	the_pool = pool_of(1);
	return bench_each(trips, LONG_MAX);
}

static double round_trip_parked(void)
{
	make_condition();
	the_pool = pool_of(1);
	return bench_trips_parked(trip);
}

static _Alignas(128) long counter;

static void *APR_THREAD_FUNC lock_loop(apr_thread_t *self, void *n)
{
	(void)self;
	for (long i = *(long *)n; i > 0; i--) {
		apr_thread_mutex_lock(mutex);
		counter++;
		apr_thread_mutex_unlock(mutex);
	}
	return NULL;
}

static apr_thread_t *start_thread(apr_thread_start_t run, void *arg)
{
	apr_thread_t *t;
	bench_check(!apr_thread_create(&t, NULL, run, arg, memory), "no thread");
	return t;
}

static void lock_by_one(long n)
{
	lock_loop(NULL, &n);
}

static double lock_alone(void)
{
	make_condition();
	return bench_each(lock_by_one, LONG_MAX);
}

static void lock_by_two(long n)
{
	long half = n / 2;
	apr_status_t ended;
	counter = 0;
	apr_thread_t *t = start_thread(lock_loop, &half);
	lock_loop(NULL, &half);
	apr_thread_join(&ended, t);
	bench_check(counter == 2 * half, "lost updates");
}

static double lock_contended(void)
{
	make_condition();
	return bench_each(lock_by_two, LONG_MAX);
}

static int turn;
static long rounds;

static void *APR_THREAD_FUNC condition_loop(apr_thread_t *self, void *me)
{
	int mine = *(int *)me;
	(void)self;
	for (long i = 0; i < rounds; i++) {
		apr_thread_mutex_lock(mutex);
		while (turn != mine)
			apr_thread_cond_wait(changed, mutex);
		turn = !mine;
		apr_thread_cond_signal(changed);
		apr_thread_mutex_unlock(mutex);
	}
	return NULL;
}

static void condition_handovers(long n)
{
	int zero = 0, one = 1;
	apr_status_t ended;
	rounds = n / 2;
	apr_thread_t *t = start_thread(condition_loop, &one);
	condition_loop(NULL, &zero);
	apr_thread_join(&ended, t);
}

static double condition_handover(void)
{
	make_condition();
	return bench_each(condition_handovers, LONG_MAX);
}

static apr_queue_t *queue;

static void *APR_THREAD_FUNC queue_put_all(apr_thread_t *self, void *n)
{
	bench_message m = { { 0 } };
	(void)self;
	for (long i = 0; i < *(long *)n; i++) {
		bench_message *copy = malloc(sizeof *copy);
		bench_check(copy != NULL, "no memory");
		m.word[0] = (uint64_t)i;
		*copy = m;
		apr_queue_push(queue, copy);
	}
	return NULL;
}

static void queue_messages(long n)
{
	apr_status_t ended;
	apr_thread_t *t = start_thread(queue_put_all, &n);
	for (long i = 0; i < n; i++) {
		void *m;
		apr_queue_pop(queue, &m);
		bench_check(((bench_message *)m)->word[0] == (uint64_t)i, "wrong message");
		free(m);
	}
	apr_thread_join(&ended, t);
}

static double queue_64b(void)
{
	apr_queue_create(&queue, BENCH_QUEUE, memory);
	return bench_messages(queue_messages);
}

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "submit-outside", submit_outside },
		{ "round-trip-steady", round_trip_steady },
		{ "round-trip-parked", round_trip_parked },
		{ "lock-alone", lock_alone },
		{ "lock-contended", lock_contended },
		{ "condition-handover", condition_handover },
		{ "queue-64b", queue_64b },
		{ "idle-cpu", idle_cpu },
		{ NULL, NULL },
	};
	apr_initialize();
	apr_pool_create(&memory, NULL);
	return bench_main(argc, argv, table);
}
