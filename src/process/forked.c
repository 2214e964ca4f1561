/* A child by fork of the application. See forked.h.
 *
 * Design notes
 *
 * It must die with the application, however that ends. PR_SET_PDEATHSIG would kill it as soon as the *thread* that forked ended. Instead it holds the reading
 * end of a pipe that asks for SIGKILL as its SIGIO: when the last writing end is closed, which is the application's, the kernel sends it.
 *
 * Anybody's wait(-1) can take its status away, and SIGCHLD ignored drops it. The kernel tells it of a pidfd all the same, if it is new enough; else there
 * is what the child itself has left in a shared word on its way through exit().
 *
 * The leak sanitizer would search such a child on its way through exit(), too: memory of which only threads of the parent know, on their stacks, counts as leaked there, and
 * the exit code would be the sanitizer's. What was allocated is the parent's to free, so the child is not searched.
 */
#include "process/forked.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/strand.h"
#include "os/fds.h"
#include "os/pidfd.h"
#include "os/sanitizer.h"
#include "process/nursery.h"
#include "process/request.h"

enum { RECORD_SIZE = 4096 };

extern char **environ;

void tz_forked_init(struct tz_forked *f)
{
	*f = (struct tz_forked){ -1, -1, NULL };
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void tz_forked_forget(struct tz_forked *f)
{
	close_one(&f->life);
	close_one(&f->status);
}

void tz_forked_done(struct tz_forked *f)
{
	tz_forked_forget(f);
	if (f->record)
		(void)munmap((void *)f->record, RECORD_SIZE);
	f->record = NULL;
}

/* --- may it ----------------------------------------------------------------------------------------------------------------------- */

static int count_threads(void)
{
	struct stat st;

	if (stat("/proc/self/task", &st) < 0)
		return 1;
	return (int)st.st_nlink - 2 - TZ_TSAN; /* the thread sanitizer has one of its own */
}

static int check(const struct tz_child_start *start, int own_threads)
{
	if (tz_strand_self()->flags & TZ_STRAND_NO_SPIN)
		return -ENOTSUP; /* a coroutine: the loop below it is the parent's */
	return !start->insist && count_threads() - own_threads > 1 ? -EDEADLK : 0;
}

/* --- in the child ----------------------------------------------------------------------------------------------------------------- */

static _Atomic int *own_record;

static void leave_record(int status, void *unused)
{
	(void)unused;
	atomic_store(own_record, (status & 0xff) + 1);
}

static void bind_life_to(int life)
{
	struct pollfd p = { .fd = life };

	if (fcntl(life, F_SETOWN, getpid()) < 0 || fcntl(life, F_SETSIG, SIGKILL) < 0 || fcntl(life, F_SETFL, O_ASYNC) < 0 ||
	    poll(&p, 1, 0) != 0)
		_exit(127);
}

#if TZ_ASAN
static bool is_child;

/* A hook of the leak sanitizer. The program may have its own. */
__attribute__((weak, visibility("default"))) int __lsan_is_turned_off(void)
{
	return is_child;
}
#endif

/* What the thread was in the middle of is the parent's. */
static void leave_strand(void)
{
	struct tz_strand *s = tz_strand_self();

	s->scope = NULL;
	s->frame = NULL;
	s->worker = NULL;
	s->on_block = NULL;
	s->on_job_end = NULL;
}

static int become(struct tz_request_message *m)
{
	static int fds[REQUEST_FDS];
	struct tz_birth birth;
	int none = -1, first = m->file >= 0, e;

	for (int i = first; i < m->nfds; i++) {
		fds[i - first] = fcntl(m->fds[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i - first] < 0)
			return -errno;
	}
	e = tz_request_apply(m->block, fds, m->nfds - first, &none, m->block->ignored, &birth);
	if (e == 0)
		e = tz_request_limit(m->block);
	if (e == 0)
		tz_birth_set_own(&birth);
	return e;
}

/* Does not return. */
static void run_child(const struct tz_child_start *start, struct tz_request_message *m, int life, int answer)
{
	int pidfd = tz_fds_above_standard(tz_pidfd_open(getpid()));
	tz_child_main run = atomic_load(&tz_child_entries[start->entry]);
	sigset_t none;
	int e, code;

	bind_life_to(life);
#if TZ_ASAN
	is_child = true;
#endif
	leave_strand();
	(void)on_exit(leave_record, NULL);
	e = become(m);
	if (e == 0 && start->env) {
		char **env = tz_request_environment(m->block, 0);

		if (env)
			environ = env;
		else
			e = -ENOMEM;
	}
	(void)tz_fds_send(answer, &e, sizeof e, &pidfd, pidfd >= 0, 0);
	if (e < 0)
		_exit(127);
	(void)close(answer);
	if (pidfd >= 0)
		(void)close(pidfd);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	code = run ? run(tz_birth_own()) : 127;
	leave_record(code, NULL);
	(void)fflush(NULL);
	_exit(code);
}

/* --- starting ----------------------------------------------------------------------------------------------------------------------- */

struct pipes {
	int life[2], answer[2], status[2];
};

static void close_pair(int *pair)
{
	close_one(&pair[0]);
	close_one(&pair[1]);
}

static int open_pipes(struct pipes *p)
{
	memset(p, -1, sizeof *p);
	if (pipe2(p->life, O_CLOEXEC) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->answer) < 0 ||
	    pipe2(p->status, O_CLOEXEC) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		p->life[i] = tz_fds_above_standard(p->life[i]);
		p->answer[i] = tz_fds_above_standard(p->answer[i]);
		p->status[i] = tz_fds_above_standard(p->status[i]);
		if (p->life[i] < 0 || p->answer[i] < 0 || p->status[i] < 0)
			return -EMFILE;
	}
	return 0;
}

