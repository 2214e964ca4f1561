/* Shared lists: what goes in comes out, whoever else writes, and whoever is killed meanwhile. */
#define _GNU_SOURCE

#include <trenza/shared_list.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void check_repr(tz_value v, const char *want)
{
	char *text = tz_value_repr(&v);

	assert_non_null(text);
	assert_string_equal(text, want);
	free(text);
	tz_value_free(v);
}

static tz_shared_list *make(tz_value values, size_t room)
{
	tz_shared_list *l = NULL;

	assert_int_equal(tz_shared_list_open(&l, values, room), 0);
	return l;
}

static void every_kind(void **state)
{
	tz_shared_list *l = make(tz_list(42, tz_none, "hello", 2.5, tz_true, -7, tz_binary("a\0b\0\0", 5), UINT64_MAX, "", "ma\xc3\xb1" "ana"), 0);

	(void)state;
	assert_int_equal(tz_shared_list_size(l), 10);
	check_repr(tz_shared_list_values(l), "[42, None, 'hello', 2.5, True, -7, b'a\\x00b\\x00\\x00', 18446744073709551615, '', 'ma\xc3\xb1" "ana']");
	check_repr(tz_shared_list_get(l, 2), "'hello'");
	tz_value v = tz_shared_list_get(l, 10);

	assert_int_equal(tz_value_error(&v), -ERANGE);
	tz_shared_free(l);
	l = make(tz_empty_list, 0);
	assert_int_equal(tz_shared_list_size(l), 0);
	check_repr(tz_shared_list_values(l), "[]");
	tz_shared_free(l);
}

static void elements_change(void **state)
{
	tz_shared_list *l = make(tz_list(1, "four", tz_none), 10);

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(tz_shared_list_set(l, 0, tz_string("ten bytes!")), 0);
		assert_int_equal(tz_shared_list_set(l, 1, tz_list(1)), -EINVAL);
		assert_int_equal(tz_shared_list_set(l, 1, tz_double(NAN)), 0);
		assert_int_equal(tz_shared_list_set(l, 2, tz_binary("\0\0", 2)), 0);
		check_repr(tz_shared_list_values(l), "['ten bytes!', nan, b'\\x00\\x00']");
		assert_int_equal(tz_shared_list_set(l, 0, tz_string("it is too long for where the number was")), -EMSGSIZE);
		assert_int_equal(tz_shared_list_set(l, 3, tz_none), -ERANGE);
		assert_int_equal(tz_shared_list_set(l, 1, tz_none), 0);
		assert_int_equal(tz_shared_list_set(l, 2, tz_int(i)), 0);
		assert_int_equal(tz_shared_list_set(l, 0, tz_int(i)), 0);
	}
	check_repr(tz_shared_list_values(l), "[4, None, 4]");
	tz_shared_free(l);
}

static void looking_for_one(void **state)
{
	tz_shared_list *l = make(tz_list(1, "x", 1, tz_true, tz_none), 0);
	tz_value one = tz_int(1), x = tz_string("x"), y = tz_string("y"), none = tz_none;

	(void)state;
	assert_int_equal(tz_shared_list_index(l, &one), 0);
	assert_int_equal(tz_shared_list_count(l, &one), 2);
	assert_int_equal(tz_shared_list_index(l, &x), 1);
	assert_int_equal(tz_shared_list_index(l, &none), 4);
	assert_int_equal(tz_shared_list_index(l, &y), -ENOENT);
	assert_int_equal(tz_shared_list_count(l, &y), 0);
	tz_value_free(x);
	tz_value_free(y);
	tz_shared_free(l);
}

static void what_makes_none(void **state)
{
	tz_shared_list *l = NULL;

	(void)state;
	assert_int_equal(tz_shared_list_open(&l, tz_int(1), 0), -EINVAL);
	assert_int_equal(tz_shared_list_open(&l, tz_list(1, tz_list(2)), 0), -EINVAL);
	assert_int_equal(tz_shared_list_open(&l, tz_list(1, tz_dict("a", 2)), 0), -EINVAL);
	assert_true(tz_shared_list_open(&l, tz_list(1), SIZE_MAX) < 0);
	assert_null(l);
}

/* --- several at once --------------------------------------------------------------------------------------------------------- */

enum { WRITES = 3000 };

static const char *const words[] = { "a", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "cccccccccccccccccccc" };

static void *write_words(void *arg)
{
	for (int i = 0; i < WRITES; i++)
		if (tz_shared_list_set(arg, 0, tz_string(words[i % 3])) != 0)
			return arg;
	return NULL;
}

static bool is_a_word(tz_value v)
{
	const char *text = tz_value_text(&v);
	bool is = false;

	for (int i = 0; i < 3; i++)
		is |= text && strcmp(text, words[i]) == 0;
	tz_value_free(v);
	return is;
}

static void nothing_is_torn(void **state)
{
	tz_shared_list *l = make(tz_list(words[1]), 0);
	pthread_t writer[2];
	void *failed;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&writer[i], NULL, write_words, l), 0);
	for (int i = 0; i < WRITES; i++)
		assert_true(is_a_word(tz_shared_list_get(l, 0)));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(writer[i], &failed), 0);
		assert_null(failed);
	}
	tz_shared_free(l);
}

/* A writer that is killed leaves a whole element, and others write on. */
static void killed_writers(void **state)
{
	tz_shared_list *l = make(tz_list(words[1]), 0);
	int status;

	(void)state;
	for (int round = 0; round < 60; round++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0)
			for (;;)
				if (write_words(l))
					_exit(1);
		(void)usleep((unsigned)(round * 37 % 2000));
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(WTERMSIG(status), SIGKILL);
		assert_true(is_a_word(tz_shared_list_get(l, 0)));
		assert_int_equal(tz_shared_list_set(l, 0, tz_string(words[round % 3])), 0);
		assert_true(is_a_word(tz_shared_list_get(l, 0)));
	}
	tz_shared_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind),
		cmocka_unit_test(elements_change),
		cmocka_unit_test(looking_for_one),
		cmocka_unit_test(what_makes_none),
		cmocka_unit_test(nothing_is_torn),
		cmocka_unit_test(killed_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
