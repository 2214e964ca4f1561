/* The pool: threads that run jobs by work stealing.
 *
 * Design notes
 *
 * Files. pool.c is the way of a job: from its submit into a worker's hands. pool_sleep.c: how workers fall asleep
 * and are woken. pool_threads.c: how their threads come and go, and stand in for those that block. pool_range.c:
 * maps. pool_life.c: the beginning and the end. pool_inside.h is what these share. Each has its part of the notes;
 * what all have to know is here.
 *
 * One lock guards the injector, the list of idle workers, the list of ranges and all counts. So going to
 * sleep and pushing into the injector exclude each other, and there is no lost wake-up between them: a
 * worker joins the idle list under the lock only if it sees the injector empty there; a submitter pushes
 * under the lock and takes an idle worker off the list there.
 *
 * Lock order: the pool's lock is taken last, and nothing is called under it but the injector, the inlets,
 * the idle list, futex wakes, malloc and pthread_tryjoin_np.
 */
#ifndef TZ_SCHED_POOL_H
#define TZ_SCHED_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <trenza/executor_impl.h>

#include "core/breather.h"
#include "core/range.h"
#include "core/scope.h"
#include "core/spin.h"
#include "os/mutex.h"
#include "sched/forks.h"
#include "sched/injector.h"
#include "sched/inlet.h"
#include "sched/runqueue.h"

struct tz_pool;

struct tz_worker {
	struct tz_fork_stack forks; /* first: the owner's hot line */
	struct tz_runqueue queue;
	struct tz_pool *pool;
	struct tz_strand *strand;
	int index;
	unsigned turn; /* counts looks for work that is not urgent */
	unsigned urgent; /* urgent jobs that it has taken in a row */
	int inlet; /* that it takes from next */
	uint16_t batch_end; /* the tail of `queue` behind the last batch from outside */
	uint64_t random;
	unsigned block_depth;
	unsigned help_depth;
	struct tz_breather breather; /* when nothing is left to take */
	struct tz_moment workless; /* since when; ticks 0: it has work */
	bool slept; /* since then */
	bool in_job;
	pthread_t thread;
	bool joinable; /* it has had a thread that was not joined yet */
	bool succeeds; /* its thread was started by the one before, and joins it */
	pthread_t before; /* if so */
	/* Under the pool's lock. */
	bool taken; /* a thread works here, or is about to */
	bool retired; /* it is not counted in `alive` any more */
	bool idle; /* in the idle list */
	bool searching;
	bool blocked;
	struct tz_worker *idle_prev, *idle_next;
	struct tz_moment rung; /* when it was given work to find, while it had none: atomic, written by who brought the work */
	/* Written by the owner, read by anybody. */
	_Alignas(64) _Atomic uint64_t completed, stolen, forks_stolen, submitted;
};

/* A map that workers may join. Lies in its caller's frame. */
struct tz_open_range {
	struct tz_range *range;
	struct tz_open_range *next;
	int active; /* workers inside, the caller not included; under the pool's lock */
	struct tz_strand *caller;
};

struct tz_pool {
	/* Read by all, seldom written. */
	struct tz_executor executor; /* first */
	int most; /* threads that may exist: workers and spares */
	int stay; /* threads that stay when idle */
	uint64_t idle_ns; /* 0: for ever */
	struct tz_scope scope; /* parent of every job's: cancelled by TZ_STOP_NOW */
	struct tz_worker **workers; /* most entries; set once each */
	_Atomic int known; /* entries that are set */
	_Atomic uint64_t number; /* of all pools of the process; TZ_INLETS_SHUT: it cannot be submitted to through inlets */
	_Atomic int closing; /* 1 + the tz_shutdown; 0: open */
	_Atomic bool broken; /* an initializer failed */
	int broken_code;

	/* Changed when workers come and go. Changed under the lock, looked at without. */
	_Alignas(64) _Atomic int idle_count;
	_Atomic int searching; /* linger() changes it without the lock */
	_Atomic int runnable; /* alive - blocked */
	_Atomic int open_ranges;
	_Atomic int room_waiters;
	_Atomic(struct tz_worker *) lingerer; /* spins for work before it sleeps */
	_Atomic bool is_short; /* the last attempt to start a thread failed */
	uint32_t changes, room; /* addresses to wait for, in the parking lot: a change that may end a shutdown; room in the queue */

	/* Changed by each submit from outside. */
	_Alignas(64) struct tz_mutex lock;
	int alive, blocked; /* threads that run or sleep; of these, blocked inside a job */
	int leaving; /* threads that are on their way out */
	int unjoined; /* threads that have given up their places, which are vacant, and were not joined yet */
	bool ended; /* a shutdown has seen the end: nothing may begin any more */
	int calls; /* wake-ups and starts that were decided on and are not done: whoever does them still uses the pool */
	struct tz_worker *idle_first; /* last in, first out */
	struct tz_patience patience; /* how long that is worth */
	struct tz_open_range *ranges;
	_Atomic uint64_t submitted; /* from outside, to the injector */
	_Atomic uint64_t dropped; /* jobs that were ended without a worker */
	struct tz_injector injector;
	struct tz_inlets inlets;
};

/* The operations of executor_impl.h, for an executor that is a pool. */
int tz_pool_open(struct tz_pool **ret, const tz_executor_ops *ops, const tz_executor_options *options);
size_t tz_pool_submit(tz_executor *executor, tz_job *const *jobs, size_t n, tz_priority priority, int *ret_error);
void tz_pool_help(tz_executor *executor, tz_job *job, bool timed);
int tz_pool_range(tz_executor *executor, tz_range *range);
int tz_pool_shutdown(tz_executor *executor, tz_shutdown how, tz_deadline deadline);
void tz_pool_request_shutdown(tz_executor *executor, tz_shutdown how);
void tz_pool_stats(tz_executor *executor, tz_executor_stats *ret);
void tz_pool_destroy(tz_executor *executor);

/* All of them but `open`, for a kind whose instances are pools. */
#define TZ_POOL_OPERATIONS \
	.submit = tz_pool_submit, .help = tz_pool_help, .range = tz_pool_range, .shutdown = tz_pool_shutdown, \
	.request_shutdown = tz_pool_request_shutdown, .stats = tz_pool_stats, .destroy = tz_pool_destroy

#endif
