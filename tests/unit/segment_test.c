/* Segments and buffers: what is kept, found, handed over, and what is said when there is no more. */
#define _GNU_SOURCE

#include "arena/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza/buffer.h>

#include "../abilities.h"
#include "check.h"
#include "descriptors.h"

enum { SIZE = 100000 };

static struct tz_segment *take(enum tz_segment_kind kind, size_t size)
{
	struct tz_segment *s;

	assert_int_equal(tz_segment_take(kind, size, &s), 0);
	assert_true(s->size >= size);
	return s;
}

static int no_cache(void **state)
{
	(void)state;
	tz_segment_trim();
	return 0;
}

static void memory_is_used_again(void **state)
{
	struct tz_segment *s = take(TZ_SEGMENT_BUFFER, SIZE), *other;
	uint32_t id = s->id;

	(void)state;
	for (size_t i = 0; i < s->size; i++)
		assert_int_equal(s->base[i], 0);
	memset(s->base, 1, s->size);
	tz_segment_unref(s);
	other = take(TZ_SEGMENT_BYTES, SIZE); /* nothing becomes what it was not */
	assert_int_not_equal(other->id, id);
	tz_segment_unref(other);
	other = take(TZ_SEGMENT_BUFFER, 4 * SIZE); /* too small */
	assert_int_not_equal(other->id, id);
	tz_segment_unref(other);
	other = take(TZ_SEGMENT_BUFFER, 1000); /* too large */
	assert_int_not_equal(other->id, id);
	tz_segment_unref(other);
	s = take(TZ_SEGMENT_BUFFER, SIZE - 1000);
	assert_int_equal(s->id, id);
	tz_segment_unref(s);
	tz_segment_trim();
	s = take(TZ_SEGMENT_BUFFER, SIZE);
	assert_int_not_equal(s->id, id);
	tz_segment_unref(s);
}

/* What is kept of a thousand segments is bounded. */
static void the_cache_is_bounded(void **state)
{
	struct tz_segment *s[100];
	int before = open_descriptors();

	(void)state;
	for (int i = 0; i < 100; i++)
		s[i] = take(TZ_SEGMENT_BYTES, SIZE);
	assert_int_equal(open_descriptors(), before + 100);
	for (int i = 0; i < 100; i++)
		tz_segment_unref(s[i]);
	assert_int_equal(open_descriptors(), before + TZ_SEGMENT_CACHE_COUNT);
	tz_segment_trim();
	assert_int_equal(open_descriptors(), before);
}

static void found_by_address(void **state)
{
	struct tz_segment *s[20], *found;
	int local;

	(void)state;
	for (int i = 0; i < 20; i++)
		s[i] = take(TZ_SEGMENT_BUFFER, SIZE + (size_t)i * 50000);
	for (int i = 0; i < 20; i++) {
		assert_ptr_equal(tz_segment_find(s[i]->base, s[i]->size), s[i]);
		assert_ptr_equal(tz_segment_find(s[i]->base + 77, s[i]->size - 77), s[i]);
		assert_ptr_equal(tz_segment_find(s[i]->base + s[i]->size - 1, 1), s[i]);
		assert_int_equal(s[i]->references, 4);
		found = tz_segment_find(s[i]->base + 77, s[i]->size - 76);
		assert_null(found);
	}
	assert_null(tz_segment_find(&local, sizeof local));
	for (int i = 0; i < 20; i += 2) {
		unsigned char *base = s[i]->base;

		for (int k = 0; k < 4; k++)
			tz_segment_unref(s[i]);
		assert_null(tz_segment_find(base, 1)); /* it is in the cache, or gone */
	}
	for (int i = 1; i < 20; i += 2) {
		tz_segment_disown(s[i]);
		assert_null(tz_segment_find(s[i]->base, 1));
		tz_segment_own(s[i]);
		tz_segment_own(s[i]);
		assert_ptr_equal(tz_segment_find(s[i]->base, 1), s[i]);
		for (int k = 0; k < 5; k++)
			tz_segment_unref(s[i]);
	}
}

