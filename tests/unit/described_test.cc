/* Types that travel, in C++: known by what they are, not by how they are written. */
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <trenza.h>

#define _Static_assert static_assert
extern "C" {
#include "wire/codec.h"
}

namespace shapes
{
struct point {
	double x, y;
};
enum class colour : short { red, green };
TZ_FLAT(point);

struct line {
	point from, to;
	const char *name;
	colour tint;
	struct line *next;
};
TZ_STRUCT(line, (point, from), (shapes::point, to), name, tint);

template <typename A, typename B> struct pair {
	A first;
	B second;
};
TZ_FLAT(pair<int, char>);

static double length(line l, pair<int, char> p)
{
	return l.to.x - l.from.x + (double)strlen(l.name) + p.first + p.second;
}
typedef pair<int, char> number;
TZ_TASK(double, length, line, number);

static struct line same(struct line l)
{
	return l;
}
TZ_TASK(struct line, same, struct line);
}

/* Another struct of that name and size is another type. */
struct point {
	double *x, *y;
};

static double first(point p)
{
	return *p.x;
}
TZ_TASK(double, first, point);

static double middle(shapes::point a, ::shapes::point b)
{
	return (a.x + b.x) / 2;
}
TZ_TASK(double, middle, shapes::point, ::shapes::point);

static wchar_t letters(char16_t a, char32_t b, shapes::colour c)
{
	return (wchar_t)(a + b + (unsigned)c);
}
TZ_TASK(wchar_t, letters, char16_t, char32_t, shapes::colour);

static int cases, failures;

static void check(bool right, const char *title)
{
	printf("%s %d - %s\n", right ? "ok" : "not ok", ++cases, title);
	failures += !right;
}

static bool travels(const tz_task *task)
{
	const tz_plan *plan = tz_plan_of(task);

	if (plan && plan->error)
		printf("# %s\n", plan->refusal);
	return plan && plan->error == 0;
}

/* Calls a task by bytes. */
template <typename R> static bool call(const tz_task *task, const void *args, R *ret_result)
{
	const tz_plan *plan = tz_plan_of(task);
	size_t size = tz_args_size(plan, args, nullptr);
	void *bytes = aligned_alloc(64, (size + 63) / 64 * 64);
	const void *decoded;
	bool done = bytes && tz_args_encode(plan, args, bytes, size, nullptr) == 0 &&
		    tz_args_decode(plan, bytes, size, &decoded, nullptr) == 0;

	if (done)
		task->run(ret_result, decoded);
	free(bytes);
	return done;
}

int main()
{
	using namespace shapes;
	length_args a = tz_bind(length, (line{ { 1, 0 }, { 5, 0 }, "abc", colour::green, nullptr }), (number{ 10, 20 }));
	double d = 0;

	check(travels(&length_task), "structs of a namespace, of a template and of a typedef");
	check(call(&length_task, &a, &d) && d == 4 + 3 + 10 + 20, "they arrive");
	check(travels(&same_task), "a struct under its tag");
	check(travels(&middle_task) && tz_plan_of(&middle_task)->args.flat, "a type by two names");
	check(travels(&letters_task) && tz_plan_of(&letters_task)->args.flat, "characters and scoped enumerations");
	check(!travels(&first_task) && tz_plan_of(&first_task)->error == -ENOTSUP, "another type of the same name and size");
	printf("1..%d\n", cases);
	return failures != 0;
}
