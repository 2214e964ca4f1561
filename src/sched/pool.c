/* The pool: workers, their search for work, sleep and wake-up, and the pool's beginning and end. The protocol is described in pool.h. */
#include "sched/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/counter.h"
#include "core/frame.h"
#include "core/parking.h"
#include "core/probe.h"
#include "core/sitting.h"
#include "core/strand.h"
#include "os/clock.h"
#include "os/thread.h"

#include <trenza/cpu.h>

enum {
	BATCH = 32, /* jobs that a worker takes from the injector at once */
	LOW_TURN = 61, /* each such turn begins with the lowest priority */
	HELP_DEPTH = 128, /* jobs that wait for each other on one stack; deeper ones park */
	SPARES = 256
};
static const uint64_t SPARE_IDLE_NS = 1000000000, JOIN_SOONEST_NS = 100000, JOIN_LATEST_NS = 1000000000;
enum {
	LONELY_US = 200, /* of short maps in close succession that are worth a wake-up; twice as long each time that it was in vain */
	LONELY_MOST_US = 100000,
	DONE_SOON_US = 20 /* in which a worker is expected to end its part of a short map */
};

/* An offered range's state. */
enum { PART_RUNS, PART_AWAITED, PART_DONE };

static struct tz_offered_range no_range; /* in `offered`: a worker lingers */

static struct tz_pool *pool_of(tz_executor *executor)
{
	return (struct tz_pool *)executor;
}

static int closing(struct tz_pool *p)
{
	return atomic_load_explicit(&p->closing, memory_order_acquire);
}

/* Ends a job that no worker will have. */
static void drop(struct tz_pool *p, tz_job *job, tz_status status, int code, const char *message)
{
	(void)tz_job_end(job, status, code, message);
	atomic_fetch_add_explicit(&p->dropped, 1, memory_order_relaxed);
}

/* Jobs that were submitted from outside and not taken yet. */
static size_t outside(struct tz_pool *p)
{
	return tz_injector_length(&p->injector) + tz_inlets_length(&p->inlets);
}

/* --- counts and the idle list, under the lock ----------------------------------------------------------------------------- */

/* Workers that run jobs or look for some. */
static int active(struct tz_pool *p)
{
	return p->alive - p->blocked - atomic_load_explicit(&p->idle_count, memory_order_relaxed);
}

static void join_idle(struct tz_pool *p, struct tz_worker *w)
{
	w->idle = true;
	w->idle_prev = NULL;
	w->idle_next = p->idle_first;
	if (p->idle_first)
		p->idle_first->idle_prev = w;
	p->idle_first = w;
	atomic_fetch_add_explicit(&p->idle_count, 1, memory_order_seq_cst);
}

static void leave_idle(struct tz_pool *p, struct tz_worker *w)
{
	if (w->idle_prev)
		w->idle_prev->idle_next = w->idle_next;
	else
		p->idle_first = w->idle_next;
	if (w->idle_next)
		w->idle_next->idle_prev = w->idle_prev;
	w->idle = false;
	atomic_fetch_sub_explicit(&p->idle_count, 1, memory_order_seq_cst);
}

static void set_searching(struct tz_pool *p, struct tz_worker *w, bool searching)
{
	if (w->searching == searching)
		return;
	w->searching = searching;
	if (searching)
		atomic_fetch_add_explicit(&p->searching, 1, memory_order_seq_cst);
	else
		atomic_fetch_sub_explicit(&p->searching, 1, memory_order_seq_cst);
}

/* Joins threads that have given up their places; those that are still on their way out are left. Under the lock: it does not wait. */
static void join_leavers(struct tz_pool *p)
{
	for (int i = 0; p->unjoined > 0 && i < atomic_load_explicit(&p->known, memory_order_relaxed); i++) {
		struct tz_worker *w = p->workers[i];

		if (w->taken || !w->joinable || pthread_tryjoin_np(w->thread, NULL) != 0)
			continue;
		w->joinable = false;
		p->unjoined--;
	}
}

/* --- more workers ------------------------------------------------------------------------------------------------------------- */

/* What to do once the lock is released, to have more workers. */
struct call {
	struct tz_strand *wake; /* of a worker that was idle: its place may have another one by the time of the call */
	struct tz_worker *start; /* needs a thread */
	bool nobody; /* there is no worker, and no memory for one */
};

static void start_thread(struct tz_pool *p, struct tz_worker *w);
static void no_thread(struct tz_pool *p, struct tz_worker *w, int error);
static void notify_change(struct tz_pool *p);

/* The pool may end, and be gone, as soon as the call is taken off the count. */
__attribute__((noinline)) static void act(struct tz_pool *p, struct call call)
{
	if (!call.wake && !call.start && !call.nobody)
		return;
	if (call.wake)
		tz_strand_unpark(call.wake);
	if (call.start)
		start_thread(p, call.start);
	if (call.nobody)
		no_thread(p, NULL, -ENOMEM);
	tz_mutex_lock(&p->lock);
	bool end = --p->calls == 0 && closing(p);
	tz_mutex_unlock(&p->lock);
	if (end)
		notify_change(p);
}

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

/* A worker without a thread: one that has ended, or a new one. NULL if there may be no more, or without memory. */
static struct tz_worker *vacant(struct tz_pool *p)
{
	int known = atomic_load_explicit(&p->known, memory_order_relaxed);

	if (p->alive >= p->most)
		return NULL;
	for (int i = 0; i < known; i++)
		if (!p->workers[i]->taken)
			return p->workers[i];
	return known < p->most ? new_worker(p, known) : NULL;
}

static struct tz_worker *own_worker(struct tz_pool *p, struct tz_strand *self);

/* There is no room for another thread. If that is a stand-in, and it was wanted by somebody from outside, the workers that sleep blocked are to try
 * again themselves. Under the lock. */
static void note_shortage(struct tz_pool *p)
{
	atomic_store_explicit(&p->is_short, true, memory_order_relaxed);
	if (active(p) > 0 || own_worker(p, tz_strand_self()))
		return;
	for (int i = 0; i < atomic_load_explicit(&p->known, memory_order_relaxed); i++)
		if (p->workers[i]->blocked)
			tz_strand_unpark(p->workers[i]->strand);
}

/* Notes when the worker, which had none, was given work to find. Whoever brings the work may: what comes out of two at once is a hint, too. */
static void ring(struct tz_worker *w)
{
	struct tz_moment now = tz_moment_now();

	__atomic_store_n(&w->rung.ticks, now.ticks, __ATOMIC_RELAXED);
	__atomic_store_n(&w->rung.cpu, now.cpu, __ATOMIC_RELAXED);
}

