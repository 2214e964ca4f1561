/* The way of a job through the pool: how it is submitted, and how a worker finds it and runs it.
 *
 * Design notes
 *
 * Where work lies, and in which order a worker looks: its own run queue (runqueue.h); what was submitted
 * from outside, which is the inlets (inlet.h: ordinary jobs, a ring for each thread that submits) and the
 * injector (injector.h: all others), from which a worker moves a batch into its run queue; open ranges
 * (maps under way, whose callers work too); then what other workers have: the oldest public fork (forks.h)
 * or half a run queue. High priority in the injector is looked at first, but for each 61st turn in a row of
 * such; of the other turns, each 61st begins with the lowest.
 *
 * Three ways of making work take no lock: a push into an inlet, a worker's push on its run queue, and its
 * publishing of forks. They do: make the work visible; then, in the single order of all seq_cst
 * operations, look who is there to come for it: at `searching`, then `idle_count`, then `runnable`. Who
 * stops being there does it the other way round: changes these counts, and then looks once more at all
 * inlets, run queues and public forks. One of the two sees the other. In particular
 *   - a worker that goes to sleep joins the list (idle_count goes up) and asks all others for forks
 *     before it looks;
 *   - a searcher that has found something takes itself off `searching` before it looks whether there
 *     is more;
 *   - a worker that blocks or ends takes itself off `runnable` before it looks; one that ends while idle
 *     goes off `runnable` while it still counts as idle, so that nobody sees it at work.
 * model/ has this as a Spin model.
 *
 * A worker that has caught up with its submitters takes a breather before it looks for anything else
 * (core/breather.h), if that pays. It counts as at work meanwhile.
 *
 * What every job passes is in this file, for the compiler to have it in one piece: it is a few dozen
 * instructions. What is seldom needed is not.
 */
#include "sched/pool_inside.h"

#include <errno.h>

#include "core/counter.h"
#include "core/parking.h"
#include "core/spin.h"
#include "os/cpu.h"

enum {
	LOW_TURN = 61, /* each such turn begins with the lowest priority */
	HELP_DEPTH = 128 /* jobs that wait for each other on one stack; deeper ones park */
};

void tz_pool_drop(struct tz_pool *p, tz_job *job, tz_status status, int code, const char *message)
{
	(void)tz_job_end(job, status, code, message);
	atomic_fetch_add_explicit(&p->dropped, 1, memory_order_relaxed);
}

/* --- who comes for it ------------------------------------------------------------------------------------------------------- */

/* As many workers as may be are at work: they will look for more. */
static inline bool all_at_work(struct tz_pool *p)
{
	return atomic_load_explicit(&p->idle_count, memory_order_seq_cst) == 0 &&
	       atomic_load_explicit(&p->runnable, memory_order_seq_cst) >= p->executor.workers;
}

/* One more worker, if one may run; for callers without the lock, who have made work visible, by a seq_cst operation or with a fence after it. */
static inline void offer(struct tz_pool *p)
{
	if (__builtin_expect(atomic_load_explicit(&p->searching, memory_order_seq_cst) == 0 && !all_at_work(p), 0))
		tz_pool_call_one_more(p);
}

void tz_pool_wake_for_forks(void *worker)
{
	struct tz_pool *p = ((struct tz_worker *)worker)->pool;

	if (!tz_pool_is_lost(p))
		offer(p);
}

struct tz_fork_stack *tz_pool_fork_stack(void *worker, int index)
{
	return &((struct tz_worker *)worker)->pool->workers[index]->forks;
}

/* --- finding work ---------------------------------------------------------------------------------------------------------------- */

void tz_pool_wake_room(struct tz_pool *p)
{
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in wait_for_room: the length is seen there, or the waiter here */
	if (atomic_load_explicit(&p->room_waiters, memory_order_relaxed) > 0)
		(void)tz_parking_wake(&p->room, SIZE_MAX, NULL, NULL, NULL);
}

/* How many of some ordinary jobs from outside a worker takes at once: its share, as long as there is room in its run queue for all but one. */
static size_t batch_of(struct tz_worker *w, size_t jobs)
{
	size_t share = jobs / (size_t)w->pool->executor.workers + 1, room = TZ_RUNQUEUE_SIZE - tz_runqueue_length(&w->queue) + 1;

	share = share < room ? share : room;
	return share < TZ_POOL_BATCH ? share : TZ_POOL_BATCH;
}

/* Keeps all but the first of a batch in the worker's run queue, where there is room for them. */
static tz_job *keep_rest(struct tz_worker *w, tz_job **jobs, size_t n)
{
	if (n > 1)
		w->batch_end = tz_runqueue_push_all(&w->queue, jobs + 1, n - 1);
	for (size_t i = 0; i < n; i++)
		tz_cpu_fetch_to_write(jobs[i]);
	return jobs[0];
}

