/* Shared memory: who has it, what it is when it comes again, and what is said when there is no more. */
#define _GNU_SOURCE

#include <trenza/shared_memory.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/segment.h"

#include "../abilities.h"
#include "check.h"
#include "descriptors.h"

static bool is_mapped(const void *p)
{
	unsigned char there;

	return mincore((void *)((uintptr_t)p / 4096 * 4096), 1, &there) == 0;
}

static void it_is_all_zeros(void **state)
{
	enum { SIZE = 300000 };
	unsigned char *p;

	(void)state;
	for (int round = 0; round < 3; round++) {
		p = tz_shared_alloc(SIZE);
		assert_non_null(p);
		assert_true(tz_shared_size(p) >= SIZE);
		for (size_t i = 0; i < SIZE; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, SIZE);
		tz_shared_free(p);
		assert_false(is_mapped(p));
	}
	p = tz_shared_alloc(0);
	assert_non_null(p);
	tz_shared_free(p);
}

static void references(void **state)
{
	int *p = TZ_SHARED_NEW(int), here = 0;

	(void)state;
	assert_non_null(p);
	assert_int_equal(tz_shared_ref(p), 0);
	assert_int_equal(tz_shared_ref((char *)p + 5), 0); /* any address in it */
	tz_shared_free((char *)p + 4095);
	tz_shared_free(p);
	*p = 7;
	assert_int_equal(*p, 7);
	tz_shared_free(p);
	assert_false(is_mapped(p));
	tz_shared_free(p); /* it is nobody's now */
	tz_shared_free(NULL);
	tz_shared_free(&here);
	assert_int_equal(tz_shared_ref(&here), -EFAULT);
	assert_int_equal(tz_shared_ref(NULL), -EFAULT);
	assert_int_equal(tz_shared_size(&here), 0);
}

static void sizes(void **state)
{
	double *a = TZ_SHARED_ARRAY(double, 1000);

	(void)state;
	assert_non_null(a);
	assert_int_equal(tz_shared_size(a), 8192);
	assert_int_equal(tz_shared_size(a + 999), 8192 - 999 * sizeof *a);
	tz_shared_free(a);
	errno = 0;
	assert_null(TZ_SHARED_ARRAY(double, SIZE_MAX / 4));
	assert_int_equal(errno, ENOMEM);
}

/* The machine has not so much: that is said, and nothing is left. */
static void too_much(void **state)
{
	int before = open_descriptors();
	size_t sizes[] = { SIZE_MAX, PTRDIFF_MAX, (size_t)1 << 62, (size_t)1 << 50 };

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		errno = 0;
		assert_null(tz_shared_alloc(sizes[i]));
		assert_true(errno == ENOSPC || errno == ENOMEM);
	}
	assert_int_equal(open_descriptors(), before);
}

static void limit_on_files(void **state)
{
	struct rlimit old, low;
	void *p;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = 65536;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	errno = 0;
	p = tz_shared_alloc(65537);
	assert_int_equal(errno, ENOSPC);
	assert_null(p);
	p = tz_shared_alloc(65536);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_non_null(p);
	tz_shared_free(p);
}

static void no_descriptors(void **state)
{
	struct rlimit old, low;
	void *p;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	errno = 0;
	p = tz_shared_alloc(1);
	assert_int_equal(errno, EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_null(p);
}

static void alignment(void **state)
{
	tz_shared_options o = { .align = 1 << 21 };
	void *p = NULL;

	(void)state;
	assert_int_equal(tz_shared_alloc_with(&p, 10, &o), 0);
	assert_int_equal((uintptr_t)p % (1 << 21), 0);
	assert_int_equal(tz_shared_size(p), 4096);
	assert_false(is_mapped((char *)p + 4096));
	assert_false(is_mapped((char *)p - 1));
	tz_shared_free(p);
	o.align = 3;
	assert_int_equal(tz_shared_alloc_with(&p, 10, &o), -EINVAL);
	o.align = (size_t)1 << 40;
	assert_int_equal(tz_shared_alloc_with(&p, 10, &o), -EINVAL);
	o.align = 8;
	assert_int_equal(tz_shared_alloc_with(&p, 10, &o), 0);
	tz_shared_free(p);
}

static void huge_pages(void **state)
{
	tz_shared_options o = { .huge_pages = true };
	unsigned char *p = NULL;

	(void)state;
	assert_int_equal(tz_shared_alloc_with((void **)&p, 3 << 20, &o), 0);
	assert_int_equal((uintptr_t)p % (2 << 20), 0);
	assert_int_equal(tz_shared_size(p), 4 << 20);
	p[(4 << 20) - 1] = 1;
	tz_shared_free(p);
}

/* What comes again, from anywhere, is the same. */
static void it_is_mapped_once(void **state)
{
	int *p = TZ_SHARED_NEW(int), before = open_descriptors();
	struct tz_segment *s, *again, *third;

	(void)state;
	assert_non_null(p);
	s = tz_segment_find_shared(p);
	assert_non_null(s);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_SHARED, fcntl(s->fd, F_DUPFD_CLOEXEC, 3), s->size, true, &again), 0);
	assert_ptr_equal(again, s);
	assert_int_equal(open_descriptors(), before);
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);

	tz_segment_unref(s);
	tz_segment_unref(again);
	tz_shared_free(p);
	assert_int_equal(open_descriptors(), before);
	/* Now it has it no more. */
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_SHARED, fd, 4096, true, &third), 0);
	assert_non_null(tz_segment_find_shared(third->base));
	tz_segment_unref(third);
	tz_segment_unref(third);
	assert_int_equal(open_descriptors(), before - 1);
}

