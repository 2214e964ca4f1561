/* The job: memory, references, waiters, cancel. The protocol is described in job.h. */
#include "core/job.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/bindings.h"
#include "core/callback.h"
#include "core/clocks.h"
#include "core/frame.h"
#include "core/outcome.h"
#include "core/scope.h"
#include "core/strand.h"
#include "os/clock.h"
#include "os/cpu.h"

/* --- memory ------------------------------------------------------------------------------------------------------
 *
 * Free cells wait in the cache of a thread, or in the depot, in chains of CHAIN cells linked by `waiters`. A thread that frees
 * more than two chains gives one to the depot, one that has none takes one; so a cell may travel from the threads that
 * release to those that submit, at the cost of one lock a chain. A thread's cache goes to the depot when the thread ends. */

enum { CHAIN = 64, SLAB_CELLS = 512 };

struct cache {
	struct tz_job *list; /* at most two chains */
	struct tz_job *spare; /* one whole chain, or NULL */
	unsigned count; /* of list */
	bool registered;
};

static _Thread_local struct cache cache __attribute__((tls_model("initial-exec")));

static struct {
	struct tz_mutex lock;
	struct tz_job *chains; /* linked by `task` */
	struct tz_job *loose; /* single cells of threads that have ended */
} depot;

static pthread_key_t cache_key;
static bool has_cache_key; /* without one, a thread's cache is lost with it */
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static void give_cache_back(void *unused)
{
	(void)unused;
	tz_mutex_lock(&depot.lock);
	while (cache.list) {
		struct tz_job *job = cache.list;

		cache.list = job->link;
		job->link = depot.loose;
		depot.loose = job;
	}
	if (cache.spare) {
		cache.spare->next_chain = depot.chains;
		depot.chains = cache.spare;
	}
	tz_mutex_unlock(&depot.lock);
	cache.spare = NULL;
	cache.count = 0;
	cache.registered = false;
}

static void make_cache_key(void)
{
	has_cache_key = pthread_key_create(&cache_key, give_cache_back) == 0;
}

static void register_cache(void)
{
	(void)pthread_once(&cache_once, make_cache_key);
	if (has_cache_key)
		(void)pthread_setspecific(cache_key, &cache);
	cache.registered = true;
}

/* New cells become chains of the depot. Under its lock. */
static bool add_slab(void)
{
	struct tz_job *slab = aligned_alloc(64, SLAB_CELLS * sizeof *slab);

	if (!slab)
		return false;
	memset((void *)slab, 0, SLAB_CELLS * sizeof *slab);
	for (int i = 0; i < SLAB_CELLS; i += CHAIN) {
		for (int j = 0; j < CHAIN; j++) {
			atomic_store_explicit(&slab[i + j].state, JOB_GENERATION, memory_order_relaxed);
			slab[i + j].link = j + 1 < CHAIN ? &slab[i + j + 1] : NULL;
		}
		slab[i].next_chain = depot.chains;
		depot.chains = &slab[i];
	}
	return true;
}

__attribute__((noinline)) static bool refill(void)
{
	if (!cache.registered)
		register_cache();
	if (cache.spare) {
		cache.list = cache.spare;
		cache.spare = NULL;
		cache.count = CHAIN;
		return true;
	}
	tz_mutex_lock(&depot.lock);
	if (depot.loose) {
		for (cache.count = 0; depot.loose && cache.count < CHAIN; cache.count++) {
			struct tz_job *job = depot.loose;

			depot.loose = job->link;
			job->link = cache.list;
			cache.list = job;
		}
	} else if (depot.chains || add_slab()) {
		cache.list = depot.chains;
		depot.chains = cache.list->next_chain;
		cache.count = CHAIN;
	}
	tz_mutex_unlock(&depot.lock);
	return cache.list != NULL;
}

struct tz_job *tz_job_alloc(void)
{
	if (__builtin_expect(!cache.list, 0) && !refill())
		return NULL;
	struct tz_job *job = cache.list;

