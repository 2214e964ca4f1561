/* The loop. See loop.h. */
#include "loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "core/frame.h"
#include "core/parking.h"
#include "core/strand_thread.h"
#include "loop/later.h"
#include "loop/tasks.h"
#include "os/clock.h"
#include "os/cpu.h"

enum {
	TURNS = 16, /* switches between two looks at the clock */
	SIMULATED_TURNS = 61,
	SLICE_US = 100,
	CHOICE = 32 /* how many from the front of the line a simulation chooses from */
};

/* Memory that is not needed is given back that often. */
static const uint64_t TRIM_NS = 1000000000;

/* A host's scope may be cancelled by somebody who cannot ring the loop: it looks that often. */
static const uint64_t HOST_SLICE_NS = 20000000;

/* Who cancels a job that is held does not ring either: a loop that ends when all have ended looks that often. */
static const uint64_t HELD_SLICE_NS = 50000000;

_Thread_local struct tz_loop *tz_loop_self __attribute__((tls_model("initial-exec")));

/* --- coroutines: making, running, ending ------------------------------------------------------ */

static void coroutine_main(void *arg);

static void link_coroutine(struct tz_loop *l, struct tz_coroutine *c)
{
	c->previous = NULL;
	c->next = l->all;
	if (l->all)
		l->all->previous = c;
	l->all = c;
}

static void unlink_coroutine(struct tz_loop *l, struct tz_coroutine *c)
{
	*(c->previous ? &c->previous->next : &l->all) = c->next;
	if (c->next)
		c->next->previous = c->previous;
}

/* A coroutine with a stack of that size (0: the loop's), or NULL without memory. */
static struct tz_coroutine *make_coroutine(struct tz_loop *l, size_t stack_size)
{
	struct tz_coroutine *c = tz_coroutine_alloc();

	if (!c)
		return NULL;
	c->loop = l;
	c->own_stack = stack_size != 0;
	c->strand.base = &l->scope;
	if (l->simulated)
		c->strand.flags |= TZ_STRAND_SIMULATED;
	if (tz_stack_take(&l->stacks, stack_size ? stack_size : l->executor.options.stack_size,
			  &c->stack) < 0)
		goto no_stack;
	if (tz_context_make(&c->context, c->stack.low, c->stack.size, coroutine_main, c) < 0)
		goto no_context;
	tz_stack_own(&c->stack, c);
	link_coroutine(l, c);
	return c;

no_context:
	tz_stack_give(&l->stacks, c->stack);
no_stack:
	tz_coroutine_free(c);
	return NULL;
}

static void end_coroutine(struct tz_loop *l, struct tz_coroutine *c)
{
	unlink_coroutine(l, c);
	tz_context_done(&c->context);
	tz_stack_own(&c->stack, NULL);
	tz_stack_give(&l->stacks, c->stack);
	tz_coroutine_free(c);
}

static void put_aside(struct tz_coroutine **list, struct tz_coroutine *c)
{
	c->job = NULL;
	c->next_ready = (uintptr_t)*list;
	*list = c;
}

static struct tz_coroutine *take_aside(struct tz_coroutine **list)
{
	struct tz_coroutine *c = *list;

	if (c)
		*list = (struct tz_coroutine *)c->next_ready;
	return c;
}

static void put_idle(struct tz_loop *l, struct tz_coroutine *c)
{
	put_aside(&l->idle, c);
	l->nidle++;
}

static struct tz_coroutine *take_idle(struct tz_loop *l)
{
	struct tz_coroutine *c = take_aside(&l->idle);

	if (c && --l->nidle < l->idle_least)
		l->idle_least = l->nidle;
	return c;
}

/* Once in a while, when nothing is ready: of the idle coroutines that were not needed since the last
 * time, half end, those that lie lowest; and free stacks give memory back. Ends with nothing left to give. */
static void trim(struct tz_wheel_timer *timer)
{
	struct tz_loop *l =
		(struct tz_loop *)(void *)((char *)timer - offsetof(struct tz_loop, trimmer));
	size_t keep = l->nidle - (l->idle_least + 1) / 2;
	struct tz_coroutine *last = NULL, *rest = l->idle, *c;

	for (size_t i = 0; i < keep; i++) {
		last = rest;
		rest = (struct tz_coroutine *)rest->next_ready;
	}
	if (last)
		last->next_ready = 0;
	else
		l->idle = NULL;
	while ((c = take_aside(&rest)) != NULL)
		end_coroutine(l, c);
	l->nidle = l->idle_least = keep;
	if (tz_stacks_trim(&l->stacks) || l->idle)
		tz_wheel_set(&l->wheel, timer, l->backend->ops->now(l->backend) + TRIM_NS, trim);
}

