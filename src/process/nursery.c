/* The nursery. See nursery.h.
 *
 * Design notes
 *
 * One thread, one loop: it sleeps in ppoll for the application's socket and pidfd, with SIGCHLD let in only there; a request is a fork; SIGCHLD is a round of wait4. So
 * nothing here can race. Its own signal handlers and mask are undone in each child before anything of the child's runs.
 *
 * A child reports its own start, on the application's socket, when it has become what was asked for; or why it could not. Only then
 * does it close the socket. So the nursery waits for no child, and the application hears in order: started, ended.
 *
 * The end. When the application has gone (its socket is closed, or its pidfd says so), children get SIGTERM, GRACE_MS later SIGKILL, then the
 * nursery ends. It is a subreaper: what a child leaves behind becomes its child, and ends in the same way. If the nursery itself is killed, its children get SIGKILL from
 * the kernel (PR_SET_PDEATHSIG). That signal goes by the thread that forked, which is why nothing but this process may fork.
 */
#include "process/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/fds.h"
#include "os/fork.h"
#include "os/memfd.h"
#include "os/pidfd.h"
#include "process/boot.h"
#include "process/request.h"

enum {
	GRACE_MS = 50, /* from SIGTERM to SIGKILL, when the application has gone */
	PATIENCE_MS = 5000, /* for processes that do not even die of that */
	LOOK_MS = 500, /* where there is no pidfd to say that the application has gone */
	FEW = 16, /* children, which are noted beside their number: one page to write to for each start */
	PAGE = 4096
};

extern char **environ;

_Atomic(tz_child_main) tz_child_entries[TZ_CHILD_ENTRIES];
_Atomic(tz_child_learn) tz_child_learners[TZ_CHILD_ENTRIES];

struct known {
	uint64_t id, since;
	pid_t pid;
};

static struct {
	int socket, application_fd;
	pid_t application, pid;
	struct known *children, few[FEW];
	size_t n, room;
	struct sigaction before[65]; /* of the signals that are ours */
	uint64_t ignored; /* before they were ours */
	sigset_t waiting; /* the mask of ppoll */
} me;

/* A request begins at a page: a short one is on no more than that. */
static unsigned char inbox_room[REQUEST_INLINE + 16 + PAGE], *inbox;
static struct tz_birth own_birth TZ_WRITTEN_BY_CHILD;
static bool have_birth TZ_WRITTEN_BY_CHILD;

const struct tz_birth *tz_birth_own(void)
{
	return have_birth ? &own_birth : NULL;
}

void tz_birth_set_own(const struct tz_birth *birth)
{
	own_birth = *birth;
	have_birth = true;
}

static uint64_t ns_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

void tz_child_exit_set(struct tz_child_exit *to, int status, const struct rusage *usage)
{
	to->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	to->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	to->core = WIFSIGNALED(status) && WCOREDUMP(status);
	to->cpu_ns = usage ? ns_of(usage->ru_utime) + ns_of(usage->ru_stime) : 0;
	to->peak_bytes = usage ? (uint64_t)usage->ru_maxrss * 1024 : 0;
}

/* --- signals -------------------------------------------------------------------------------------------------------------- */

static const int ours[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE };

static void on_child(int signal)
{
	(void)signal; /* ends ppoll */
}

static void take_signals(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
	struct sigaction a;
	sigset_t all;

	(void)sigfillset(&all);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		(void)sigdelset(&all, faults[i]);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	me.ignored = tz_request_ignored();
	memset(&a, 0, sizeof a);
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		a.sa_handler = ours[i] == SIGCHLD ? on_child : SIG_IGN;
		(void)sigaction(ours[i], &a, &me.before[ours[i]]);
	}
	me.waiting = all;
	(void)sigdelset(&me.waiting, SIGCHLD);
}

/* In a child: those that were ours become what they were, or what the request says of those without a handler. Returns what is ignored then. */
static uint64_t give_signals_back(uint64_t wanted)
{
	uint64_t ignored = me.ignored;

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		struct sigaction a = me.before[ours[i]];
		uint64_t bit = 1ULL << (ours[i] - 1);

		if (!(a.sa_flags & SA_SIGINFO) && (a.sa_handler == SIG_IGN || a.sa_handler == SIG_DFL)) {
			a.sa_handler = wanted & bit ? SIG_IGN : SIG_DFL; /* SIGCHLD is never wanted so */
			ignored = (ignored & ~bit) | (wanted & bit);
		}
		(void)sigaction(ours[i], &a, NULL);
	}
	return ignored;
}