	cache.list = job->link;
	cache.count--;
	return job;
}

/* The list is full: it becomes the spare chain, and the spare one goes to the depot. */
__attribute__((noinline)) static void shed(void)
{
	if (!cache.registered)
		register_cache();
	if (cache.spare) {
		tz_mutex_lock(&depot.lock);
		cache.spare->next_chain = depot.chains;
		depot.chains = cache.spare;
		tz_mutex_unlock(&depot.lock);
	}
	cache.spare = cache.list;
	cache.list = NULL;
	cache.count = 0;
}

/* What only some jobs have. */
__attribute__((noinline)) static void free_rest(struct tz_job *job)
{
	if (job->payload != job->bytes)
		free(job->payload);
	if (job->options) {
		if (job->options->timer)
			atomic_load_explicit(&tz_deadline_service, memory_order_acquire)->disarm(job->options->timer);
		tz_bindings_unref(job->options->bindings);
		free(job->options);
	}
}

void tz_job_free(struct tz_job *job)
{
	if (__builtin_expect(job->payload != job->bytes || job->options, 0))
		free_rest(job);
	if (__builtin_expect(cache.count == CHAIN, 0))
		shed();
	job->link = cache.list;
	cache.list = job;
	cache.count++;
}

void tz_job_fork_prepare(void)
{
	tz_mutex_lock_unless_alone(&depot.lock);
}

void tz_job_fork_done(void)
{
	tz_mutex_unlock_if_locked(&depot.lock);
}

/* --- making ------------------------------------------------------------------------------------------------------ */

static size_t round_up(size_t n, size_t align)
{
	return (n + align - 1) / align * align;
}

/* Whether there is something to keep with the job beyond its cell. */
static bool has_options(const tz_submit_options *o)
{
	return o->deadline.ns || o->retries > 0 || o->name || o->scope || o->start.ns || o->stack_size || o->kill;
}

/* The limit of a scope, which may be another strand's, on the calling strand's clock. */
static tz_deadline limit_of(struct tz_scope *scope)
{
	return tz_deadline_between(tz_scope_limit(scope), scope->tz__strand, tz_strand_self());
}

static struct tz_job_options *copy_options(const tz_submit_options *o)
{
	struct tz_job_options *mine = calloc(1, sizeof *mine);

	if (!mine)
		return NULL;
	mine->start = o->start;
	mine->stack_size = o->stack_size;
	mine->own_deadline = mine->deadline = o->deadline;
	if (o->scope)
		mine->deadline = tz_deadline_min(mine->deadline, limit_of(o->scope));
	mine->retries = o->retries > 0 ? o->retries : 0;
	mine->kill = o->kill;
	if (o->name)
		tz_copy_text(mine->name, sizeof mine->name, o->name);
	return mine;
}

/* A payload that does not lie in the cell. A job that may run again keeps its arguments apart from its result. */
static void *big_payload(struct tz_job *job, const tz_task *task)
{
	size_t align = task->align > 16 ? task->align : 16;
	size_t size = task->args_size > task->result_size ? task->args_size : task->result_size;

	if (job->options && job->options->retries) {
		job->options->result_offset = (uint32_t)round_up(task->args_size, align);
		size = job->options->result_offset + task->result_size;
	}
	if (size <= TZ_JOB_INLINE && align <= 64)
		return job->bytes;
	return aligned_alloc(align, round_up(size, align));
}

/* What only some jobs need: options, and a payload of their own. False without memory. */
__attribute__((noinline)) static bool set_up_rest(struct tz_job *job, const tz_submit_options *options, const tz_task *task)
{
	if (options) {
		job->priority = options->priority;
		job->eager = options->eager;
		job->options = has_options(options) ? copy_options(options) : NULL;
		if (has_options(options) && !job->options)
			return false;
	}
	void *payload = big_payload(job, task);

	if (payload)
		job->payload = payload;
	return payload != NULL;
}

/* Whether an executor looks at a job's last fields: loops keep a tree of their tasks, and processes parcels. The others are spared a cache line,
 * which lies far away by the time that a cell is used again. */
