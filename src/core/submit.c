/* Submitting: from a call's arguments to a job in an executor's hands. */
#include <errno.h>
#include <string.h>

#include <trenza/executor_impl.h>
#include <trenza/spawn.h>

#include "core/bindings.h"
#include "core/frame.h"
#include "core/group.h"
#include "core/job.h"
#include "core/probe.h"
#include "core/scope.h"
#include "core/strand.h"
#include "core/submit.h"
#include "os/clock.h"

enum { BATCH = 64 }; /* jobs that are handed over at once */

void tz_job_refuse(struct tz_job *job, int error)
{
	if (error == -ECANCELED)
		(void)tz_job_end(job, TZ_CANCELLED, error, "cancelled while the executor's queue was full");
	else if (error == -ETIMEDOUT)
		(void)tz_job_end(job, TZ_TIMED_OUT, error, "timed out while the executor's queue was full");
	else if (error == -EAGAIN)
		(void)tz_job_end(job, TZ_FAILED, error, "the executor's queue is full");
	else if (error == -ESHUTDOWN)
		(void)tz_job_end(job, TZ_FAILED, error, "the executor is shut down");
	else if (error == -EOWNERDEAD)
		(void)tz_job_end(job, TZ_LOST, error, "its executor was lost in fork()");
	else
		(void)tz_job_end(job, TZ_FAILED, error, "could not be submitted");
}

__attribute__((noinline, cold)) static void refuse_all(struct tz_job *const *jobs, size_t n, int error)
{
	for (size_t i = 0; i < n; i++)
		tz_job_refuse(jobs[i], error);
}

/* Hands n jobs to the executor; ends those that it does not take. */
static inline void hand_over(tz_executor *ex, struct tz_job *const *jobs, size_t n, tz_priority priority)
{
	int error = -EOWNERDEAD;
	size_t taken = tz_executor_is_lost(ex) ? 0 : ex->ops->submit(ex, jobs, n, priority, &error);

	if (__builtin_expect(taken < n, 0))
		refuse_all(jobs + taken, n - taken, error);
}

/* Makes the options' scope, if there is one, the owner of a future. Without memory for that, the scope is told. */
static bool adopted(const tz_submit_options *options, tz_handle h)
{
	if (!options || !options->scope || tz_scope_adopt_raw(options->scope, h) == 0)
		return true;
	tz_scope_refuse(options->scope);
	return false;
}

/* Has the options' group, if there is one, hear when the job ends. */
static bool watched(const tz_submit_options *options, struct tz_job *job)
{
	if (!options->group || tz_group_watch(options->group, job) == 0)
		return true;
	tz_scope_refuse(options->scope);
	return false;
}

/* Options of a call of a group: its scope is the owner. */
static const tz_submit_options *grouped(const tz_submit_options *options, tz_submit_options *mine)
{
	if (__builtin_expect(!options || !options->group, 1))
		return options;
	*mine = *options;
	mine->scope = &options->group->tz__scope;
	return mine;
}

/* The future of a submit for which there was no memory. */
static tz_handle no_memory(const tz_submit_options *options)
{
	tz_handle h = tz_job_handle(&tz_job_no_memory);

	(void)adopted(options, h);
	return h;
}

/* The future of a new job, for its caller. A job that its scope or group cannot keep must not be submitted: then job becomes NULL. */
static tz_handle future_of(const tz_submit_options *options, struct tz_job **job)
{
	tz_handle h = tz_job_handle(*job);

	if (__builtin_expect(!options, 1) || (adopted(options, h) && watched(options, *job)))
		return h;
	tz_job_refuse(*job, -ENOMEM);
	(void)tz_detach_raw(h);
	*job = NULL;
	return tz_job_handle(&tz_job_no_memory);
}

/* Whether the options ask for something that the executor cannot do. */
static bool asks_too_much(const tz_executor *executor, const tz_submit_options *options)
{
	return options && options->start.ns && !(executor->ops->capabilities & TZ_CAN_START_LATER);
}

static bool valid(const tz_submit_options *options, const tz_task *task)
{
	return task && task->run && task->name &&
	       (!options || (options->priority >= TZ_PRIORITY_LOW && options->priority <= TZ_PRIORITY_HIGH));
}

