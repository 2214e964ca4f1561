/*
 * stop.c: the user's wish to stop (Ctrl-C), seen by everything that waits.
 *
 * Design notes. The handler writes one byte into a pipe that nobody ever reads. So the read end
 * stays ready, and every transfer that polls it beside its own socket wakes up, however many there
 * are and whichever thread they run on.
 */
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static int ends[2] = { -1, -1 };
static atomic_int asked;

int stop_asked(void)
{
	return atomic_load_explicit(&asked, memory_order_relaxed);
}

int stop_descriptor(void)
{
	return ends[0];
}

void stop_now(int why)
{
	int none = 0, error = errno;

	/* Only the first to ask writes, so the pipe can never fill up and block a handler. */
	if (atomic_compare_exchange_strong(&asked, &none, why))
		while (write(ends[1], "", 1) < 0 && errno == EINTR)
			;
	errno = error;
}

int stop_watch(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = stop_now,
				    .sa_flags = (int)SA_RESETHAND | SA_RESTART };

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct sigaction old;

		/* What our parent had ignored (nohup) stays ignored. */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			continue;
		if (sigaction(signals[i], &action, NULL) < 0)
			return -errno;
	}
	return 0;
}

void stop_die(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
	_exit(128 + number);
}
