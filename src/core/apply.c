/* Apply: a call that is submitted and waited for in one. */
#include "core/apply.h"

#include <errno.h>

#include <trenza/executor_impl.h>

#include "core/scope.h"
#include "core/strand.h"

int tz_result_deaf(tz_handle future, void *out, size_t size)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;

	self->scope = NULL;
	int r = tz_result_raw(future, out, size);

	self->scope = scope;
	return r;
}

void tz_wait_deaf(tz_handle future)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;

	self->scope = NULL;
	(void)tz_wait_raw(future, tz_never());
	self->scope = scope;
}

/* Who waits for the call to its end is bounded by the scope only if the call is: where it can be killed, the scope's deadline is the job's. */
static const tz_submit_options *bound_by_scope(const tz_executor *executor,
					       const tz_submit_options *options,
					       tz_submit_options *room)
{
	struct tz_scope *scope = tz_strand_self()->scope;
	tz_deadline limit = { 0 };

	if (executor && scope && executor->ops->capabilities & TZ_CAN_KILL)
		limit = tz_scope_limit(scope);
	if (limit.ns == 0)
		return options;
	*room = options ? *options : (tz_submit_options){ .size = 0 };
	room->deadline = tz_deadline_min(room->deadline, limit);
	return room;
}

int tz_apply_raw(tz_executor *executor, const tz_submit_options *options, const tz_task *task,
		 const void *args, void *ret_result)
{
	size_t size = task && ret_result ? task->result_size : 0;
	tz_submit_options bounded;

	options = bound_by_scope(executor, options, &bounded);
	tz_handle job = tz_submit_raw(executor, options, task, args);
	int why = tz_result_raw(job, size ? ret_result : NULL, size);

	/* The scope's deadline may have reached the job before it ended the wait. */
	if (why == -EREMOTEIO && options == &bounded && tz_last()->status == TZ_TIMED_OUT) {
		int interrupted = tz_strand_interrupted(tz_strand_self());

		return interrupted < 0 ? interrupted : why;
	}
	if (why != -ECANCELED && why != -ETIMEDOUT)
		return why;
	(void)tz_cancel_raw(job);
	int r = tz_result_deaf(job, size ? ret_result : NULL, size);
	tz_status status = tz_last()->status;

	/* What the scope has ended is the scope's doing, and no failure of the call. */
	return r == -EREMOTEIO && (status == TZ_CANCELLED || status == TZ_TIMED_OUT) ? why : r;
}