/* There is work: one more worker for it, if one may run. Under the lock; `searchers`: how many are allowed to be on their way already. */
__attribute__((noinline)) static struct call one_more(struct tz_pool *p, int searchers)
{
	struct call call = { 0 };

	if (atomic_load_explicit(&p->searching, memory_order_relaxed) > searchers || active(p) >= p->executor.workers)
		return call;
	if (p->idle_first) {
		struct tz_worker *idle = p->idle_first;

		call.wake = idle->strand;
		leave_idle(p, idle);
		set_searching(p, idle, true);
		ring(idle);
	} else if ((call.start = vacant(p))) {
		call.start->taken = true;
		p->unjoined -= call.start->joinable; /* its new thread's starter joins the old one */
		call.start->retired = false;
		p->alive++;
		atomic_fetch_add_explicit(&p->runnable, 1, memory_order_seq_cst);
		set_searching(p, call.start, true);
	} else {
		call.nobody = p->alive == 0;
		if (p->alive < p->most)
			note_shortage(p);
	}
	p->calls += call.wake || call.start || call.nobody;
	return call;
}

/* As many workers as may be are at work: they will look for more. */
static inline bool all_at_work(struct tz_pool *p)
{
	return atomic_load_explicit(&p->idle_count, memory_order_seq_cst) == 0 &&
	       atomic_load_explicit(&p->runnable, memory_order_seq_cst) >= p->executor.workers;
}

__attribute__((noinline)) static void call_one_more(struct tz_pool *p)
{
	tz_mutex_lock(&p->lock);
	struct call call = one_more(p, 0);
	tz_mutex_unlock(&p->lock);
	act(p, call);
}

/* One more worker, if one may run; for callers without the lock, who have made work visible, by a seq_cst operation or with a fence after it. */
static inline void offer(struct tz_pool *p)
{
	if (__builtin_expect(atomic_load_explicit(&p->searching, memory_order_seq_cst) == 0 && !all_at_work(p), 0))
		call_one_more(p);
}

/* In a fork child that a job made: there is no pool behind this worker, and its lock may be held for ever. */
static bool is_lost(const struct tz_pool *p)
{
	return tz_executor_is_lost(&p->executor);
}

void tz_pool_wake_for_forks(void *worker)
{
	struct tz_pool *p = ((struct tz_worker *)worker)->pool;

	if (!is_lost(p))
		offer(p);
}

struct tz_fork_stack *tz_pool_fork_stack(void *worker, int index)
{
	return &((struct tz_worker *)worker)->pool->workers[index]->forks;
}

/* --- finding work ---------------------------------------------------------------------------------------------------------------- */

static void wake_room(struct tz_pool *p)
{
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in wait_for_room: the length is seen there, or the waiter here */
	if (atomic_load_explicit(&p->room_waiters, memory_order_relaxed) > 0)
		(void)tz_parking_wake(&p->room, SIZE_MAX, NULL, NULL, NULL);
}

static bool each_other(struct tz_worker *w, bool (*visit)(struct tz_worker *w, struct tz_worker *other, void *arg), void *arg);
static bool has_work(struct tz_worker *w, struct tz_worker *other, void *arg);

/* How many of some ordinary jobs from outside a worker takes at once: its share, as long as there is room in its run queue for all but one. */
static size_t batch_of(struct tz_worker *w, size_t jobs)
{
	size_t share = jobs / (size_t)w->pool->executor.workers + 1, room = TZ_RUNQUEUE_SIZE - tz_runqueue_length(&w->queue) + 1;

	share = share < room ? share : room;
	return share < BATCH ? share : BATCH;
}

/* Keeps all but the first of a batch in the worker's run queue, where there is room for them. */
static tz_job *keep_rest(struct tz_worker *w, tz_job **jobs, size_t n)
{
	if (n > 1)
		tz_runqueue_push_all(&w->queue, jobs + 1, n - 1);
	for (size_t i = 0; i < n; i++)
		tz_cpu_fetch_to_write(jobs[i]);
	return jobs[0];
}

/* Takes a batch from the injector: returns the first and keeps the others. */
__attribute__((noinline)) static tz_job *take_batch_injected(struct tz_worker *w, tz_priority priority)
{
	struct tz_pool *p = w->pool;
	tz_job *jobs[BATCH], *job = NULL;
	struct call call = { 0 };
	size_t n = 1;

	tz_mutex_lock(&p->lock);
	if (priority == TZ_PRIORITY_NORMAL && p->executor.options.queue_limit == 0)
		n = batch_of(w, tz_injector_length_of(&p->injector, priority));
	n = tz_injector_take(&p->injector, jobs, n, priority);
	bool searched = w->searching;

	if (n) {
		/* Under the lock, so that no searcher goes to sleep while they are in neither place. */
		job = keep_rest(w, jobs, n);
		set_searching(p, w, false);
		if (n > 1 || outside(p) > 0)
			call = one_more(p, 0);
	}
	tz_mutex_unlock(&p->lock);
	act(p, call);
	if (n && searched && !call.wake && !call.start) { /* whoever searched has to see to what lies in others' queues */
		atomic_thread_fence(memory_order_seq_cst);
		if (outside(p) > 0 || each_other(w, has_work, NULL))
			offer(p);
	}
	if (n && p->executor.options.queue_limit)
		wake_room(p);
	return job;
}

static inline tz_job *take_injected(struct tz_worker *w, tz_priority priority)
{
	return tz_injector_length_of(&w->pool->injector, priority) > 0 ? take_batch_injected(w, priority) : NULL;
}

/* Several workers take in batches, so that they seldom meet. */
__attribute__((noinline)) static tz_job *take_batch_from(struct tz_worker *w, struct tz_inlet *inlet)
{
	tz_job *jobs[BATCH];
	size_t n = tz_inlet_take_all(inlet, jobs, batch_of(w, tz_inlet_length(inlet)));

	if (n == 0)
		return NULL;
	tz_job *job = keep_rest(w, jobs, n);

	if (n > 1) {
		atomic_thread_fence(memory_order_seq_cst); /* they may have passed an idle worker's last look on the way */
		offer(w->pool);
	}
	return job;
}

/* Takes from the inlets in turn, some time from each. */
static tz_job *take_from_inlets(struct tz_worker *w)
{
	struct tz_pool *p = w->pool;
	int n = tz_inlets_count(&p->inlets);
	tz_job *job = NULL;

	if (w->turn % BATCH == 0)
		w->inlet++;
	for (int i = 0; i < n && !job; i++) {
		if (w->inlet >= n)
			w->inlet = 0;
		struct tz_inlet *inlet = tz_inlet_at(&p->inlets, w->inlet);

		job = p->executor.workers > 1 ? take_batch_from(w, inlet) : tz_inlet_take(inlet);
		if (!job)
			w->inlet++;
	}
	return job;
}

