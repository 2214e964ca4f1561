/* Threads: start, end, join, result, names, who is who, the end of the process, fork. */
#define _GNU_SOURCE

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza/scope.h>
#include <trenza/thread.h>

#include "abilities.h"
#include "check.h"
#include "crew.h"

/* What a thread waits for, so that a test says when it goes on; never for ever. */
static sem_t gate;

static void pass_gate(void)
{
	struct timespec end;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	while (sem_timedwait(&gate, &end) != 0 && errno == EINTR)
		;
}

static int prepare(void **state)
{
	(void)state;
	return sem_init(&gate, 0, 0);
}

static int clean_up(void **state)
{
	(void)state;
	return sem_destroy(&gate);
}

static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);

static void nothing(void)
{
}
TZ_TASK(void, nothing, void);

static int wait_at_gate(int answer)
{
	pass_gate();
	return answer;
}
TZ_TASK(int, wait_at_gate, int);

static int fails(int code)
{
	return tz_fail(code, "no %s", "luck");
}
TZ_TASK(int, fails, int);

static int leaves(int unused)
{
	(void)unused;
	pthread_exit(NULL);
}
TZ_TASK(int, leaves, int);

/* --- start, result, end -------------------------------------------------------------------------------------- */

static void a_thread_gives_its_result(void **state)
{
	tz_thread *t;
	tz_outcome o;
	double a = 0;

	(void)state;
	assert_int_equal(tz_thread_open(&t, area, 3, 4.5f), 0); /* converted as in a call */
	assert_int_equal(tz_thread_result(t, area, &a), 0);
	assert_true(a == 13.5);
	a = 0;
	assert_int_equal(tz_thread_result(t, area, &a), 0); /* as often as you like */
	assert_true(a == 13.5);
	assert_int_equal(tz_last()->status, TZ_OK);
	assert_int_equal(tz_thread_join_until(t, soon()), 0);
	assert_false(tz_thread_alive(t));
	tz_thread_outcome(t, &o);
	assert_int_equal(o.status, TZ_OK);
	assert_int_equal(tz_thread_result_raw(t, &nothing_task, NULL),
			 -EINVAL); /* another task's */
	tz_thread_close(t);

	area_args args = tz_bind(area, 2, 2);
	assert_int_equal(tz_thread_open_raw(&t, NULL, &area_task, &args), 0);
	assert_int_equal(tz_thread_result(t, area, &a), 0);
	assert_true(a == 4);
	tz_thread_close(t);
	tz_thread_close(NULL);
}

struct counter {
	tz_runnable base;
	int from, to;
	long sum;
};

static void count(tz_runnable *self)
{
	struct counter *c = (struct counter *)self;

	for (int i = c->from; i < c->to; i++)
		c->sum += i;
}

static void an_object_runs(void **state)
{
	struct counter c = { { count }, 1, 11, 0 };
	char name[TZ_NAME_MAX];
	tz_thread *t;

	(void)state;
	assert_int_equal(tz_thread_open_object(&t, NULL, &c.base), 0);
	assert_int_equal(tz_thread_join_until(t, soon()), 0);
	assert_int_equal(c.sum, 55);
	(void)tz_thread_name(t, name, sizeof name);
	assert_non_null(strstr(name, "Thread-"));
	tz_thread_close(t);
}

static void a_deferred_thread_waits_for_its_start(void **state)
{
	const tz_thread_options later = { .deferred = true };
	tz_thread *t;

	(void)state;
	assert_int_equal(tz_thread_open_with(&t, &later, wait_at_gate, 7), 0);
	assert_false(tz_thread_alive(t));
	assert_int_equal(tz_thread_native_id(t), 0);
	assert_int_equal(tz_thread_join(t), -EINVAL);
	assert_int_equal(tz_thread_cancel(t), -EINVAL);
	assert_int_equal(tz_thread_start(t), 0);
	assert_true(tz_thread_alive(t));
	assert_int_equal(tz_thread_start(t), -EALREADY);
	assert_int_equal(tz_thread_join_until(t, tz_after(0.002)), -ETIMEDOUT);
	assert_int_equal(sem_post(&gate), 0);
	assert_int_equal(tz_thread_join_until(t, soon()), 0);
	assert_int_equal(tz_thread_start(t), -EALREADY);
	tz_thread_close(t);

	assert_int_equal(tz_thread_open_with(&t, &later, nothing), 0);
	tz_thread_close(t); /* never started */
}