static void adopted(void **state)
{
	struct tz_segment *s = take(TZ_SEGMENT_BUFFER, SIZE), *here, *readable;

	(void)state;
	if (EMULATED) {
		tz_segment_unref(s);
		skip(); /* the emulator keeps pages that are given back */
	}
	memset(s->base, 5, s->size);
	assert_int_equal(tz_segment_adopt(s->kind, fcntl(s->fd, F_DUPFD_CLOEXEC, 0), s->size, true, &here), 0);
	assert_int_equal(tz_segment_adopt(s->kind, fcntl(s->fd, F_DUPFD_CLOEXEC, 0), s->size, false, &readable), 0);
	assert_int_equal(here->base[SIZE - 1], 5);
	here->base[0] = 6;
	assert_int_equal(s->base[0], 6);
	assert_int_equal(readable->base[0], 6);
	assert_null(tz_segment_find(here->base, 1)); /* it is another's */
	tz_segment_unref(here);
	assert_int_equal(s->base[0], 6); /* who does not own it leaves it as it is */
	tz_segment_trim();
	tz_segment_unref(s);
	tz_segment_trim(); /* its pages are given back, whoever maps them */
	assert_int_equal(readable->base[1], 0);
	tz_segment_unref(readable);
}

/* What is sent may be anything. */
static void strange_descriptors(void **state)
{
	struct tz_segment *none = NULL;
	int pipes[2], fd;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_BYTES, pipes[0], 4096, true, &none), -EPROTO);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_BYTES, pipes[1], 4096, true, &none), -EPROTO);
	fd = memfd_create("can shrink", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_BYTES, fd, 4096, true, &none), -EPROTO);
	fd = tz_segment_file("small", 4096);
	assert_true(fd >= 0);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_BYTES, fcntl(fd, F_DUPFD_CLOEXEC, 0), 4097, true, &none), -EPROTO);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_BYTES, fcntl(fd, F_DUPFD_CLOEXEC, 0), 0, true, &none), -EPROTO);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_BYTES, fcntl(fd, F_DUPFD_CLOEXEC, 0), SIZE_MAX, true, &none), -EPROTO);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_BYTES, fd, 4096, true, &none), 0);
	tz_segment_unref(none);
}

/* What a file of a segment allows: it has all its pages, and nobody can take them away. */
static void files(void **state)
{
	int fd = tz_segment_file("file", 1 << 20);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks * 512 >= 1 << 20);
	assert_true(ftruncate(fd, 4096) < 0);
	assert_true(ftruncate(fd, 2 << 20) < 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(close(fd), 0);
}

/* --- limits --------------------------------------------------------------------------------------------------------------- */

