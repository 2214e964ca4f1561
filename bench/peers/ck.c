/*
 * The Concurrency Kit contender: its rings, its fetch-and-store spinlock and its barrier.
 *
 * It is a kit, not a pool: here one thread takes tasks from a ring. All of it spins, nothing
 * sleeps, so it has no idle row and no parked one. A future is a word in its caller's own array.
 */
#include <ck_barrier.h>
#include <ck_pr.h>
#include <ck_ring.h>
#include <ck_spinlock.h>
#include <pthread.h>

#include "../bench.h"

typedef struct future {
	void (*run)(void);
	int done;
} future;

static _Alignas(128) ck_ring_t tasks;
static ck_ring_buffer_t task_slots[2 * BENCH_WINDOW];
static future stop;

static void *work(void *unused)
{
	void *task;
	(void)unused;
	for (;;) {
		while (!ck_ring_dequeue_spsc(&tasks, task_slots, &task))
			ck_pr_stall();
		future *f = task;
		if (f == &stop)
			return NULL;
		f->run();
		ck_pr_fence_release();
		ck_pr_store_int(&f->done, 1);
	}
}

static void future_submit(future *f, void (*run)(void))
{
	f->run = run;
	ck_pr_store_int(&f->done, 0);
	while (!ck_ring_enqueue_spsc(&tasks, task_slots, f))
		ck_pr_stall();
}

static void future_finish(future *f)
{
	while (!ck_pr_load_int(&f->done))
		ck_pr_stall();
	ck_pr_fence_acquire();
}

static void submit_window(long n)
{
	static future window[BENCH_WINDOW];
	for (long i = 0; i < n; i++) {
		future *f = &window[i % BENCH_WINDOW];
		if (i >= BENCH_WINDOW)
			future_finish(f);
		future_submit(f, bench_nop);
	}
	for (long i = 0; i < BENCH_WINDOW && i < n; i++)
		future_finish(&window[i]);
}

static pthread_t start_worker(void)
{
	pthread_t t;
	ck_ring_init(&tasks, 2 * BENCH_WINDOW);
	pthread_create(&t, NULL, work, NULL);
	return t;
}

static void stop_worker(pthread_t t)
{
	future_submit(&stop, NULL);
	pthread_join(t, NULL);
}

static double submit_outside(void)
{
	pthread_t t = start_worker();
	double ns = bench_each(submit_window, BENCH_TASKS);
	stop_worker(t);
	return ns;
}

static void trip(void)
{
	static future f;
	future_submit(&f, bench_nop);
	future_finish(&f);
}

static void trips(long n)
{
	while (n-- > 0)
		trip();
}

static double round_trip_spin(void)
{
	pthread_t t = start_worker();
	double ns = bench_each(trips, LONG_MAX);
	stop_worker(t);
	return ns;
}

static _Alignas(128) ck_spinlock_fas_t lock = CK_SPINLOCK_FAS_INITIALIZER;
static _Alignas(128) long counter;

static void *lock_loop(void *n)
{
	for (long i = *(long *)n; i > 0; i--) {
		ck_spinlock_fas_lock(&lock);
		counter++;
		ck_spinlock_fas_unlock(&lock);
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

static _Alignas(128) ck_barrier_centralized_t barrier;

static void *barrier_loop(void *n)
{
	ck_barrier_centralized_state_t state = CK_BARRIER_CENTRALIZED_STATE_INITIALIZER;
	for (long i = *(long *)n; i > 0; i--)
		ck_barrier_centralized(&barrier, &state, 2);
	return NULL;
}

static void barrier_handovers(long n)
{
	pthread_t t;
	barrier = (ck_barrier_centralized_t)CK_BARRIER_CENTRALIZED_INITIALIZER;
	pthread_create(&t, NULL, barrier_loop, &n);
	barrier_loop(&n);
	pthread_join(t, NULL);
}

static double barrier_handover(void)
{
	return bench_each(barrier_handovers, LONG_MAX);
}

CK_RING_PROTOTYPE(message, bench_message)

static _Alignas(128) ck_ring_t queue;
static bench_message queue_slots[BENCH_QUEUE];

static void *queue_put_all(void *n)
{
	bench_message m = { { 0 } };
	for (long i = 0; i < *(long *)n; i++) {
		m.word[0] = (uint64_t)i;
		while (!CK_RING_ENQUEUE_SPSC(message, &queue, queue_slots, &m))
			ck_pr_stall();
	}
	return NULL;
}

static void queue_messages(long n)
{
	pthread_t t;
	pthread_create(&t, NULL, queue_put_all, &n);
	for (long i = 0; i < n; i++) {
		bench_message m;
		while (!CK_RING_DEQUEUE_SPSC(message, &queue, queue_slots, &m))
			ck_pr_stall();
		bench_check(m.word[0] == (uint64_t)i, "wrong message");
	}
	pthread_join(t, NULL);
}

static double queue_64b(void)
{
	ck_ring_init(&queue, BENCH_QUEUE);
	return bench_messages(queue_messages);
}

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "submit-outside", submit_outside },
		{ "round-trip-spin", round_trip_spin },
		{ "lock-alone", lock_alone },
		{ "lock-contended", lock_contended },
		{ "barrier-handover", barrier_handover },
		{ "queue-64b", queue_64b },
		{ NULL, NULL },
	};
	return bench_main(argc, argv, table);
}
