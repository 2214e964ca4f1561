/* The frame: running a job on the calling strand, and ending it whichever way its code ends.
 *
 * Design notes
 *
 * A job's code may return; or leave by pthread_exit, by cancellation of its thread, or (from C++) by an exception that its TZ_TASK turns
 * into a failure. The first is the straight path. The others unwind through run_guarded's frame, whose cleanup ends the job with a
 * cause; the thread then goes on unwinding, and its pool replaces it. The library is compiled with -fexceptions for that. Where a job runs on the
 * stack of another one, which waits for it, the other's frame is unwound next: nobody can keep a thread that ends. That one has crashed, too, with a cause that names
 * the first.
 *
 * A job does not end before what it has spawned: its outermost scope owns that, and it is waited for while the frame is still there, so that a worker
 * may run it here, and a cancel still reaches it.
 */
#include "core/frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/outcome.h"
#include "core/scope.h"
#include "core/strand.h"

/* A stack that is always full: where there is no worker, tz_fork calls at once. */
struct tz__forks tz_no_forks;
_Thread_local struct tz__forks *tz__forks_self __attribute__((tls_model("initial-exec"))) = &tz_no_forks;

void tz_frame_enter(struct tz_frame *frame, struct tz_strand *strand, struct tz_job *job, tz_deadline deadline, int worker)
{
	frame->job = job;
	frame->outer_scope = strand->scope;
	frame->outer = strand->frame;
	frame->cursor = NULL;
	frame->failure = NULL;
	frame->worker = worker;
	frame->failed = frame->dragged = frame->inherits = false;
	atomic_store_explicit(&frame->fork_failure, NULL, memory_order_relaxed);
	frame->fork_mark = tz__forks_self->head;
	tz_scope_set_up(&frame->scope, strand, strand->base, deadline);
	strand->scope = &frame->scope;
	strand->frame = frame;
}

void tz_frame_leave(struct tz_frame *frame, struct tz_strand *strand)
{
	strand->scope = frame->outer_scope;
	strand->frame = frame->outer;
}

void tz_frame_bind(struct tz_frame *frame, struct tz_strand *strand, struct tz_bindings *bindings)
{
	frame->inherits = true;
	frame->outer_bindings = strand->bindings;
	strand->bindings = bindings;
}

void tz_frame_unbind(struct tz_frame *frame, struct tz_strand *strand)
{
	struct tz_bindings *mine = strand->bindings;

	strand->bindings = frame->inherits ? frame->outer_bindings : NULL;
	tz_bindings_unref(mine);
}

/* What a failure recorded by tz_fail makes of the job. */
static tz_status status_of(const struct tz_frame *frame)
{
	if (!frame->failed)
		return TZ_OK;
	if (frame->failure && frame->failure->status)
		return frame->failure->status;
	if (frame->code == -ECANCELED && tz_scope_interrupted(&frame->scope) == -ECANCELED)
		return TZ_CANCELLED;
	if (frame->code == -ETIMEDOUT && tz_scope_expired(&frame->scope))
		return TZ_TIMED_OUT;
	return TZ_FAILED;
}

static void record_end(struct tz_frame *frame, const char *why)
{
	free(frame->failure);
	frame->failure = tz_failure_new(-ECANCELED, why);
	frame->failed = true;
	frame->code = -ECANCELED;
}

void tz_frame_unwound(struct tz_frame *frame)
{
	struct tz_frame *outer = frame->outer;
	char why[TZ_MESSAGE_MAX] = "its thread was ended by what it waited for";

	if (!frame->dragged)
		record_end(frame, "left by pthread_exit or a thread cancellation");
	if (!outer || (outer->job == frame->job && !frame->dragged))
		return; /* that is the same job's code: it has left itself */
	if (!frame->dragged)
		(void)snprintf(why, sizeof why, "its thread was ended by %s, which it waited for", tz_job_name(frame->job));
	else if (frame->failure)
		tz_copy_text(why, sizeof why, frame->failure->message);
	record_end(outer, why);
	outer->dragged = true;
}

void tz_frame_outcome(struct tz_frame *frame, bool returned, tz_outcome *ret)
{
	if (!returned)
		tz_frame_unwound(frame);
	ret->status = returned ? status_of(frame) : TZ_CRASHED;
	ret->code = frame->failed ? frame->code : 0;
	ret->message[0] = '\0';
	if (!frame->failure)
		return;
	tz_copy_text(ret->message, sizeof ret->message, frame->failure->message);
	free(frame->failure);
	frame->failure = NULL;
}

void tz_frame_join_forks(struct tz_frame *frame, struct tz_strand *strand)
{
	if (tz__forks_self->head != frame->fork_mark && strand->on_job_end)
		strand->on_job_end(strand, frame);
	struct tz_failure *failure = atomic_load_explicit(&frame->fork_failure, memory_order_acquire);

	if (__builtin_expect(failure != NULL, 0)) {
		atomic_store_explicit(&frame->fork_failure, NULL, memory_order_relaxed);
		/* Of a map's elements, the first one counts. */
		if (frame->failed && (!frame->failure || frame->failure->element <= failure->element)) {
			free(failure);
		} else {
			free(frame->failure);
			frame->failed = true;
			frame->code = failure->code;
			frame->failure = failure;
		}
	}
}

