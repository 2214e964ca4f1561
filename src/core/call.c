/* The call: a task that runs on the caller's strand, under a deadline, with a frame and a scope of its own but no job.
 *
 * Design notes. Nothing runs beside the caller, so nothing can come between the call's result and the caller. The frame keeps what tz_fail records;
 * its scope notes whether a wait in it was ended (tz__met), which is what tells a call that was cut short from one that took its time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/spawn.h>

#include "core/frame.h"
#include "core/outcome.h"
#include "core/scope.h"
#include "core/strand.h"

struct call {
	struct tz_frame frame;
	struct tz_strand *strand;
	int met; /* what ended a wait in it */
	bool returned, left;
};

static void begin(struct call *c, tz_deadline deadline)
{
	struct tz_strand *self = c->strand;
	struct tz_frame *outer = self->frame;
	struct tz_scope *around = self->scope;

	tz_frame_enter(&c->frame, self, outer ? outer->job : NULL, deadline, outer ? outer->worker : -1);
	c->frame.scope.tz__parent = around;
}

/* Also when the code leaves by pthread_exit, or an exception. */
static void end(struct call *c)
{
	struct tz_frame *frame = &c->frame;

	if (c->left)
		return;
	if (!c->returned)
		tz_frame_unwound(frame);
	c->left = true;
	while (c->strand->scope != &frame->scope)
		(void)tz_scope_leave(c->strand->scope); /* entered and not left */
	tz_frame_join_forks(frame, c->strand);
	tz_frame_settle(frame, c->strand, !c->returned);
	c->met = frame->scope.tz__met;
	tz_frame_leave(frame, c->strand);
	if (!c->returned)
		free(frame->failure);
}

/* Writes down how the call went, and says so. */
static int tell(struct call *c, const tz_task *task)
{
	struct tz_frame *f = &c->frame;
	bool gave_up = f->failed && c->met < 0 && f->code == c->met;
	int r = f->failed && !gave_up ? -EREMOTEIO : c->met;
	tz_outcome o = { .status = TZ_OK, .code = f->failed ? f->code : r, .worker = f->worker };

	if (r == -EREMOTEIO)
		o.status = TZ_FAILED;
	else if (r < 0)
		o.status = r == -ECANCELED ? TZ_CANCELLED : TZ_TIMED_OUT;
	tz_copy_text(o.task, sizeof o.task, task->name);
	tz_copy_text(o.message, sizeof o.message, f->failure ? f->failure->message : NULL);
	tz_remember(c->strand, &o);
	free(f->failure);
	return r;
}

static void drop(void **memory)
{
	free(*memory);
}

int tz_wait_for_raw(tz_deadline deadline, const tz_task *task, const void *args, void *ret_result)
{
	_Alignas(64) unsigned char small[256];
	void *large __attribute__((cleanup(drop))) = NULL, *result = small;
	struct call c __attribute__((cleanup(end))) = { .strand = tz_strand_self(), .left = true };

	if (!task || !task->run || !task->name)
		return -EINVAL;
	int r = tz_strand_interrupted(c.strand);

	if (r < 0)
		return tz_strand_refuse(c.strand, r);
	if (tz_expired(deadline))
		return -ETIMEDOUT;
	if (task->result_size > sizeof small || task->align > 64) {
		size_t align = task->align > 16 ? task->align : 16;

		result = large = aligned_alloc(align, (task->result_size + align - 1) / align * align);
		if (!large)
			return -ENOMEM;
	}
	begin(&c, deadline);
	c.left = false;
	task->run(result, args);
	c.returned = true;
	end(&c);
	if (ret_result && !c.frame.failed)
		memcpy(ret_result, result, task->result_size);
	return tell(&c, task);
}