static void trim_soon(struct tz_loop *l)
{
	if (l->idle && !l->simulated && !tz_wheel_is_set(&l->trimmer))
		tz_wheel_set(&l->wheel, &l->trimmer, l->backend->ops->now(l->backend) + TRIM_NS,
			     trim);
}

/* A stack whose guard is a gap only is looked at when its coroutine stops. */
static inline void check_stack(struct tz_loop *l, const struct tz_coroutine *c)
{
	if (__builtin_expect(!tz_stack_is_intact(&l->stacks, &c->stack), 0))
		tz_overflow_found(&c->stack);
}

/* Sees to those that left their stacks for good, and to those whose stacks are not kept. On `main`:
 * nobody stands on them any more. */
static void see_to_retired(struct tz_loop *l)
{
	struct tz_coroutine *c;

	while ((c = take_aside(&l->retired)) != NULL) {
		if (c->own_stack || tz_context_make(&c->context, c->stack.low, c->stack.size,
						    coroutine_main, c) < 0)
			end_coroutine(l, c);
		else
			put_idle(l, c);
	}
}

static size_t stack_size_of(const struct tz_job *job)
{
	return job->options ? job->options->stack_size : 0;
}

void tz_loop_drop(struct tz_loop *l, struct tz_job *job, tz_status status, int code,
		  const char *message)
{
	job->next_ready = 0;
	(void)tz_job_end(job, status, code, message);
	tz_loop_count_unrun(l);
}

uint32_t tz_loop_next_id(struct tz_loop *l)
{
	if (++l->ids == 0)
		l->ids = 1;
	return l->ids;
}

/* Whether a simulation makes a job fail; one that may be retried does if all its tries would. */
static bool is_to_fail(struct tz_loop *l, const struct tz_job *job)
{
	int tries = 1 + (job->options ? job->options->retries : 0);

	while (tries-- > 0)
		if (tz_backend_fault(l->backend, TZ_POINT_JOB) == 0)
			return false;
	return true;
}

/* The coroutine that will run the job: `self`, which has just ended another one, if it may; NULL if
 * there is none to run it, or it need not be. */
static struct tz_coroutine *give(struct tz_loop *l, struct tz_job *job, struct tz_coroutine *self)
{
	size_t stack_size = 0;
	struct tz_coroutine *c;

	job->next_ready = 0; /* from here on it is `frame` */
	if (__builtin_expect(!tz_job_is_queued(job), 0)) {
		tz_loop_drop(l, job, TZ_CANCELLED, -ECANCELED,
			     "cancelled"); /* it has ended already: the words do not matter */
		return NULL;
	}
	if (!job->id)
		job->id = tz_loop_next_id(l); /* it comes from another thread */
	if (__builtin_expect(atomic_load_explicit(&l->broken, memory_order_relaxed) < 0, 0)) {
		tz_loop_drop(l, job, TZ_FAILED,
			     atomic_load_explicit(&l->broken, memory_order_relaxed),
			     "the executor is broken: its initializer failed");
		return NULL;
	}
	if (__builtin_expect(l->simulated, 0) && l->group && is_to_fail(l, job)) {
		tz_loop_drop(l, job, TZ_FAILED, -EIO, "chaos");
		return NULL;
	}
	if (__builtin_expect(job->options || job->task == &tz_timer_task, 0)) {
		if (tz_later_hold(l, job))
			return NULL;
		stack_size = stack_size_of(job);
	}
	if (__builtin_expect(stack_size != 0, 0))
		c = make_coroutine(l, stack_size);
	else if (self && !self->own_stack)
		c = self;
	else if (!(c = take_idle(l)))
		c = make_coroutine(l, 0);
	if (__builtin_expect(!c, 0)) {
		tz_loop_drop(l, job, TZ_FAILED, -ENOMEM, "no memory for its stack");
		return NULL;
	}
	c->job = job;
	__atomic_store_n(&c->task, job->task, __ATOMIC_RELAXED);
	__atomic_store_n(&c->site, job->site, __ATOMIC_RELAXED);
	return c;
}

