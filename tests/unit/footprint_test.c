/* What the library does to a process, as docs/process-footprint.md says it, seen from outside. */
#define _GNU_SOURCE
#include <dirent.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <trenza.h>

#include "check.h"
#include "descriptors.h"
#include "crew.h"

extern char **environ;

static int nop(void)
{
	return 1;
}
TZ_TASK(int, nop, void);

static tz_event called;

static void tell(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)arg;
	(void)outcome;
	(void)result;
	tz_event_set(&called);
}

static void ring(void)
{
}
TZ_TASK(void, ring, void);

/* Uses about everything that starts something: a pool, the default executor, a callback, a thread, a timer. */
static tz_executor *use_all(void)
{
	tz_executor *ex;
	nop_future f;
	tz_thread *thread;
	tz_timer *timer;

	assert_int_equal(tz_executor_open(&ex, "threads:2"), 0);
	assert_int_equal(tz_gather(tz_submit(ex, nop), tz_submit(NULL, nop)), 0);
	f = tz_submit(ex, nop);
	assert_int_equal(tz_wait(f, soon()), 0);
	assert_int_equal(tz_on_done(f, tell, NULL), 0);
	assert_int_equal(tz_event_wait_until(&called, soon()), 0);
	tz_detach(f);
	assert_int_equal(tz_thread_open(&thread, nop), 0);
	assert_int_equal(tz_thread_join_until(thread, soon()), 0);
	tz_thread_close(thread);
	assert_int_equal(tz_timer_open(&timer, 0, ring), 0);
	assert_int_equal(tz_timer_join_until(timer, soon()), 0);
	tz_timer_close(timer);
	return ex;
}

static uint64_t field_of(const char *path, const char *name)
{
	FILE *f = fopen(path, "re");
	char line[256];
	uint64_t value = 0;

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtoull(line + strlen(name), NULL, 16);
	if (f)
		fclose(f);
	return value;
}

static void no_descriptor_is_kept(void **state)
{
	int before = open_descriptors();

	(void)state;
	tz_executor_close(use_all());
	(void)tz_usable_cpus();
	assert_int_equal(open_descriptors(), before);
}

static void no_handler_is_set(void **state)
{
	uint64_t caught = field_of("/proc/self/status", "SigCgt:");
	uint64_t ignored = field_of("/proc/self/status", "SigIgn:");

	(void)state;
	tz_executor_close(use_all());
	assert_int_equal(field_of("/proc/self/status", "SigCgt:"), caught);
	assert_int_equal(field_of("/proc/self/status", "SigIgn:"), ignored);
}

static void masks_of_callers_stay(void **state)
{
	sigset_t mine, before, after;

	(void)state;
	sigemptyset(&mine);
	sigaddset(&mine, SIGUSR1);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &mine, NULL), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	tz_executor_close(use_all());
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int s = 1; s < 32; s++)
		assert_int_equal(sigismember(&before, s), sigismember(&after, s));
	assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &mine, NULL), 0);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Each thread but this one has a name that the page tells of, and blocks the signals that it says. */
static void threads_are_known(void **state)
{
	tz_executor *ex = use_all();
	DIR *dir = opendir("/proc/self/task");
	int workers = 0, services = 0;
	char own[64] = "";
	FILE *self = fopen("/proc/self/comm", "re");

	(void)state;
	assert_non_null(dir);
	assert_non_null(self);
	assert_non_null(fgets(own, sizeof own, self));
	fclose(self);
	for (struct dirent *e; (e = readdir(dir));) {
		char path[300], name[64] = "";
		FILE *f;
		uint64_t blocked;

		if (e->d_name[0] == '.' || atoi(e->d_name) == getpid())
			continue;
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "re");
		if (!f || !fgets(name, sizeof name, f))
			name[0] = '\0'; /* it has ended meanwhile */
		if (f)
			fclose(f);
		snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
		blocked = field_of(path, "SigBlk:");
		if (begins(name, "threads-")) {
			workers++;
			assert_true(blocked & (UINT64_C(1) << (SIGTERM - 1)));
			assert_true(blocked & (UINT64_C(1) << (SIGCHLD - 1)));
			assert_false(blocked & (UINT64_C(1) << (SIGSEGV - 1)));
		} else if (begins(name, "trenza-service") || begins(name, "trenza-timer") ||
			   begins(name, "trenza-calls")) {
			services++;
			assert_true(blocked & (UINT64_C(1) << (SIGTERM - 1)));
			assert_false(blocked & (UINT64_C(1) << (SIGSEGV - 1)));
		} else if (name[0] &&
			   strcmp(name, own) != 0) { /* a new one has its starter's name */
			assert_true(begins(name, "Thread-")); /* it is just ending */
		}
	}
	closedir(dir);
	assert_true(workers >= 1);
	assert_true(services >= 2);
	tz_executor_close(ex);
}

static void environment_stays(void **state)
{
	char **before = environ;
	mode_t mask = umask(022);

	(void)state;
	umask(mask);
	tz_executor_close(use_all());
	assert_ptr_equal(environ, before);
	assert_int_equal(umask(mask), mask);
}

/* Numbers in specs have a point, whatever the locale's decimal mark is. */
static void locale_does_not_matter(void **state)
{
	static const char *const names[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8" };
	tz_executor *ex;
	char *old = strdup(setlocale(LC_ALL, NULL));

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names && !setlocale(LC_ALL, names[i]); i++)
		;
	assert_int_equal(tz_executor_open(&ex, "threads:1,min=0,idle=0.5"), 0);
	tz_executor_close(ex);
	setlocale(LC_ALL, old);
	free(old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_descriptor_is_kept), cmocka_unit_test(no_handler_is_set),
		cmocka_unit_test(masks_of_callers_stay), cmocka_unit_test(threads_are_known),
		cmocka_unit_test(environment_stays),     cmocka_unit_test(locale_does_not_matter),
	};

	return cmocka_run_group_tests_name("footprint", tests, NULL, NULL);
}
