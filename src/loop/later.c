/* Jobs that wait for a point in time. See later.h. */
#include "loop/later.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static void do_nothing(void *result, const void *args)
{
	(void)result, (void)args;
}

const tz_task tz_timer_task = { .name = "timer", .run = do_nothing, .args_size = sizeof(tz_deadline), .align = 8, .nargs = 1 };

/* A timer future's timer lies in its cell behind `failure`, which a canceller may set at any time, over the rest of the payload and `site`. */
enum { AT = offsetof(struct tz_job, bytes) + sizeof(struct tz_failure *) };
_Static_assert(AT + sizeof(struct tz_wheel_timer) <= offsetof(struct tz_job, id), "a timer future has its timer in its cell");
_Static_assert(sizeof(struct tz_wheel_timer) <= sizeof((struct tz_job_options){ 0 }.loop_timer), "and others in their options");

static struct tz_job *job_of_future(struct tz_wheel_timer *timer)
{
	return (struct tz_job *)(void *)((char *)timer - AT);
}

static struct tz_job *job_of_start(struct tz_wheel_timer *timer)
{
	return ((struct tz_job_options *)(void *)((char *)timer - offsetof(struct tz_job_options, loop_timer)))->job;
}

/* A timer future's time has come. */
static void end_future(struct tz_wheel_timer *timer)
{
	struct tz_job *job = job_of_future(timer);

	tz_loop_self->held--;
	if (tz_job_claim(job))
		tz_job_finish_unrun(job, TZ_OK, NULL, true);
	else
		tz_job_unref(job); /* cancelled before */
	tz_loop_count_unrun(tz_loop_self);
}

/* A job's time to begin has come, or its deadline. */
static void look_again(struct tz_wheel_timer *timer)
{
	struct tz_job *job = job_of_start(timer);

	tz_loop_self->held--;
	tz_ready_push_job(&tz_loop_self->ready, job);
}

bool tz_later_hold(struct tz_loop *l, struct tz_job *job)
{
	if (job->task == &tz_timer_task) {
		uint64_t when = ((const tz_deadline *)job->payload)->ns;
		struct tz_wheel_timer *timer = (struct tz_wheel_timer *)(void *)((char *)job + AT);

		memset(timer, 0, sizeof *timer);
		l->held++;
		tz_wheel_set(&l->wheel, timer, when ? when : UINT64_MAX, end_future);
		return true;
	}
	struct tz_job_options *o = job->options;

	if (!o || o->start.ns == 0)
		return false;
	uint64_t now = l->backend->ops->now(l->backend);

	if (now >= o->start.ns)
		return false;
	/* Elsewhere somebody else watches it; a job that need not be held begins before virtual time goes on. */
	tz_deadline limit = l->simulated ? tz_job_begin_limit(job) : tz_never();

	if (limit.ns && now >= limit.ns) {
		tz_loop_drop(l, job, TZ_TIMED_OUT, -ETIMEDOUT, "its deadline passed before it began");
		return true;
	}
	struct tz_wheel_timer *timer = (struct tz_wheel_timer *)(void *)o->loop_timer;

	o->job = job;
	memset(timer, 0, sizeof *timer);
	l->held++;
	tz_wheel_set(&l->wheel, timer, tz_deadline_min(o->start, limit).ns, look_again);
	return true;
}

tz_handle tz_later_timer(struct tz_loop *l, tz_deadline when)
{
	struct tz_job *job = tz_job_new(&l->executor, NULL, &tz_timer_task, &when, true);

	if (!job)
		return tz_job_handle(&tz_job_no_memory);
	tz_handle h = tz_job_handle(job);

	job->id = tz_loop_next_id(l);
	job->parent = l->current && l->current->job ? l->current->job->id : 0;
	tz_counter_add(&l->submitted, 1);
	(void)tz_later_hold(l, job);
	return h;
}

int tz_later_move(struct tz_loop *l, tz_handle h, tz_deadline when)
{
	struct tz_job *job = h.tz__cell;
	int r = tz_done_raw(h);

	if (r < 0)
		return r;
	if (job->task != &tz_timer_task || job->executor != &l->executor)
		return -EINVAL;
	if (r == 1)
		return -EALREADY;
	/* Who cancels it on another thread meanwhile comes too late to take it off the wheel: its time does. */
	tz_wheel_set(&l->wheel, (struct tz_wheel_timer *)(void *)((char *)job + AT), when.ns ? when.ns : UINT64_MAX, end_future);
	return 0;
}

void tz_later_forget(struct tz_loop *l, struct tz_job *job)
{
	if (job->task == &tz_timer_task && job->executor == &l->executor &&
	    tz_wheel_clear(&l->wheel, (struct tz_wheel_timer *)(void *)((char *)job + AT))) {
		l->held--;
		tz_job_unref(job);
		tz_loop_count_unrun(l);
	}
}

static struct tz_job *job_of(struct tz_wheel_timer *timer)
{
	return timer->fire == look_again ? job_of_start(timer) : job_of_future(timer);
}

static void cancel(struct tz_loop *l, struct tz_wheel_timer *timer)
{
	struct tz_job *job = job_of(timer);

	l->held--;
	(void)tz_wheel_clear(&l->wheel, timer);
	tz_loop_drop(l, job, TZ_CANCELLED, -ECANCELED, "the executor was shut down");
}

static size_t length_of(const struct tz_wheel_timer *first)
{
	size_t n = 0;

	for (const struct tz_wheel_timer *t = first; t && (n == 0 || t != first); t = t->next)
		n++;
	return n;
}

void tz_later_walk(const struct tz_loop *l, void (*fn)(const struct tz_job *job, void *arg), void *arg)
{
	for (int i = 1; i < TZ_WHEEL_LISTS; i++) {
		struct tz_wheel_timer *t = l->wheel.lists[i];

		for (size_t n = length_of(t); n > 0; n--, t = t->next) {
			if (t->fire == look_again)
				fn(job_of_start(t), arg);
			else if (t->fire == end_future)
				fn(job_of_future(t), arg);
		}
	}
}

static void cancel_all(struct tz_loop *l, bool ended_only)
{
	for (int i = 1; i < TZ_WHEEL_LISTS; i++) {
		struct tz_wheel_timer *t = l->wheel.lists[i], *next;

		for (size_t n = length_of(t); n > 0; n--, t = next) {
			next = t->next;
			if ((t->fire == end_future || t->fire == look_again) && !(ended_only && tz_job_is_pending(job_of(t))))
				cancel(l, t);
		}
	}
}

void tz_later_cancel(struct tz_loop *l)
{
	cancel_all(l, false);
}

void tz_later_drop_ended(struct tz_loop *l)
{
	cancel_all(l, true);
}