static void bad_options_are_refused(void **state)
{
	const tz_thread_options bad[] = {
		{ .stack_size = 100 },
		{ .reserved = { 1 } },
		{ .ncpus = 1 },
		{ .cpus = (int[]){ -1 }, .ncpus = 1 },
		{ .cpus = (int[]){ 100000 }, .ncpus = 1 }, /* for the kernel to refuse */
	};
	const tz_thread_options huge = { .stack_size = (size_t)1 << 60 };
	tz_thread *t = (tz_thread *)&t, *const untouched = t;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(tz_thread_open_with(&t, &bad[i], nothing), -EINVAL);
	assert_int_equal(tz_thread_open_with(&t, &huge, nothing), -EAGAIN);
	assert_ptr_equal(t, untouched);
	assert_int_equal(tz_thread_count(), 1); /* what did not start is not listed */
}

/* --- ways to end ------------------------------------------------------------------------------------------------- */

static _Atomic int uncaught;
static tz_outcome last_uncaught;
static tz_thread *last_thread;

static void on_uncaught(tz_thread *thread, const tz_outcome *outcome)
{
	assert_ptr_equal(thread, tz_thread_current());
	last_thread = thread;
	last_uncaught = *outcome;
	atomic_fetch_add(&uncaught, 1);
}

static void a_failure_reaches_joiner_and_hook(void **state)
{
	tz_thread *t;
	int result = 77;

	(void)state;
	atomic_store(&uncaught, 0);
	assert_null(tz_on_uncaught(on_uncaught));
	assert_int_equal(
		tz_thread_open_with(&t, &(tz_thread_options){ .name = "clumsy" }, fails, -ENOENT),
		0);
	assert_int_equal(tz_thread_result(t, fails, &result), -EREMOTEIO);
	assert_int_equal(result, 77);
	assert_int_equal(tz_last()->status, TZ_FAILED);
	assert_int_equal(tz_last()->code, -ENOENT);
	assert_string_equal(tz_last()->message, "no luck");
	assert_string_equal(tz_last()->task, "clumsy");
	assert_int_equal(uncaught, 1);
	assert_ptr_equal(last_thread, t);
	assert_string_equal(last_uncaught.message, "no luck");
	tz_thread_close(t);

	/* One bad thread is one bad thread. */
	assert_int_equal(tz_thread_open(&t, nothing), 0);
	assert_int_equal(tz_thread_join_until(t, soon()), 0);
	tz_thread_close(t);
	assert_ptr_equal(tz_on_uncaught(NULL), on_uncaught);
	assert_int_equal(uncaught, 1);
}

static void pthread_exit_is_an_end_as_well(void **state)
{
	tz_thread *t;
	int result = 77;

	(void)state;
	atomic_store(&uncaught, 0);
	(void)tz_on_uncaught(on_uncaught);
	assert_int_equal(tz_thread_open(&t, leaves, 0), 0);
	assert_int_equal(tz_thread_join_until(t, soon()), 0);
	assert_int_equal(tz_thread_result(t, leaves, &result), -EREMOTEIO);
	assert_int_equal(result, 77);
	assert_int_equal(tz_last()->status, TZ_CRASHED);
	assert_int_equal(uncaught, 1);
	(void)tz_on_uncaught(NULL);
	tz_thread_close(t);
}

