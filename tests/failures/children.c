/* Processes: what others do to their statuses, what they inherit, what they are forked from. See failures.h. */
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
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "failures.h"

static bool in_main; /* main() has run in this process */

static void leave_by(int code)
{
	exit(code);
}
TZ_TASK(void, leave_by, int);

static void linger(void)
{
	(void)alarm(60); /* of nobody's business after that */
	for (;;)
		(void)pause();
}
TZ_TASK(void, linger, void);

static int end_of(tz_process *p)
{
	int code = 999;

	assert_int_equal(tz_process_join_until(p, soon()), 0);
	assert_int_equal(tz_process_exitcode(p, &code), 0);
	assert_int_equal(tz_process_close(p), 0);
	return code;
}

/* --- 44: others wait for the same process, or for any ------------------------------------------------------------------------------ */

static _Atomic bool enough;

static void *wait_for_any(void *unused)
{
	(void)unused;
	while (!atomic_load(&enough))
		if (waitpid(-1, NULL, 0) < 0)
			(void)poll(NULL, 0, 1);
	return NULL;
}

static void *join_too(void *arg)
{
	int code = 999;

	(void)tz_process_join_until(arg, soon());
	if (tz_process_alive(arg) || tz_process_exitcode(arg, &code) != 0)
		return (void *)(intptr_t)-1;
	return (void *)(intptr_t)code;
}

static void row_44_everybody_hears_the_exit_code(void **state)
{
	pthread_t thief, joiners[3];
	tz_process *p;

	(void)state;
	atomic_store(&enough, false);
	assert_int_equal(pthread_create(&thief, NULL, wait_for_any, NULL), 0);
	for (int m = TZ_START_FORK; m <= TZ_START_FORKSERVER; m++) {
		tz_process_options o = { .method = (tz_start_method)m, .insist = true };

		for (int round = 0; round < 5; round++) {
			void *code;

			assert_int_equal(tz_process_open_with(&p, &o, leave_by, 7), 0);
			for (int i = 0; i < 3; i++)
				assert_int_equal(pthread_create(&joiners[i], NULL, join_too, p), 0);
			for (int i = 0; i < 3; i++) {
				assert_int_equal(pthread_join(joiners[i], &code), 0);
				assert_int_equal((intptr_t)code, 7);
			}
			assert_int_equal(end_of(p), 7);
		}
	}
	atomic_store(&enough, true);
	assert_int_equal(pthread_join(thief, NULL), 0);
}

/* --- 45: a process that has crashed does not hold a pipe open, and 46: nor do others that were started beside it ------------------------ */

static void row_45_writing_to_one_that_has_crashed(void **state)
{
	char much[4096] = "";
	int fds[2];
	tz_process *p;
	tz_process_options o = { .method = TZ_START_FORKSERVER };
	ssize_t n;

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	o.input = TZ_STREAM_FD(fds[0]);
	assert_int_equal(tz_process_open_with(&p, &o, leave_by, 3), 0);
	(void)close(fds[0]);
	assert_int_equal(end_of(p), 3);
	/* Nobody reads: that is said at once, and no full pipe is waited for. */
	n = write(fds[1], much, sizeof much);
	assert_int_equal(n, -1);
	assert_int_equal(errno, EPIPE);
	(void)close(fds[1]);
	(void)signal(SIGPIPE, SIG_DFL);
}

static bool hears_the_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	return poll(&p, 1, 10000) == 1 && read(fd, &c, 1) == 0;
}

static void row_46_siblings_do_not_inherit(void **state)
{
	tz_process *writer, *sibling, *later;
	int fds[2];

	(void)state;
	for (int m = TZ_START_SPAWN; m <= TZ_START_FORKSERVER; m++) {
		tz_process_options o = { .method = (tz_start_method)m }, plain = o;

		assert_int_equal(pipe(fds), 0); /* not close-on-exec */
		o.fds = &fds[1];
		o.nfds = 1;
		assert_int_equal(tz_process_open_with(&sibling, &plain, linger), 0);
		assert_int_equal(tz_process_open_with(&writer, &o, linger), 0);
		assert_int_equal(tz_process_open_with(&later, &plain, linger), 0);
		(void)close(fds[1]);
		assert_int_equal(tz_process_kill(writer), 0);
		assert_true(hears_the_end(fds[0]));
		(void)close(fds[0]);
		assert_int_equal(tz_process_kill(sibling), 0);
		assert_int_equal(tz_process_kill(later), 0);
		assert_int_equal(end_of(writer), -SIGKILL);
		assert_int_equal(end_of(sibling), -SIGKILL);
		assert_int_equal(end_of(later), -SIGKILL);
	}
}

