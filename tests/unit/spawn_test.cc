/* Spawning, groups, calls under a deadline and context variables in C++. */
#include <cerrno>
#include <cstdio>
#include <stdexcept>

#include <trenza.h>

static int cases, failures;

static void check(bool ok, const char *title)
{
	std::printf("%sok %d - %s\n", ok ? "" : "not ", ++cases, title);
	failures += !ok;
}

static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);

static void rest()
{
	(void)tz_sleep_until(tz_never());
}
TZ_TASK(void, rest, void);

static int throw_it(int code)
{
	throw std::runtime_error(code ? "thrown" : "");
}
TZ_TASK(int, throw_it, int);

static void *look();
TZ_TASK(void *, look, void);

static int spawn_some()
{
	double a = 0, b = 0;
	int right = 0;
	tz_submit_options options{};

	options.name = "named";
	right += tz_result(tz_spawn(area, 3, 4), &a) == 0 && a == 12;
	right += tz_result(tz_spawn_with(&options, area, 5, 6), &b) == 0 && b == 30;
	right += tz_gather(tz_spawn(area, 1, 2), tz_spawn(area, 2, 3)) == 0;
	return right;
}
TZ_TASK(int, spawn_some, void);

static int spawn_what_throws()
{
	(void)tz_spawn(throw_it, 1);
	return 0;
}
TZ_TASK(int, spawn_what_throws, void);

static char one[] = "one", two[] = "two";
static tz_context_var name = TZ_CONTEXT_VAR(one, nullptr);

static void *look()
{
	return tz_context_get(&name);
}

static bool throws_in_group()
{
	try {
		TZ_GROUP(g, TZ_GROUP_FAIL_FAST)
		{
			(void)tz_group_spawn(&g, area, 1, 1);
			throw 1;
		}
	} catch (int) {
		return true; /* what was spawned has ended */
	}
	return false;
}

int main()
{
	int right = 0;
	double a = 0;
	void *seen = nullptr;

	check(tz_result(tz_submit(nullptr, spawn_some), &right) == 0 && right == 3, "calls are spawned");
	check(tz_result(tz_submit(nullptr, spawn_what_throws), &right) == -EREMOTEIO, "an exception in one fails the job");
	TZ_GROUP(g, TZ_GROUP_RACE)
	{
		rest_future slow = tz_group_spawn(&g, rest);
		area_future fast = tz_group_submit(&g, nullptr, area, 2, 2);

		(void)slow;
		check(tz_group_wait(&g) == 0 && tz_group_winner(&g) == 1, "a race is won");
		check(tz_result(fast, &a) == 0 && a == 4, "by the call that says so");
	}
	check(throws_in_group(), "a group is left by an exception");
	check(tz_wait_for(60, &a, area, 6, 7) == 0 && a == 42, "a call under a deadline");
	check(tz_wait_for(0.001, nullptr, rest) == -ETIMEDOUT, "ends with it");
	TZ_SCOPE(s)
	{
		tz_scope_cancel(&s);
		TZ_SHIELD(60)
		{
			check(tz_sleep(0.0001) == 0, "a shield");
		}
		check(tz_sleep(60) == -ECANCELED, "and what is outside of it");
	}
	tz_with_context(&name, two)
		check(tz_result(tz_spawn(look), &seen) == 0 && seen == two, "a context is inherited");
	check(look() == one, "and put back");
	std::printf("1..%d\n", cases);
	return failures != 0;
}