static inline bool keeps_more(const tz_executor *executor)
{
	return !executor ||
	       (executor->ops->capabilities & (TZ_CAN_SHARE_MEMORY | TZ_CAN_SUSPEND)) != TZ_CAN_SHARE_MEMORY;
}

/* What all new jobs have in common. */
static inline void set_up(struct tz_job *job, tz_executor *executor, const tz_task *task, bool more, uint8_t process)
{
	job->task = task;
	job->executor = executor;
	job->waiters = NULL;
	job->options = NULL;
	atomic_store_explicit(&job->frame, NULL, memory_order_relaxed);
	job->payload = job->bytes;
	job->worker = -1;
	job->status = TZ_PENDING;
	job->priority = TZ_PRIORITY_NORMAL;
	job->eager = job->remote = 0;
	atomic_store_explicit(&job->observed, 0, memory_order_relaxed);
	atomic_store_explicit(&job->process, process, memory_order_relaxed);
	if (more) {
		job->site = NULL;
		job->parcel = NULL; /* and in no tree of tasks */
	}
}

static inline uint8_t this_process(void)
{
	return (uint8_t)atomic_load_explicit(&tz_process_number, memory_order_relaxed);
}

/* The job is one from now on. Relaxed: the executor's queue publishes it. */
static inline void begin(struct tz_job *job, bool handle)
{
	uint64_t generation = atomic_load_explicit(&job->state, memory_order_relaxed) & ~(JOB_GENERATION - 1);

	atomic_store_explicit(&job->state, generation | (handle ? 2 * JOB_REF : JOB_REF | JOB_DETACHED) | JOB_QUEUED,
			      memory_order_relaxed);
}

static inline bool fits(const tz_task *task)
{
	return task->args_size <= TZ_JOB_INLINE && task->result_size <= TZ_JOB_INLINE && task->align <= 64;
}

struct tz_job *tz_job_new(tz_executor *executor, const tz_submit_options *options, const tz_task *task, const void *args,
			  bool handle)
{
	struct tz_job *job = tz_job_alloc();

	if (__builtin_expect(!job, 0))
		return NULL;
	set_up(job, executor, task, keeps_more(executor), this_process());
	if (__builtin_expect(options || !fits(task), 0) && !set_up_rest(job, options, task)) {
		tz_job_free(job);
		return NULL;
	}
	if (task->args_size)
		memcpy(job->payload, args, task->args_size);
	begin(job, handle);
	return job;
}

bool tz_job_is_plain(const tz_executor *executor, const tz_task *task)
{
	return fits(task) && !keeps_more(executor);
}

size_t tz_job_new_plain(tz_executor *executor, const tz_task *task, const void *args, size_t n, bool handle, struct tz_job **ret)
{
	uint8_t process = this_process();
	size_t i;

	for (i = 0; i < n && (ret[i] = tz_job_alloc()); i++) {
		set_up(ret[i], executor, task, false, process);
		if (task->args_size)
			memcpy(ret[i]->bytes, (const char *)args + i * task->args_size, task->args_size);
		begin(ret[i], handle);
	}
	return i;
}

const char *tz_job_name(const struct tz_job *job)
{
	return job->options && job->options->name[0] ? job->options->name : job->task->name;
}

static const tz_task no_task = { .name = "(no memory for the job)" };

struct tz_job tz_job_no_memory = {
	.state = JOB_GENERATION | JOB_REF | JOB_DONE,
	.task = &no_task,
	.payload = tz_job_no_memory.bytes,
	.worker = -1,
	.status = TZ_FAILED,
	.observed = 1,
};

const tz_task *tz_job_task(const tz_job *job)
{
	return job->task;
}

tz_executor *tz_job_executor(const tz_job *job)
{
	return job->executor;
}

bool tz_job_is_eager(const tz_job *job)
{
	return job->eager;
}

bool tz_job_is_pending(const tz_job *job)
{
	return tz_job_is_queued(job);
}

