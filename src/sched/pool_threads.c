/* The threads of the pool: how they come and go, and stand in for each other.
 *
 * Design notes
 *
 * How many. `workers` jobs may run at once. A thread is started when there is work, nobody idle or
 * searching, and fewer than that are able to run; so threads come on demand. A worker that blocks inside a
 * job does not count while it blocks, and lets another one in (a spare). When it comes back there may be
 * one too many for a while: the next worker that looks for work parks itself instead (`surplus`). Idle
 * workers above min_workers end after idle_seconds, spares after SPARE_IDLE seconds. Where the system has
 * no room for a stand-in, the blocked workers try again from time to time (`is_short`): nobody else might
 * come to the jobs that they wait for.
 *
 * Ending. Workers end when the pool is closing and they find nothing. A worker that has decided to end, under the
 * lock, is not counted any more (`retired`), so that work that comes then starts another, if there is a place for
 * it; it runs its finalizer, looks once more, and then gives up its place, or, if there is no other one, gives it
 * to a successor. Its thread is joined by an idle worker, which it wakes for that, or the next that goes to sleep or
 * ends; by who takes the place; or by the destroyer. model/ending.pml has this.
 */
#include "sched/pool_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/counter.h"
#include "core/frame.h"
#include "core/parking.h"
#include "os/thread.h"

/* --- places for them ------------------------------------------------------------------------------------------------------------- */

static struct tz_worker *new_worker(struct tz_pool *p, int index)
{
	struct tz_worker *w = aligned_alloc(64, (sizeof *w + 63) / 64 * 64);

	if (!w)
		return NULL;
	memset((void *)w, 0, sizeof *w);
	w->pool = p;
	w->index = index;
	w->random = (uint64_t)index * 0x9e3779b97f4a7c15u + 1;
	if (tz_fork_stack_init(&w->forks, NULL, w, index) < 0) {
		free(w);
		return NULL;
	}
	p->workers[index] = w;
	atomic_store_explicit(&p->known, index + 1, memory_order_release);
	return w;
}

struct tz_worker *tz_pool_vacant(struct tz_pool *p)
{
	int known = atomic_load_explicit(&p->known, memory_order_relaxed);

	if (p->alive >= p->most)
		return NULL;
	for (int i = 0; i < known; i++)
		if (!p->workers[i]->taken)
			return p->workers[i];
	return known < p->most ? new_worker(p, known) : NULL;
}

void tz_pool_note_shortage(struct tz_pool *p)
{
	atomic_store_explicit(&p->is_short, true, memory_order_relaxed);
	if (tz_pool_active(p) > 0 || tz_pool_own_worker(p, tz_strand_self()))
		return;
	for (int i = 0; i < atomic_load_explicit(&p->known, memory_order_relaxed); i++)
		if (p->workers[i]->blocked)
			tz_strand_unpark(p->workers[i]->strand);
}

void tz_pool_join_leavers(struct tz_pool *p)
{
	for (int i = 0; p->unjoined > 0 && i < atomic_load_explicit(&p->known, memory_order_relaxed); i++) {
		struct tz_worker *w = p->workers[i];

		if (w->taken || !w->joinable || pthread_tryjoin_np(w->thread, NULL) != 0)
			continue;
		w->joinable = false;
		p->unjoined--;
	}
}

void tz_pool_retire(struct tz_pool *p, struct tz_worker *w)
{
	if (w->retired)
		return;
	tz_pool_set_searching(p, w, false);
	w->retired = true;
	p->alive--;
	p->leaving++;
	atomic_fetch_sub_explicit(&p->runnable, 1, memory_order_seq_cst);
}

void tz_pool_notify_change(struct tz_pool *p)
{
	(void)tz_parking_wake(&p->changes, SIZE_MAX, NULL, NULL, NULL);
}

/* --- the worker's thread ------------------------------------------------------------------------------------------------------------------- */