/* An ordinary job from outside: from the inlets and from the injector, in turn. */
static tz_job *take_ordinary(struct tz_worker *w)
{
	tz_job *job = w->turn % 2 ? take_from_inlets(w) : take_injected(w, TZ_PRIORITY_NORMAL);

	if (!job)
		job = w->turn % 2 ? take_injected(w, TZ_PRIORITY_NORMAL) : take_from_inlets(w);
	return job;
}

static uint64_t next_random(struct tz_worker *w)
{
	/* xorshift64: G. Marsaglia, "Xorshift RNGs" (2003). */
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

/* Calls visit for the other workers, from a random one on, until it answers true. */
static bool each_other(struct tz_worker *w, bool (*visit)(struct tz_worker *w, struct tz_worker *other, void *arg), void *arg)
{
	unsigned known = (unsigned)atomic_load_explicit(&w->pool->known, memory_order_acquire);
	unsigned from = known ? (unsigned)(next_random(w) % known) : 0;

	for (unsigned i = 0; i < known; i++) {
		struct tz_worker *other = w->pool->workers[(from + i) % known];

		if (other != w && visit(w, other, arg))
			return true;
	}
	return false;
}

/* Half of the other's run queue: the first is *job, the rest goes into ours. */
static bool steal_jobs(struct tz_worker *w, struct tz_worker *other, void *arg)
{
	tz_job **job = arg;
	size_t half = (tz_runqueue_length(&other->queue) + 1) / 2;

	if (half == 0 || !(*job = tz_runqueue_take(&other->queue)))
		return false;
	for (size_t i = 1; i < half; i++) {
		tz_job *more = tz_runqueue_take(&other->queue);

		if (!more)
			break;
		if (!tz_runqueue_push(&w->queue, more)) {
			tz_mutex_lock(&w->pool->lock);
			size_t pushed = tz_injector_push(&w->pool->injector, &more, 1, TZ_PRIORITY_NORMAL);
			tz_mutex_unlock(&w->pool->lock);
			if (!pushed)
				drop(w->pool, more, TZ_FAILED, -ENOMEM, "no memory for the queue");
			break;
		}
		tz_counter_add(&w->stolen, 1);
	}
	tz_counter_add(&w->stolen, 1);
	if (half > 1) { /* what we put into our queue may have passed an idle worker's last look on the way */
		atomic_thread_fence(memory_order_seq_cst);
		offer(w->pool);
	}
	return true;
}

/* Some turns begin elsewhere: jobs that submit their own successors may keep our run queue from ever being empty, and the others wait. */
static tz_job *find_fairly(struct tz_worker *w)
{
	tz_job *job = NULL;

	switch (w->turn % LOW_TURN) {
	case 0:
		return take_injected(w, TZ_PRIORITY_LOW);
	case LOW_TURN / 3:
		return take_ordinary(w);
	case 2 * LOW_TURN / 3:
		(void)each_other(w, steal_jobs, &job);
		return job;
	default:
		return NULL;
	}
}

static tz_job *find_job(struct tz_worker *w)
{
	tz_job *job = NULL;

	w->turn++;
	if ((job = take_injected(w, TZ_PRIORITY_HIGH)))
		return job;
	if ((job = find_fairly(w)))
		return job;
	if ((job = tz_runqueue_take(&w->queue)))
		return job;
	if ((job = take_ordinary(w)) || (job = take_injected(w, TZ_PRIORITY_LOW)))
		return job;
	(void)each_other(w, steal_jobs, &job);
	return job;
}

/* A searcher has found something: the next one may look, if there is more. Looking for more matters: waking somebody for nothing costs more than
 * most jobs. */
__attribute__((noinline)) static void end_search(struct tz_worker *w)
{
	struct tz_pool *p = w->pool;
	struct call call = { 0 };

	/* Under the lock, so that a submitter who saw us searching comes before, and a worker who falls asleep before or after: without
	 * it, the submitter might see an old count of searchers while we see an old one of sleepers. */
	tz_mutex_lock(&p->lock);
	set_searching(p, w, false);
	if (atomic_load_explicit(&p->lingerer, memory_order_acquire) == w)
		atomic_store_explicit(&p->lingerer, NULL, memory_order_relaxed);
	if (outside(p) > 0 || p->ranges)
		call = one_more(p, 0);
	tz_mutex_unlock(&p->lock);
	act(p, call);
	if (call.wake || call.start)
		return;
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the fences of those who make work visible without the lock */
	if (outside(p) > 0 || tz_runqueue_length(&w->queue) > 0 || each_other(w, has_work, NULL))
		offer(p);
}

static inline void found(struct tz_worker *w)
{
	if (w->searching)
		end_search(w);
}

static bool run_fork_of(struct tz_worker *w, struct tz_worker *other, void *arg)
{
	struct tz__slot *slot = tz_fork_steal(&other->forks, &w->forks, 0, NULL);

	(void)arg;
	if (!slot)
		return false;
	tz_counter_add(&w->forks_stolen, 1);
	found(w);
	tz_fork_run_stolen(&other->forks, &w->forks, slot);
	return true;
}

/* An open range with a place left; counted as entered. */
static struct tz_open_range *enter_range(struct tz_pool *p)
{
	struct tz_open_range *open = NULL;

	if (atomic_load_explicit(&p->open_ranges, memory_order_relaxed) == 0)
		return NULL;
	tz_mutex_lock(&p->lock);
	for (open = p->ranges; open; open = open->next)
		if (open->active + 1 < tz_range_workers(open->range) && tz_range_left(open->range)) {
			open->active++;
			break;
		}
	tz_mutex_unlock(&p->lock);
	return open;
}

struct range_visit {
	struct tz_pool *pool;
	struct tz_open_range *open;
};

/* Also when a piece leaves by pthread_exit. The range may be gone once `active` is 0 and the lock is released. */
static void leave_range(struct range_visit *v)
{
	if (!v->open)
		return;
	struct tz_strand *caller = v->open->caller;

	tz_mutex_lock(&v->pool->lock);
	bool last = --v->open->active == 0;
	tz_mutex_unlock(&v->pool->lock);
	if (last)
		tz_strand_unpark(caller);
}

static bool run_range(struct tz_worker *w)
{
	struct range_visit visit __attribute__((cleanup(leave_range))) = { w->pool, enter_range(w->pool) };

	if (!visit.open)
		return false;
	found(w);
	/* Jobs go first: the range's caller works on it in any case. */
	while (tz_range_step(visit.open->range, w->index) && outside(w->pool) == 0)
		;
	return true;
}

/* Also when the worker's part leaves by pthread_exit. The range may be gone after the swap. */
static void leave_offered_range(struct tz_offered_range **offered)
{
	struct tz_strand *caller = (*offered)->caller;

	if (atomic_exchange_explicit(&(*offered)->state, PART_DONE, memory_order_acq_rel) == PART_AWAITED)
		tz_strand_unpark(caller);
}

static void run_offered_range(struct tz_worker *w, struct tz_offered_range *range)
{
	struct tz_offered_range *offered __attribute__((cleanup(leave_offered_range))) = range;

	found(w);
	w->workless.ticks = 0;
	if (atomic_load_explicit(&w->pool->lonely_limit, memory_order_relaxed))
		atomic_store_explicit(&w->pool->lonely_limit, 0, memory_order_relaxed);
	while (tz_range_step(offered->range, w->index) && outside(w->pool) == 0)
		;
}

static bool has_work(struct tz_worker *w, struct tz_worker *other, void *arg)
{
	(void)w, (void)arg;
	return tz_runqueue_length(&other->queue) > 0 || tz_fork_has_public(&other->forks);
}

static bool ask_for_forks(struct tz_worker *w, struct tz_worker *other, void *arg)
{
	(void)w, (void)arg;
	if (__atomic_load_n(&other->forks.owner.request, __ATOMIC_RELAXED) == 0)
		__atomic_store_n(&other->forks.owner.request, 1, __ATOMIC_RELAXED);
	return false;
}

static bool range_open(struct tz_pool *p)
{
	bool open = false;

	if (atomic_load_explicit(&p->open_ranges, memory_order_relaxed) == 0)
		return false;
	tz_mutex_lock(&p->lock);
	for (struct tz_open_range *o = p->ranges; o && !open; o = o->next)
		open = o->active + 1 < tz_range_workers(o->range) && tz_range_left(o->range);
	tz_mutex_unlock(&p->lock);
	return open;
}

static bool anything(struct tz_worker *w)
{
	return outside(w->pool) > 0 || tz_runqueue_length(&w->queue) > 0 || range_open(w->pool) ||
	       each_other(w, has_work, NULL);
}

/* --- sleeping -------------------------------------------------------------------------------------------------------------------------- */

static void set_lingerer(struct tz_pool *p, struct tz_worker *w)
{
	tz_mutex_lock(&p->lock);
	atomic_store_explicit(&p->lingerer, w, memory_order_release);
	tz_mutex_unlock(&p->lock);
}

/* Whoever lingers takes ranges from now on; false if another one does already. */
static bool ask_for_offers(struct tz_pool *p)
{
	struct tz_offered_range *none = NULL;

	return atomic_compare_exchange_strong_explicit(&p->offered, &none, &no_range, memory_order_relaxed, memory_order_relaxed);
}

static bool is_offered(struct tz_pool *p)
{
	return atomic_load_explicit(&p->offered, memory_order_relaxed) != &no_range;
}

/* No more from now on. Answers what is offered at the moment, which is the worker's, or NULL. */
static struct tz_offered_range *end_offers(struct tz_pool *p)
{
	struct tz_offered_range *was = atomic_exchange_explicit(&p->offered, NULL, memory_order_acquire);

	return was == &no_range ? NULL : was;
}

/* Whether there are more workers at work than may be, because one that was blocked has come back. */
static bool surplus(struct tz_pool *p)
{
	return atomic_load_explicit(&p->runnable, memory_order_relaxed) -
		       atomic_load_explicit(&p->idle_count, memory_order_relaxed) >
	       p->executor.workers;
}

enum lingered { NOTHING, SOMETHING, SERVED };

/* Looks for a while more before sleeping, as long as that was worth it of late; one worker at a time. */
static enum lingered linger_once(struct tz_worker *w)
{
	struct tz_pool *p = w->pool;
	int none = 0;
	bool something = false;

	if (!w->searching && !atomic_compare_exchange_strong_explicit(&p->searching, &none, 1, memory_order_relaxed,
								       memory_order_relaxed))
		return NOTHING;
	w->searching = true;
	uint32_t ticks = tz_spin_allowed() ? tz_patience_ask(&p->patience) : 0;

	if (ticks == 0)
		return NOTHING;
	set_lingerer(p, w);
	(void)each_other(w, ask_for_forks, NULL);
	bool asks = ask_for_offers(p);
	struct tz_sitting sitting = tz_sitting_begin(ticks);

	do
		something = (asks && is_offered(p)) || anything(w);
	while (!something && !closing(p) && tz_sitting_turn(&sitting));
	struct tz_offered_range *offered = asks ? end_offers(p) : NULL;

	tz_sitting_end(&sitting);
	if (offered) {
		run_offered_range(w, offered);
		return SERVED;
	}
	set_lingerer(p, NULL);
	return something ? SOMETHING : NOTHING;
}

/* The same, and takes part in short maps meanwhile: they come in rows. True if there is something else. */
static bool linger(struct tz_worker *w)
{
	enum lingered l;

	do
		l = linger_once(w);
	while (l == SERVED && !surplus(w->pool));
	return l != NOTHING;
}

/* It has got work from the injector: how long was the wait, and who ended it? */
static void learn(struct tz_pool *p, struct tz_worker *w)
{
	struct tz_moment rung = { __atomic_load_n(&w->rung.ticks, __ATOMIC_RELAXED), __atomic_load_n(&w->rung.cpu, __ATOMIC_RELAXED) };

	if (w->workless.ticks && (int64_t)(rung.ticks - w->workless.ticks) > 0)
		tz_patience_learn(&p->patience, w->workless, rung, w->slept);
	w->workless.ticks = 0;
	w->slept = false;
}

/* How long this worker sleeps before it ends. Under the lock. */
static tz_deadline retirement(struct tz_pool *p)
{
	uint64_t ns = p->alive > p->executor.workers ? SPARE_IDLE_NS : p->alive > p->stay ? p->idle_ns : 0;

	return ns ? (tz_deadline){ tz_clock_now() + ns } : tz_never();
}

/* The worker will end: it does not count from now on. Under the lock. */
static void retire(struct tz_pool *p, struct tz_worker *w)
{
	if (w->retired)
		return;
	set_searching(p, w, false);
	w->retired = true;
	p->alive--;
	p->leaving++;
	atomic_fetch_sub_explicit(&p->runnable, 1, memory_order_seq_cst);
}

enum verdict { GO_ON, END };

/* Until when to sleep: less long, if there are threads to join, and longer each time. Under the lock. */
static tz_deadline next_look(struct tz_pool *p, tz_deadline until, uint64_t *pause)
{
	if (p->unjoined == 0) {
		*pause = JOIN_SOONEST_NS;
		return until;
	}
	tz_deadline look = { tz_clock_now() + *pause };

	*pause = *pause * 2 < JOIN_LATEST_NS ? *pause * 2 : JOIN_LATEST_NS;
	return tz_deadline_min(look, until);
}

/* Sleeps until there may be work; `look`: until when at first. The worker is in the idle list. */
static enum verdict sleep_idle(struct tz_pool *p, struct tz_worker *w, tz_deadline until, tz_deadline look)
{
	uint64_t pause = JOIN_SOONEST_NS;

	for (;;) {
		w->slept = true;
		bool late = w->strand->ops->park(w->strand, look) == -ETIMEDOUT && tz_expired(until);

		tz_mutex_lock(&p->lock);
		join_leavers(p);
		if (!w->idle) { /* whoever woke us took us off the list */
			tz_mutex_unlock(&p->lock);
			return GO_ON;
		}
		if (closing(p)) {
			leave_idle(p, w);
			tz_mutex_unlock(&p->lock);
			return GO_ON;
		}
		if (late && p->alive > p->stay && outside(p) == 0) {
			retire(p, w); /* first: nobody is to see it neither idle nor gone */
			leave_idle(p, w);
			tz_mutex_unlock(&p->lock);
			return END;
		}
		if (late)
			until = retirement(p);
		look = next_look(p, until, &pause);
		tz_mutex_unlock(&p->lock);
	}
}

/* Nothing found: sleeps, or ends if the pool is closing. */
static enum verdict rest(struct tz_worker *w)
{
	struct tz_pool *p = w->pool;
	tz_deadline until, look;

	tz_mutex_lock(&p->lock);
	bool too_many = active(p) > p->executor.workers;

	if (!too_many && (outside(p) > 0 || tz_runqueue_length(&w->queue) > 0)) {
		tz_mutex_unlock(&p->lock);
		return GO_ON;
	}
	if (closing(p) && outside(p) == 0 && tz_runqueue_length(&w->queue) == 0) {
		retire(p, w);
		tz_mutex_unlock(&p->lock);
		return END;
	}
	join_idle(p, w);
	set_searching(p, w, false);
	until = retirement(p);
	join_leavers(p);
	look = next_look(p, until, &(uint64_t){ JOIN_SOONEST_NS });
	tz_mutex_unlock(&p->lock);

	(void)each_other(w, ask_for_forks, NULL);
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the fences of those who make work visible without the lock */
	if (!too_many && (outside(p) > 0 || each_other(w, has_work, NULL) || range_open(p))) {
		tz_mutex_lock(&p->lock);
		if (w->idle)
			leave_idle(p, w);
		set_searching(p, w, true); /* whoever brought it saw us search, and left the next worker for us to wake */
		tz_mutex_unlock(&p->lock);
		return GO_ON;
	}
	return sleep_idle(p, w, until, look);
}

/* --- the worker's thread ------------------------------------------------------------------------------------------------------------------- */

/* Also when the job leaves by pthread_exit. */
static void count_completed(struct tz_worker **w)
{
	tz_counter_add(&(*w)->completed, 1);
}

/* Runs a job; or ends it, if the pool has no use for it any more. */
static void dispose(struct tz_worker *w, tz_job *job)
{
	struct tz_pool *p = w->pool;

	if (__builtin_expect(atomic_load_explicit(&p->broken, memory_order_acquire), 0))
		(void)tz_job_end(job, TZ_FAILED, p->broken_code, "the executor is broken: a worker's initializer failed");
	else if (__builtin_expect(closing(p) > 1 + TZ_DRAIN, 0))
		(void)tz_job_end(job, TZ_CANCELLED, -ECANCELED, "the executor was shut down");
	else {
		w->in_job = true;
		(void)tz_job_run(job, w->index);
		w->in_job = false;
	}
	tz_counter_add(&w->completed, 1);
}

/* Has caught up with who submits: lets them get ahead again. */
static bool breathe(struct tz_worker *w)
{
	if (!tz_breather_take(&w->breather))
		return false;
	size_t jobs = outside(w->pool);

	tz_breather_learn(&w->breather, jobs);
	return jobs > 0;
}

static void work(struct tz_worker *w)
{
	for (;;) {
		bool too_many = surplus(w->pool);
		tz_job *job = too_many ? NULL : find_job(w);

		if (job) {
			found(w);
			if (w->workless.ticks)
				learn(w->pool, w);
			dispose(w, job);
			continue;
		}
		if (!too_many && breathe(w))
			continue;
		if (w->workless.ticks == 0)
			w->workless = tz_moment_now();
		if (!surplus(w->pool) && (each_other(w, run_fork_of, NULL) || run_range(w) || linger(w)))
			continue;
		if (rest(w) == END)
			return;
	}
}

static void on_block(struct tz_strand *strand, bool begin)
{
	struct tz_worker *w = strand->worker;
	struct tz_pool *p = w->pool;
	struct call call = { 0 };

	if ((begin ? w->block_depth++ > 0 : --w->block_depth > 0) || is_lost(p))
		return;
	if (begin)
		tz_fork_publish_all(&w->forks);
	tz_mutex_lock(&p->lock);
	w->blocked = begin;
	p->blocked += begin ? 1 : -1;
	atomic_fetch_add_explicit(&p->runnable, begin ? -1 : 1, memory_order_seq_cst);
	/* All queues count, not only ours: what lies in that of another blocked worker has nobody else. */
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the pushes of those who saw us at work, and woke nobody */
	if (begin && (outside(p) > 0 || tz_runqueue_length(&w->queue) > 0 ||
		      tz_fork_has_public(&w->forks) || p->ranges || each_other(w, has_work, NULL)))
		call = one_more(p, 0);
	tz_mutex_unlock(&p->lock);
	act(p, call);
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
		drop(p, job, TZ_FAILED, -ENOMEM, "no memory for the queue");
		tz_mutex_lock(&p->lock);
	}
}

