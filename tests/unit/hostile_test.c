/* Processes in hostile applications: those that meddle with children, have closed or exhausted things, or run under a filter of system calls. Each case is a
 * program of its own, a fork of this one. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "abilities.h"
#include "check.h"

static void leave_by(int code)
{
	exit(code);
}
TZ_TASK(void, leave_by, int);

static void die_by(int signal)
{
	(void)raise(signal);
}
TZ_TASK(void, die_by, int);

static void tell_user(void)
{
	exit((int)getuid() % 256 + (geteuid() != getuid()));
}
TZ_TASK(void, tell_user, void);

static void tell_session(int session)
{
	exit(getsid(0) == session ? 5 : 6);
}
TZ_TASK(void, tell_session, int);

static void check_streams(void)
{
	int ok = 1;

	for (int fd = 0; fd < 3; fd++)
		ok = ok && fcntl(fd, F_GETFD) >= 0;
	exit(ok ? 5 : 6);
}
TZ_TASK(void, check_streams, void);

#ifdef __SANITIZE_ADDRESS__
/* The search for leaks is done by a child that it waits for, which these programs do not let it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

/* --- a program of its own -------------------------------------------------------------------------------------------------- */

static int complain_to = 2;

/* What a case says is wrong: its line. */
#define MUST(condition) \
	do { \
		if (!(condition)) { \
			dprintf(complain_to, "# line %d: %s\n", __LINE__, #condition); \
			_exit(1); \
		} \
	} while (0)

enum { FORK = 1 << TZ_START_FORK, SPAWN = 1 << TZ_START_SPAWN, FORKSERVER = 1 << TZ_START_FORKSERVER, ALL = FORK | SPAWN | FORKSERVER };

static int code_of(tz_process *p)
{
	int code = 999;

	MUST(tz_process_join_until(p, tz_after(30)) == 0);
	MUST(tz_process_exitcode(p, &code) == 0);
	MUST(tz_process_close(p) == 0);
	return code;
}

static bool knows_status_of_reaped(void)
{
	/* Of a fork that somebody else has reaped, kernels before 6.15 tell nothing, and a process that a signal ended could leave no record. */
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	unsigned char info[64] = { 8 };
	bool knows = fd >= 0 && syscall(SYS_ioctl, fd, 0xc040ff0bUL, info) == 0;

	(void)close(fd);
	return knows;
}

/* Processes start, and end as they end. */
static void works(int methods)
{
	for (int m = TZ_START_FORK; m <= TZ_START_FORKSERVER; m++) {
		tz_process_options o = { .method = (tz_start_method)m, .insist = true };
		tz_process *p, *q;

		if (!(methods & 1 << m))
			continue;
		for (int i = 0; i < 3; i++) {
			MUST(tz_process_open_with(&p, &o, leave_by, 20 + i) == 0);
			MUST(code_of(p) == 20 + i);
		}
		if (m == TZ_START_FORK && !knows_status_of_reaped())
			continue;
		MUST(tz_process_open_with(&q, &o, die_by, SIGKILL) == 0);
		MUST(code_of(q) == -SIGKILL);
	}
}

static void as_program(void (*body)(void))
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)alarm(100);
		body();
		exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- children ---------------------------------------------------------------------------------------------------------------- */

static void with_sigchld_ignored(void)
{
	(void)signal(SIGCHLD, SIG_IGN);
	works(ALL);
}

static void with_no_zombies(void)
{
	struct sigaction a = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };

	(void)sigaction(SIGCHLD, &a, NULL);
	works(ALL);
}

static void *reap_all(void *unused)
{
	(void)unused;
	for (;;)
		if (waitpid(-1, NULL, 0) < 0)
			(void)poll(NULL, 0, 1);
	return NULL;
}

static void with_a_thread_in_wait(void)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, reap_all, NULL) == 0);
	works(ALL);
}

static int children_seen;

static void count_child(int signal)
{
	(void)signal;
	children_seen++;
}

