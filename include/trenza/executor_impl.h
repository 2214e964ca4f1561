/* For who writes an executor: the table of operations behind tz_executor, and what may be done with a job.
 *
 * An executor is a struct that begins with a tz_executor. tz_executor_open finds its kind by name, calls `open`, and from then on every
 * tz_ function on it goes through the table. Every kind passes the conformance suite (tests/conformance), which runs the promises below.
 *
 * The promises of an executor
 *   1. Each job given to `submit` ends exactly once: run by tz_job_run, or ended by tz_job_end. Both consume the executor's reference;
 *      the executor does not touch the job afterwards. A job whose future was cancelled or that somebody else runs is consumed in the
 *      same way, and nothing happens.
 *   2. A job that was accepted is run without anybody waiting for it.
 *   3. `submit` does not run user code on the caller's strand, unless the capability TZ_CAN_RUN_AT_SUBMIT says so.
 *   4. No lock of the executor is held while user code runs (a job, a callback, an initializer), so that user code may call any
 *      function of the library on the same executor.
 *   5. A job may submit jobs to its own executor and wait for them without deadlock, and they may do the same, as deep as there are stacks for it: of
 *      threads, 128 waits for each that may exist, spares included, or one if the waits have a deadline.
 *   6. Whichever way a job's code ends, the job ends with a cause that names it, and the executor goes on.
 *   7. `shutdown` refuses new jobs first; every job accepted before has ended when it returns 0.
 *   8. An executor uses no processor time when it has nothing to do.
 */
#ifndef TRENZA_EXECUTOR_IMPL_H
#define TRENZA_EXECUTOR_IMPL_H

#include <trenza/executor.h>
#include <trenza/map.h>

TZ_BEGIN_DECLS

/* One submitted call, as an executor sees it. */
typedef struct tz_job tz_job;

/* What a kind of executor can do; the table in docs/executors.md is made from these. */
enum tz_capability {
	TZ_CAN_SHARE_MEMORY = 1 << 0, /* jobs see the caller's memory: pointers may be passed */
	TZ_CAN_RUN_AT_SUBMIT = 1 << 1, /* tz_submit runs the job on the caller's strand */
	TZ_CAN_RUN_IN_PARALLEL = 1 << 2, /* jobs run at the same time on several processors */
	TZ_CAN_REORDER = 1 << 3, /* jobs need not begin in the order of submitting */
	TZ_CAN_CANCEL_PENDING = 1 << 4, /* a job that has not begun can be cancelled */
	TZ_CAN_PRIORITY = 1 << 5, /* honours priorities */
	TZ_CAN_FORK = 1 << 6, /* tz_fork leaves calls for others to steal */
	TZ_CAN_SURVIVE_CRASH = 1 << 7, /* a signal in a job ends that job only */
	TZ_CAN_KILL = 1 << 8, /* a job that ignores its deadline or a cancel is stopped */
	TZ_CAN_INITIALIZE = 1 << 9, /* runs initializer and finalizer on each worker */
	TZ_CAN_LIMIT_QUEUE = 1 << 10, /* honours queue_limit */
	TZ_CAN_INJECT = 1 << 11, /* makes delays and failures up, on purpose */
	TZ_CAN_SHRINK = 1 << 12, /* honours min_workers and idle_seconds */
	TZ_CAN_START_LATER = 1 << 13, /* honours `start` of tz_submit_options */
	TZ_CAN_SUSPEND = 1 << 14, /* a wait suspends a coroutine: other jobs run on its thread meanwhile */
	TZ_CAN_SIMULATE = 1 << 15, /* time is virtual */
	TZ_CAN_STAND_IN = 1 << 16 /* honours spares: further workers stand in for blocked ones */
};

/* A map or for-each under way: [begin, end) handed out in chunks. */
typedef struct tz_range tz_range;

/* The table of a kind. All functions must be there unless marked optional. */
typedef struct tz_executor_ops {
	const char *kind;
	const char *summary; /* one line for the docs */
	uint32_t capabilities;
	/* A new executor. *ret begins with a tz_executor that tz_executor_init has set up. Options are complete: spec and options merged. */
	int (*open)(tz_executor **ret, const tz_executor_options *options);
	/* Takes n jobs of one priority. 0 or the number taken: if it is less than n, the library ends the others with -*ret_error. */
	size_t (*submit)(tz_executor *executor, tz_job *const *jobs, size_t n, tz_priority priority, int *ret_error);
	/* A strand of this executor's worker is about to wait for `job`: runs it, or jobs on which it depends, if the executor's rules
	 * allow it on this stack. `timed`: the wait has a deadline. Optional. */
	void (*help)(tz_executor *executor, tz_job *job, bool timed);
	/* Works on a range together with the caller until all of it is done (tz_range_step). Optional: the library submits pieces as jobs. */
	int (*range)(tz_executor *executor, tz_range *range);
	/* For executors whose jobs run in other processes: works on a map, whose arrays it carries there and back, until all of it is done. */
	int (*map)(tz_executor *executor, tz_range *range);
	/* For the same: how many calls of a task one job of several calls is to hold: `wanted`, or less if it cannot carry so many; 0: as many as are
	 * worth one job, of `left` that are to be made. `stay`: what arguments point to stays there until the job has ended. Optional: 1. */
	size_t (*chunk)(tz_executor *executor, const tz_task *task, size_t wanted, size_t left,
			bool stay);
	/* For the same: a job that the executor has claimed is to be cancelled; or, if not `cancel`, its deadline has moved. Called with the job
	 * locked: the executor must not end it, or wait for who does. True if the job has not begun anywhere and the executor has forgotten it: the
	 * library ends it. Else the request is passed on. Optional. */
	bool (*recall)(tz_executor *executor, tz_job *job, bool cancel);
	/* For the same: the calling strand is about to sleep until `job` has ended, and may fetch results meanwhile. Returns when the job has
	 * ended, or when it is time to sleep. The executor is not destroyed meanwhile. Optional. */
	void (*attend)(tz_executor *executor, tz_job *job);
	/* As tz_executor_kill_workers. Optional. */
	int (*kill_workers)(tz_executor *executor);
	/* As tz_executor_shutdown and tz_executor_request_shutdown. */
	int (*shutdown)(tz_executor *executor, tz_shutdown how, tz_deadline deadline);
	void (*request_shutdown)(tz_executor *executor, tz_shutdown how);
	void (*stats)(tz_executor *executor, tz_executor_stats *ret);
	/* Frees it. Called once, after a shutdown that returned 0; or in a fork child, where its workers do not exist. */
	void (*destroy)(tz_executor *executor);
} tz_executor_ops;

