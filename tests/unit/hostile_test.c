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
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

static int twice(int n)
{
	return 2 * n;
}
TZ_TASK(int, twice, int);

static int shout(int times)
{
	for (int i = 0; i < times; i++)
		(void)!write(2, "-\n", 2);
	return times;
}
TZ_TASK(int, shout, int);

static int shout_and_leave(int size)
{
	char *text = calloc(1, (size_t)size);

	(void)!write(2, text, (size_t)size);
	_exit(3);
}
TZ_TASK(int, shout_and_leave, int);

static void look_for(int fd)
{
	exit(fcntl(fd, F_GETFD) >= 0 ? 5 : 6);
}
TZ_TASK(void, look_for, int);

/* The process's parent is the nursery. It is not there any more then. */
static void kill_nursery(void)
{
	(void)kill(getppid(), SIGKILL);
	for (;;)
		(void)pause();
}
TZ_TASK(void, kill_nursery, void);

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

static int keep_one(int fd, int method)
{
	const tz_process_options o = { .method = (tz_start_method)method, .insist = true, .fds = &fd, .nfds = 1 };
	tz_process *p;
	int e = tz_process_open_with(&p, &o, look_for, fd);

	return e < 0 ? e : code_of(p);
}

/* The nursery was started with fewer descriptors than there are now. */
static void who_raises_the_limit_of_descriptors(void)
{
	struct rlimit limit, few;
	int high;

	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	few = (struct rlimit){ 64, limit.rlim_max };
	if (limit.rlim_max < 600)
		return;
	MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
	works(ALL);
	few.rlim_cur = 600;
	MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
	high = fcntl(0, F_DUPFD_CLOEXEC, 500);
	for (int m = TZ_START_FORK; m <= TZ_START_FORKSERVER; m++) {
		MUST(keep_one(high, m) == 5);
		MUST(dup2(0, 599) == 599);
		MUST(keep_one(599, m) == 5);
	}
	works(ALL);
}

/* The highest number that there can be, and low ones that the child itself gets on the way. */
static void who_keeps_the_first_and_the_last_number(void)
{
	struct rlimit limit = { 64, 64 };
	int fds[21] = { 63 };

	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (int i = 1; i <= 20; i++)
		fds[i] = 2 + i;
	for (int m = TZ_START_FORK; m <= TZ_START_FORKSERVER; m++) {
		const tz_process_options o = { .method = (tz_start_method)m, .insist = true, .fds = fds, .nfds = 21 };
		tz_process *p;

		for (int i = 0; i <= 20; i++)
			MUST(fcntl(fds[i], F_GETFD) >= 0 || dup2(0, fds[i]) == fds[i]);
		MUST(tz_process_open_with(&p, &o, look_for, 63) == 0);
		MUST(code_of(p) == 5);
	}
}

/* What fails in the child is said once, and nothing of it stays behind. */
static void when_starts_fail_and_the_nursery_dies(void)
{
	struct rlimit limit, few;
	tz_process *p;

	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	few = (struct rlimit){ 64, limit.rlim_max };
	MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
	works(FORKSERVER);
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	MUST(dup2(0, 100) == 100);
	for (int i = 0; i < 3; i++) {
		const tz_process_limit l = { RLIMIT_NOFILE, { 64, 64 } };
		const tz_process_options o = { .fds = (const int[]){ 100 }, .nfds = 1, .limits = &l, .nlimits = 1 };
		int e = tz_process_open_with(&p, &o, leave_by, 1);

		MUST(e == -EBADF || e == 0);
		if (e == 0)
			MUST(code_of(p) == 1);
	}
	MUST(tz_process_open(&p, kill_nursery) == 0);
	MUST(tz_process_join_until(p, tz_after(30)) == 0); /* how it ended, nobody may know */
	MUST(tz_process_close(p) == 0);
	works(FORKSERVER);
}

/* --- files ------------------------------------------------------------------------------------------------------------------------- */

