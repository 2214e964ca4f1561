/* Executors: what runs jobs. Every kind is opened by a spec string or with options, and used in the same way.
 *
 *   spec            runs a job
 *   "inline"        inside tz_submit, on the caller's own stack
 *   "chaos"         on threads, in a seeded random order, after a random delay, or fails it: for tests
 *   "threads"       on a pool of threads
 *   "processes"     on a pool of worker processes: a crash, a memory hog or an endless loop costs one job
 *   "coroutines"    as coroutines of one loop, or of N, each on a thread of its own (loop.h)
 *   "sim"           as coroutines in virtual time, which go on in a seeded random order: for tests
 *
 * A spec is the kind, then options after a colon: "threads:4", "threads:4,min=1,idle=2.5,queue=1000,full=block,stack=256k",
 * "processes:4,start=spawn,max_tasks=1000,memory=256m,kill_grace=0.5", "chaos:seed=7,delay=0.002,fail=0.1", "sim:seed=7,grace=0.01". A bare number is the number of workers; for coroutines, of loops, one unless told.
 * The options are workers, min, idle (seconds), name, stack (bytes, with k, m or g), spares (0: none), queue, full (block, fail or caller), seed, delay
 * (seconds), fail and grace (seconds), start (fork, spawn or forkserver), max_tasks, memory (bytes) and kill_grace (seconds); one that the kind cannot honour is an error.
 * What each kind can do, and which outcomes its jobs can have, is the table of docs/executors.md.
 */
#ifndef TRENZA_EXECUTOR_H
#define TRENZA_EXECUTOR_H

#include <trenza/descriptor.h>
#include <trenza/options.h>
#include <trenza/outcome.h>
#include <trenza/time.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

typedef struct tz_executor tz_executor;
struct tz_scope;
struct tz_group;

/* Priorities of jobs. A higher one is begun first; a lower one still gets every 61st turn. Jobs that run are not interrupted. */
typedef enum tz_priority {
	TZ_PRIORITY_LOW = -1,
	TZ_PRIORITY_NORMAL = 0,
	TZ_PRIORITY_HIGH = 1
} tz_priority;

/* What tz_submit does when the executor's queue is full. */
typedef enum tz_full_policy {
	TZ_FULL_BLOCK = 0, /* waits for room (as the scope allows) */
	TZ_FULL_FAIL = 1, /* the future has failed with -EAGAIN */
	TZ_FULL_CALLER_RUNS = 2 /* the caller runs the job itself */
} tz_full_policy;

/* How an executor is opened. All-zero is the default of each. */
typedef struct tz_executor_options {
	size_t size; /* sizeof(tz_executor_options), or 0: for fields to come */
	int workers; /* the most workers that run jobs; 0: tz_usable_cpus(), of coroutines 1 */
	int min_workers; /* that stay when idle; 0: all, if idle_seconds is 0, else none */
	double idle_seconds; /* a worker above min_workers ends after so long without a job; 0: never */
	const char *name; /* workers are called "name-0", ... also to the kernel; NULL: the kind */
	int (*initializer)(void *arg); /* runs first on each worker; a negative answer breaks the executor */
	void (*finalizer)(void *arg); /* runs last on each worker whose initializer succeeded */
	void *arg; /* of both; the caller's, must outlive the executor. processes: NULL; data goes to `setup` */
	size_t stack_size; /* of a worker's stack, in bytes; 0: the system's default. Of coroutines: of each one's; 0: 256 KiB */
	size_t queue_limit; /* the most jobs that wait for a worker; 0: no limit */
	tz_full_policy full; /* what a submit does at that limit */
	uint64_t seed; /* chaos, sim: of all that is random; 0: 1 */
	double delay; /* chaos: the longest delay before a job, in seconds; 0: 0.001. sim: as in tz_loop_options; 0: none */
	double fail; /* chaos, sim: the share of jobs that fail without having run, 0 to 1; sim: also as in tz_loop_options */
	double grace; /* sim: real seconds that nothing must have happened for before time jumps; for where threads take part */
	int spares; /* threads: the most extra workers that stand in for blocked ones; 0: 256, negative: none. Bounds how deep jobs may wait for jobs: executor_impl.h, 5 */
	int start; /* processes: a tz_start_method (process.h); 0: the process-wide default */
	int max_tasks; /* processes: a worker is replaced after so many jobs; 0: never */
	size_t memory; /* processes: a worker whose resident memory has grown by so many bytes is replaced after its job; 0: never */
	double kill_grace; /* processes: a job has so many seconds to end after its deadline before its worker is killed; 0: 0.1, negative: none */
	const struct tz_task *setup; /* processes: runs first on each worker, after `initializer`; if it fails the executor breaks */
	const void *setup_args; /* its arguments; copied */
} tz_executor_options;