static void close_pipes(struct pipes *p)
{
	close_pair(p->life);
	close_pair(p->answer);
	close_pair(p->status);
}

/* What is in the buffers is to be written once. Another thread may hold one for ever. */
static void flush_before(bool others_run)
{
	FILE *const streams[] = { stdout, stderr };

	if (!others_run)
		(void)fflush(NULL);
	for (size_t i = 0; i < 2 && others_run; i++) {
		if (ftrylockfile(streams[i]) != 0)
			continue;
		(void)fflush(streams[i]);
		funlockfile(streams[i]);
	}
}

/* What the child says of itself: how it went, and its pidfd, which only it can open: by the time that we could, it may have ended and been reaped by others. */
static int await_answer(int answer, int *ret_pidfd)
{
	int e = 0, n = 1;

	*ret_pidfd = -1;
	(void)tz_fds_receive(answer, &e, sizeof e, ret_pidfd, &n, 0);
	*ret_pidfd = tz_fds_above_standard(*ret_pidfd);
	if (e < 0 && *ret_pidfd >= 0)
		(void)close(*ret_pidfd);
	return e;
}

static int fork_now(struct tz_forked *f, const struct tz_child_start *start, struct tz_request_message *m, struct pipes *p, pid_t *ret_pid,
		    int *ret_pidfd)
{
	int e;
	pid_t pid;

	flush_before(start->insist);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close_one(&p->life[1]);
		close_one(&p->answer[0]);
		close_one(&p->status[0]);
		own_record = f->record;
		run_child(start, m, p->life[0], p->answer[1]);
	}
	close_one(&p->life[0]);
	close_one(&p->answer[1]);
	close_one(&p->status[1]);
	e = await_answer(p->answer[0], ret_pidfd);
	*ret_pid = pid;
	if (e < 0)
		(void)waitpid(pid, NULL, 0);
	return e;
}

int tz_forked_start(struct tz_forked *f, const struct tz_child_start *start, int own_threads, pid_t *ret_pid, int *ret_pidfd)
{
	struct tz_request_message m;
	struct pipes p;
	void *record;
	int e = check(start, own_threads);

	if (e < 0)
		return e;
	e = tz_request_make(&m, start, 0, NULL);
	if (e < 0)
		return e;
	record = mmap(NULL, RECORD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	f->record = record == MAP_FAILED ? NULL : record;
	e = f->record ? open_pipes(&p) : -ENOMEM;
	if (e == 0)
		e = fork_now(f, start, &m, &p, ret_pid, ret_pidfd);
	if (e == 0) {
		f->life = p.life[1];
		p.life[1] = -1;
		if (*ret_pidfd < 0) {
			*ret_pidfd = -1;
			f->status = p.status[0];
			p.status[0] = -1;
		}
	}
	if (f->record)
		close_pipes(&p);
	tz_request_free(&m);
	return e;
}

/* --- its end ------------------------------------------------------------------------------------------------------------------------ */

/* The kernel may say so a moment after it has said that there is nothing to wait for. One that never will says, as in between, that there is no such process. */
static int last_status(int pidfd, int *ret_status)
{
	int e = pidfd < 0 ? -ENOSYS : tz_pidfd_last_status(pidfd, ret_status);

	for (int i = 0; i < 20 && (e == -EAGAIN || e == -ESRCH); i++) {
		(void)poll(NULL, 0, 1);
		e = tz_pidfd_last_status(pidfd, ret_status);
	}
	return e;
}

static void learn_otherwise(const struct tz_forked *f, int pidfd, struct tz_child_exit *how)
{
	int status, left = f->record ? atomic_load(f->record) : 0;

	if (last_status(pidfd, &status) == 0) {
		tz_child_exit_set(how, status, NULL);
	} else if (left > 0) {
		how->code = left - 1;
	} else {
		how->code = -1;
		how->lost = true;
	}
}

bool tz_forked_learn_end(const struct tz_forked *f, pid_t pid, int pidfd, struct tz_child_exit *how)
{
	struct rusage usage;
	int status, e;

	if (pidfd >= 0) {
		e = tz_pidfd_reap(pidfd, &status, &usage);
	} else {
		pid_t r = wait4(pid, &status, WNOHANG, &usage);

		e = r == pid ? 0 : r == 0 ? -EAGAIN : -errno;
	}
	if (e == -EAGAIN) {
		if (pidfd < 0)
			(void)poll(NULL, 0, 1); /* it has closed the pipe, but it has not ended yet */
		return false;
	}
	if (e == 0)
		tz_child_exit_set(how, status, &usage);
	else
		learn_otherwise(f, pidfd, how);
	return true;
}
