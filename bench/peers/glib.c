/*
 * The GLib contender: GThreadPool, GMutex, GCond and GAsyncQueue.
 *
 * GThreadPool has no futures: tasks are counted when they have run. GAsyncQueue has no bound and
 * carries pointers: a message is allocated by the sender and freed by the receiver.
 */
#include <glib.h>
#include <stdatomic.h>

#include "../bench.h"

#ifndef OUTSIDE_WORKERS
#define OUTSIDE_WORKERS 1
#endif

static _Alignas(128) atomic_long ran;

static void count(gpointer task, gpointer unused)
{
	(void)task;
	(void)unused;
	bench_nop();
	atomic_fetch_add_explicit(&ran, 1, memory_order_release);
}

static GThreadPool *the_pool;

static void submit_window(long n)
{
	atomic_store(&ran, 0);
	for (long i = 0; i < n; i++) {
		while (i - atomic_load_explicit(&ran, memory_order_acquire) >= BENCH_WINDOW)
			g_thread_yield();
		g_thread_pool_push(the_pool, &ran, NULL);
	}
	while (atomic_load_explicit(&ran, memory_order_acquire) < n)
		g_thread_yield();
}

static double submit_outside(void)
{
	the_pool = g_thread_pool_new(count, NULL, OUTSIDE_WORKERS, TRUE, NULL);
	double ns = bench_each(submit_window, BENCH_TASKS);
	g_thread_pool_free(the_pool, FALSE, TRUE);
	return ns;
}

static double idle_cpu(void)
{
	the_pool = g_thread_pool_new(count, NULL, 2, TRUE, NULL);
	submit_window(BENCH_TASKS / 10);
	double ms = bench_idle_cpu();
	g_thread_pool_free(the_pool, FALSE, TRUE);
	return ms;
}

static GMutex mutex;
static GCond changed;
static gboolean arrived;

static void arrive(gpointer task, gpointer unused)
{
	(void)task;
	(void)unused;
	g_mutex_lock(&mutex);
	arrived = TRUE;
	g_cond_signal(&changed);
	g_mutex_unlock(&mutex);
}

static void trip(void)
{
	arrived = FALSE;
	g_thread_pool_push(the_pool, &arrived, NULL);
	g_mutex_lock(&mutex);
	while (!arrived)
		g_cond_wait(&changed, &mutex);
	g_mutex_unlock(&mutex);
}

static void trips(long n)
{
	while (n-- > 0)
		trip();
}

static double round_trip_steady(void)
{
	the_pool = g_thread_pool_new(arrive, NULL, 1, TRUE, NULL);
	return bench_each(trips, LONG_MAX);
}

static double round_trip_parked(void)
{
	the_pool = g_thread_pool_new(arrive, NULL, 1, TRUE, NULL);
	return bench_trips_parked(trip);
}

static _Alignas(128) GMutex lock;
static _Alignas(128) long counter;

static gpointer lock_loop(gpointer n)
{
	for (long i = *(long *)n; i > 0; i--) {
		g_mutex_lock(&lock);
		counter++;
		g_mutex_unlock(&lock);
	}
	return NULL;
}

static void lock_by_one(long n)
{
	lock_loop(&n);
}

static double lock_alone(void)
{
	return bench_each(lock_by_one, LONG_MAX);
}

static void lock_by_two(long n)
{
	long half = n / 2;
	counter = 0;
	GThread *t = g_thread_new(NULL, lock_loop, &half);
	lock_loop(&half);
	g_thread_join(t);
	bench_check(counter == 2 * half, "lost updates");
}

static double lock_contended(void)
{
	return bench_each(lock_by_two, LONG_MAX);
}

static int turn;
static long rounds;

static gpointer condition_loop(gpointer me)
{
	int mine = *(int *)me;
	for (long i = 0; i < rounds; i++) {
		g_mutex_lock(&mutex);
		while (turn != mine)
			g_cond_wait(&changed, &mutex);
		turn = !mine;
		g_cond_signal(&changed);
		g_mutex_unlock(&mutex);
	}
	return NULL;
}

static void condition_handovers(long n)
{
	int zero = 0, one = 1;
	rounds = n / 2;
	GThread *t = g_thread_new(NULL, condition_loop, &one);
	condition_loop(&zero);
	g_thread_join(t);
}

static double condition_handover(void)
{
	return bench_each(condition_handovers, LONG_MAX);
}

static GAsyncQueue *queue;

static gpointer queue_put_all(gpointer n)
{
	bench_message m = { { 0 } };
	for (long i = 0; i < *(long *)n; i++) {
		m.word[0] = (uint64_t)i;
		g_async_queue_push(queue, g_memdup2(&m, sizeof m));
	}
	return NULL;
}

static void queue_messages(long n)
{
	GThread *t = g_thread_new(NULL, queue_put_all, &n);
	for (long i = 0; i < n; i++) {
		bench_message *m = g_async_queue_pop(queue);
		bench_check(m->word[0] == (uint64_t)i, "wrong message");
		g_free(m);
	}
	g_thread_join(t);
}

static double queue_64b(void)
{
	queue = g_async_queue_new();
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
	return bench_main(argc, argv, table);
}