static void notify_change(struct tz_pool *p)
{
	(void)tz_parking_wake(&p->changes, SIZE_MAX, NULL, NULL, NULL);
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
	struct call call = { 0 };

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
	retire(p, w);
	give_queue_back(p, w);
	atomic_thread_fence(memory_order_seq_cst); /* as in on_block */
	if (outside(p) > 0 || each_other(w, has_work, NULL))
		call = one_more(p, 0); /* before our place is vacant: our thread cannot join itself */
	p->leaving--;
	join_leavers(p);
	w->taken = false;
	p->unjoined++;
	idle = p->idle_first && !closing(p) ? p->idle_first->strand : NULL;
	if (idle)
		tz_strand_unpark(idle); /* for it to join us; under the lock: it might end */
	tz_mutex_unlock(&p->lock);
	act(p, call);
	notify_change(p);
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
	work(w);
	return NULL;
}

/* Takes some jobs of those that were submitted from outside, of any priority. Under the lock. */
static size_t take_any(struct tz_pool *p, tz_job **jobs, size_t most)
{
	size_t n = 0;

	for (int i = TZ_PRIORITY_LOW; i <= TZ_PRIORITY_HIGH && n == 0; i++)
		n = tz_injector_take(&p->injector, jobs, most, (tz_priority)i);
	for (int i = 0; i < tz_inlets_count(&p->inlets) && n == 0; i++)
		n = tz_inlet_take_all(tz_inlet_at(&p->inlets, i), jobs, most);
	return n;
}