static size_t count_up_to(const struct tz_ready_queue *r, size_t most)
{
	size_t n = 0;

	for (tz_entry e = r->first; e && n < most; e = *tz_entry_link(e))
		n++;
	return n;
}

/* Who is next after the next is looked up meanwhile: with many coroutines each one's line and stack are in no near cache. */
static inline void fetch_ahead(const struct tz_loop *l)
{
	const struct tz_coroutine *c = tz_entry_coroutine(l->ready.first);

	if (c) {
		__builtin_prefetch(&c->context);
		__builtin_prefetch(&c->strand);
	}
}

static tz_entry next_entry(struct tz_loop *l)
{
	if (__builtin_expect(l->simulated, 0)) {
		size_t n = count_up_to(&l->ready, CHOICE);

		if (n > 0)
			return tz_ready_take(&l->ready, tz_backend_choose(l->backend, n));
	}
	return tz_ready_pop(&l->ready);
}

/* Who goes on next, or NULL if nothing is ready. */
static struct tz_coroutine *next_coroutine(struct tz_loop *l, struct tz_coroutine *self)
{
	tz_entry e;

	while ((e = next_entry(l)) != 0) {
		struct tz_coroutine *c = tz_entry_coroutine(e);

		fetch_ahead(l);
		if (!c)
			c = give(l, (struct tz_job *)e, self);
		if (c)
			return c;
	}
	return NULL;
}

/* A simulation may end the wait that begins, as if somebody had cancelled the job or its deadline had come. Other failures are for waits that can
 * fail by themselves. */
static void meet_park(struct tz_loop *l, struct tz_coroutine *c)
{
	int r = tz_backend_fault(l->backend, TZ_POINT_PARK);
	struct tz_scope *outermost = c->strand.scope;

	if (r == 0 || !outermost)
		return;
	while (outermost->tz__parent && outermost->tz__parent != c->strand.base)
		outermost = outermost->tz__parent;
	if (r == -ECANCELED)
		tz_scope_cancel(outermost);
	else if (r == -ETIMEDOUT)
		(void)tz_scope_reschedule(outermost, (tz_deadline){ 1 });
}

/* A coroutine of a simulated loop is left. */
static bool simulated_slice_is_over(struct tz_loop *l)
{
	l->turns = 1;
	if (l->current->job)
		meet_park(l, l->current);
	return --l->steps <= 0;
}

static __attribute__((noinline)) bool slice_is_over(struct tz_loop *l)
{
	if (l->simulated)
		return simulated_slice_is_over(l);
	if (tz_clock_ticks() >= l->slice_end)
		return true;
	l->turns = TURNS;
	return false;
}

static void begin_slice(struct tz_loop *l)
{
	l->turns = l->simulated ? 1 : TURNS;
	l->steps = SIMULATED_TURNS;
	l->slice_end = tz_clock_ticks() + SLICE_US * tz_clock_ticks_per_us();
}

static inline void count_switch(struct tz_loop *l)
{
	__atomic_store_n(&l->switches, l->switches + 1, __ATOMIC_RELAXED);
}

static inline void go_on_with(struct tz_loop *l, struct tz_context *from, struct tz_coroutine *to)
{
	__atomic_store_n(&l->current, to, __ATOMIC_RELEASE); /* others look at its task, and it may be new */
	count_switch(l);
	tz_strand_current = &to->strand;
	tz_context_switch(from, &to->context);
}

static inline void go_to_main(struct tz_loop *l, struct tz_context *from)
{
	__atomic_store_n(&l->current, NULL, __ATOMIC_RELAXED);
	tz_strand_current = l->host;
	tz_context_switch(from, &l->main);
}

/* The next one to switch to, unless it is main's turn. */
static inline struct tz_coroutine *next_in_slice(struct tz_loop *l, struct tz_coroutine *self)
{
	if (__builtin_expect(--l->turns <= 0, 0) && slice_is_over(l))
		return NULL;
	return next_coroutine(l, self);
}

void tz_loop_suspend(struct tz_coroutine *self)
{
	struct tz_loop *l = self->loop;
	int saved = *l->errno_location;

	check_stack(l, self);
	struct tz_coroutine *next = next_in_slice(l, NULL);

	if (next == self)
		return;
	if (next)
		go_on_with(l, &self->context, next);
	else
		go_to_main(l, &self->context);
	*l->errno_location = saved;
}

