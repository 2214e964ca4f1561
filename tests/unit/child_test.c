/* Children: how they start, what they are given, and how their ends are told. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/child.h"
#include "abilities.h"
#include "check.h"
#include "proc.h"

/* What the child writes to its first descriptor about itself; it does what the first byte of its blob says. */
static int report(const struct tz_birth *b)
{
	char cwd[4096], text[8192];
	mode_t mask = umask(0);
	struct rlimit files;
	int n;

	if (!getcwd(cwd, sizeof cwd) || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 99;
	n = snprintf(text, sizeof text, "blob=%.*s cwd=%s umask=%o parent=%d env=%s name=%s files=%d null=%d", (int)b->size,
		     (const char *)b->blob, cwd, (unsigned)mask, (int)b->parent, getenv("CHILD_TEST") ? getenv("CHILD_TEST") : "none",
		     b->name, (int)files.rlim_cur, isatty(0) || lseek(0, 0, SEEK_CUR) < 0);
	return write(b->fds[0], text, (size_t)n) == n ? 7 : 98;
}

static int child_main(const struct tz_birth *b)
{
	switch (b->size ? *(const char *)b->blob : 0) {
	case 'r':
		return report(b);
	case 's':
		for (;;)
			(void)pause();
	case 'k':
		(void)raise(SIGKILL);
		return 1;
	case 'e':
		exit(23);
	case 'l': { /* a large blob: its sum */
		unsigned sum = 0;

		for (size_t i = 1; i < b->size; i++)
			sum += ((const unsigned char *)b->blob)[i];
		return (int)(sum % 251);
	}
	case 'f': /* which descriptors are open */
		for (int fd = 3; fd < 100; fd++)
			if (fcntl(fd, F_GETFD) >= 0 && write(b->fds[0], &fd, sizeof fd) < 0)
				return 98;
		return 0;
	default:
		return 0;
	}
}

__attribute__((constructor(1000))) static void set_entry(void)
{
	atomic_store(&tz_child_entries[TZ_CHILD_PROCESS], child_main);
}

/* --- helpers ------------------------------------------------------------------------------------------------- */

static struct tz_child_exit last;
static _Atomic int ended;

static void on_exit_of_child(struct tz_child *c, const struct tz_child_exit *how, void *arg)
{
	(void)c;
	(void)arg;
	last = *how;
	atomic_fetch_add(&ended, 1);
}

static struct tz_child_start plain(enum tz_child_method method, const char *blob)
{
	return (struct tz_child_start){
		.method = method,
		.blob = blob,
		.size = strlen(blob),
		.on_exit = on_exit_of_child,
		.insist = EMULATED, /* the emulator has a thread of its own */
	};
}

static void wait_for(int n)
{
	for (int i = 0; i < 20000 && atomic_load(&ended) < n; i++)
		(void)poll(NULL, 0, 1);
	assert_int_equal(atomic_load(&ended), n);
}

static struct tz_child *begin(const struct tz_child_start *s)
{
	struct tz_child *c = NULL;

	atomic_store(&ended, 0);
	assert_int_equal(tz_child_start(&c, s), 0);
	assert_true(tz_child_pid(c) > 0);
	return c;
}

/* Runs it to its end. */
static struct tz_child_exit run(const struct tz_child_start *s)
{
	struct tz_child *c = begin(s);

	wait_for(1);
	tz_child_unref(c);
	return last;
}

static void method_of(void **state, enum tz_child_method *ret)
{
	*ret = (enum tz_child_method)(intptr_t)*state;
}

/* --- cases ---------------------------------------------------------------------------------------------------- */

static void returns_its_code(void **state)
{
	enum tz_child_method m;

	method_of(state, &m);
	struct tz_child_start s = plain(m, "n"), x = plain(m, "e");

	assert_int_equal(run(&s).code, 0);
	assert_int_equal(run(&x).code, 23);
	assert_true(last.pid > 0);
	assert_true(last.run_ns > 0);
	assert_true(last.peak_bytes > 0);
}

static void tells_the_signal(void **state)
{
	enum tz_child_method m;

	method_of(state, &m);
	struct tz_child_start s = plain(m, "k");

	assert_int_equal(run(&s).signal, SIGKILL);
	assert_int_equal(last.code, -1);
	assert_false(last.lost);
}

static void can_be_signalled(void **state)
{
	enum tz_child_method m;

	method_of(state, &m);
	struct tz_child_start s = plain(m, "s");
	struct tz_child *c = begin(&s);
	struct tz_child_exit how;
	struct pollfd p = { .fd = tz_child_pidfd(c), .events = POLLIN };

	assert_true(p.fd >= 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_false(tz_child_ended(c, &how));
	assert_int_equal(tz_child_signal(c, 0), 0);
	assert_int_equal(tz_child_signal(c, SIGTERM), 0);
	assert_int_equal(poll(&p, 1, 20000), 1);
	wait_for(1);
	assert_int_equal(last.signal, SIGTERM);
	assert_true(tz_child_ended(c, &how));
	assert_int_equal(tz_child_signal(c, 0), -ESRCH);
	tz_child_unref(c);
}

static void becomes_what_was_asked(void **state)
{
	enum tz_child_method m;
	int pipe_fds[2];
	char text[8192] = "", want[8192], variable[] = "CHILD_TEST=yes", *env[] = { variable, NULL };

	method_of(state, &m);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	struct tz_child_start s = plain(m, "report");
	s.fds = &pipe_fds[1];
	s.nfds = 1;
	s.env = env;
	s.cwd = "/usr";
	s.umask = 0131 + 1;
	s.name = "a child";
	s.in = TZ_CHILD_NULL;
	s.limits = (const struct tz_child_limit[]){ { RLIMIT_NOFILE, { 77, 100 } } };
	s.nlimits = 1;
	assert_int_equal(run(&s).code, 7);
	assert_true(read(pipe_fds[0], text, sizeof text - 1) > 0);
	(void)snprintf(want, sizeof want, "blob=report cwd=/usr umask=131 parent=%d env=yes name=a child files=77 null=0", (int)getpid());
	assert_string_equal(text, want);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

/* What is not asked for is as in the application now, not as it was when the nursery was started. */
static void is_as_the_application(void **state)
{
	enum tz_child_method m;
	int pipe_fds[2];
	char text[8192] = "", want[16384], cwd[4096], there[] = "/tmp";
	mode_t before = umask(0123);

	method_of(state, &m);
	assert_non_null(getcwd(cwd, sizeof cwd));
	assert_int_equal(chdir(there), 0);
	assert_int_equal(setenv("CHILD_TEST", "now", 1), 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	struct tz_child_start s = plain(m, "report");
	s.fds = &pipe_fds[1];
	s.nfds = 1;
	assert_int_equal(run(&s).code, 7);
	assert_true(read(pipe_fds[0], text, sizeof text - 1) > 0);
	(void)snprintf(want, sizeof want, "blob=report cwd=/tmp umask=123 parent=%d env=now name=", (int)getpid());
	assert_memory_equal(text, want, strlen(want));
	(void)umask(before);
	assert_int_equal(chdir(cwd), 0);
	assert_int_equal(unsetenv("CHILD_TEST"), 0);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

static void takes_a_large_blob(void **state)
{
	enum tz_child_method m;
	size_t size = 3 << 20;
	unsigned char *blob = malloc(size);
	unsigned sum = 0;

	method_of(state, &m);
	assert_non_null(blob);
	blob[0] = 'l';
	for (size_t i = 1; i < size; i++)
		sum += blob[i] = (unsigned char)(i * 7);
	struct tz_child_start s = plain(m, "");

	s.blob = blob;
	s.size = size;
	assert_int_equal(run(&s).code, (int)(sum % 251));
	free(blob);
}

/* Only what was listed: not what the application has open, without close-on-exec, from before or after the nursery's start. */
static void inherits_what_is_listed(void **state)
{
	enum tz_child_method m;
	int pipe_fds[2], open_one = open("/dev/null", O_RDONLY), keep = fcntl(open_one, F_DUPFD, 60), seen[100], n;

	method_of(state, &m);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	struct tz_child_start s = plain(m, "f");
	s.fds = &pipe_fds[1];
	s.nfds = 1;
	s.keep = &keep;
	s.nkeep = 1;
	assert_int_equal(run(&s).code, 0);
	n = (int)read(pipe_fds[0], seen, sizeof seen) / (int)sizeof *seen;
	assert_int_equal(n, 2);
	assert_int_equal(seen[1], keep);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	(void)close(open_one);
	(void)close(keep);
}

static void refuses_nonsense(void **state)
{
	enum tz_child_method m;
	struct tz_child *c = NULL;
	int low = 1, closed = 999;

	method_of(state, &m);
	struct tz_child_start s = plain(m, "n"), t = s, u = s, v = s;
	s.cwd = "/nowhere/at/all";
	assert_int_equal(tz_child_start(&c, &s), -ENOENT);
	t.keep = &low;
	t.nkeep = 1;
	assert_int_equal(tz_child_start(&c, &t), -EINVAL);
	u.fds = &closed;
	u.nfds = 1;
	assert_int_equal(tz_child_start(&c, &u), -EBADF);
	v.limits = (const struct tz_child_limit[]){ { RLIMIT_NOFILE, { 100, 77 } } };
	v.nlimits = 1;
	assert_int_equal(tz_child_start(&c, &v), -EINVAL);
	assert_null(c);
}

/* The application never meets them. */
static void are_nobodys_business(void **state)
{
	struct tz_child_start s = plain((enum tz_child_method)(intptr_t)*state, "n");

	assert_int_equal(run(&s).code, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* The nursery is killed: its children end, and are told of; the next start makes another. */
static void survive_the_nurserys_death(void **state)
{
	enum tz_child_method m;

	method_of(state, &m);
	struct tz_child_start s = plain(m, "s"), n = plain(m, "n");
	struct tz_child *c = begin(&s);
	pid_t nursery = parent_of(tz_child_pid(c));

	assert_true(nursery > 1);
	assert_int_not_equal(nursery, getpid());
	assert_int_equal(kill(nursery, SIGKILL), 0);
	wait_for(1);
	assert_true(last.lost || last.signal == SIGKILL);
	tz_child_unref(c);
	for (int i = 0; i < 20; i++) {
		int e;

		atomic_store(&ended, 0);
		e = tz_child_start(&c, &n);
		if (e == 0)
			break;
		assert_int_equal(e, -ECONNABORTED);
	}
	wait_for(1);
	tz_child_unref(c);
}

static void are_forgotten_by_a_fork(void **state)
{
	struct tz_child_start s = plain((enum tz_child_method)(intptr_t)*state, "s"), n = plain(s.method, "n");
	struct tz_child *c;
	int status;

	if (!THREADS_AFTER_FORK) {
		skip();
		return;
	}
	c = begin(&s);
	pid_t pid = fork();

	if (pid == 0) {
		struct tz_child_exit how;

		if (!tz_child_ended(c, &how) || !how.lost)
			_exit(1);
		tz_child_unref(c);
		atomic_store(&ended, 0);
		if (tz_child_start(&c, &n) != 0) /* with a nursery of its own */
			_exit(2);
		for (int i = 0; i < 20000 && !atomic_load(&ended); i++)
			(void)poll(NULL, 0, 1);
		_exit(atomic_load(&ended) ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(atomic_load(&ended), 0);
	assert_int_equal(tz_child_signal(c, SIGKILL), 0);
	wait_for(1);
	tz_child_unref(c);
}

/* In the place of a case that needs a nursery. */
static void cannot_be_run(void **state)
{
	(void)state;
	skip();
}

int main(void)
{
	const struct {
		const char *name;
		void (*fn)(void **state);
		int methods;
	} cases[] = {
		{ "returns its code", returns_its_code, 3 },
		{ "tells the signal that ended it", tells_the_signal, 3 },
		{ "can be signalled, and its pidfd polled", can_be_signalled, 3 },
		{ "becomes what was asked for", becomes_what_was_asked, 3 },
		{ "is as the application is", is_as_the_application, 3 },
		{ "takes a large blob", takes_a_large_blob, 3 },
		{ "inherits what is listed", inherits_what_is_listed, 2 },
		{ "refuses nonsense", refuses_nonsense, 3 },
		{ "is not met by wait", are_nobodys_business, 3 },
		{ "survives the nursery", survive_the_nurserys_death, 2 },
		{ "is forgotten by a fork", are_forgotten_by_a_fork, 2 },
	};
	static const char *const methods[] = { "forkserver", "spawn", "fork" };
	static char names[64][96];
	struct CMUnitTest tests[64];
	size_t n = 0;

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 1);
	for (int m = 0; m < 3; m++) {
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			if (m >= cases[i].methods)
				continue;
			(void)snprintf(names[n], sizeof names[n], "a child by %s %s", methods[m], cases[i].name);
			tests[n] = (struct CMUnitTest){ names[n], PROCESSES || m == TZ_CHILD_FORK ? cases[i].fn : cannot_be_run, NULL, NULL,
							(void *)(intptr_t)m };
			n++;
		}
	}
	return _cmocka_run_group_tests("child", tests, n, NULL, NULL);
}