/* Gives up a place that got no thread, if there was one (w). The jobs that wait have nobody if there is no other worker: then they fail. */
static void no_thread(struct tz_pool *p, struct tz_worker *w, int error)
{
	struct call call = { 0 };
	tz_job *jobs[BATCH];
	size_t n = 0;

	do {
		tz_mutex_lock(&p->lock);
		if (w) {
			set_searching(p, w, false);
			w->taken = false;
			p->alive--;
			atomic_fetch_sub_explicit(&p->runnable, 1, memory_order_seq_cst);
			w = NULL;
			note_shortage(p);
		}
		n = p->alive == 0 ? take_any(p, jobs, BATCH) : 0;
		if (p->idle_first && outside(p) > 0)
			call = one_more(p, 0); /* who went to sleep meanwhile: submitters counted on the thread that did not start */
		tz_mutex_unlock(&p->lock);
		for (size_t i = 0; i < n; i++)
			drop(p, jobs[i], TZ_FAILED, error, "no thread could be started for it");
		if (n)
			wake_room(p);
	} while (n);
	act(p, call);
	notify_change(p);
}

static void start_thread(struct tz_pool *p, struct tz_worker *w)
{
	int r = -ENOMEM;

	if (w->joinable) {
		(void)pthread_join(w->thread, NULL); /* it has given up the place: it is about to end */
		w->joinable = false;
	}
	__atomic_store_n(&w->strand, tz_strand_new_thread(), __ATOMIC_RELEASE); /* a shutdown request reads it without a lock */
	w->forks.strand = w->strand;
	w->joinable = true; /* before it runs: it may end, and somebody else take the place, before we are back */
	if (w->strand)
		r = tz_os_thread_start(&w->thread, p->executor.options.stack_size, worker_main, w);
	if (r < 0) {
		w->joinable = false;
		tz_strand_free(w->strand);
		no_thread(p, w, r);
	} else if (__builtin_expect(atomic_load_explicit(&p->is_short, memory_order_relaxed), 0)) {
		atomic_store_explicit(&p->is_short, false, memory_order_relaxed);
	}
}

