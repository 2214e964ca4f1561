/* What the files of the pool share, and nobody else needs. See pool.h. */
#ifndef TZ_SCHED_POOL_INSIDE_H
#define TZ_SCHED_POOL_INSIDE_H

#include "core/job.h"
#include "core/strand.h"
#include "sched/pool.h"

enum { TZ_POOL_BATCH = 32 }; /* jobs that are taken from the injector or an inlet at once */

static inline struct tz_pool *tz_pool_of(tz_executor *executor)
{
	return (struct tz_pool *)executor;
}

static inline int tz_pool_closing(struct tz_pool *p)
{
	return atomic_load_explicit(&p->closing, memory_order_acquire);
}

/* In a fork child that a job made: there is no pool behind this worker, and its lock may be held for ever. */
static inline bool tz_pool_is_lost(const struct tz_pool *p)
{
	return tz_executor_is_lost(&p->executor);
}

/* The worker of this pool that calls, or NULL. */
static inline struct tz_worker *tz_pool_own_worker(struct tz_pool *p, struct tz_strand *self)
{
	return self->worker && self->worker->pool == p ? self->worker : NULL;
}

/* Jobs that were submitted from outside and not taken yet. */
static inline size_t tz_pool_outside(struct tz_pool *p)
{
	return tz_injector_length(&p->injector) + tz_inlets_length(&p->inlets);
}

/* --- pool.c: what every job passes ---------------------------------------------------------------------------------------- */

/* Ends a job that no worker will have. */
void tz_pool_drop(struct tz_pool *p, tz_job *job, tz_status status, int code, const char *message);

/* Takes some jobs of those that were submitted from outside, of any priority. Under the lock. */
size_t tz_pool_take_any(struct tz_pool *p, tz_job **jobs, size_t most);

/* A job has left a queue that has a limit. */
void tz_pool_wake_room(struct tz_pool *p);

/* A worker's time: returns when it is to end. */
void tz_worker_work(struct tz_worker *w);

/* A searcher has found something: the next one may look, if there is more. Looking for more matters: waking somebody for nothing costs more than
 * most jobs. */
void tz_worker_end_search(struct tz_worker *w);

/* For who has found something, and may be a searcher. */
static inline void tz_worker_found(struct tz_worker *w)
{
	if (w->searching)
		tz_worker_end_search(w);
}

/* --- workers among each other -------------------------------------------------------------------------------------------------- */

static inline uint64_t tz_worker_random(struct tz_worker *w)
{
	/* xorshift64: G. Marsaglia, "Xorshift RNGs" (2003). */
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

/* Calls visit for the other workers, from a random one on, until it answers true. */
static inline bool tz_worker_each_other(struct tz_worker *w, bool (*visit)(struct tz_worker *w, struct tz_worker *other, void *arg), void *arg)
{
	unsigned known = (unsigned)atomic_load_explicit(&w->pool->known, memory_order_acquire);
	unsigned from = known ? (unsigned)(tz_worker_random(w) % known) : 0;

	for (unsigned i = 0; i < known; i++) {
		struct tz_worker *other = w->pool->workers[(from + i) % known];

		if (other != w && visit(w, other, arg))
			return true;
	}
	return false;
}

static inline bool tz_worker_has_work(struct tz_worker *w, struct tz_worker *other, void *arg)
{
	(void)w, (void)arg;
	return tz_runqueue_length(&other->queue) > 0 || tz_fork_has_public(&other->forks);
}

/* Notes when the worker, which had none, was given work to find. Whoever brings the work may: what comes out of two at once is a hint, too. */
static inline void tz_worker_ring(struct tz_worker *w)
{
	struct tz_moment now = tz_moment_now();

	__atomic_store_n(&w->rung.ticks, now.ticks, __ATOMIC_RELAXED);
	__atomic_store_n(&w->rung.cpu, now.cpu, __ATOMIC_RELAXED);
}

/* --- pool_sleep.c: sleep and waking -------------------------------------------------------------------------------------------- */

/* Workers that run jobs or look for some. Under the lock. */
static inline int tz_pool_active(struct tz_pool *p)
{
	return p->alive - p->blocked - atomic_load_explicit(&p->idle_count, memory_order_relaxed);
}

/* Under the lock. */
static inline void tz_pool_set_searching(struct tz_pool *p, struct tz_worker *w, bool searching)
{
	if (w->searching == searching)
		return;
	w->searching = searching;
	if (searching)
		atomic_fetch_add_explicit(&p->searching, 1, memory_order_seq_cst);
	else
		atomic_fetch_sub_explicit(&p->searching, 1, memory_order_seq_cst);
}

/* What to do once the lock is released, to have more workers. */
struct tz_pool_call {
	struct tz_strand *wake; /* of a worker that was idle: its place may have another one by the time of the call */
	struct tz_worker *start; /* needs a thread */
	bool nobody; /* there is no worker, and no memory for one */
};

/* There is work: one more worker for it, if one may run. Under the lock; `searchers`: how many are allowed to be on their way already. */
struct tz_pool_call tz_pool_one_more(struct tz_pool *p, int searchers);

/* Does that. The pool may end, and be gone, as soon as the call is taken off the count. */
void tz_pool_act(struct tz_pool *p, struct tz_pool_call call);

/* The same in one, without the lock. */
void tz_pool_call_one_more(struct tz_pool *p);

/* Looks for a while more before sleeping, as long as that was worth it of late; one worker at a time. True if there is something. */
bool tz_worker_linger(struct tz_worker *w);

enum tz_verdict { TZ_GO_ON, TZ_END };

/* Nothing found: sleeps, or ends if the pool is closing. */
enum tz_verdict tz_worker_rest(struct tz_worker *w);

/* --- pool_threads.c: threads that come and go ---------------------------------------------------------------------------------- */

/* A worker without a thread: one that has ended, or a new one. NULL if there may be no more, or without memory. */
struct tz_worker *tz_pool_vacant(struct tz_pool *p);

/* Gives a place that was vacant, and is taken now, a thread. */
void tz_pool_start_thread(struct tz_pool *p, struct tz_worker *w);

/* Gives up a place that got no thread, if there was one (w). The jobs that wait have nobody if there is no other worker: then they fail. */
void tz_pool_no_thread(struct tz_pool *p, struct tz_worker *w, int error);

/* There is no room for another thread. If that is a stand-in, and it was wanted by somebody from outside, the workers that sleep blocked are to try
 * again themselves. Under the lock. */
void tz_pool_note_shortage(struct tz_pool *p);

/* Joins threads that have given up their places; those that are still on their way out are left. Under the lock: it does not wait. */
void tz_pool_join_leavers(struct tz_pool *p);

/* The worker will end: it does not count from now on. Under the lock. */
void tz_pool_retire(struct tz_pool *p, struct tz_worker *w);

/* Something has changed that may be what a shutdown waits for. The pool may be gone: only its address is used. */
void tz_pool_notify_change(struct tz_pool *p);

/* --- pool_range.c: maps ---------------------------------------------------------------------------------------------------------- */

/* A worker's part of an open range, if there is one with a place left. */
bool tz_worker_run_range(struct tz_worker *w);

/* Whether there is one. */
bool tz_pool_range_open(struct tz_pool *p);

#endif
