/* Processes: what their handles promise. By each start method. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "abilities.h"
#include "check.h"

static tz_deadline soon(void)
{
	return tz_after(20);
}

/* --- what processes do ---------------------------------------------------------------------------------------------- */

static int changed; /* in the child */

static void nothing(void)
{
}
TZ_TASK(void, nothing, void);

static int answer(int x)
{
	return x + 1; /* a result is not an exit code */
}
TZ_TASK(int, answer, int);

/* A result of a kibibyte and more, of which nobody hears. */
typedef struct wide {
	int numbers[300];
} wide;
TZ_FLAT(wide);

static wide spread(int x)
{
	wide w;

	for (int i = 0; i < 300; i++)
		w.numbers[i] = x;
	return w;
}
TZ_TASK(wide, spread, int);

static void say(int fd, const char *text, tz_bytes more)
{
	changed = 1;
	(void)!write(fd, text, strlen(text));
	(void)!write(fd, more.data, more.size);
}
TZ_TASK(void, say, int, const char *, tz_bytes);

static void linger(void)
{
	for (;;)
		(void)pause();
}
TZ_TASK(void, linger, void);

static void leave_by(int code)
{
	exit(code);
}
TZ_TASK(void, leave_by, int);

static void end_thread(void)
{
	pthread_exit(NULL);
}
TZ_TASK(void, end_thread, void);

static void fails(void)
{
	(void)tz_fail(-ENOENT, "no %s here", "page");
}
TZ_TASK(void, fails, void);

static void crash(void)
{
	struct sigaction a = { .sa_handler = SIG_DFL };

	(void)sigaction(SIGSEGV, &a, NULL);
	(void)raise(SIGSEGV);
}
TZ_TASK(void, crash, void);

static void point_at(const int *where)
{
	(void)*where;
}
TZ_TASK(void, point_at, const int *);

struct about {
	int pid, parent, daemon, can_start, key, inherits_default;
	char name[64];
};

static void tell_about_self(int fd)
{
	struct about a = { .pid = (int)getpid(), .daemon = tz_process_daemon(tz_process_current()) };
	unsigned char key[256];
	tz_process *child = NULL;

	a.parent = (int)tz_process_pid(tz_process_parent());
	(void)tz_process_name(tz_process_current(), a.name, sizeof a.name);
	a.key = tz_process_authkey(tz_process_current(), key, sizeof key) == 3 && memcmp(key, "abc", 3) == 0;
	a.can_start = tz_process_open(&child, nothing);
	if (a.can_start == 0) {
		(void)tz_process_join(child);
		(void)tz_process_close(child);
	}
	a.inherits_default = (int)tz_start_method_default();
	(void)!write(fd, &a, sizeof a);
}
TZ_TASK(void, tell_about_self, int);

typedef struct counter {
	int fd, upto;
} counter;
TZ_FLAT(counter);

static void counter_run(counter *self)
{
	for (int i = 0; i < self->upto; i++)
		(void)!write(self->fd, &i, sizeof i);
}
TZ_PROCESS(counter, counter_run);

/* --- helpers ------------------------------------------------------------------------------------------------------------ */

static tz_start_method method_of(void **state)
{
	return (tz_start_method)(intptr_t)*state;
}

static const tz_process_options *by(void **state)
{
	static tz_process_options o;

	memset(&o, 0, sizeof o);
	o.method = method_of(state);
	o.insist = EMULATED; /* which has a thread of its own */
	return &o;
}

/* A pipe whose writing end has a number that a child keeps. */
static void make_pipe(int *fds)
{
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
}

static int exit_code(tz_process *p)
{
	int code = 999;

	assert_int_equal(tz_process_join_until(p, soon()), 0);
	assert_int_equal(tz_process_exitcode(p, &code), 0);
	assert_int_equal(tz_process_close(p), 0);
	return code;
}

/* --- cases ---------------------------------------------------------------------------------------------------------------- */

