/* Timers for users: their states, and the runner, which calls their functions.
 *
 * Design notes
 *
 * The timer service (timer.h) says when a timer is due. It must not run users' code, so its call only puts the timer into a
 * list, from which the runner, a thread, takes them in order. A runner that has been in one call for STUCK_NS while others are ready
 * is left behind: another one is started, and the old one ends when its call does. `generation` says who is the runner.
 * An entry of the service, `watch`, looks after that; it also tries again if a thread could not be started.
 *
 * `calls.lock` guards everything, all timers' fields included; the service's lock is taken under it.
 *
 *   IDLE      not set
 *   WAITING   set in the service, or its call by the service is under way
 *   READY     in the list
 *   RUNNING   its function is being called; `again` if it is to be set afterwards, at `deadline`; `stopped` if it is not to be, though
 *             it has a period
 *
 * References. The user's handle has one; an entry that is set in the service, a call by the service that is under way, a place in the
 * list and a call by the runner have one together, which they pass on: except that a timer which is set again while a call by
 * the service is under way has two. That call finds that the deadline has not come, or takes the timer out of the service again.
 *
 * Fork. The lock is held over the fork. The child has no runner and nothing ready; a timer notices by its process number that what it was
 * doing, it did in the parent.
 */
#include <trenza/timer.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "core/frame.h"
#include "core/job.h"
#include "core/outcome.h"
#include "core/scope.h"
#include "core/strand.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/mutex.h"
#include "os/thread.h"
#include "sched/thread.h"
#include "sched/timer.h"
#include "sync/waiters.h"

enum { RUNNERS_MAX = 64 };
static const uint64_t STUCK_NS = 10000000, IDLE_NS = 5000000000u;

enum state { IDLE, WAITING, READY, RUNNING };

struct tz_timer {
	struct tz_timer_entry entry; /* first: the service knows this */
	_Atomic uint32_t refs;
	enum state state;
	bool again, stopped;
	uint32_t process; /* whose doing `state` is */
	uint64_t deadline, period; /* ns */
	uint64_t called;
	struct tz_timer *next; /* in the list */
	struct tz_strand *strand; /* that runs its function */
	struct tz_waiters joiners;
	const tz_task *task;
	void *result;
	void *args; /* and the memory of both */
};

static struct {
	struct tz_mutex lock;
	tz_timer *first, *last; /* ready */
	uint64_t generation; /* of the runner; older ones are left behind */
	unsigned runners; /* all that exist */
	bool alive; /* the one of this generation exists */
	bool busy; /* and is in a call */
	uint64_t begun; /* calls that ever began */
	bool watched; /* `watch` is set */
	uint64_t seen; /* `begun` when it was set */
	struct tz_timer_entry watch;
	_Atomic uint32_t bell; /* an idle runner sleeps on it */
} calls;

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* --- memory ------------------------------------------------------------------------------------------- */

static void drop(tz_timer *t)
{
	if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(t->args);
	free(t);
}

/* As drop, where the caller's own reference is left. */
static void let_go(tz_timer *t)
{
	(void)atomic_fetch_sub_explicit(&t->refs, 1, memory_order_relaxed);
}

