/* The farm's queue: what waits for a worker. See farm.h. */
#include "exec/process/farm.h"

/* --- by priority --------------------------------------------------------------------------------------------------------
 *
 * Jobs are linked by the word `next_ready`, which is their executor's while they are QUEUED. One that was cancelled, or has timed out, stays where it is until
 * its turn comes. */

static struct farm_queue *queue_of(struct farm *farm, const struct tz_job *job)
{
	return &farm->queues[job->priority - TZ_PRIORITY_LOW];
}

void farm_push(struct farm *farm, struct tz_job *job)
{
	struct farm_queue *q = queue_of(farm, job);

	job->next_ready = 0;
	if (q->last)
		q->last->next_ready = (uintptr_t)job;
	else
		q->first = job;
	q->last = job;
	farm->pending++;
}

/* The queue whose turn it is: the highest that is not empty; now and then the lowest. */
static struct farm_queue *next_queue(struct farm *farm)
{
	struct farm_queue *q = farm->queues;

	if (farm->turn % FARM_TURN == FARM_TURN - 1) {
		while (!q->first)
			q++;
		return q;
	}
	q = &farm->queues[2];
	while (!q->first)
		q--;
	return q;
}

/* Takes the first one off, which has ended if false; then it is gone. */
static bool take_first(struct farm *farm, struct farm_queue *q)
{
	struct tz_job *job = q->first;

	q->first = (struct tz_job *)job->next_ready;
	if (!q->first)
		q->last = NULL;
	farm->pending--;
	job->next_ready = 0;
	if (tz_job_claim(job))
		return true;
	farm_drop_parcel(job);
	tz_job_unref(job);
	farm->completed++;
	return false;
}

struct tz_job *farm_peek(struct farm *farm)
{
	if (farm->again_count)
		return farm->again[farm->again_head];
	while (farm->pending) {
		struct farm_queue *q = next_queue(farm);

		if (tz_job_is_pending(q->first))
			return q->first;
		(void)take_first(farm, q); /* it has ended */
	}
	return NULL;
}

struct tz_job *farm_pop(struct farm *farm)
{
	if (farm->again_count) {
		struct tz_job *job = farm->again[farm->again_head];

		farm->again_head = (farm->again_head + 1) % farm->again_room;
		farm->again_count--;
		return job;
	}
	while (farm->pending) {
		struct farm_queue *q = next_queue(farm);
		struct tz_job *job = q->first;

		if (take_first(farm, q)) {
			farm->turn++;
			return job;
		}
	}
	return NULL;
}

/* --- again --------------------------------------------------------------------------------------------------------------
 *
 * Jobs that were in a lane and have to go to another. There is room for all that can be in lanes: what is here is given out first, so nothing new
 * gets into a lane meanwhile. */

void farm_push_again(struct farm *farm, struct tz_job *job)
{
	/* In front: those that were given out first, go first. */
	farm->again_head = (farm->again_head + farm->again_room - 1) % farm->again_room;
	farm->again[farm->again_head] = job;
	farm->again_count++;
}

bool farm_take_again(struct farm *farm, struct tz_job *job)
{
	size_t i = 0, room = farm->again_room, head = farm->again_head;

	while (i < farm->again_count && farm->again[(head + i) % room] != job)
		i++;
	if (i == farm->again_count)
		return false;
	for (; i + 1 < farm->again_count; i++)
		farm->again[(head + i) % room] = farm->again[(head + i + 1) % room];
	farm->again_count--;
	return true;
}