static int sleeper(int seconds)
{
	int e = tz_sleep(seconds);

	assert_int_equal(tz_interrupted(), e);
	return e < 0 ? tz_fail(e, "woken") : 0;
}
TZ_TASK(int, sleeper, int);

static void cancel_ends_its_waits(void **state)
{
	tz_outcome o;
	tz_thread *t;

	(void)state;
	atomic_store(&uncaught, 0);
	(void)tz_on_uncaught(on_uncaught);
	for (int i = 0; i < 50; i++) { /* before it has begun, or while it sleeps */
		assert_int_equal(tz_thread_open(&t, sleeper, 20), 0);
		if (i % 2)
			(void)usleep(300);
		assert_int_equal(tz_thread_cancel(t), 0);
		assert_int_equal(tz_thread_join_until(t, soon()), 0);
		tz_thread_outcome(t, &o);
		assert_int_equal(o.status, TZ_CANCELLED);
		assert_int_equal(tz_thread_cancel(t), -EALREADY);
		tz_thread_close(t);
	}
	(void)tz_on_uncaught(NULL);
	assert_int_equal(uncaught, 0); /* it was asked for */
}

/* --- joining -------------------------------------------------------------------------------------------------------- */

static int join_current(int unused)
{
	(void)unused;
	return tz_thread_join(tz_thread_current());
}
TZ_TASK(int, join_current, int);

static void joining_oneself_is_refused(void **state)
{
	tz_thread *t;
	int e;

	(void)state;
	assert_int_equal(tz_thread_open(&t, join_current, 0), 0);
	assert_int_equal(tz_thread_result(t, join_current, &e), 0);
	assert_int_equal(e, -EDEADLK);
	tz_thread_close(t);
	assert_int_equal(tz_thread_join(tz_thread_current()), -EDEADLK);
}

static int join_other(tz_thread *other)
{
	return tz_thread_join_until(other, soon());
}
TZ_TASK(int, join_other, tz_thread *);

/* Many joiners, some with a deadline that passes, signals that come down on them, and handles that are closed
 * the moment the join returns. */
static void nothing_happens(int signo)
{
	(void)signo;
}

static void many_may_join(void **state)
{
	struct sigaction act = { .sa_handler = nothing_happens }, before; /* interrupts waits */

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &act, &before), 0);
	for (int round = 0; round < 100; round++) {
		tz_thread *t, *joiners[4];

		assert_int_equal(tz_thread_open(&t, wait_at_gate, round), 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(tz_thread_open(&joiners[i], join_other, tz_thread_ref(t)),
					 0);
		assert_int_equal(tz_thread_join_until(t, tz_after(0.0002)), -ETIMEDOUT);
		for (int i = 0; i < 4; i++)
			(void)syscall(SYS_tgkill, getpid(), tz_thread_native_id(joiners[i]),
				      SIGUSR1);
		assert_true(tz_thread_alive(t));
		assert_int_equal(sem_post(&gate), 0);
		for (int i = 0; i < 4; i++) {
			int e = 1;

			assert_int_equal(tz_thread_result(joiners[i], join_other, &e), 0);
			assert_int_equal(e, 0);
			tz_thread_close(joiners[i]);
			tz_thread_close(t); /* the joiner's reference */
		}
		tz_thread_close(t);
	}
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

static void a_handle_may_go_before_its_thread(void **state)
{
	tz_thread *t;
	tz_deadline end = soon();

	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(tz_thread_open(&t, wait_at_gate, i), 0);
		tz_thread_close(t);
	}
	for (int i = 0; i < 50; i++)
		assert_int_equal(sem_post(&gate), 0);
	while (tz_thread_count() > 1 && !tz_expired(end))
		(void)usleep(200);
	assert_int_equal(tz_thread_count(), 1);
}