static void runs_a_function(void **state)
{
	tz_process *p = NULL;
	int fds[2];
	char text[64] = "";
	static const unsigned char more[] = { 1, 0, 2 };
	tz_process_options o = { .method = method_of(state), .insist = EMULATED };

	make_pipe(fds);
	o.fds = &fds[1];
	o.nfds = 1;
	assert_int_equal(tz_process_open_with(&p, &o, say, fds[1], "hello", (tz_bytes){ more, 3 }), 0);
	assert_int_equal(exit_code(p), 0);
	assert_int_equal(read(fds[0], text, sizeof text), 8);
	assert_memory_equal(text, "hello\1\0\2", 8);
	assert_int_equal(changed, 0); /* its memory is its own */
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void tells_how_it_ended(void **state)
{
	tz_process *p = NULL;
	tz_outcome o;

	assert_int_equal(tz_process_open_with(&p, by(state), answer, 41), 0);
	assert_int_equal(exit_code(p), 0);
	assert_int_equal(tz_process_open_with(&p, by(state), spread, 41), 0);
	assert_int_equal(exit_code(p), 0);
	assert_int_equal(tz_process_open_with(&p, by(state), leave_by, 24), 0);
	assert_int_equal(tz_process_join_until(p, soon()), 0);
	tz_process_outcome(p, &o);
	assert_int_equal(o.status, TZ_CRASHED);
	assert_string_equal(o.task, "leave_by");
	assert_non_null(strstr(o.message, "exit code 24"));
	assert_int_equal(exit_code(p), 24);
	assert_int_equal(tz_process_open_with(&p, by(state), leave_by, 0), 0);
	assert_int_equal(exit_code(p), 0);

	assert_int_equal(tz_process_open_with(&p, by(state), fails), 0);
	assert_int_equal(tz_process_join_until(p, soon()), 0);
	tz_process_outcome(p, &o);
	assert_int_equal(o.status, TZ_FAILED);
	assert_int_equal(o.code, -ENOENT);
	assert_string_equal(o.message, "no page here");
	assert_int_equal(exit_code(p), 1);

	assert_int_equal(tz_process_open_with(&p, by(state), crash), 0);
	assert_int_equal(tz_process_join_until(p, soon()), 0);
	tz_process_outcome(p, &o);
	assert_int_equal(o.status, TZ_CRASHED);
	if (HANDLES_FAULTS && o.signal == 0) {
		assert_non_null(strstr(o.message, "exit code"));
		assert_true(exit_code(p) > 0);
		return;
	}
	assert_int_equal(o.signal, SIGSEGV);
	assert_non_null(strstr(o.message, "SIGSEGV"));
	assert_int_equal(exit_code(p), -SIGSEGV);
}

/* Also where the library is part of the executable, as in this test: there a process that was executed anew runs inside of a constructor. */
static void survives_pthread_exit(void **state)
{
	tz_process *p = NULL;
	tz_outcome o;

	assert_int_equal(tz_process_open_with(&p, by(state), end_thread), 0);
	assert_int_equal(tz_process_join_until(p, soon()), 0);
	tz_process_outcome(p, &o);
	assert_int_equal(o.status, TZ_CRASHED);
	assert_non_null(strstr(o.message, "pthread_exit"));
	assert_int_not_equal(exit_code(p), 0);
}

static void has_answers_while_it_runs(void **state)
{
	tz_process *p = NULL, *listed[8];
	tz_outcome o;
	int code = 999, epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };

	assert_int_equal(tz_process_open_with(&p, by(state), linger), 0);
	assert_true(tz_process_alive(p));
	assert_true(tz_process_pid(p) > 0);
	assert_int_equal(kill(tz_process_pid(p), 0), 0);
	assert_int_equal(tz_process_exitcode(p, &code), -EAGAIN);
	assert_int_equal(code, 999);
	tz_process_outcome(p, &o);
	assert_int_equal(o.status, TZ_PENDING);
	assert_int_equal(tz_process_close(p), -EBUSY);
	assert_int_equal(tz_process_join_until(p, tz_after(0.01)), -ETIMEDOUT);
	assert_int_equal(tz_process_list(listed, 8), 1);
	assert_ptr_equal(listed[0], p);
	tz_process_detach(listed[0]);
	assert_int_equal(tz_process_start(p), -EALREADY);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, tz_process_sentinel(p), &event), 0);
	assert_int_equal(epoll_wait(epoll, &event, 1, 0), 0);

	assert_int_equal(tz_process_terminate(p), 0);
	assert_int_equal(epoll_wait(epoll, &event, 1, 20000), 1);
	assert_int_equal(tz_process_join_until(p, soon()), 0);
	assert_int_equal(tz_process_join_until(p, soon()), 0); /* any number of times */
	assert_false(tz_process_alive(p));
	assert_int_equal(tz_process_terminate(p), -ESRCH);
	assert_int_equal(tz_process_list(NULL, 0), 0);
	(void)close(epoll);
	assert_int_equal(exit_code(p), -SIGTERM);
}