static void let_signals_in(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* --- telling the application --------------------------------------------------------------------------------------------- */

static void tell(int socket, const struct tz_notice *notice, int fd)
{
	(void)tz_fds_send(socket, notice, sizeof *notice, &fd, fd >= 0, 0);
}

static void tell_failure(int socket, uint64_t id, pid_t pid, int error)
{
	struct tz_notice n = { .magic = TZ_NOTICE_MAGIC, .kind = TZ_NOTICE_FAILED, .id = id, .pid = pid, .error = error };

	tell(socket, &n, -1);
}

static void tell_start(int socket, uint64_t id)
{
	struct tz_notice n = { .magic = TZ_NOTICE_MAGIC, .kind = TZ_NOTICE_STARTED, .id = id, .pid = getpid() };
	int fd = tz_pidfd_open(n.pid);

	tell(socket, &n, fd);
	if (fd >= 0)
		(void)close(fd);
}

/* --- in the child --------------------------------------------------------------------------------------------------------- */

/* Dies with the nursery. */
static void bind_life_to(pid_t nursery)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != nursery)
		_exit(127);
}

static int run_entry(unsigned entry, const struct tz_birth *birth)
{
	tz_child_main run = atomic_load(&tz_child_entries[entry]);

	tz_birth_set_own(birth);
	return run ? run(tz_birth_own()) : 127;
}

/* Executes the program anew. */
struct record {
	uint32_t magic;
	int32_t reply, nursery, nfds;
	int32_t fds[REQUEST_FDS + 1];
};
_Static_assert(sizeof(struct record) % 8 == 0, "the request follows");

enum { RECORD_MAGIC = 0x545a5331, RECORD_SIZE = (sizeof(struct record) + 15) / 16 * 16 };

static int write_record(int file, const struct record *head, const struct tz_request *r)
{
	const char *from = (const char *)r;
	size_t done = 0;

	if (pwrite(file, head, sizeof *head, 0) != (ssize_t)sizeof *head)
		return -ENOSPC;
	while (done < r->size) {
		ssize_t n = pwrite(file, from + done, r->size - done, (off_t)(RECORD_SIZE + done));

		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		done += (size_t)n;
	}
	return 0;
}

static const char *preload_of(char **env)
{
	for (; *env; env++)
		if (strncmp(*env, "LD_PRELOAD=", 11) == 0)
			return *env + 11;
	return NULL;
}

/* Comes back only with an error. */
static int execute_anew(struct tz_request *r, const struct tz_birth *birth, int socket)
{
	struct record head = { RECORD_MAGIC, socket, me.pid, birth->nfds, { 0 } };
	char *argv[] = { program_invocation_name, NULL }, **env = tz_request_environment(r, 2);
	int file = tz_memfd("trenza-birth"), e = file < 0 ? file : env ? 0 : -ENOMEM;
	struct tz_boot boot;

	if (birth->nfds)
		memcpy(head.fds, birth->fds, sizeof(int) * (size_t)birth->nfds);
	e = e < 0 ? e : write_record(file, &head, r);
	e = e < 0 ? e : tz_boot_prepare(&boot, TZ_BOOT_SPAWN, file, r->parent, preload_of(env + 2));
	if (e < 0)
		return e;
	tz_boot_put(&boot, env);
	for (int i = 0; i < birth->nfds; i++)
		(void)tz_fds_set_cloexec(birth->fds[i], 0);
	(void)tz_fds_set_cloexec(socket, 0);
	(void)tz_fds_set_cloexec(file, 0);
	if (boot.library >= 0)
		(void)tz_fds_set_cloexec(boot.library, 0);
	e = tz_request_limit(r);
	if (e < 0)
		return e;
	let_signals_in();
	(void)execve(boot.program, argv, env);
	e = -errno;
	(void)tz_fds_set_cloexec(socket, 1);
	return e == -ENOENT || e == -EACCES ? -ENOEXEC : e;
}

int tz_nursery_spawned_main(int file)
{
	struct stat st;
	struct record *head;
	struct tz_request *r;
	struct tz_birth birth;

	if (fstat(file, &st) < 0 || st.st_size < (off_t)(RECORD_SIZE + sizeof *r))
		_exit(127);
	head = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	if (head == MAP_FAILED || head->magic != RECORD_MAGIC)
		_exit(127);
	(void)close(file);
	r = (struct tz_request *)(void *)((char *)head + RECORD_SIZE);
	if (!tz_request_is_whole(r, (size_t)st.st_size - RECORD_SIZE) || getppid() != head->nursery)
		_exit(127);
	for (int i = 0; i < head->nfds; i++)
		(void)tz_fds_set_cloexec(head->fds[i], 1);
	tz_request_birth(r, head->fds, &birth);
	if (*birth.name)
		(void)prctl(PR_SET_NAME, birth.name);
	tell_start(head->reply, r->id);
	(void)close(head->reply);
	return run_entry(r->entry, &birth);
}

