/*
 * The physical bounds: what the machine and its kernel charge when there is no library at all.
 *
 * A pair of futex words bounds what must wake a sleeping thread, a cache line that goes to and fro
 * bounds what spins, two atomic instructions bound a lock that nobody else wants, and two threads
 * that already run bound a parallel loop.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "../bench.h"

/* Each on a pair of cache lines of its own: the next-line prefetcher couples two. */
static _Alignas(128) _Atomic uint32_t ping;
static _Alignas(128) _Atomic uint32_t pong;
static _Alignas(128) atomic_bool stop;

static void futex_post(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Returns when *word is no longer `old`. */
static uint32_t futex_await(_Atomic uint32_t *word, uint32_t old)
{
	uint32_t now;
	while ((now = atomic_load(word)) == old)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
	return now;
}

static void *futex_answer(void *unused)
{
	uint32_t seen = 0;
	(void)unused;
	while (seen = futex_await(&ping, seen), !atomic_load(&stop))
		futex_post(&pong, seen);
	return NULL;
}

static void futex_trip(void)
{
	uint32_t turn = atomic_load(&ping);
	futex_post(&ping, turn + 1);
	futex_await(&pong, turn);
}

static void futex_trips_n(long n)
{
	while (n-- > 0)
		futex_trip();
}

static double futex_trips(int parked)
{
	pthread_t t;
	pthread_create(&t, NULL, futex_answer, NULL);
	double ns = parked ? bench_trips_parked(futex_trip) : bench_each(futex_trips_n, LONG_MAX);
	atomic_store(&stop, 1);
	futex_post(&ping, atomic_load(&ping) + 1);
	pthread_join(t, NULL);
	return ns;
}

static double round_trip_steady(void)
{
	return futex_trips(0);
}

static double round_trip_parked(void)
{
	return futex_trips(1);
}

/* A hand-over is half of a trip. */
static double condition_handover(void)
{
	return futex_trips(0) / 2;
}

static uint32_t spin_await(_Atomic uint32_t *word, uint32_t old)
{
	uint32_t now;
	while ((now = atomic_load_explicit(word, memory_order_acquire)) == old)
		bench_pause();
	return now;
}

static void *spin_answer(void *unused)
{
	uint32_t seen = 0;
	(void)unused;
	while (seen = spin_await(&ping, seen), !atomic_load(&stop))
		atomic_store_explicit(&pong, seen, memory_order_release);
	return NULL;
}

static void spin_trip(void)
{
	uint32_t turn = atomic_load_explicit(&ping, memory_order_relaxed);
	atomic_store_explicit(&ping, turn + 1, memory_order_release);
	spin_await(&pong, turn);
}

static void spin_trips_n(long n)
{
	while (n-- > 0)
		spin_trip();
}

static double round_trip_spin(void)
{
	pthread_t t;
	pthread_create(&t, NULL, spin_answer, NULL);
	double ns = bench_each(spin_trips_n, LONG_MAX);
	atomic_store(&stop, 1);
	atomic_store(&ping, atomic_load(&ping) + 1);
	pthread_join(t, NULL);
	return ns;
}

/* A crossing is half of a trip: each tells the other that it has come, both at the same time. */
static double barrier_handover(void)
{
	return round_trip_spin() / 2;
}

/* The least that a lock needs: one exchange to take it, one releasing store to leave it. */
static void lock_n(long n)
{
	static _Alignas(128) _Atomic uint32_t word;
	while (n-- > 0) {
		bench_check(!atomic_exchange_explicit(&word, 1, memory_order_acquire), "locked");
		atomic_store_explicit(&word, 0, memory_order_release);
	}
}

static double lock_alone(void)
{
	return bench_each(lock_n, LONG_MAX);
}

static size_t map_n;
static const double *map_in;
static double *map_out;

static void square(size_t from, size_t to)
{
	const double *in = map_in;
	double *out = map_out;
	for (size_t i = from; i < to; i++)
		out[i] = in[i] * in[i];
}

static void *square_half(void *unused)
{
	uint32_t seen = 0;
	(void)unused;
	while (seen = spin_await(&ping, seen), !atomic_load(&stop)) {
		square(map_n / 2, map_n);
		atomic_store_explicit(&pong, seen, memory_order_release);
	}
	return NULL;
}

static void square_by_two(size_t n, const double *in, double *out)
{
	uint32_t turn = atomic_load_explicit(&ping, memory_order_relaxed);
	map_n = n;
	map_in = in;
	map_out = out;
	atomic_store_explicit(&ping, turn + 1, memory_order_release);
	square(0, n / 2);
	spin_await(&pong, turn);
}

static double map(size_t n)
{
	pthread_t t;
	pthread_create(&t, NULL, square_half, NULL);
	double us = bench_map(square_by_two, n);
	atomic_store(&stop, 1);
	atomic_store(&ping, atomic_load(&ping) + 1);
	pthread_join(t, NULL);
	return us;
}

static double map_10k(void)
{
	return map(10000);
}

static double map_10m(void)
{
	return map(10000000);
}

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "round-trip-spin", round_trip_spin },
		{ "round-trip-steady", round_trip_steady },
		{ "round-trip-parked", round_trip_parked },
		{ "condition-handover", condition_handover },
		{ "barrier-handover", barrier_handover },
		{ "lock-alone", lock_alone },
		{ "map-10k", map_10k },
		{ "map-10m", map_10m },
		{ NULL, NULL },
	};
	return bench_main(argc, argv, table);
}