static void join_obeys_the_scope(void **state)
{
	tz_thread *t;
	int e = 0;

	(void)state;
	assert_int_equal(tz_thread_open(&t, wait_at_gate, 0), 0);
	TZ_TIMEOUT(0.005) {
		e = tz_thread_join(t);
	}
	assert_int_equal(e, -ETIMEDOUT);
	assert_int_equal(sem_post(&gate), 0);
	assert_int_equal(tz_thread_join(t), 0);
	tz_thread_close(t);
}

/* --- names, numbers, the list --------------------------------------------------------------------------------------- */

struct self {
	tz_thread *handle;
	int tid;
	char kernel_name[16];
	size_t stack;
	int cpu_count, cpu;
};

static struct self look(int unused)
{
	struct self s;
	pthread_attr_t attr;
	cpu_set_t cpus;

	(void)unused;
	memset(&s, 0, sizeof s);
	s.handle = tz_thread_current();
	s.tid = (int)syscall(SYS_gettid);
	(void)pthread_getname_np(pthread_self(), s.kernel_name, sizeof s.kernel_name);
	(void)pthread_getattr_np(pthread_self(), &attr);
	(void)pthread_attr_getstacksize(&attr, &s.stack);
	(void)pthread_attr_destroy(&attr);
	(void)sched_getaffinity(0, sizeof cpus, &cpus);
	s.cpu_count = CPU_COUNT(&cpus);
	s.cpu = sched_getcpu();
	return s;
}
TZ_TASK(struct self, look, int);

static struct self look_with(tz_thread_options o, tz_thread **ret_thread)
{
	struct self s;

	assert_int_equal(tz_thread_open_with(ret_thread, &o, look, 0), 0);
	assert_int_equal(tz_thread_result(*ret_thread, look, &s), 0);
	return s;
}

static void names_reach_the_kernel(void **state)
{
	char name[TZ_NAME_MAX], shorter[5];
	struct self s;
	tz_thread *t;

	(void)state;
	s = look_with((tz_thread_options){ .name = "downloader-number-12" }, &t);
	assert_string_equal(s.kernel_name, "downloader-numb");
	assert_int_equal(tz_thread_name(t, name, sizeof name), 20);
	assert_string_equal(name, "downloader-number-12");
	assert_int_equal(tz_thread_name(t, shorter, sizeof shorter), 20);
	assert_string_equal(shorter, "down");
	assert_int_equal(tz_thread_set_name(t, NULL), -EINVAL);
	assert_int_equal(tz_thread_set_name(t, "late"), 0);
	(void)tz_thread_name(t, name, sizeof name);
	assert_string_equal(name, "late");
	tz_thread_close(t);

	s = look_with((tz_thread_options){ .name = "aaaaaaaaaaaaa\xe2\x82\xac" },
		      &t); /* a character of bytes 14-16 */
	assert_string_equal(s.kernel_name, "aaaaaaaaaaaaa");
	tz_thread_close(t);

	s = look_with((tz_thread_options){ .name = NULL }, &t);
	(void)tz_thread_name(t, name, sizeof name);
	assert_non_null(strstr(name, "Thread-"));
	assert_non_null(strstr(name, " (look)"));
	tz_thread_close(t);

	/* Of a thread that runs, from outside. */
	assert_int_equal(tz_thread_open(&t, wait_at_gate, 0), 0);
	(void)tz_thread_native_id(t);
	for (int i = 0; i < 2; i++) {
		char path[64];
		FILE *f;

		assert_int_equal(tz_thread_set_name(t, i ? "second" : "first"), 0);
		(void)snprintf(path, sizeof path, "/proc/self/task/%d/comm",
			       tz_thread_native_id(t));
		f = fopen(path, "r");
		assert_non_null(f);
		assert_non_null(fgets(name, sizeof name, f));
		(void)fclose(f);
		assert_string_equal(name, i ? "second\n" : "first\n");
		(void)usleep(1000); /* by now it has told the kernel its first name itself */
	}
	assert_int_equal(sem_post(&gate), 0);
	assert_int_equal(tz_thread_join_until(t, soon()), 0);
	tz_thread_close(t);
}