/* --- the operations ----------------------------------------------------------------------------------------------------------------------- */

/* The worker of this pool that calls, or NULL. */
static struct tz_worker *own_worker(struct tz_pool *p, struct tz_strand *self)
{
	return self->worker && self->worker->pool == p ? self->worker : NULL;
}

static bool full(struct tz_pool *p)
{
	return tz_injector_length(&p->injector) >= p->executor.options.queue_limit;
}

/* Waiting for room: the parking lot's steps. */
struct room_wait {
	struct tz_parked node; /* first */
	struct tz_pool *pool;
};

static bool begin_room_wait(struct tz_parked *node)
{
	struct tz_pool *p = ((struct room_wait *)node)->pool;

	return full(p) && !closing(p);
}

static int wait_for_room(struct tz_pool *p, struct tz_strand *self)
{
	static const struct tz_parking_steps steps = { .begin = begin_room_wait };
	struct room_wait wait = { .node.strand = self, .pool = p };

	atomic_fetch_add_explicit(&p->room_waiters, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	int r = tz_parking_wait(&wait.node, &p->room, &steps, 0, tz_never());
	atomic_fetch_sub_explicit(&p->room_waiters, 1, memory_order_relaxed);
	return r == -EAGAIN ? 0 : r;
}

/* If a worker spins for work, it wants to know since when there is some. */
static inline void ring_lingerer(struct tz_pool *p)
{
	struct tz_worker *lingerer = atomic_load_explicit(&p->lingerer, memory_order_acquire);

	if (lingerer)
		ring(lingerer);
}

/* Whether somebody will come, without being told, for jobs that were made visible before. */
static inline bool attended(struct tz_pool *p)
{
	if (atomic_load_explicit(&p->searching, memory_order_seq_cst) == 0)
		return all_at_work(p);
	ring_lingerer(p);
	return true;
}

/* There are jobs from outside: has somebody come for them, if nobody is on the way. The lock is held, and released on return. */
static void see_to_it(struct tz_pool *p)
{
	ring_lingerer(p);
	struct call call = one_more(p, 0);

	tz_mutex_unlock(&p->lock);
	act(p, call);
}

/* Pushes jobs into the injector. Returns how many; the lock is held, and released on return. */
static size_t inject(struct tz_pool *p, tz_job *const *jobs, size_t n, tz_priority priority)
{
	size_t pushed = tz_injector_push(&p->injector, jobs, n, priority);

	tz_counter_add(&p->submitted, pushed);
	if (pushed)
		see_to_it(p);
	else
		tz_mutex_unlock(&p->lock);
	return pushed;
}

/* As inject, but never beyond the queue's limit. */
static size_t submit_limited(struct tz_pool *p, struct tz_strand *self, tz_job *const *jobs, size_t n, tz_priority priority,
			     int *ret_error)
{
	for (size_t i = 0; i < n; i++) {
		tz_mutex_lock(&p->lock);
		while (!closing(p) && full(p)) {
			tz_full_policy policy = p->executor.options.full;
			int r = -EAGAIN;

			tz_mutex_unlock(&p->lock);
			if (policy == TZ_FULL_CALLER_RUNS || (policy == TZ_FULL_BLOCK && own_worker(p, self))) {
				/* A worker that waited for room in its own queue could wait for ever. */
				(void)tz_job_run(jobs[i], own_worker(p, self) ? self->worker->index : -1);
				goto next;
			}
			if (policy == TZ_FULL_BLOCK)
				r = wait_for_room(p, self);
			if (r < 0) {
				*ret_error = r;
				return i;
			}
			tz_mutex_lock(&p->lock);
		}
		if (closing(p)) {
			tz_mutex_unlock(&p->lock);
			*ret_error = -ESHUTDOWN;
			return i;
		}
		if (inject(p, &jobs[i], 1, priority) == 0) {
			*ret_error = -ENOMEM;
			return i;
		}
next:;
	}
	return n;
}

/* A worker submits to its own pool: into its run queue, without the lock. */
static inline size_t submit_locally(struct tz_pool *p, struct tz_worker *w, tz_job *const *jobs, size_t n)
{
	size_t i = 0;

	while (i < n && tz_runqueue_push(&w->queue, jobs[i]))
		i++;
	tz_counter_add(&w->submitted, i);
	offer(p);
	return i;
}

/* Takes back what the calling thread has pushed last. */
static size_t take_back(struct tz_pool *p, struct tz_inlet *inlet, size_t pushed)
{
	tz_job *job;

	while (pushed > 0 && (job = tz_inlet_take(inlet))) {
		pushed--;
		tz_counter_subtract(&p->submitted, 1); /* it stays counted in the inlet */
	}
	return pushed;
}

/* The jobs that were just pushed into an inlet need somebody; or the pool was closed meanwhile, and they came too late if it has ended.
 * Returns how many are accepted. Leaves the inlet: the pool may be gone then. */
__attribute__((noinline)) static size_t attend(struct tz_pool *p, struct tz_inlet *inlet, size_t pushed)
{
	tz_mutex_lock(&p->lock);
	if (p->ended) {
		pushed = take_back(p, inlet, pushed);
		tz_mutex_unlock(&p->lock);
	} else {
		see_to_it(p);
	}
	tz_inlet_leave(inlet);
	return pushed;
}

static inline size_t see_to_inlet(struct tz_pool *p, struct tz_inlet *inlet, size_t pushed)
{
	if (__builtin_expect(!attended(p) || atomic_load_explicit(&p->number, memory_order_seq_cst) == TZ_INLETS_SHUT, 0))
		return attend(p, inlet, pushed);
	tz_inlet_leave(inlet);
	return pushed;
}

/* Whether the calling thread, which is no worker of the pool, has an inlet into it; if need be, it gets one. */
static bool has_inlet(struct tz_pool *p)
{
	uint64_t number = atomic_load_explicit(&p->number, memory_order_relaxed);

	if (number == TZ_INLETS_SHUT)
		return false;
	if (tz_inlet_here.pool == number || tz_inlet_find(number))
		return true;
	tz_mutex_lock(&p->lock);
	bool added = tz_inlet_add(&p->inlets, number);
	tz_mutex_unlock(&p->lock);
	return added;
}

__attribute__((noinline)) static size_t submit_specially(struct tz_pool *p, tz_job *const *jobs, size_t n, tz_priority priority,
							 int *ret_error)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_worker *w = own_worker(p, self);
	size_t done = 0;

	if (__builtin_expect(closing(p) != 0, 0)) {
		*ret_error = -ESHUTDOWN;
		return 0;
	}
	if (p->executor.options.queue_limit)
		return submit_limited(p, self, jobs, n, priority, ret_error);
	if (priority == TZ_PRIORITY_NORMAL && w)
		done = submit_locally(p, w, jobs, n);
	else if (priority == TZ_PRIORITY_NORMAL && has_inlet(p) && (done = tz_inlet_push_all(tz_inlet_here.inlet, jobs, n)))
		done = see_to_inlet(p, tz_inlet_here.inlet, done);
	if (done < n) {
		tz_mutex_lock(&p->lock);
		if (closing(p)) {
			tz_mutex_unlock(&p->lock);
			*ret_error = -ESHUTDOWN;
			return done;
		}
		done += inject(p, jobs + done, n - done, priority);
		*ret_error = -ENOMEM;
	}
	return done;
}