static void take(tz_timer *t)
{
	(void)atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

/* --- the runner ----------------------------------------------------------------------------------------- */

static void *runner_main(void *generation);

/* Under the lock. 0 or a negative errno code. */
static int start_runner(void)
{
	pthread_t thread;
	int e;

	if (calls.runners == RUNNERS_MAX)
		return -EAGAIN;
	e = tz_os_thread_start_detached(&thread, runner_main,
					(void *)(uintptr_t)(calls.generation + 1));
	if (e < 0)
		return e;
	calls.generation++;
	calls.runners++;
	calls.alive = true;
	calls.busy = false;
	return 0;
}

static void watch_over(struct tz_timer_entry *unused);

/* Makes sure that somebody takes what is ready. Under the lock. */
static void see_to_it(void)
{
	if (!calls.first)
		return;
	if (!calls.alive)
		(void)start_runner(); /* if it fails, the watch tries again */
	if (!calls.watched && (calls.busy || !calls.alive)) {
		calls.seen = calls.begun;
		calls.watched =
			tz_timer_add(&calls.watch, tz_clock_now() + STUCK_NS, watch_over) == 0;
	}
}

static void watch_over(struct tz_timer_entry *unused)
{
	(void)unused;
	tz_mutex_lock(&calls.lock);
	calls.watched = false;
	if (calls.first && calls.alive && calls.busy && calls.begun == calls.seen)
		(void)start_runner();
	see_to_it();
	tz_mutex_unlock(&calls.lock);
}

static void make_ready(tz_timer *t)
{
	t->state = READY;
	t->next = NULL;
	*(calls.last ? &calls.last->next : &calls.first) = t;
	calls.last = t;
	see_to_it();
	if (!calls.busy)
		(void)atomic_fetch_add_explicit(&calls.bell, 1, memory_order_relaxed);
}

static tz_timer *take_ready(void)
{
	tz_timer *t = calls.first;

	if (t) {
		calls.first = t->next;
		if (!calls.first)
			calls.last = NULL;
	}
	return t;
}

static void take_out_of_list(tz_timer *t)
{
	tz_timer **link = &calls.first, *before = NULL;

	for (; *link != t; link = &before->next)
		before = *link;
	*link = t->next;
	if (calls.last == t)
		calls.last = before;
}

/* --- setting ---------------------------------------------------------------------------------------------- */

/* The service's call. */
static void fire(struct tz_timer_entry *entry)
{
	tz_timer *t = (tz_timer *)entry;
	bool due;

	tz_mutex_lock(&calls.lock);
	due = t->state == WAITING && t->deadline <= tz_clock_now();
	if (due) {
		if (tz_timer_remove(&t->entry) == TZ_TIMER_REMOVED)
			let_go(t); /* it was set again, for a time that has come already */
		make_ready(t);
	}
	tz_mutex_unlock(&calls.lock);
	if (due)
		tz_futex_wake(&calls.bell, 1);
	else
		drop(t); /* cancelled, or set for later, while we were on our way */
}

/* Under the lock, of a timer that is IDLE or RUNNING. */
static int set(tz_timer *t)
{
	int e = tz_timer_add(&t->entry, t->deadline, fire);

	t->state = e < 0 ? IDLE : WAITING;
	if (e == 0)
		take(t); /* in time: fire waits for the lock */
	return e;
}

/* Takes a timer that is set, or ready, out of there; under the lock. */
static void unset(tz_timer *t)
{
	if (t->state == READY) {
		take_out_of_list(t);
		let_go(t);
	} else if (t->state == WAITING && tz_timer_remove(&t->entry) == TZ_TIMER_REMOVED) {
		let_go(t);
	}
	t->state = IDLE;
}

/* What a timer was doing when the process was forked, it does in the parent. */
static void notice_fork(tz_timer *t)
{
	uint32_t process = atomic_load_explicit(&tz_process_number, memory_order_relaxed);

	if (t->process == process)
		return;
	t->process = process;
	t->state = IDLE;
	t->strand = NULL;
	memset(&t->joiners, 0, sizeof t->joiners);
}

static void lock(tz_timer *t)
{
	tz_mutex_lock(&calls.lock);
	notice_fork(t);
}

static void unlock(void)
{
	tz_mutex_unlock(&calls.lock);
}

/* --- calling ----------------------------------------------------------------------------------------------- */

struct call {
	tz_timer *timer;
	struct tz_frame frame;
	bool returned;
};

static void report(struct call *c)
{
	tz_outcome o = { .worker = -1 };

	tz_frame_outcome(&c->frame, c->returned, &o);
	if (o.status == TZ_OK)
		return;
	tz_copy_text(o.task, sizeof o.task, c->timer->task->name);
	tz_report_uncaught(NULL, &o);
}

/* The deadline after this one that has not passed yet. */
static uint64_t next_deadline(const tz_timer *t)
{
	uint64_t now = tz_clock_now(), next = t->deadline + t->period;

	return next > now ? next : next + (now - next + t->period - 1) / t->period * t->period;
}

static void settle(tz_timer *t)
{
	lock(t);
	if (t->state == RUNNING) { /* else its function has forked, and this is the child */
		t->strand = NULL;
		t->state = IDLE;
		if (!t->again && !t->stopped && t->period) {
			t->deadline = next_deadline(t);
			t->again = true;
		}
		if (t->again)
			(void)set(t);
		t->again = false;
	}
	if (t->state == IDLE)
		tz_waiters_wake_all(&t->joiners);
	unlock();
}

/* Every call goes through here, whichever way the function ended. */
static void on_leave(struct call *c)
{
	struct tz_strand *strand = tz_strand_self();

	while (strand->scope && strand->scope != &c->frame.scope)
		(void)tz_scope_leave(strand->scope); /* entered and not left */
	tz_frame_settle(&c->frame, strand, !c->returned);
	(void)tz_scope_leave(&c->frame.scope);
	tz_frame_leave(&c->frame, strand);
	report(c);
	settle(c->timer);
	drop(c->timer);
}

static void call(tz_timer *t)
{
	struct call c __attribute__((cleanup(on_leave))) = { .timer = t };

	tz_frame_enter(&c.frame, t->strand, NULL, tz_never(), -1);
	t->task->run(t->result, t->args);
	c.returned = true;
}

/* The end of a runner, also if a function that it called left by pthread_exit. */
static void on_end(uint64_t *generation)
{
	tz_mutex_lock(&calls.lock);
	calls.runners--;
	if (*generation == calls.generation) {
		calls.alive = calls.busy = false;
		see_to_it();
	}
	tz_mutex_unlock(&calls.lock);
}

/* Waits for something to be ready, or to be left behind: false if nothing came for a long time. Under the lock. */
static bool wait_for_work(uint64_t generation)
{
	uint64_t end = tz_clock_now() + IDLE_NS;

	while (!calls.first && generation == calls.generation) {
		uint32_t bell = atomic_load_explicit(&calls.bell, memory_order_relaxed);

		if (tz_clock_now() >= end)
			return false;
		tz_mutex_unlock(&calls.lock);
		(void)tz_futex_wait(&calls.bell, bell, end);
		tz_mutex_lock(&calls.lock);
	}
	return generation == calls.generation;
}

/* Takes the next ready timer for calling, or NULL if this runner is to end. */
static tz_timer *next_call(uint64_t generation, struct tz_strand *strand)
{
	tz_timer *t = NULL;

	tz_mutex_lock(&calls.lock);
	if (generation == calls.generation)
		calls.busy = false;
	if (wait_for_work(generation)) {
		t = take_ready();
		t->state = RUNNING;
		t->strand = strand;
		t->called++;
		calls.begun++;
		calls.busy = true;
		see_to_it();
	}
	tz_mutex_unlock(&calls.lock);
	return t;
}

static void *runner_main(void *arg)
{
	uint64_t generation __attribute__((cleanup(on_end))) = (uint64_t)(uintptr_t)arg;
	struct tz_strand *self = tz_strand_self();
	tz_timer *t;

	(void)prctl(PR_SET_NAME, "trenza-calls");
	while ((t = next_call(generation, self)))
		call(t);
	return NULL;
}

/* --- for users ----------------------------------------------------------------------------------------------- */

static void before_fork(void)
{
	tz_mutex_lock(&calls.lock);
}

static void in_parent(void)
{
	tz_mutex_unlock(&calls.lock);
}

static void in_child(void)
{
	calls.first = calls.last = NULL;
	calls.generation++;
	calls.runners = 0;
	calls.alive = calls.busy = calls.watched = false;
	tz_mutex_unlock(&calls.lock);
}

/* After timer.c did so, which makes our lock be taken before its own. */
static void watch_forks(void)
{
	(void)pthread_atfork(before_fork, in_parent, in_child);
}

static uint64_t to_ns(double seconds)
{
	return seconds > 0
		       ? seconds < 9e9 ? (uint64_t)(seconds * 1e9) : UINT64_C(9000000000000000000)
		       : 0;
}

static int take_args(tz_timer *t, const tz_task *task, const void *args)
{
	size_t align = task->align > 16 ? task->align : 16;
	size_t result_at = (task->args_size + align - 1) / align * align;

	t->args = aligned_alloc(align, (result_at + task->result_size + align) / align * align);
	if (!t->args)
		return -ENOMEM;
	t->result = (unsigned char *)t->args + result_at;
	t->task = task;
	if (task->args_size)
		memcpy(t->args, args, task->args_size);
	return 0;
}

int tz_timer_open_raw(tz_timer **ret_timer, const tz_timer_options *options, const tz_task *task,
		      const void *args)
{
	tz_timer_options o = options ? *options : (tz_timer_options){ .delay = 0 };
	tz_timer *t;
	int e;

	if (!(o.period >= 0) || isnan(o.delay) || o.reserved[0] || o.reserved[1] || o.reserved[2] ||
	    o.reserved[3])
		return -EINVAL;
	(void)pthread_once(&fork_once, watch_forks);
	t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	atomic_init(&t->refs, 1);
	t->process = atomic_load_explicit(&tz_process_number, memory_order_relaxed);
	e = take_args(t, task, args);
	if (e == 0) {
		t->period = to_ns(o.period);
		if (o.period > 0 && t->period == 0)
			t->period = 1; /* 0 is none */
		t->deadline = o.at.ns ? o.at.ns : tz_clock_now() + to_ns(o.delay);
		lock(t);
		e = set(t);
		if (e == 0)
			*ret_timer = t; /* here: its function, which may want it, waits for this lock */
		unlock();
	}
	if (e < 0)
		drop(t);
	return e;
}

int tz_timer_cancel(tz_timer *t)
{
	int answer = 0;

	lock(t);
	if (t->state == IDLE) {
		answer = -EALREADY;
	} else if (t->state == RUNNING) {
		answer = -EINPROGRESS;
		t->again = false;
		t->stopped = true;
	} else {
		unset(t);
		tz_waiters_wake_all(&t->joiners);
	}
	unlock();
	return answer;
}

void tz_timer_close(tz_timer *t)
{
	if (!t)
		return;
	(void)tz_timer_cancel(t);
	drop(t);
}

int tz_timer_reschedule(tz_timer *t, double seconds)
{
	int e = 0;

	lock(t);
	if (t->state != RUNNING)
		unset(t);
	t->deadline = tz_clock_now() + to_ns(seconds);
	t->stopped = false;
	if (t->state == RUNNING)
		t->again = true;
	else
		e = set(t);
	if (e < 0)
		tz_waiters_wake_all(&t->joiners);
	unlock();
	return e;
}

bool tz_timer_pending(tz_timer *t)
{
	bool pending;

	lock(t);
	pending = t->state != IDLE;
	unlock();
	return pending;
}

uint64_t tz_timer_calls(tz_timer *t)
{
	uint64_t called;

	lock(t);
	called = t->called;
	unlock();
	return called;
}

int tz_timer_join_until(tz_timer *t, tz_deadline deadline)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_waiting w;
	bool mine;

	lock(t);
	mine = t->state == RUNNING && t->strand == self;
	unlock();
	if (mine)
		return -EDEADLK;
	while (tz_timer_pending(t)) {
		int e;

		tz_waiters_enter(&t->joiners, &w, self);
		if (!tz_timer_pending(t)) {
			tz_waiters_leave(&t->joiners, &w);
			break;
		}
		e = tz_waiters_wait(&t->joiners, &w, "timer", t, deadline);
		/* Woken is enough: it had ended, and may have been set again since. */
		if (e == 0)
			break;
		if (tz_timer_pending(t))
			return e;
	}
	return 0;
}

int tz_timer_join(tz_timer *t)
{
	return tz_timer_join_until(t, tz_never());
}
