/* Shared lists, when a process is killed after any instruction of what it does to one, or held up there while another one goes on: an element is what it was or what it became,
 * never half of it, the others are what they were, and nobody waits for the dead.
 *
 * FAULT_ALL in the environment: every instruction of the long ways too; else these are sampled, without chance. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <trenza.h>
#include <trenza/shared_list.h>
#include <trenza/shared_lock.h>

#include "check.h"
#include "crew.h"
#include "steps.h"

/* A way up to so many steps is tried at each of them; of a longer one about so many are sampled, unless all are wanted. */
enum { SHORT = 500, SAMPLES = 300, ROOM = 40 };

/* Longer than a word, and so that a mixture of two shows. */
static const char before[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  after[] = "bbbbbbbbbbbbbbbbbbbbbbb", later[] = "ccccccccccccccccccccccccccccccc";

static tz_shared_list *list;
static atomic_int *over; /* what the stepped process did is done */

static void expect_or_die(bool condition)
{
	if (!condition)
		_exit(1);
}

static void set_anew(void)
{
	assert_int_equal(tz_shared_list_set(list, 0, tz_int(1)), 0);
	assert_int_equal(tz_shared_list_set(list, 1, tz_string(before)), 0);
	assert_int_equal(tz_shared_list_set(list, 2, tz_double(2.5)), 0);
	*over = 0;
}

static bool is_text(size_t i, const char *text)
{
	tz_value v = tz_shared_list_get(list, i);
	bool is = tz_value_kind_of(&v) == TZ_VALUE_STRING && strcmp(tz_value_text(&v), text) == 0;

	tz_value_free(v);
	return is;
}

static void check_others(void)
{
	tz_value all = tz_shared_list_values(list);
	int64_t one = 0;
	double half = 0;

	assert_int_equal(tz_value_error(&all), 0);
	assert_int_equal(tz_value_size(&all), 3);
	assert_int_equal(tz_value_to_int(tz_value_at(&all, 0), &one), 0);
	assert_int_equal(one, 1);
	assert_int_equal(tz_value_to_double(tz_value_at(&all, 2), &half), 0);
	assert_true(half == 2.5);
	tz_value_free(all);
}

/* It is one of the two; who comes next writes and reads, whatever the dead had. */
static void check_after_death(void)
{
	bool old = is_text(1, before), new = is_text(1, after);

	assert_true(old || new);
	assert_true(new || !*over);
	check_others();
	TZ_TIMEOUT(CREW_PATIENCE)
		assert_int_equal(tz_shared_list_set(list, 1, tz_string(later)), 0);
	assert_true(is_text(1, later));
	TZ_TIMEOUT(CREW_PATIENCE)
		assert_int_equal(tz_shared_list_set(list, 1, tz_string(after)), 0);
	assert_true(is_text(1, after));
	check_others();
}

/* --- ways -------------------------------------------------------------------------------------------------------------------- */

static void set_once(void)
{
	expect_or_die(tz_shared_list_set(list, 1, tz_string(after)) == 0);
	*over = 1;
}

/* Both places are written, the second one beside what readers may be reading. */
static void set_twice(void)
{
	expect_or_die(tz_shared_list_set(list, 1, tz_string(after)) == 0);
	*over = 1;
	expect_or_die(tz_shared_list_set(list, 1, tz_string(after)) == 0);
}

static void read_all(void)
{
	tz_value text = tz_string(before), all;

	expect_or_die(is_text(1, before));
	expect_or_die(tz_shared_list_index(list, &text) == 1);
	expect_or_die(tz_shared_list_count(list, &text) == 1);
	all = tz_shared_list_values(list);
	expect_or_die(tz_value_size(&all) == 3);
	tz_value_free(all);
	tz_value_free(text);
}

static void check_unchanged(void)
{
	assert_true(is_text(1, before));
	check_others();
	assert_int_equal(tz_shared_list_set(list, 1, tz_string(after)), 0);
	assert_true(is_text(1, after));
}

/* Whatever is done for the first time in a process. */
static void warm_up(void)
{
	tz_value v = tz_shared_list_get(list, 0);

	expect_or_die(tz_shared_list_set(list, 0, v) == 0);
}

/* As far as it goes without the lock. */
static void warm_up_reading(void)
{
	tz_shared_list *other;

	tz_value_free(tz_shared_list_get(list, 0));
	expect_or_die(tz_shared_list_open(&other, tz_list(1), 0) == 0);
	expect_or_die(tz_shared_list_set(other, 0, tz_string("x")) == 0);
}

static int stride(const struct steps *s)
{
	int step = getenv("FAULT_ALL") || s->n <= SHORT ? 1 : s->n / SAMPLES;

	if (step > 1)
		printf("# each %dth\n", step);
	return step;
}

static void kill_everywhere(void (*run)(void), void (*check)(void))
{
	struct steps s = { .prepare = warm_up, .run = run };
	int step;

	set_anew();
	steps_begin(&s);
	steps_record(&s);
	assert_false(s.sleeps);
	check();
	step = stride(&s);
	for (int k = 0; k <= s.n; k += step) {
		set_anew();
		steps_begin(&s);
		if (steps_go(&s, k))
			steps_kill(&s);
		check();
	}
	steps_forget(&s);
}

static void killed_while_it_writes(void **state)
{
	(void)state;
	kill_everywhere(set_once, check_after_death);
	kill_everywhere(set_twice, check_after_death);
}

static void killed_while_it_reads(void **state)
{
	(void)state;
	kill_everywhere(read_all, check_unchanged);
}

/* Kills a process in the middle of a write. False: it took another way. */
static bool die_at(struct steps *s, int k)
{
	set_anew();
	steps_begin(s);
	if (!steps_go(s, k))
		return false;
	steps_kill(s);
	return true;
}

/* It begins with its lock. */
static bool is_locked(void)
{
	return tz_shared_lock_is_held((const tz_shared_lock *)(const void *)list);
}

/* A step after which it has the lock and has not written all. */
static int middle_of(struct steps *s)
{
	int first = -1, last = -1;

	for (int k = 0; k <= s->n; k += s->n / 100 + 1)
		if (die_at(s, k) && is_locked() && is_text(1, before)) {
			first = first < 0 ? k : first;
			last = k;
		}
	assert_true(first >= 0);
	return first + (last - first) / 2;
}

/* The list's lock is with a process that was killed in the middle of a write; the next one is killed, too, wherever it is. */
static void killed_after_the_dead(void **state)
{
	struct steps first = { .prepare = warm_up, .run = set_once },
		     second = { .prepare = warm_up_reading, .run = set_once };
	int middle, step;

	(void)state;
	set_anew();
	steps_begin(&first);
	steps_record(&first);
	middle = middle_of(&first);
	assert_true(die_at(&first, middle) && is_locked());
	steps_begin(&second);
	steps_record(&second);
	step = stride(&second);
	for (int k = 0; k <= second.n; k += step) {
		if (!die_at(&first, middle))
			continue;
		assert_true(is_locked());
		steps_begin(&second);
		if (steps_go(&second, k))
			steps_kill(&second);
		check_after_death();
	}
	steps_forget(&first);
	steps_forget(&second);
}

/* One is held up while it reads, anywhere; meanwhile the element becomes another one, twice, so that both places were written. It reads one of the three, whole. */
static void read_once(void)
{
	expect_or_die(is_text(1, before) || is_text(1, after) || is_text(1, later));
	*over = 1;
}

static void held_up_while_it_reads(void **state)
{
	struct steps s = { .prepare = warm_up, .run = read_once };
	int step;

	(void)state;
	set_anew();
	steps_begin(&s);
	steps_record(&s);
	step = stride(&s);
	for (int k = 0; k <= s.n; k += step) {
		set_anew();
		steps_begin(&s);
		if (!steps_go(&s, k))
			continue;
		assert_int_equal(tz_shared_list_set(list, 1, tz_string(after)), 0);
		assert_int_equal(tz_shared_list_set(list, 1, tz_string(later)), 0);
		steps_finish(&s);
		assert_int_equal(*over, 1);
	}
	steps_forget(&s);
}

static int set_up(void **state)
{
	(void)state;
	over = mmap(NULL, sizeof *over, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(over != MAP_FAILED);
	return tz_shared_list_open(&list, tz_list(1, before, 2.5), ROOM);
}

static int tear_down(void **state)
{
	(void)state;
	tz_shared_free(list);
	return munmap(over, sizeof *over);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_while_it_writes),
		cmocka_unit_test(killed_while_it_reads),
		cmocka_unit_test(killed_after_the_dead),
		cmocka_unit_test(held_up_while_it_reads),
	};

	if (!steps_are_possible()) {
		puts("1..0 # SKIP processes cannot be traced here");
		return 0;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