size_t tz_pool_submit(tz_executor *executor, tz_job *const *jobs, size_t n, tz_priority priority, int *ret_error)
{
	struct tz_pool *p = pool_of(executor);
	struct tz_inlet *inlet = tz_inlet_here.inlet;

	/* One ordinary job from outside: this is the path that is travelled most. No worker of the pool has an inlet into it, and nobody has one
	 * into a pool that is closing or has a limit. */
	if (__builtin_expect(n == 1 && priority == TZ_PRIORITY_NORMAL &&
			     tz_inlet_here.pool == atomic_load_explicit(&p->number, memory_order_relaxed) &&
			     tz_inlet_push(inlet, jobs[0]), 1)) {
		*ret_error = -ESHUTDOWN;
		return see_to_inlet(p, inlet, 1);
	}
	/* Or one of a worker to its own pool. */
	struct tz_worker *w = own_worker(p, tz_strand_self());

	if (__builtin_expect(n == 1 && priority == TZ_PRIORITY_NORMAL && w &&
			     atomic_load_explicit(&p->number, memory_order_relaxed) != TZ_INLETS_SHUT && submit_locally(p, w, jobs, 1), 1))
		return 1;
	return submit_specially(p, jobs, n, priority, ret_error);
}

void tz_pool_help(tz_executor *executor, tz_job *job, bool timed)
{
	struct tz_pool *p = pool_of(executor);
	struct tz_worker *w = own_worker(p, tz_strand_self());

	if (!w || timed || executor->options.initializer || w->help_depth >= HELP_DEPTH)
		return;
	w->help_depth++;
	if (tz_runqueue_unpush(&w->queue, job)) {
		struct tz_worker *counted __attribute__((cleanup(count_completed), unused)) = w;

		(void)tz_job_run(job, w->index);
	} else {
		(void)tz_job_begin_here(job, w->index); /* what lies in the queue becomes a tombstone, and is counted there */
	}
	w->help_depth--;
}

/* A call of tz_pool_range. */
struct range_call {
	struct tz_pool *pool;
	struct tz_open_range open;
};

/* One for a short range. */
struct range_offer {
	struct tz_pool *pool; /* NULL: nobody had time for it */
	struct tz_offered_range offered;
};

static bool is_done(struct tz_offered_range *o)
{
	return atomic_load_explicit(&o->state, memory_order_acquire) == PART_DONE;
}

/* Takes the range off the list, and waits for the workers inside it; also when a piece that the caller runs leaves by pthread_exit. */
static void close_range(struct range_call *call)
{
	struct tz_pool *p = call->pool;
	struct tz_open_range *open = &call->open;
	struct tz_strand *self = open->caller;
	bool told = false;

	tz_mutex_lock(&p->lock);
	struct tz_open_range **at = &p->ranges;

	while (*at != open)
		at = &(*at)->next;
	*at = open->next;
	atomic_fetch_sub_explicit(&p->open_ranges, 1, memory_order_relaxed);
	while (open->active > 0) {
		tz_mutex_unlock(&p->lock);
		if (told) {
			tz_strand_park_deaf(self);
		} else {
			int r = tz_strand_park(self, tz_never());

			if (r < 0) {
				tz_range_interrupt(open->range, r);
				told = true;
			}
		}
		tz_mutex_lock(&p->lock);
	}
	tz_mutex_unlock(&p->lock);
}

