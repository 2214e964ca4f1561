/* Rows 38 to 42: numbers and lists that several processes have, memory with a name, and memory that is not there. */
#include "failures.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

static const char *own_name(const char *what)
{
	static char name[64];

	(void)snprintf(name, sizeof name, "row-%ld-%s", (long)getpid(), what);
	return name;
}

static bool has_file(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof path, "/dev/shm/trenza-%lu-%s", (unsigned long)geteuid(), name);
	return access(path, F_OK) == 0;
}

static int how_it_ends(tz_process *p)
{
	int code = -1000;

	assert_int_equal(tz_process_join_until(p, tz_after(60)), 0);
	assert_int_equal(tz_process_exitcode(p, &code), 0);
	assert_int_equal(tz_process_close(p), 0);
	return code;
}

/* --- 38 -------------------------------------------------------------------------------------------------------------------- */

enum { ADDERS = 4, ADDS = 1000000 };

struct counter {
	int present;
	long value;
	double real;
	_Atomic long standard;
};

static void count_up(struct counter *c)
{
	(void)tz_shared_add(&c->present, 1);
	while (tz_shared_load(&c->present) < ADDERS)
		(void)sched_yield();
	for (int i = 0; i < ADDS; i++) {
		(void)tz_shared_add(&c->value, 1);
		(void)tz_shared_add(&c->real, 0.5);
		c->standard += 2;
	}
}
TZ_TASK(void, count_up, struct counter *);

static void row_38_no_addition_is_lost(void **state)
{
	struct counter *c = TZ_SHARED_NEW(struct counter);
	tz_process *p[ADDERS];

	(void)state;
	if (!PROCESSES)
		skip();
	assert_non_null(c);
	for (int i = 0; i < ADDERS; i++)
		assert_int_equal(tz_process_open(&p[i], count_up, c), 0);
	for (int i = 0; i < ADDERS; i++)
		assert_int_equal(how_it_ends(p[i]), 0);
	assert_int_equal(c->value, ADDERS * ADDS);
	assert_true(c->real == 0.5 * ADDERS * ADDS);
	assert_int_equal(c->standard, 2 * ADDERS * ADDS);
	tz_shared_free(c);
}

/* --- 39, 42 ------------------------------------------------------------------------------------------------------------------- */

static void attach(char *name, bool by_kill)
{
	int *p = NULL;

	if (tz_shared_memory_open((void **)&p, name, NULL) < 0 || *p != 6)
		exit(1);
	*p = 7;
	if (by_kill)
		(void)kill(getpid(), SIGKILL);
	exit(0); /* without giving it back */
}
TZ_TASK(void, attach, char *, bool);

static void row_39_who_attaches_does_not_take_the_name_away(void **state)
{
	char name[64];
	int *mine = NULL, *other = NULL;
	tz_process *p;

	(void)state;
	if (!PROCESSES)
		skip();
	(void)snprintf(name, sizeof name, "%s", own_name("39"));
	assert_int_equal(tz_shared_memory_create((void **)&mine, name, 4, NULL), 0);
	for (int by_kill = 0; by_kill < 2; by_kill++) {
		*mine = 6;
		assert_int_equal(tz_process_open(&p, attach, name, by_kill), 0);
		assert_int_equal(how_it_ends(p), by_kill ? -SIGKILL : 0);
		assert_int_equal(*mine, 7);
		assert_true(has_file(name));
		assert_int_equal(tz_shared_memory_open((void **)&other, name, NULL), 0);
		assert_int_equal(*other, 7);
		tz_shared_free(other);
	}
	tz_shared_free(mine);
	assert_false(has_file(name));
}

static void leave_behind(char *name, int *made)
{
	void *p = NULL;

	*made = tz_shared_memory_create(&p, name, 1 << 20, NULL) == 0 && tz_shared_alloc(1 << 20);
	(void)kill(getpid(), SIGKILL);
}
TZ_TASK(void, leave_behind, char *, int *);