/* The whole request, if its block came in a file. */
static struct tz_request *load(struct tz_request *r, int file)
{
	void *p = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);

	(void)close(file);
	return p == MAP_FAILED ? NULL : p;
}

static int become(struct tz_request *r, int *fds, int nfds, int *socket, uint64_t ignored)
{
	struct tz_birth birth;
	char **env;
	int e = tz_request_apply(r, fds, nfds, socket, ignored, &birth);

	if (e == 0 && r->method == TZ_CHILD_SPAWN)
		return execute_anew(r, &birth, *socket);
	if (e == 0)
		e = tz_request_limit(r);
	if (e < 0)
		return e;
	/* Most often it is as it was when the nursery was started. Then nothing is written, which would have to be copied for it. */
	if (!tz_request_environment_is(r, environ)) {
		env = tz_request_environment(r, 0);
		if (!env)
			return -ENOMEM;
		environ = env;
	}
	tell_start(*socket, r->id);
	(void)close(*socket);
	let_signals_in();
	tz_birth_set_own(&birth);
	return 0;
}

static int run_child(struct tz_request *r, int *fds, int nfds)
{
	int socket = me.socket, e = 0;
	uint64_t id = r->id, ignored = give_signals_back(r->ignored);

	bind_life_to(me.pid);
	if (me.application_fd >= 0)
		(void)close(me.application_fd);
	if (r->flags & REQUEST_IN_FILE) {
		r = nfds > 0 ? load(r, fds[0]) : NULL;
		fds++;
		nfds--;
	}
	e = r ? become(r, fds, nfds, &socket, ignored) : -ENOMEM;
	if (e < 0) {
		tell_failure(socket, id, getpid(), e);
		_exit(127);
	}
	return run_entry(r->entry, tz_birth_own());
}

/* --- requests -------------------------------------------------------------------------------------------------------------- */

static bool make_room(void)
{
	bool few = me.children == me.few;
	size_t room = me.room * 2;
	struct known *more;

	if (me.n < me.room)
		return true;
	more = realloc(few ? NULL : me.children, room * sizeof *more);
	if (!more)
		return false;
	if (few)
		memcpy(more, me.few, sizeof me.few);
	me.children = more;
	me.room = room;
	return true;
}

/* For the children to come, while this one begins. What came in a file is not looked at. */
static void learn_from(const struct tz_request *r)
{
	tz_child_learn learn = atomic_load(&tz_child_learners[r->entry]);

	if (learn && r->method == TZ_CHILD_FORKSERVER && !(r->flags & REQUEST_IN_FILE))
		learn((const char *)r + r->blob, r->blob_size);
}

/* In the child, true: the birth is at hand. */
static bool start_child(struct tz_request *r, int *fds, int nfds, int *ret_code)
{
	uint64_t now = tz_clock_now();
	pid_t pid;

	if (nfds < 0 || !make_room()) {
		tell_failure(me.socket, r->id, 0, nfds < 0 ? -EMFILE : -ENOMEM);
		return false;
	}
	pid = fork();
	if (pid == 0) {
		*ret_code = run_child(r, fds, nfds);
		return true;
	}
	if (pid < 0) {
		tell_failure(me.socket, r->id, 0, -errno);
		return false;
	}
	me.children[me.n++] = (struct known){ r->id, now, pid };
	learn_from(r);
	return false;
}

static void obey(const struct tz_order *o)
{
	for (size_t i = 0; i < me.n; i++)
		if (me.children[i].id == o->id)
			(void)kill(me.children[i].pid, o->signal);
}

/* --- the loop ---------------------------------------------------------------------------------------------------------------- */

enum next { GO_ON, APPLICATION_GONE, IN_CHILD };

static enum next take_one(int *ret_code)
{
	int fds[TZ_FDS_MAX], nfds = TZ_FDS_MAX;
	ssize_t n = tz_fds_receive(me.socket, inbox, REQUEST_INLINE + 16, fds, &nfds, MSG_DONTWAIT);
	struct tz_request *r = (struct tz_request *)(void *)inbox;
	size_t have;

