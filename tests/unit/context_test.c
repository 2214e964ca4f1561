/* Contexts: switching stacks. */
#define _GNU_SOURCE
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abilities.h"
#include "check.h"
#include "os/context.h"

enum { SIZE = 64 * 1024, ROUNDS = 1000, MANY = 50 };

static struct tz_context home, ctx, contexts[MANY];
static long order[64];
static int norder;
static void *last_arg;

static char *stack_open(void)
{
	char *low = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(low != MAP_FAILED);
	return low;
}

static void stack_close(char *low)
{
	assert_int_equal(munmap(low, SIZE), 0);
}

/* Keeps a value of each kind of register over switches, with different values in each context. */
static __attribute__((noinline)) double mix(struct tz_context *self, unsigned long seed)
{
	unsigned long a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11,
		      f = seed * 13, g = seed * 17;
	double x = (double)seed, y = (double)seed / 3, z = (double)seed / 7;
	long double w = (long double)seed / 11;

	for (int i = 0; i < ROUNDS; i++) {
		tz_context_switch(self, &home);
		a += b ^ (unsigned long)i;
		b += c;
		c ^= d + (unsigned long)i;
		d += e;
		e ^= f;
		f += g;
		g ^= a;
		x += y;
		y = y * 0.5 + z;
		z += 1 / (x + 1);
		w = w / 3 + (long double)x;
	}
	return (double)(a ^ b ^ c ^ d ^ e ^ f ^ g) + x + y + z + (double)w;
}

static double mixed[MANY], expected[MANY];

static void mixer(void *arg)
{
	long i = (long)(intptr_t)arg;

	mixed[i] = mix(&contexts[i], (unsigned long)i + 1);
	for (;;)
		tz_context_switch(&contexts[i], &home);
}

static void bounce(void *arg)
{
	struct tz_context *self = arg;

	for (;;)
		tz_context_switch(self, &home);
}

