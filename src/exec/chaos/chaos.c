/* The "chaos" executor: runs jobs in a random order, after random delays, and fails some. For tests of what uses an executor.
 *
 * Design notes
 *
 * What is random is a pure function of the seed and of the job's number in order of submitting: its place in line, its delay, whether it
 * fails. So a burst of jobs that one thread submits while the workers are busy begins in an order that depends on the seed alone.
 *
 * Order. A job's place in line is its number plus something random below WINDOW; the lowest place goes first. Jobs overtake each other, but none by
 * more than WINDOW, so none waits for ever.
 *
 * Tickets. The threads are those of a pool (sched/pool.h). For each job that goes into our line, a ticket goes into the pool's: a job of the
 * library's own that takes whichever job is first in our line, and runs it inside itself. So the pool sees to threads, stand-ins for blocked ones,
 * initializers and its own end, and our line decides the order. There are always at least as many tickets as jobs in line: each ticket takes
 * at most one, and a job that is helped leaves its ticket with nothing to do. A ticket that ends without having run (the pool broke, was shut
 * down, got no thread) takes one job with it, in the same way and for the same cause: its `waiter` sees to that.
 *
 * `lock` guards the line and the numbers. Nothing is called under it.
 */
#include "exec/chaos/chaos.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/frame.h"
#include "core/job.h"
#include "core/outcome.h"
#include "core/strand.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/mutex.h"
#include "sched/pool.h"

enum {
	WORKERS = 2,
	WINDOW = 64, /* places by which jobs may overtake each other */
	HELP_DEPTH =
		128 /* jobs that wait for each other on one stack; deeper ones are left to others */
};
static const double DELAY = 0.001;

struct entry {
	uint64_t place, number;
	tz_job *job;
};

struct chaos {
	tz_executor executor; /* first */
	struct tz_pool *pool;
	_Atomic uint32_t state; /* how many submits are under way; CLOSING: 1 + the tz_shutdown, or 0 */
	struct tz_mutex lock;
	struct entry *line; /* a binary heap by place */
	size_t length, room;
	uint64_t numbers; /* of jobs so far */
	_Atomic uint64_t submitted, completed, running;
};

enum { CLOSING = 24, SUBMITS = (1 << CLOSING) - 1 };

static int closing(struct chaos *c)
{
	return (int)(atomic_load_explicit(&c->state, memory_order_acquire) >> CLOSING);
}

struct ticket {
	struct tz_waiter waiter; /* first */
	struct chaos *chaos;
	bool spent; /* it has run, or its job has gone another way */
};

/* --- what is random ------------------------------------------------------------------------------------------------- */

/* SplitMix64: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators" (2014). */
static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

enum question {
	PLACE,
	WHETHER_DELAYED,
	HOW_LONG,
	WHETHER_FAILS
}; /* the last one for each time that it is tried */

static uint64_t decide(const struct chaos *c, uint64_t number, unsigned question)
{
	return mix(mix(c->executor.options.seed + question) ^ number);
}

/* From 0 to below 1. */
static double share(uint64_t random)
{
	return (double)(random >> 11) / 9007199254740992.0;
}

/* Three of four jobs are not delayed: what goes wrong often does so where a fast one meets a slow one. */
static uint64_t delay_ns(const struct chaos *c, uint64_t number)
{
	if (decide(c, number, WHETHER_DELAYED) % 4)
		return 0;
	return (uint64_t)(c->executor.options.delay * 1e9 * share(decide(c, number, HOW_LONG)));
}

/* A job that may be retried fails if all its tries would. */
static bool fails(const struct chaos *c, const struct entry *e)
{
	int tries = 1 + (e->job->options ? e->job->options->retries : 0);

	for (int i = 0; i < tries; i++)
		if (share(decide(c, e->number, WHETHER_FAILS + (unsigned)i)) >=
		    c->executor.options.fail)
			return false;
	return true;
}

/* --- the line, under the lock ------------------------------------------------------------------------------------------ */

static bool before(const struct entry *a, const struct entry *b)
{
	return a->place != b->place ? a->place < b->place : a->number < b->number;
}