/* --- references --------------------------------------------------------------------------------------------------- */

static void free_last(struct tz_job *job)
{
	if (__builtin_expect(job->status != TZ_OK, 0)) {
		tz_report_unobserved(job);
		free(job->failure);
	}
	/* Nobody else may look at the cell but through a stale handle, and those look at the generation only. */
	uint64_t s = atomic_load_explicit(&job->state, memory_order_relaxed);
	atomic_store_explicit(&job->state, s & ~(JOB_GENERATION - 1), memory_order_relaxed);
	tz_job_free(job);
}

void tz_job_unref(struct tz_job *job)
{
	/* acq_rel: the last holder sees what the others did. */
	uint64_t s = atomic_fetch_sub_explicit(&job->state, JOB_REF, memory_order_acq_rel);

	if ((s & JOB_REFS) == JOB_REF)
		free_last(job);
}

__attribute__((noinline)) static int release_slowly(struct tz_job *job, uint32_t generation)
{
	uint64_t s = atomic_load_explicit(&job->state, memory_order_acquire);

	if (job == &tz_job_no_memory)
		return 0;
	for (;;) {
		if (tz_job_generation(s) != generation)
			return -ESTALE;
		if (tz_job_phase(s) == JOB_DONE && (s & JOB_REFS) == JOB_REF) {
			atomic_store_explicit(&job->state, s + JOB_GENERATION, memory_order_relaxed);
			free_last(job);
			return 0;
		}
		uint64_t dropped = (s + JOB_GENERATION - JOB_REF) |
				   (tz_job_phase(s) == JOB_DONE ? 0 : JOB_DETACHED);
		if (atomic_compare_exchange_weak_explicit(&job->state, &s, dropped, memory_order_acq_rel, memory_order_acquire))
			return 0;
	}
}

/* The handle's owner lets go. */
int tz_job_release(struct tz_job *job, uint32_t generation)
{
	uint64_t s = atomic_load_explicit(&job->state, memory_order_acquire);

	/* Ours is the last reference and nobody else changes a word that says DONE: no RMW is needed, and its cost (it would wait for the
	 * cell's cache line on every release) is saved. */
	if (__builtin_expect(s == ((uint64_t)generation << 32 | JOB_REF | JOB_DONE) && job->status == TZ_OK, 1)) {
		atomic_store_explicit(&job->state, ((uint64_t)generation + 1) << 32, memory_order_relaxed);
		tz_job_free(job);
		return 0;
	}
	return release_slowly(job, generation);
}

/* --- the lock bit --------------------------------------------------------------------------------------------------- */

/* Swaps LOCKED in, unless the job has ended or the handle is stale. The holder runs some instructions only; but it may be
 * preempted, so back off to the scheduler. Returns the state with LOCKED, or 0 and why not. */
static uint64_t lock_bit(struct tz_job *job, uint32_t generation, bool any_generation, int *why)
{
	uint64_t s = atomic_load_explicit(&job->state, memory_order_acquire);

	for (unsigned spins = 0;;) {
		if (!any_generation && tz_job_generation(s) != generation) {
			*why = -ESTALE;
			return 0;
		}
		if (tz_job_phase(s) == JOB_DONE || tz_job_phase(s) == JOB_FREE) {
			*why = -EALREADY;
			return 0;
		}
		if (s & JOB_LOCKED) {
			tz_cpu_backoff(&spins);
			s = atomic_load_explicit(&job->state, memory_order_acquire);
			continue;
		}
		if (atomic_compare_exchange_weak_explicit(&job->state, &s, s | JOB_LOCKED, memory_order_acquire,
							  memory_order_acquire))
			return s | JOB_LOCKED;
	}
}

/* Swaps LOCKED out and sets or clears WAITERS by the list. */
static void unlock_bit(struct tz_job *job)
{
	uint64_t s = atomic_load_explicit(&job->state, memory_order_relaxed), unlocked;

	do
		unlocked = (s & ~(JOB_LOCKED | JOB_WAITERS)) | (job->waiters ? JOB_WAITERS : 0);
	while (!atomic_compare_exchange_weak_explicit(&job->state, &s, unlocked, memory_order_release, memory_order_relaxed));
}