/* main() of an application whose first nursery is started while there is a pipe. */
static void have_a_pipe(void)
{
	tz_process *p;
	int fds[2], code = 0;

	if (pipe(fds) < 0 || tz_process_open(&p, leave_by, 2) < 0 || tz_process_join_until(p, soon()) < 0)
		_exit(1);
	(void)close(fds[1]);
	if (tz_process_exitcode(p, &code) < 0 || code != 2)
		_exit(2);
	_exit(hears_the_end(fds[0]) ? 0 : 3);
}

/* A nursery, which outlives the pipe, has none of it either. */
static void row_46_nor_does_what_starts_them(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		(void)execl("/proc/self/exe", "children", "application", "with a pipe", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- 48: forked while another thread holds a lock ------------------------------------------------------------------------------------------ */

static pthread_mutex_t of_the_program = PTHREAD_MUTEX_INITIALIZER;

static void take_the_lock(void)
{
	pthread_mutex_lock(&of_the_program);
	pthread_mutex_unlock(&of_the_program);
}
TZ_TASK(void, take_the_lock, void);

static void *hold_the_lock(void *arg)
{
	char c;

	pthread_mutex_lock(&of_the_program);
	(void)!write(((int *)arg)[1], "h", 1);
	(void)!read(((int *)arg)[2], &c, 1);
	pthread_mutex_unlock(&of_the_program);
	return NULL;
}

static void row_48_a_lock_that_another_thread_holds(void **state)
{
	tz_process_options o = { .method = TZ_START_FORK };
	tz_process *p = NULL;
	pthread_t holder;
	int pipes[4];
	char c;

	(void)state;
	assert_int_equal(pipe2(&pipes[0], O_CLOEXEC), 0);
	assert_int_equal(pipe2(&pipes[2], O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&holder, NULL, hold_the_lock, pipes), 0);
	assert_int_equal(read(pipes[0], &c, 1), 1);
	assert_int_equal(tz_process_open_with(&p, &o, take_the_lock), -EDEADLK);
	assert_null(p);
	/* The others begin before main(), where it is free. */
	for (int m = TZ_START_DEFAULT; m <= TZ_START_FORKSERVER; m++) {
		o.method = (tz_start_method)m;
		if (m == TZ_START_FORK)
			continue;
		assert_int_equal(tz_process_open_with(&p, &o, take_the_lock), 0);
		assert_int_equal(end_of(p), 0);
	}
	assert_int_equal(write(pipes[3], "g", 1), 1);
	assert_int_equal(pthread_join(holder, NULL), 0);
	for (int i = 0; i < 4; i++)
		(void)close(pipes[i]);
}

/* --- 49: a team of threads, as OpenMP's, that its parent had ------------------------------------------------------------------------------- */

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool exists;
	int asked, done;
} team = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void *serve_team(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&team.lock);
	for (;;) {
		while (team.asked == team.done)
			pthread_cond_wait(&team.changed, &team.lock);
		team.done++;
		pthread_cond_broadcast(&team.changed);
	}
	return NULL;
}

/* The team is made when it is first used, and is there for ever. */
static void use_team(void)
{
	pthread_mutex_lock(&team.lock);
	if (!team.exists)
		team.exists = pthread_create(&team.thread, NULL, serve_team, NULL) == 0;
	team.asked++;
	pthread_cond_broadcast(&team.changed);
	while (team.done != team.asked)
		pthread_cond_wait(&team.changed, &team.lock);
	pthread_mutex_unlock(&team.lock);
}
TZ_TASK(void, use_team, void);

static void row_49_a_team_of_threads(void **state)
{
	tz_process *p;

	(void)state;
	use_team();
	assert_int_equal(tz_process_open(&p, use_team), 0); /* as one would: by the default method */
	assert_int_equal(end_of(p), 0);
}

/* --- 50: what a process costs, of a large parent ------------------------------------------------------------------------------------------- */

