/* An executor of our own: one thread that runs jobs in order. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <trenza/executor_impl.h>
#include <trenza/queue.h>
#include <trenza/task.h>
#include <trenza/thread.h>

TZ_QUEUE(tz_job *, jobs);

struct one {
	tz_executor head;
	jobs queue;
	tz_thread *worker;
	uint32_t stop; /* atomic: jobs that have not begun are cancelled */
};

/* tz_job_run, tz_job_end { */
static void work(struct one *one)
{
	tz_job *job;

	while (jobs_get(one->queue, &job) == 0)
		if (__atomic_load_n(&one->stop, __ATOMIC_ACQUIRE))
			tz_job_end(job, TZ_CANCELLED, -ECANCELED, "the executor was shut down");
		else
			tz_job_run(job, 0);
}
/* } */
TZ_TASK(void, work, struct one *);

static const tz_executor_ops one_ops;

/* tz_executor_init { */
static int one_open(tz_executor **ret, const tz_executor_options *options)
{
	struct one *one = calloc(1, sizeof *one);
	int r = one ? jobs_open(&one->queue, NULL) : -ENOMEM;

	if (r == 0) {
		tz_executor_init(&one->head, &one_ops, options, 1);
		r = tz_thread_open(&one->worker, work, one);
	}
	if (r < 0) {
		if (one)
			jobs_close(&one->queue);
		free(one);
		return r;
	}
	*ret = &one->head;
	return 0;
}
/* } */

/* tz_job_task, tz_job_executor, tz_job_is_eager { */
static size_t one_submit(tz_executor *executor, tz_job *const *array, size_t n,
			 tz_priority priority, int *ret_error)
{
	struct one *one = (struct one *)executor;
	size_t taken = 0;

	(void)priority;
	for (; taken < n; taken++) {
		printf("%s%s, given to %s\n", tz_job_is_eager(array[taken]) ? "eager " : "",
		       tz_job_task(array[taken])->name, tz_executor_kind(tz_job_executor(array[taken])));
		*ret_error = jobs_put(one->queue, array[taken]);
		if (*ret_error < 0)
			break;
	}
	return taken;
}
/* } */

/* tz_job_begin_here, tz_job_is_pending { */
static void one_help(tz_executor *executor, tz_job *job, bool timed)
{
	(void)executor;
	if (!timed && tz_job_is_pending(job)) /* else a deadline could not end the wait */
		tz_job_begin_here(job, 0);
}
/* } */

/* tz_range_step, tz_range_workers, tz_range_worth { */
static int one_range(tz_executor *executor, tz_range *range)
{
	int helpers = 0;

	(void)executor;
	while (tz_range_step(range, -1))
		if (tz_range_workers(range) > 1 && tz_range_worth(range) > helpers)
			helpers++; /* another worker would be woken here, if there were any */
	return 0;
}
/* } */

static void one_request_shutdown(tz_executor *executor, tz_shutdown how)
{
	struct one *one = (struct one *)executor;

	if (how != TZ_DRAIN)
		__atomic_store_n(&one->stop, 1, __ATOMIC_RELEASE);
	tz_queue_shutdown(one->queue.queue, TZ_QUEUE_DRAIN);
}

static int one_shutdown(tz_executor *executor, tz_shutdown how, tz_deadline deadline)
{
	one_request_shutdown(executor, how);
	return tz_thread_join_until(((struct one *)executor)->worker, deadline);
}

static void one_stats(tz_executor *executor, tz_executor_stats *ret)
{
	*ret = (tz_executor_stats){ .workers = 1 };
	ret->pending = tz_queue_size(((struct one *)executor)->queue.queue);
}

static void one_destroy(tz_executor *executor)
{
	struct one *one = (struct one *)executor;

	tz_thread_close(one->worker);
	jobs_close(&one->queue);
	free(one);
}

/* tz_executor_register { */
static const tz_executor_ops one_ops = {
	.kind = "one",
	.summary = "one thread that runs jobs in order",
	.capabilities = TZ_CAN_SHARE_MEMORY | TZ_CAN_CANCEL_PENDING,
	.open = one_open,
	.submit = one_submit,
	.help = one_help,
	.range = one_range,
	.shutdown = one_shutdown,
	.request_shutdown = one_request_shutdown,
	.stats = one_stats,
	.destroy = one_destroy,
};
/* } */

static double area(double w, double h)
{
	return w * h;
}
TZ_TASK(double, area, double, double);

/* tz_job_request_cancel { */
static void end_all(tz_job *const *running, size_t n) /* for TZ_STOP_NOW */
{
	for (size_t i = 0; i < n; i++)
		tz_job_request_cancel(running[i]);
}
/* } */

int main(void)
{
	double w[3] = { 1, 2, 3 }, out[3], a = 0;

	end_all(NULL, 0);
	/* tz_executor_register { */
	tz_executor *ex;

	if (tz_executor_register(&one_ops) < 0 || tz_executor_open(&ex, "one") < 0)
		return 1;
	/* } */
	{
		/* tz_executor_kinds { */
		const tz_executor_ops *ops;

		for (size_t n = 0; (ops = tz_executor_kinds(n)) != NULL; n++)
			if (ops == &one_ops)
				printf("%s: %s\n", ops->kind, ops->summary);
		/* } */
	}
	tz_result(tz_submit(ex, area, 3.0, 4.0), &a);
	printf("%g\n", a);
	if (tz_map(ex, area, 3, out, w, w) == 0)
		printf("%g %g %g\n", out[0], out[1], out[2]);
	tz_executor_close(ex);
	return 0;
}
/* prints:
one: one thread that runs jobs in order
area, given to one
12
1 4 9
*/