static void is_interrupted_and_killed(void **state)
{
	tz_process *p = NULL, *q = NULL;

	assert_int_equal(tz_process_open_with(&p, by(state), linger), 0);
	assert_int_equal(tz_process_open_with(&q, by(state), linger), 0);
	assert_int_equal(tz_process_interrupt(p), 0);
	assert_int_equal(tz_process_kill(q), 0);
	assert_int_equal(exit_code(p), -SIGINT);
	assert_int_equal(exit_code(q), -SIGKILL);
}

static void *join_it(void *arg)
{
	return (void *)(intptr_t)tz_process_join_until(arg, soon());
}

static void is_joined_by_any_thread(void **state)
{
	tz_process *p = NULL;
	pthread_t joiners[4];
	void *e;

	assert_int_equal(tz_process_open_with(&p, by(state), linger), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&joiners[i], NULL, join_it, p), 0);
	assert_int_equal(tz_process_kill(p), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(joiners[i], &e), 0);
		assert_null(e);
	}
	assert_int_equal(exit_code(p), -SIGKILL);
}

static void has_many_beside_it(void **state)
{
	enum { MANY = 40 };
	tz_process *p[MANY];

	for (int i = 0; i < MANY; i++)
		assert_int_equal(tz_process_open_with(&p[i], by(state), linger), 0);
	for (int i = 0; i < MANY; i++) /* those in the middle, then the others */
		assert_int_equal(tz_process_kill(p[(i * 7 + 20) % MANY]), 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(exit_code(p[i]), -SIGKILL);
}

static tz_process *joined;
static int others_ran;

static void joins(void)
{
	others_ran += 100 * (tz_process_join_until(joined, soon()) == 0);
}
TZ_TASK(void, joins, void);

static void runs_beside(void)
{
	others_ran++;
	(void)tz_process_kill(joined);
}
TZ_TASK(void, runs_beside, void);

static void both(void)
{
	(void)tz_gather(tz_spawn(joins), tz_spawn(runs_beside));
}
TZ_TASK(void, both, void);

/* A coroutine that joins lets the other one run, which ends the process. */
static void suspends_a_coroutine(void **state)
{
	others_ran = 0;
	assert_int_equal(tz_process_open_with(&joined, by(state), linger), 0);
	assert_int_equal(tz_run(both), 0);
	assert_int_equal(others_ran, 101);
	assert_int_equal(exit_code(joined), -SIGKILL);
}

static void starts_when_told(void **state)
{
	tz_process *p = NULL, *never = NULL;
	int fds[2], code;
	char text[16] = "", name[64];
	tz_process_options o = { .method = method_of(state), .insist = EMULATED, .deferred = true, .name = "later" };

	make_pipe(fds);
	o.fds = &fds[1];
	o.nfds = 1;
	assert_int_equal(tz_process_open_with(&p, &o, say, fds[1], "late", (tz_bytes){ NULL, 0 }), 0);
	assert_int_equal(tz_process_open_with(&never, &o, nothing), 0);
	o.fds = NULL;
	assert_false(tz_process_alive(p));
	assert_int_equal(tz_process_join(p), -EINVAL);
	assert_int_equal(tz_process_exitcode(p, &code), -EINVAL);
	assert_int_equal(tz_process_pid(p), 0);
	assert_int_equal(tz_process_sentinel(p), -EINVAL);
	assert_int_equal(tz_process_kill(p), -EINVAL);
	assert_int_equal(tz_process_name(p, name, sizeof name), 5);
	assert_string_equal(name, "later");
	assert_int_equal(tz_process_start(p), 0);
	assert_int_equal(tz_process_start(p), -EALREADY);
	assert_int_equal(exit_code(p), 0);
	assert_int_equal(read(fds[0], text, sizeof text), 4);
	assert_int_equal(tz_process_close(never), 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void ask_about(void **state, bool daemon, bool may_start, struct about *ret)
{
	tz_process *p = NULL;
	int fds[2];
	tz_process_options o = { .method = method_of(state), .insist = EMULATED, .name = "somebody", .daemon = daemon, .may_start = may_start };

	o.authkey = "abc";
	o.authkey_size = 3;
	make_pipe(fds);
	o.fds = &fds[1];
	o.nfds = 1;
	assert_int_equal(tz_process_open_with(&p, &o, tell_about_self, fds[1]), 0);
	(void)close(fds[1]);
	assert_int_equal(tz_process_daemon(p), daemon);
	assert_int_equal(read(fds[0], ret, sizeof *ret), sizeof *ret);
	assert_int_equal(ret->pid, tz_process_pid(p));
	assert_int_equal(exit_code(p), 0);
	(void)close(fds[0]);
}

static void knows_itself_and_its_parent(void **state)
{
	struct about a;

	if (method_of(state) == TZ_START_FORK && !THREADS_AFTER_FORK) {
		skip();
		return;
	}
	ask_about(state, false, false, &a);
	assert_int_equal(a.parent, getpid()); /* not the nursery */
	assert_string_equal(a.name, "somebody");
	assert_int_equal(a.daemon, 0);
	assert_int_equal(a.can_start, 0); /* children of children */
	assert_int_equal(a.key, 1);
	assert_int_equal(a.inherits_default, tz_start_method_default());
	assert_null(tz_process_parent());
	ask_about(state, true, false, &a);
	assert_int_equal(a.daemon, 1);
	assert_int_equal(a.can_start, -EPERM);
	ask_about(state, true, true, &a);
	assert_int_equal(a.can_start, 0);
}

static void runs_an_object(void **state)
{
	tz_process *p = NULL;
	int fds[2], seen[4];
	tz_process_options o = { .method = method_of(state), .insist = EMULATED };
	counter c;

	make_pipe(fds);
	o.fds = &fds[1];
	o.nfds = 1;
	c = (counter){ fds[1], 3 };
	assert_int_equal(tz_process_open_object(&p, &o, counter, &c), 0);
	assert_int_equal(exit_code(p), 0);
	assert_int_equal(read(fds[0], seen, sizeof seen), 3 * sizeof *seen);
	assert_int_equal(seen[2], 2);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* A pointer means something in a fork only. */
static void refuses_what_cannot_travel(void **state)
{
	tz_process *p = NULL;
	int here = 1;
	int e = tz_process_open_with(&p, by(state), point_at, &here);

	if (method_of(state) == TZ_START_FORK) {
		assert_int_equal(e, 0);
		assert_int_equal(exit_code(p), 0);
		return;
	}
	assert_int_equal(e, -ENOTSUP);
	assert_null(p);
	assert_string_equal(tz_last()->task, "point_at");
	assert_non_null(strstr(tz_last()->message, "const int *"));
}

static void refuses_nonsense(void **state)
{
	tz_process *p = NULL;
	tz_process_options o = *by(state), bad_stream = o, bad_mask = o, bad_reserved = o, bad_method = o;

	bad_stream.output = -3;
	bad_mask.umask = 01000 + 1;
	bad_reserved.reserved[3] = 1;
	bad_method.method = (tz_start_method)4;
	assert_int_equal(tz_process_open_with(&p, &bad_stream, nothing), -EINVAL);
	assert_int_equal(tz_process_open_with(&p, &bad_mask, nothing), -EINVAL);
	assert_int_equal(tz_process_open_with(&p, &bad_reserved, nothing), -EINVAL);
	assert_int_equal(tz_process_open_with(&p, &bad_method, nothing), -EINVAL);
	assert_null(p);
	assert_int_equal(tz_process_close(NULL), 0);
	tz_process_detach(NULL);
	assert_int_equal(tz_process_join(tz_process_current()), -EDEADLK);
	assert_int_equal(tz_process_close(tz_process_current()), -EBUSY);
	assert_int_equal(tz_process_list(NULL, 0), 0);
}

static void cats(void)
{
	char text[64];
	ssize_t n = read(0, text, sizeof text);

	(void)!write(1, text, n > 0 ? (size_t)n : 0);
	(void)!write(2, "e", 1);
}
TZ_TASK(void, cats, void);

static void has_the_streams_it_was_given(void **state)
{
	tz_process *p = NULL;
	int in[2], out[2];
	char text[64] = "";
	tz_process_options o = { .method = method_of(state), .insist = EMULATED };

	make_pipe(in);
	make_pipe(out);
	o.input = TZ_STREAM_FD(in[0]);
	o.output = o.error = TZ_STREAM_FD(out[1]);
	assert_int_equal(write(in[1], "abc", 3), 3);
	assert_int_equal(tz_process_open_with(&p, &o, cats), 0);
	assert_int_equal(exit_code(p), 0);
	assert_int_equal(read(out[0], text, sizeof text), 4);
	assert_string_equal(text, "abce");
	o.input = TZ_STREAM_DEFAULT; /* there is nothing to read */
	assert_int_equal(tz_process_open_with(&p, &o, cats), 0);
	assert_int_equal(exit_code(p), 0);
	assert_int_equal(read(out[0], text, sizeof text), 1);
	for (int i = 0; i < 2; i++) {
		(void)close(in[i]);
		(void)close(out[i]);
	}
}

/* --- the methods --------------------------------------------------------------------------------------------------------------- */

static void the_default_is_set_once(void **state)
{
	tz_process *p = NULL;

	(void)state;
	assert_int_equal(tz_start_method_default(), TZ_START_FORKSERVER);
	assert_int_equal(tz_start_method_set_default((tz_start_method)0), -EINVAL);
	assert_int_equal(tz_start_method_set_default(TZ_START_SPAWN), 0);
	assert_int_equal(tz_start_method_set_default(TZ_START_SPAWN), 0);
	assert_int_equal(tz_start_method_set_default(TZ_START_FORK), -EALREADY);
	assert_int_equal(tz_start_method_default(), TZ_START_SPAWN);
	assert_int_equal(tz_process_open(&p, nothing), 0);
	assert_int_equal(exit_code(p), 0);
	assert_string_equal(tz_start_method_name(TZ_START_SPAWN), "spawn");
	assert_string_equal(tz_start_method_name((tz_start_method)9), "unknown");
}

static void *hold_still(void *arg)
{
	char c;

	(void)!read(*(int *)arg, &c, 1);
	return NULL;
}

static _Atomic bool holds_memory;

static void *hold_memory(void *arg)
{
	void *volatile held = malloc(100);

	atomic_store(&holds_memory, true);
	(void)hold_still(arg);
	free(held);
	return NULL;
}

/* A sanitizer that looks for leaks would find it in the child, where there is no such thread, and end that with a code of its own. */
static void a_fork_has_not_leaked_what_threads_hold(void **state)
{
	tz_process *p = NULL;
	tz_process_options o = { .method = TZ_START_FORK, .insist = true };
	pthread_t other;
	int fds[2];

	(void)state;
	make_pipe(fds);
	assert_int_equal(pthread_create(&other, NULL, hold_memory, &fds[0]), 0);
	for (int i = 0; i < 20000 && !atomic_load(&holds_memory); i++)
		(void)poll(NULL, 0, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tz_process_open_with(&p, &o, leave_by, 24), 0);
		assert_int_equal(exit_code(p), 24);
	}
	(void)close(fds[1]);
	assert_int_equal(pthread_join(other, NULL), 0);
	(void)close(fds[0]);
}

static void a_fork_is_refused_where_threads_run(void **state)
{
	tz_process *p = NULL;
	tz_process_options o = { .method = TZ_START_FORK };
	pthread_t other;
	int fds[2];

	(void)state;
	make_pipe(fds);
	assert_int_equal(pthread_create(&other, NULL, hold_still, &fds[0]), 0);
	assert_int_equal(tz_process_open_with(&p, &o, nothing), -EDEADLK);
	o.insist = true;
	assert_int_equal(tz_process_open_with(&p, &o, nothing), 0);
	assert_int_equal(exit_code(p), 0);
	(void)close(fds[1]);
	assert_int_equal(pthread_join(other, NULL), 0);
	(void)close(fds[0]);
}

/* --- the end of the application -------------------------------------------------------------------------------------------------- */

static void write_later(int fd, double seconds)
{
	(void)tz_sleep(seconds);
	(void)!write(fd, "later", 5);
}
TZ_TASK(void, write_later, int, double);

static void stay(int fd)
{
	struct sigaction a = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGTERM, &a, NULL);
	(void)!write(fd, "s", 1);
	for (int i = 0; i < 60; i++)
		(void)tz_sleep(1);
}
TZ_TASK(void, stay, int);

enum how { BY_EXIT, DAEMON_BY_EXIT, STUBBORN_BY_EXIT, KILLED, STUBBORN_KILLED };

/* This program anew, as an application that starts one process and ends: what the process writes, and that it is gone then. */
static ssize_t end_application(tz_start_method method, enum how how, char *text, size_t size)
{
	int fds[2], status;
	size_t got = 0;
	pid_t pid;

	make_pipe(fds);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char args[3][16];

		(void)snprintf(args[0], sizeof args[0], "%d", (int)method);
		(void)snprintf(args[1], sizeof args[1], "%d", (int)how);
		(void)snprintf(args[2], sizeof args[2], "%d", fds[1]);
		(void)fcntl(fds[1], F_SETFD, 0);
		(void)execl("/proc/self/exe", "process", "application", args[0], args[1], args[2], (char *)NULL);
		_exit(127);
	}
	(void)close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (;;) { /* its end is that of all who hold it */
		struct pollfd p = { .fd = fds[0], .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, 20000), 1);
		n = read(fds[0], text + got, size - got);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	(void)close(fds[0]);
	assert_int_equal(status, how >= KILLED ? SIGKILL : 0);
	return (ssize_t)got;
}

static void start_writer(tz_process_options *o, int fd, double seconds)
{
	tz_process *p;

	if (tz_process_open_with(&p, o, write_later, fd, seconds) < 0)
		_exit(1);
	tz_process_detach(p);
}

static void start_one(tz_process_options *o, int fd)
{
	start_writer(o, fd, 0.2);
}

/* Which is to be ended long before it writes, on a busy machine too. */
static void start_slow(tz_process_options *o, int fd)
{
	start_writer(o, fd, 15);
}

static void start_daemon(tz_process_options *o, int fd)
{
	o->daemon = true;
	start_slow(o, fd);
}

static void start_stubborn(tz_process_options *o, int fd)
{
	tz_deadline end = soon();
	tz_process *p;

	if (tz_process_open_with(&p, o, stay, fd) < 0)
		_exit(1);
	/* It does not listen from when it has written something. */
	for (int written = 0; written == 0; (void)tz_sleep(0.001))
		if (ioctl(fd, FIONREAD, &written) < 0 || tz_expired(end))
			_exit(1);
	(void)tz_process_exit_grace(0.1);
}

/* main() of that application. */
static void be_application(char **args)
{
	static void (*const starts[])(tz_process_options *o, int fd) = { start_one, start_daemon, start_stubborn, start_slow, start_stubborn };
	tz_process_options o = { .method = (tz_start_method)atoi(args[0]), .insist = true };
	enum how how = (enum how)atoi(args[1]);
	int fd = atoi(args[2]);

	o.fds = &fd;
	o.nfds = 1;
	starts[how](&o, fd);
	if (how >= KILLED)
		(void)raise(SIGKILL);
	exit(0);
}

static void ends_with_the_application(void **state)
{
	char text[64];

	if (!PROCESSES) { /* this program cannot be executed */
		skip();
		return;
	}
	/* exit() waits for it; a daemon is terminated; who does not listen is killed. */
	assert_int_equal(end_application(method_of(state), BY_EXIT, text, sizeof text), 5);
	assert_int_equal(end_application(method_of(state), DAEMON_BY_EXIT, text, sizeof text), 0);
	assert_int_equal(end_application(method_of(state), STUBBORN_BY_EXIT, text, sizeof text), 1);
	/* The application is killed: none outlives it. */
	assert_int_equal(end_application(method_of(state), KILLED, text, sizeof text), 0);
	assert_int_equal(end_application(method_of(state), STUBBORN_KILLED, text, sizeof text), 1);
}

/* In the place of a case that needs a nursery. */
static void cannot_be_run(void **state)
{
	(void)state;
	skip();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void **state);
	} cases[] = {
		{ "runs a function", runs_a_function },
		{ "tells how it ended", tells_how_it_ended },
		{ "survives pthread_exit", survives_pthread_exit },
		{ "has answers while it runs", has_answers_while_it_runs },
		{ "is interrupted and killed", is_interrupted_and_killed },
		{ "is joined by any thread", is_joined_by_any_thread },
		{ "has many beside it", has_many_beside_it },
		{ "suspends a coroutine that joins it", suspends_a_coroutine },
		{ "starts when told", starts_when_told },
		{ "knows itself and its parent", knows_itself_and_its_parent },
		{ "runs an object", runs_an_object },
		{ "refuses what cannot travel", refuses_what_cannot_travel },
		{ "refuses nonsense", refuses_nonsense },
		{ "has the streams it was given", has_the_streams_it_was_given },
		{ "ends with the application", ends_with_the_application },
	};
	static const tz_start_method methods[] = { TZ_START_FORK, TZ_START_FORKSERVER, TZ_START_SPAWN };
	static char names[64][96];
	struct CMUnitTest tests[64] = { { "the default method is set once", PROCESSES ? the_default_is_set_once : cannot_be_run, NULL, NULL, NULL } };
	size_t n = 1;

	if (argc == 5 && strcmp(argv[1], "application") == 0)
		be_application(argv + 2);
	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 1);
	(void)signal(SIGINT, SIG_DFL); /* a shell that has put us into the background ignores it for us */
	for (size_t m = 0; m < 3; m++) {
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			(void)snprintf(names[n], sizeof names[n], "a process by %s %s", tz_start_method_name(methods[m]), cases[i].name);
			tests[n] = (struct CMUnitTest){ names[n], PROCESSES || methods[m] == TZ_START_FORK ? cases[i].fn : cannot_be_run, NULL, NULL,
							(void *)(intptr_t)methods[m] };
			n++;
		}
	}
	tests[n++] = (struct CMUnitTest){ "a fork is refused where threads run", a_fork_is_refused_where_threads_run, NULL, NULL, NULL };
	tests[n++] = (struct CMUnitTest){ "a fork has not leaked what threads hold", a_fork_has_not_leaked_what_threads_hold, NULL, NULL, NULL };
	return _cmocka_run_group_tests("process", tests, n, NULL, NULL);
}
