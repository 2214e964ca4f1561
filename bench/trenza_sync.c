/*
 * Our contender, area `sync`: this thread on one side, a job of a one-worker executor on the other.
 */
#include <trenza.h>
#include <trenza/barrier.h>
#include <trenza/condition.h>
#include <trenza/lock.h>
#include <trenza/queue.h>

#include "trenza_bench.h"

static tz_executor *other;

/* Runs a workload with the other thread started. */
static double beside(double (*workload)(void))
{
	bench_check(tz_executor_open(&other, "threads:1") == 0, "no executor");
	double value = workload();
	tz_executor_close(other);
	return value;
}

static _Alignas(128) tz_lock lock;
static _Alignas(128) long counter;

static void lock_loop(long n)
{
	while (n-- > 0) {
		tz_lock_acquire(&lock);
		counter++;
		tz_lock_release(&lock);
	}
}
TZ_TASK(void, lock_loop, long);

static double lock_alone(void)
{
	return bench_each(lock_loop, LONG_MAX);
}

static void lock_by_two(long n)
{
	long half = n / 2;
	counter = 0;
	lock_loop_future f = tz_submit(other, lock_loop, half);
	lock_loop(half);
	bench_check(tz_result(f, NULL) == 0, "the job failed");
	bench_check(counter == 2 * half, "lost updates");
}

static double lock_contended_here(void)
{
	return bench_each(lock_by_two, LONG_MAX);
}

static double lock_contended(void)
{
	return beside(lock_contended_here);
}

static tz_condition turn_changed;
static int turn;

static void condition_loop(int mine, long rounds)
{
	for (long i = 0; i < rounds; i++) {
		tz_lock_acquire(&lock);
		while (turn != mine)
			tz_condition_wait(&turn_changed, &lock);
		turn = !mine;
		tz_condition_notify(&turn_changed);
		tz_lock_release(&lock);
	}
}
TZ_TASK(void, condition_loop, int, long);

static void condition_handovers(long n)
{
	condition_loop_future f = tz_submit(other, condition_loop, 1, n / 2);
	condition_loop(0, n / 2);
	bench_check(tz_result(f, NULL) == 0, "the job failed");
}

static double condition_handover_here(void)
{
	return bench_each(condition_handovers, LONG_MAX);
}

static double condition_handover(void)
{
	return beside(condition_handover_here);
}

static tz_barrier barrier;

static void barrier_loop(long n)
{
	while (n-- > 0)
		bench_check(tz_barrier_wait(&barrier) >= 0, "the barrier broke");
}
TZ_TASK(void, barrier_loop, long);

static void barrier_handovers(long n)
{
	barrier_loop_future f = tz_submit(other, barrier_loop, n);
	barrier_loop(n);
	bench_check(tz_result(f, NULL) == 0, "the job failed");
}

static double barrier_handover_here(void)
{
	bench_check(tz_barrier_init(&barrier, 2, NULL, NULL) == 0, "no barrier");
	return bench_each(barrier_handovers, LONG_MAX);
}

static double barrier_handover(void)
{
	return beside(barrier_handover_here);
}

TZ_QUEUE(bench_message, messages);

static messages queue;

static void put_all(long n)
{
	bench_message m = { { 0 } };
	for (long i = 0; i < n; i++) {
		m.word[0] = (uint64_t)i;
		bench_check(messages_put(queue, m) == 0, "no put");
	}
}
TZ_TASK(void, put_all, long);

static void queue_messages(long n)
{
	put_all_future f = tz_submit(other, put_all, n);
	for (long i = 0; i < n; i++) {
		bench_message m;
		bench_check(messages_get(queue, &m) == 0, "no get");
		bench_check(m.word[0] == (uint64_t)i, "wrong message");
	}
	bench_check(tz_result(f, NULL) == 0, "the job failed");
}

static double queue_64b_here(void)
{
	tz_queue_options bounded = { .capacity = BENCH_QUEUE };
	bench_check(messages_open(&queue, &bounded) == 0, "no queue");
	double value = bench_messages(queue_messages);
	messages_close(&queue);
	return value;
}

static double queue_64b(void)
{
	return beside(queue_64b_here);
}

const bench_workload sync_workloads[] = {
	{ "lock-alone", lock_alone },
	{ "lock-contended", lock_contended },
	{ "condition-handover", condition_handover },
	{ "barrier-handover", barrier_handover },
	{ "queue-64b", queue_64b },
	{ NULL, NULL },
};