static void a_thread_knows_itself(void **state)
{
	struct self s;
	tz_thread *t, *u;

	(void)state;
	s = look_with((tz_thread_options){ .daemon = true }, &t);
	assert_ptr_equal(s.handle, t);
	assert_int_equal(s.tid, tz_thread_native_id(t));
	assert_true(tz_thread_daemon(t));
	assert_true(tz_thread_ident(t) > 1);
	(void)look_with((tz_thread_options){ .name = NULL }, &u);
	assert_false(tz_thread_daemon(u));
	assert_true(tz_thread_ident(u) > tz_thread_ident(t));
	tz_thread_close(t);
	tz_thread_close(u);
	assert_ptr_equal(tz_thread_current(), tz_thread_main());
	assert_int_equal(tz_thread_ident(tz_thread_main()), 1);
	assert_int_equal(tz_thread_native_id(tz_thread_main()), getpid());
}

static void stack_and_processors_are_as_asked(void **state)
{
	cpu_set_t mine;
	struct self s;
	tz_thread *t;
	int cpu = 0;

	(void)state;
	s = look_with((tz_thread_options){ .stack_size = 777777 }, &t);
	assert_true(s.stack >= 777777 && s.stack < 2 << 20); /* sanitizers add theirs */
	tz_thread_close(t);
	assert_int_equal(tz_thread_stack_size(1 << 20), 0);
	s = look_with((tz_thread_options){ .name = NULL }, &t);
	assert_true(s.stack >= 1 << 20 && s.stack < 2 << 20);
	tz_thread_close(t);
	assert_int_equal(tz_thread_stack_size(1), 1 << 20); /* too small: nothing changes */
	assert_int_equal(tz_thread_stack_size(0), 1 << 20);

	assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
	while (!CPU_ISSET(cpu, &mine))
		cpu++;
	s = look_with((tz_thread_options){ .cpus = &cpu, .ncpus = 1 }, &t);
	assert_int_equal(s.cpu_count, 1);
	assert_int_equal(s.cpu, cpu);
	tz_thread_close(t);
}

static void the_list_has_who_runs(void **state)
{
	tz_thread *t[3], *found[8];
	size_t n;

	(void)state;
	assert_int_equal(tz_thread_count(), 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_thread_open(&t[i], wait_at_gate, i), 0);
	assert_int_equal(tz_thread_count(), 4); /* at once */
	assert_int_equal(tz_thread_list(found, 2), 4);
	tz_thread_close(found[0]);
	tz_thread_close(found[1]);
	n = tz_thread_list(found, 8);
	assert_int_equal(n, 4);
	assert_ptr_equal(found[0], tz_thread_main());
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(found[i + 1], t[i]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sem_post(&gate), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tz_thread_join_until(t[i], soon()), 0);
		tz_thread_close(t[i]);
	}
	assert_int_equal(tz_thread_count(), 1); /* at once, too */
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(tz_thread_alive(found[i]), i == 0);
		tz_thread_close(found[i]);
	}
}

static void *foreign_main(void *arg)
{
	tz_thread **handle = arg, *self = tz_thread_current();
	char name[TZ_NAME_MAX];

	assert_non_null(self);
	assert_ptr_equal(tz_thread_current(), self);
	assert_true(tz_thread_alive(self));
	assert_int_equal(tz_thread_native_id(self), (int)syscall(SYS_gettid));
	assert_int_equal(tz_thread_set_name(self, "stranger"), 0);
	(void)pthread_getname_np(pthread_self(), name, sizeof name);
	assert_string_equal(name, "stranger");
	assert_int_equal(tz_thread_count(), 2);
	*handle = tz_thread_ref(self);
	return NULL;
}