/* Runs a case with a lower limit, in a process of its own. */
static void with_limit(int resource, rlim_t limit, void (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit l = { limit, limit };

		if (setrlimit(resource, &l) < 0)
			_exit(99);
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define expect(condition) \
	do { \
		if (!(condition)) \
			_exit(1 + __LINE__ % 90); \
	} while (0)

/* It raises no signal to ask for too much. */
static void files_are_small(void)
{
	struct tz_segment *s = NULL;

	expect(tz_segment_take(TZ_SEGMENT_BYTES, 1 << 20, &s) == -ENOSPC && !s);
	expect(tz_segment_take(TZ_SEGMENT_BYTES, 4096, &s) == 0);
	expect(!tz_buffer_alloc(1 << 20));
}

static void descriptors_are_few(void)
{
	struct tz_segment *s[64];
	unsigned char *buffer;
	int n = 0, r;

	while ((r = tz_segment_take(TZ_SEGMENT_BYTES, 70000, &s[n])) == 0 && n < 60)
		n++;
	expect(r == -EMFILE);
	buffer = tz_buffer_alloc(1 << 20); /* it is a copy then that travels */
	expect(buffer);
	memset(buffer, 1, 1 << 20);
	tz_buffer_free(buffer);
	while (n > 0)
		tz_segment_unref(s[--n]);
	expect(tz_segment_take(TZ_SEGMENT_BYTES, 70000, &s[0]) == 0);
}

static void memory_is_short(void)
{
	struct tz_segment *s = NULL;

	expect(tz_segment_take(TZ_SEGMENT_BYTES, (size_t)1 << 32, &s) == -ENOMEM && !s);
	expect(tz_segment_take(TZ_SEGMENT_BYTES, SIZE, &s) == 0);
}

static void limits(void **state)
{
	struct tz_segment *s = NULL;

	(void)state;
	if (EMULATED)
		skip(); /* the emulator has its own */
	assert_int_equal(tz_segment_take(TZ_SEGMENT_BYTES, SIZE_MAX, &s), -ENOSPC);
	assert_int_equal(tz_segment_take(TZ_SEGMENT_BYTES, SIZE_MAX / 2, &s), -ENOSPC);
	with_limit(RLIMIT_FSIZE, 65536, files_are_small);
	with_limit(RLIMIT_NOFILE, 40, descriptors_are_few);
	if (!BUILT_FOR_SANITIZER)
		with_limit(RLIMIT_AS, (rlim_t)1 << 30, memory_is_short);
}

/* --- after a fork --------------------------------------------------------------------------------------------------------- */

/* The child has the buffers of its parent, which are the same memory, but they are not its own; what it has of its own it may keep in its cache. */
static void in_the_child_of_a_fork(void **state)
{
	unsigned char *buffer = tz_buffer_alloc(SIZE), *kept = tz_buffer_alloc(SIZE);
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(buffer);
	assert_non_null(kept);
	buffer[0] = 1;
	tz_segment_unref(take(TZ_SEGMENT_BUFFER, 4 * SIZE));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct tz_segment *s = NULL;
		uint32_t id;

		expect(buffer[0] == 1);
		buffer[0] = 2;
		kept[0] = 2;
		expect(!tz_segment_find(buffer, 1));
		expect(tz_segment_take(TZ_SEGMENT_BUFFER, 4 * SIZE, &s) == 0); /* not the one in the parent's cache */
		memset(s->base, 9, s->size);
		id = s->id;
		tz_segment_unref(s);
		tz_buffer_free(buffer); /* here */
		tz_buffer_free(kept);
		expect(tz_segment_take(TZ_SEGMENT_BUFFER, 4 * SIZE, &s) == 0 && s->id == id);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(buffer[0], 2);
	assert_int_equal(kept[0], 2);
	tz_buffer_free(buffer);
	tz_buffer_free(kept);
	kept = tz_buffer_alloc(4 * SIZE);
	assert_non_null(kept);
	assert_int_equal(kept[0], 0);
	tz_buffer_free(kept);
}

static void buffers(void **state)
{
	unsigned char *b[40];

	(void)state;
	tz_buffer_free(NULL);
	for (size_t i = 0; i < 40; i++) {
		size_t size = i * 5000;

		b[i] = tz_buffer_alloc(size);
		assert_non_null(b[i]);
		assert_int_equal((uintptr_t)b[i] % _Alignof(max_align_t), 0);
		memset(b[i], (int)i, size);
		if (size >= TZ_SEGMENT_LEAST) {
			struct tz_segment *s = tz_segment_find(b[i], size);

			assert_non_null(s);
			tz_segment_unref(s);
		}
	}
	for (size_t i = 0; i < 40; i++) {
		for (size_t k = 0; k < i * 5000; k += 999)
			assert_int_equal(b[i][k], i);
		tz_buffer_free(b[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(memory_is_used_again, no_cache),
		cmocka_unit_test_setup(the_cache_is_bounded, no_cache),
		cmocka_unit_test_setup(found_by_address, no_cache),
		cmocka_unit_test_setup(adopted, no_cache),
		cmocka_unit_test_setup(strange_descriptors, no_cache),
		cmocka_unit_test_setup(files, no_cache),
		cmocka_unit_test_setup(limits, no_cache),
		cmocka_unit_test_setup(in_the_child_of_a_fork, no_cache),
		cmocka_unit_test_setup(buffers, no_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
