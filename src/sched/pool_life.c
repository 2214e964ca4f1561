/* The life of a pool: its opening, what it says about itself, and its end.
 *
 * Design notes
 *
 * Ending. The pool has ended when there are no workers, no jobs, and nobody who woke or started one is still at it
 * (a submitter may be, when the job it brought has long closed the pool; so a shutdown also waits for those who
 * are inside an inlet). A closing pool has no number, so no inlet fits it. A submitter that looked just before
 * looks again when it has pushed. If the number is still there, the push comes before the closing in the order of
 * seq_cst operations, and who shuts the pool down sees the job. If it is not, the submitter asks under the lock
 * whether the pool has `ended`; then it takes the job back.
 */
#include "sched/pool_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/cpu.h>

#include "core/parking.h"
#include "os/atomic.h"

enum { SPARES = 256 }; /* unless the options say how many */

int tz_pool_open(struct tz_pool **ret, const tz_executor_ops *ops, const tz_executor_options *options)
{
	struct tz_pool *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
	int spares = options->spares > 0 ? options->spares : options->spares < 0 ? 0 : SPARES;

	if (!p)
		return -ENOMEM;
	memset((void *)p, 0, sizeof *p);
	tz_executor_init(&p->executor, ops, options, options->workers > 0 ? options->workers : tz_usable_cpus());
	p->most = p->executor.workers + spares;
	p->stay = options->min_workers > 0 ? options->min_workers : options->idle_seconds > 0 ? 0 : p->executor.workers;
	/* Beyond the clock's range is for ever, as in tz_after. */
	p->idle_ns = options->idle_seconds < 9e9 ? (uint64_t)(options->idle_seconds * 1e9) : 0;
	p->workers = calloc((size_t)p->most, sizeof *p->workers);
	if (!p->workers) {
		free(p);
		return -ENOMEM;
	}
	atomic_store_explicit(&p->number, options->queue_limit ? TZ_INLETS_SHUT : tz_inlet_pool_number(), memory_order_relaxed);
	*ret = p;
	return 0;
}

void tz_pool_destroy(tz_executor *executor)
{
	struct tz_pool *p = tz_pool_of(executor);
	bool ours = !tz_pool_is_lost(p);

	for (int i = 0; i < p->known; i++) {
		struct tz_worker *w = p->workers[i];

		if (ours && w->joinable)
			(void)pthread_join(w->thread, NULL);
		tz_fork_stack_done(&w->forks);
		free(w);
	}
	tz_injector_done(&p->injector);
	tz_inlets_done(&p->inlets);
	free(p->workers);
	free(p);
}

void tz_pool_stats(tz_executor *executor, tz_executor_stats *ret)
{
	struct tz_pool *p = tz_pool_of(executor);

	*ret = (tz_executor_stats){
		.submitted = atomic_load_explicit(&p->submitted, memory_order_relaxed) + tz_inlets_pushed(&p->inlets),
		.completed = atomic_load_explicit(&p->dropped, memory_order_relaxed),
	};
	for (int i = 0; i < atomic_load_explicit(&p->known, memory_order_acquire); i++) {
		struct tz_worker *w = p->workers[i];

		ret->submitted += atomic_load_explicit(&w->submitted, memory_order_relaxed);
		ret->completed += atomic_load_explicit(&w->completed, memory_order_relaxed);
		ret->stolen += atomic_load_explicit(&w->stolen, memory_order_relaxed);
		ret->forks_stolen += atomic_load_explicit(&w->forks_stolen, memory_order_relaxed);
		ret->pending += tz_runqueue_length(&w->queue);
	}
	tz_mutex_lock(&p->lock);
	ret->pending += tz_pool_outside(p);
	ret->workers = p->alive;
	ret->idle = atomic_load_explicit(&p->idle_count, memory_order_relaxed);
	ret->blocked = p->blocked;
	tz_mutex_unlock(&p->lock);
	ret->running = ret->submitted > ret->completed + ret->pending ? ret->submitted - ret->completed - ret->pending : 0;
}

