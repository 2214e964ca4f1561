/* The chunk: several calls of one task in one job.
 *
 * Design notes. Each call has a frame of its own, so that what it fails with is its own outcome and does not
 * keep the others from being called. If one leaves by pthread_exit, and takes its thread along, the others are
 * called in its wake, as nobody else would. Calls that the job did not come to, because it was cancelled or
 * never began, have ended as the job has.
 */
#include "core/chunk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/future.h>
#include <trenza/scope.h>

#include "core/frame.h"
#include "core/outcome.h"
#include "core/scope.h"
#include "core/strand.h"

struct tz_chunk {
	const tz_task *task;
	size_t n, called;
	int retries;
	tz_handle job;
	tz_outcome end; /* of the job */
	size_t args_step, result_step;
	char *args, *results; /* in one piece of memory */
	tz_outcome *failed[]; /* of each call, NULL: it ended well */
};

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

static void note(struct tz_chunk *c, const tz_outcome *outcome)
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
	note(run->chunk, &o);
	call_rest(run->chunk);
}

static tz_outcome call_once(struct tz_chunk *c)
{
	struct run run __attribute__((cleanup(on_unwind))) = { .chunk = c };
	tz_outcome o;

	begin(&run);
	c->task->run(c->results + c->called * c->result_step, c->args + c->called * c->args_step);
	end(&run, true, &o);
	return o;
}

static void call_rest(struct tz_chunk *c)
{
	while (c->called < c->n && tz_interrupted() == 0) {
		tz_outcome o;
		int left = c->retries;

		do
			o = call_once(c);
		while (o.status == TZ_FAILED && left-- > 0 && tz_interrupted() == 0);
		note(c, &o);
	}
}

static void run_chunk(void *result, const void *args)
{
	struct tz_chunk *c;

	(void)result;
	memcpy(&c, args, sizeof c);
	call_rest(c);
	if (c->called < c->n)
		(void)tz_fail(tz_interrupted(), "not called");
}

static const tz_task chunk_task = {
	.name = "chunk",
	.run = run_chunk,
	.args_size = sizeof(struct tz_chunk *),
};

/* --- from outside ------------------------------------------------------------------------------------ */

static size_t round_up(size_t n, size_t align)
{
	return (n + align - 1) / align * align;
}

struct tz_chunk *tz_chunk_new(const tz_task *task, size_t room)
{
	size_t align = task->align > 16 ? task->align : 16, each, pointers, bytes;
	struct tz_chunk *c;

	each = round_up(task->args_size, align) + round_up(task->result_size, align);
	if (__builtin_mul_overflow(room, each, &bytes) ||
	    __builtin_mul_overflow(room, sizeof(tz_outcome *), &pointers) ||
	    pointers > SIZE_MAX - sizeof *c)
		return NULL;
	c = calloc(1, sizeof *c + pointers);
	if (!c)
		return NULL;
	c->task = task;
	c->args_step = round_up(task->args_size, align);
	c->result_step = round_up(task->result_size, align);
	c->args = aligned_alloc(align, bytes + align);
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

void *tz_chunk_args(struct tz_chunk *c, size_t i)
{
	return c->args + i * c->args_step;
}

void tz_chunk_submit(struct tz_chunk *c, size_t n, tz_executor *executor,
		     const tz_submit_options *options)
{
	tz_submit_options mine = *options;

	forget(c);
	c->n = n;
	c->retries = mine.retries;
	mine.retries = 0; /* each call is tried again by itself */
	if (!mine.name)
		mine.name = c->task->name;
	c->job = tz_submit_raw(executor, &mine, &chunk_task, &c);
}

tz_handle tz_chunk_job(const struct tz_chunk *c)
{
	return c->job;
}

void tz_chunk_settle(struct tz_chunk *c)
{
	if (tz_outcome_raw(c->job, &c->end) < 0) {
		c->end = (tz_outcome){ .status = TZ_CANCELLED, .code = -ESTALE, .worker = -1 };
		tz_copy_text(c->end.message, sizeof c->end.message, "its scope has been left");
	}
	(void)tz_detach_raw(c->job);
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
		memcpy(out, c->results + i * c->result_step, c->task->result_size);
	return 0;
}