/* Waits for the worker's part of an offered range, if there is one; also when a piece that the caller runs leaves by pthread_exit. */
static void withdraw(struct range_offer *offer)
{
	struct tz_offered_range *o = &offer->offered, *was = o;
	uint32_t runs = PART_RUNS;
	bool told = false;

	if (!offer->pool || atomic_compare_exchange_strong_explicit(&offer->pool->offered, &was, &no_range, memory_order_relaxed, memory_order_relaxed))
		return;
	if (tz_strand_may_spin(o->caller)) {
		struct tz_sitting s = tz_sitting_begin(DONE_SOON_US * (uint32_t)tz_clock_ticks_per_us());

		while (!is_done(o) && tz_sitting_turn(&s))
			;
		tz_sitting_end(&s);
	}
	if (is_done(o) || !atomic_compare_exchange_strong_explicit(&o->state, &runs, PART_AWAITED, memory_order_acquire, memory_order_acquire))
		return;
	while (!is_done(o)) {
		if (told) {
			tz_strand_park_deaf(o->caller);
			continue;
		}
		int r = tz_strand_park(o->caller, tz_never());

		if (r < 0) {
			tz_range_interrupt(o->range, r);
			told = true;
		}
	}
}

/* Works on a range whose rest is not worth a wake-up, together with the worker that lingers. */
static void share_short(struct tz_pool *p, tz_range *range, struct tz_strand *self, int worker)
{
	struct range_offer offer __attribute__((cleanup(withdraw))) = { .pool = p, .offered = { .range = range, .caller = self } };
	struct tz_offered_range *none = &no_range;

	if (!atomic_compare_exchange_strong_explicit(&p->offered, &none, &offer.offered, memory_order_release, memory_order_relaxed))
		offer.pool = NULL;
	while (tz_range_step(range, worker))
		;
}

/* Short maps follow each other, and their callers have worked alone for long: is a worker to come and linger? */
static bool is_lonely(struct tz_pool *p, double us)
{
	uint32_t alone = atomic_load_explicit(&p->lonely_us, memory_order_relaxed) + (us < LONELY_US ? (uint32_t)us : LONELY_US);
	uint32_t limit = atomic_load_explicit(&p->lonely_limit, memory_order_relaxed) + LONELY_US;
	uint64_t now = tz_clock_ticks(), since;

	if (alone < limit) {
		atomic_store_explicit(&p->lonely_us, alone, memory_order_relaxed);
		return false;
	}
	since = atomic_exchange_explicit(&p->lonely_since, now, memory_order_relaxed);
	atomic_store_explicit(&p->lonely_us, 0, memory_order_relaxed);
	if (now - since > 2 * (uint64_t)alone * tz_clock_ticks_per_us() || !tz_spin_allowed())
		return false;
	if (limit < LONELY_MOST_US) /* until a worker takes part */
		atomic_store_explicit(&p->lonely_limit, 2 * limit - LONELY_US, memory_order_relaxed);
	return true;
}

bool tz_pool_near(tz_executor *executor, double us)
{
	struct tz_pool *p = pool_of(executor);
	struct tz_offered_range *offered = atomic_load_explicit(&p->offered, memory_order_relaxed);

	if (!offered && is_lonely(p, us))
		offer(p);
	return offered == &no_range;
}

int tz_pool_range(tz_executor *executor, tz_range *range)
{
	struct tz_pool *p = pool_of(executor);
	struct tz_strand *self = tz_strand_self();
	struct tz_worker *w = own_worker(p, self);
	int more = tz_range_worth(range);

	if (more == 0) {
		share_short(p, range, self, w ? w->index : -1);
		return 0;
	}
	tz_mutex_lock(&p->lock);
	if (closing(p)) {
		tz_mutex_unlock(&p->lock);
		return -ESHUTDOWN;
	}
	struct range_call call __attribute__((cleanup(close_range))) = {
		.pool = p, .open = { .range = range, .caller = self, .next = p->ranges },
	};

	p->ranges = &call.open;
	atomic_fetch_add_explicit(&p->open_ranges, 1, memory_order_relaxed);
	tz_mutex_unlock(&p->lock);
	for (int i = 0; i < more; i++) {
		tz_mutex_lock(&p->lock);
		struct call next = one_more(p, i);
		tz_mutex_unlock(&p->lock);
		act(p, next);
	}
	while (tz_range_step(range, w ? w->index : -1))
		;
	return 0;
}

/* Ends what has not begun: everything in the injector and in the run queues. */
static void cancel_pending(struct tz_pool *p)
{
	tz_job *jobs[BATCH];
	size_t n;

	do {
		tz_mutex_lock(&p->lock);
		n = take_any(p, jobs, BATCH);
		tz_mutex_unlock(&p->lock);
		for (size_t i = 0; i < n; i++)
			drop(p, jobs[i], TZ_CANCELLED, -ECANCELED, "the executor was shut down");
	} while (n);
	for (int i = 0; i < atomic_load_explicit(&p->known, memory_order_acquire); i++) {
		tz_job *job;

		while ((job = tz_runqueue_take(&p->workers[i]->queue)))
			drop(p, job, TZ_CANCELLED, -ECANCELED, "the executor was shut down");
	}
}

void tz_pool_request_shutdown(tz_executor *executor, tz_shutdown how)
{
	/* No lock: a signal handler may call this. Idle workers look again when they are given their token. */
	struct tz_pool *p = pool_of(executor);
	int now = atomic_load_explicit(&p->closing, memory_order_relaxed), want = 1 + (int)how;

	while (now < want && !atomic_compare_exchange_weak_explicit(&p->closing, &now, want, memory_order_seq_cst,
								    memory_order_relaxed))
		;
	atomic_store_explicit(&p->number, TZ_INLETS_SHUT, memory_order_seq_cst);
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
	if (p->alive == 0 && p->leaving == 0 && p->calls == 0 && outside(p) == 0)
		p->ended = true;
	bool ended = p->ended;
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
	struct tz_pool *p = pool_of(executor);
	struct tz_strand *self = tz_strand_self();

	if (own_worker(p, self))
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

void tz_pool_stats(tz_executor *executor, tz_executor_stats *ret)
{
	struct tz_pool *p = pool_of(executor);

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
	ret->pending += outside(p);
	ret->workers = p->alive;
	ret->idle = atomic_load_explicit(&p->idle_count, memory_order_relaxed);
	ret->blocked = p->blocked;
	tz_mutex_unlock(&p->lock);
	ret->running = ret->submitted > ret->completed + ret->pending ? ret->submitted - ret->completed - ret->pending : 0;
}

void tz_pool_destroy(tz_executor *executor)
{
	struct tz_pool *p = pool_of(executor);
	bool ours = !is_lost(p);

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
	p->idle_ns = (uint64_t)(options->idle_seconds * 1e9);
	p->workers = calloc((size_t)p->most, sizeof *p->workers);
	if (!p->workers) {
		free(p);
		return -ENOMEM;
	}
	atomic_store_explicit(&p->number, options->queue_limit ? TZ_INLETS_SHUT : tz_inlet_pool_number(), memory_order_relaxed);
	*ret = p;
	return 0;
}
