/* The job: the cell behind a future. One submitted call, from submit to release.
 *
 * Design notes
 *
 * One atomic word decides everything about a job: its phase, whether its waiter list is locked, who still holds it,
 * and the generation that makes old handles stale.
 *
 *   bits 0-1   phase        FREE, QUEUED, RUNNING, DONE
 *   bit  2     LOCKED       somebody changes `waiters` or looks at `frame`; held for some instructions
 *   bit  3     WAITERS      `waiters` is not empty
 *   bit  4     CANCEL       a cancel was asked for while RUNNING
 *   bit  5     DETACHED     the handle was dropped before the job ended
 *   bit  6     CALLBACKS    there are callbacks that have not returned
 *   bits 8-23  refs         the handle; the executor (until it has dequeued the job) or who runs it; all callbacks together
 *   bits 32-63 generation   of the handle; goes up when the handle is released
 *
 * Transitions, each one compare-and-swap:
 *   claim      QUEUED -> RUNNING            a worker, or a strand that waits for the job; not while LOCKED
 *   cancel     QUEUED, LOCKED -> DONE       a canceller: under LOCKED nobody can claim the job, so it may write the outcome
 *   end        RUNNING -> DONE, refs - 1    the runner; release. What it wrote before (result, status, failure) is seen by whoever
 *                                           loads DONE with acquire. If refs reach 0 the runner frees the cell.
 *   release    generation + 1, refs - 1     the handle's owner
 * A job that is cancelled or run by its waiter while it lies in an executor's queue stays there as a tombstone: the executor's reference
 * keeps the cell from being reused; when the executor comes to it, tz_job_run finds the phase changed and drops the reference.
 *
 * Waiters. To add or remove a node of `waiters`, or to look at `frame`, a strand swaps LOCKED in, which succeeds only while the phase is
 * not DONE and the generation is the handle's. The runner ends a job without waiters by the one CAS above; if there are waiters, it locks,
 * takes the list, and its store of DONE unlocks. That store is its last touch of the cell (unless it holds the last reference, or there are
 * callbacks); then it fires the nodes, which lie in the waiters' frames, oldest first. A node says by its `fired` flag, set last, that it is left alone; a waiter that
 * gives up either removes the node under LOCKED, or finds DONE and waits for `fired`.
 *
 * Callbacks are nodes of the same list, without `fire`. The first one sets CALLBACKS and takes a reference for all of them, under LOCKED. Who ends the
 * job has them called after it has fired the others. While CALLBACKS is set under DONE, more may be added, under LOCKED as before; who has called
 * one batch takes the next; or, if there is none, clears CALLBACKS and drops the reference, in one swap. If there is none to join, under DONE without CALLBACKS, who
 * adds one sets it, with the reference, and has it called. So one strand at a time calls callbacks of a job, in the order of their adding.
 *
 * A remote job has no frame: its executor has claimed it, and is asked to take it back (`recall`) under LOCKED, so that the job is still its own. If it
 * has not begun, the canceller ends it as it would end a queued one; else the executor passes the request on.
 *
 * Cancelling a running job: lock, set CANCEL, wait until the runner has stored `frame` (it does so in its next few instructions), cancel
 * the frame's scope, unlock. The runner cannot end the job, and so leave the frame, while LOCKED is held.
 *
 * Memory. Cells are 128 bytes in slabs that are never returned, so that a stale handle may be looked at for ever. Arguments and result
 * share a payload, inline up to TZ_JOB_INLINE bytes: every argument is read before the result is written.
 */
#ifndef TZ_CORE_JOB_H
#define TZ_CORE_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <trenza/executor_impl.h>
#include <trenza/future.h>
#include <trenza/scope.h>

#include "os/mutex.h"

enum { TZ_JOB_INLINE = 48 };

enum tz_job_phase { JOB_FREE = 0, JOB_QUEUED = 1, JOB_RUNNING = 2, JOB_DONE = 3 };

#define JOB_PHASE UINT64_C(3)
#define JOB_LOCKED (UINT64_C(1) << 2)
#define JOB_WAITERS (UINT64_C(1) << 3)
#define JOB_CANCEL (UINT64_C(1) << 4)
#define JOB_DETACHED (UINT64_C(1) << 5)
#define JOB_CALLBACKS (UINT64_C(1) << 6)
#define JOB_REF (UINT64_C(1) << 8)
#define JOB_REFS (UINT64_C(0xffff) << 8)
#define JOB_GENERATION (UINT64_C(1) << 32)

