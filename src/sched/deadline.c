/* Deadlines of jobs: a job that has not begun when its deadline comes ends then, though no worker has come to it.
 *
 * Design notes. The timer holds the job by cell and generation, not by a reference: a cell is never returned, and a handle that was released
 * makes the generation stale (a detached job is looked at when it begins). The timer is taken back when the cell is freed. The
 * core knows the timers by two function pointers only, since sched stands on core.
 */
#include "sched/deadline.h"

#include <errno.h>
#include <stdlib.h>

#include "core/job.h"
#include "sched/timer.h"

struct tz_job_timer {
	struct tz_timer_entry entry; /* first */
	struct tz_job *job;
	uint32_t generation;
};

static void expire(struct tz_timer_entry *entry)
{
	struct tz_job_timer *timer = (struct tz_job_timer *)entry;
	tz_deadline moved;

	if (tz_job_expire(timer->job, timer->generation, &moved) == -EAGAIN && moved.ns)
		(void)tz_timer_add(entry, moved.ns, expire); /* cannot fail: it runs the service */
}

static int arm(struct tz_job *job)
{
	struct tz_job_timer *timer = calloc(1, sizeof *timer);

	if (!timer)
		return -ENOMEM;
	timer->job = job;
	timer->generation = tz_job_generation(atomic_load_explicit(&job->state, memory_order_relaxed));
	job->options->timer = timer;
	int r = tz_timer_add(&timer->entry, job->options->deadline.ns, expire);

	if (r < 0) {
		job->options->timer = NULL;
		free(timer);
	}
	return r;
}

static void disarm(struct tz_job_timer *timer)
{
	/* A call that was running may have set it again, for the last time: the job has ended. */
	if (tz_timer_remove_wait(&timer->entry) == TZ_TIMER_RUNNING)
		(void)tz_timer_remove_wait(&timer->entry);
	free(timer);
}

void tz_deadlines_connect(void)
{
	static const struct tz_deadline_service service = { .arm = arm, .disarm = disarm };

	atomic_store_explicit(&tz_deadline_service, &service, memory_order_release);
}
