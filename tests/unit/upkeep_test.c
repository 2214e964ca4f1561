/* What a loop does with stacks besides running on them: overflow is reported with the task's name, and
 * memory of idle coroutines goes back. */
#define _GNU_SOURCE
#include <signal.h>
#include <unistd.h>

#include <trenza.h>

#include "abilities.h"
#include "check.h"
#include "dying.h"
#include "loop/loop.h"

enum { SECONDS = 50, MANY = 60 };

static volatile int enough = -1;

static __attribute__((noinline)) int recurse(int depth)
{
	volatile char here[500];

	here[0] = (char)depth;
	if (depth == enough)
		return 0;
	return recurse(depth + 1) + here[0];
}

static int parse(void)
{
	return recurse(0);
}
TZ_TASK(int, parse, void);

static void crawl(void)
{
	parse_future f = tz_spawn(parse);

	(void)tz_result(f, NULL);
}
TZ_TASK(void, crawl, void);

static void overflow_in_a_task(void)
{
	(void)tz_run(crawl);
}

static void the_task_and_its_place_are_named(void **state)
{
	(void)state;
	if (BUILT_FOR_SANITIZER)
		skip(); /* they have such a handler themselves */
	ends_by(status_of_child(overflow_in_a_task), SIGSEGV);
	says("trenza: stack overflow in task 'parse' (spawned at ");
	says("upkeep_test.c:");
	says("), stack 256 KiB: ");
}

static void overflow_with_a_name(void)
{
	tz_executor *ex;
	int r = tz_executor_open(&ex, "coroutines:1");
	tz_submit_options options = { .name = "the crawler's" };

	if (r < 0)
		_exit(80);
	(void)tz_gather(tz_submit_with(ex, &options, parse));
	_exit(81);
}

static void a_name_given_at_submit_counts(void **state)
{
	(void)state;
	if (BUILT_FOR_SANITIZER)
		skip();
	ends_by(status_of_child(overflow_with_a_name), SIGSEGV);
	says("trenza: stack overflow in task 'the crawler's', stack ");
}

static int scratch(void)
{
	enough = 10; /* calls deep, and then back */
	return recurse(0);
}
TZ_TASK(int, scratch, void);

static void scratch_below(void)
{
	struct tz_stack stack;
	void *owner;

	if (!tz_stack_find(__builtin_frame_address(0), &stack, &owner))
		_exit(82);
	stack.low[-100] = 1;
	tz_yield();
	_exit(83);
}
TZ_TASK(void, scratch_below, void);

static void overflow_of_a_gap(void)
{
	tz_guards_at_best = TZ_GUARDS_NONE;
	if (tz_run(scratch) < 0)
		_exit(84);
	(void)tz_run(scratch_below);
}

static void without_a_guard_it_is_seen_at_the_next_wait(void **state)
{
	(void)state;
	if (BUILT_FOR_SANITIZER)
		skip();
	ends_by(status_of_child(overflow_of_a_gap), SIGSEGV);
	says("trenza: stack overflow in task 'scratch_below', stack 256 KiB: ");
}

static void nap(void)
{
	tz_sleep(0.2);
}
TZ_TASK(void, nap, void);

static size_t idle, slabs;

static size_t count_slabs(const struct tz_stacks *stacks)
{
	size_t n = 0;

	for (int c = 0; c < TZ_STACK_CLASSES; c++)
		n += stacks->classes[c].slabs != NULL;
	return n;
}

static void fill_and_wait(void)
{
	static nap_future naps[MANY];
	tz_deadline end = tz_after(SECONDS);

	for (int i = 0; i < MANY; i++)
		naps[i] = tz_spawn(nap);
	for (int i = 0; i < MANY; i++)
		if (tz_result(naps[i], NULL) < 0)
			return;
	idle = tz_loop_self->nidle;
	while (tz_loop_self->nidle > 1 && !tz_expired(end))
		tz_sleep(0.05);
	slabs = count_slabs(&tz_loop_self->stacks);
	idle -= tz_loop_self->nidle;
}
TZ_TASK(void, fill_and_wait, void);

/* Seconds after they were needed, all idle coroutines have ended, and the one that runs goes on. */
static void idle_coroutines_end(void **state)
{
	(void)state;
	assert_int_equal(tz_run(fill_and_wait), 0);
	assert_in_range(idle, MANY - 2, MANY);
	assert_int_equal(slabs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_task_and_its_place_are_named),
		cmocka_unit_test(a_name_given_at_submit_counts),
		cmocka_unit_test(without_a_guard_it_is_seen_at_the_next_wait),
		cmocka_unit_test(idle_coroutines_end),
	};

	return cmocka_run_group_tests_name("upkeep", tests, NULL, NULL);
}