/* Takes a batch from the injector: returns the first and keeps the others. */
__attribute__((noinline)) static tz_job *take_batch_injected(struct tz_worker *w, tz_priority priority)
{
	struct tz_pool *p = w->pool;
	tz_job *jobs[TZ_POOL_BATCH], *job = NULL;
	struct tz_pool_call call = { 0 };
	size_t n = 1;

	tz_mutex_lock(&p->lock);
	if (priority == TZ_PRIORITY_NORMAL && p->executor.options.queue_limit == 0)
		n = batch_of(w, tz_injector_length_of(&p->injector, priority));
	n = tz_injector_take(&p->injector, jobs, n, priority);
	bool searched = w->searching;

	if (n) {
		/* Under the lock, so that no searcher goes to sleep while they are in neither place. */
		job = keep_rest(w, jobs, n);
		tz_pool_set_searching(p, w, false);
		if (n > 1 || tz_pool_outside(p) > 0)
			call = tz_pool_one_more(p, 0);
	}
	tz_mutex_unlock(&p->lock);
	tz_pool_act(p, call);
	if (n && searched && !call.wake && !call.start) { /* whoever searched has to see to what lies in others' queues */
		atomic_thread_fence(memory_order_seq_cst);
		if (tz_pool_outside(p) > 0 || tz_worker_each_other(w, tz_worker_has_work, NULL))
			offer(p);
	}
	if (n && p->executor.options.queue_limit)
		tz_pool_wake_room(p);
	return job;
}

static inline tz_job *take_injected(struct tz_worker *w, tz_priority priority)
{
	return tz_injector_length_of(&w->pool->injector, priority) > 0 ? take_batch_injected(w, priority) : NULL;
}