static void on_block(struct tz_strand *strand, bool begin)
{
	struct tz_worker *w = strand->worker;
	struct tz_pool *p = w->pool;
	struct tz_pool_call call = { 0 };

	if ((begin ? w->block_depth++ > 0 : --w->block_depth > 0) || tz_pool_is_lost(p))
		return;
	if (begin)
		tz_fork_publish_all(&w->forks);
	tz_mutex_lock(&p->lock);
	w->blocked = begin;
	p->blocked += begin ? 1 : -1;
	atomic_fetch_add_explicit(&p->runnable, begin ? -1 : 1, memory_order_seq_cst);
	/* All queues count, not only ours: what lies in that of another blocked worker has nobody else. */
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the pushes of those who saw us at work, and woke nobody */
	if (begin && (tz_pool_outside(p) > 0 || tz_runqueue_length(&w->queue) > 0 ||
		      tz_fork_has_public(&w->forks) || p->ranges || tz_worker_each_other(w, tz_worker_has_work, NULL)))
		call = tz_pool_one_more(p, 0);
	tz_mutex_unlock(&p->lock);
	tz_pool_act(p, call);
	if (begin)
		strand->restless = atomic_load_explicit(&p->is_short, memory_order_relaxed);
}

static void on_job_end(struct tz_strand *strand, struct tz_frame *frame)
{
	tz_fork_join_rest(&strand->worker->forks, frame->fork_mark);
}

/* What is left in the run queue of a worker that ends goes to the others. Under the lock, but for the ends of jobs: who hears of one may call the pool. */
static void give_queue_back(struct tz_pool *p, struct tz_worker *w)
{
	tz_job *job;

	while ((job = tz_runqueue_take(&w->queue))) {
		if (tz_injector_push(&p->injector, &job, 1, TZ_PRIORITY_NORMAL) > 0)
			continue;
		tz_mutex_unlock(&p->lock);
		tz_pool_drop(p, job, TZ_FAILED, -ENOMEM, "no memory for the queue");
		tz_mutex_lock(&p->lock);
	}
}

/* One thread's time as a worker. */
struct tenure {
	struct tz_worker *worker;
	bool initialized;
};

/* The last code of a worker's thread, also when a job called pthread_exit. Once the place is given up the pool may be gone; only its
 * address is used to wake who waits for that. */
static void end_tenure(struct tenure *t)
{
	struct tz_worker *w = t->worker;
	struct tz_pool *p = w->pool;
	struct tz_strand *strand = w->strand, *idle;
	struct tz_pool_call call = { 0 };

	strand->worker = NULL;
	strand->on_block = NULL;
	strand->on_job_end = NULL;
	tz__forks_self = &tz_no_forks;
	if (t->initialized && p->executor.options.finalizer)
		p->executor.options.finalizer(p->executor.options.arg);
	if (w->in_job) { /* it did not come back from it */
		w->in_job = false;
		tz_counter_add(&w->completed, 1);
	}
	w->help_depth = 0;
	tz_mutex_lock(&p->lock);
	if (w->blocked) {
		w->blocked = false;
		w->block_depth = 0;
		p->blocked--;
		atomic_fetch_add_explicit(&p->runnable, 1, memory_order_seq_cst);
	}
	tz_pool_retire(p, w);
	give_queue_back(p, w);
	atomic_thread_fence(memory_order_seq_cst); /* as in on_block */
	bool more = tz_pool_outside(p) > 0 || tz_worker_each_other(w, tz_worker_has_work, NULL);

	if (more)
		call = tz_pool_one_more(p, 0); /* before our place is vacant: another one is better, whose last thread has ended */
	p->leaving--;
	tz_pool_join_leavers(p);
	w->taken = false;
	p->unjoined++;
	if (more && !call.wake && !call.start)
		call = tz_pool_one_more(p, 0); /* the other places may all have threads that are on their way out */
	idle = p->idle_first && !tz_pool_closing(p) ? p->idle_first->strand : NULL;
	if (idle)
		tz_strand_unpark(idle); /* for it to join us; under the lock: it might end */
	tz_mutex_unlock(&p->lock);
	tz_pool_act(p, call);
	tz_pool_notify_change(p);
	tz_strand_free(strand);
}

