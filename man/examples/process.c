#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza/process.h>

/* tz_process_open { */
static void greet(const char *name)
{
	printf("hello %s\n", name);
}
TZ_TASK(void, greet, const char *);
/* } */

static void wait_for_signal(void)
{
	for (;;)
		(void)pause();
}
TZ_TASK(void, wait_for_signal, void);

static void leave(int code)
{
	exit(code);
}
TZ_TASK(void, leave, int);

static void cat(void)
{
	char text[64];
	ssize_t n = read(0, text, sizeof text);

	if (n > 0)
		(void)!write(1, text, (size_t)n);
}
TZ_TASK(void, cat, void);

static void who_am_i(void)
{
	/* tz_process_current, tz_process_parent { */
	char name[64];

	tz_process_name(tz_process_current(), name, sizeof name);
	printf("%s, started by %s\n", name, tz_process_parent() ? "another process" : "nobody");
	/* } */
}
TZ_TASK(void, who_am_i, void);

/* TZ_PROCESS, tz_process_open_object { */
typedef struct counter {
	int from, to;
} counter;
TZ_FLAT(counter);

static void counter_run(counter *self)
{
	while (self->from <= self->to)
		printf("%d\n", self->from++); /* in the process's own copy */
}
TZ_PROCESS(counter, counter_run);
/* } */

int main(void)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* so that lines of several processes come in order */
	/* tz_process_exit_grace { */
	tz_process_exit_grace(10); /* what still runs 10 s after the end of main() is killed */
	/* } */
	{
		/* tz_start_method_default, tz_start_method_set_default, tz_start_method_name { */
		if (tz_start_method_set_default(TZ_START_FORKSERVER) < 0)
			printf("it is %s already\n", tz_start_method_name(tz_start_method_default()));
		/* } */
	}
	{
		/* tz_process_open, tz_process_join, tz_process_close { */
		tz_process *p;

		if (tz_process_open(&p, greet, "bob") < 0) /* starts it */
			return 1;
		tz_process_join(p); /* waits for it */
		tz_process_close(p);
		/* } */
	}
	{
		/* tz_process_open_bound, tz_process_detach { */
		tz_process *p;
		leave_args args = tz_bind(leave, 0);

		if (tz_process_open_bound(&p, TZ_OPTIONS(tz_process_options, .name = "leaver"), leave, &args) < 0)
			return 1;
		tz_process_detach(p); /* it goes on, and main's end waits for it */
		/* } */
	}
	{
		/* tz_process_open_object { */
		tz_process *p;
		counter c = { 1, 3 };

		if (tz_process_open_object(&p, NULL, counter, &c) < 0)
			return 1;
		tz_process_join(p);
		tz_process_close(p); /* and c.from is 1 still */
		/* } */
	}
	{
		/* tz_process_exitcode, tz_process_outcome { */
		tz_process *p;
		tz_outcome outcome;
		int code;

		if (tz_process_open(&p, leave, 3) < 0)
			return 1;
		while (tz_process_exitcode(p, &code) == -EAGAIN) /* it runs: that has an answer of its own */
			tz_process_join(p);
		tz_process_outcome(p, &outcome);
		if (tz_process_exitcode(p, &code) == 0)
			printf("%d, %s\n", code, tz_status_name(outcome.status)); /* 3, crashed */
		tz_process_close(p);
		/* } */
	}
	{
		/* tz_process_terminate, tz_process_interrupt, tz_process_kill, tz_process_signal, tz_process_join_until, tz_process_alive, tz_process_pid { */
		tz_process *p;

		if (tz_process_open(&p, wait_for_signal) < 0)
			return 1;
		printf("%s\n", tz_process_pid(p) > 0 && tz_process_alive(p) ? "it runs" : "it has ended");
		tz_process_terminate(p); /* SIGTERM; tz_process_interrupt: SIGINT; tz_process_signal: any */
		if (tz_process_join_until(p, tz_after(1.0)) == -ETIMEDOUT) {
			tz_process_kill(p);
			tz_process_join(p);
		}
		tz_process_close(p);
		/* } */
	}
	{
		/* tz_process_sentinel { */
		tz_process *p;

		if (tz_process_open(&p, leave, 0) < 0)
			return 1;
		struct pollfd ends = { .fd = tz_process_sentinel(p), .events = POLLIN };

		if (poll(&ends, 1, 10000) == 1) /* among descriptors of any kind */
			puts("it has ended");
		tz_process_join(p);
		tz_process_close(p);
		/* } */
	}
	{
		/* TZ_STREAM_FD, TZ_UMASK { */
		tz_process *p;
		int pipe_fds[2];
		tz_process_options options = { .umask = TZ_UMASK(077), .cwd = "/" };

		if (pipe2(pipe_fds, O_CLOEXEC) < 0)
			return 1;
		options.input = TZ_STREAM_FD(pipe_fds[0]); /* what it reads is what we write */
		if (tz_process_open_with(&p, &options, cat) < 0)
			return 1;
		(void)!write(pipe_fds[1], "through a pipe\n", 15);
		tz_process_join(p);
		tz_process_close(p);
		/* } */
		close(pipe_fds[0]);
		close(pipe_fds[1]);
	}
	{
		/* tz_process_start, tz_process_daemon, tz_process_name { */
		tz_process *p;
		char name[64];

		if (tz_process_open_with(&p, TZ_OPTIONS(tz_process_options, .deferred = true, .daemon = true, .name = "later"), who_am_i) < 0)
			return 1;
		tz_process_name(p, name, sizeof name);
		printf("%s%s\n", name, tz_process_daemon(p) ? ", a daemon" : "");
		if (tz_process_start(p) == 0)
			tz_process_join(p);
		tz_process_close(p);
		/* } */
	}
	{
		/* tz_process_ref, tz_process_list { */
		tz_process *running[8];
		size_t n = tz_process_list(running, 8);

		for (size_t i = 0; i < n && i < 8; i++) {
			tz_process *mine = tz_process_ref(running[i]); /* once more, to be given up as well */

			tz_process_detach(mine);
			tz_process_detach(running[i]);
		}
		/* } */
	}
	{
		/* tz_process_authkey { */
		unsigned char key[256];
		size_t size = tz_process_authkey(tz_process_current(), key, sizeof key);

		printf("a key of %zu bytes\n", size);
		/* } */
	}
	return 0;
}

/* prints:
hello bob
1
2
3
3, crashed
it runs
it has ended
through a pipe
later, a daemon
later, started by another process
a key of 32 bytes
*/
