/* The callback: a function to be called when a job has ended. How a job keeps its callbacks is
 * described in job.h.
 *
 * Design notes. Callbacks of a job are called one after the other, by the strand that ran the job or by
 * the service thread; who adds one, or cancels, never calls it itself. Those that are added while others
 * are being called go to the service, behind these: so a worker is not kept by callbacks that add
 * callbacks. A callback that leaves by pthread_exit takes its thread along, and the rest goes to the
 * service, too. In a child that a callback forks, its thread calls the rest of its batch.
 */
#include "core/callback.h"

#include <errno.h>
#include <stdlib.h>

#include <trenza/future.h>

#include "core/job.h"
#include "core/service.h"

struct callback {
	struct tz_waiter waiter; /* first; without `fire` */
	struct tz_service_item item;
	void (*fn)(void *arg, const tz_outcome *outcome, const void *result);
	void *arg;
	struct tz_job *job;
};

/* Callbacks that are being called, the oldest first. */
struct calls {
	struct tz_job *job;
	struct tz_waiter *rest;
	uint32_t process;
};

static uint32_t this_process(void)
{
	return atomic_load_explicit(&tz_process_number, memory_order_relaxed);
}

static void call_later(struct tz_waiter *list)
{
	tz_service_run(&((struct callback *)list)->item);
}

/* All were called, or one did not come back. */
static void end_calls(struct calls *calls)
{
	struct tz_waiter *rest = calls->rest;

	if (!rest && calls->process == this_process())
		rest = tz_job_next_callbacks(calls->job);
	if (rest)
		call_later(rest);
}

static void call_all(struct tz_job *job, struct tz_waiter *list)
{
	struct calls calls __attribute__((cleanup(end_calls))) = { job, list, this_process() };
	const void *result =
		job->status == TZ_OK && job->task->result_size ? tz_job_result(job) : NULL;
	tz_outcome o;

	tz_job_outcome(job, &o);
	if (job->status != TZ_OK)
		atomic_store_explicit(&job->observed, 1, memory_order_relaxed);
	while (calls.rest) {
		struct callback c = *(struct callback *)calls.rest;

		free(calls.rest);
		calls.rest = c.waiter.next;
		c.fn(c.arg, &o, result);
	}
}

static void call_all_now(struct tz_service_item *item)
{
	struct callback *c = (struct callback *)((char *)item - offsetof(struct callback, item));

	call_all(c->job, &c->waiter);
}

void tz_callbacks_begin(struct tz_job *job, struct tz_waiter *list)
{
	if (job->worker >= 0 && job->status != TZ_CANCELLED && !job->remote)
		call_all(job, list);
	else
		call_later(list); /* ended by a call of somebody's, or where others wait for their results: not from inside it */
}

int tz_on_done_raw(tz_handle future,
		   void (*fn)(void *arg, const tz_outcome *outcome, const void *result), void *arg)
{
	int r = tz_done_raw(future);
	struct callback *c;
	int e;

	if (r < 0)
		return r;
	if ((e = tz_service_start()) < 0)
		return e;
	c = malloc(sizeof *c);
	if (!c)
		return -ENOMEM;
	*c = (struct callback){
		.item.run = call_all_now, .fn = fn, .arg = arg, .job = future.tz__cell
	};
	if (r == 1 && tz_job_is_from_before_fork(c->job))
		tz_job_take_over(c->job); /* callbacks that the parent was calling are not called here */
	r = tz_job_add_callback(c->job, (uint32_t)future.tz__generation, &c->waiter);
	if (r == 1)
		call_later(&c->waiter);
	else if (r < 0)
		free(c);
	return r < 0 ? r : 0;
}

/* --- one function for a result, another for what went wrong -------------------------------------- */

struct relay {
	void (*call)(void (*got)(void), void *arg, const void *result);
	void (*got)(void);
	void (*failed)(void *arg, const tz_outcome *outcome);
	void *arg;
};

static void relay(void *arg, const tz_outcome *outcome, const void *result)
{
	struct relay r = *(struct relay *)arg;

	free(arg); /* first: what is called may leave by pthread_exit */
	if (outcome->status == TZ_OK && r.got)
		r.call(r.got, r.arg, result);
	else if (outcome->status != TZ_OK && r.failed)
		r.failed(r.arg, outcome);
}

int tz__on_result(tz_handle future,
		  void (*call)(void (*got)(void), void *arg, const void *result), void (*got)(void),
		  void (*failed)(void *arg, const tz_outcome *outcome), void *arg)
{
	struct relay *mine = malloc(sizeof *mine);

	if (!mine)
		return -ENOMEM;
	*mine = (struct relay){ call, got, failed, arg };
	int r = tz_on_done_raw(future, relay, mine);

	if (r < 0)
		free(mine);
	return r;
}
