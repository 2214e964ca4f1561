/*
 * The Boost.Fiber contender: its default scheduler on this thread. Stacks are pooled, but for those
 * of the sleepers, which are malloc'd: the pool asks for so much at once that it gets nothing.
 */
#include <boost/fiber/all.hpp>

#include <chrono>
#include <vector>

#include "../bench.h"

namespace
{

namespace fibers = boost::fibers;

constexpr size_t stack_size = 65536;
fibers::pooled_fixedsize_stack pool(stack_size);

template <typename Function> fibers::fiber spawn(Function f)
{
	return fibers::fiber(fibers::launch::post, std::allocator_arg, pool, f);
}

template <int among> void yields(long n)
{
	std::vector<fibers::fiber> all;
	for (int i = 0; i < among; i++)
		all.push_back(spawn([n] {
			for (long k = 0; k < n; k += among)
				boost::this_fiber::yield();
		}));
	for (auto &f : all)
		f.join();
}

template <int among> double yields_among()
{
	return bench_each(yields<among>, LONG_MAX);
}

void spawns(long n)
{
	while (n-- > 0)
		spawn([] { bench_nop(); }).join();
}

double spawn_join()
{
	return bench_each(spawns, LONG_MAX);
}

void spawns_that_yield(long n)
{
	while (n-- > 0)
		spawn([] { boost::this_fiber::yield(); }).join();
}

double spawn_yield_join()
{
	return bench_each(spawns_that_yield, LONG_MAX);
}

/* One of the two slots of such a channel stays empty. */
typedef fibers::buffered_channel<long> channel;

void hops(long n)
{
	channel there(2), back(2);
	fibers::fiber other = spawn([&there, &back, n] {
		for (long i = 0; i < n; i += 2)
			back.push(there.value_pop());
	});
	fibers::fiber one = spawn([&there, &back, n] {
		for (long i = 0; i < n; i += 2) {
			there.push(i);
			bench_check(back.value_pop() == i, "wrong message");
		}
	});
	one.join();
	other.join();
}

double channel_hop()
{
	return bench_each(hops, LONG_MAX);
}

double timer_late()
{
	return bench_sleeps([] { boost::this_fiber::sleep_for(std::chrono::milliseconds(1)); });
}

void sleep_all(bench_sleep *s)
{
	fibers::fixedsize_stack malloced(stack_size);
	std::chrono::milliseconds pause(static_cast<long>(s->seconds * 1e3));
	std::vector<fibers::fiber> all;
	for (long i = 0; i < s->tasks; i++)
		all.emplace_back(fibers::launch::post, std::allocator_arg, malloced, [s, pause] {
			bench_falls_asleep(s);
			boost::this_fiber::sleep_for(pause);
			bench_wakes(s);
		});
	for (auto &f : all)
		f.join();
}

double sleepers_100k()
{
	return bench_sleepers(sleep_all, 100000, BENCH_SLEEP_100K);
}

double sleepers_1m()
{
	return bench_sleepers(sleep_all, 1000000, BENCH_SLEEP_1M);
}

} // namespace

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "yield-2", yields_among<2> },
		{ "yield-1000", yields_among<1000> },
		{ "spawn-join", spawn_join },
		{ "spawn-yield-join", spawn_yield_join },
		{ "channel-hop", channel_hop },
		{ "timer-late", timer_late },
		{ "sleepers-100k", sleepers_100k },
		{ "sleepers-1m", sleepers_1m },
		{ nullptr, nullptr },
	};
	return bench_main(argc, argv, table);
}