static const tz_task not_a_task = { .name = "(not submitted)" };

/* Has the deadline of a job watched until it begins. Refuses the job if that cannot be done. Where time is virtual, the real one says nothing about
 * the deadline: the executor watches by itself. */
static bool watch_deadline(struct tz_job *job)
{
	const struct tz_deadline_service *service = atomic_load_explicit(&tz_deadline_service, memory_order_acquire);

	if (__builtin_expect(!job->options, 1) || job->options->deadline.ns == 0 || !service ||
	    (job->executor->ops->capabilities & (TZ_CAN_RUN_AT_SUBMIT | TZ_CAN_SIMULATE)))
		return true;
	int r = service->arm(job);

	if (r < 0)
		tz_job_refuse(job, r);
	return r == 0;
}

/* From a simulated loop to where time is real. Who goes by a virtual clock itself, which may be one of several, sees to it when it takes the job. */
static void leave_simulation(struct tz_job *job)
{
	const struct tz_strand *self = tz_strand_peek();

	if (__builtin_expect(self && self->flags & TZ_STRAND_SIMULATED, 0) &&
	    !(job->executor->ops->capabilities & (TZ_CAN_RUN_AT_SUBMIT | TZ_CAN_SIMULATE)))
		tz_job_change_clock(job, tz_clock_now());
}

tz_handle tz_submit_failed(const tz_submit_options *options, int code, const char *message)
{
	tz_submit_options mine;

	options = grouped(options, &mine);
	struct tz_job *job = tz_job_new(NULL, NULL, &not_a_task, NULL, true);

	if (!job)
		return no_memory(options);
	tz_handle h = future_of(options, &job);

	if (job)
		(void)tz_job_end(job, TZ_FAILED, code, message);
	return h;
}

static tz_handle too_much(const tz_submit_options *options)
{
	return tz_submit_failed(options, -ENOTSUP, "its executor cannot begin it later");
}

/* A submit with options, without an executor, or of no task. */
__attribute__((noinline)) static tz_handle submit_special(tz_executor *executor, const tz_submit_options *options,
							  const tz_task *task, const void *args, const struct tz_site *site)
{
	tz_submit_options mine;

	options = grouped(options, &mine);
	if (!executor)
		executor = tz_executor_default();
	if (!valid(options, task))
		return tz_submit_failed(options, -EINVAL, "not a valid task, or options out of range");
	if (!executor)
		return tz_submit_failed(options, -EAGAIN, "there is no default executor");
	if (asks_too_much(executor, options))
		return too_much(options);
	struct tz_job *job = tz_job_new(executor, options, task, args, true);

	if (job && tz_bindings_are_used() && !tz_bindings_inherit(job)) {
		tz_job_free(job);
		job = NULL;
	}
	if (!job)
		return no_memory(options);
	job->site = site;
	tz_handle h = future_of(options, &job);

	if (!job)
		return h;
	TZ_PROBE(TZ_PROBE_JOB_SUBMIT, job, 0);
	leave_simulation(job);
	if (watch_deadline(job))
		hand_over(executor, &job, 1, (tz_priority)job->priority);
	return h;
}

tz_handle tz_submit_raw(tz_executor *executor, const tz_submit_options *options, const tz_task *task, const void *args)
{
	if (__builtin_expect(options || !executor || !valid(NULL, task), 0) || tz_bindings_are_used())
		return submit_special(executor, options, task, args, NULL);
	struct tz_job *job = tz_job_new(executor, NULL, task, args, true);

	if (__builtin_expect(!job, 0))
		return no_memory(NULL);
	tz_handle h = tz_job_handle(job);

	TZ_PROBE(TZ_PROBE_JOB_SUBMIT, job, 0);
	hand_over(executor, &job, 1, TZ_PRIORITY_NORMAL);
	return h;
}

/* Spawning what needs more than a plain job in a plain scope. */
__attribute__((noinline)) static tz_handle spawn_special(struct tz_strand *self, tz_executor *executor,
							 const tz_submit_options *options, const tz_task *task, const void *args,
							 const struct tz_site *site)
{
	tz_submit_options mine = options ? *options : (tz_submit_options){ .size = 0 };

	if (!mine.scope && !mine.group)
		mine.scope = self->scope;
	return submit_special(executor, &mine, task, args, site);
}

