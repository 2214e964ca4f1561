/*
 * The glibc contender: POSIX threads, and the pool, the future and the queue that a C programmer
 * writes by hand with a mutex and conditions, because glibc has none.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>

#include "../bench.h"

#ifndef OUTSIDE_WORKERS
#define OUTSIDE_WORKERS 1
#endif

typedef struct future {
	void (*run)(void);
	pthread_mutex_t lock;
	pthread_cond_t done_changed;
	int done;
} future;

typedef struct pool {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	future *ring[BENCH_WINDOW];
	unsigned head, count;
	int closed, nworkers;
	pthread_t worker[2];
} pool;

static pool the_pool = { .lock = PTHREAD_MUTEX_INITIALIZER,
			 .not_empty = PTHREAD_COND_INITIALIZER,
			 .not_full = PTHREAD_COND_INITIALIZER };

static void *pool_work(void *arg)
{
	pool *p = arg;
	for (;;) {
		pthread_mutex_lock(&p->lock);
		while (p->count == 0 && !p->closed)
			pthread_cond_wait(&p->not_empty, &p->lock);
		if (p->count == 0) {
			pthread_mutex_unlock(&p->lock);
			return NULL;
		}
		future *f = p->ring[p->head++ % BENCH_WINDOW];
		if (p->count-- == BENCH_WINDOW)
			pthread_cond_signal(&p->not_full);
		pthread_mutex_unlock(&p->lock);

		f->run();
		pthread_mutex_lock(&f->lock);
		f->done = 1;
		pthread_cond_signal(&f->done_changed);
		pthread_mutex_unlock(&f->lock);
	}
}

static void pool_open(pool *p, int workers)
{
	p->nworkers = workers;
	for (int i = 0; i < workers; i++)
		pthread_create(&p->worker[i], NULL, pool_work, p);
}

static void pool_close(pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->closed = 1;
	pthread_cond_broadcast(&p->not_empty);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->nworkers; i++)
		pthread_join(p->worker[i], NULL);
}

static future *pool_submit(pool *p, void (*run)(void))
{
	future *f = malloc(sizeof *f);
	bench_check(f != NULL, "no memory");
	f->run = run;
	f->done = 0;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->done_changed, NULL);
	pthread_mutex_lock(&p->lock);
	while (p->count == BENCH_WINDOW)
		pthread_cond_wait(&p->not_full, &p->lock);
	p->ring[(p->head + p->count++) % BENCH_WINDOW] = f;
	pthread_cond_signal(&p->not_empty);
	pthread_mutex_unlock(&p->lock);
	return f;
}

static void future_finish(future *f)
{
	pthread_mutex_lock(&f->lock);
	while (!f->done)
		pthread_cond_wait(&f->done_changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->done_changed);
	free(f);
}

static void submit_window(long n)
{
	static future *window[BENCH_WINDOW];
	for (long i = 0; i < n; i++) {
		future **slot = &window[i % BENCH_WINDOW];
		if (*slot)
			future_finish(*slot);
		*slot = pool_submit(&the_pool, bench_nop);
	}
	for (int i = 0; i < BENCH_WINDOW; i++)
		if (window[i]) {
			future_finish(window[i]);
			window[i] = NULL;
		}
}

static double submit_outside(void)
{
	pool_open(&the_pool, OUTSIDE_WORKERS);
	double ns = bench_each(submit_window, BENCH_TASKS);
	pool_close(&the_pool);
	return ns;
}

static void trip(void)
{
	future_finish(pool_submit(&the_pool, bench_nop));
}

static void trips(long n)
{
	while (n-- > 0)
		trip();
}

static double round_trip_steady(void)
{
	pool_open(&the_pool, 1);
	double ns = bench_each(trips, LONG_MAX);
	pool_close(&the_pool);
	return ns;
}

static double round_trip_parked(void)
{
	pool_open(&the_pool, 1);
	double ns = bench_trips_parked(trip);
	pool_close(&the_pool);
	return ns;
}

static double idle_cpu(void)
{
	pool_open(&the_pool, 2);
	submit_window(BENCH_TASKS / 10);
	double ms = bench_idle_cpu();
	pool_close(&the_pool);
	return ms;
}

static _Alignas(128) pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Alignas(128) long counter;

static void *lock_loop(void *n)
{
	for (long i = *(long *)n; i > 0; i--) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
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
	pthread_t t;
	counter = 0;
	pthread_create(&t, NULL, lock_loop, &half);
	lock_loop(&half);
	pthread_join(t, NULL);
	bench_check(counter == 2 * half, "lost updates");
}

static double lock_contended(void)
{
	return bench_each(lock_by_two, LONG_MAX);
}

static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static int turn;
static long rounds;

static void *condition_loop(void *me)
{
	int mine = *(int *)me;
	for (long i = 0; i < rounds; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != mine)
			pthread_cond_wait(&turn_changed, &mutex);
		turn = !mine;
		pthread_cond_signal(&turn_changed);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void condition_handovers(long n)
{
	int zero = 0, one = 1;
	pthread_t t;
	rounds = n / 2;
	pthread_create(&t, NULL, condition_loop, &one);
	condition_loop(&zero);
	pthread_join(t, NULL);
}

static double condition_handover(void)
{
	return bench_each(condition_handovers, LONG_MAX);
}

static pthread_barrier_t barrier;

static void *barrier_loop(void *n)
{
	for (long i = *(long *)n; i > 0; i--)
		pthread_barrier_wait(&barrier);
	return NULL;
}

static void barrier_handovers(long n)
{
	pthread_t t;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&t, NULL, barrier_loop, &n);
	barrier_loop(&n);
	pthread_join(t, NULL);
	pthread_barrier_destroy(&barrier);
}

static double barrier_handover(void)
{
	return bench_each(barrier_handovers, LONG_MAX);
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	bench_message ring[BENCH_QUEUE];
	unsigned head, count;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER,
	    .not_empty = PTHREAD_COND_INITIALIZER,
	    .not_full = PTHREAD_COND_INITIALIZER };

static void *queue_put_all(void *n)
{
	bench_message m = { { 0 } };
	for (long i = 0; i < *(long *)n; i++) {
		m.word[0] = (uint64_t)i;
		pthread_mutex_lock(&queue.lock);
		while (queue.count == BENCH_QUEUE)
			pthread_cond_wait(&queue.not_full, &queue.lock);
		queue.ring[(queue.head + queue.count++) % BENCH_QUEUE] = m;
		if (queue.count == 1)
			pthread_cond_signal(&queue.not_empty);
		pthread_mutex_unlock(&queue.lock);
	}
	return NULL;
}

static void queue_messages(long n)
{
	pthread_t t;
	pthread_create(&t, NULL, queue_put_all, &n);
	for (long i = 0; i < n; i++) {
		pthread_mutex_lock(&queue.lock);
		while (queue.count == 0)
			pthread_cond_wait(&queue.not_empty, &queue.lock);
		bench_message m = queue.ring[queue.head++ % BENCH_QUEUE];
		if (queue.count-- == BENCH_QUEUE)
			pthread_cond_signal(&queue.not_full);
		pthread_mutex_unlock(&queue.lock);
		bench_check(m.word[0] == (uint64_t)i, "wrong message");
	}
	pthread_join(t, NULL);
}

static double queue_64b(void)
{
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
		{ "barrier-handover", barrier_handover },
		{ "queue-64b", queue_64b },
		{ "idle-cpu", idle_cpu },
		{ NULL, NULL },
	};
	return bench_main(argc, argv, table);
}
