/* The map as a job: a map with a future.
 *
 * Design notes
 *
 * Where jobs share our memory, the map is a job of the executor that runs the range as any caller of tz_map
 * would. Having been accepted, it is run to its end by an executor that is shut down meanwhile.
 *
 * Where they do not, the elements become jobs of the executor at once, with their arguments copied, so
 * that a shutdown drains them: in chunks (chunk.h), or each by itself where the executor cannot carry those. The
 * map is a job of the default executor that takes their results, in
 * order. That one holds futures only, which outlive their executor. What is under way lies in a `batch`,
 * which a callback of the map's future frees: it is called once, also if the map was cancelled before it
 * began, and then lets go of the elements.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/executor_impl.h>

#include "core/apply.h"
#include "core/chunk.h"
#include "core/frame.h"
#include "core/job.h"
#include "core/outcome.h"
#include "core/range.h"
#include "core/strand.h"
#include "core/submit.h"

/* The map's own failure becomes that of what went wrong in it. A code of -ECANCELED is told from a cancel of ours as in any job. */
static void fail_as(const tz_outcome *o)
{
	(void)tz_fail(o->code, "%s", o->message);
	struct tz_failure *failure = tz_strand_self()->frame->failure;

	if (failure) {
		failure->status = o->status == TZ_FAILED ? TZ_PENDING : o->status;
		failure->signal = o->signal;
	}
}

static void fail_for(int error)
{
	(void)tz_fail(error, "%s",
		      error == -ECANCELED   ? "cancelled while it ran"
		      : error == -ETIMEDOUT ? "timed out while it ran"
					    : "could not be run");
}

/* --- on an executor whose jobs share our memory -------------------------------------------------- */

static void run_map(void *result, const void *args)
{
	struct tz_map_call call;

	(void)result;
	memcpy(&call, args, sizeof call);
	int r = tz_map_run(&call);

	if (r == -EREMOTEIO)
		fail_as(tz_last());
	else if (r < 0)
		fail_for(r);
}

static const tz_task map_task = {
	.name = "map",
	.run = run_map,
	.args_size = sizeof(struct tz_map_call),
};

/* --- on others ------------------------------------------------------------------------------------- */

struct piece {
	struct tz_chunk *calls; /* NULL: taken in */
	size_t first; /* element */
};

struct batch {
	struct tz_map_call call;
	size_t next, count, room; /* pieces: the first that has not been taken in */
	struct piece *pieces;
};

static void note(struct batch *b, size_t i, const tz_outcome *last, bool called)
{
	tz_outcome *o = b->call.options.outcomes;

	if (!o)
		return;
	o[i] = *last;
	if (!called)
		tz_copy_text(o[i].message, sizeof o[i].message, "not called");
}

static void note_failure(tz_outcome *first, size_t i)
{
	if (first->status != TZ_OK)
		return;
	*first = *tz_last();
	(void)snprintf(first->message, sizeof first->message, "element %zu%s%.120s", i,
		       tz_last()->message[0] ? ": " : "", tz_last()->message);
}

/* The next piece has ended. `first`: the first failure, where it is still wanted. */
static void take_piece(struct batch *b, tz_outcome *first)
{
	struct piece *p = &b->pieces[b->next++];
	size_t size = b->call.task->result_size;

	tz_chunk_settle(p->calls);
	for (size_t i = 0; i < p->calls->n; i++) {
		size_t at = p->first + i;
		bool called =
			i < p->calls->called || (p->calls->single && p->calls->end.worker >= 0);
		int r = tz_chunk_take(p->calls, i, size ? (char *)b->call.out + at * size : NULL);

		note(b, at, tz_last(), called || first);
		if (r < 0 && first)
			note_failure(first, at);
	}
	tz_chunk_free(p->calls);
	p->calls = NULL;
}

/* Ends what is left: elements that have begun are waited for. */
static void end_rest(struct batch *b)
{
	for (size_t i = b->next; i < b->count; i++)
		(void)tz_cancel_raw(b->pieces[i].calls->job);
	while (b->next < b->count) {
		tz_wait_deaf(b->pieces[b->next].calls->job);
		take_piece(b, NULL);
	}
}

/* The first failure says how the map ends; what comes behind it is called or not, as the policy says. */
static void take_results(struct batch *b)
{
	tz_outcome first = { .status = TZ_OK };

	while (b->next < b->count) {
		int r = tz_wait_raw(b->pieces[b->next].calls->job, tz_never());

		if (r == -ECANCELED || r == -ETIMEDOUT) {
			end_rest(b);
			fail_for(r);
			return;
		}
		take_piece(b, &first);
		if (first.status != TZ_OK && b->call.options.policy == TZ_MAP_STOP)
			end_rest(b);
	}
	if (first.status != TZ_OK)
		fail_as(&first);
}

static void run_batch(void *result, const void *args)
{
	struct batch *b;

	(void)result;
	memcpy(&b, args, sizeof b);
	take_results(b);
}

static const tz_task batch_task = {
	.name = "map",
	.run = run_batch,
	.args_size = sizeof(struct batch *),
};

static void free_calls(void *arg, const tz_outcome *outcome, const void *result)
{
	(void)outcome;
	(void)result;
	tz_chunk_free(arg);
}