/* How one job is submitted. All-zero is the default of each. */
typedef struct tz_submit_options {
	size_t size; /* sizeof(tz_submit_options), or 0: which fields the caller knows, once there are more */
	tz_priority priority;
	tz_deadline deadline; /* not begun by then: TZ_TIMED_OUT; while it runs, its outermost scope's deadline */
	int retries; /* how often a job that failed is run again, at the most; only for tasks that may run twice */
	const char *name; /* in outcomes, instead of the task's; copied */
	struct tz_scope *scope; /* owns the future, see scope.h; its deadline applies too */
	struct tz_group *group; /* owns the future instead, see group.h */
	bool eager; /* a hint: where the submitter's own loop runs the job, begin it at once and go on when it first waits */
	tz_deadline start; /* not begun before; where the executor cannot wait for that, the future has failed with -ENOTSUP */
	size_t stack_size; /* of a coroutine's stack, in bytes; 0: its loop's. Other executors ignore it */
	bool kill; /* processes: cancelled while it runs, it has the executor's kill_grace to end before its worker is killed */
} tz_submit_options;

/* tz_submit_raw - submits a call of a task; what tz_submit stands on.
 *
 * The arguments, args_size bytes in the layout of the task's arguments struct, are copied.
 *
 * Ownership: the future is the caller's, to be released; if options->scope is set, the scope's.
 * Threads: any; may block where the executor's queue is full and its policy says so.
 * Errors: always gives a future. If submitting failed it has ended: TZ_FAILED with -ENOMEM, -EAGAIN (queue full), -ESHUTDOWN (the executor is
 * closed), -EINVAL; TZ_CANCELLED or TZ_TIMED_OUT if the scope ended the wait for room. Where there is no memory for the future
 * itself, it is a static one that has failed with -ENOMEM. */
TZ_API tz_handle tz_submit_raw(tz_executor *executor, const tz_submit_options *options, const tz_task *task, const void *args);

/* tz_apply_raw - submits a call and waits for it; what tz_apply stands on.
 *
 * A call that the scope interrupts is cancelled, and waited for all the same, so that nothing of it is left behind; if it ends well in spite of that, so does
 * tz_apply. On processes the scope's deadline is the call's, which is killed if it ignores that.
 *
 * Ownership: as tz_result_raw; there is no future to release.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -EREMOTEIO if the call did not end well: why is in tz_last(); -ETIMEDOUT, -ECANCELED if it was ended with the scope. */
TZ_API int tz_apply_raw(tz_executor *executor, const tz_submit_options *options, const tz_task *task, const void *args,
			void *ret_result);

/* tz_submit_bulk_raw - submits n calls of one task at once; args holds n argument structs in a row.
 *
 * Ownership: the n futures are written to ret_futures and are the caller's; NULL detaches them all.
 * Threads: as tz_submit_raw.
 * Errors: as tz_submit_raw, for each future; the call itself returns 0, or -EINVAL for wrong arguments. */
TZ_API int tz_submit_bulk_raw(tz_executor *executor, const tz_submit_options *options, const tz_task *task, size_t n,
			      const void *args, tz_handle *ret_futures);

/* tz_executor_open - opens an executor by a spec string.
 *
 * Ownership: *ret is the caller's, to be closed with tz_executor_close.
 * Threads: any.
 * Errors: -EINVAL for a spec that is not understood, -ENOENT for an unknown kind: tz_last() says in words what of it; -ENOMEM, -EAGAIN (no threads). */
TZ_API int tz_executor_open(tz_executor **ret, const char *spec) TZ_NODISCARD;

/* tz_executor_open_with - opens an executor by a spec string and options; what the spec says wins.
 *
 * Ownership: as tz_executor_open; the options are copied.
 * Threads: any.
 * Errors: as tz_executor_open; -ENOTSUP: an option that processes cannot have (`arg`, or a `setup` whose arguments do not travel); tz_last() says which. */
TZ_API int tz_executor_open_with(tz_executor **ret, const char *spec, const tz_executor_options *options) TZ_NODISCARD;

/* tz_executor_default - the executor that all share: "threads", made on first use; what a NULL executor means.
 *
 * In a fork child there is a new one. At the end of the process nobody waits for it: jobs that have not ended by then are cut off, as threads are
 * when main returns. Wait for what must be done.
 *
 * Ownership: the library's; tz_executor_close on it does nothing, and it cannot be shut down.
 * Threads: any.
 * Errors: NULL if it could not be made (it is tried again the next time). */