/* Why a job did not end well. Allocated when it happens; owned by the job. */
struct tz_failure {
	int code;
	int signal;
	tz_status status; /* that it gives the run; 0: the code says which */
	size_t element; /* of a map */
	char message[TZ_MESSAGE_MAX];
	tz_crash *crash; /* what took its process along, or NULL; behind the struct */
};

/* What a job has only if it was asked for at submit. Owned by the job. */
struct tz_job_options {
	tz_deadline deadline; /* the earlier of its own and that of the scope it was submitted into */
	tz_deadline own_deadline;
	uint64_t clock_shift; /* what the two deadlines were moved by, since the job runs by another clock than its submitter */
	struct tz_bindings *bindings; /* that it inherits, or NULL */
	int retries;
	uint32_t result_offset; /* of the result in the payload: apart from the arguments if the job may run again */
	char name[TZ_NAME_MAX]; /* "": the task's */
	tz_deadline start; /* not to begin before; the executor sees to it */
	size_t stack_size; /* of a coroutine; 0: its loop's */
	struct tz_job *job; /* whose options these are, for the loop's timer */
	uint64_t loop_timer[6]; /* the loop's, while the job waits for its start */
	struct tz_job_timer *timer; /* ends the job at its deadline if it has not begun (sched) */
	uint32_t kills; /* workers that it has taken along */
	bool kill; /* a cancel that it ignores ends its worker */
};

struct tz_waiter;

struct tz_job {
	_Alignas(64) _Atomic uint64_t state;
	union {
		const tz_task *task;
		struct tz_job *next_chain; /* in the depot */
	};
	tz_executor *executor;
	union {
		struct tz_waiter *waiters; /* newest first; under LOCKED */
		struct tz_job *link; /* of free cells */
	};
	struct tz_job_options *options; /* or NULL */
	union {
		_Atomic(struct tz_frame *) frame; /* the runner's, while RUNNING; looked at under LOCKED */
		uintptr_t next_ready; /* while QUEUED: its executor's; NULL again before it is claimed */
	};
	void *payload; /* bytes, or malloc'd */
	int32_t worker; /* that ran it, or -1 */
	int8_t status; /* a tz_status, valid when DONE */
	signed priority : 4;
	unsigned eager : 1; /* asked to be begun by its submitter's loop at once */
	unsigned remote : 1; /* its code runs in another process: who has claimed it is its executor, and there is no frame */
	_Atomic uint8_t observed; /* somebody has looked at the outcome */
	_Atomic uint8_t process; /* low bits of the process (fork generation) whose strands see to it */
	union {
		_Alignas(16) unsigned char bytes[TZ_JOB_INLINE]; /* at the start of a line, so aligned for any payload that fits */
		/* When DONE and not TZ_OK: why, or NULL if there was no memory to say it. There is no result then. */
		struct tz_failure *failure;
	};
	const struct tz_site *site; /* where it was spawned, or NULL */
	union {
		struct {
			uint32_t id, parent; /* in a loop's tree of tasks; 0: in none */
		};
		void *parcel; /* of a remote job: what its executor keeps of it, or NULL; the executor's */
	};
};
_Static_assert(sizeof(struct tz_job) == 128 && offsetof(struct tz_job, bytes) == 64, "a cell is two cache lines");

/* Somebody who wants to hear that a job has ended. Lies in the waiter's memory. */
struct tz_waiter {
	struct tz_waiter *next;
	/* Tells them. Runs on the strand that ended the job, without any lock; its last act must make it legal to reuse the node. */
	void (*fire)(struct tz_waiter *waiter, struct tz_job *job, int status); /* NULL: a callback, see callback.c */
};

struct tz_frame;

static inline enum tz_job_phase tz_job_phase(uint64_t state)
{
	return (enum tz_job_phase)(state & JOB_PHASE);
}

static inline bool tz_job_is_done(const struct tz_job *job)
{
	return tz_job_phase(atomic_load_explicit(&job->state, memory_order_acquire)) == JOB_DONE;
}