static void with_a_handler(void)
{
	struct sigaction a = { .sa_handler = count_child, .sa_flags = SA_RESTART };

	(void)sigaction(SIGCHLD, &a, NULL);
	works(FORKSERVER | SPAWN);
	MUST(children_seen == 0);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void in_a_storm_of_signals(void)
{
	struct sigaction a = { .sa_handler = on_alarm };
	timer_t timer;
	struct itimerspec often = { { 0, 200000 }, { 0, 200000 } };

	(void)sigaction(SIGUSR1, &a, NULL);
	MUST(timer_create(CLOCK_MONOTONIC, &(struct sigevent){ .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 }, &timer) == 0);
	MUST(timer_settime(timer, 0, &often, NULL) == 0);
	works(ALL);
}

static void with_all_signals_blocked(void)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	works(ALL);
}

/* --- descriptors and limits ---------------------------------------------------------------------------------------------------- */

static void have_streams(void)
{
	tz_process *p;

	for (int m = TZ_START_FORK; m <= TZ_START_FORKSERVER; m++) {
		tz_process_options o = { .method = (tz_start_method)m, .insist = true };

		MUST(tz_process_open_with(&p, &o, check_streams) == 0);
		MUST(code_of(p) == 5);
	}
}

static void with_stdin_closed(void)
{
	(void)close(0);
	works(ALL);
	have_streams();
}

static void with_all_streams_closed(void)
{
	complain_to = fcntl(2, F_DUPFD_CLOEXEC, 50);
	for (int fd = 0; fd < 3; fd++)
		(void)close(fd);
	works(ALL);
	have_streams();
}

static void with_few_descriptors(void)
{
	struct rlimit few = { 20, 20 };

	MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
	works(ALL);
}

/* The lowest number that is free, and stays free for a while: the thread that watches may be on its way out of the last process's end. */
static int lowest_free(void)
{
	int lowest = -1;

	for (int same = 0, i = 0; same < 20 && i < 2000; i++) {
		int fd = dup(0);

		(void)close(fd);
		same = fd == lowest ? same + 1 : 0;
		lowest = fd;
		(void)poll(NULL, 0, 5);
	}
	return lowest;
}

/* Descriptors run out at any point of a start: it says so, leaks none, and works when there are some again. */
static void when_descriptors_run_out(void)
{
	struct rlimit limit = { 40, 40 };
	int taken[64], n = 0, before, after;
	tz_process *p;

	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	works(FORKSERVER);
	before = lowest_free();
	while ((taken[n] = dup(0)) >= 0)
		n++;
	MUST(tz_process_open(&p, leave_by, 1) == -EMFILE);
	while (n > 0) {
		int e;

		(void)close(taken[--n]);
		e = tz_process_open(&p, leave_by, 3);
		MUST(e == -EMFILE || e == 0);
		if (e == 0)
			MUST(code_of(p) == 3);
	}
	after = lowest_free();
	MUST(after == before);
	works(ALL);
}

/* Root is not counted. */
static bool become_nobody(void)
{
	return getuid() != 0 || (setgroups(0, NULL) == 0 && setgid(65533) == 0 && setuid(65533) == 0);
}

static void when_processes_run_out(void)
{
	struct rlimit none = { 0, 0 };
	tz_process *p;
	int e;

	MUST(become_nobody());
	works(FORKSERVER);
	MUST(setrlimit(RLIMIT_NPROC, &none) == 0);
	e = tz_process_open(&p, leave_by, 1);
	MUST(e == -EAGAIN || e == 0); /* its limit is set when it has been forked */
	if (e == 0)
		MUST(code_of(p) == 1);
}

static void without_processes_from_the_start(void)
{
	struct rlimit none = { 0, 0 };
	tz_process *p;

	MUST(become_nobody());
	MUST(setrlimit(RLIMIT_NPROC, &none) == 0);
	MUST(tz_process_open(&p, leave_by, 1) == -EAGAIN);
	MUST(tz_process_open(&p, leave_by, 1) == -EAGAIN);
}

/* --- users ------------------------------------------------------------------------------------------------------------------------ */

static void who_drops_privileges(void)
{
	tz_process *p;

	works(FORKSERVER);
	MUST(setgroups(0, NULL) == 0 && setgid(65533) == 0 && setuid(65533) == 0);
	for (int m = TZ_START_FORK; m <= TZ_START_FORKSERVER; m++) {
		tz_process_options o = { .method = (tz_start_method)m, .insist = true };

		MUST(tz_process_open_with(&p, &o, tell_user) == 0);
		MUST(code_of(p) == 65533 % 256);
	}
}

