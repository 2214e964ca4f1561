/* Starting a thread of the library's own. */
#include "os/thread.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

static void block_asynchronous(sigset_t *old)
{
	static const int synchronous[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
	sigset_t set;

	(void)sigfillset(&set);
	for (size_t i = 0; i < sizeof synchronous / sizeof *synchronous; i++)
		(void)sigdelset(&set, synchronous[i]);
	(void)pthread_sigmask(SIG_SETMASK, &set, old);
}

static void set_stack_size(pthread_attr_t *attr, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), least = (size_t)sysconf(_SC_THREAD_STACK_MIN);

	if (size < least)
		size = least;
	(void)pthread_attr_setstacksize(attr, (size + page - 1) / page * page);
}

static int start(pthread_t *ret, size_t stack_size, int detached, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t old;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	if (stack_size)
		set_stack_size(&attr, stack_size);
	(void)pthread_attr_setdetachstate(&attr, detached);
	block_asynchronous(&old); /* inherited by the new thread */
	r = pthread_create(ret, &attr, fn, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return -r;
}

int tz_os_thread_start(pthread_t *ret, size_t stack_size, void *(*fn)(void *), void *arg)
{
	return start(ret, stack_size, PTHREAD_CREATE_JOINABLE, fn, arg);
}

int tz_os_thread_start_detached(pthread_t *ret, void *(*fn)(void *), void *arg)
{
	return start(ret, 0, PTHREAD_CREATE_DETACHED, fn, arg);
}
