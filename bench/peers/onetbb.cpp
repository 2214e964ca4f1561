/*
 * The oneTBB contender.
 *
 * oneTBB has no futures: a task_group is awaited as a whole. What comes from outside is enqueued
 * into an arena that has no place for the thread that enqueues, and counted when it has run.
 */
#include <oneapi/tbb.h>
#include <oneapi/tbb/mutex.h>

#include <atomic>
#include <future>
#include <thread>

#include "../bench.h"

#ifndef OUTSIDE_WORKERS
#define OUTSIDE_WORKERS 1
#endif

namespace
{

/* Else the library starts one worker less than there are cores: the caller is to be the last. */
tbb::global_control two_workers(tbb::global_control::max_allowed_parallelism, 3);

alignas(128) std::atomic<long> ran;

tbb::task_arena *arena;

void submit_window(long n)
{
	ran = 0;
	for (long i = 0; i < n; i++) {
		while (i - ran.load(std::memory_order_acquire) >= BENCH_WINDOW)
			std::this_thread::yield();
		arena->enqueue([] {
			bench_nop();
			ran.fetch_add(1, std::memory_order_release);
		});
	}
	while (ran.load(std::memory_order_acquire) < n)
		std::this_thread::yield();
}

double submit_outside()
{
	tbb::task_arena here(OUTSIDE_WORKERS, 0);
	arena = &here;
	return bench_each(submit_window, BENCH_TASKS);
}

void bulk_n(long n)
{
	tbb::parallel_for(
		tbb::blocked_range<long>(0, n, 1),
		[](const tbb::blocked_range<long> &r) {
			for (long i = r.begin(); i < r.end(); i++)
				bench_nop();
		},
		tbb::simple_partitioner());
}

double submit_bulk()
{
	tbb::task_arena two(2);
	return two.execute([] { return bench_each(bulk_n, BENCH_TASKS); });
}

long fib(int n)
{
	if (n < 2)
		return n;
	long a, b;
	tbb::task_group g;
	g.run([&a, n] { a = fib(n - 1); });
	b = fib(n - 2);
	g.wait();
	return a + b;
}

double fork_join(int n, int threads)
{
	tbb::task_arena some(threads);
	double ns = 0;
	some.execute([&] {
		fib(n - 5);
		double start = bench_now();
		bench_check(fib(n) == bench_fib_value(n), "wrong fib");
		ns = (bench_now() - start) * 1e9 / bench_fib_spawns(n);
	});
	return ns;
}

double fork_join_1()
{
	return fork_join(28, 1);
}

double fork_join_2()
{
	return fork_join(28, 2);
}

double nested_submit()
{
	return fork_join(20, 2);
}

void square(size_t n, const double *in, double *out)
{
	tbb::parallel_for(
		tbb::blocked_range<size_t>(0, n), [=](const tbb::blocked_range<size_t> &r) {
			for (size_t i = r.begin(); i < r.end(); i++)
				out[i] = in[i] * in[i];
		});
}

double map(size_t n)
{
	tbb::task_arena two(2);
	return two.execute([=] { return bench_map(square, n); });
}

double map_10k()
{
	return map(10000);
}

double map_10m()
{
	return map(10000000);
}

alignas(128) std::atomic<bool> arrived;

void trip_spinning()
{
	arrived.store(false, std::memory_order_relaxed);
	arena->enqueue([] { arrived.store(true, std::memory_order_release); });
	while (!arrived.load(std::memory_order_acquire))
		bench_pause();
}

void trip_waiting()
{
	std::promise<void> done;
	arena->enqueue([&done] { done.set_value(); });
	done.get_future().wait();
}

template <void (*trip)()> void trips(long n)
{
	while (n-- > 0)
		trip();
}

double round_trip_spin()
{
	tbb::task_arena here(1, 0);
	arena = &here;
	return bench_each(trips<trip_spinning>, LONG_MAX);
}

double round_trip_steady()
{
	tbb::task_arena here(1, 0);
	arena = &here;
	return bench_each(trips<trip_waiting>, LONG_MAX);
}

double round_trip_parked()
{
	tbb::task_arena here(1, 0);
	arena = &here;
	return bench_trips_parked(trip_waiting);
}

double idle_cpu()
{
	tbb::task_arena here(2, 0);
	arena = &here;
	submit_window(BENCH_TASKS / 10);
	return bench_idle_cpu();
}

template <typename Lock> struct locked {
	alignas(128) static inline Lock lock;
	alignas(128) static inline long counter;

	static void by_one(long n)
	{
		while (n-- > 0) {
			typename Lock::scoped_lock hold(lock);
			counter++;
		}
	}

	static void by_two(long n)
	{
		counter = 0;
		std::thread t(by_one, n / 2);
		by_one(n / 2);
		t.join();
		bench_check(counter == n / 2 * 2, "lost updates");
	}
};

template <typename Lock> double lock_alone()
{
	return bench_each(locked<Lock>::by_one, LONG_MAX);
}

template <typename Lock> double lock_contended()
{
	return bench_each(locked<Lock>::by_two, LONG_MAX);
}

tbb::concurrent_bounded_queue<bench_message> queue;

void queue_messages(long n)
{
	std::thread t([n] {
		bench_message m = {};
		for (long i = 0; i < n; i++) {
			m.word[0] = static_cast<uint64_t>(i);
			queue.push(m);
		}
	});
	for (long i = 0; i < n; i++) {
		bench_message m = {};
		queue.pop(m);
		bench_check(m.word[0] == static_cast<uint64_t>(i), "wrong message");
	}
	t.join();
}

double queue_64b()
{
	queue.set_capacity(BENCH_QUEUE);
	return bench_messages(queue_messages);
}

} // namespace

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "submit-outside", submit_outside },
		{ "submit-bulk", submit_bulk },
		{ "fork-join-1", fork_join_1 },
		{ "fork-join-2", fork_join_2 },
		{ "nested-submit", nested_submit },
		{ "map-10k", map_10k },
		{ "map-10m", map_10m },
		{ "round-trip-spin", round_trip_spin },
		{ "round-trip-steady", round_trip_steady },
		{ "round-trip-parked", round_trip_parked },
		{ "lock-alone", lock_alone<tbb::mutex> },
		{ "lock-contended", lock_contended<tbb::mutex> },
		{ "lock-alone-spin", lock_alone<tbb::spin_mutex> },
		{ "lock-contended-spin", lock_contended<tbb::spin_mutex> },
		{ "queue-64b", queue_64b },
		{ "idle-cpu", idle_cpu },
		{ nullptr, nullptr },
	};
	return bench_main(argc, argv, table);
}
