/* The chunk: several calls of one task in one job.
 *
 * Design notes. Each call has a frame of its own, so that what it fails with is its own outcome and does not
 * keep the others from being called. If one leaves by pthread_exit, and takes its thread along, the others are
 * called in its wake, as nobody else would. Calls that the job did not come to, because it was cancelled or
 * never began, have ended as the job has.
 *
 * Where memory is not shared, one call alone goes as a job of its task: that is cheaper.
 */
#include "core/chunk.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/future.h>
#include <trenza/scope.h>

#include "core/apply.h"
#include "core/frame.h"
#include "core/job.h"
#include "core/outcome.h"
#include "core/scope.h"
#include "core/strand.h"

static tz_outcome no_memory = { .status = TZ_FAILED, .code = -ENOMEM, .worker = -1 };

/* --- the calls --------------------------------------------------------------------------------------- */

struct run {
	struct tz_frame frame;
	struct tz_strand *strand;
	struct tz_chunk *chunk;
	bool left;
};

static void call_rest(struct tz_chunk *c);

static void begin(struct run *run)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_frame *job = self->frame;
	struct tz_scope *around = self->scope;

	run->strand = self;
	tz_frame_enter(&run->frame, self, job->job, tz_never(), job->worker);
	run->frame.scope.tz__parent = around;
}

static void end(struct run *run, bool returned, tz_outcome *ret)
{
	struct tz_frame *frame = &run->frame;

	if (!returned)
		tz_frame_unwound(frame);
	run->left = true;
	while (run->strand->scope != &frame->scope)
		(void)tz_scope_leave(run->strand->scope); /* entered and not left */
	tz_frame_join_forks(frame, run->strand);
	tz_frame_settle(frame, run->strand, !returned);
	*ret = (tz_outcome){ .worker = frame->worker };
	tz_frame_outcome(frame, true, ret);
	if (!returned)
		ret->status = TZ_CRASHED;
	tz_frame_leave(frame, run->strand);
}

void tz_chunk_note(struct tz_chunk *c, const tz_outcome *outcome)
{
	size_t i = c->called++;

	if (outcome->status == TZ_OK)
		return;
	c->failed[i] = malloc(sizeof *outcome);
	if (!c->failed[i]) {
		c->failed[i] = &no_memory;
		return;
	}
	*c->failed[i] = *outcome;
	tz_copy_text(c->failed[i]->task, sizeof outcome->task, c->task->name);
}

static void on_unwind(struct run *run)
{
	tz_outcome o;

	if (run->left)
		return;
	end(run, false, &o);
	tz_chunk_note(run->chunk, &o);
	call_rest(run->chunk);
}

static tz_outcome call_once(struct tz_chunk *c)
{
	struct run run __attribute__((cleanup(on_unwind))) = { .chunk = c };
	tz_outcome o;

	begin(&run);
	c->task->run(c->results + c->called * c->task->result_size, tz_chunk_args(c, c->called));
	end(&run, true, &o);
	return o;
}

static bool goes_on(struct tz_chunk *c)
{
	if (c->called == c->n || tz_interrupted() != 0 || tz_chunk_is_stopped(c))
		return false;
	return !c->goes_on || c->goes_on(c);
}

static void call_rest(struct tz_chunk *c)
{
	while (goes_on(c)) {
		tz_outcome o;
		int left = c->retries;

		do
			o = call_once(c);
		while (o.status == TZ_FAILED && left-- > 0 && tz_interrupted() == 0);
		tz_chunk_note(c, &o);
	}
}

static void run_chunk(void *result, const void *args)
{
	struct tz_chunk *c;

	(void)result;
	memcpy(&c, args, sizeof c);
	call_rest(c);
	if (c->called < c->n && tz_interrupted() != 0)
		(void)tz_fail(tz_interrupted(), "not called");
}

const tz_task tz_chunk_task = {
	.name = "chunk",
	.run = run_chunk,
	.args_size = sizeof(struct tz_chunk *),
};

/* --- from outside ------------------------------------------------------------------------------------ */

struct tz_chunk *tz_chunk_of(const struct tz_job *job)
{
	struct tz_chunk *c = NULL;

	if (job->task == &tz_chunk_task)
		memcpy(&c, job->payload, sizeof c);
	return c;
}

