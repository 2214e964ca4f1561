// Atomic operations on plain numbers, from C++. (From C: tests/failures/memory.c, man/examples/shared_atomic.c.)
#include <cstdio>

#include <trenza.h>

enum color { RED, BLUE };

static struct {
	long a;
	double d;
	float f;
	bool b;
	color c;
	const char *s;
	unsigned char u;
} t;

static int number, failed;

static void check(bool good, const char *what)
{
	std::printf("%sok %d - %s\n", good ? "" : "not ", ++number, what);
	failed += !good;
}

int main()
{
	const long *constant = &t.a;
	long expected = 5;

	std::printf("1..8\n");
	check(tz_shared_add(&t.a, 5) == 5 && tz_shared_add(&t.a, -2) == 3 && tz_shared_load(constant) == 3, "integers are added to");
	check(!tz_shared_cas(&t.a, &expected, 9) && expected == 3, "another number stays");
	check(tz_shared_cas(&t.a, &expected, 9) && tz_shared_load(&t.a) == 9, "the expected one is replaced");
	check(tz_shared_exchange(&t.a, 1) == 9 && t.a == 1, "numbers are exchanged");
	check(tz_shared_add(&t.d, 0.5) == 0.5 && tz_shared_add(&t.d, 1) == 1.5, "doubles are added to");
	check(tz_shared_add(&t.f, 2) == 2.0f, "and floats");
	tz_shared_store(&t.b, true);
	tz_shared_store(&t.c, BLUE);
	tz_shared_store(&t.s, "x");
	check(tz_shared_load(&t.b) && tz_shared_load(&t.c) == BLUE && tz_shared_load(&t.s)[0] == 'x', "bool, enums, pointers");
	check(tz_shared_add(&t.u, 255) == 255 && tz_shared_add(&t.u, 2) == 1, "what is small overflows to the other end");
	return failed != 0;
}
