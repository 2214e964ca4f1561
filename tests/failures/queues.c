/* What goes through queues between processes. See failures.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <trenza.h>

#include "../unit/shared.h"
#include "failures.h"

static tz_shared_queue *q;

static int open_queue(void **state)
{
	(void)state;
	return tz_shared_queue_open(&q, NULL);
}

static int close_queue(void **state)
{
	(void)state;
	tz_shared_queue_close(q);
	return 0;
}

/* --- 31: a process has put much, and is joined before anybody reads ------------------------------------------------------ */

enum { MEGABYTE = 1 << 20, PIECE = 1040 };

static void put_a_megabyte(void *unused)
{
	char *data = malloc(MEGABYTE);

	(void)unused;
	must(data);
	memset(data, 7, MEGABYTE);
	must(tz_shared_queue_put_bytes_until(q, data, MEGABYTE, soon()) == 0);
	free(data);
}

static void put_many_pieces(void *unused)
{
	char piece[PIECE];

	(void)unused;
	memset(piece, 8, sizeof piece);
	for (int i = 0; i < MEGABYTE / PIECE; i++)
		must(tz_shared_queue_put_bytes_until(q, piece, sizeof piece, soon()) == 0);
}

static size_t take_all(void)
{
	size_t bytes = 0, size;
	void *data;

	while (tz_shared_queue_get_new_until(q, &data, &size, tz_after(0)) == 0) {
		bytes += size;
		free(data);
	}
	return bytes;
}

static void row_31_large(void **state)
{
	(void)state;
	child_join(child_start(put_a_megabyte, NULL));
	assert_int_equal(take_all(), MEGABYTE);
}

static void row_31_many(void **state)
{
	(void)state;
	child_join(child_start(put_many_pieces, NULL));
	assert_int_equal(tz_shared_queue_size(q), MEGABYTE / PIECE);
	assert_int_equal(take_all(), MEGABYTE / PIECE * PIECE);
}

/* --- 32: a process is killed in the middle of a message ------------------------------------------------------------------ */

/* Bytes of which the second half cannot be read: who copies them dies half-way. */
static char *deadly(size_t half)
{
	char *data = mmap(NULL, 2 * half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(data != MAP_FAILED);
	memset(data, 9, half);
	must(mprotect(data + half, half, PROT_NONE) == 0);
	return data;
}

static size_t size_of_message;

static void put_half(void *unused)
{
	size_t page = 4096, half = (size_of_message / 2 + page - 1) / page * page;

	(void)unused;
	(void)tz_shared_queue_put_bytes_until(q, deadly(half) + half - size_of_message / 2, size_of_message, soon());
}

static void die_half_way(size_t size)
{
	int status;

	size_of_message = size;
	status = child_status(child_start(put_half, NULL));
	assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0)); /* a sanitizer exits */
}

static void a_message_goes_through(void)
{
	char data[100] = "";
	ptrdiff_t n;

	assert_int_equal(tz_shared_queue_put_bytes_until(q, "whole", 6, soon()), 0);
	n = tz_shared_queue_get_bytes_until(q, data, sizeof data, soon());
	assert_int_equal(n, 6);
	assert_string_equal(data, "whole");
}

static void half_a_message(size_t size)
{
	char data[100];

	for (int i = 0; i < 3; i++) {
		die_half_way(size);
		assert_true(tz_shared_queue_empty(q));
		assert_int_equal(tz_shared_queue_get_bytes_until(q, data, sizeof data, tz_after(0.05)), -ETIMEDOUT);
		a_message_goes_through();
	}
}

static void row_32_small(void **state)
{
	(void)state;
	half_a_message(200);
}

static void row_32_large(void **state)
{
	(void)state;
	half_a_message(100000);
}

/* --- 35: what cannot be sent --------------------------------------------------------------------------------------------- */

static void row_35_too_large(void **state)
{
	static char data[4096];

	(void)state;
	tz_shared_queue_close(q);
	assert_int_equal(tz_shared_queue_open(&q, TZ_OPTIONS(tz_shared_queue_options, .large = sizeof data)), 0);
	assert_int_equal(tz_shared_queue_put_bytes_until(q, data, sizeof data, soon()), -EMSGSIZE);
	assert_int_equal(tz_shared_queue_put_n_until(q, data, sizeof data, 1, soon()), -EMSGSIZE);
	assert_true(tz_shared_queue_empty(q));
	assert_int_equal(tz_shared_queue_unfinished(q), 0);
	a_message_goes_through();
}

static void row_35_no_memory(void **state)
{
	static char data[MEGABYTE];
	struct rlimit before, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ 4096, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(tz_shared_queue_put_bytes_until(q, data, sizeof data, soon()), -ENOSPC);
	assert_true(tz_shared_queue_empty(q));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(tz_shared_queue_put_bytes_until(q, data, sizeof data, soon()), 0);
	assert_int_equal(take_all(), sizeof data);
}

/* --- 36: the queue is asked whether it is empty just after a put ---------------------------------------------------------- */

static void row_36(void **state)
{
	char data[8];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(tz_shared_queue_put_bytes(q, "x", 1), 0);
		assert_false(tz_shared_queue_empty(q));
		assert_int_equal(tz_shared_queue_size(q), 1);
		assert_int_equal(tz_shared_queue_get_bytes(q, data, sizeof data), 1);
		assert_true(tz_shared_queue_empty(q));
	}
}

static void put_ten(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++)
		must(tz_shared_queue_put_bytes(q, "x", 1) == 0);
}

static void row_36_of_a_child(void **state)
{
	char data[8];

	(void)state;
	child_join(child_start(put_ten, NULL));
	for (size_t left = 10; left > 0; left--) {
		assert_int_equal(tz_shared_queue_size(q), left);
		assert_int_equal(tz_shared_queue_try_get_bytes(q, data, sizeof data), 1);
	}
	assert_true(tz_shared_queue_empty(q));
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_queue, close_queue)
	const struct CMUnitTest tests[] = {
		TEST(row_31_large), TEST(row_31_many),	    TEST(row_32_small), TEST(row_32_large), TEST(row_35_too_large),
		TEST(row_35_no_memory), TEST(row_36), TEST(row_36_of_a_child),
	};

	choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
