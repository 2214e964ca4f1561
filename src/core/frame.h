/* The frame: one run of a job on a strand. */
#ifndef TZ_CORE_FRAME_H
#define TZ_CORE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include <trenza/fork.h>

#include "core/bindings.h"
#include "core/job.h"
#include "core/scope.h"
#include "core/strand.h"

/* One run of a job: lies on the runner's stack. The strand's `frame` is the innermost; `outer` is the job that waits below it on
 * the same stack, or NULL. */
struct tz_frame {
	struct tz_scope *outer_scope; /* as in the strand: copied there and back as one */
	struct tz_frame *outer;
	struct tz_job *job; /* NULL: a piece of a map or a for-each, whose outcome is its caller's */
	struct tz_scope scope; /* the outermost of this run */
	struct tz_cursor *cursor; /* of the map that runs, or NULL */
	struct tz_failure *failure; /* recorded by tz_fail; NULL also for want of memory */
	_Atomic(struct tz_failure *) fork_failure; /* of a forked call that another worker ran */
	struct tz__slot *fork_mark; /* the head of the stack of forks when this run began: what lies above is this run's */
	int32_t worker;
	int32_t code; /* given to tz_fail, if failed */
	bool failed;
	bool inherits; /* it was entered with bindings of its own, and `outer_bindings` is what the strand had */
	struct tz_bindings *outer_bindings;
	bool dragged; /* a run above it on the stack is taking the thread away; `failure` says which */
};

/* The stack of forks of who is no worker: always full. */
extern struct tz__forks tz_no_forks;

/* Makes a frame the strand's innermost one, and back. */
void tz_frame_enter(struct tz_frame *frame, struct tz_strand *strand, struct tz_job *job, tz_deadline deadline, int worker);
void tz_frame_leave(struct tz_frame *frame, struct tz_strand *strand);

/* Gives the run bindings of its own, of which it takes the reference; and back. The latter also for a run that was entered when nothing was bound anywhere. */
void tz_frame_bind(struct tz_frame *frame, struct tz_strand *strand, struct tz_bindings *bindings);
void tz_frame_unbind(struct tz_frame *frame, struct tz_strand *strand);

/* Joins what the run has forked and not joined, and takes over failures of forks that others ran. */
void tz_frame_join_forks(struct tz_frame *frame, struct tz_strand *strand);

/* Waits for what the run has spawned and not waited for, and releases it. If the run has failed, or is to end, that is cancelled first. A failure among it that
 * nobody has looked at makes the run fail. `left`: the code has left other than by returning. */
void tz_frame_settle_children(struct tz_frame *frame, struct tz_strand *strand, bool left);

static inline void tz_frame_settle(struct tz_frame *frame, struct tz_strand *strand, bool left)
{
	if (__builtin_expect(tz_scope_owns(&frame->scope) || tz_scope_has_refused(&frame->scope), 0))
		tz_frame_settle_children(frame, strand, left);
}

/* The code of a run has left by pthread_exit, or the thread was cancelled: records that as the failure. The runs below on the same stack will have to go, too, and
 * will say why. */
void tz_frame_unwound(struct tz_frame *frame);

/* How a run ended that is no job's: status, code and message. Takes the failure. */
void tz_frame_outcome(struct tz_frame *frame, bool returned, tz_outcome *ret);

/* Whether a job runs on this strand, at any depth. */
static inline bool tz_frame_runs(const struct tz_strand *strand, const struct tz_job *job)
{
	for (const struct tz_frame *f = strand->frame; f; f = f->outer)
		if (f->job == job)
			return true;
	return false;
}

#endif