/* What every executor begins with. The fields are the library's. */
struct tz_executor {
	const tz_executor_ops *ops;
	char name[TZ_NAME_MAX];
	int workers;
	uint32_t process; /* which process of a chain of forks it belongs to */
	uint32_t closing; /* atomic: a shutdown was asked for */
	uint32_t permanent; /* the library's: cannot be shut down or closed */
	uint32_t guests; /* atomic: strands that use it for a wait on one of its jobs; it is destroyed when they have left */
	tz_executor_options options;
};

/* tz_executor_init - sets up the head of a new executor.
 *
 * Ownership: the memory is the executor's; the options are copied.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_executor_init(tz_executor *executor, const tz_executor_ops *ops, const tz_executor_options *options, int workers);

/* tz_executor_register - makes a kind known to tz_executor_open. The table must outlive the process.
 *
 * Ownership: the table stays the caller's.
 * Threads: any.
 * Errors: -EEXIST, -ENOSPC (after 32 kinds), -EINVAL. */
TZ_API int tz_executor_register(const tz_executor_ops *ops);

/* tz_executor_kinds - the n-th known kind, or NULL after the last one.
 *
 * Ownership: the table is its owner's.
 * Threads: any.
 * Errors: none. */
TZ_API const tz_executor_ops *tz_executor_kinds(size_t n);

/* tz_job_run - runs a job on the calling strand, as worker number `worker` (-1: none), unless it has ended or somebody else runs it.
 *
 * Ownership: consumes the executor's reference.
 * Threads: any.
 * Errors: true if it was run here. */
TZ_API bool tz_job_run(tz_job *job, int worker);

/* tz_job_end - ends a job that has not begun, with a cause.
 *
 * Ownership: consumes the executor's reference.
 * Threads: any.
 * Errors: true if it ended here, false if it had ended or runs elsewhere. */
TZ_API bool tz_job_end(tz_job *job, tz_status status, int code, const char *message);

/* tz_job_begin_here - runs a job that the calling strand waits for, without consuming the executor's reference: true if it was run.
 *
 * For `help`: the executor finds the job ended when it comes to it in its queue.
 *
 * Ownership: keeps the executor's reference.
 * Threads: any.
 * Errors: none; false if it has ended or runs elsewhere. */
TZ_API bool tz_job_begin_here(tz_job *job, int worker);

/* tz_job_is_pending - whether a job has not begun. A hint: it may have the next moment.
 *
 * Ownership: the executor holds its reference meanwhile.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_job_is_pending(const tz_job *job);

/* tz_job_is_eager - whether the job asked to be begun at once (tz_submit_options.eager). A hint, which an executor may ignore.
 *
 * Ownership: the executor holds its reference meanwhile.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_job_is_eager(const tz_job *job);

/* tz_job_request_cancel - asks a job to end: ends it if it has not begun. Keeps the executor's reference.
 *
 * Ownership: keeps the executor's reference.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_job_request_cancel(tz_job *job);

/* tz_job_task, tz_job_executor - what a job is of.
 *
 * Ownership: borrowed, as long as the executor holds its reference.
 * Threads: any.
 * Errors: none. */
TZ_API const tz_task *tz_job_task(const tz_job *job);
TZ_API tz_executor *tz_job_executor(const tz_job *job);

/* tz_range_step - takes a chunk of a range and runs it on the calling strand; false if there was none left to take.
 *
 * Ownership: the range is its caller's, and stays until `range` of the table has returned.
 * Threads: any.
 * Errors: none; failures of elements are kept in the range. */
TZ_API bool tz_range_step(tz_range *range, int worker);

/* tz_range_workers - the most strands that may step a range at once, the caller included.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_range_workers(const tz_range *range);

/* tz_range_worth - how many more strands are worth waking for what is left of a range, by what its elements took so far.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_range_worth(const tz_range *range);

TZ_END_DECLS

#endif