static void add_locked(struct tz_job *job, struct tz_waiter *waiter)
{
	waiter->next = job->waiters;
	job->waiters = waiter;
	unlock_bit(job);
}

int tz_job_add_waiter(struct tz_job *job, uint32_t generation, struct tz_waiter *waiter)
{
	int why;

	if (!lock_bit(job, generation, false, &why))
		return why == -EALREADY ? 1 : why;
	add_locked(job, waiter);
	return 0;
}

bool tz_job_remove_waiter(struct tz_job *job, uint32_t generation, struct tz_waiter *waiter)
{
	int why;

	if (!lock_bit(job, generation, false, &why))
		return false;
	struct tz_waiter **at = &job->waiters;

	while (*at && *at != waiter)
		at = &(*at)->next;
	bool found = *at != NULL;
	if (found)
		*at = waiter->next;
	unlock_bit(job);
	return found;
}

/* --- callbacks -------------------------------------------------------------------------------------------------------- */

/* The newest first becomes the oldest first; callbacks and other waiters apart. */
static void sort_out(struct tz_waiter *list, struct tz_waiter **waiters, struct tz_waiter **callbacks)
{
	*waiters = *callbacks = NULL;
	while (list) {
		struct tz_waiter *next = list->next, **onto = list->fire ? waiters : callbacks;

		list->next = *onto;
		*onto = list;
		list = next;
	}
}

int tz_job_add_callback(struct tz_job *job, uint32_t generation, struct tz_waiter *callback)
{
	uint64_t s = atomic_load_explicit(&job->state, memory_order_acquire), want;

	for (unsigned spins = 0;;) {
		if (tz_job_generation(s) != generation)
			return -ESTALE;
		if (s & JOB_LOCKED) {
			tz_cpu_backoff(&spins);
			s = atomic_load_explicit(&job->state, memory_order_acquire);
			continue;
		}
		want = s & JOB_CALLBACKS ? s : (s | JOB_CALLBACKS) + JOB_REF;
		want |= tz_job_phase(s) == JOB_DONE && !(s & JOB_CALLBACKS) ? 0 : JOB_LOCKED;
		if (atomic_compare_exchange_weak_explicit(&job->state, &s, want, memory_order_acquire, memory_order_acquire))
			break;
	}
	if (!(want & JOB_LOCKED))
		return 1;
	add_locked(job, callback);
	return 0;
}

struct tz_waiter *tz_job_next_callbacks(struct tz_job *job)
{
	uint64_t s = atomic_load_explicit(&job->state, memory_order_acquire);

	for (unsigned spins = 0;;) {
		if (s & JOB_LOCKED) {
			tz_cpu_backoff(&spins);
			s = atomic_load_explicit(&job->state, memory_order_acquire);
			continue;
		}
		uint64_t want = s & JOB_WAITERS ? s | JOB_LOCKED : (s & ~JOB_CALLBACKS) - JOB_REF;

		if (!atomic_compare_exchange_weak_explicit(&job->state, &s, want, memory_order_acq_rel, memory_order_acquire))
			continue;
		if (want & JOB_LOCKED)
			break;
		if ((want & JOB_REFS) == 0)
			free_last(job);
		return NULL;
	}
	struct tz_waiter *none, *callbacks;

	sort_out(job->waiters, &none, &callbacks);
	job->waiters = NULL;
	unlock_bit(job);
	return callbacks;
}

/* --- ending ----------------------------------------------------------------------------------------------------------- */

static void fire_all(struct tz_waiter *w, struct tz_job *job, int status)
{
	while (w) {
		struct tz_waiter *next = w->next; /* the node may be gone once it has been fired */

		w->fire(w, job, status);
		w = next;
	}
}