/* In batches: several workers seldom meet then, and one asks for the cache lines of all at once. */
__attribute__((noinline)) static tz_job *take_batch_from(struct tz_worker *w, struct tz_inlet *inlet)
{
	tz_job *jobs[TZ_POOL_BATCH];
	size_t n = batch_of(w, tz_inlet_length(inlet));

	if (n <= 2 && w->pool->executor.workers == 1)
		return tz_inlet_take(inlet);
	n = tz_inlet_take_all(inlet, jobs, n);
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

	if (w->turn % TZ_POOL_BATCH == 0)
		w->inlet++;
	for (int i = 0; i < n && !job; i++) {
		if (w->inlet >= n)
			w->inlet = 0;
		struct tz_inlet *inlet = tz_inlet_at(&p->inlets, w->inlet);

		job = take_batch_from(w, inlet);
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

size_t tz_pool_take_any(struct tz_pool *p, tz_job **jobs, size_t most)
{
	size_t n = 0;

	for (int i = TZ_PRIORITY_LOW; i <= TZ_PRIORITY_HIGH && n == 0; i++)
		n = tz_injector_take(&p->injector, jobs, most, (tz_priority)i);
	for (int i = 0; i < tz_inlets_count(&p->inlets) && n == 0; i++)
		n = tz_inlet_take_all(tz_inlet_at(&p->inlets, i), jobs, most);
	return n;
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
				tz_pool_drop(w->pool, more, TZ_FAILED, -ENOMEM, "no memory for the queue");
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

/* Whether an only worker has jobs of its last batch before it: they are older than what is still outside. */
static bool is_in_batch(struct tz_worker *w)
{
	uint16_t head = tz_rq_head(atomic_load_explicit(&w->queue.word, memory_order_relaxed));

	if ((int16_t)(w->batch_end - head) > 0)
		return w->pool->executor.workers == 1;
	w->batch_end = head; /* so that it is not taken for one ahead when the head has gone half-way round */
	return false;
}

/* Some turns begin elsewhere: jobs that submit their own successors may keep our run queue from ever being empty, and the others wait. */
static tz_job *find_fairly(struct tz_worker *w)
{
	tz_job *job = NULL;

	switch (w->turn % LOW_TURN) {
	case 0:
		return take_injected(w, TZ_PRIORITY_LOW);
	case LOW_TURN / 3:
		return is_in_batch(w) ? NULL : take_ordinary(w);
	case 2 * LOW_TURN / 3:
		(void)tz_worker_each_other(w, steal_jobs, &job);
		return job;
	default:
		return NULL;
	}
}

/* One that is not urgent. */
static tz_job *find_lower(struct tz_worker *w)
{
	tz_job *job = NULL;

	if ((job = find_fairly(w)))
		return job;
	if ((job = tz_runqueue_take(&w->queue)))
		return job;
	if ((job = take_ordinary(w)) || (job = take_injected(w, TZ_PRIORITY_LOW)))
		return job;
	(void)tz_worker_each_other(w, steal_jobs, &job);
	return job;
}

/* After so many urgent jobs in a row, one of the others has its turn: an ordinary one, or one of the lowest priority. Urgent ones are no turns of
 * the others, whose own order of turns would else stand still. */
static tz_job *find_job(struct tz_worker *w)
{
	tz_job *job;

	if (w->urgent < LOW_TURN - 1 && (job = take_injected(w, TZ_PRIORITY_HIGH))) {
		w->urgent++;
		return job;
	}
	bool flooded = w->urgent == LOW_TURN - 1;

	w->urgent = 0;
	w->turn++;
	if (flooded && w->turn % 2 && (job = take_injected(w, TZ_PRIORITY_LOW)))
		return job;
	if ((job = find_lower(w)))
		return job;
	return flooded ? take_injected(w, TZ_PRIORITY_HIGH) : NULL;
}

__attribute__((noinline)) void tz_worker_end_search(struct tz_worker *w)
{
	struct tz_pool *p = w->pool;
	struct tz_pool_call call = { 0 };

	/* Under the lock, so that a submitter who saw us searching comes before, and a worker who falls asleep before or after: without
	 * it, the submitter might see an old count of searchers while we see an old one of sleepers. */
	tz_mutex_lock(&p->lock);
	tz_pool_set_searching(p, w, false);
	if (tz_pool_outside(p) > 0 || p->ranges)
		call = tz_pool_one_more(p, 0);
	tz_mutex_unlock(&p->lock);
	tz_pool_act(p, call);
	if (call.wake || call.start)
		return;
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the fences of those who make work visible without the lock */
	if (tz_pool_outside(p) > 0 || tz_runqueue_length(&w->queue) > 0 || tz_worker_each_other(w, tz_worker_has_work, NULL))
		offer(p);
}

static bool run_fork_of(struct tz_worker *w, struct tz_worker *other, void *arg)
{
	struct tz__slot *slot = tz_fork_steal(&other->forks, &w->forks, 0, NULL);

	(void)arg;
	if (!slot)
		return false;
	tz_counter_add(&w->forks_stolen, 1);
	tz_worker_found(w);
	tz_fork_run_stolen(&other->forks, &w->forks, slot);
	return true;
}

/* --- the worker ------------------------------------------------------------------------------------------------------------------ */

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
	else if (__builtin_expect(tz_pool_closing(p) > 1 + TZ_DRAIN, 0))
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
	size_t jobs = tz_pool_outside(w->pool);

	tz_breather_learn(&w->breather, jobs);
	return jobs > 0;
}

/* Whether there are more workers at work than may be, because one that was blocked has come back. */
static bool surplus(struct tz_pool *p)
{
	return atomic_load_explicit(&p->runnable, memory_order_relaxed) -
		       atomic_load_explicit(&p->idle_count, memory_order_relaxed) >
	       p->executor.workers;
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

void tz_worker_work(struct tz_worker *w)
{
	for (;;) {
		bool too_many = surplus(w->pool);
		tz_job *job = too_many ? NULL : find_job(w);

		if (job) {
			tz_worker_found(w);
			if (w->workless.ticks)
				learn(w->pool, w);
			dispose(w, job);
			continue;
		}
		if (!too_many && breathe(w))
			continue;
		if (w->workless.ticks == 0)
			w->workless = tz_moment_now();
		if (!surplus(w->pool) && (tz_worker_each_other(w, run_fork_of, NULL) || tz_worker_run_range(w) || tz_worker_linger(w)))
			continue;
		if (tz_worker_rest(w) == TZ_END)
			return;
	}
}

void tz_pool_help(tz_executor *executor, tz_job *job, bool timed)
{
	struct tz_pool *p = tz_pool_of(executor);
	struct tz_worker *w = tz_pool_own_worker(p, tz_strand_self());

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

/* --- submitting -------------------------------------------------------------------------------------------------------------------- */

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

	return full(p) && !tz_pool_closing(p);
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
		tz_worker_ring(lingerer);
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
	struct tz_pool_call call = tz_pool_one_more(p, 0);

	tz_mutex_unlock(&p->lock);
	tz_pool_act(p, call);
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
		while (!tz_pool_closing(p) && full(p)) {
			tz_full_policy policy = p->executor.options.full;
			int r = -EAGAIN;

			tz_mutex_unlock(&p->lock);
			if (policy == TZ_FULL_CALLER_RUNS || (policy == TZ_FULL_BLOCK && tz_pool_own_worker(p, self))) {
				/* A worker that waited for room in its own queue could wait for ever. */
				(void)tz_job_run(jobs[i], tz_pool_own_worker(p, self) ? self->worker->index : -1);
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
		if (tz_pool_closing(p)) {
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
	struct tz_worker *w = tz_pool_own_worker(p, self);
	size_t done = 0;

	if (__builtin_expect(tz_pool_closing(p) != 0, 0)) {
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
		if (tz_pool_closing(p)) {
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
	struct tz_pool *p = tz_pool_of(executor);
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
	struct tz_worker *w = tz_pool_own_worker(p, tz_strand_self());

	if (__builtin_expect(n == 1 && priority == TZ_PRIORITY_NORMAL && w &&
			     atomic_load_explicit(&p->number, memory_order_relaxed) != TZ_INLETS_SHUT && submit_locally(p, w, jobs, 1), 1))
		return 1;
	return submit_specially(p, jobs, n, priority, ret_error);
}
