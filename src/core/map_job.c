/* The map as a job: a map with a future.
 *
 * Design notes
 *
 * Where jobs share our memory, the map is a job of the executor that runs the range as any caller of tz_map
 * would. Having been accepted, it is run to its end by an executor that is shut down meanwhile.
 *
 * Where they do not, each element becomes a job of the executor at once, with its arguments copied, so
 * that a shutdown drains them; and the map is a job of the default executor that takes their results, in
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
#include "core/frame.h"
#include "core/job.h"
#include "core/outcome.h"
#include "core/range.h"
#include "core/strand.h"
#include "core/submit.h"

enum { ROWS = 64 }; /* elements that are submitted at once */

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

struct batch {
	struct tz_map_call call;
	size_t next; /* the first element whose future has not been released */
	tz_handle jobs[];
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

static int take(struct batch *b, size_t i, int (*result)(tz_handle future, void *out, size_t size))
{
	size_t size = b->call.task->result_size;

	return result(b->jobs[i], size ? (char *)b->call.out + i * size : NULL, size);
}

/* Ends what is left: elements that have begun are waited for. */
static void end_rest(struct batch *b)
{
	for (size_t i = b->next; i < b->call.n; i++)
		(void)tz_cancel_raw(b->jobs[i]);
	while (b->next < b->call.n) {
		size_t i = b->next++;
		int r = take(b, i, tz_result_deaf);
		const tz_outcome *last = tz_last();

		note(b, i, last, r == 0 || last->worker >= 0);
	}
}

/* The first failure says how the map ends; what comes behind it is called or not, as the policy says. */
static void take_results(struct batch *b)
{
	tz_outcome first = { .status = TZ_OK };

	while (b->next < b->call.n) {
		size_t i = b->next;
		int r = take(b, i, tz_result_raw);

		if (r == -ECANCELED || r == -ETIMEDOUT) {
			end_rest(b);
			fail_for(r);
			return;
		}
		b->next++;
		note(b, i, tz_last(), true);
		if (r == 0 || first.status != TZ_OK)
			continue;
		first = *tz_last();
		(void)snprintf(first.message, sizeof first.message, "element %zu%s%.120s", i,
			       tz_last()->message[0] ? ": " : "", tz_last()->message);
		if (b->call.options.policy == TZ_MAP_STOP)
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

static void end_batch(void *arg, const tz_outcome *outcome, const void *result)
{
	struct batch *b = arg;

	(void)outcome;
	(void)result;
	for (size_t i = b->next; i < b->call.n; i++) {
		(void)tz_cancel_raw(b->jobs[i]);
		(void)tz_detach_raw(b->jobs[i]);
	}
	free(b);
}

/* The arguments of n elements from the i-th on, as structs. */
static const void *rows(const struct tz_map_call *c, size_t i, size_t n, char *space)
{
	const tz_task *task = c->task;

	if (c->bound)
		return (const char *)c->calls + i * task->args_size;
	memset(space, 0, n * task->args_size);
	for (size_t row = 0; row < n; row++)
		for (uint32_t k = 0; k < task->nargs; k++)
			memcpy(space + row * task->args_size + task->arg_offset[k],
			       (const char *)c->in[k] + (i + row) * task->args[k].size,
			       task->args[k].size);
	return space;
}

/* Makes each element a job. What the map's own options say of jobs goes for each. */
static int submit_elements(struct batch *b)
{
	const struct tz_map_call *c = &b->call;
	const tz_submit_options *all = &c->options.submit;
	const tz_submit_options each = { .priority = all->priority,
					 .deadline = all->deadline,
					 .retries = all->retries,
					 .name = all->name };
	char *space = malloc(ROWS * c->task->args_size + 1);
	int r = space ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < c->n; i += ROWS) {
		size_t n = c->n - i < ROWS ? c->n - i : ROWS;

		r = tz_submit_bulk_raw(c->executor, &each, c->task, n, rows(c, i, n, space),
				       &b->jobs[i]);
	}
	free(space);
	return r;
}

static tz_handle submit_batch(const struct tz_map_call *call, const tz_submit_options *options)
{
	tz_submit_options mine = *options;
	struct batch *b = NULL;
	size_t size;

	if (!__builtin_mul_overflow(call->n, sizeof(tz_handle), &size) &&
	    !__builtin_add_overflow(size, sizeof *b, &size))
		b = calloc(1, size);
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