TZ_API tz_executor *tz_executor_default(void);

/* How tz_executor_shutdown treats jobs that have not begun and those that run. */
typedef enum tz_shutdown {
	TZ_DRAIN = 0, /* all that was submitted is run */
	TZ_CANCEL_PENDING = 1, /* what has not begun is cancelled, what runs goes on */
	TZ_STOP_NOW = 2 /* as above, and what runs gets a cancel request */
} tz_shutdown;

/* tz_executor_shutdown - refuses new jobs and waits until the others have ended as `how` says. May be called again, with a stronger `how`.
 *
 * Ownership: the executor stays the caller's, to be closed.
 * Threads: any but a job of the executor.
 * Errors: -ETIMEDOUT if the deadline (or -ECANCELED if the scope) ended the wait: shutting down goes on; -EDEADLK from one of its own jobs;
 * -EPERM for the default executor; -EINVAL. In a fork child the parent's executor has nothing left to wait for: 0. */
TZ_API int tz_executor_shutdown(tz_executor *executor, tz_shutdown how, tz_deadline deadline);

/* tz_executor_request_shutdown - begins a shutdown and returns at once.
 *
 * Ownership: the executor stays the caller's.
 * Threads: any; async-signal-safe.
 * Errors: none; does nothing to the default executor. */
TZ_API void tz_executor_request_shutdown(tz_executor *executor, tz_shutdown how);

/* tz_executor_kill_workers - kills the processes that run an executor's jobs, as a SIGKILL from outside would; returns how many.
 *
 * Jobs that were running have crashed, and are not tried again, whatever their options say; those that had not begun are run by new workers, and so are all that are
 * submitted after it. Where the executor has given a job to a worker, tz_running answers 1, though the worker may not have begun it yet, or may not
 * have been started: such a job is not hit. A worker that is being started is left alone.
 *
 * Ownership: the executor stays the caller's.
 * Threads: any.
 * Errors: -ENOTSUP where workers are no processes; -EINVAL. */
TZ_API int tz_executor_kill_workers(tz_executor *executor);

/* tz_executor_close - drains the executor (TZ_DRAIN without a deadline) and frees it. NULL is legal.
 *
 * Futures outlive their executor. From a job of the executor itself, the executor is drained and freed when its last job has ended.
 *
 * Ownership: releases the executor.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_executor_close(tz_executor *executor);

/* What an executor has done and is doing. */
typedef struct tz_executor_stats {
	uint64_t submitted; /* jobs accepted */
	uint64_t completed; /* jobs that ended, in whichever way */
	uint64_t pending; /* jobs that wait for a worker */
	uint64_t running; /* jobs that run */
	uint64_t stolen; /* jobs that a worker took from another */
	uint64_t forks_stolen; /* forked calls that a worker took from another */
	int workers; /* workers that exist, spares included */
	int idle; /* of these, asleep for want of work */
	int blocked; /* of these, blocked inside a job */
} tz_executor_stats;

/* tz_executor_stats_of - reads the statistics; each number is exact, together they are no snapshot.
 *
 * Ownership: writes *ret.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_executor_stats_of(tz_executor *executor, tz_executor_stats *ret);

/* tz_executor_kind, tz_executor_name - the kind of an executor ("threads", "inline", ...), and its name.
 *
 * Ownership: the strings are the executor's.
 * Threads: any.
 * Errors: none. */
TZ_API const char *tz_executor_kind(const tz_executor *executor);
TZ_API const char *tz_executor_name(const tz_executor *executor);

/* tz_executor_workers - the most workers of an executor that run jobs at once.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_executor_workers(const tz_executor *executor);

/* tz_executor_current, tz_worker_index - the executor whose job runs here, and the index of its worker from 0.
 *
 * Ownership: the executor is borrowed; it is not to be closed by who did not open it.
 * Threads: any.
 * Errors: NULL and -1 outside of a job. */
TZ_API tz_executor *tz_executor_current(void);
TZ_API int tz_worker_index(void);

/* tz_blocking_begin, tz_blocking_end - tell the executor that this thread is about to block in a call that is not the library's (read, a foreign
 * lock), so that another worker can stand in. They nest. Outside of a worker they do nothing.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_blocking_begin(void);
TZ_API void tz_blocking_end(void);

/* Underneath TZ_TASK in C++: the job fails with the exception's message. */
TZ_API void tz__fail_exception(const char *what);

TZ_END_DECLS

#endif