static bool shares_memory(const tz_executor *executor)
{
	return executor->ops->capabilities & TZ_CAN_SHARE_MEMORY;
}

size_t tz_chunk_size(tz_executor *executor, const tz_task *task, size_t wanted, size_t left,
		     bool stay)
{
	bool can = executor->ops->chunk && !tz_executor_is_lost(executor);
	size_t n = shares_memory(executor) ? wanted
		   : can ? executor->ops->chunk(executor, task, wanted, left, stay)
			 : 1;

	return n ? n : 1;
}

static size_t round_up(size_t n, size_t align)
{
	return (n + align - 1) / align * align;
}

struct tz_chunk *tz_chunk_new(const tz_task *task, size_t room)
{
	size_t align = task->align > 16 ? task->align : 16, each, pointers, bytes;
	struct tz_chunk *c;

	each = round_up(task->args_size, align) + task->result_size;
	if (__builtin_mul_overflow(room, each, &bytes) ||
	    __builtin_mul_overflow(room, sizeof(tz_outcome *), &pointers) ||
	    pointers > SIZE_MAX - sizeof *c)
		return NULL;
	c = calloc(1, sizeof *c + pointers);
	if (!c)
		return NULL;
	c->task = task;
	c->args_step = round_up(task->args_size, align);
	c->args = bytes < SIZE_MAX - 2 * align ? aligned_alloc(align, round_up(bytes + 1, align))
					       : NULL;
	if (!c->args) {
		free(c);
		return NULL;
	}
	c->results = c->args + room * c->args_step;
	return c;
}

static void forget(struct tz_chunk *c)
{
	for (size_t i = 0; i < c->called; i++) {
		if (c->failed[i] != &no_memory)
			free(c->failed[i]);
		c->failed[i] = NULL;
	}
	c->called = 0;
}

void tz_chunk_free(struct tz_chunk *c)
{
	if (!c)
		return;
	forget(c);
	free(c->args);
	free(c);
}

void tz_chunk_submit(struct tz_chunk *c, size_t n, tz_executor *executor,
		     const tz_submit_options *options)
{
	tz_submit_options mine = *options;

	forget(c);
	c->n = n;
	c->crashed = 0;
	c->single = n == 1 && !shares_memory(executor);
	if (c->single) {
		c->job = tz_submit_raw(executor, &mine, c->task, c->args);
		return;
	}
	c->retries = mine.retries;
	mine.retries = 0; /* each call is tried again by itself */
	if (!mine.name)
		mine.name = c->task->name;
	c->job = tz_submit_raw(executor, &mine, &tz_chunk_task, &c);
}

static void lose(struct tz_chunk *c)
{
	c->end = (tz_outcome){ .status = TZ_CANCELLED, .code = -ESTALE, .worker = -1 };
	tz_copy_text(c->end.message, sizeof c->end.message, "its scope has been left");
}

static void settle_single(struct tz_chunk *c)
{
	int r = tz_result_deaf(c->job, c->results, c->task->result_size);

	if (r == 0)
		c->called = 1;
	if (r == -ESTALE)
		lose(c);
	else
		c->end = *tz_last();
}

static void settle_several(struct tz_chunk *c)
{
	if (tz_outcome_raw(c->job, &c->end) < 0)
		lose(c);
	(void)tz_detach_raw(c->job);
	if (c->called == c->n || c->end.status != TZ_OK)
		return;
	/* One has failed that stopped the others. */
	c->end.status = TZ_CANCELLED;
	c->end.code = -ECANCELED;
	tz_copy_text(c->end.message, sizeof c->end.message, "not called");
}

void tz_chunk_settle(struct tz_chunk *c)
{
	if (c->single)
		settle_single(c);
	else
		settle_several(c);
}

int tz_chunk_take(struct tz_chunk *c, size_t i, void *out)
{
	struct tz_strand *self = tz_strand_self();
	tz_outcome ok = { .status = TZ_OK, .worker = c->end.worker };

	if (i >= c->called || c->failed[i]) {
		tz_remember(self, i >= c->called ? &c->end : c->failed[i]);
		return -EREMOTEIO;
	}
	tz_copy_text(ok.task, sizeof ok.task, c->task->name);
	tz_remember(self, &ok);
	if (out && c->task->result_size)
		memcpy(out, c->results + i * c->task->result_size, c->task->result_size);
	return 0;
}