/* Whatever lies in a file without a name counts as one. */
static void whose_files_are_limited(void)
{
	struct rlimit none = { 4096, 4096 };
	char *large = malloc(200001);
	tz_process *p;
	int e;

	memset(large, 'x', 200000);
	large[200000] = '\0';
	MUST(setrlimit(RLIMIT_FSIZE, &none) == 0);
	works(FORKSERVER | FORK);
	MUST(setenv("LARGE", large, 1) == 0);
	e = tz_process_open(&p, leave_by, 3);
	MUST(e == -ENOSPC);
	MUST(unsetenv("LARGE") == 0);
	works(FORKSERVER | FORK);
}

static void who_starts_those_that_write_no_files(void)
{
	for (int m = TZ_START_FORK; m <= TZ_START_FORKSERVER; m++) {
		tz_process_limit none = { RLIMIT_FSIZE, { 0, 0 } };

		if (m == TZ_START_SPAWN && BUILT_FOR_SANITIZER)
			continue; /* whose runtime writes a file when a program begins */
		tz_process_options o = { .method = (tz_start_method)m, .insist = true, .limits = &none, .nlimits = 1 };
		tz_process *p;

		MUST(tz_process_open_with(&p, &o, leave_by, 9) == 0);
		MUST(code_of(p) == 9);
	}
}

/* --- others who look ---------------------------------------------------------------------------------------------------------------- */

static _Atomic bool enough;

/* Starts that fail, as the child finds out. */
static void *fail_to_start(void *unused)
{
	const tz_process_options o = { .ncpus = 1, .cpus = (const int[]){ 8000 } };
	tz_process *p;

	(void)unused;
	while (!enough)
		MUST(tz_process_open_with(&p, &o, leave_by, 1) == -EINVAL);
	return NULL;
}

static void who_lists_what_is_being_started(void)
{
	int listed = 0;
	pthread_t thread;

	works(FORKSERVER);
	MUST(pthread_create(&thread, NULL, fail_to_start, NULL) == 0);
	for (int i = 0; i < 20000 && listed < 50; i++) {
		tz_process *p;
		int e, code;

		if (tz_process_list(&p, 1) == 0) {
			(void)poll(NULL, 0, 0);
			continue;
		}
		listed++;
		e = tz_process_join_until(p, tz_after(30));
		MUST(e == -EINVAL);
		MUST(tz_process_exitcode(p, &code) == -EINVAL);
		MUST(tz_process_close(p) == 0);
	}
	MUST(listed > 0);
	enough = true;
	MUST(pthread_join(thread, NULL) == 0);
}

static void who_exits_while_something_is_started(void)
{
	pthread_t thread;

	works(FORKSERVER);
	MUST(pthread_create(&thread, NULL, fail_to_start, NULL) == 0);
	(void)poll(NULL, 0, 50);
}

/* --- pools -------------------------------------------------------------------------------------------------------------------------- */

static tz_executor *open_pool(const char *spec)
{
	tz_executor *ex;

	MUST(tz_executor_open(&ex, spec) == 0);
	return ex;
}

static void pool_works(tz_executor *ex)
{
	twice_future f = tz_submit(ex, twice, 21);
	int v = 0;

	MUST(tz_wait(f, tz_after(30)) == 0);
	MUST(tz_result(f, &v) == 0 && v == 42);
}

/* Not even the way to a worker can be made. The job waits, or fails; it does not wait for ever. */
static void pool_without_descriptors(void)
{
	struct rlimit limit = { 64, 64 };
	int taken[64], n = 0;
	tz_executor *ex;
	twice_future f;

	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	ex = open_pool("processes:2");
	while ((taken[n] = dup(0)) >= 0)
		n++;
	f = tz_submit(ex, twice, 1);
	MUST(tz_wait(f, tz_after(30)) == 0);
	MUST(tz_result(f, NULL) == -EREMOTEIO);
	MUST(tz_last()->code == -EMFILE);
	tz_executor_close(ex);
	while (n > 0)
		(void)close(taken[--n]);
	ex = open_pool("processes:2");
	while ((taken[n] = dup(0)) >= 0)
		n++;
	f = tz_submit(ex, twice, 21);
	while (n > 0)
		(void)close(taken[--n]);
	MUST(tz_wait(f, tz_after(30)) == 0); /* nobody has to submit anything for that */
	MUST(tz_detach(f) == 0);
	tz_executor_close(ex);
}

