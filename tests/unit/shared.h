/* Processes for tests of what they share: forked, awaited with a deadline, killed. Include after defining _GNU_SOURCE.
 *
 * What they share is memory that the test maps; children must not use cmocka's assertions: they use `must`.
 */
#ifndef TRENZA_TESTS_SHARED_H
#define TRENZA_TESTS_SHARED_H

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza/time.h>

#include "check.h"
#include "crew.h"
#include "proc.h"

/* All-zero memory that children share. */
static inline void *shared_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static inline void shared_free(void *p, size_t size)
{
	assert_int_equal(munmap(p, size), 0);
}

/* `stage`, a `struct stage` that children share, and set_up and tear_down, which make it anew for each test. */
#define SHARED_STAGE \
	static struct stage *stage; \
	static int set_up(void **state) \
	{ \
		(void)state; \
		stage = shared_new(sizeof *stage); \
		return 0; \
	} \
	static int tear_down(void **state) \
	{ \
		(void)state; \
		shared_free(stage, sizeof *stage); \
		return 0; \
	}

/* Runs body(arg) in a child, which ends with 0 if the body returns. */
static inline pid_t child_start(void (*body)(void *), void *arg)
{
	pid_t parent = getpid(), child;

	fflush(NULL);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		struct rlimit none = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		for (int s = 1; s < 32; s++)
			(void)signal(s, SIG_DFL); /* cmocka has handlers */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			body(arg);
		fflush(NULL);
		_exit(0);
	}
	return child;
}

/* How it ended; a child that does not end fails the test. */
static inline int child_status(pid_t child)
{
	int status = -1;
	pid_t r;

	until((r = waitpid(child, &status, WNOHANG)) != 0);
	must(r == child);
	return status;
}

static inline void child_join(pid_t child)
{
	assert_int_equal(child_status(child), 0);
}

static inline void child_kill(pid_t child)
{
	int status;

	assert_int_equal(kill(child, SIGKILL), 0);
	status = child_status(child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* f_in_child and f_in_thread, for child_start and crew_add, of `void f(void)`; with MUST_, of `int f(void)`, which must answer 0. */
#define IN_CHILD(f) RUN_IN_CHILD(f, f())
#define IN_THREAD(f) RUN_IN_THREAD(f, f())
#define MUST_IN_CHILD(f) RUN_IN_CHILD(f, must(f() == 0))
#define MUST_IN_THREAD(f) RUN_IN_THREAD(f, must(f() == 0))
#define RUN_IN_CHILD(f, ...) \
	static void f##_in_child(void *unused) \
	{ \
		(void)unused; \
		__VA_ARGS__; \
	}
#define RUN_IN_THREAD(f, ...) \
	static void *f##_in_thread(void *unused) \
	{ \
		__VA_ARGS__; \
		return unused; \
	}

/* In a child: waits for the signal that ends it. */
_Noreturn static inline void stay(void)
{
	for (;;)
		(void)pause();
}

#endif