static void row_42_what_a_killed_program_left_is_taken_away(void **state)
{
	int *made = TZ_SHARED_NEW(int), *next = NULL;
	char name[64];
	tz_process *p;

	(void)state;
	if (!PROCESSES)
		skip();
	assert_non_null(made);
	(void)snprintf(name, sizeof name, "%s", own_name("42"));
	assert_int_equal(tz_process_open(&p, leave_behind, name, made), 0);
	assert_int_equal(how_it_ends(p), -SIGKILL);
	assert_int_equal(*made, 1);
	/* Any name that is created takes those along that nobody has. */
	assert_int_equal(tz_shared_memory_create((void **)&next, own_name("next"), 4, NULL), 0);
	assert_false(has_file(name));
	tz_shared_free(next);
	/* And the next run gets the same name. */
	assert_int_equal(tz_process_open(&p, leave_behind, name, made), 0);
	assert_int_equal(how_it_ends(p), -SIGKILL);
	assert_int_equal(tz_shared_memory_create((void **)&next, name, 4, NULL), 0);
	assert_int_equal(*next, 0);
	tz_shared_free(next);
	assert_false(has_file(name));
	tz_shared_free(made);
}

/* --- 40 ----------------------------------------------------------------------------------------------------------------------- */

enum { NO_MOUNT = 77 };

/* In a place where /dev/shm has 64 KiB. */
static int in_little_memory(void)
{
	tz_shared_options o = { .reserve = 1 << 20 }, python = { .python = true };
	char *p = NULL;

	if ((unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("trenza-test", "/dev/shm", "tmpfs", 0, "size=64k") < 0)
		return NO_MOUNT;
	if (tz_shared_memory_create((void **)&p, "large", 1 << 20, NULL) == 0) {
		memset(p, 1, 1 << 20);
		return 1;
	}
	if (tz_shared_memory_create((void **)&p, "large", 1 << 20, NULL) != -ENOSPC || has_file("large"))
		return 2;
	if (tz_shared_memory_create((void **)&p, "large", 1 << 20, &python) != -ENOSPC || access("/dev/shm/large", F_OK) == 0)
		return 3;
	if (tz_shared_memory_create((void **)&p, "small", 10000, &o) < 0)
		return 4;
	memset(p, 1, 10000);
	if (tz_shared_resize(p, 500000) != -ENOSPC || tz_shared_size(p) < 10000 || tz_shared_resize(p, 20000) != 0)
		return 5;
	memset(p, 1, 20000);
	tz_shared_free(p);
	return 0;
}

static void row_40_memory_that_is_not_there_is_no_signal_later(void **state)
{
	int status = -1;
	pid_t child;

	(void)state;
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(in_little_memory());
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNT)
		skip(); /* we may not mount anything */
	assert_int_equal(status, 0);
}

/* --- 41 ----------------------------------------------------------------------------------------------------------------------- */

static void append_zero(tz_shared_list *l)
{
	(void)tz_shared_list_set(l, 0, tz_binary("ab\0\0\0", 5));
	(void)tz_shared_list_set(l, 1, tz_string("\xc3\xb1\xe2\x82\xac\xf0\x9f\x90\x8d"));
}
TZ_TASK(void, append_zero, tz_shared_list *);

static void row_41_lists_give_back_what_was_put_in(void **state)
{
	tz_shared_list *l = NULL;
	tz_process *p;

	(void)state;
	if (!PROCESSES)
		skip();
	assert_int_equal(tz_shared_list_open(&l, tz_list(tz_binary("\0\0", 2), "", tz_binary("x\0", 2)), 16), 0);
	for (int i = 0; i < 2; i++) {
		tz_value v = tz_shared_list_values(l);
		char *text = tz_value_repr(&v);

		assert_non_null(text);
		assert_string_equal(text, i ? "[b'ab\\x00\\x00\\x00', '\xc3\xb1\xe2\x82\xac\xf0\x9f\x90\x8d', b'x\\x00']" :
					      "[b'\\x00\\x00', '', b'x\\x00']");
		free(text);
		tz_value_free(v);
		if (i == 0) {
			assert_int_equal(tz_process_open(&p, append_zero, l), 0);
			assert_int_equal(how_it_ends(p), 0);
		}
	}
	tz_shared_free(l);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_38_no_addition_is_lost),
		cmocka_unit_test(row_39_who_attaches_does_not_take_the_name_away),
		cmocka_unit_test(row_40_memory_that_is_not_there_is_no_signal_later),
		cmocka_unit_test(row_41_lists_give_back_what_was_put_in),
		cmocka_unit_test(row_42_what_a_killed_program_left_is_taken_away),
	};

	choose(argc, argv);
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