static void fail_for_child(struct tz_frame *frame, const tz_outcome *child)
{
	frame->failed = true;
	frame->code = -EREMOTEIO;
	free(frame->failure);
	frame->failure = tz_failure_new(-EREMOTEIO, NULL);
	if (!frame->failure)
		return;
	if (frame->cursor)
		frame->failure->element = (size_t)(uintptr_t)frame->cursor->at;
	(void)snprintf(frame->failure->message, sizeof frame->failure->message, "%.63s, which it spawned: %s%s%.70s", child->task,
		       tz_status_name(child->status), child->message[0] ? ": " : "", child->message);
}

static void fail_for_cause(struct tz_frame *frame, int cause)
{
	frame->failed = true;
	frame->code = cause;
	frame->failure = tz_failure_new(cause, cause == -ECANCELED ? "cancelled while what it spawned was running" :
								     "timed out while what it spawned was running");
}

void tz_frame_settle_children(struct tz_frame *frame, struct tz_strand *strand, bool left)
{
	struct tz_scope *scope = &frame->scope, *current = strand->scope;
	tz_outcome child;
	int cause = left || frame->failed ? -ECANCELED : 0, r;

	strand->scope = scope;
	if (cause == 0)
		cause = tz_scope_wait(scope);
	if (cause < 0)
		tz_scope_cut_short(scope);
	r = tz_scope_release(scope, cause, true, &child);
	if (!frame->failed && !left) {
		if (r == -EREMOTEIO)
			fail_for_child(frame, &child);
		else if (r < 0)
			fail_for_cause(frame, r);
	}
	tz_scope_done(scope);
	strand->scope = current;
}

/* Ends the run. The order matters: what the job left open on this strand is closed before anybody hears that it has ended. */
__attribute__((always_inline)) static inline void end_run(struct tz_frame *frame, struct tz_strand *strand, bool crashed, bool unref)
{
	struct tz_job *job = frame->job;

	while (__builtin_expect(strand->scope != &frame->scope, 0) && strand->scope && strand->scope->tz__strand == strand)
		(void)tz_scope_leave(strand->scope); /* entered and not left */
	if (__builtin_expect(tz__forks_self->head != frame->fork_mark, 0) ||
	    __builtin_expect(atomic_load_explicit(&frame->fork_failure, memory_order_relaxed) != NULL, 0))
		tz_frame_join_forks(frame, strand);
	tz_frame_settle(frame, strand, crashed);
	job->worker = frame->worker;
	tz_status status = crashed ? TZ_CRASHED : status_of(frame);

	tz_frame_leave(frame, strand);
	if (tz_bindings_are_used())
		tz_frame_unbind(frame, strand);
	tz_job_finish(job, status, frame->failure, unref);
}

struct guard {
	struct tz_frame *frame;
	struct tz_strand *strand;
	bool unref, returned;
};

__attribute__((noinline, cold)) static void unwind(struct guard *guard)
{
	struct tz_frame *frame = guard->frame;

	tz_frame_unwound(frame);
	end_run(frame, guard->strand, true, guard->unref);
}

static inline void on_unwind(struct guard *guard)
{
	if (__builtin_expect(!guard->returned, 0))
		unwind(guard);
}

/* Runs the function; again, if it failed and may be retried. */
__attribute__((noinline)) static void run_tries(struct tz_frame *frame)
{
	struct tz_job *job = frame->job;
	void *result = tz_job_result(job);
	int left = job->options->retries;

	for (;;) {
		job->task->run(result, job->payload);
		if (__builtin_expect(left > 0, 0))
			tz_frame_join_forks(frame, tz_strand_self()); /* one of them may have failed */
		if (__builtin_expect(left > 0, 0))
			tz_frame_settle(frame, tz_strand_self(), false);
		if (__builtin_expect(!frame->failed, 1) || left-- <= 0 || tz_scope_interrupted(&frame->scope) < 0)
			return;
		free(frame->failure);
		frame->failure = NULL;
		frame->failed = false;
	}
}

static inline void run_task(struct tz_frame *frame)
{
	struct tz_job *job = frame->job;

	if (__builtin_expect(job->options != NULL, 0))
		run_tries(frame);
	else
		job->task->run(job->payload, job->payload);
}

/* Runs a job that the caller has claimed: true. */
static bool run_claimed(struct tz_job *job, int worker, bool unref)
{
	struct tz_strand *strand = tz_strand_self();
	tz_deadline deadline = job->options ? job->options->deadline : tz_never();
	struct tz_frame frame;

	if (__builtin_expect(deadline.ns != 0, 0) && tz_expired(deadline)) {
		tz_job_finish_unrun(job, TZ_TIMED_OUT, tz_failure_new(-ETIMEDOUT, "its deadline passed before it began"), unref);
		return true;
	}
	tz_frame_enter(&frame, strand, job, deadline, worker);
	if (tz_bindings_are_used())
		tz_frame_bind(&frame, strand, job->options ? tz_bindings_ref(job->options->bindings) : NULL);
	atomic_store_explicit(&job->frame, &frame, memory_order_release); /* a canceller may be waiting for it */
	struct guard guard __attribute__((cleanup(on_unwind))) = { &frame, strand, unref, false };
	run_task(&frame);
	guard.returned = true;
	end_run(&frame, strand, false, unref);
	return true;
}

bool tz_job_run(tz_job *job, int worker)
{
	if (__builtin_expect(tz_job_claim(job), 1))
		return run_claimed(job, worker, true);
	tz_job_unref(job);
	return false;
}

bool tz_job_begin_here(tz_job *job, int worker)
{
	return tz_job_claim(job) && run_claimed(job, worker, false);
}