/* Begins a job before its submitter goes on, who is next when that one first waits, or ends. */
static __attribute__((noinline)) void begin_at_once(struct tz_loop *l, struct tz_job *job)
{
	struct tz_coroutine *self = l->current, *next = give(l, job, NULL);
	int saved = *l->errno_location;

	if (!next)
		return;
	check_stack(l, self);
	tz_ready_push_first(&l->ready, tz_entry_of_coroutine(self));
	go_on_with(l, &self->context, next);
	*l->errno_location = saved;
}

static void finish_job(struct tz_loop *l, struct tz_coroutine *c)
{
	c->job = NULL;
	tz_counter_add(&l->ended, 1);
	tz_strand_recycle(&c->strand);
}

/* The code of a job left by pthread_exit, or somebody cancelled the thread: the coroutine begins
 * anew, and the thread goes on. */
static void abandon(struct tz_coroutine **at)
{
	struct tz_coroutine *c = *at;
	struct tz_loop *l = c->loop;

	if (tz_loop_self != l)
		return; /* in a fork child, this is the thread */
	finish_job(l, c);
	put_aside(&l->retired, c);
	go_to_main(l, &c->context);
	__builtin_unreachable();
}

/* Runs the coroutine's job, and says who is next: itself, if it has another one by then. */
static __attribute__((noinline)) struct tz_coroutine *run_job(struct tz_loop *l, struct tz_coroutine *c)
{
	tz_counter_add(&l->begun, 1);
	(void)tz_job_run(c->job, l->index);
	if (__builtin_expect(tz_loop_self != l, 0))
		pthread_exit(NULL); /* a fork child, whose only thread has nothing more to do */
	finish_job(l, c);
	return next_in_slice(l, c);
}

/* Returns when there is another job for it. */
static __attribute__((noinline)) void wait_for_job(struct tz_loop *l, struct tz_coroutine *c, struct tz_coroutine *next)
{
	check_stack(l, c);
	if (c->own_stack)
		put_aside(&l->retired, c);
	else
		put_idle(l, c);
	if (next)
		go_on_with(l, &c->context, next);
	else
		go_to_main(l, &c->context);
}

/* Goes on on the thread that runs the loop now, which may be another one than before. A function may have kept the address of a thread-local
 * variable, as compilers for aarch64 do, so what looks at one is called anew for each job. */
static void coroutine_main(void *arg)
{
	struct tz_coroutine *c __attribute__((cleanup(abandon))) = arg;
	struct tz_loop *l = c->loop;

	for (;;) {
		struct tz_coroutine *next = run_job(l, c);

		if (next == c)
			count_switch(l);
		else
			wait_for_job(l, c, next);
	}
}

void tz_loop_help(tz_executor *executor, tz_job *job, bool timed)
{
	struct tz_loop *l = tz_loop_self;
	struct tz_coroutine *c = l ? l->current : NULL;

	(void)executor;
	if (!c || timed || l->simulated || (l->group && !job->site))
		return; /* of several loops, only what was spawned is sure to be here, or to have an id for good */
	if (!job->id || !tz_job_is_queued(job))
		return;
	uint8_t *quick = &l->quick[(uintptr_t)job->task / 64 % TZ_LOOP_TASKS];

	if (*quick < 2 && ++l->trials % 64 != 0)
		return;
	tz_ready_push_coroutine(&l->ready, c);
	tz_loop_suspend(c);
	if (tz_job_is_done(job))
		*quick += *quick < 3;
	else
		*quick -= *quick > 0;
}

/* --- main -------------------------------------------------------------------------------------- */

static void fire_timers(struct tz_loop *l)
{
	uint64_t next = tz_wheel_next(&l->wheel);

	l->now = l->backend->ops->now(l->backend);
	if (next && l->now >= next)
		(void)tz_wheel_fire(&l->wheel, l->now);
}

static void take_inbox(struct tz_loop *l)
{
	if (atomic_load_explicit(&l->inbox, memory_order_relaxed))
		tz_inbox_take(&l->inbox, &l->ready);
}