static void sift_up(struct chaos *c, size_t i, struct entry e)
{
	for (; i > 0 && before(&e, &c->line[(i - 1) / 2]); i = (i - 1) / 2)
		c->line[i] = c->line[(i - 1) / 2];
	c->line[i] = e;
}

static void sift_down(struct chaos *c, size_t i, struct entry e)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < c->length && before(&c->line[child + 1], &c->line[child]))
			child++;
		if (child >= c->length || !before(&c->line[child], &e))
			break;
		c->line[i] = c->line[child];
		i = child;
	}
	c->line[i] = e;
}

static bool push(struct chaos *c, tz_job *job)
{
	if (c->length == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct entry *line = realloc(c->line, room * sizeof *line);

		if (!line)
			return false;
		c->line = line;
		c->room = room;
	}
	uint64_t number = c->numbers++;
	struct entry e = { number + decide(c, number, PLACE) % WINDOW, number, job };

	c->length++;
	sift_up(c, c->length - 1, e);
	return true;
}

static void remove_at(struct chaos *c, size_t i)
{
	struct entry last = c->line[--c->length];

	if (i == c->length)
		return;
	if (i > 0 && before(&last, &c->line[(i - 1) / 2]))
		sift_up(c, i, last);
	else
		sift_down(c, i, last);
}

/* Takes the first in line, or that job; false if it is not there. Takes the lock itself. */
static bool take(struct chaos *c, const tz_job *wanted, struct entry *ret)
{
	size_t i = 0;

	tz_mutex_lock(&c->lock);
	while (wanted && i < c->length && c->line[i].job != wanted)
		i++;
	bool found = i < c->length;

	if (found) {
		*ret = c->line[i];
		remove_at(c, i);
		atomic_fetch_add_explicit(&c->running, 1, memory_order_relaxed);
	}
	tz_mutex_unlock(&c->lock);
	return found;
}

/* --- running jobs ---------------------------------------------------------------------------------------------------------- */

static bool is_cancelling(struct chaos *c)
{
	return closing(c) > 1 + TZ_DRAIN;
}

/* Waits out a job's delay. It is no blocking in the pool's sense: the worker is busy. A shutdown that cancels ends it. */
static void delay(struct chaos *c, uint64_t ns)
{
	struct tz_strand *self = tz_strand_self();
	tz_deadline until = { tz_clock_now() + ns };

	while (!is_cancelling(c) && self->ops->park(self, until) == 0)
		;
}

/* A job counts as running from when it leaves the line. */
static void count_out(struct chaos **c)
{
	atomic_fetch_sub_explicit(&(*c)->running, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&(*c)->completed, 1, memory_order_release);
}

static void run(struct chaos *c, const struct entry *e, int worker)
{
	struct chaos *counted __attribute__((cleanup(count_out), unused)) = c;

	if (is_cancelling(c))
		(void)tz_job_end(e->job, TZ_CANCELLED, -ECANCELED, "the executor was shut down");
	else if (fails(c, e))
		(void)tz_job_end(e->job, TZ_FAILED, -EIO, "chaos");
	else
		(void)tz_job_run(e->job, worker);
}

static void run_ticket(void *result, const void *args)
{
	struct ticket *t;
	struct entry e;

	(void)result;
	memcpy(&t, args, sizeof t);
	struct chaos *c = t->chaos;

	t->spent = true;
	if (!take(c, NULL, &e))
		return;
	uint64_t ns = delay_ns(c, e.number);

	if (ns)
		delay(c, ns);
	run(c, &e, tz_worker_index());
}

/* The ticket has ended. If it has not run, one job goes its way. */
static void ticket_ended(struct tz_waiter *waiter, struct tz_job *job, int status)
{
	struct ticket *t = (struct ticket *)waiter;
	struct entry e;

	(void)status;
	if (!t->spent && take(t->chaos, NULL, &e)) {
		tz_outcome o;

		tz_job_outcome(job, &o);
		(void)tz_job_end(e.job, o.status, o.code, o.message);
		count_out(&t->chaos);
	}
	atomic_store_explicit(&job->observed, 1,
			      memory_order_relaxed); /* it is nobody's but ours */
	tz_handle handle = tz_job_handle(job);

	(void)tz_job_release(job, (uint32_t)handle.tz__generation);
	free(t);
}

