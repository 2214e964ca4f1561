/*
 * The Boost.Context contender, which has contexts and no scheduler: who resumes one, and who is
 * resumed at its end, is told by hand. Stacks are pooled. `-raw` is the layer below, without objects.
 */
#include <boost/context/detail/fcontext.hpp>
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>

#include "../bench.h"

namespace
{

namespace context = boost::context;

context::fiber other;
context::pooled_fixedsize_stack stacks(65536);

void switches(long n)
{
	for (long i = 0; i < n; i += 2)
		other = std::move(other).resume();
}

double switch_bare()
{
	other = context::fiber(std::allocator_arg, stacks, [](context::fiber &&back) {
		for (;;)
			back = std::move(back).resume();
		return std::move(back);
	});
	double ns = bench_each(switches, LONG_MAX);
	fflush(stdout);
	return ns;
}

context::detail::fcontext_t other_raw;

void turn_for_ever(context::detail::transfer_t back)
{
	for (;;)
		back = context::detail::jump_fcontext(back.fctx, nullptr);
}

void switches_raw(long n)
{
	for (long i = 0; i < n; i += 2)
		other_raw = context::detail::jump_fcontext(other_raw, nullptr).fctx;
}

double switch_bare_raw()
{
	static char stack[65536];
	other_raw =
		context::detail::make_fcontext(stack + sizeof stack, sizeof stack, turn_for_ever);
	return bench_each(switches_raw, LONG_MAX);
}

void spawns(long n)
{
	while (n-- > 0) {
		context::fiber f(std::allocator_arg, stacks, [](context::fiber &&back) {
			bench_nop();
			return std::move(back);
		});
		f = std::move(f).resume();
	}
}

double spawn_join()
{
	return bench_each(spawns, LONG_MAX);
}

void spawns_that_yield(long n)
{
	while (n-- > 0) {
		context::fiber f(std::allocator_arg, stacks, [](context::fiber &&back) {
			back = std::move(back).resume();
			return std::move(back);
		});
		f = std::move(f).resume();
		f = std::move(f).resume();
	}
}

double spawn_yield_join()
{
	return bench_each(spawns_that_yield, LONG_MAX);
}

} // namespace

int main(int argc, char **argv)
{
	static const bench_workload table[] = {
		{ "switch-bare", switch_bare }, { "switch-bare-raw", switch_bare_raw },
		{ "spawn-join", spawn_join },   { "spawn-yield-join", spawn_yield_join },
		{ nullptr, nullptr },
	};
	return bench_main(argc, argv, table);
}