static void registers_are_kept(void **state)
{
	char *low[MANY], *other = stack_open();

	(void)state;
	tz_context_of_thread(&home);
	/* What comes out when one context runs alone. */
	for (int i = 0; i < MANY; i++) {
		low[i] = stack_open();
		assert_int_equal(
			tz_context_make(&contexts[i], low[i], SIZE, mixer, (void *)(intptr_t)i), 0);
		for (int k = 0; k <= ROUNDS; k++)
			tz_context_switch(&home, &contexts[i]);
		expected[i] = mixed[i];
		mixed[i] = 0;
		assert_true(expected[i] != 0);
	}
	/* In turns, and with another one between. */
	assert_int_equal(tz_context_make(&ctx, other, SIZE, bounce, &ctx), 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(
			tz_context_make(&contexts[i], low[i], SIZE, mixer, (void *)(intptr_t)i), 0);
	for (int k = 0; k <= ROUNDS; k++) {
		for (int i = 0; i < MANY; i++) {
			tz_context_switch(&home, &contexts[i]);
			tz_context_switch(&home, &ctx);
		}
	}
	for (int i = 0; i < MANY; i++) {
		assert_true(mixed[i] == expected[i]);
		tz_context_done(&contexts[i]);
		stack_close(low[i]);
	}
	tz_context_done(&ctx);
	stack_close(other);
	tz_context_done(&home);
}

static void in_order(void *arg)
{
	last_arg = arg;
	order[norder++] = 2;
	tz_context_switch(&ctx, &home);
	order[norder++] = 4;
	tz_context_switch(&ctx, &home);
	order[norder++] = 6;
	for (;;)
		tz_context_switch(&ctx, &home);
}

static void switches_go_there_and_back(void **state)
{
	char *low = stack_open();

	(void)state;
	norder = 0;
	tz_context_of_thread(&home);
	assert_int_equal(tz_context_make(&ctx, low, SIZE, in_order, &norder), 0);
	for (int i = 1; i < 6; i += 2) {
		order[norder++] = i;
		tz_context_switch(&home, &ctx);
	}
	assert_int_equal(norder, 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(order[i], i + 1);
	assert_ptr_equal(last_arg, &norder);
	if (!BUILT_FOR_SANITIZER)
		assert_null(home.cxx); /* no C++ here: nothing to keep */
	tz_context_done(&ctx);
	stack_close(low);
}

static struct tz_context ring[3];
static int hops;

static void hop(void *arg)
{
	int i = (int)(intptr_t)arg;

	for (;;) {
		hops++;
		if (hops % 100 == 0)
			tz_context_switch(&ring[i], &home);
		else
			tz_context_switch(&ring[i], &ring[(i + 1) % 3]);
	}
}

/* Contexts switch to each other too, not only to and from the thread. */
static void contexts_switch_among_themselves(void **state)
{
	char *low[3];

	(void)state;
	hops = 0;
	tz_context_of_thread(&home);
	for (int i = 0; i < 3; i++) {
		low[i] = stack_open();
		assert_int_equal(tz_context_make(&ring[i], low[i], SIZE, hop, (void *)(intptr_t)i),
				 0);
	}
	for (int i = 1; i <= 10; i++) {
		tz_context_switch(&home, &ring[hops % 3]);
		assert_int_equal(hops, i * 100);
	}
	for (int i = 0; i < 3; i++) {
		tz_context_done(&ring[i]);
		stack_close(low[i]);
	}
}

static bool aligned, on_stack;
static char *stack_low;

static void look(void *arg)
{
	struct {
		_Alignas(64) char bytes[64];
	} here;
	uintptr_t at = (uintptr_t)&here;

	(void)arg;
	memset(&here, 1, sizeof here);
	aligned = at % 64 == 0 && (uintptr_t)__builtin_frame_address(0) % 16 == 0;
	/* What relies on the alignment that a call promises. */
	char text[64];

	snprintf(text, sizeof text, "%.3f %.3Lf", 1.5, 2.5L);
	aligned &= strcmp(text, "1.500 2.500") == 0;
	char *frame = __builtin_frame_address(0);

	on_stack = frame >= stack_low && frame < stack_low + SIZE;
	for (;;)
		tz_context_switch(&ctx, &home);
}

static void a_stack_is_aligned_and_used(void **state)
{
	(void)state;
	stack_low = stack_open();
	tz_context_of_thread(&home);
	for (size_t less = 0; less < 32; less++) {
		aligned = on_stack = false;
		assert_int_equal(tz_context_make(&ctx, stack_low, SIZE - less, look, NULL), 0);
		tz_context_switch(&home, &ctx);
		assert_true(aligned);
		assert_true(on_stack);
	}
	tz_context_done(&ctx);
	stack_close(stack_low);
}

static int begun;

static __attribute__((noinline)) void stop_below(int depth)
{
	volatile char deep[4096];

	deep[0] = deep[sizeof deep - 1] = (char)depth;
	if (depth > 0)
		stop_below(depth - 1);
	else
		tz_context_switch(&ctx, &home);
	deep[1] = deep[0];
}

static void begin_deep(void *arg)
{
	begun++;
	for (;;)
		stop_below((int)(intptr_t)arg);
}

/* As often as one likes, while the one before is in the middle of something; for ASan, with frames of other shapes. */
static void made_anew_on_the_same_stack(void **state)
{
	char *low = stack_open();

	(void)state;
	begun = 0;
	tz_context_of_thread(&home);
	for (int i = 0; i < 20000; i++) {
		assert_int_equal(
			tz_context_make(&ctx, low, SIZE, begin_deep, (void *)(intptr_t)(i % 3)), 0);
		tz_context_switch(&home, &ctx);
		assert_int_equal(begun, i + 1);
	}
	tz_context_done(&ctx);
	stack_close(low);
}

static void a_stack_that_is_too_small(void **state)
{
	char *low = stack_open();

	(void)state;
	assert_int_equal(tz_context_make(&ctx, low, 100, bounce, &ctx), -EINVAL);
	stack_close(low);
}

static void swing(void *arg)
{
	struct tz_context *both = arg;

	for (;;)
		tz_context_switch(&both[1], &both[0]);
}

static void *visit(void *arg)
{
	struct tz_context both[2] = { 0 };
	char *low = stack_open();

	tz_context_of_thread(&both[0]);
	assert_int_equal(tz_context_make(&both[1], low, SIZE, swing, both), 0);
	for (int i = 0; i < 20000; i++)
		tz_context_switch(&both[0], &both[1]);
	tz_context_done(&both[1]);
	tz_context_done(&both[0]);
	stack_close(low);
	return arg;
}

static void each_thread_has_its_own(void **state)
{
	pthread_t threads[4];
	int token;
	void *ret;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, visit, &token), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &ret), 0);
		assert_ptr_equal(ret, &token);
	}
}

/* More than a sanitizer has room for, if any were kept. */
static void contexts_come_and_go(void **state)
{
	char *low = stack_open();

	(void)state;
	tz_context_of_thread(&home);
	for (int i = 0; i < 20000; i++) {
		struct tz_context one = { 0 };

		assert_int_equal(tz_context_make(&one, low, SIZE, bounce, &one), 0);
		tz_context_switch(&home, &one);
		tz_context_done(&one);
	}
	stack_close(low);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switches_go_there_and_back),
		cmocka_unit_test(contexts_switch_among_themselves),
		cmocka_unit_test(registers_are_kept),
		cmocka_unit_test(a_stack_is_aligned_and_used),
		cmocka_unit_test(made_anew_on_the_same_stack),
		cmocka_unit_test(contexts_come_and_go),
		cmocka_unit_test(a_stack_that_is_too_small),
		cmocka_unit_test(each_thread_has_its_own),
	};

	return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
