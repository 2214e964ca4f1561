/* Parcels: arguments on their way to a worker, and results on their way back. See farm.h.
 *
 * Design notes. Arguments that are plain bytes stay in the job, and are copied into the lane when their turn comes. All others are encoded when they are
 * submitted: afterwards the caller may do with them what it likes. Large contents that lie in a segment (tz_buffer), shared memory and descriptors are not
 * encoded, but kept alive by a reference.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exec/process/farm.h"
#include "shared/giver.h"

/* --- tasks ---------------------------------------------------------------------------------------------------------------- */

static size_t hash_of(const struct tz_plan *plan)
{
	return (size_t)(((uintptr_t)plan >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20);
}

static struct farm_task **place_of(struct farm_task **table, size_t room,
				   const struct tz_plan *plan)
{
	size_t i = hash_of(plan) % room;

	while (table[i] && table[i]->plan != plan)
		i = (i + 1) % room;
	return &table[i];
}

static bool make_room(struct farm *farm)
{
	size_t room = farm->task_room ? 2 * farm->task_room : 16;
	struct farm_task **table;

	if (2 * (farm->task_count + 1) <= farm->task_room)
		return true;
	table = calloc(room, sizeof *table);
	if (!table)
		return false;
	for (size_t i = 0; i < farm->task_room; i++)
		if (farm->tasks[i])
			*place_of(table, room, farm->tasks[i]->plan) = farm->tasks[i];
	free(farm->tasks);
	farm->tasks = table;
	farm->task_room = room;
	return true;
}

struct farm_task *farm_task_of(struct farm *farm, const struct tz_plan *plan)
{
	struct farm_task *last = farm->last_task, **place;

	if (last && last->plan == plan)
		return last;
	if (!make_room(farm))
		return NULL;
	place = place_of(farm->tasks, farm->task_room, plan);
	if (!*place) {
		*place = calloc(1, sizeof **place);
		if (!*place)
			return NULL;
		(*place)->plan = plan;
		(*place)->number = (uint32_t)farm->task_count++;
	}
	return farm->last_task = *place;
}

/* --- there ----------------------------------------------------------------------------------------------------------------- */

void farm_parcel_free(struct farm_parcel *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->nrefs; i++)
		tz_segment_unref(p->refs[i]);
	tz_segment_unref(p->whole);
	free(p);
}

void farm_drop_parcel(struct tz_job *job)
{
	farm_parcel_free(job->parcel);
	job->parcel = NULL;
}

int farm_parcel_new(size_t size, struct farm_parcel **ret, void **ret_bytes)
{
	bool large = size >= TZ_SEGMENT_LEAST;
	size_t bytes = (sizeof(struct farm_parcel) + (large ? 0 : size) + 63) / 64 * 64;
	struct farm_parcel *p = aligned_alloc(64, bytes);
	int r;

	if (!p)
		return -ENOMEM;
	memset((void *)p, 0, sizeof *p);
	p->size = size;
	if (large && (r = tz_segment_take(TZ_SEGMENT_BYTES, size, &p->whole)) < 0) {
		free(p);
		return r;
	}
	*ret = p;
	*ret_bytes = large ? p->whole->base : p->bytes;
	return 0;
}

void farm_parcel_hand_over(struct farm_parcel *p, struct tz_giver *giver)
{
	memcpy(p->refs, giver->refs, giver->n * sizeof *giver->refs);
	p->nrefs = giver->n;
	for (unsigned i = 0; i < giver->n; i++)
		p->has_fds |= giver->refs[i]->kind == TZ_SEGMENT_FD;
	giver->n = 0;
}

int farm_pack(struct tz_job *job, const struct tz_plan *plan)
{
	struct tz_giver giver;
	tz_giver_init(&giver, TZ_LANE_REFS, true);
	size_t size = tz_args_size(plan, job->payload, &giver.carrier);
	struct farm_parcel *p = NULL;
	void *bytes = NULL;
	int r = size == SIZE_MAX ? -ENOMEM : farm_parcel_new(size, &p, &bytes);

	if (r == 0)
		r = tz_args_encode(plan, job->payload, bytes, size, &giver.carrier);
	if (r < 0) {
		tz_giver_done(&giver);
		farm_parcel_free(p);
		return r;
	}
	farm_parcel_hand_over(p, &giver);
	p->plan = plan;
	job->parcel = p;
	return 0;
}

const char *farm_explain(const struct tz_job *job, const struct tz_plan *plan, int error, char *text, size_t size)
{
	struct tz_giver giver;
	int culprit;

	if (error != -ENOTSUP || tz_chunk_of(job))
		return "its arguments could not be copied";
	tz_giver_init(&giver, TZ_LANE_REFS, true);
	culprit = tz_args_culprit(plan, job->payload, &giver.carrier);
	tz_giver_done(&giver);
	tz_plan_explain(plan, culprit ? culprit : 1, text, size);
	return text;
}

void farm_load_of(const struct tz_job *job, struct tz_lane_load *ret)
{
	const struct farm_parcel *p = job->parcel;

	*ret = (struct tz_lane_load){ .bytes = job->payload,
				      .size = job->task->args_size,
				      .align = 8 };
	if (!p)
		return;
	ret->bytes = p->bytes;
	ret->size = p->size;
	ret->align = p->chunk ? 64 : p->plan->align;
	ret->whole = p->whole;
	ret->refs = p->refs;
	ret->nrefs = p->nrefs;
}

/* --- and back -------------------------------------------------------------------------------------------------------------- */

int farm_unpack(struct tz_job *job, const struct tz_plan *plan, const struct tz_lane_mail *mail)
{
	struct tz_taker taker;

	if (plan->result.size == 0)
		return 0;
	if (plan->result.flat) {
		if (mail->size != plan->result.size)
			return -EBADMSG;
		memcpy(tz_job_result(job), mail->bytes, mail->size);
		return 0;
	}
	tz_taker_init(&taker, mail->refs, mail->nrefs, TZ_TAKE_RESULT);
	return tz_result_decode(plan, mail->bytes, mail->size, tz_job_result(job), &taker.carrier);
}

int farm_unpack_many(const struct tz_plan *plan, const struct tz_lane_mail *mail, size_t skip,
		     size_t n, void *to)
{
	struct tz_taker taker;
	const unsigned char *bytes = (const unsigned char *)mail->bytes + skip;

	if (plan->result.size == 0)
		return 0;
	tz_taker_init(&taker, mail->refs, mail->nrefs, TZ_TAKE_RESULT);
	if (!plan->result.flat)
		return tz_results_decode(plan, bytes, mail->size - skip, n, to, &taker.carrier);
	if (mail->size - skip != n * plan->result.size)
		return -EBADMSG;
	memcpy(to, bytes, mail->size - skip);
	return 0;
}
