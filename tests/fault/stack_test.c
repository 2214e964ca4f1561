/* Stacks and what reports their overflow, when memory or mappings run out at any point. */
#include "fault.h"

#include <string.h>

#include "abilities.h"
#include "check.h"
#include "loop/overflow.h"
#include "loop/stack.h"

enum { STACKS = 130 }; /* of 64 KiB: three batches */

static const enum tz_guards best_guards[] = { TZ_GUARDS_MADVISE, TZ_GUARDS_MPROTECT,
					      TZ_GUARDS_NONE };

static int take_some(struct tz_stacks *stacks, size_t size, int n)
{
	static struct tz_stack all[STACKS];
	int taken = 0, r = 0;

	while (taken < n) {
		struct tz_stack s = { NULL, 1 };

		r = tz_stack_take(stacks, size, &s);
		if (r < 0) {
			expect(s.low == NULL && s.size == 1);
			break;
		}
		tz_stack_own(&s, &all[taken]);
		memset(s.low, 1, 64);
		memset(s.low + s.size - 64, 1, 64);
		expect(tz_stack_owner_of(s.low) == &all[taken]);
		expect(tz_stack_is_intact(stacks, &s));
		all[taken++] = s;
	}
	while (taken > 0)
		tz_stack_give(stacks, all[--taken]);
	return r;
}

static int take_and_give(const void *best)
{
	struct tz_stacks stacks = { 0 };
	int r;

	tz_guards_at_best = *(const enum tz_guards *)best;
	r = take_some(&stacks, 64 * 1024, STACKS);
	if (r == 0)
		r = take_some(&stacks, 256 * 1024, 3);
	if (r == 0)
		r = take_some(&stacks, (size_t)40 << 20, 2);
	while (tz_stacks_trim(&stacks))
		;
	if (r == 0)
		r = take_some(&stacks, 64 * 1024, 2);
	tz_stacks_done(&stacks);
	return r;
}

static void stacks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof best_guards / sizeof *best_guards; i++)
		fault_sweep(take_and_give, &best_guards[i]);
}

static int begin_and_end(const void *arg)
{
	struct tz_overflow overflow = { 0 };
	int r = tz_overflow_begin(&overflow);

	(void)arg;
	expect(r == 0 || overflow.memory == NULL);
	tz_overflow_end(&overflow);
	return r;
}

static void alternate_stacks(void **state)
{
	(void)state;
	if (BUILT_FOR_SANITIZER)
		skip(); /* the address sanitizer gives each thread an alternate stack of its own */
	fault_sweep(begin_and_end, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stacks),
		cmocka_unit_test(alternate_stacks),
	};

	return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
