/* Shared memory: who has it, what it is when it comes again, and what is said when there is no more. */
#define _GNU_SOURCE

#include <trenza/shared_memory.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

/* --- growth ----------------------------------------------------------------------------------------------------------------- */

static void it_grows_in_place(void **state)
{
	enum { LARGE = 64 << 20 };
	tz_shared_options o = { .reserve = LARGE };
	unsigned char *p = NULL;
	int status;

	(void)state;
	assert_int_equal(tz_shared_alloc_with((void **)&p, 100, &o), 0);
	assert_int_equal(tz_shared_size(p), 4096);
	p[0] = 7;
	pid_t child = fork(); /* has it before it grows */

	assert_true(child >= 0);
	if (child == 0) {
		for (int i = 0; i < 20000 && ((volatile unsigned char *)p)[0] != 8; i++)
			(void)usleep(1000);
		p[3000000] = 9;
		_exit(tz_shared_size(p) < 3000001);
	}
	assert_int_equal(tz_shared_resize(p, 4000000), 0);
	assert_true(tz_shared_size(p) >= 4000000);
	assert_int_equal(p[3999999], 0);
	p[0] = 8;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(p[3000000], 9);
	assert_int_equal(tz_shared_resize(p, 4000000), 0);
	assert_int_equal(tz_shared_resize(p + 1000000, 4000000), 0);
	assert_true(tz_shared_size(p) >= 5000000);
	assert_int_equal(tz_shared_resize(p, 100), -EINVAL);
	assert_int_equal(tz_shared_resize(p, LARGE + 1), -ENOMEM);
	assert_int_equal(tz_shared_resize(p, SIZE_MAX), -ENOMEM);
	assert_int_equal(tz_shared_resize(&status, 10), -EFAULT);
	tz_shared_free(p);
	p = tz_shared_alloc(100);
	assert_int_equal(tz_shared_resize(p, 100), 0);
	assert_int_equal(tz_shared_resize(p, 5000), -ENOMEM); /* nothing was reserved */
	tz_shared_free(p);
}

static void growth_beyond_what_there_is(void **state)
{
	tz_shared_options o = { .reserve = (size_t)1 << 44 };
	struct rlimit old, low;
	unsigned char *p = NULL;
	int made = tz_shared_alloc_with((void **)&p, 100, &o);

	(void)state;
	if (made == -ENOMEM)
		skip(); /* a sanitizer or an emulator has not so many addresses */
	assert_int_equal(made, 0);
	assert_int_equal(tz_shared_resize(p, (size_t)1 << 43), -ENOSPC);
	assert_int_equal(tz_shared_size(p), 4096);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = 65536;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	int r = tz_shared_resize(p, 65537), r2 = tz_shared_resize(p, 65536);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(r2, 0);
	tz_shared_free(p);
}

/* --- names ------------------------------------------------------------------------------------------------------------------ */

static const char *own_name(const char *what)
{
	static char name[64];

	(void)snprintf(name, sizeof name, "test-%ld-%s", (long)getpid(), what);
	return name;
}

static bool has_file(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof path, "/dev/shm/trenza-%lu-%s", (unsigned long)geteuid(), name);
	return access(path, F_OK) == 0;
}

static void names(void **state)
{
	const char *name = own_name("a");
	int *p = NULL, *q = NULL, before = open_descriptors();
	void *unused = NULL;

	(void)state;
	assert_int_equal(tz_shared_memory_open((void **)&q, name, NULL), -ENOENT);
	assert_int_equal(tz_shared_memory_create((void **)&p, name, 5000, NULL), 0);
	assert_int_equal(tz_shared_size(p), 8192);
	assert_int_equal(*p, 0);
	assert_int_equal(tz_shared_memory_create(&unused, name, 5000, NULL), -EEXIST);
	assert_int_equal(tz_shared_memory_open((void **)&q, name, NULL), 0);
	assert_ptr_equal(q, p); /* a process has it once */
	tz_shared_free(q);
	assert_true(has_file(name));
	tz_shared_free(p);
	assert_false(has_file(name));
	assert_int_equal(tz_shared_memory_open((void **)&q, name, NULL), -ENOENT);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(tz_shared_memory_create(&unused, "a/b", 1, NULL), -EINVAL);
	assert_int_equal(tz_shared_memory_create(&unused, "", 1, NULL), -EINVAL);
	assert_int_equal(tz_shared_memory_open(&unused, "a b", NULL), -EINVAL);
	assert_int_equal(tz_shared_memory_unlink("no-such-thing-there", NULL), -ENOENT);
	assert_int_equal(tz_shared_memory_create(&unused, name, SIZE_MAX, NULL), -ENOSPC);
	assert_false(has_file(name));
}