static void who_leads_a_new_session(void)
{
	tz_process *p;

	works(FORKSERVER);
	MUST(setsid() == getpid());
	MUST(tz_process_open(&p, tell_session, (int)getpid()) == 0);
	MUST(code_of(p) == 5);
}

/* --- filters ----------------------------------------------------------------------------------------------------------------------- */

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

/* From now on, these system calls answer with that error. */
static void forbid(const int *numbers, size_t n, int error)
{
	struct sock_filter code[64];
	struct sock_fprog program = { .filter = code };
	unsigned short at = 0;

	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < n; i++) {
		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i], 0, 1);
		code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error);
	}
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = at;
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static int forbidden_error;

/* Each by itself, in a filter of its own, then all of them. */
static void under_filters(void)
{
	static const int numbers[] = { SYS_memfd_create, SYS_close_range, SYS_pidfd_open, SYS_pidfd_send_signal };
	static const size_t n = sizeof numbers / sizeof *numbers;

	for (size_t i = 0; i <= n; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			(void)alarm(50);
			forbid(i < n ? &numbers[i] : numbers, i < n ? 1 : n, forbidden_error);
			works(ALL);
			exit(0);
		}
		MUST(waitpid(pid, &status, 0) == pid);
		if (status)
			dprintf(complain_to, "# forbidden: %d\n", i < n ? numbers[i] : -1);
		MUST(status == 0);
	}
}

static void under_a_filter_that_came_later(void)
{
	static const int numbers[] = { SYS_memfd_create, SYS_close_range, SYS_pidfd_open };

	works(ALL);
	forbid(numbers, 3, EPERM);
	works(ALL);
}

static void without_clone3(void)
{
	static const int number = SYS_clone3;

	forbid(&number, 1, ENOSYS);
	works(ALL);
}

/* Then glibc cannot start a thread either: nothing works, but that is said. */
static void where_clone3_is_forbidden(void)
{
	static const int number = SYS_clone3;
	pthread_t thread;
	tz_process *p;

	forbid(&number, 1, EPERM);
	if (pthread_create(&thread, NULL, reap_all, NULL) == 0)
		works(ALL);
	else
		MUST(tz_process_open(&p, leave_by, 1) == -EPERM);
}

/* --- the cases ------------------------------------------------------------------------------------------------------------------------ */

static void run_case(void **state)
{
	void (*body)(void);

	memcpy(&body, state, sizeof body);
	as_program(body);
}

static void run_filters(void **state)
{
	forbidden_error = (int)(intptr_t)*state;
	as_program(under_filters);
}

static void run_as_root(void **state)
{
	if (getuid() != 0) {
		skip();
		return;
	}
	run_case(state);
}

#define CASE(fn) { #fn, run_case, NULL, NULL, (void *)(uintptr_t)(fn) }

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(with_sigchld_ignored),
		CASE(with_no_zombies),
		CASE(with_a_thread_in_wait),
		CASE(with_a_handler),
		CASE(in_a_storm_of_signals),
		CASE(with_all_signals_blocked),
		CASE(with_stdin_closed),
		CASE(with_all_streams_closed),
		CASE(with_few_descriptors),
		CASE(when_descriptors_run_out),
		CASE(when_processes_run_out),
		CASE(without_processes_from_the_start),
		CASE(who_leads_a_new_session),
		{ "who_drops_privileges", run_as_root, NULL, NULL, (void *)(uintptr_t)who_drops_privileges },
		{ "under_filters_that_say_ENOSYS", run_filters, NULL, NULL, (void *)(intptr_t)ENOSYS },
		{ "under_filters_that_say_EPERM", run_filters, NULL, NULL, (void *)(intptr_t)EPERM },
		CASE(under_a_filter_that_came_later),
		CASE(without_clone3),
		CASE(where_clone3_is_forbidden),
	};

	if (!PROCESSES) {
		puts(NO_PROCESSES);
		return 0;
	}
	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 1);
	return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