static void *keep_shouting(void *ex)
{
	while (!enough) {
		shout_future f = tz_submit(ex, shout, 200);

		(void)tz_result(f, NULL);
	}
	return NULL;
}

/* The child of a fork opens a pool of its own, whatever the threads were at that are not there any more. */
static void pool_after_a_fork_beside_a_loud_worker(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	tz_executor *ex;
	pthread_t thread;

	if (!THREADS_AFTER_FORK)
		return;
	complain_to = fcntl(2, F_DUPFD_CLOEXEC, 50);
	(void)dup2(null, 2);
	ex = open_pool("processes:2");
	pool_works(ex);
	MUST(pthread_create(&thread, NULL, keep_shouting, ex) == 0);
	for (int i = 0; i < 60; i++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0) {
			(void)alarm(20);
			ex = open_pool("processes:1");
			pool_works(ex);
			tz_executor_close(ex);
			_exit(0);
		}
		MUST(waitpid(pid, &status, 0) == pid);
		MUST(status == 0);
	}
	enough = true;
	MUST(pthread_join(thread, NULL) == 0);
	tz_executor_close(ex);
}

/* Nobody reads our standard error any more. A worker writes there, and dies, which a thread hears that waits for something else. */
static void pool_with_a_broken_standard_error(void)
{
	tz_executor *ex;
	int ends[2];

	complain_to = fcntl(2, F_DUPFD_CLOEXEC, 50);
	MUST(pipe2(ends, O_CLOEXEC) == 0 && dup2(ends[1], 2) == 2 && close(ends[0]) == 0 && close(ends[1]) == 0);
	ex = open_pool("processes:1");
	for (int i = 0; i < 40; i++) {
		shout_and_leave_future f = tz_submit(ex, shout_and_leave, 60000);
		tz_process *p;

		MUST(tz_process_open(&p, leave_by, 3) == 0);
		MUST(tz_process_join(p) == 0 && tz_process_close(p) == 0);
		MUST(tz_wait(f, tz_after(30)) == 0);
		MUST(tz_detach(f) == 0);
	}
	tz_executor_close(ex);
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

/* As after `su nobody` in the home directory of somebody else: what it is in cannot be opened, nor entered once more. */
static void who_may_not_enter_its_directory(void)
{
	char path[] = "/tmp/trenza-hostile-XXXXXX";

	MUST(mkdtemp(path) && chdir(path) == 0 && rmdir(path) == 0); /* nor found by its name */
	MUST(setgroups(0, NULL) == 0 && setgid(65533) == 0 && setuid(65533) == 0);
	MUST(open(".", O_PATH) < 0 && errno == EACCES);
	works(ALL);
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
		CASE(who_raises_the_limit_of_descriptors),
		CASE(who_keeps_the_first_and_the_last_number),
		CASE(when_starts_fail_and_the_nursery_dies),
		CASE(whose_files_are_limited),
		CASE(who_starts_those_that_write_no_files),
		CASE(who_lists_what_is_being_started),
		CASE(who_exits_while_something_is_started),
		CASE(pool_without_descriptors),
		CASE(pool_after_a_fork_beside_a_loud_worker),
		CASE(pool_with_a_broken_standard_error),
		CASE(when_processes_run_out),
		CASE(without_processes_from_the_start),
		CASE(who_leads_a_new_session),
		{ "who_drops_privileges", run_as_root, NULL, NULL, (void *)(uintptr_t)who_drops_privileges },
		{ "who_may_not_enter_its_directory", run_as_root, NULL, NULL, (void *)(uintptr_t)who_may_not_enter_its_directory },
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