/* A hint, unless the caller excludes who might claim or end the job. */
static inline bool tz_job_is_queued(const struct tz_job *job)
{
	return tz_job_phase(atomic_load_explicit(&job->state, memory_order_relaxed)) == JOB_QUEUED;
}

static inline uint32_t tz_job_generation(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

/* A cell in phase FREE, or NULL without memory; and back. */
struct tz_job *tz_job_alloc(void);
void tz_job_free(struct tz_job *job);

/* Fills a new cell: QUEUED, referenced by its handle (if `handle`) and by the executor. NULL without memory. */
struct tz_job *tz_job_new(tz_executor *executor, const tz_submit_options *options, const tz_task *task, const void *args,
			  bool handle);

/* Whether jobs of a task on an executor are made by the next function, if they have no options and nothing is bound. */
bool tz_job_is_plain(const tz_executor *executor, const tz_task *task);

/* The same for n such jobs, whose arguments lie in a row. Returns how many could be made. */
size_t tz_job_new_plain(tz_executor *executor, const tz_task *task, const void *args, size_t n, bool handle, struct tz_job **ret);

/* The handle of a new job. */
static inline tz_handle tz_job_handle(const struct tz_job *job)
{
	return (tz_handle){ (void *)(uintptr_t)job, tz_job_generation(atomic_load_explicit(&job->state, memory_order_relaxed)) };
}

/* Drops one reference; the last one frees the cell, and reports a failure that nobody looked at. */
void tz_job_unref(struct tz_job *job);

/* Adds a waiter: 0; 1 if the job has ended already (not added); -ESTALE. */
int tz_job_add_waiter(struct tz_job *job, uint32_t generation, struct tz_waiter *waiter);

/* Adds a callback: 0 if it will be taken by who ends the job, or by who calls callbacks of it; 1 if the job has ended and nobody does that: the caller
 * is to have it called; -ESTALE. */
int tz_job_add_callback(struct tz_job *job, uint32_t generation, struct tz_waiter *callback);

/* For who has called a job's callbacks: those that were added meanwhile, the oldest first. NULL: there are none, and the job may be gone. */
struct tz_waiter *tz_job_next_callbacks(struct tz_job *job);

/* Removes a waiter: true; false if the job has ended and the waiter has been or will be fired. */
bool tz_job_remove_waiter(struct tz_job *job, uint32_t generation, struct tz_waiter *waiter);

/* As tz_cancel_raw, for any reference: 0 ended here, with that failure (NULL: "cancelled before it began"); 1 asked, -EALREADY, -ESTALE. Owns the
 * failure. */
int tz_job_cancel(struct tz_job *job, uint32_t generation, struct tz_failure *failure);

/* As tz_state_raw. */
int tz_job_state(struct tz_job *job, uint32_t generation);

/* Where the result lies. */
static inline void *tz_job_result(const struct tz_job *job)
{
	return (unsigned char *)job->payload + (job->options ? job->options->result_offset : 0);
}

/* Copies the outcome of a job that has ended. */
void tz_job_outcome(struct tz_job *job, tz_outcome *ret);

/* Calls the hook of tz_on_unobserved, if the job failed and nobody looked. */
void tz_report_unobserved(struct tz_job *job);

/* The handle's owner lets go: 0 or -ESTALE. */
int tz_job_release(struct tz_job *job, uint32_t generation);

/* Ends a job that has not begun because its executor does not take it: -ESHUTDOWN and the like. */
void tz_job_refuse(struct tz_job *job, int error);

/* As tz_job_claim, if the job is not simply QUEUED. */
bool tz_job_claim_slowly(struct tz_job *job);

/* QUEUED -> RUNNING: true if the caller runs it now. */
static inline bool tz_job_claim(struct tz_job *job)
{
	uint64_t s = atomic_load_explicit(&job->state, memory_order_relaxed);

	/* Release: a canceller that sees RUNNING sees no link of the executor's any more in the word of `frame`. */
	return __builtin_expect((s & (JOB_PHASE | JOB_LOCKED)) == JOB_QUEUED &&
				atomic_compare_exchange_strong_explicit(&job->state, &s, s + (JOB_RUNNING - JOB_QUEUED),
									memory_order_acq_rel, memory_order_relaxed), 1) ||
	       tz_job_claim_slowly(job);
}

/* Counts the caller in as a guest of the executor of a remote job that has not ended: true, and the executor stays until tz_executor_leave. */
bool tz_job_visit(struct tz_job *job, uint32_t generation);

static inline void tz_executor_leave(tz_executor *executor)
{
	__atomic_fetch_sub(&executor->guests, 1, __ATOMIC_RELEASE);
}

/* As tz_job_finish, if somebody waits for the job or nobody has a reference to it any more. */
void tz_job_finish_slowly(struct tz_job *job, uint64_t refs);

/* Ends a job that the caller has claimed: RUNNING -> DONE. The failure, which may be NULL, becomes the job's. Drops the runner's
 * reference if `unref`. */
static inline void tz_job_finish(struct tz_job *job, tz_status status, struct tz_failure *failure, bool unref)
{
	uint64_t s = atomic_load_explicit(&job->state, memory_order_relaxed), refs = unref ? JOB_REF : 0;
	uint64_t done = ((s & ~JOB_PHASE) | JOB_DONE) - refs;

	job->status = (int8_t)status;
	if (status != TZ_OK)
		job->failure = failure;
	if (__builtin_expect((s & (JOB_LOCKED | JOB_WAITERS)) || !(done & JOB_REFS) ||
			     !atomic_compare_exchange_strong_explicit(&job->state, &s, done, memory_order_acq_rel, memory_order_relaxed), 0))
		tz_job_finish_slowly(job, refs);
}

/* As tz_job_finish, for a job that was claimed but has no frame: its code has not begun. */
void tz_job_finish_unrun(struct tz_job *job, tz_status status, struct tz_failure *failure, bool unref);

/* A new failure, or NULL without memory; the second with a crash, for who makes it to fill in. */
struct tz_failure *tz_failure_new(int code, const char *message);
struct tz_failure *tz_failure_new_crash(int code);

/* What a job is called: the name given at submit, else its task's. */
const char *tz_job_name(const struct tz_job *job);

/* Around fork(2): the depot is not in the middle of something in the child. */
void tz_job_fork_prepare(void);
void tz_job_fork_done(void);

/* The job that stands for all that could not be made for want of memory. */
extern struct tz_job tz_job_no_memory;

/* As tz_job_cancel, but only for a job that has not begun, and because its deadline has come. -EAGAIN if that has been moved. */
int tz_job_expire(struct tz_job *job, uint32_t generation, tz_deadline *ret_moved);

/* Until when the job must begin; never, if it has begun. */
tz_deadline tz_job_begin_limit(struct tz_job *job);

/* The job, which has not been handed over, goes to who goes by a clock that shows `now`. */
void tz_job_change_clock(struct tz_job *job, uint64_t now);

/* The deadline of the scope that the job was submitted into has been moved; by the calling strand's clock. */
int tz_job_limit(struct tz_job *job, uint32_t generation, tz_deadline limit);

/* Who watches the deadlines of jobs that have not begun (sched/deadline.c), or NULL. */
struct tz_deadline_service {
	int (*arm)(struct tz_job *job); /* 0 or a negative errno code */
	void (*disarm)(struct tz_job_timer *timer);
};
extern const struct tz_deadline_service *_Atomic tz_deadline_service;

/* Which process of a chain of forks this is; see process.c. */
extern _Atomic uint32_t tz_process_number;

/* Whether this is a fork child, and the executor is of the parent or one before: there are no workers behind it. */
static inline bool tz_executor_is_lost(const tz_executor *executor)
{
	return executor->process != atomic_load_explicit(&tz_process_number, memory_order_relaxed);
}

/* Whether this is a fork child, and a strand of the parent saw to the job. */
static inline bool tz_job_is_from_before_fork(const struct tz_job *job)
{
	return atomic_load_explicit(&job->process, memory_order_relaxed) !=
	       (uint8_t)atomic_load_explicit(&tz_process_number, memory_order_relaxed);
}

/* For such a job: whoever would end it, held its lock bit or called its callbacks is not here. So it is lost, unless it had ended. */
void tz_job_take_over(struct tz_job *job);

#endif
