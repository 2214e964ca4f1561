/* Strand-local values: one for each strand, made on first use, destroyed at the strand's end. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <trenza/local.h>

#include "check.h"
#include "crew.h"

static _Atomic int made, destroyed;

static void *make(void *arg)
{
	int *value = malloc(sizeof *value);

	must(value);
	*value = *(int *)arg;
	atomic_fetch_add(&made, 1);
	return value;
}

static void destroy(void *value)
{
	atomic_fetch_add(&destroyed, 1);
	free(value);
}

static int first_value = 5;

static void all_zero_holds_what_is_set(void **state)
{
	static tz_local key;
	int a, b;

	(void)state;
	assert_null(tz_local_get(&key));
	assert_int_equal(tz_local_set(&key, &a), 0);
	assert_ptr_equal(tz_local_get(&key), &a);
	assert_int_equal(tz_local_set(&key, &b), 0);
	assert_ptr_equal(tz_local_get(&key), &b);
	assert_int_equal(tz_local_set(&key, NULL), 0);
	assert_null(tz_local_get(&key));
	tz_local_done(&key);
}

static tz_local counter = TZ_LOCAL_INIT(make, destroy, &first_value);

static void *count_alone(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		++*(int *)tz_local_get(&counter);
	must(*(int *)tz_local_get(&counter) == 105);
	return NULL;
}

static void each_strand_has_its_own(void **state)
{
	struct crew crew = { 0 };

	(void)state;
	atomic_store(&made, 0);
	atomic_store(&destroyed, 0);
	for (int i = 0; i < 8; i++)
		crew_add(&crew, count_alone, NULL);
	crew_join(&crew);
	assert_int_equal(atomic_load(&made), 8);
	assert_int_equal(atomic_load(&destroyed), 8); /* with the strands */
}

static void *touch_nothing(void *arg)
{
	(void)arg;
	return NULL;
}

static void no_use_no_value(void **state)
{
	struct crew crew = { 0 };

	(void)state;
	atomic_store(&made, 0);
	crew_add(&crew, touch_nothing, NULL);
	crew_join(&crew);
	assert_int_equal(atomic_load(&made), 0);
}

/* A strand's memory is used again for another strand, its values are not. */
static void the_next_strand_starts_empty(void **state)
{
	struct crew crew = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		crew_add(&crew, count_alone, NULL);
		crew_join(&crew);
	}
}

static void an_ended_key_leaves_nothing_to_the_next(void **state)
{
	int value = 1;
	tz_local a = { 0 }, b;

	(void)state;
	assert_int_equal(tz_local_set(&a, &value), 0);
	tz_local_done(&a);
	tz_local_init(&b, NULL, destroy, NULL);
	assert_null(tz_local_get(&b)); /* has the place of a */
	tz_local_done(&b);
	tz_local_done(&b);
	assert_null(tz_local_get(&a)); /* all-zero: a new key */
	tz_local_done(&a);
}

static void many_keys(void **state)
{
	enum { KEYS = 300 };
	static tz_local keys[KEYS];
	static int values[KEYS];

	(void)state;
	for (int i = 0; i < KEYS; i++)
		assert_int_equal(tz_local_set(&keys[i], &values[i]), 0);
	for (int i = 0; i < KEYS; i++)
		assert_ptr_equal(tz_local_get(&keys[i]), &values[i]);
	for (int i = 0; i < KEYS; i++)
		tz_local_done(&keys[i]);
}

/* A destructor that uses the key again, each time, is called a few times and not for ever. */

static tz_local stubborn;
static _Atomic int rounds;

static void set_again(void *value)
{
	atomic_fetch_add(&rounds, 1);
	must(tz_local_set(&stubborn, value) == 0);
}

static void *use_stubborn(void *arg)
{
	must(tz_local_set(&stubborn, arg) == 0);
	return NULL;
}

static void destructors_may_set_values(void **state)
{
	struct crew crew = { 0 };
	int value;

	(void)state;
	tz_local_init(&stubborn, NULL, set_again, NULL);
	crew_add(&crew, use_stubborn, &value);
	crew_join(&crew);
	assert_int_equal(atomic_load(&rounds), 4);
	tz_local_done(&stubborn);
}

/* All threads come to the key first. */

static tz_local raced;

static void *race(void *arg)
{
	(void)arg;
	int mine;

	must(tz_local_get(&raced) == NULL);
	must(tz_local_set(&raced, &mine) == 0);
	must(tz_local_get(&raced) == &mine);
	return NULL;
}

static void first_use_by_all_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		struct crew crew = { 0 };

		for (int k = 0; k < 4; k++)
			crew_add(&crew, race, NULL);
		crew_join(&crew);
		tz_local_done(&raced);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_zero_holds_what_is_set),
		cmocka_unit_test(each_strand_has_its_own),
		cmocka_unit_test(no_use_no_value),
		cmocka_unit_test(the_next_strand_starts_empty),
		cmocka_unit_test(an_ended_key_leaves_nothing_to_the_next),
		cmocka_unit_test(many_keys),
		cmocka_unit_test(destructors_may_set_values),
		cmocka_unit_test(first_use_by_all_at_once),
	};

	return cmocka_run_group_tests_name("strand-local values", tests, NULL, NULL);
}