static void set_name(struct tz_worker *w)
{
	char name[16];

	(void)snprintf(name, sizeof name, "%.10s-%d", w->pool->executor.name, w->index);
	(void)pthread_setname_np(pthread_self(), name);
}

static void break_pool(struct tz_pool *p, int code)
{
	tz_mutex_lock(&p->lock);
	if (!atomic_load_explicit(&p->broken, memory_order_relaxed))
		p->broken_code = code; /* the first one's */
	atomic_store_explicit(&p->broken, true, memory_order_release);
	tz_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg)
{
	struct tenure tenure __attribute__((cleanup(end_tenure))) = { .worker = arg };
	struct tz_worker *w = arg;
	struct tz_pool *p = w->pool;

	if (w->succeeds) {
		(void)pthread_join(w->before, NULL);
		w->succeeds = false;
	}
	tz_strand_adopt(w->strand);
	w->strand->worker = w;
	w->strand->on_block = on_block;
	w->strand->on_job_end = on_job_end;
	w->strand->base = &p->scope;
	tz__forks_self = &w->forks.owner;
	set_name(w);
	if (p->executor.options.initializer) {
		int r = p->executor.options.initializer(p->executor.options.arg);

		if (r < 0)
			break_pool(p, r);
		else
			tenure.initialized = true;
	}
	tz_worker_work(w);
	return NULL;
}

void tz_pool_no_thread(struct tz_pool *p, struct tz_worker *w, int error)
{
	struct tz_pool_call call = { 0 };
	tz_job *jobs[TZ_POOL_BATCH];
	size_t n = 0;

	do {
		tz_mutex_lock(&p->lock);
		if (w) {
			tz_pool_set_searching(p, w, false);
			w->taken = false;
			p->unjoined += w->joinable;
			p->alive--;
			atomic_fetch_sub_explicit(&p->runnable, 1, memory_order_seq_cst);
			w = NULL;
			tz_pool_note_shortage(p);
			/* As in on_block: submitters counted on this thread. */
			atomic_thread_fence(memory_order_seq_cst);
		}
		n = p->alive == 0 ? tz_pool_take_any(p, jobs, TZ_POOL_BATCH) : 0;
		if (p->idle_first && tz_pool_outside(p) > 0)
			call = tz_pool_one_more(p, 0); /* who went to sleep meanwhile: submitters counted on the thread that did not start */
		tz_mutex_unlock(&p->lock);
		for (size_t i = 0; i < n; i++)
			tz_pool_drop(p, jobs[i], TZ_FAILED, error, "no thread could be started for it");
		if (n)
			tz_pool_wake_room(p);
	} while (n);
	tz_pool_act(p, call);
	tz_pool_notify_change(p);
}

void tz_pool_start_thread(struct tz_pool *p, struct tz_worker *w)
{
	int r = -ENOMEM;

	if (w->joinable && pthread_equal(w->thread, pthread_self())) {
		w->before = w->thread; /* we have given up the place, and cannot join ourselves */
		w->succeeds = true;
	} else if (w->joinable) {
		(void)pthread_join(w->thread, NULL); /* it has given up the place: it is about to end */
	}
	__atomic_store_n(&w->strand, tz_strand_new_thread(), __ATOMIC_RELEASE); /* a shutdown request reads it without a lock */
	w->forks.strand = w->strand;
	w->joinable = true; /* before it runs: it may end, and somebody else take the place, before we are back */
	if (w->strand)
		r = tz_os_thread_start(&w->thread, p->executor.options.stack_size, worker_main, w);
	if (r < 0) {
		w->joinable = w->succeeds;
		if (w->succeeds)
			w->thread = w->before;
		w->succeeds = false;
		tz_strand_free(w->strand);
		tz_pool_no_thread(p, w, r);
	} else if (__builtin_expect(atomic_load_explicit(&p->is_short, memory_order_relaxed), 0)) {
		atomic_store_explicit(&p->is_short, false, memory_order_relaxed);
	}
}