/* Ends what has not begun: everything in the injector and in the run queues. */
static void cancel_pending(struct tz_pool *p)
{
	tz_job *jobs[TZ_POOL_BATCH];
	size_t n;

	do {
		tz_mutex_lock(&p->lock);
		n = tz_pool_take_any(p, jobs, TZ_POOL_BATCH);
		tz_mutex_unlock(&p->lock);
		for (size_t i = 0; i < n; i++)
			tz_pool_drop(p, jobs[i], TZ_CANCELLED, -ECANCELED, "the executor was shut down");
	} while (n);
	for (int i = 0; i < atomic_load_explicit(&p->known, memory_order_acquire); i++) {
		tz_job *job;

		while ((job = tz_runqueue_take(&p->workers[i]->queue)))
			tz_pool_drop(p, job, TZ_CANCELLED, -ECANCELED, "the executor was shut down");
	}
}

void tz_pool_request_shutdown(tz_executor *executor, tz_shutdown how)
{
	/* No lock: a signal handler may call this. Idle workers look again when they are given their token. */
	struct tz_pool *p = tz_pool_of(executor);
	int now = atomic_load_explicit(&p->closing, memory_order_relaxed), want = 1 + (int)how;

	while (now < want && !atomic_compare_exchange_weak_explicit(&p->closing, &now, want, memory_order_seq_cst,
								    memory_order_relaxed))
		;
	tz_store_seq_cst(&p->number, TZ_INLETS_SHUT);
	if (how == TZ_STOP_NOW)
		__atomic_store_n(&p->scope.tz__cancelled, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < atomic_load_explicit(&p->known, memory_order_acquire); i++) {
		struct tz_strand *strand = __atomic_load_n(&p->workers[i]->strand, __ATOMIC_ACQUIRE);

		if (strand)
			tz_strand_unpark(strand);
	}
}

struct end_wait {
	struct tz_parked node; /* first */
	struct tz_pool *pool;
};

static bool has_ended(struct tz_pool *p)
{
	tz_mutex_lock(&p->lock);
	atomic_thread_fence(memory_order_seq_cst); /* who still found the pool's number when it had pushed is seen */
	if (p->alive == 0 && p->leaving == 0 && p->calls == 0 && tz_pool_outside(p) == 0)
		p->ended = true;
	bool ended = p->ended;

	/* Who went to sleep before, and whose strand the request has not seen yet, looks again. */
	for (struct tz_worker *w = ended ? NULL : p->idle_first; w; w = w->idle_next)
		tz_strand_unpark(w->strand);
	tz_mutex_unlock(&p->lock);
	return ended;
}

static bool begin_end_wait(struct tz_parked *node)
{
	return !has_ended(((struct end_wait *)node)->pool);
}

int tz_pool_shutdown(tz_executor *executor, tz_shutdown how, tz_deadline deadline)
{
	static const struct tz_parking_steps steps = { .begin = begin_end_wait };
	struct tz_pool *p = tz_pool_of(executor);
	struct tz_strand *self = tz_strand_self();

	if (tz_pool_own_worker(p, self))
		return -EDEADLK;
	tz_pool_request_shutdown(executor, how);
	(void)tz_parking_wake(&p->room, SIZE_MAX, NULL, NULL, NULL);
	if (how != TZ_DRAIN)
		cancel_pending(p);
	tz_inlets_settle(&p->inlets);
	while (!has_ended(p)) {
		struct end_wait wait = { .node.strand = self, .pool = p };
		int r = tz_parking_wait(&wait.node, &p->changes, &steps, 0, deadline);

		if (r < 0 && r != -EAGAIN)
			return has_ended(p) ? 0 : r;
		tz_inlets_settle(&p->inlets);
	}
	return 0;
}