/* Takes the waiters of a job whose LOCKED bit we hold, and makes it DONE, which unlocks it. Drops `refs` references. */
static void end_locked(struct tz_job *job, int status, uint64_t refs)
{
	struct tz_waiter *waiters, *callbacks;
	uint64_t s = atomic_load_explicit(&job->state, memory_order_relaxed), done;

	sort_out(job->waiters, &waiters, &callbacks);
	job->waiters = NULL;
	do
		done = ((s & ~(JOB_PHASE | JOB_LOCKED | JOB_WAITERS)) | JOB_DONE) - refs;
	while (!atomic_compare_exchange_weak_explicit(&job->state, &s, done, memory_order_acq_rel, memory_order_relaxed));
	if ((done & JOB_REFS) == 0)
		free_last(job); /* detached, and without callbacks */
	fire_all(waiters, job, status);
	if (callbacks)
		tz_callbacks_begin(job, callbacks);
}

bool tz_job_claim_slowly(struct tz_job *job)
{
	uint64_t s = atomic_load_explicit(&job->state, memory_order_relaxed);

	for (unsigned spins = 0;;) {
		if (tz_job_phase(s) != JOB_QUEUED)
			return false;
		if (s & JOB_LOCKED) {
			tz_cpu_backoff(&spins);
			s = atomic_load_explicit(&job->state, memory_order_relaxed);
			continue;
		}
		if (atomic_compare_exchange_weak_explicit(&job->state, &s, (s & ~JOB_PHASE) | JOB_RUNNING, memory_order_acq_rel,
							  memory_order_relaxed))
			return true;
	}
}

void tz_job_finish_slowly(struct tz_job *job, uint64_t refs)
{
	uint64_t s = atomic_load_explicit(&job->state, memory_order_relaxed);
	int why;

	while (!(s & (JOB_LOCKED | JOB_WAITERS))) {
		uint64_t done = ((s & ~JOB_PHASE) | JOB_DONE) - refs;

		if (!atomic_compare_exchange_weak_explicit(&job->state, &s, done, memory_order_acq_rel, memory_order_relaxed))
			continue;
		if ((done & JOB_REFS) == 0)
			free_last(job);
		return;
	}
	(void)lock_bit(job, 0, true, &why); /* succeeds: the job runs, and only we end it */
	end_locked(job, job->status, refs);
}

struct tz_failure *tz_failure_new(int code, const char *message)
{
	struct tz_failure *f = malloc(sizeof *f);

	if (f) {
		f->code = code;
		f->signal = 0;
		f->status = TZ_PENDING;
		f->element = SIZE_MAX;
		tz_copy_text(f->message, sizeof f->message, message);
		f->crash = NULL;
	}
	return f;
}

struct tz_failure *tz_failure_new_crash(int code)
{
	struct with_crash {
		struct tz_failure failure; /* first */
		tz_crash crash;
	} *both = calloc(1, sizeof *both);

	if (!both)
		return NULL;
	both->failure.code = code;
	both->failure.element = SIZE_MAX;
	both->failure.crash = &both->crash;
	both->crash.exit_code = -1;
	return &both->failure;
}

/* Stands for the frame of a job that was claimed to be ended, not to be run: there is nobody to ask. */
static struct tz_frame no_frame;

/* The outermost scope of a running job whose LOCKED bit we hold, or NULL. */
static struct tz_scope *scope_of(struct tz_job *job)
{
	struct tz_frame *frame;
	unsigned spins = 0;

	while (!(frame = atomic_load_explicit(&job->frame, memory_order_acquire)))
		tz_cpu_backoff(&spins); /* the runner stores it in its next instructions */
	return frame != &no_frame ? &frame->scope : NULL;
}

/* Asks the executor of a remote job, whose LOCKED bit we hold. We are its guest until tz_executor_leave. */
static bool recall(struct tz_job *job, bool cancel)
{
	__atomic_fetch_add(&job->executor->guests, 1, __ATOMIC_ACQUIRE);
	return job->executor->ops->recall(job->executor, job, cancel);
}