static void tell_size(int fd)
{
	char text[64] = "";
	long pages = 0;
	int statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (read(statm, text, sizeof text - 1) > 0)
		(void)sscanf(text, "%ld", &pages);
	(void)!write(fd, &pages, sizeof pages);
}
TZ_TASK(void, tell_size, int);

static long size_of_process(void)
{
	tz_process_options o = { .name = "sized" };
	tz_process *p;
	long pages = 0;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	o.fds = &fds[1];
	o.nfds = 1;
	assert_int_equal(tz_process_open_with(&p, &o, tell_size, fds[1]), 0);
	assert_int_equal(end_of(p), 0);
	assert_int_equal(read(fds[0], &pages, sizeof pages), sizeof pages);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A copy of the parent would have its size: that takes the time. */
static void row_50_none_is_a_copy_of_its_parent(void **state)
{
	size_t much = 192 << 20;
	long small = size_of_process(), large;
	char *memory = malloc(much);

	(void)state;
	assert_non_null(memory);
	memset(memory, 1, much);
	large = size_of_process();
	free(memory);
	assert_true(labs(large - small) < 64 * 1024);
}

/* --- 51: main() runs once -------------------------------------------------------------------------------------------------------------------- */

static void was_main_here(void)
{
	exit(in_main ? 1 : 0);
}
TZ_TASK(void, was_main_here, void);

static void row_51_main_does_not_run_again(void **state)
{
	tz_process *p;

	(void)state;
	for (int m = TZ_START_SPAWN; m <= TZ_START_FORKSERVER; m++) {
		tz_process_options o = { .method = (tz_start_method)m };

		assert_int_equal(tz_process_open_with(&p, &o, was_main_here), 0);
		assert_int_equal(end_of(p), 0);
	}
}

/* --- 52: children of children, which die with their tree ----------------------------------------------------------------------------------------- */

static void start_another(int fd, int depth);
TZ_TASK(void, start_another, int, int);
static void start_another(int fd, int depth)
{
	tz_process_options o = { .fds = &fd, .nfds = 1 };
	tz_process *p;

	if (depth > 0 && tz_process_open_with(&p, &o, start_another, fd, depth - 1) < 0)
		exit(9);
	(void)!write(fd, "x", 1);
	if (depth > 0)
		(void)tz_process_join(p);
	linger();
}

static void row_52_children_of_children(void **state)
{
	tz_process_options o = { .method = TZ_START_FORKSERVER };
	tz_process *p;
	int fds[2];
	char c;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	o.fds = &fds[1];
	o.nfds = 1;
	assert_int_equal(tz_process_open_with(&p, &o, start_another, fds[1], 2), 0);
	(void)close(fds[1]);
	for (int i = 0; i < 3; i++) {
		struct pollfd f = { .fd = fds[0], .events = POLLIN };

		assert_int_equal(poll(&f, 1, 20000), 1);
		assert_int_equal(read(fds[0], &c, 1), 1);
	}
	/* All three hold the pipe: its end is theirs. */
	assert_int_equal(tz_process_kill(p), 0);
	assert_int_equal(end_of(p), -SIGKILL);
	assert_true(hears_the_end(fds[0]));
	(void)close(fds[0]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_44_everybody_hears_the_exit_code),
		cmocka_unit_test(row_45_writing_to_one_that_has_crashed),
		cmocka_unit_test(row_46_siblings_do_not_inherit),
		cmocka_unit_test(row_46_nor_does_what_starts_them),
		cmocka_unit_test(row_48_a_lock_that_another_thread_holds),
		cmocka_unit_test(row_49_a_team_of_threads),
		cmocka_unit_test(row_50_none_is_a_copy_of_its_parent),
		cmocka_unit_test(row_51_main_does_not_run_again),
		cmocka_unit_test(row_52_children_of_children),
	};

	if (getenv("TRENZA_BOOT"))
		return 3; /* a mutation does not take it over: no more of that */
	in_main = true;
	if (argc == 3 && strcmp(argv[1], "application") == 0)
		have_a_pipe();
	choose(argc, argv);
	if (!PROCESSES) {
		puts(NO_PROCESSES);
		return 0;
	}
	return cmocka_run_group_tests_name("children", tests, NULL, NULL);
}
