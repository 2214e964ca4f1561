/* Giving jobs to workers. See farm.h.
 *
 * Design notes. A job goes to the worker that will come to it first, by what is known: what lies in its lane already, and what it costs to wake it, or to start it. So a
 * stream of small tasks keeps one worker awake, and others join when there is more than it can do at once. Small tasks are put in batches of about
 * FARM_SHORT_NS of work: one store and at most one wake-up for all of them.
 *
 * Descriptors that go with a job are in the worker's hands as soon as it was put. So a job that has some is put only where nothing else waits; and when it is taken back, the
 * worker is told to close them: else somebody might wait for the end of a pipe whose other end lies there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exec/process/farm.h"
#include "os/clock.h"

static struct farm_task *task_of(struct farm *farm, const struct tz_job *job)
{
	const struct farm_parcel *p = job->parcel;

	return p ? p->task
		 : farm_task_of(farm, tz_plan_of(job->task)); /* found: it was made at submit */
}

/* How long a job will take, 0: who knows. */
static uint64_t length_of(const struct tz_job *job, const struct farm_task *task)
{
	const struct farm_parcel *p = job->parcel;

	return p && p->chunk ? FARM_CHUNK_NS : task->ns;
}

/* Whether its worker may have to be killed. */
static bool is_special(const struct tz_job *job)
{
	return job->options && (job->options->deadline.ns || job->options->kill);
}

static bool has_fds(const struct tz_job *job)
{
	const struct farm_parcel *p = job->parcel;

	return p && p->has_fds;
}

static bool is_slow(const struct tz_job *job, uint64_t ns)
{
	return has_fds(job) || ns == 0 || ns >= FARM_MIDDLE_NS || is_special(job);
}

/* Whether a job may be put into a lane now. */
static bool may_take(const struct farm_hand *h, const struct tz_job *job, uint64_t ns)
{
	if ((h->state != HAND_WANTED && h->state != HAND_PRESENT) || h->unwell ||
	    farm_is_doomed(h) || tz_lane_room(&h->lane) < 2)
		return false;
	if (h->in_flight == 0)
		return true;
	if (h->slow || is_slow(job, ns))
		return false;
	return h->in_flight < (ns < FARM_SHORT_NS ? FARM_WINDOW : 2);
}

/* The payload lies in memory that its worker can write, and another try is to find it as it was. */
static bool is_kept(const struct tz_job *job)
{
	const struct farm_parcel *p = job->parcel;

	return p && p->whole && farm_has_tries_left(job);
}

/* When a worker would come to it, in ns from now. */
static uint64_t delay_of(const struct farm_hand *h, uint64_t now)
{
	uint64_t delay = h->backlog_ns;

	if (h->state == HAND_WANTED)
		delay += FARM_START_NS;
	else if (h->in_flight == 0 && now - h->used > 2 * FARM_ASLEEP_NS)
		delay += FARM_ASLEEP_NS;
	return delay;
}

static struct farm_hand *choose(struct farm *farm, const struct tz_job *job, uint64_t ns,
				uint64_t now)
{
	struct farm_hand *best = NULL;
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < farm->executor.workers; i++) {
		struct farm_hand *h = farm->hands[i];

		if (!h || !may_take(h, job, ns))
			continue;
		uint64_t delay = delay_of(h, now);

		if (delay < least || (delay == least && h->used > best->used)) {
			best = h;
			least = delay;
		}
	}
	if (least <= FARM_START_NS)
		return best;
	struct farm_hand *more = farm_want_hand(farm);

	return more ? more : best;
}

/* --- into a lane --------------------------------------------------------------------------------------------------------- */

static int grow_taught(struct farm_hand *h, size_t n)
{
	size_t room = (n + 64) / 64 * 64;
	unsigned char *more;

	if (n <= h->ntaught)
		return 0;
	more = realloc(h->taught, room);
	if (!more)
		return -ENOMEM;
	memset(more + h->ntaught, 0, room - h->ntaught);
	h->taught = more;
	h->ntaught = room;
	return 0;
}