/* Ends what has not begun. */
static void cancel_pending(struct tz_loop *l)
{
	struct tz_ready_queue keep;
	tz_entry e;

	tz_ready_init(&keep);
	if (!l->ready.first)
		return;
	while ((e = tz_ready_pop(&l->ready)) != 0) {
		if (tz_entry_coroutine(e))
			tz_ready_push(&keep, e);
		else
			tz_loop_drop(l, (struct tz_job *)e, TZ_CANCELLED, -ECANCELED,
				     "the executor was shut down");
	}
	while ((e = tz_ready_pop(&keep)) != 0)
		tz_ready_push(&l->ready, e);
}

static void wake_all(struct tz_loop *l)
{
	for (struct tz_coroutine *c = l->all; c; c = c->next)
		tz_strand_unpark(&c->strand);
}

/* Does what a shutdown asks for. */
static void obey(struct tz_loop *l, uint32_t closing)
{
	if (closing >= 1 + TZ_CANCEL_PENDING) {
		cancel_pending(l); /* each time: a submit may have been under way */
		if (l->obeyed < closing || l->wheel.count)
			tz_later_cancel(l);
	}
	if (l->held && (l->obeyed < closing || l->now - l->held_seen >= HELD_SLICE_NS)) {
		l->held_seen = l->now;
		tz_later_drop_ended(l);
	}
	if (closing >= 1 + TZ_STOP_NOW && l->obeyed < closing)
		wake_all(l);
	l->obeyed = closing;
}

/* Until when a poll may last; a past time: it must not wait at all. */
static uint64_t poll_until(struct tz_loop *l)
{
	uint64_t until = tz_wheel_next(&l->wheel);

	if (l->host->scope) {
		uint64_t slice = l->backend->ops->now(l->backend) + HOST_SLICE_NS;

		until = until && until < slice ? until : slice;
	}
	if (l->held && l->obeyed && !l->simulated) {
		uint64_t slice = l->held_seen + HELD_SLICE_NS;

		until = until && until < slice ? until : slice;
	}
	return until;
}

enum { AWAKE = 0, ASLEEP = 1, RUNG = 2 };

/* Nothing is ready: sleeps until something is, or the next timer. */
static void sleep_in_poll(struct tz_loop *l)
{
	uint32_t bell = AWAKE;

	trim_soon(l);
	if (atomic_compare_exchange_strong_explicit(&l->bell, &bell, ASLEEP, memory_order_acq_rel,
						    memory_order_acquire)) {
		tz_strand_block_begin(l->host);
		(void)l->backend->ops->poll(l->backend, poll_until(l));
		tz_strand_block_end(l->host);
	}
	(void)atomic_exchange_explicit(&l->bell, AWAKE, memory_order_acquire);
}

/* Whether every job that was accepted has ended. */
static bool is_done(const struct tz_loop *l)
{
	return atomic_load_explicit(&l->ended, memory_order_relaxed) +
		       atomic_load_explicit(&l->dropped_outside, memory_order_acquire) ==
	       atomic_load_explicit(&l->submitted, memory_order_relaxed) +
		       atomic_load_explicit(&l->submitted_outside, memory_order_acquire);
}

bool tz_loop_is_finished(const struct tz_loop *l)
{
	return atomic_load_explicit(&l->closing, memory_order_seq_cst) && is_done(l);
}

bool tz_loop_has_ended(struct tz_loop *l, void *unused)
{
	(void)unused;
	return atomic_load_explicit(&l->closing, memory_order_seq_cst) &&
	       !atomic_load_explicit(&l->visitors, memory_order_seq_cst) && is_done(l);
}

/* One turn of main. */
static void turn(struct tz_loop *l)
{
	uint32_t closing = atomic_load_explicit(&l->closing, memory_order_acquire);

	see_to_retired(l);
	take_inbox(l);
	if (__builtin_expect(atomic_load_explicit(&l->question, memory_order_relaxed) != NULL, 0))
		tz_loop_answer(l);
	fire_timers(l);
	if (__builtin_expect(closing != 0, 0))
		obey(l, closing);
	struct tz_coroutine *c = next_coroutine(l, NULL);

	if (!c) {
		/* A visitor may be all that it waits for to end, and leaves without a word. */
		if (closing &&
		    (atomic_load_explicit(&l->visitors, memory_order_seq_cst) || is_done(l)))
			tz_cpu_backoff(&l->spins);
		else if (!l->retired)
			sleep_in_poll(l);
		return;
	}
	begin_slice(l);
	go_on_with(l, &l->main, c);
	if (l->backend->armed && l->ready.first)
		(void)l->backend->ops->poll(l->backend, 1);
}