/* There was no memory for the job, which is NULL then, or for its place in the scope. */
__attribute__((noinline, cold)) static tz_handle spawn_failed(struct tz_scope *scope, struct tz_job *job)
{
	if (job)
		tz_job_free(job);
	tz_scope_refuse(scope);
	return tz_job_handle(&tz_job_no_memory);
}

tz_handle tz_spawn_raw(const tz_submit_options *options, const tz_task *task, const void *args, const struct tz_site *site)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;
	tz_executor *executor = self->frame && self->frame->job ? self->frame->job->executor : NULL;

	if (__builtin_expect(options || !executor || !scope || !valid(NULL, task) || !tz_scope_is_plain(scope), 0) ||
	    tz_bindings_are_used())
		return spawn_special(self, executor, options, task, args, site);
	struct tz_job *job = tz_job_new(executor, NULL, task, args, true);

	if (__builtin_expect(!job, 0))
		return spawn_failed(scope, NULL);
	tz_handle h = tz_job_handle(job);

	if (__builtin_expect(tz_scope_keep(scope, h) < 0, 0))
		return spawn_failed(scope, job);
	job->site = site;
	TZ_PROBE(TZ_PROBE_JOB_SUBMIT, job, 0);
	hand_over(executor, &job, 1, TZ_PRIORITY_NORMAL);
	return h;
}

/* The usual bulk: no options, nothing bound, and jobs that fit in their cells. */
static void submit_plain(tz_executor *executor, const tz_task *task, size_t n, const char *args, tz_handle *ret_futures)
{
	struct tz_job *batch[BATCH];

	while (n > 0) {
		size_t some = n < BATCH ? n : BATCH, made = tz_job_new_plain(executor, task, args, some, ret_futures != NULL, batch);

		for (size_t i = 0; ret_futures && i < some; i++)
			ret_futures[i] = tz_job_handle(i < made ? batch[i] : &tz_job_no_memory);
		if (made)
			hand_over(executor, batch, made, TZ_PRIORITY_NORMAL);
		n -= some;
		args = args ? args + some * task->args_size : NULL;
		ret_futures = ret_futures ? ret_futures + some : NULL;
	}
}

int tz_submit_bulk_raw(tz_executor *executor, const tz_submit_options *options, const tz_task *task, size_t n, const void *args,
		       tz_handle *ret_futures)
{
	struct tz_job *batch[BATCH];
	tz_submit_options mine;
	size_t held = 0;

	options = grouped(options, &mine);
	if (!executor)
		executor = tz_executor_default();
	if (!executor)
		return -EAGAIN;
	if (!valid(options, task) || (n && task->args_size && !args))
		return -EINVAL;
	if (!options && !tz_bindings_are_used() && tz_job_is_plain(executor, task)) {
		submit_plain(executor, task, n, args, ret_futures);
		return 0;
	}
	if (asks_too_much(executor, options)) {
		for (size_t i = 0; i < n; i++) {
			tz_handle h = too_much(options);

			if (ret_futures)
				ret_futures[i] = h;
			else
				(void)tz_detach_raw(h);
		}
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		const char *its_args = args ? (const char *)args + i * task->args_size : NULL; /* there may be no arguments */
		struct tz_job *job = tz_job_new(executor, options, task, its_args, ret_futures != NULL);

		if (job && tz_bindings_are_used() && !tz_bindings_inherit(job)) {
			tz_job_free(job);
			job = NULL;
		}
		if (ret_futures)
			ret_futures[i] = job ? future_of(options, &job) : no_memory(options);
		if (job)
			leave_simulation(job);
		if (job && watch_deadline(job))
			batch[held++] = job;
		if (held == BATCH) {
			hand_over(executor, batch, held, options ? options->priority : TZ_PRIORITY_NORMAL);
			held = 0;
		}
	}
	if (held)
		hand_over(executor, batch, held, options ? options->priority : TZ_PRIORITY_NORMAL);
	return 0;
}