static void only_what_cannot_shrink(void **state)
{
	struct tz_segment *s;
	int fd = memfd_create("soft", MFD_CLOEXEC | MFD_ALLOW_SEALING), before = open_descriptors();

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_SHARED, fcntl(fd, F_DUPFD_CLOEXEC, 3), 8192, true, &s), -EPROTO);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_SHARED, fcntl(fd, F_DUPFD_CLOEXEC, 3), 8191, true, &s), -EPROTO);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_SHARED, fcntl(fd, F_DUPFD_CLOEXEC, 3), 8192, true, &s), 0);
	tz_segment_unref(s);
	assert_int_equal(open_descriptors(), before);
	(void)close(fd);
}

/* A buffer is no shared memory, and the other way round. */
static void kinds_do_not_mix(void **state)
{
	struct tz_segment *s;
	int *p = TZ_SHARED_NEW(int);

	(void)state;
	assert_non_null(p);
	assert_null(tz_segment_find(p, sizeof *p));
	assert_null(tz_segment_at(p));
	assert_int_equal(tz_segment_take(TZ_SEGMENT_BUFFER, 100000, &s), 0);
	assert_null(tz_segment_find_shared(s->base));
	tz_segment_unref(s);
	tz_shared_free(p);
}

static void a_fork_shares_it(void **state)
{
	_Atomic int *p = TZ_SHARED_NEW(_Atomic int);
	int status;

	(void)state;
	assert_non_null(p);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct tz_segment *s = tz_segment_find_shared((void *)p);

		*p = s != NULL;
		tz_segment_unref(s);
		tz_shared_free((void *)p); /* its own reference */
		_exit(is_mapped((void *)p));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(*p, 1);
	tz_shared_free((void *)p);
}

enum { THREADS = 4, ROUNDS = 300 };

/* One drops the last reference while others meet the memory again. */
static void *come_and_go(void *arg)
{
	int fd = *(int *)arg;
	struct tz_segment *s;

	for (int i = 0; i < ROUNDS; i++) {
		if (tz_segment_adopt(TZ_SEGMENT_SHARED, fcntl(fd, F_DUPFD_CLOEXEC, 3), 4096, true, &s) != 0)
			return arg;
		atomic_fetch_add((_Atomic int *)(void *)s->base, 1);
		tz_segment_unref(s);
	}
	return NULL;
}

static void threads_find_it(void **state)
{
	int *p = TZ_SHARED_NEW(int);
	struct tz_segment *s = tz_segment_find_shared(p);
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3), before = open_descriptors();
	pthread_t t[THREADS];
	void *failed;

	(void)state;
	tz_segment_unref(s);
	tz_shared_free(p);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, come_and_go, &fd), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(open_descriptors(), before - 1);
	assert_int_equal(tz_segment_adopt(TZ_SEGMENT_SHARED, fd, 4096, true, &s), 0);
	assert_int_equal(*(int *)(void *)s->base, THREADS * ROUNDS);
	tz_segment_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_all_zeros),
		cmocka_unit_test(references),
		cmocka_unit_test(sizes),
		cmocka_unit_test(too_much),
		cmocka_unit_test(limit_on_files),
		cmocka_unit_test(no_descriptors),
		cmocka_unit_test(alignment),
		cmocka_unit_test(huge_pages),
		cmocka_unit_test(it_is_mapped_once),
		cmocka_unit_test(only_what_cannot_shrink),
		cmocka_unit_test(kinds_do_not_mix),
		cmocka_unit_test(a_fork_shares_it),
		cmocka_unit_test(threads_find_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