/* Asks a running job, whose LOCKED bit we hold. True if it has not begun, and its executor has let go of it. */
static bool ask(struct tz_job *job)
{
	atomic_fetch_or_explicit(&job->state, JOB_CANCEL, memory_order_relaxed);
	if (job->remote)
		return recall(job, true);
	struct tz_scope *scope = scope_of(job);

	if (scope)
		tz_scope_cancel(scope);
	return false;
}

bool tz_job_visit(struct tz_job *job, uint32_t generation)
{
	int why;

	if (!job->remote || !lock_bit(job, generation, false, &why))
		return false;
	__atomic_fetch_add(&job->executor->guests, 1, __ATOMIC_ACQUIRE);
	unlock_bit(job);
	return true;
}

void tz_job_change_clock(struct tz_job *job, uint64_t now)
{
	struct tz_job_options *o = job->options;
	uint64_t here = tz_now();

	if (!o || here == now)
		return;
	o->deadline = tz_deadline_carry(o->deadline, here, now);
	o->own_deadline = tz_deadline_carry(o->own_deadline, here, now);
	o->clock_shift = now - here;
}

/* A limit of the calling strand's on the clock of a job that has not begun. */
static tz_deadline limit_in_line(const struct tz_job *job, tz_deadline limit)
{
	if (limit.ns && job->options->clock_shift)
		limit.ns += job->executor->ops->capabilities & TZ_CAN_SIMULATE ? job->options->clock_shift : tz_clock_now() - tz_now();
	return limit;
}

int tz_job_limit(struct tz_job *job, uint32_t generation, tz_deadline limit)
{
	int why;
	uint64_t s = lock_bit(job, generation, false, &why);

	if (!s)
		return why;
	bool running = tz_job_phase(s) == JOB_RUNNING;
	struct tz_scope *scope = running && !job->remote ? scope_of(job) : NULL;

	if (scope)
		limit = tz_deadline_between(limit, tz_strand_self(), scope->tz__strand);
	else if (job->options)
		limit = limit_in_line(job, limit);
	if (job->options)
		limit = tz_deadline_min(limit, job->options->own_deadline);
	if (scope)
		tz_scope_move(scope, limit);
	else if (job->options && (!running || job->remote))
		__atomic_store_n(&job->options->deadline.ns, limit.ns, __ATOMIC_RELAXED);
	tz_executor *host = running && job->remote ? job->executor : NULL;

	if (host)
		(void)recall(job, false);
	unlock_bit(job);
	if (host)
		tz_executor_leave(host);
	return 0;
}

void tz_job_finish_unrun(struct tz_job *job, tz_status status, struct tz_failure *failure, bool unref)
{
	atomic_store_explicit(&job->frame, &no_frame, memory_order_release); /* a canceller may be waiting for it */
	tz_job_finish(job, status, failure, unref);
}

int tz_job_state(struct tz_job *job, uint32_t generation)
{
	int why;
	uint64_t s = lock_bit(job, generation, false, &why);

	if (!s)
		return why == -EALREADY ? TZ_TASK_DONE : why;
	enum tz_task_state state = tz_job_phase(s) == JOB_QUEUED ? TZ_TASK_QUEUED : TZ_TASK_RUNNING;
	struct tz_frame *frame = state == TZ_TASK_RUNNING ? atomic_load_explicit(&job->frame, memory_order_acquire) : NULL;

	if (frame && frame != &no_frame) {
		/* The runner cannot leave the frame while LOCKED is held. */
		struct tz_strand *strand = frame->scope.tz__strand;

		state = strand->ops->state(strand);
	}
	unlock_bit(job);
	return (int)state;
}