static int put(struct farm_hand *h, struct tz_job *job, struct farm_task *task,
	       const struct tz_lane_what *what, const struct tz_lane_load *load)
{
	uint32_t number = h->lane.put;
	int r = tz_lane_put(&h->lane, what, load);

	if (r < 0)
		return r;
	h->jobs[number % TZ_LANE_SLOTS] = job;
	h->tasks[number % TZ_LANE_SLOTS] = task;
	h->in_flight++;
	return 0;
}

/* Tells a worker what a number stands for, the first time. */
static int teach(struct farm_hand *h, struct farm_task *task)
{
	const struct tz_task_name *name = task->plan->name;
	struct tz_lane_what what = { .code = task->number,
				     .kind = TERM_TEACH,
				     .time = tz_lane_sent(&h->lane) };
	struct tz_lane_load load = { .bytes = name, .size = tz_task_name_size(name) };
	int r = grow_taught(h, (size_t)task->number + 1);

	if (r < 0 || h->taught[task->number])
		return r;
	r = put(h, NULL, task, &what, &load);
	if (r == 0)
		h->taught[task->number] = 1;
	return r;
}

static int give_job(struct farm_hand *h, struct tz_job *job, struct farm_task *task, uint64_t ns,
		    uint64_t now)
{
	const struct farm_parcel *p = job->parcel;
	bool idle = h->in_flight == 0;
	struct tz_lane_what what = {
		.code = task->number,
		.kind = p && p->chunk ? TERM_BLOCK : TERM_CALL,
		.flags = (p && !p->chunk ? TERM_ENCODED : 0) | (is_kept(job) ? TERM_KEPT : 0),
		.time = job->options ? job->options->deadline.ns : 0,
	};
	struct tz_lane_load load;
	int r = teach(h, task);

	farm_load_of(job, &load);
	if (r == 0)
		r = put(h, job, task, &what, &load);
	if (r < 0)
		return r;
	if (idle) {
		h->slow = false;
		h->backlog_ns = 0;
		h->head_since = now;
	}
	h->slow |= is_slow(job, ns);
	h->backlog_ns += ns;
	h->used = now;
	job->worker = h->index;
	return 0;
}

/* The far end of its socket is closed: it has died, and we shall be told; or one of its tasks has closed what it did not open. So it gets nothing more, and ends. */
static void write_off(struct farm_hand *h)
{
	if (h->state != HAND_PRESENT)
		return;
	h->state = HAND_LEAVING;
	tz_lane_end(&h->lane);
}

/* Gives one job, which is taken from the queue. Whether it may have another one. */
static bool give_next(struct farm *farm, struct farm_hand *h, struct farm_ends *ends, uint64_t now)
{
	struct tz_job *job = farm_pop(farm);

	if (!job)
		return false;
	struct farm_task *task = task_of(farm, job);
	uint64_t ns = length_of(job, task);

	if (job->options && job->options->deadline.ns && tz_expired(job->options->deadline)) {
		farm_end(farm, ends, job, TZ_TIMED_OUT,
			 tz_failure_new(-ETIMEDOUT, "its deadline passed before it began"));
		return true;
	}
	int r = may_take(h, job, ns) ? give_job(h, job, task, ns, now) : -EAGAIN;

	if (r == -EPIPE || r == -ECONNRESET) {
		write_off(h);
		r = -EAGAIN;
	}
	if (r == -EAGAIN)
		farm_push_again(farm, job); /* or it is another one than was looked at */
	else if (r < 0)
		farm_end(farm, ends, job, TZ_FAILED,
			 tz_failure_new(r, "its arguments could not be sent"));
	return r != -EAGAIN;
}

