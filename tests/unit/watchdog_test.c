/* Reports of tasks that keep their loop for too long. No case says how long anything takes: a task stays until it was reported, or until
 * others were. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza.h>

#include "abilities.h"
#include "check.h"
#include "crew.h"
#include "loop/loop.h"

static const double LIMIT = 0.02;
static const tz_loop_options watched = { .slow_seconds = 0.02 };
static const tz_loop_options watched_sim = { .backend = "sim", .slow_seconds = 0.02 };

/* Blocks the thread, and with it the loop. */
#define stay_until(condition) \
	for (tz_deadline stay_end = soon(); !(condition); (void)usleep(500)) \
	must(!tz_expired(stay_end))

enum { LOOPS = 256 };

/* What the hook has heard. */
static _Atomic int told[LOOPS];
static tz_slow_info last;

static void hear(const tz_slow_info *info)
{
	last = *info;
	atomic_fetch_add(&told[info->loop % LOOPS], 1);
}

static _Atomic int *reports_here(void)
{
	return &told[tz_loop_current()->number % LOOPS];
}

static int prepare(void **state)
{
	(void)state;
	for (size_t i = 0; i < LOOPS; i++)
		atomic_store(&told[i], 0);
	(void)tz_on_slow(hear);
	return 0;
}

static bool has_watchdog(void)
{
	DIR *dir = opendir("/proc/self/task");
	bool found = false;

	must(dir != NULL);
	for (struct dirent *e; (e = readdir(dir));) {
		char path[300], name[64] = "";
		FILE *f;

		(void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (!f)
			continue;
		if (fgets(name, sizeof name, f) && strcmp(name, "trenza-watch\n") == 0)
			found = true;
		(void)fclose(f);
	}
	(void)closedir(dir);
	return found;
}

/* --- in a child: what the environment says. First, while this process is one thread. ----------------------------- */

static char *line; /* shared with the child */
static int ends[2];

/* Runs fn in a child with that in the environment; its exit status. */
static int in_child(const char *limit, int (*fn)(void))
{
	int status;

	(void)fflush(NULL);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		(void)setenv("TRENZA_SLOW", limit, 1);
		(void)tz_on_slow(NULL);
		(void)alarm(CREW_PATIENCE);
		_exit(fn());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Waits for its own report: what it waits for does not come from its loop. */
static void read_report(void)
{
	size_t n = 0;

	while (n < 4000 && !memchr(line, '\n', n)) {
		ssize_t r = read(ends[0], line + n, 4000 - n);

		must(r > 0);
		n += (size_t)r;
	}
}
TZ_TASK(void, read_report, void);

static void spawn_reader(void)
{
	tz_spawn(read_report);
}
TZ_TASK(void, spawn_reader, void);

static int report_to_stderr(void)
{
	must(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	return tz_run(spawn_reader) < 0;
}

static void writes_a_line_if_the_environment_says_so(void **state)
{
	double number;
	unsigned where;
	int end = 0;

	(void)state;
	line = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(line != MAP_FAILED);
	assert_int_equal(in_child("0.02", report_to_stderr), 0);
	assert_int_equal(
		strncmp(line, "trenza: loop 0 has been in task 'read_report' (spawned at ", 58), 0);
	char *rest = strstr(line, "watchdog_test.c:");

	assert_non_null(rest);
	assert_int_equal(sscanf(rest, "watchdog_test.c:%u) for %lf ms\n%n", &where, &number, &end),
			 2);
	assert_true(where > 0 && end > 0);
	assert_true(number >= 20);
	assert_int_equal(strchr(line, '\n')[1], '\0');
	(void)munmap(line, 4096);
}

static void stay(void)
{
	_Atomic int *reports = reports_here();

	stay_until(atomic_load(reports) > 0);
}
TZ_TASK(void, stay, void);

static int stay_on(const char *spec)
{
	tz_executor *ex;

	(void)tz_on_slow(hear);
	must(tz_executor_open(&ex, spec) == 0);
	int r = tz_gather(tz_submit(ex, stay), tz_submit(ex, stay));

	tz_executor_close(ex);
	return r < 0 || last.file != NULL || strcmp(last.name, "stay") != 0;
}

static int stay_on_coroutines(void)
{
	return stay_on("coroutines:2");
}

static int stay_on_sim(void)
{
	return stay_on("sim");
}

static void the_environment_is_for_executors_too(void **state)
{
	(void)state;
	assert_int_equal(in_child("0.02", stay_on_coroutines), 0);
	assert_int_equal(in_child("0.02", stay_on_sim), 0);
}

static int opens_watched(void)
{
	tz_loop *loop;

	must(tz_loop_open(&loop, NULL) == 0);
	uint64_t limit = loop->attention.limit_ns;

	tz_loop_close(loop);
	return limit != 0;
}

static void what_is_no_limit_is_none(void **state)
{
	static const char *const none[] = { "",     "0",   "0.0", "x",    "-1",
					    "0.1s", "1,5", ".",   "1e-3", "9999999999999" };

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		assert_int_equal(in_child(none[i], opens_watched), 0);
	assert_int_equal(in_child("0.5", opens_watched), 1);
	assert_int_equal(in_child("2", opens_watched), 1);
}

/* --- the hook ------------------------------------------------------------------------------------------------------ */

static uint32_t spawned_at;

static void spawn_one_that_stays(void)
{
	spawned_at = __LINE__ + 1;
	tz_spawn(stay);
}
TZ_TASK(void, spawn_one_that_stays, void);

static void tells_who_it_was(void **state)
{
	const tz_loop_options *const ways[] = { &watched, &watched_sim };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		memset(&last, 0, sizeof last);
		assert_int_equal(tz_run_with(ways[i], NULL, spawn_one_that_stays), 0);
		assert_string_equal(last.name, "stay");
		assert_string_equal(last.file, __FILE__);
		assert_int_equal(last.line, spawned_at);
		assert_true(last.seconds >= LIMIT);
	}
}

static void one_after_the_other(int rounds)
{
	_Atomic int *reports = reports_here();

	for (int i = 1; i <= rounds; i++) {
		stay_until(atomic_load(reports) >= i);
		must(atomic_load(reports) == i);
		(void)tz_sleep(0.001);
	}
}
TZ_TASK(void, one_after_the_other, int);

static void each_time_is_told(void **state)
{
	(void)state;
	assert_int_equal(tz_run_with(&watched, NULL, one_after_the_other, 3), 0);
}

/* A loop on a thread of its own, while another one's tasks are reported. */
struct beside {
	const tz_loop_options *options;
	bool sleeps;
	int reports; /* that there were */
};

static struct beside *beside;
static _Atomic bool is_there, may_go;

static void be_beside(void)
{
	_Atomic int *reports = reports_here();

	atomic_store(&is_there, true);
	if (beside->sleeps)
		until(atomic_load(&may_go));
	else
		stay_until(atomic_load(&may_go));
	beside->reports = atomic_load(reports);
}
TZ_TASK(void, be_beside, void);

static void *run_beside(void *unused)
{
	must(tz_run_with(beside->options, NULL, be_beside) == 0);
	return unused;
}

static int reports_beside(const tz_loop_options *options, bool sleeps)
{
	struct beside b = { options, sleeps, -1 };
	struct crew crew = { 0 };

	beside = &b;
	atomic_store(&is_there, false);
	atomic_store(&may_go, false);
	crew_add(&crew, run_beside, NULL);
	stay_until(atomic_load(&is_there));
	must(tz_run_with(&watched, NULL, one_after_the_other, 4) == 0);
	atomic_store(&may_go, true);
	crew_join(&crew);
	return b.reports;
}

static void is_told_once(void **state)
{
	(void)state;
	assert_int_equal(reports_beside(&watched, false), 1);
}

static void who_waits_is_not_told_of(void **state)
{
	(void)state;
	assert_int_equal(reports_beside(&(tz_loop_options){ .slow_seconds = 1000 }, true), 0);
	assert_int_equal(reports_beside(&(tz_loop_options){ .slow_seconds = 1000 }, false), 0);
}

static void who_has_no_limit_is_not_told_of(void **state)
{
	(void)state;
	assert_int_equal(reports_beside(NULL, false), 0);
}

/* A short one does not wait for the looks at one with a long limit. */
static void limits_are_each_loops_own(void **state)
{
	(void)state;
	assert_int_equal(reports_beside(&(tz_loop_options){ .slow_seconds = 0.000000001 }, false),
			 1);
}

static void hook_before(const tz_slow_info *info)
{
	(void)info;
}

static void hook_returns_the_one_before(void **state)
{
	(void)state;
	assert_true(tz_on_slow(hook_before) == hear);
	assert_true(tz_on_slow(NULL) == hook_before);
	assert_true(tz_on_slow(hear) == NULL);
}

static void end_the_thread(const tz_slow_info *info)
{
	hear(info);
	pthread_exit(NULL);
}

static void hook_may_end_the_thread(void **state)
{
	(void)state;
	(void)tz_on_slow(end_the_thread);
	assert_int_equal(tz_run_with(&watched, NULL, one_after_the_other, 3), 0);
}

static void ask_for_tasks(const tz_slow_info *info)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	must(fd >= 0 && tz_dump_tasks(fd) >= 0);
	(void)close(fd);
	hear(info);
}

static void hook_may_ask_for_tasks(void **state)
{
	(void)state;
	(void)tz_on_slow(ask_for_tasks);
	assert_int_equal(tz_run_with(&watched, NULL, stay), 0);
}

static _Atomic int child_of_hook;

static void fork_there(const tz_slow_info *info)
{
	pid_t child = fork();

	must(child >= 0);
	if (child == 0)
		return; /* and the thread ends, and with it the process */
	atomic_store(&child_of_hook, child);
	hear(info);
}

static void hook_may_fork(void **state)
{
	int status;

	(void)state;
	if (BUILT_FOR_SANITIZER || EMULATED)
		skip();
	(void)fflush(NULL);
	(void)tz_on_slow(fork_there);
	assert_int_equal(tz_run_with(&watched, NULL, stay), 0);
	assert_int_equal(waitpid(atomic_load(&child_of_hook), &status, 0),
			 atomic_load(&child_of_hook));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- what counts as going on --------------------------------------------------------------------------------------- */

static void nop(void)
{
}
TZ_TASK(void, nop, void);

static void begin_many(void)
{
	enum { MANY = 40 };
	struct tz_loop *l = tz_loop_current();
	uint32_t before = l->switches;
	nop_future f[MANY];

	for (int i = 0; i < MANY; i++)
		f[i] = tz_submit(tz_loop_executor(l), nop);
	for (int i = 0; i < MANY; i++)
		must(tz_result(f[i], NULL) == 0);
	must(l->switches - before >= MANY);
}
TZ_TASK(void, begin_many, void);

/* Also those that one coroutine runs one after the other. */
static void each_job_is_another_stretch(void **state)
{
	(void)state;
	assert_int_equal(tz_run(begin_many), 0);
	assert_int_equal(tz_run_with(&watched_sim, NULL, begin_many), 0);
}

/* --- the options ------------------------------------------------------------------------------------------------------ */

static void wrong_limits_are_refused(void **state)
{
	const double wrong[] = { -1, NAN, INFINITY, 1e10 };
	tz_loop *loop = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(
			tz_loop_open(&loop, &(tz_loop_options){ .slow_seconds = wrong[i] }),
			-EINVAL);
	assert_null(loop);
}

/* Options of a header that did not have the field. */
static void shorter_options_have_no_limit(void **state)
{
	tz_loop_options o = { .size = offsetof(tz_loop_options, slow_seconds), .slow_seconds = -1 };
	tz_loop *loop;

	(void)state;
	assert_int_equal(tz_loop_open(&loop, &o), 0);
	assert_int_equal(loop->attention.limit_ns, 0);
	tz_loop_close(loop);
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static void there_is_a_thread_while_it_is_wanted(void **state)
{
	tz_loop *loops[3];

	(void)state;
	for (int round = 0; round < 3; round++) {
		stay_until(!has_watchdog());
		assert_int_equal(tz_loop_open(&loops[0], NULL), 0);
		assert_false(has_watchdog());
		for (int i = 1; i < 3; i++)
			assert_int_equal(tz_loop_open(&loops[i], &watched), 0);
		stay_until(has_watchdog());
		tz_loop_close(loops[1]);
		assert_true(has_watchdog());
		tz_loop_close(loops[2]);
		stay_until(!has_watchdog());
		tz_loop_close(loops[0]);
	}
}

static void there_is_none_in_a_fork_child(void **state)
{
	tz_loop *loop;
	int status;

	(void)state;
	assert_int_equal(tz_loop_open(&loop, &watched), 0);
	stay_until(has_watchdog());
	(void)fflush(NULL);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		bool had = has_watchdog();

		(void)alarm(CREW_PATIENCE);
		tz_loop_close(loop);
		if (THREADS_AFTER_FORK && tz_run_with(&watched, NULL, stay) < 0)
			_exit(2);
		_exit(had);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(has_watchdog());
	tz_loop_close(loop);
}

static void stay_a_little(int microseconds)
{
	(void)usleep((useconds_t)microseconds);
}
TZ_TASK(void, stay_a_little, int);

static void *run_often(void *unused)
{
	uint32_t seed = 5;
	tz_loop_options often = { .slow_seconds = 0.001 };

	for (int i = 0; i < 100; i++)
		must(tz_run_with(&often, NULL, stay_a_little, (int)(next_random(&seed) % 4000)) ==
		     0);
	return unused;
}

static void loops_come_and_go(void **state)
{
	struct crew crew = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++)
		crew_add(&crew, run_often, NULL);
	crew_join(&crew);
	stay_until(!has_watchdog());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* These fork, and their children start threads: as long as there are none here. */
		cmocka_unit_test_setup(writes_a_line_if_the_environment_says_so, prepare),
		cmocka_unit_test_setup(the_environment_is_for_executors_too, prepare),
		cmocka_unit_test_setup(what_is_no_limit_is_none, prepare),
		cmocka_unit_test_setup(wrong_limits_are_refused, prepare),
		cmocka_unit_test_setup(shorter_options_have_no_limit, prepare),
		cmocka_unit_test_setup(tells_who_it_was, prepare),
		cmocka_unit_test_setup(each_time_is_told, prepare),
		cmocka_unit_test_setup(is_told_once, prepare),
		cmocka_unit_test_setup(who_waits_is_not_told_of, prepare),
		cmocka_unit_test_setup(who_has_no_limit_is_not_told_of, prepare),
		cmocka_unit_test_setup(limits_are_each_loops_own, prepare),
		cmocka_unit_test_setup(hook_returns_the_one_before, prepare),
		cmocka_unit_test_setup(hook_may_end_the_thread, prepare),
		cmocka_unit_test_setup(hook_may_ask_for_tasks, prepare),
		cmocka_unit_test_setup(hook_may_fork, prepare),
		cmocka_unit_test_setup(each_job_is_another_stretch, prepare),
		cmocka_unit_test_setup(there_is_a_thread_while_it_is_wanted, prepare),
		cmocka_unit_test_setup(there_is_none_in_a_fork_child, prepare),
		cmocka_unit_test_setup(loops_come_and_go, prepare),
	};

	(void)unsetenv("TRENZA_SLOW");
	return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
