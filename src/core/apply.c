/* Apply: a call that is submitted and waited for in one. */
#include "core/apply.h"

#include <errno.h>

#include <trenza/executor.h>

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

int tz_apply_raw(tz_executor *executor, const tz_submit_options *options, const tz_task *task,
		 const void *args, void *ret_result)
{
	size_t size = task && ret_result ? task->result_size : 0;
	tz_handle job = tz_submit_raw(executor, options, task, args);
	int why = tz_result_raw(job, size ? ret_result : NULL, size);

	if (why != -ECANCELED && why != -ETIMEDOUT)
		return why;
	(void)tz_cancel_raw(job);
	int r = tz_result_deaf(job, size ? ret_result : NULL, size);
	tz_status status = tz_last()->status;

	/* What the scope has ended is the scope's doing, and no failure of the call. */
	return r == -EREMOTEIO && (status == TZ_CANCELLED || status == TZ_TIMED_OUT) ? why : r;
}