/* Its executor uses the piece until its job has ended. */
static void abandon(struct tz_chunk *calls)
{
	tz_handle job = calls->job;

	(void)tz_cancel_raw(job);
	if (tz_on_done_raw(job, free_calls, calls) < 0) {
		tz_wait_deaf(job);
		tz_chunk_free(calls);
	}
	(void)tz_detach_raw(job);
}

static void end_batch(void *arg, const tz_outcome *outcome, const void *result)
{
	struct batch *b = arg;

	(void)outcome;
	(void)result;
	for (size_t i = b->next; i < b->count; i++)
		abandon(b->pieces[i].calls);
	free(b->pieces);
	free(b);
}

/* The arguments of n elements from the i-th on. */
static void fill(struct tz_chunk *calls, const struct tz_map_call *c, size_t i, size_t n)
{
	const tz_task *task = c->task;

	for (size_t row = 0; row < n; row++) {
		char *to = tz_chunk_args(calls, row);

		if (c->bound) {
			memcpy(to, (const char *)c->calls + (i + row) * task->args_size,
			       task->args_size);
			continue;
		}
		memset(to, 0, task->args_size);
		for (uint32_t k = 0; k < task->nargs; k++)
			memcpy(to + task->arg_offset[k],
			       (const char *)c->in[k] + (i + row) * task->args[k].size,
			       task->args[k].size);
	}
}

static struct piece *new_piece(struct batch *b)
{
	if (b->count == b->room) {
		size_t room = b->room ? 2 * b->room : 16;
		struct piece *more = reallocarray(b->pieces, room, sizeof *more);

		if (!more)
			return NULL;
		b->pieces = more;
		b->room = room;
	}
	return &b->pieces[b->count];
}

/* Makes the elements jobs, of one or several. What the map's own options say of jobs goes for each. */
static int submit_elements(struct batch *b)
{
	const struct tz_map_call *c = &b->call;
	const tz_submit_options *all = &c->options.submit;
	const tz_submit_options each = { .priority = all->priority,
					 .deadline = all->deadline,
					 .retries = all->retries,
					 .name = all->name };

	for (size_t i = 0, n; i < c->n; i += n) {
		struct piece *p = new_piece(b);

		n = tz_chunk_size(c->executor, c->task, c->options.chunk, c->n - i, true);
		if (n > c->n - i)
			n = c->n - i;
		if (!p || !(p->calls = tz_chunk_new(c->task, n)))
			return -ENOMEM;
		p->first = i;
		p->calls->stops = c->options.policy == TZ_MAP_STOP;
		fill(p->calls, c, i, n);
		tz_chunk_submit(p->calls, n, c->executor, &each);
		b->count++;
	}
	return 0;
}

static tz_handle submit_batch(const struct tz_map_call *call, const tz_submit_options *options)
{
	tz_submit_options mine = *options;
	struct batch *b = calloc(1, sizeof *b);

	if (!b)
		return tz_submit_failed(options, -ENOMEM, "no memory for its elements");
	b->call = *call;
	int r = submit_elements(b);

	if (r < 0) {
		end_batch(b, NULL, NULL);
		return tz_submit_failed(options, r, "its elements could not be submitted");
	}
	mine.retries = 0;
	tz_handle job = tz_submit_raw(NULL, &mine, &batch_task, &b);

	if (tz_on_done_raw(job, end_batch, b) < 0) {
		(void)tz_cancel_raw(job);
		tz_wait_deaf(job);
		end_batch(b, NULL, NULL);
	}
	return job;
}

/* --- both -------------------------------------------------------------------------------------------- */

static bool is_map(const struct tz_map_call *c)
{
	const tz_task *t = c->task;

	if (!t || !t->run || !t->name || (c->n && t->result_size && !c->out))
		return false;
	return c->bound ? c->calls || c->n == 0 || t->args_size == 0 : t->range != NULL;
}

static tz_handle submit_map(struct tz_map_call *call, const tz_map_options *options)
{
	tz_submit_options submit;

	if (options)
		call->options = *options;
	submit = call->options.submit;
	if (!is_map(call))
		return tz_submit_failed(&submit, -EINVAL, "not a valid map");
	if (!submit.name)
		submit.name = call->task->name;
	if (!call->executor && !(call->executor = tz_executor_default()))
		return tz_submit_failed(&submit, -EAGAIN, "there is no default executor");
	if (call->executor->ops->capabilities & TZ_CAN_SHARE_MEMORY)
		return tz_submit_raw(call->executor, &submit, &map_task, call);
	return submit_batch(call, &submit);
}

tz_handle tz_submit_map_raw(tz_executor *executor, const tz_map_options *options,
			    const tz_task *task, size_t n, void *out, const void *const *in)
{
	struct tz_map_call call = { .executor = executor, .task = task, .n = n, .out = out };

	for (uint32_t k = 0; task && in && k < task->nargs; k++)
		call.in[k] = in[k];
	return submit_map(&call, options);
}

tz_handle tz_submit_map_bound_raw(tz_executor *executor, const tz_map_options *options,
				  const tz_task *task, size_t n, void *out, const void *calls)
{
	struct tz_map_call call = { .executor = executor,
				    .task = task,
				    .n = n,
				    .out = out,
				    .calls = calls,
				    .bound = true };

	return submit_map(&call, options);
}