static const tz_task ticket_task = { .name = "chaos",
				     .run = run_ticket,
				     .args_size = sizeof(struct ticket *) };

/* --- the operations ---------------------------------------------------------------------------------------------------------- */

static int join_line(struct chaos *c, tz_job *job)
{
	int r = 0;

	tz_mutex_lock(&c->lock);
	if (closing(c))
		r = -ESHUTDOWN;
	else if (!push(c, job))
		r = -ENOMEM;
	else
		atomic_fetch_add_explicit(&c->submitted, 1, memory_order_relaxed);
	tz_mutex_unlock(&c->lock);
	return r;
}

/* Takes a job back that got no ticket; false if somebody else's ticket has it already. */
static bool leave_line(struct chaos *c, tz_job *job)
{
	struct entry e;

	if (!take(c, job, &e))
		return false;
	atomic_fetch_sub_explicit(&c->running, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&c->submitted, 1, memory_order_relaxed);
	return true;
}

/* A ticket, and its job for the pool; NULL without memory. */
static struct ticket *new_ticket(struct chaos *c, tz_job **ret)
{
	struct ticket *t = malloc(sizeof *t);

	if (!t)
		return NULL;
	*t = (struct ticket){ .waiter.fire = ticket_ended, .chaos = c };
	*ret = tz_job_new(&c->pool->executor, NULL, &ticket_task, &t, true);
	if (!*ret) {
		free(t);
		return NULL;
	}
	(void)tz_job_add_waiter(*ret, (uint32_t)tz_job_handle(*ret).tz__generation, &t->waiter);
	return t;
}

/* Whoever is in line is to have a ticket. So the pool, which gives them out, is not shut down while a submit is under way: who comes later is
 * refused, and the last one under way tells the pool, before it takes itself off the count and the executor may be gone. */
static void submit_begins(struct chaos *c)
{
	atomic_fetch_add_explicit(&c->state, 1, memory_order_acquire);
}

static void submit_ends(struct chaos *c)
{
	uint32_t s = atomic_load_explicit(&c->state, memory_order_relaxed);

	do
		if ((s & SUBMITS) == 1 && s >> CLOSING)
			tz_pool_request_shutdown(&c->pool->executor, (tz_shutdown)((s >> CLOSING) - 1));
	while (!atomic_compare_exchange_weak_explicit(&c->state, &s, s - 1, memory_order_release,
						      memory_order_relaxed));
}

/* 0: the job is in line, and its ticket in the pool. 1: only another one's ticket was needed. */
static int take_place(struct chaos *c, tz_job *job, tz_job *ticket_job)
{
	int error = -ENOMEM, r = join_line(c, job);
	struct entry e;

	if (r < 0 ||
	    tz_pool_submit(&c->pool->executor, &ticket_job, 1, TZ_PRIORITY_NORMAL, &error) == 1)
		return r;
	if (leave_line(c, job))
		return error;
	/* Another one's ticket has taken the job, so the other one has none: it goes in our place. */
	if (take(c, NULL, &e)) {
		(void)tz_job_end(e.job, TZ_FAILED, error, "no memory for the queue");
		struct chaos *counted = c;

		count_out(&counted);
	}
	return 1;
}

static int submit_one(struct chaos *c, tz_job *job)
{
	tz_job *ticket_job;
	struct ticket *t = new_ticket(c, &ticket_job);

	if (!t)
		return -ENOMEM;
	submit_begins(c);
	int r = take_place(c, job, ticket_job);

	submit_ends(c); /* the last touch of the executor */
	if (r == 0)
		return 0;
	r = r > 0 ? 0 : r;
	t->spent = true;
	(void)tz_job_end(ticket_job, TZ_CANCELLED, -ECANCELED, NULL);
	return r;
}

static size_t submit_chaos(tz_executor *executor, tz_job *const *jobs, size_t n,
			   tz_priority priority, int *ret_error)
{
	(void)priority;
	for (size_t i = 0; i < n; i++) {
		int r = submit_one((struct chaos *)executor, jobs[i]);

		if (r < 0) {
			*ret_error = r;
			return i;
		}
	}
	return n;
}

