/* What is said of the tasks of all loops: to a function, as text, and on a signal. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

enum { LONG = 3600 }; /* seconds that do not pass, in virtual time neither */

static const tz_loop_options real = { .backend = "epoll" };
static const tz_loop_options sim = { .backend = "sim" };

/* Blocks the thread, and with it the loop. */
#define stay_until(condition) \
	for (tz_deadline stay_end = soon(); !(condition); (void)usleep(500)) \
	must(!tz_expired(stay_end))

/* --- what was said --------------------------------------------------------------------------------------- */

struct said {
	tz_task_info info;
	char name[TZ_NAME_MAX], waits_for[32];
};

struct all {
	struct said said[64];
	size_t n, waiting;
};

static void hear(const tz_task_info *info, void *arg)
{
	struct all *all = arg;

	if (all->n == 64)
		return;
	struct said *s = &all->said[all->n++];

	s->info = *info;
	(void)snprintf(s->name, sizeof s->name, "%s", info->name);
	(void)snprintf(s->waits_for, sizeof s->waits_for, "%s",
		       info->waits_for ? info->waits_for : "");
	all->waiting += info->state == TZ_TASK_WAITING;
}

static const struct said *find(const struct all *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->said[i].name, name) == 0)
			return &all->said[i];
	return NULL;
}

static bool waits(const struct all *all, const char *name, const char *what, const void *on)
{
	const struct said *s = find(all, name);

	return s && s->info.state == TZ_TASK_WAITING && strcmp(s->waits_for, what) == 0 &&
	       (!on || s->info.waits_on == on) && s->info.since >= 0;
}

static bool is(const struct all *all, const char *name, tz_task_state state)
{
	const struct said *s = find(all, name);

	return s && s->info.state == state && s->waits_for[0] == '\0';
}

static bool is_child(const struct all *all, const char *name, const char *parent)
{
	const struct said *s = find(all, name), *p = find(all, parent);

	return s && p && p->info.id != 0 && s->info.id != p->info.id &&
	       s->info.parent == p->info.id && s->info.loop == p->info.loop;
}

static bool was_spawned(const struct all *all, const char *name, const char *function,
			uint32_t line)
{
	const struct said *s = find(all, name);

	return s && s->info.file && strcmp(s->info.file, __FILE__) == 0 &&
	       strcmp(s->info.function, function) == 0 && s->info.line == line;
}

/* All that tz_dump_tasks writes; to be freed. */
static char *dumped(int *ret)
{
	int fd = memfd_create("tasks", MFD_CLOEXEC);

	must(fd >= 0);
	*ret = tz_dump_tasks(fd);
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);

	must(text && pread(fd, text, (size_t)size, 0) == size);
	(void)close(fd);
	return text;
}