/* The kernel lets timers of a thread be late by its slack, 50 us unless told otherwise, so that it wakes up less often. A loop's sleeps are
 * few, and exact. Returns the slack there was, or 0. */
static int be_exact(const struct tz_loop *l)
{
	int slack = l->simulated ? 0 : prctl(PR_GET_TIMERSLACK);

	if (slack > 0)
		(void)prctl(PR_SET_TIMERSLACK, 1UL);
	return slack;
}

int tz_loop_drive(struct tz_loop *l, bool (*over)(struct tz_loop *loop, void *arg), void *arg)
{
	struct tz_strand *host = tz_strand_self();
	struct tz__forks *forks = tz__forks_self;

	if (l->host || tz_loop_self)
		return -EBUSY;
	tz_context_of_thread(&l->main);
	atomic_store_explicit(&tz_overflow_describe, tz_coroutine_describe, memory_order_release);
	(void)tz_overflow_begin(&l->overflow); /* without memory, a report will be missing */
	__atomic_store_n(&l->host, host, __ATOMIC_RELAXED);
	l->errno_location = &errno;
	tz_loop_self = l;
	/* Coroutines that take turns would not join in the order of forking. */
	tz__forks_self = &tz_no_forks;
	int slack = be_exact(l);

	while (!over(l, arg))
		turn(l);
	if (slack > 0)
		(void)prctl(PR_SET_TIMERSLACK, (unsigned long)slack);
	tz__forks_self = forks;
	tz_loop_self = NULL;
	(void)__atomic_exchange_n(&l->host, NULL, __ATOMIC_SEQ_CST); /* see os/atomic.h */
	tz_loop_refuse_question(l);
	tz_overflow_end(&l->overflow);
	return 0;
}

/* --- from outside ------------------------------------------------------------------------------ */

void tz_loop_ring(struct tz_loop *l)
{
	if (atomic_exchange_explicit(&l->bell, RUNG, memory_order_acq_rel) == ASLEEP)
		l->backend->ops->wake(l->backend);
}

bool tz_loop_is_asleep(const struct tz_loop *l)
{
	return atomic_load_explicit(&l->bell, memory_order_relaxed) == ASLEEP;
}

void tz_loop_post(struct tz_loop *l, tz_entry e)
{
	tz_loop_visit(l);
	tz_inbox_push(&l->inbox, e);
	tz_loop_ring(l);
	tz_loop_leave(l);
}

/* On the loop's own thread. */
static size_t submit_here(struct tz_loop *l, tz_job *const *jobs, size_t n, int *ret_error)
{
	if (__builtin_expect(atomic_load_explicit(&l->closing, memory_order_relaxed) != 0, 0)) {
		*ret_error = -ESHUTDOWN;
		return 0;
	}
	uint32_t parent = l->current && l->current->job ? l->current->job->id : 0;

	tz_counter_add(&l->submitted, n);
	for (size_t i = 0; i < n; i++) {
		struct tz_job *job = jobs[i];

		job->id = tz_loop_next_id(l);
		job->parent = parent;
		if (__builtin_expect(job->eager, 0) && l->current)
			begin_at_once(l, job);
		else
			tz_ready_push_job(&l->ready, job);
	}
	return n;
}

static size_t submit_from_outside(struct tz_loop *l, tz_job *const *jobs, size_t n, int *ret_error)
{
	tz_loop_visit(l);
	if (atomic_load_explicit(&l->closing, memory_order_seq_cst)) {
		tz_loop_leave(l);
		*ret_error = -ESHUTDOWN;
		return 0;
	}
	(void)atomic_fetch_add_explicit(&l->submitted_outside, n, memory_order_release);
	for (size_t i = 0; i < n && l->simulated; i++)
		tz_job_change_clock(jobs[i], l->backend->ops->now(l->backend));
	for (size_t i = 0; i < n; i++)
		tz_inbox_push(&l->inbox, tz_entry_of_job(jobs[i]));
	tz_loop_ring(l);
	tz_loop_leave(l);
	return n;
}

size_t tz_loop_submit(struct tz_loop *l, tz_job *const *jobs, size_t n, int *ret_error)
{
	if (__builtin_expect(tz_loop_self == l, 1))
		return submit_here(l, jobs, n, ret_error);
	return submit_from_outside(l, jobs, n, ret_error);
}

