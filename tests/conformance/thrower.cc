/* Tasks in C++ for exception_test.c. */
#include <stdexcept>
#include <string>

#include <trenza.h>

#include "thrower.h"

static int throw_it(int what)
{
	if (what == 1)
		throw std::runtime_error("thrown on purpose");
	if (what == 2)
		throw 42;
	return what;
}
TZ_TASK(int, throw_it, int);

tz_handle submit_thrower(tz_executor *ex, int what)
{
	return tz_submit(ex, throw_it, what).handle;
}

int map_throwers(tz_executor *ex, int n, const int *what, int *ret)
{
	return tz_map(ex, throw_it, static_cast<size_t>(n), ret, what);
}

static int fork_thrower(int what)
{
	throw_it_fork f = tz_fork(throw_it, what);
	return tz_join(f);
}
TZ_TASK(int, fork_thrower, int);

tz_handle submit_forking_thrower(tz_executor *ex, int what)
{
	return tz_submit(ex, fork_thrower, what).handle;
}
