/*
 * Fault injection, by the linker: in a program linked with --wrap=malloc, calls of malloc from our static library
 * arrive at __wrap_malloc. So the objects under test are the ones that are shipped. Calls from inside libc and
 * cmocka, which are shared libraries, are not wrapped.
 */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { LONGEST_RUN = 60, MOST_RUNS = 100000, SURELY = 40, STEP = 7 };

/* How a run ends. */
enum { SURVIVED = 0, NOT_REACHED = 100, WRONG = 101 };

/* Calls until the one that fails; 0: none fails any more. */
static atomic_long countdown;

static bool fails_now(void)
{
	long n = atomic_load(&countdown);
	while (n > 0)
		if (atomic_compare_exchange_weak(&countdown, &n, n - 1))
			return n == 1;
	return false;
}

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static int no_room(void)
{
	errno = ENOMEM;
	return -1;
}

/* WRAP(result, name, (parameters), (arguments), what a failure answers): the names are the linker's. */
#define WRAP(R, name, parameters, arguments, failure) \
	R __real_##name parameters; \
	R __wrap_##name parameters; \
	R __wrap_##name parameters \
	{ \
		return fails_now() ? failure : __real_##name arguments; \
	}

WRAP(void *, malloc, (size_t size), (size), no_memory())
WRAP(void *, calloc, (size_t n, size_t size), (n, size), no_memory())
WRAP(void *, realloc, (void *memory, size_t size), (memory, size), no_memory())
WRAP(void *, aligned_alloc, (size_t align, size_t size), (align, size), no_memory())
WRAP(int, posix_memalign, (void **ret, size_t align, size_t size), (ret, align, size), ENOMEM)
WRAP(char *, strdup, (const char *s), (s), no_memory())
WRAP(char *, strndup, (const char *s, size_t n), (s, n), no_memory())
WRAP(void *, mmap64, (void *at, size_t size, int protection, int flags, int fd, off_t offset),
     (at, size, protection, flags, fd, offset), (no_memory(), MAP_FAILED))
WRAP(int, mprotect, (void *at, size_t size, int protection), (at, size, protection), no_room())
WRAP(int, madvise, (void *at, size_t size, int advice), (at, size, advice), no_room())
WRAP(int, pthread_key_create, (pthread_key_t *ret, void (*destroy)(void *)), (ret, destroy), EAGAIN)
WRAP(int, pthread_create,
     (pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg),
     (ret, attr, run, arg), EAGAIN)
WRAP(int, epoll_create1, (int flags), (flags), no_room())
WRAP(int, epoll_ctl, (int set, int op, int fd, struct epoll_event *event), (set, op, fd, event),
     no_room())
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), no_room())
WRAP(int, ftruncate64, (int fd, off_t size), (fd, size), no_room())
WRAP(int, fallocate64, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size),
     no_room())
WRAP(int, socketpair, (int domain, int type, int protocol, int *ret), (domain, type, protocol, ret),
     no_room())
WRAP(int, eventfd, (unsigned count, int flags), (count, flags), no_room())

void fault_give_up(const char *what, int line)
{
	fprintf(stderr, "line %d: %s\n", line, what);
	_exit(WRONG);
}

static int run(int (*scenario)(const void *), const void *arg, long n)
{
	atomic_store(&countdown, n);
	int error = scenario(arg);
	bool reached = atomic_exchange(&countdown, 0) == 0;

	if (error != 0 && (!reached || (error != -ENOMEM && error != -EAGAIN))) {
		fprintf(stderr, "the scenario answered %d (%s)\n", error, strerror(-error));
		return WRONG;
	}
	if (!reached)
		return NOT_REACHED;
	error = scenario(arg);
	if (error != 0) {
		fprintf(stderr, "after the failure, the scenario answered %d (%s)\n", error,
			strerror(-error));
		return WRONG;
	}
	return SURVIVED;
}

void fault_sweep(int (*scenario)(const void *), const void *arg)
{
	/* The first calls are all different; later ones repeat themselves, and are sampled unless the environment wants all. */
	bool all = getenv("FAULT_ALL") != NULL;

	for (long n = 1; n < MOST_RUNS; n += all || n < SURELY ? 1 : STEP) {
		int status;

		fflush(NULL);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			alarm(LONGEST_RUN);
			exit(run(scenario, arg, n)); /* where a sanitizer looks for leaks */
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFSIGNALED(status))
			fail_msg("call %ld failed: killed by signal %d", n, WTERMSIG(status));
		if (WEXITSTATUS(status) == NOT_REACHED) {
			assert_true(n > 1); /* or nothing was wrapped */
			return;
		}
		if (WEXITSTATUS(status) != SURVIVED)
			fail_msg("call %ld failed: exit status %d", n, WEXITSTATUS(status));
	}
	fail_msg("the scenario made more than %d calls", (int)MOST_RUNS);
}
