/* The pool: threads that run jobs by work stealing.
 *
 * Design notes
 *
 * Where work lies, and in which order a worker looks: its own run queue (runqueue.h); what was submitted
 * from outside, which is the inlets (inlet.h: ordinary jobs, a ring for each thread that submits) and the
 * injector (injector.h: all others), from which a worker moves a batch into its run queue; open ranges
 * (maps under way, whose callers work too); then what other workers have: the oldest public fork (forks.h)
 * or half a run queue. High priority in the injector is looked at first, and each 61st turn begins with
 * the lowest.
 *
 * One lock guards the injector, the list of idle workers, the list of ranges and all counts. So going to
 * sleep and pushing into the injector exclude each other, and there is no lost wake-up between them: a
 * worker joins the idle list under the lock only if it sees the injector empty there; a submitter pushes
 * under the lock and takes an idle worker off the list there.
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
 * Who is woken. At most one worker is on its way from sleep to work (`searching`, which also counts a
 * worker that spins before it sleeps). A submitter that finds searching != 0 wakes nobody: the searcher
 * will find the work, and a searcher that found something wakes the next one if there is more (a chain).
 * Idle workers are woken last in, first out: its caches are warm.
 *
 * Short maps. A map that is over in some microseconds is not worth a wake-up, but a worker that lingers
 * is awake. It says so in `offered`; the caller of a map swaps its range in, and takes it out again when
 * there is nothing left. A worker that ends its lingering swaps NULL in, and takes what it gets in exchange.
 * So a range is taken by one of the two, and there is nobody to wake. The worker's last touch of the
 * caller's frame is the swap that says that it is done. The callers of short maps that follow each other
 * closely, and find nobody, wake a worker when they have worked alone for as long as several wake-ups
 * cost; later each time that it came in vain.
 *
 * A worker that has caught up with its submitters takes a breather before it looks for anything else
 * (core/breather.h), if that pays. It counts as at work meanwhile.
 *
 * How many. `workers` jobs may run at once. A thread is started when there is work, nobody idle or
 * searching, and fewer than that are able to run; so threads come on demand. A worker that blocks inside a
 * job does not count while it blocks, and lets another one in (a spare). When it comes back there may be
 * one too many for a while: the next worker that looks for work parks itself instead (`surplus`). Idle
 * workers above min_workers end after idle_seconds, spares after SPARE_IDLE seconds. Where the system has
 * no room for a stand-in, the blocked workers try again from time to time (`is_short`): nobody else might
 * come to the jobs that they wait for.
 *
 * Ending. The pool has ended when there are no workers, no jobs, and nobody who woke or started one is
 * still at it (a submitter may be, when the job it brought has long closed the pool; so a shutdown also
 * waits for those who are inside an inlet). Workers end when the pool is closing and they find nothing. A
 * worker that has decided to end, under the lock, is not counted any more (`retired`), so that work that
 * comes then starts another; it runs its finalizer, looks once more, and then gives up its place. Its thread is
 * joined by an idle worker, which it wakes for that, or the next that goes to sleep or ends; by who takes the
 * place; or by the destroyer. A closing pool has no number, so no inlet fits it. A
 * submitter that looked just before looks again when it has pushed. If the number is still there, the push
 * comes before the closing in the order of seq_cst operations, and who shuts the pool down sees the job. If
 * it is not, the submitter asks under the lock whether the pool has `ended`; then it takes the job back.
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
	unsigned turn; /* counts looks for work */
	int inlet; /* that it takes from next */
	uint64_t random;
	unsigned block_depth;
	unsigned help_depth;
	struct tz_breather breather; /* when nothing is left to take */
	struct tz_moment workless; /* since when; ticks 0: it has work */
	bool slept; /* since then */
	bool in_job;
	pthread_t thread;
	bool joinable; /* it has had a thread that was not joined yet */
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

/* A short map that is offered to the worker that lingers. Lies in its caller's frame. */
struct tz_offered_range {
	struct tz_range *range;
	struct tz_strand *caller;
	_Atomic uint32_t state; /* of the worker's part */
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

	/* Changed by each short map. */
	_Alignas(64) _Atomic(struct tz_offered_range *) offered; /* NULL: nobody lingers; &tz_no_range: somebody does */
	_Atomic uint64_t lonely_since; /* in ticks; when the callers of short maps began to work alone */
	_Atomic uint32_t lonely_us; /* for which they have since then; lost updates do no harm */
	_Atomic uint32_t lonely_limit; /* after how much more of it than usual a worker is woken */

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
bool tz_pool_near(tz_executor *executor, double us);
int tz_pool_shutdown(tz_executor *executor, tz_shutdown how, tz_deadline deadline);
void tz_pool_request_shutdown(tz_executor *executor, tz_shutdown how);
void tz_pool_stats(tz_executor *executor, tz_executor_stats *ret);
void tz_pool_destroy(tz_executor *executor);

/* All of them but `open`, for a kind whose instances are pools. */
#define TZ_POOL_OPERATIONS \
	.submit = tz_pool_submit, .help = tz_pool_help, .range = tz_pool_range, .near = tz_pool_near, .shutdown = tz_pool_shutdown, \
	.request_shutdown = tz_pool_request_shutdown, .stats = tz_pool_stats, .destroy = tz_pool_destroy

#endif