static void foreign_threads_are_welcome(void **state)
{
	tz_thread *handle;
	pthread_t foreign;

	(void)state;
	assert_int_equal(pthread_create(&foreign, NULL, foreign_main, &handle), 0);
	assert_int_equal(pthread_join(foreign, NULL), 0);
	assert_false(tz_thread_alive(handle));
	assert_int_equal(tz_thread_join(handle), -EINVAL);
	assert_int_equal(tz_thread_start(handle), -EALREADY);
	assert_int_equal(tz_thread_count(), 1);
	tz_thread_close(handle);
}

/* --- the end of the process, and fork --------------------------------------------------------------------------------- */

/* Runs fn in a child and gives back what it wrote to its standard output; its exit status in *ret_status. */
static void in_process(void (*fn)(void), char *out, size_t size, int *ret_status)
{
	int fds[2];
	size_t got = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	(void)fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)dup2(fds[1], 1);
		(void)close(fds[0]);
		(void)close(fds[1]);
		(void)alarm(20);
		fn();
		exit(3);
	}
	(void)close(fds[1]);
	while (got < size - 1 && (n = read(fds[0], out + got, size - 1 - got)) > 0)
		got += (size_t)n;
	out[got] = '\0';
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, ret_status, 0), pid);
}

static void say(const char *text)
{
	ssize_t n = write(1, text, strlen(text));

	assert_int_equal(n, strlen(text));
}

static void say_late(int level)
{
	tz_thread *t;

	(void)usleep(20000);
	if (level > 0) { /* threads that start threads while the process is ending */
		assert_int_equal(tz_thread_open(&t, nothing), 0);
		tz_thread_close(t);
	}
	say("thread ");
}
TZ_TASK(void, say_late, int);

static void say_deep(int level)
{
	tz_thread *t;

	(void)usleep(5000);
	if (level > 0) {
		assert_int_equal(tz_thread_open(&t, say_late, level - 1), 0);
		tz_thread_close(t);
	}
	say("deep ");
}
TZ_TASK(void, say_deep, int);

static void say_never(int unused)
{
	(void)unused;
	(void)tz_sleep(30);
	say("never ");
}
TZ_TASK(void, say_never, int);

static void early_handler(void)
{
	say("handler");
}

static void exit_with_threads(void)
{
	tz_thread *t;

	(void)atexit(early_handler);
	assert_int_equal(tz_thread_open(&t, say_deep, 2), 0);
	tz_thread_close(t);
	assert_int_equal(
		tz_thread_open_with(&t, &(tz_thread_options){ .daemon = true }, say_never, 0), 0);
	tz_thread_close(t);
	exit(5);
}

static void exit_waits_for_all_but_daemons(void **state)
{
	char out[200];
	int status;

	(void)state;
	in_process(exit_with_threads, out, sizeof out, &status);
	assert_string_equal(out, "deep thread handler");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 5);
}

static void exit_with_grace(void)
{
	tz_thread *t;

	(void)tz_thread_exit_grace(0.01);
	assert_int_equal(tz_thread_open(&t, say_never, 0), 0);
	tz_thread_close(t);
	exit(6);
}

static void exit_grace_bounds_the_wait(void **state)
{
	char out[200];
	int status;

	(void)state;
	in_process(exit_with_grace, out, sizeof out, &status);
	assert_string_equal(out, "");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 6);
	assert_true(isinf(tz_thread_exit_grace(-1)));
}

static void call_exit(int status)
{
	exit(status);
}
TZ_TASK(void, call_exit, int);

static void exit_from_thread(void)
{
	tz_thread *t;

	assert_int_equal(tz_thread_open(&t, call_exit, 8), 0);
	(void)tz_thread_join_until(t, soon());
	(void)pause();
}

static void a_thread_may_exit_the_process(void **state)
{
	char out[200];
	int status;

	(void)state;
	in_process(exit_from_thread, out, sizeof out, &status);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 8);
}

static tz_thread *before_fork;

