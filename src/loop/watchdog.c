/* The watchdog. See watchdog.h. */
#include "loop/watchdog.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <trenza/tasks.h>

#include "core/decimal.h"
#include "core/job.h"
#include "loop/loop.h"
#include "loop/tasks.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/mutex.h"
#include "os/thread.h"

static const uint64_t LEAST_PAUSE_NS = 1000000, MOST_PAUSE_NS = 1000000000;
static const uint64_t GRACE_NS = 10000000; /* by which a look may always be late */

static struct {
	struct tz_mutex lock;
	uint32_t loops; /* that have a limit */
	bool running; /* there is a thread */
	_Atomic uint32_t news; /* what the thread sleeps on */
} dog;

static _Atomic(tz_slow_hook) slow_hook;

static pthread_once_t asked = PTHREAD_ONCE_INIT;
static double by_environment; /* the limit in seconds, 0: none */

tz_slow_hook tz_on_slow(tz_slow_hook hook)
{
	return atomic_exchange(&slow_hook, hook);
}

static void ask_environment(void)
{
	const char *text = secure_getenv("TRENZA_SLOW");
	double seconds;

	if (text && tz_decimal(text, &seconds) && seconds > 0 && seconds < 1e9)
		by_environment = seconds;
}

uint64_t tz_watchdog_limit(double seconds)
{
	(void)pthread_once(&asked, ask_environment);
	if (!(seconds > 0))
		seconds = by_environment;
	if (!(seconds > 0))
		return 0;
	uint64_t ns = (uint64_t)(seconds * 1e9);

	return ns ? ns : 1;
}

/* --- looking ------------------------------------------------------------------------------------ */

static struct tz_glance glance_at(const struct tz_loop *l)
{
	struct tz_glance g = {
		.switches = __atomic_load_n(&l->switches, __ATOMIC_RELAXED),
		.current = __atomic_load_n(&l->current, __ATOMIC_ACQUIRE),
	};

	if (g.current) {
		g.task = __atomic_load_n(&g.current->task, __ATOMIC_RELAXED);
		g.site = __atomic_load_n(&g.current->site, __ATOMIC_RELAXED);
	}
	return g;
}

static bool is_same(const struct tz_glance *a, const struct tz_glance *b)
{
	return a->switches == b->switches && a->current == b->current && a->task == b->task &&
	       a->site == b->site;
}

/* Whether the loop's task is to be reported now. */
static bool look_at(struct tz_loop *l, uint64_t now, tz_slow_info *ret)
{
	struct tz_attention *w = &l->attention;
	struct tz_glance g = glance_at(l);
	bool late = now - w->looked > w->limit_ns + GRACE_NS;

	w->looked = now;
	if (!is_same(&g, &w->last)) {
		w->last = g;
		w->told = false;
		late = true;
	}
	if (late)
		w->since = now;
	if (w->told || !g.task || now - w->since < w->limit_ns)
		return false;
	w->told = true;
	*ret = (tz_slow_info){
		.loop = l->number,
		.name = g.task->name,
		.file = g.site ? g.site->file : NULL,
		.line = g.site ? g.site->line : 0,
		.seconds = (double)(now - w->since) / 1e9,
	};
	return true;
}

static void write_line(const tz_slow_info *info)
{
	char line[400], spawned[200] = "";

	if (info->file)
		(void)snprintf(spawned, sizeof spawned, " (spawned at %.160s:%u)", info->file,
			       info->line);
	int n = snprintf(line, sizeof line,
			 "trenza: loop %u has been in task '%.100s'%s for %.0f ms\n", info->loop,
			 info->name, spawned, info->seconds * 1e3);

	if (n > 0)
		(void)!write(STDERR_FILENO, line, (size_t)n);
}

static void tell(const tz_slow_info *info)
{
	tz_slow_hook hook = atomic_load(&slow_hook);

	if (hook)
		hook(info);
	else if (by_environment > 0)
		write_line(info);
}

/* How long the thread may sleep then. */
static uint64_t look_around(void)
{
	uint64_t shortest = UINT64_MAX;
	struct tz_loop *l;

	for (uint32_t number = 0; (l = tz_loops_visit(number)) != NULL; number++) {
		uint64_t limit = l->attention.limit_ns;
		tz_slow_info info;
		bool slow = limit && look_at(l, tz_clock_now(), &info);

		number = l->number;
		tz_loop_leave(l);
		if (limit && limit < shortest)
			shortest = limit;
		if (slow)
			tell(&info);
	}
	if (shortest / 4 < LEAST_PAUSE_NS)
		return LEAST_PAUSE_NS;
	return shortest / 4 < MOST_PAUSE_NS ? shortest / 4 : MOST_PAUSE_NS;
}

/* --- the thread --------------------------------------------------------------------------------- */

static uint32_t this_process(void)
{
	return atomic_load_explicit(&tz_process_number, memory_order_relaxed);
}

static void *watch(void *unused);

/* Sees to it that there is a thread if there is something to watch; under the lock. */
static void start(void)
{
	pthread_t thread;

	if (dog.loops && !dog.running)
		dog.running = tz_os_thread_start_detached(&thread, watch, NULL) == 0;
}

static bool is_wanted(uint32_t process)
{
	if (process != this_process())
		return false; /* a hook has forked, and this is the child */
	tz_mutex_lock(&dog.lock);
	bool wanted = dog.loops != 0;

	tz_mutex_unlock(&dog.lock);
	return wanted;
}

/* The thread ends; a loop that came meanwhile gets another one. In a fork child of a hook's, it is not the watchdog any more. */
static void leave(const uint32_t *process)
{
	if (*process != this_process())
		return;
	tz_mutex_lock(&dog.lock);
	dog.running = false;
	start();
	tz_mutex_unlock(&dog.lock);
}

static void *watch(void *unused)
{
	uint32_t process __attribute__((cleanup(leave))) = this_process();

	(void)unused;
	(void)pthread_setname_np(pthread_self(), "trenza-watch");
	for (;;) {
		uint32_t news = atomic_load_explicit(&dog.news, memory_order_acquire);

		if (!is_wanted(process))
			return NULL;
		uint64_t pause = look_around();

		if (is_wanted(process))
			(void)tz_futex_wait(&dog.news, news, tz_clock_now() + pause);
	}
}

static void wake(void)
{
	atomic_fetch_add_explicit(&dog.news, 1, memory_order_release);
	tz_futex_wake(&dog.news, 1);
}

void tz_watchdog_add(const struct tz_loop *l)
{
	if (!l->attention.limit_ns)
		return;
	tz_mutex_lock(&dog.lock);
	dog.loops++;
	start();
	tz_mutex_unlock(&dog.lock);
	wake(); /* it may be asleep for longer than this loop's limit */
}

void tz_watchdog_remove(const struct tz_loop *l)
{
	if (!l->attention.limit_ns)
		return;
	tz_mutex_lock(&dog.lock);
	bool last = --dog.loops == 0;

	tz_mutex_unlock(&dog.lock);
	if (last)
		wake();
}

void tz_watchdog_fork_prepare(void)
{
	tz_mutex_lock_unless_alone(&dog.lock);
}

void tz_watchdog_fork_in_parent(void)
{
	tz_mutex_unlock_if_locked(&dog.lock);
}

void tz_watchdog_fork_in_child(void)
{
	if (dog.loops || dog.running) {
		dog.loops = 0;
		dog.running = false;
	}
	tz_mutex_unlock_if_locked(&dog.lock);
}