void tz_loop_cancel_unseen(struct tz_loop *l)
{
	struct tz_ready_queue unseen;
	tz_entry e;

	tz_loop_visit(l);
	tz_ready_init(&unseen);
	tz_inbox_take(&l->inbox, &unseen);
	while ((e = tz_ready_pop(&unseen)) != 0) {
		if (tz_entry_coroutine(e)) {
			tz_inbox_push(&l->inbox, e);
			continue;
		}
		((struct tz_job *)e)->next_ready = 0;
		(void)tz_job_end((struct tz_job *)e, TZ_CANCELLED, -ECANCELED,
				 "the executor was shut down");
		(void)atomic_fetch_add_explicit(&l->dropped_outside, 1, memory_order_release);
	}
	tz_loop_ring(l);
	tz_loop_leave(l);
}

void tz_loop_break(struct tz_loop *l, int code)
{
	atomic_store_explicit(&l->broken, code, memory_order_relaxed);
}

void tz_loop_request_shutdown(struct tz_loop *l, tz_shutdown how)
{
	uint32_t now = atomic_load_explicit(&l->closing, memory_order_relaxed),
		 want = 1 + (uint32_t)how;

	tz_loop_visit(l);
	while (now < want &&
	       !atomic_compare_exchange_weak_explicit(&l->closing, &now, want, memory_order_seq_cst,
						      memory_order_relaxed))
		;
	if (how == TZ_STOP_NOW)
		__atomic_store_n(
			&l->scope.tz__cancelled, 1,
			__ATOMIC_RELEASE); /* what runs may look; who waits is woken by the loop */
	tz_loop_ring(l);
	tz_loop_leave(l);
}

/* --- beginning and end of a loop --------------------------------------------------------------- */

int tz_loop_init(struct tz_loop *l, const tz_executor_ops *ops, const tz_executor_options *options,
		 const struct tz_loop_setup *setup)
{
	const struct tz_backend_ops *backend = setup->backend ? setup->backend : &tz_backend_epoll;

	memset((void *)l, 0, sizeof *l);
	tz_executor_init(&l->executor, ops, options, 1);
	l->executor.permanent = 1; /* ended by tz_loop_close alone */
	l->executor.options.stack_size = setup->stack_size;
	tz_ready_init(&l->ready);
	int r = backend->open(&l->backend, &setup->backend_options);

	if (r < 0)
		return r;
	l->simulated = backend->choose != NULL;
	memset(l->quick, 2, sizeof l->quick);
	tz_wheel_init(&l->wheel, backend->now(l->backend));
	l->attention.limit_ns = tz_watchdog_limit(setup->slow_seconds);
	tz_loops_add(l);
	tz_watchdog_add(l);
	return 0;
}

void tz_loop_done(struct tz_loop *l)
{
	bool ours = !tz_executor_is_lost(&l->executor);

	tz_loops_remove(l);
	if (ours)
		tz_watchdog_remove(l);
	while (ours && atomic_load_explicit(&l->visitors, memory_order_acquire))
		tz_cpu_relax();
	if (ours) {
		see_to_retired(l);
		for (struct tz_coroutine *c; (c = take_idle(l)) != NULL;)
			end_coroutine(l, c);
	}
	tz_stacks_done(&l->stacks);
	l->backend->ops->close(l->backend);
}

static void before_fork(void)
{
	tz_coroutine_fork_prepare();
	tz_loops_fork_prepare();
	tz_watchdog_fork_prepare();
}

static void in_parent(void)
{
	tz_watchdog_fork_in_parent();
	tz_loops_fork_done();
	tz_coroutine_fork_done();
}

/* The child's one thread is the one that called fork. If that was a coroutine, it is a thread from
 * now on. */
static void in_child(void)
{
	struct tz_loop *l = tz_loop_self;

	tz_watchdog_fork_in_child();
	tz_loops_fork_done();
	tz_coroutine_fork_done();
	if (!l)
		return;
	tz_loop_self = NULL;
	if (l->current) {
		struct tz_strand *s = &l->current->strand;

		s->ops = &tz_thread_strand_ops;
		s->flags = 0;
		s->base = NULL;
		atomic_store_explicit(&s->token, 0, memory_order_relaxed);
	}
}

__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(before_fork, in_parent, in_child);
}