/* As many as are worth one wake-up. */
static void feed(struct farm *farm, struct farm_hand *h, struct farm_ends *ends, uint64_t ns,
		 uint64_t now)
{
	uint64_t left = ns ? FARM_SHORT_NS / ns + 1 : 1;
	struct tz_job *job;

	do {
		if (!give_next(farm, h, ends, now))
			break;
		left--;
		job = farm_peek(farm);
	} while (left && job && may_take(h, job, length_of(job, task_of(farm, job))));
	tz_lane_publish(&h->lane);
	if (h->state == HAND_WANTED ||
	    (h->in_flight == 1 && h->jobs[h->first % TZ_LANE_SLOTS] &&
	     is_special(h->jobs[h->first % TZ_LANE_SLOTS])) ||
	    (h->in_flight > 1 &&
	     (farm->nap_until == 0 || farm->nap_until > now + 4 * FARM_STUCK_NS)))
		farm_alert(farm);
}

void farm_dispatch(struct farm *farm, struct farm_ends *ends)
{
	uint64_t now = farm_has_work(farm) ? tz_clock_now() : 0;
	struct tz_job *job;
	size_t before;

	while ((job = farm_peek(farm))) {
		struct farm_task *task = task_of(farm, job);
		uint64_t ns = length_of(job, task);
		struct farm_hand *h = choose(farm, job, ns, now);

		if (!h)
			return;
		before = farm->pending + farm->again_count;
		feed(farm, h, ends, ns, now);
		if (farm->pending + farm->again_count == before)
			return;
	}
}

/* --- and out of it ---------------------------------------------------------------------------------------------------------- */

void farm_forget_oldest(struct farm_hand *h)
{
	uint64_t ns = h->tasks[h->first % TZ_LANE_SLOTS]->ns;

	h->jobs[h->first % TZ_LANE_SLOTS] = NULL;
	if (h->drops && h->drop_number == h->first)
		h->drops = false;
	h->first++;
	h->in_flight--;
	h->backlog_ns = h->in_flight && h->backlog_ns > ns ? h->backlog_ns - ns : 0;
	h->told = false;
	if (h->kill_number == h->first - 1)
		h->kill_at = 0;
}

/* Has the worker close the descriptors of what was taken back: it is taught a task once more. */
static void have_dropped(struct farm_hand *h, struct farm_task *task)
{
	uint32_t number = h->lane.put;

	if (farm_is_doomed(h))
		return;
	h->taught[task->number] = 0;
	if (teach(h, task) < 0)
		return;
	tz_lane_publish(&h->lane);
	h->drops = true;
	h->drop_number = number;
}

void farm_take_back(struct farm *farm, struct farm_hand *h, uint32_t n)
{
	uint32_t taken = tz_lane_retract(&h->lane, n);
	struct farm_task *told = NULL; /* of which descriptors lie there */

	for (uint32_t i = taken; i-- > 0;) {
		uint32_t at = (h->lane.put + i) % TZ_LANE_SLOTS;

		if (h->jobs[at] ? has_fds(h->jobs[at]) : h->drops)
			told = h->tasks[at];
		if (h->jobs[at])
			farm_push_again(farm, h->jobs[at]);
		else
			h->taught[h->tasks[at]->number] = 0;
		h->jobs[at] = NULL;
		h->in_flight--;
	}
	if (h->in_flight == 0)
		h->backlog_ns = 0;
	if (told)
		have_dropped(h, told);
}

static bool is_idle(const struct farm_hand *h)
{
	return h && h->state == HAND_PRESENT && h->in_flight == 0 && !h->unwell &&
	       !farm_is_doomed(h);
}

void farm_balance(struct farm *farm, uint64_t now)
{
	bool idle = false;

	if (farm_has_work(farm))
		return;
	for (int i = 0; i < farm->executor.workers; i++)
		idle |= is_idle(farm->hands[i]);
	for (int i = 0; i < farm->executor.workers; i++) {
		struct farm_hand *h = farm->hands[i];

		if (!h || h->in_flight < 2 || h->state == HAND_WANTED)
			continue;
		uint32_t waiting = tz_lane_waiting(&h->lane);

		if (now - h->head_since > FARM_STUCK_NS)
			farm_take_back(farm, h, waiting);
		else if (idle && waiting > 1 && h->backlog_ns > 2 * FARM_SHORT_NS)
			farm_take_back(farm, h, waiting / 2);
	}
}