static bool has_line(const char *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether a line begins so. */
static bool has_line(const char *text, const char *format, ...)
{
	char begin[300] = "\n";
	va_list args;

	va_start(args, format);
	(void)vsnprintf(begin + 1, sizeof begin - 1, format, args);
	va_end(args);
	bool has = strncmp(text, begin + 1, strlen(begin + 1)) == 0 || strstr(text, begin);

	if (!has)
		print_message("# no line \"%s\" in:\n%s\n", begin + 1, text);
	return has;
}

/* --- a loop with tasks in every state ------------------------------------------------------------------------ */

static tz_lock lock;
static tz_event event;
static tz_queue *queue;
static int ends[2];
static uint32_t sleeper_line, child_line;

static void sleeper(void)
{
	(void)tz_sleep(LONG);
}
TZ_TASK(void, sleeper, void);

static void locker(void)
{
	tz_lock_acquire(&lock);
	(void)tz_lock_release(&lock);
}
TZ_TASK(void, locker, void);

static void getter(void)
{
	int item;

	(void)tz_queue_get(queue, &item);
}
TZ_TASK(void, getter, void);

static void eventer(void)
{
	(void)tz_event_wait(&event);
}
TZ_TASK(void, eventer, void);

static void reader(void)
{
	(void)tz_wait_fd(ends[0], POLLIN, tz_never());
}
TZ_TASK(void, reader, void);

static void child(void)
{
	(void)tz_event_wait(&event);
}
TZ_TASK(void, child, void);

static void parent(void)
{
	child_line = __LINE__ + 1;
	child_future f = tz_spawn(child);
	(void)tz_wait(f, tz_never());
}
TZ_TASK(void, parent, void);

static void yielder(void)
{
	while (tz_yield() == 0)
		;
}
TZ_TASK(void, yielder, void);

static void late(void)
{
}
TZ_TASK(void, late, void);

enum { WAITING = 7 }; /* of those that begin_all spawns */

static void begin_all(void)
{
	sleeper_line = __LINE__ + 1;
	tz_spawn(sleeper);
	tz_spawn(locker);
	tz_spawn(getter);
	tz_spawn(eventer);
	tz_spawn(reader);
	tz_spawn(parent);
	tz_spawn_with(&(tz_submit_options){ .name = "renamed" }, eventer);
}

static void check_walk(const struct all *all, const char *root)
{
	must(waits(all, "sleeper", "sleep", NULL));
	must(waits(all, "locker", "lock", &lock));
	must(waits(all, "getter", "queue", queue));
	must(waits(all, "eventer", "event", &event));
	must(waits(all, "renamed", "event", &event));
	must(waits(all, "reader", "descriptor", (const void *)(intptr_t)ends[0]));
	must(waits(all, "parent", "task", &child_task));
	must(waits(all, "child", "event", &event));
	must(is_child(all, "sleeper", root) && is_child(all, "parent", root));
	must(is_child(all, "renamed", root) && is_child(all, "child", "parent"));
	must(find(all, root)->info.parent == 0);
	must(was_spawned(all, "sleeper", "begin_all", sleeper_line));
	must(was_spawned(all, "child", "parent", child_line));
	must(!find(all, root)->info.file);
}

static void check_text(const char *text, const struct all *all, const char *root, size_t tasks)
{
#define ID(name) find(all, name)->info.id
	must(has_line(text, "loop %u: %zu tasks\n", find(all, root)->info.loop, tasks));
	must(has_line(text, "  #%u %s: ", ID(root), root));
	must(has_line(text, "    #%u sleeper: sleeping, ", ID("sleeper")));
	must(has_line(text, "    #%u locker: waiting for a lock %p, ", ID("locker"),
		      (void *)&lock));
	must(has_line(text, "    #%u getter: waiting for a queue %p, ", ID("getter"),
		      (void *)queue));
	must(has_line(text, "    #%u eventer: waiting for an event %p, ", ID("eventer"),
		      (void *)&event));
	must(has_line(text, "    #%u reader: waiting for descriptor %d, ", ID("reader"), ends[0]));
	must(has_line(text, "    #%u parent: waiting for task 'child', ", ID("parent")));
	must(has_line(text, "      #%u child: waiting for ", ID("child")));
	must(has_line(text, "    #%u renamed: ", ID("renamed")));
#undef ID
	char spawned[300];

	(void)snprintf(spawned, sizeof spawned, ", spawned at %s:%u by parent\n", __FILE__,
		       child_line);
	must(strstr(text, spawned));
	must(strstr(strstr(text, " parent: "), " child: ")); /* below it */
}

/* Asks from a coroutine of the loop. */
static void look_around(void)
{
	struct all all = { .n = 0 };
	int r;

	must(pipe2(ends, O_CLOEXEC) == 0 && tz_queue_open(&queue, sizeof(int), NULL) == 0);
	tz_event_clear(&event);
	tz_lock_acquire(&lock);
	begin_all();
	until((all.n = all.waiting = 0,
	       tz_walk_tasks(hear, &all) == 0 && all.waiting == WAITING + 1));
	tz_spawn(yielder);
	(void)tz_yield();
	(void)tz_call_later(tz_loop_current(), LONG, late);
	(void)tz_timer_future(tz_after(LONG));
	tz_spawn_with(&(tz_submit_options){ .name = "unbegun" }, late);
	all.n = 0;
	must(tz_walk_tasks(hear, &all) == 0);
	check_walk(&all, "scene");
	must(is(&all, "scene", TZ_TASK_RUNNING));
	must(is(&all, "yielder", TZ_TASK_RUNNABLE));
	must(is(&all, "unbegun", TZ_TASK_QUEUED) && is_child(&all, "unbegun", "scene"));
	must(is(&all, "late", TZ_TASK_QUEUED));
	must(waits(&all, "timer", "timer", NULL));
	must(all.n == WAITING + 6);
	char *text = dumped(&r);

	must(r == 0);
	check_text(text, &all, "scene", all.n);
	must(has_line(text, "  #%u scene: running\n", find(&all, "scene")->info.id));
	must(has_line(text, "    #%u yielder: runnable, spawned at ",
		      find(&all, "yielder")->info.id));
	must(has_line(text, "    #%u unbegun: queued", find(&all, "unbegun")->info.id));
	must(strstr(text, " timer: waiting for its time"));
	free(text);
	(void)tz_lock_release(&lock); /* nothing else ends that wait */
}

static void scene(void)
{
	TZ_SCOPE(all) {
		look_around();
		tz_scope_cancel(&all);
	}
}
TZ_TASK(void, scene, void);

static void clean_up(void)
{
	tz_queue_close(queue);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void in_real_time(void **state)
{
	(void)state;
	assert_int_equal(tz_run_with(&real, NULL, scene), 0);
	clean_up();
}

static void in_virtual_time(void **state)
{
	(void)state;
	assert_int_equal(tz_run_with(&sim, NULL, scene), 0);
	clean_up();
}

/* --- from a thread that runs no loop --------------------------------------------------------------------------- */

static _Atomic bool may_end;

static void host(void)
{
	must(pipe2(ends, O_CLOEXEC) == 0 && tz_queue_open(&queue, sizeof(int), NULL) == 0);
	tz_event_clear(&event);
	tz_lock_acquire(&lock);
	TZ_SCOPE(all) {
		begin_all();
		until(atomic_load(&may_end));
		(void)tz_lock_release(&lock);
		tz_scope_cancel(&all);
	}
}
TZ_TASK(void, host, void);

static void *run_host(void *unused)
{
	must(tz_run_with(&real, NULL, host) == 0);
	return unused;
}

static void from_a_thread(void **state)
{
	struct crew crew = { 0 };
	struct all all = { .n = 0 };
	int r;

	(void)state;
	atomic_store(&may_end, false);
	crew_add(&crew, run_host, NULL);
	until((all.n = all.waiting = 0,
	       tz_walk_tasks(hear, &all) == 0 && all.waiting == WAITING + 2));
	check_walk(&all, "host");
	assert_true(waits(&all, "host", "sleep", NULL));
	char *text = dumped(&r);

	assert_int_equal(r, 0);
	check_text(text, &all, "host", WAITING + 2);
	free(text);
	atomic_store(&may_end, true);
	crew_join(&crew);
	clean_up();
}

/* --- loops that do not answer --------------------------------------------------------------------------------------- */

static _Atomic bool is_stuck, may_go;

static void stuck(void)
{
	atomic_store(&is_stuck, true);
	stay_until(atomic_load(&may_go));
}
TZ_TASK(void, stuck, void);

static void *run_stuck(void *unused)
{
	must(tz_run(stuck) == 0);
	return unused;
}

static void a_stuck_loop_is_left_out(void **state)
{
	struct crew crew = { 0 };
	struct all all = { .n = 0 };
	int r;

	(void)state;
	crew_add(&crew, run_stuck, NULL);
	stay_until(atomic_load(&is_stuck));
	assert_int_equal(tz_walk_tasks(hear, &all), 1);
	assert_int_equal(all.n, 0);
	char *text = dumped(&r);

	assert_int_equal(r, 1);
	assert_non_null(strstr(text, ": does not answer: it is busy with task 'stuck'\n"));
	assert_null(strchr(text, '#'));
	free(text);
	atomic_store(&may_go, true);
	crew_join(&crew);
}

static void a_loop_that_nobody_runs_is_left_out(void **state)
{
	struct all all = { .n = 0 };
	tz_loop *loop;
	int r;

	(void)state;
	assert_int_equal(tz_loop_open(&loop, NULL), 0);
	assert_int_equal(tz_walk_tasks(hear, &all), 1);
	char *text = dumped(&r);

	assert_int_equal(r, 1);
	assert_non_null(strstr(text, ": does not answer, nobody runs it\n"));
	free(text);
	tz_loop_close(loop);
}

static void without_loops_there_is_nothing(void **state)
{
	struct all all = { .n = 0 };
	int r;

	(void)state;
	assert_int_equal(tz_walk_tasks(hear, &all), 0);
	assert_int_equal(all.n, 0);
	char *text = dumped(&r);

	assert_int_equal(r, 0);
	assert_string_equal(text, "");
	free(text);
}

static void dump_to_nowhere(void)
{
	must(tz_dump_tasks(-1) == -EBADF);
}
TZ_TASK(void, dump_to_nowhere, void);

static void what_cannot_be_written_is_told(void **state)
{
	(void)state;
	assert_int_equal(tz_run(dump_to_nowhere), 0);
}

/* --- many --------------------------------------------------------------------------------------------------------------- */

enum { MANY = BUILT_FOR_SANITIZER || EMULATED ? 1000 : 10000 };

static void count(const tz_task_info *info, void *arg)
{
	size_t *n = arg;

	(*n)++;
	must(info->id != 0);
}

static void among_many(void)
{
	size_t n = 0, lines = 0;
	int r;

	tz_event_clear(&event);
	for (int i = 0; i < MANY; i++)
		tz_spawn(eventer);
	(void)tz_sleep(0.001);
	must(tz_walk_tasks(count, &n) == 0 && n == MANY + 1);
	char *text = dumped(&r);

	must(r == 0 && has_line(text, "loop "));
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	must(lines == MANY + 2);
	free(text);
	tz_event_set(&event);
}
TZ_TASK(void, among_many, void);

static void ten_thousand(void **state)
{
	(void)state;
	assert_int_equal(tz_run_with(&real, NULL, among_many), 0);
	assert_int_equal(tz_run_with(&sim, NULL, among_many), 0);
}

/* --- deep ---------------------------------------------------------------------------------------------------------------- */

enum { DEEP = 200, INDENTED = 64 };

static void nested(int level);
TZ_TASK(void, nested, int);

/* Each waits for the next one; the last one asks. */
static void nested(int level)
{
	int r;

	if (level < DEEP) {
		(void)tz_result(tz_spawn(nested, level + 1), NULL);
		return;
	}
	char *text = dumped(&r);
	uint32_t id = 1; /* they are the loop's only tasks, so they are numbered */

	must(r == 0 && has_line(text, "loop ") &&
	     has_line(text, "  #1 nested: waiting for task 'nested', "));
	for (const char *at = strchr(text, '\n'); (at = strchr(at + 1, '\n')); id++) {
		char under[32] = "";
		int depth = (int)id, indent = 2 + 2 * (depth < INDENTED ? depth : INDENTED);

		if (at[1] == '\0')
			break;
		if (depth > INDENTED)
			(void)snprintf(under, sizeof under, " (under #%u)", id);
		must(has_line(at, "%*s#%u nested%s: %s", indent, "", id + 1, under,
			      id + 1 < DEEP ? "waiting" : "running"));
	}
	must(id == DEEP);
	free(text);
}

static void deeper_than_it_is_indented(void **state)
{
	(void)state;
	assert_int_equal(tz_run_with(&real, NULL, nested, 1), 0);
	assert_int_equal(tz_run_with(&sim, NULL, nested, 1), 0);
}

/* --- while loops come and go ------------------------------------------------------------------------------------------------ */

static void nap(void)
{
	(void)tz_sleep(0.0003);
}
TZ_TASK(void, nap, void);

static void look(const tz_task_info *info, void *arg)
{
	(void)arg;
	must(strcmp(info->name, "nap") == 0 || strcmp(info->name, "brief") == 0);
	must(info->state != TZ_TASK_WAITING || info->waits_for);
}

static void brief(bool asks)
{
	for (int i = 0; i < 4; i++)
		tz_spawn(nap);
	(void)tz_yield();
	if (asks)
		must(tz_walk_tasks(look, NULL) >= 0);
}
TZ_TASK(void, brief, bool);

static _Atomic int at_work;

static void *run_briefly(void *unused)
{
	for (int i = 0; i < 60; i++)
		must(tz_run(brief, i % 4 == 0) == 0);
	atomic_fetch_sub(&at_work, 1);
	return unused;
}

static void loops_come_and_go(void **state)
{
	struct crew crew = { 0 };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(null >= 0);
	atomic_store(&at_work, 3);
	for (int i = 0; i < 3; i++)
		crew_add(&crew, run_briefly, NULL);
	for (tz_deadline end = soon(); atomic_load(&at_work);) {
		must(!tz_expired(end));
		must(tz_walk_tasks(look, NULL) >= 0);
		must(tz_dump_tasks(null) >= 0);
	}
	crew_join(&crew);
	(void)close(null);
}

/* --- on a signal. In a child, which is forked before there are threads here. ------------------------------------------------------ */

static char *text; /* shared with the child */

static void ask_by_signal(void)
{
	size_t n = 0;

	sleeper_future f = tz_spawn(sleeper);

	(void)tz_yield();
	must(raise(SIGUSR1) == 0);
	/* The last line of the tree. */
	while (!strstr(text, "sleeper: ") || text[n - 1] != '\n') {
		must(tz_wait_fd(ends[0], POLLIN, soon()) > 0);
		ssize_t r = read(ends[0], text + n, 4000 - n);

		must(r > 0);
		n += (size_t)r;
	}
	(void)tz_cancel(f);
}
TZ_TASK(void, ask_by_signal, void);

static int be_asked_by_signal(void)
{
	must(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	must(tz_dump_tasks_on(SIGUSR1) == 0);
	for (int i = 0; i < 2; i++) {
		memset(text, 0, 4096);
		must(tz_run(ask_by_signal) == 0);
	}
	return tz_dump_tasks_on(0);
}

static void by_signal(void **state)
{
	int status;

	(void)state;
	text = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(text != MAP_FAILED);
	(void)fflush(NULL);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)alarm(2 * CREW_PATIENCE);
		_exit(be_asked_by_signal() != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(has_line(text, "loop 1: 2 tasks\n"));
	assert_true(has_line(text, "  #1 ask_by_signal: waiting for descriptor ") ||
		    has_line(text, "  #1 ask_by_signal: run"));
	assert_true(has_line(text, "    #2 sleeper: sleeping, "));
	(void)munmap(text, 4096);
}

static void mine(int signal)
{
	(void)signal;
}

static void (*handler_of(int signal))(int)
{
	struct sigaction now;

	must(sigaction(signal, NULL, &now) == 0);
	return now.sa_handler;
}

static void handlers_come_back(void **state)
{
	struct sigaction act = { .sa_handler = mine };

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &act, NULL), 0);
	assert_int_equal(tz_dump_tasks_on(SIGUSR1), 0);
	assert_true(handler_of(SIGUSR1) != mine);
	assert_int_equal(tz_dump_tasks_on(SIGUSR1), 0);
	assert_int_equal(tz_dump_tasks_on(SIGUSR2), 0);
	assert_true(handler_of(SIGUSR1) == mine);
	assert_true(handler_of(SIGUSR2) != SIG_DFL);
	assert_int_equal(tz_dump_tasks_on(0), 0);
	assert_true(handler_of(SIGUSR2) == SIG_DFL);
	assert_int_equal(tz_dump_tasks_on(SIGKILL), -EINVAL);
	assert_int_equal(tz_dump_tasks_on(999), -EINVAL);
	assert_int_equal(tz_dump_tasks_on(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_signal),
		cmocka_unit_test(without_loops_there_is_nothing),
		cmocka_unit_test(in_real_time),
		cmocka_unit_test(in_virtual_time),
		cmocka_unit_test(from_a_thread),
		cmocka_unit_test(a_stuck_loop_is_left_out),
		cmocka_unit_test(a_loop_that_nobody_runs_is_left_out),
		cmocka_unit_test(what_cannot_be_written_is_told),
		cmocka_unit_test(ten_thousand),
		cmocka_unit_test(deeper_than_it_is_indented),
		cmocka_unit_test(loops_come_and_go),
		cmocka_unit_test(handlers_come_back),
	};

	return cmocka_run_group_tests_name("tasks", tests, NULL, NULL);
}
