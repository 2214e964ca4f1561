/*
 * stop.c: the user's wish to stop (Ctrl-C), seen by everything that waits.
 *
 * Design notes. The signals are blocked in all threads and taken by one that does nothing else, so no
 * code of ours runs inside a handler. It writes one byte into a pipe that nobody ever reads: the read
 * end stays ready, and every transfer that polls it beside its own socket wakes up, however many there
 * are and whichever thread they run on.
 */
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <trenza.h>
#include <trenza/thread.h>

static int ends[2] = { -1, -1 };
static atomic_int asked;
static sigset_t watched;

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
	int none = 0;

	/* Only the first to ask writes, so the pipe can never fill up and block anybody. */
	if (atomic_compare_exchange_strong(&asked, &none, why))
		while (write(ends[1], "", 1) < 0 && errno == EINTR)
			;
}

/* Takes the first signal; a second one finds the way it has without us: it ends the program. */
static void take_signal(void)
{
	int number;

	if (sigwait(&watched, &number) != 0)
		return;
	stop_now(number);
	pthread_sigmask(SIG_UNBLOCK, &watched, NULL);
	for (;;)
		pause();
}

TZ_TASK(void, take_signal, void);

/* What our parent had ignored (nohup) stays ignored. */
static void choose_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	sigemptyset(&watched);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct sigaction now;

		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(&watched, signals[i]);
	}
}

int stop_watch(void)
{
	/* A daemon: the end of the program does not wait for a signal. */
	static const tz_thread_options daemon = { .name = "signals", .daemon = true };
	tz_thread *thread;
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	choose_signals();
	pthread_sigmask(SIG_BLOCK, &watched, NULL);
	r = tz_thread_open_with(&thread, &daemon, take_signal);
	if (r < 0)
		return r;
	tz_thread_close(thread);
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
