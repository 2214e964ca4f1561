/* Launching a nursery.
 *
 * Design notes
 *
 * The application must never meet the nursery in its wait(-1) or in SIGCHLD, and a start must cost the same however large it is. So the nursery is the child
 * of a process that has ended. Both are made as vfork makes them, sharing the application's memory until they execute something or end; nothing
 * of it is copied. The one in between is made without a signal for its end, which hides it from all waits but those that ask for such children; that is how it is reaped here.
 *
 * What runs in the two runs beside the application's other threads, in their memory, with the calling thread's thread-local data: plain system calls only, no
 * function of libc that has state, and nothing that a sanitizer follows. All signals are blocked meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/fds.h"
#include "os/sanitizer.h"
#include "process/boot.h"
#include "process/nursery.h"

extern char **environ;

/* The thread sanitizer of newer compilers puts its own function before clone(). */
int __clone(int (*fn)(void *arg), void *stack, int flags, void *arg, ...);

enum { STACK = 16 << 10 };

struct launch {
	const char *program;
	char **argv, **env;
	int socket; /* the nursery's end, 3 or higher */
	int library; /* the boot library; or -1 */
	int error;
	_Alignas(16) char outer[STACK], inner[STACK];
};

/* The kernel's struct sigaction. */
struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

TZ_NO_SANITIZE static void set_disposition(int signal, void (*handler)(int))
{
	struct kernel_action a = { .handler = handler };

	(void)syscall(SYS_rt_sigaction, signal, &a, NULL, sizeof a.mask);
}

/* What a handler was set for, exec resets. What the terminal sends to the whole group must not reach the nursery even before it has begun. */
TZ_NO_SANITIZE static void set_signals(void)
{
	uint64_t none = 0;

	for (int n = 1; n <= 64; n++)
		if (n != SIGKILL && n != SIGSTOP && n != 32 && n != 33)
			set_disposition(n, n == SIGINT || n == SIGTERM || n == SIGHUP || n == SIGQUIT ? SIG_IGN : SIG_DFL);
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

/* /dev/null for what it reads and prints; its errors are seen. */
TZ_NO_SANITIZE static int set_descriptors(struct launch *l)
{
	int null = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);

	if (null < 0)
		return -errno;
	(void)syscall(SYS_fcntl, l->socket, F_SETFD, 0);
	if (l->library >= 0)
		(void)syscall(SYS_fcntl, l->library, F_SETFD, 0);
	for (int fd = 0; fd < 3; fd++)
		if (fd != null && (fd < 2 || syscall(SYS_fcntl, fd, F_GETFD) < 0))
			(void)syscall(SYS_dup3, null, fd, 0);
	tz_fds_close_from(3, l->socket, l->library);
	return 0;
}

TZ_NO_SANITIZE static int inner_main(void *arg)
{
	struct launch *l = arg;

	set_signals();
	l->error = set_descriptors(l);
	if (l->error == 0) {
		(void)syscall(SYS_execve, l->program, l->argv, l->env);
		l->error = errno == ENOMEM || errno == EAGAIN ? -errno : -ENOEXEC;
	}
	(void)syscall(SYS_exit_group, 127);
	return 0;
}

TZ_NO_SANITIZE static int outer_main(void *arg)
{
	struct launch *l = arg;

	if (__clone(inner_main, l->inner + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, l) < 0)
		l->error = -errno;
	/* Valgrind, for which this is a copy of the application, would flush its stdio if it ended otherwise. */
	(void)syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	(void)syscall(SYS_exit_group, 0);
	return 0;
}

static int run(struct launch *l)
{
	sigset_t all, old;
	siginfo_t info;
	int state, pid, e;

	(void)sigfillset(&all);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = __clone(outer_main, l->outer + STACK, CLONE_VM | CLONE_VFORK, l);
	e = pid < 0 ? -errno : 0;
	/* By another thread's wait for all there are, it may have been reaped. */
	while (e == 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | __WCLONE) < 0 && errno == EINTR)
		;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_setcancelstate(state, NULL);
	return e < 0 ? e : l->error;
}

static char **copy_environment(const struct tz_boot *boot)
{
	size_t n = 0;
	char **env;

	while (environ && environ[n])
		n++;
	env = calloc(n + 3, sizeof *env);
	if (!env)
		return NULL;
	if (n)
		memcpy(env + 2, environ, n * sizeof *env);
	tz_boot_put(boot, env);
	return env;
}

static int launch(int socket)
{
	struct tz_boot boot;
	char *argv[] = { program_invocation_name, NULL };
	struct launch *l;
	int e = tz_boot_prepare(&boot, TZ_BOOT_NURSERY, socket, getpid(), getenv("LD_PRELOAD"));

	if (e < 0)
		return e;
	l = calloc(1, sizeof *l);
	if (l) {
		l->program = boot.program;
		l->argv = argv;
		l->env = copy_environment(&boot);
		l->socket = socket;
		l->library = boot.library;
	}
	e = l && l->env ? run(l) : -ENOMEM;
	if (l)
		free(l->env);
	free(l);
	tz_boot_free(&boot);
	return e;
}

int tz_nursery_launch(int *ret_socket)
{
	int pair[2], e;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pair[0] = tz_fds_above_standard(pair[0]);
	pair[1] = tz_fds_above_standard(pair[1]);
	e = pair[0] < 0 ? pair[0] : pair[1] < 0 ? pair[1] : launch(pair[1]);
	if (pair[1] >= 0)
		(void)close(pair[1]);
	if (e == 0)
		*ret_socket = pair[0];
	else if (pair[0] >= 0)
		(void)close(pair[0]);
	return e;
}