static int fork_and_look(int unused)
{
	int status = -1;
	pid_t pid = fork();

	(void)unused;
	if (pid == 0) {
		tz_thread *t, *me = tz_thread_current(), *list[4];
		tz_outcome o;
		double a = 0;
		bool good = true;

		(void)alarm(20);
		good = good && tz_thread_list(list, 4) == 1 && list[0] == me &&
		       tz_thread_main() == me;
		good = good && tz_thread_native_id(me) == getpid();
		good = good && !tz_thread_alive(before_fork) && tz_thread_join(before_fork) == 0;
		tz_thread_outcome(before_fork, &o);
		good = good && o.status == TZ_LOST;
		tz_thread_close(before_fork);
		if (THREADS_AFTER_FORK)
			good = good && tz_thread_open(&t, area, 2.0, 3.0) == 0 &&
			       tz_thread_result(t, area, &a) == 0 && a == 6;
		_exit(good ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}
TZ_TASK(int, fork_and_look, int);

static void a_fork_child_has_one_thread(void **state)
{
	tz_thread *t;
	int status = -1;

	(void)state;
	assert_int_equal(tz_thread_open(&before_fork, wait_at_gate, 0), 0);
	assert_int_equal(fork_and_look(0), 0); /* from the main thread */
	assert_int_equal(tz_thread_open(&t, fork_and_look, 0), 0); /* from another */
	assert_int_equal(tz_thread_result(t, fork_and_look, &status), 0);
	assert_int_equal(status, 0);
	tz_thread_close(t);
	assert_true(tz_thread_alive(before_fork)); /* here, nothing has changed */
	assert_int_equal(sem_post(&gate), 0);
	assert_int_equal(tz_thread_join_until(before_fork, soon()), 0);
	tz_thread_close(before_fork);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, prepare, clean_up)

struct joining {
	tz_thread *thread;
	_Atomic bool over;
};

static void *join_again_and_again(void *arg)
{
	struct joining *j = arg;

	while (!atomic_load(&j->over))
		must(tz_thread_join_until(j->thread, soon()) == -EINVAL);
	return NULL;
}

static void a_start_that_fails_ends_joins(void **state)
{
	const tz_thread_options never = { .deferred = true, .cpus = (int[]){ 100000 }, .ncpus = 1 };
	struct joining j = { 0 };
	pthread_t joiner;

	(void)state;
	assert_int_equal(tz_thread_open_with(&j.thread, &never, nothing), 0);
	assert_int_equal(pthread_create(&joiner, NULL, join_again_and_again, &j), 0);
	for (int i = 0; i < 500; i++)
		assert_int_equal(tz_thread_start(j.thread), -EINVAL);
	atomic_store(&j.over, true);
	assert_int_equal(pthread_join(joiner, NULL), 0);
	tz_thread_close(j.thread);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: no thread was started before it, so the library has no exit handler yet. */
		TEST(exit_waits_for_all_but_daemons),
		TEST(a_thread_gives_its_result),
		TEST(an_object_runs),
		TEST(a_deferred_thread_waits_for_its_start),
		TEST(bad_options_are_refused),
		TEST(a_start_that_fails_ends_joins),
		TEST(a_failure_reaches_joiner_and_hook),
		TEST(pthread_exit_is_an_end_as_well),
		TEST(cancel_ends_its_waits),
		TEST(joining_oneself_is_refused),
		TEST(many_may_join),
		TEST(a_handle_may_go_before_its_thread),
		TEST(join_obeys_the_scope),
		TEST(names_reach_the_kernel),
		TEST(a_thread_knows_itself),
		TEST(stack_and_processors_are_as_asked),
		TEST(the_list_has_who_runs),
		TEST(foreign_threads_are_welcome),
		TEST(exit_grace_bounds_the_wait),
		TEST(a_thread_may_exit_the_process),
		TEST(a_fork_child_has_one_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