/* Runs in a child, which executes nothing and ends as told. */
static int in_child(int (*what)(const char *name), const char *name, bool by_exit)
{
	int status = -1;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		int r = what(name);

		if (by_exit)
			exit(r);
		_exit(r);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static int attach(const char *name)
{
	int *p = NULL;

	if (tz_shared_memory_open((void **)&p, name, NULL) < 0 || *p != 41)
		return 1;
	++*p;
	return 0; /* without giving it back */
}

static int create(const char *name)
{
	int *p = NULL;

	return tz_shared_memory_create((void **)&p, name, 4, NULL) < 0;
}

static void who_attaches_leaves_the_name(void **state)
{
	const char *name = own_name("b");
	int *p = NULL;

	(void)state;
	for (int by_exit = 0; by_exit < 2; by_exit++) {
		assert_int_equal(tz_shared_memory_create((void **)&p, name, 4, NULL), 0);
		*p = 41;
		assert_int_equal(in_child(attach, name, by_exit), 0);
		assert_true(has_file(name));
		assert_int_equal(*p, 42);
		tz_shared_free(p);
		assert_false(has_file(name));
	}
}

/* One that exits takes its names along; one that is killed leaves them, until somebody looks. */
static void names_of_the_dead(void **state)
{
	const char *name = own_name("c");
	void *p = NULL;

	(void)state;
	assert_int_equal(in_child(create, name, true), 0);
	assert_false(has_file(name));
	assert_int_equal(in_child(create, name, false), 0);
	assert_true(has_file(name));
	assert_int_equal(tz_shared_memory_open(&p, name, NULL), -ENOENT);
	assert_false(has_file(name));
	assert_int_equal(in_child(create, name, false), 0);
	assert_int_equal(tz_shared_memory_create(&p, own_name("d"), 4, NULL), 0); /* another one */
	tz_shared_free(p);
	assert_false(has_file(own_name("c")));
	assert_int_equal(in_child(create, own_name("c"), false), 0);
	assert_int_equal(tz_shared_memory_create(&p, own_name("c"), 4, NULL), 0); /* the same */
	assert_true(has_file(own_name("c")));
	tz_shared_free(p);
}

/* The creator is dead, but not all who have it. */
static void the_last_one_keeps_the_name(void **state)
{
	const char *name = own_name("e");
	int *p = NULL, status, ends[2];
	void *q = NULL;
	char byte;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (create(name) == 0)
			(void)!write(ends[1], "x", 1);
		for (int i = 0; i < 60; i++)
			(void)sleep(1);
		_exit(1);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(tz_shared_memory_open((void **)&p, name, NULL), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(tz_shared_memory_create(&q, name, 4, NULL), -EEXIST);
	assert_true(has_file(name));
	*p = 3;
	tz_shared_free(p);
	assert_int_equal(tz_shared_memory_create(&q, name, 4, NULL), 0);
	assert_int_equal(*(int *)q, 0);
	tz_shared_free(q);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* A child of the creator's fork is not the creator. */
static int drop_inherited(const char *name)
{
	void *p = NULL;

	if (tz_shared_memory_open(&p, name, NULL) < 0)
		return 1;
	tz_shared_free(p);
	tz_shared_free(p);
	return is_mapped(p);
}

static void a_forked_child_leaves_the_name(void **state)
{
	const char *name = own_name("f");
	void *p = NULL;

	(void)state;
	assert_int_equal(tz_shared_memory_create(&p, name, 4, NULL), 0);
	assert_int_equal(in_child(drop_inherited, name, true), 0);
	assert_true(has_file(name));
	assert_int_equal(tz_shared_memory_unlink(name, NULL), 0);
	assert_false(has_file(name));
	tz_shared_free(p);
}

/* Files that lie there and are not ours. */
static void strange_files(void **state)
{
	char path[128];
	void *p = NULL;
	int fd;

	(void)state;
	(void)snprintf(path, sizeof path, "/dev/shm/trenza-%lu-%s", (unsigned long)geteuid(), own_name("g"));
	fd = open(path, O_CREAT | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(lockf(fd, F_LOCK, 0), 0);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(tz_shared_memory_open(&p, own_name("g"), NULL), -ENOENT); /* nobody has it */
	assert_int_equal(access(path, F_OK), -1);
	(void)close(fd);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(tz_shared_memory_open(&p, own_name("g"), NULL), -EPROTO);
	assert_int_equal(unlink(path), 0);
}

/* Somebody is about to take the name of a dead one away, which he does a while later: it is free all the same. */
static void a_name_that_is_being_taken_away(void **state)
{
	const char *name = own_name("sweep");
	char path[128], byte;
	int fd, ready[2], status;
	void *p = NULL;
	pid_t pid;

	(void)state;
	(void)snprintf(path, sizeof path, "/dev/shm/trenza-%lu-%s", (unsigned long)geteuid(), name);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (flock(fd, LOCK_EX) < 0 || write(ready[1], "", 1) != 1 || usleep(100000) < 0 || unlink(path) < 0)
			_exit(1);
		_exit(0);
	}
	(void)close(fd);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(tz_shared_memory_create(&p, name, 4, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	tz_shared_free(p);
	assert_int_equal(access(path, F_OK), -1);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static void names_as_python_has_them(void **state)
{
	const char *name = own_name("py");
	tz_shared_options o = { .python = true, .mode = 0640 };
	char path[128];
	struct stat st;
	int *p = NULL, *q = NULL, fd, value = 5;

	(void)state;
	assert_int_equal(tz_shared_memory_create((void **)&p, name, 4, &o), 0);
	(void)snprintf(path, sizeof path, "/dev/shm/%s", name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0137, 0);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &value, sizeof value, 0), sizeof value);
	assert_int_equal(*p, 5);
	assert_int_equal(tz_shared_memory_open((void **)&q, name, &o), 0);
	assert_ptr_equal(q, p);
	(void)close(fd);
	tz_shared_free(p);
	tz_shared_free(q);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(tz_shared_memory_unlink(name, &o), 0);
	assert_int_equal(access(path, F_OK), -1);
}

/* They are of any size, to the byte. */
static void sizes_as_python_has_them(void **state)
{
	static const size_t sizes[] = { 1, 10, 4095, 4096, 4097, 5000, 8192 };
	const char *name = own_name("ps");
	tz_shared_options o = { .python = true };
	unsigned char *p = NULL;
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof path, "/dev/shm/%s", name);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, (off_t)sizes[i]), 0);
		assert_int_equal(pwrite(fd, "x", 1, (off_t)sizes[i] - 1), 1);
		assert_int_equal(tz_shared_memory_open((void **)&p, name, &o), 0);
		assert_int_equal(tz_shared_size(p), sizes[i]);
		assert_int_equal(p[sizes[i] - 1], 'x');
		tz_shared_free(p);
		(void)close(fd);
		assert_int_equal(tz_shared_memory_unlink(name, &o), 0);
	}
	assert_int_equal(close(open(path, O_CREAT | O_EXCL | O_RDWR, 0600)), 0); /* of no size */
	assert_int_equal(tz_shared_memory_open((void **)&p, name, &o), -EPROTO);
	assert_int_equal(tz_shared_memory_unlink(name, &o), 0);
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
		cmocka_unit_test(it_grows_in_place),
		cmocka_unit_test(growth_beyond_what_there_is),
		cmocka_unit_test(names),
		cmocka_unit_test(who_attaches_leaves_the_name),
		cmocka_unit_test(names_of_the_dead),
		cmocka_unit_test(the_last_one_keeps_the_name),
		cmocka_unit_test(a_forked_child_leaves_the_name),
		cmocka_unit_test(strange_files),
		cmocka_unit_test(a_name_that_is_being_taken_away),
		cmocka_unit_test(names_as_python_has_them),
		cmocka_unit_test(sizes_as_python_has_them),
		cmocka_unit_test(threads_find_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