static bool is_deep(const struct tz_strand *self)
{
	int depth = 0;

	for (const struct tz_frame *f = self->frame; f; f = f->outer)
		depth++;
	return depth >= HELP_DEPTH;
}

/* Runs the job that is waited for, wherever it is in line. */
static void help(tz_executor *executor, tz_job *job, bool timed)
{
	struct chaos *c = (struct chaos *)executor;
	struct tz_strand *self = tz_strand_self();
	struct entry e;

	if (timed || executor->options.initializer || !self->worker ||
	    self->worker->pool != c->pool || is_deep(self))
		return;
	if (take(c, job, &e))
		run(c, &e, tz_worker_index());
}

static void close_line(struct chaos *c, tz_shutdown how)
{
	uint32_t s = atomic_load_explicit(&c->state, memory_order_relaxed), want = 1 + (uint32_t)how;

	while (s >> CLOSING < want &&
	       !atomic_compare_exchange_weak_explicit(&c->state, &s, (s & SUBMITS) | want << CLOSING,
						      memory_order_acq_rel, memory_order_relaxed))
		;
}

static int shut_down(tz_executor *executor, tz_shutdown how, tz_deadline deadline)
{
	struct chaos *c = (struct chaos *)executor;

	close_line(c, how);
	for (unsigned spins = 0; atomic_load_explicit(&c->state, memory_order_acquire) & SUBMITS;)
		tz_cpu_backoff(&spins); /* none of them waits for anything */
	return tz_pool_shutdown(&c->pool->executor, how, deadline);
}

static void request_shutdown(tz_executor *executor, tz_shutdown how)
{
	struct chaos *c = (struct chaos *)executor;

	close_line(c, how);
	if ((atomic_load_explicit(&c->state, memory_order_acquire) & SUBMITS) == 0)
		tz_pool_request_shutdown(&c->pool->executor, how);
}

static void read_stats(tz_executor *executor, tz_executor_stats *ret)
{
	struct chaos *c = (struct chaos *)executor;

	tz_pool_stats(&c->pool->executor, ret);
	ret->stolen = 0; /* those were tickets */
	/* First, so that what counts as completed does not count as running, too. */
	ret->completed = atomic_load_explicit(&c->completed, memory_order_acquire);
	tz_mutex_lock(&c->lock);
	ret->pending = c->length;
	ret->running = atomic_load_explicit(&c->running, memory_order_relaxed);
	tz_mutex_unlock(&c->lock);
	ret->submitted = atomic_load_explicit(&c->submitted, memory_order_relaxed);
}

static void destroy(tz_executor *executor)
{
	struct chaos *c = (struct chaos *)executor;

	tz_pool_destroy(&c->pool->executor);
	free(c->line);
	free(c);
}

static int open_chaos(tz_executor **ret, const tz_executor_options *options)
{
	tz_executor_options mine = *options;
	struct chaos *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	mine.workers = mine.workers ? mine.workers : WORKERS;
	mine.seed = mine.seed ? mine.seed : 1;
	mine.delay = mine.delay > 0 ? mine.delay : DELAY;
	mine.queue_limit = 0;
	tz_executor_init(&c->executor, &tz_chaos_executor_ops, &mine, mine.workers);
	int r = tz_pool_open(&c->pool, &tz_chaos_executor_ops, &mine);

	if (r < 0) {
		free(c);
		return r;
	}
	*ret = &c->executor;
	return 0;
}

const tz_executor_ops tz_chaos_executor_ops = {
	.kind = "chaos",
	.summary =
		"threads that run jobs in a seeded random order, after random delays, and fail some: for tests",
	.capabilities = TZ_CAN_SHARE_MEMORY | TZ_CAN_RUN_IN_PARALLEL | TZ_CAN_REORDER |
			TZ_CAN_CANCEL_PENDING | TZ_CAN_FORK | TZ_CAN_INITIALIZE | TZ_CAN_INJECT |
			TZ_CAN_SHRINK,
	.open = open_chaos,
	.submit = submit_chaos,
	.help = help,
	.shutdown = shut_down,
	.request_shutdown = request_shutdown,
	.stats = read_stats,
	.destroy = destroy,
};