/* Ends a job that has not begun. One that runs: calls `running` under its LOCKED bit, which may answer that it had not begun after all. */
static int end_pending(struct tz_job *job, uint32_t generation, tz_status status, struct tz_failure *failure,
		       bool (*running)(struct tz_job *job))
{
	int why;
	uint64_t s = lock_bit(job, generation, false, &why), refs = 0;
	tz_executor *host = s && tz_job_phase(s) == JOB_RUNNING && running && job->remote ? job->executor : NULL;

	if (s && tz_job_phase(s) == JOB_RUNNING && running && running(job)) {
		refs = JOB_REF; /* the executor's */
	} else if (!s || tz_job_phase(s) == JOB_RUNNING) {
		free(failure);
		if (s)
			unlock_bit(job);
		if (host)
			tz_executor_leave(host);
		return s ? 1 : why;
	}
	job->status = (int8_t)status;
	job->failure = failure;
	if (running)
		atomic_store_explicit(&job->observed, 1, memory_order_relaxed); /* who cancels knows */
	end_locked(job, status, refs);
	if (host)
		tz_executor_leave(host); /* its shutdown waits for that: the job has ended */
	return 0;
}

int tz_job_cancel(struct tz_job *job, uint32_t generation, struct tz_failure *failure)
{
	return end_pending(job, generation, TZ_CANCELLED, failure, ask);
}

tz_deadline tz_job_begin_limit(struct tz_job *job)
{
	int why;
	uint64_t s = lock_bit(job, 0, true, &why);
	tz_deadline deadline = s && tz_job_phase(s) == JOB_QUEUED && job->options ? job->options->deadline : tz_never();

	if (s)
		unlock_bit(job);
	return deadline;
}

int tz_job_expire(struct tz_job *job, uint32_t generation, tz_deadline *ret_moved)
{
	int why;
	uint64_t s = lock_bit(job, generation, false, &why);

	if (!s)
		return why;
	tz_deadline deadline = tz_job_phase(s) == JOB_QUEUED ? job->options->deadline : tz_never();

	unlock_bit(job);
	if (tz_job_phase(s) == JOB_QUEUED && !tz_expired(deadline)) {
		*ret_moved = deadline;
		return -EAGAIN;
	}
	return end_pending(job, generation, TZ_TIMED_OUT, tz_failure_new(-ETIMEDOUT, "its deadline passed before it began"), NULL);
}

const struct tz_deadline_service *_Atomic tz_deadline_service;

void tz_job_request_cancel(tz_job *job)
{
	/* The executor's reference keeps the cell, but the handle may be released meanwhile, which makes the generation stale: again. */
	int r;

	do {
		uint64_t s = atomic_load_explicit(&job->state, memory_order_relaxed);

		r = tz_job_cancel(job, tz_job_generation(s), tz_failure_new(-ECANCELED, "the executor was shut down"));
	} while (r == -ESTALE);
}

bool tz_job_end(tz_job *job, tz_status status, int code, const char *message)
{
	bool ended = tz_job_claim(job);

	if (ended)
		tz_job_finish_unrun(job, status, tz_failure_new(code, message), true);
	else
		tz_job_unref(job);
	return ended;
}

void tz_job_take_over(struct tz_job *job)
{
	static struct tz_mutex lock; /* two strands of the child may find out at once */

	tz_mutex_lock(&lock);
	if (tz_job_is_from_before_fork(job)) {
		uint64_t s = atomic_load_explicit(&job->state, memory_order_relaxed), done;

		if (tz_job_phase(s) != JOB_DONE) {
			job->status = TZ_LOST;
			job->failure = tz_failure_new(-EOWNERDEAD, "its executor was lost in fork()");
		}
		job->waiters = NULL;
		do
			done = ((s & ~(JOB_LOCKED | JOB_WAITERS | JOB_CALLBACKS)) | JOB_DONE) -
			       (s & JOB_CALLBACKS ? JOB_REF : 0);
		while (!atomic_compare_exchange_weak_explicit(&job->state, &s, done, memory_order_release, memory_order_relaxed));
		atomic_store_explicit(&job->process, (uint8_t)atomic_load_explicit(&tz_process_number, memory_order_relaxed),
				      memory_order_release);
	}
	tz_mutex_unlock(&lock);
}