	if (n == -EAGAIN || n == -ENOMEM || n == -ENOBUFS)
		return GO_ON;
	if (n <= 0)
		return APPLICATION_GONE;
	have = (size_t)n;
	if (have == sizeof(struct tz_order) && r->magic == TZ_ORDER_MAGIC) {
		obey((const struct tz_order *)(void *)inbox);
	} else if (have >= sizeof *r && r->magic == REQUEST_MAGIC && r->entry < TZ_CHILD_ENTRIES) {
		bool whole = r->flags & REQUEST_IN_FILE ? r->size >= sizeof *r : tz_request_is_whole(r, have);

		if (!whole)
			tell_failure(me.socket, r->id, 0, -EPROTO);
		else if (start_child(r, fds, nfds, ret_code))
			return IN_CHILD;
	}
	while (nfds > 0)
		(void)close(fds[--nfds]);
	return GO_ON;
}

static void tell_end(const struct known *k, int status, const struct rusage *usage)
{
	struct tz_child_exit how;
	struct tz_notice n = { .magic = TZ_NOTICE_MAGIC, .kind = TZ_NOTICE_ENDED, .id = k->id, .pid = k->pid, .status = status };

	tz_child_exit_set(&how, status, usage);
	n.run_ns = tz_clock_now() - k->since;
	n.cpu_ns = how.cpu_ns;
	n.peak_bytes = how.peak_bytes;
	tell(me.socket, &n, -1);
}

/* Whether there are more that live. */
static bool reap(void)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG | __WALL, &usage)) > 0) {
		for (size_t i = 0; i < me.n; i++) {
			if (me.children[i].pid != pid)
				continue;
			tell_end(&me.children[i], status, &usage);
			me.children[i] = me.children[--me.n];
			break;
		}
	}
	return pid == 0;
}

static bool application_lives(void)
{
	return kill(me.application, 0) == 0 || errno != ESRCH;
}

static enum next serve(int *ret_code)
{
	struct pollfd p[2] = { { .fd = me.socket, .events = POLLIN }, { .fd = me.application_fd, .events = POLLIN } };
	struct timespec look = { 0, LOOK_MS * 1000000L };

	for (;;) {
		int n = ppoll(p, 2, me.application_fd < 0 ? &look : NULL, &me.waiting);
		enum next next = GO_ON;

		if (n < 0)
			p[0].revents = p[1].revents = 0;
		(void)reap();
		if (p[1].revents || (n == 0 && !application_lives()))
			return APPLICATION_GONE;
		if (p[0].revents)
			next = take_one(ret_code);
		if (next != GO_ON)
			return next;
	}
}

/* --- the end ------------------------------------------------------------------------------------------------------------------ */

/* Of those that it started, and of what these have left behind. */
static void signal_all(int signal)
{
	char path[64], *line = NULL;
	size_t room = 0;
	FILE *f;

	for (size_t i = 0; i < me.n; i++)
		(void)kill(me.children[i].pid, signal);
	(void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)me.pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (getline(&line, &room, f) > 0) {
		char *rest = line;

		for (char *word; (word = strtok_r(rest, " \n", &rest));)
			if (strtol(word, NULL, 10) > 1)
				(void)kill((pid_t)strtol(word, NULL, 10), signal);
	}
	free(line);
	(void)fclose(f);
}

static void wait_for_all(int ms)
{
	uint64_t end = tz_clock_now() + (uint64_t)ms * 1000000u, now;

	while (reap() && (now = tz_clock_now()) < end) {
		struct timespec left = { (time_t)((end - now) / 1000000000u), (long)((end - now) % 1000000000u) };

		(void)ppoll(NULL, 0, &left, &me.waiting);
	}
}

static void end_all(void)
{
	(void)close(me.socket);
	if (!reap())
		return;
	signal_all(SIGTERM);
	wait_for_all(GRACE_MS);
	for (int i = 0; i < 50 && reap(); i++) { /* a child may have left some more behind */
		signal_all(SIGKILL);
		wait_for_all(PATIENCE_MS / 50);
	}
}

static bool is_our_socket(int socket)
{
	struct ucred peer;
	socklen_t n = sizeof peer;

	return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && peer.uid == geteuid();
}

int tz_nursery_main(int socket, pid_t application)
{
	struct tz_notice ready = { .magic = TZ_NOTICE_MAGIC, .kind = TZ_NOTICE_READY };
	int code = 127;

	if (!is_our_socket(socket))
		_exit(127);
	inbox = inbox_room + (-(uintptr_t)inbox_room & (PAGE - 1));
	me.children = me.few;
	me.room = FEW;
	me.socket = socket;
	me.application = application;
	me.pid = ready.pid = getpid();
	me.application_fd = tz_pidfd_open(application);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)prctl(PR_SET_NAME, "trenza-nursery");
	take_signals();
	tell(socket, &ready, -1);
	if (serve(&code) == IN_CHILD)
		return code;
	end_all();
	_exit(0);
}
