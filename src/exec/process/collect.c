/* Fetching results, and all else that has its time: the collector's thread, and strands that wait. See farm.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/parking.h"
#include "core/sitting.h"
#include "exec/process/farm.h"
#include "os/atomic.h"
#include "os/clock.h"

enum { LARGE = 64 << 10 }; /* results of that size are read without the lock */

/* --- ends --------------------------------------------------------------------------------------------------------------- */

void farm_end(struct farm *farm, struct farm_ends *ends, struct tz_job *job, tz_status status,
	      struct tz_failure *failure)
{
	farm_drop_parcel(job);
	job->status = (int8_t)status;
	if (status != TZ_OK)
		job->failure = failure;
	farm->completed++;
	farm->finished++;
	job->parcel = NULL;
	*ends->last = job;
	ends->last = (struct tz_job **)&job->parcel;
}

void farm_tell(struct farm *farm, struct farm_ends *ends)
{
	struct tz_job *job = ends->first;
	uint64_t told = 0;

	ends->first = NULL;
	ends->last = &ends->first;
	while (job) {
		struct tz_job *next = job->parcel;

		job->parcel = NULL;
		tz_job_finish(job, (tz_status)job->status,
			      job->status == TZ_OK ? NULL : job->failure, true);
		told++;
		job = next;
	}
	if (told)
		atomic_fetch_add_explicit(&farm->told, told,
					  memory_order_release); /* the farm may be gone now */
}

/* --- results ------------------------------------------------------------------------------------------------------------ */

static void learn(struct farm_task *task, uint64_t ns)
{
	uint64_t old = task->ns;

	if (ns == 0)
		ns = 1;
	task->ns = old == 0 ? ns : ns > old ? (old + ns + 1) / 2 : (7 * old + ns + 7) / 8;
}

/* Of several at once: a first impression. */
static void learn_of_calls(struct farm_task *task, const struct farm_parcel *p, uint64_t ns)
{
	size_t n = p->calls->called - p->own.lo;

	if (n && task->ns == 0)
		learn(task, ns / n);
}

/* What a worker says of a job that did not end well: nothing in it is believed. */
static tz_status read_failure(const struct tz_lane_mail *mail, struct tz_failure **ret)
{
	struct term_failure f = { .code = -EBADMSG, .element = UINT64_MAX };
	tz_status status = (tz_status)mail->what.code;

	if (mail->size >= sizeof f)
		memcpy(&f, mail->bytes, sizeof f);
	f.message[sizeof f.message - 1] = '\0';
	if (status != TZ_FAILED && status != TZ_CANCELLED && status != TZ_TIMED_OUT &&
	    status != TZ_CRASHED)
		status = TZ_FAILED;
	*ret = tz_failure_new(f.code ? f.code : -EBADMSG, f.message);
	if (*ret)
		(*ret)->element = (size_t)f.element;
	return status;
}

/* Whether a job that failed is to run again. */
static bool may_try_again(const struct farm *farm, const struct tz_job *job)
{
	if (!farm_has_tries_left(job) || farm->broken ||
	    farm->closing - 1 >= TZ_CANCEL_PENDING)
		return false;
	if (atomic_load_explicit(&job->state, memory_order_relaxed) & JOB_CANCEL)
		return false;
	return !job->options->deadline.ns || !tz_expired(job->options->deadline);
}

bool farm_try_again(struct farm *farm, struct tz_job *job)
{
	if (!may_try_again(farm, job))
		return false;
	job->options->retries--;
	farm_push_again(farm, job);
	return true;
}

static void settle_bad(struct farm *farm, struct tz_job *job, tz_status status,
		       struct tz_failure *failure, struct farm_ends *ends)
{
	if (status == TZ_FAILED && farm_try_again(farm, job)) {
		free(failure);
		return;
	}
	farm_end(farm, ends, job, status, failure);
}

static int unpack(struct tz_job *job, struct farm_task *task, const struct tz_lane_mail *mail)
{
	struct farm_parcel *p = job->parcel;

	if (p && p->calls)
		return farm_unpack_calls(p, mail, job->worker);
	return p && p->chunk ? farm_unpack_chunk(p->chunk, task->plan, mail)
			     : farm_unpack(job, task->plan, mail);
}

/* Whether several calls travel together, each with an outcome of its own. */
static bool is_report(const struct tz_job *job)
{
	const struct farm_parcel *p = job->parcel;

	return p && p->calls;
}

/* Takes in the result of the oldest task. `r`: why it could not be had. */
static void settle(struct farm *farm, struct farm_hand *h, const struct tz_lane_mail *mail, int r,
		   struct farm_ends *ends)
{
	struct tz_job *job = h->jobs[h->first % TZ_LANE_SLOTS];
	struct farm_task *task = h->tasks[h->first % TZ_LANE_SLOTS];
	struct tz_failure *failure = NULL;
	tz_status status = TZ_OK;

	bool report = job && is_report(job);

	if (job && (mail->what.code == TZ_OK || report) && r == 0) {
		const struct farm_parcel *p = job->parcel;

		if (!p || !p->chunk)
			learn(task, mail->what.time);
		if (mail->size > LARGE) {
			h->collecting = true;
			tz_mutex_unlock(&farm->lock);
			r = unpack(job, task, mail);
			tz_mutex_lock(&farm->lock);
			h->collecting = false;
			if (atomic_load_explicit(&h->dead, memory_order_acquire))
				farm_alert(farm);
		} else {
			r = unpack(job, task, mail);
		}
	}
	if (job && mail->what.code != TZ_OK) {
		const struct farm_parcel *p = job->parcel;

		status = read_failure(mail, &failure);
		if (p && p->chunk && !report)
			farm_unpack_failed(p->chunk, p->plan, mail, h->slate);
	}
	if (report && r == 0)
		learn_of_calls(task, job->parcel, mail->what.time);
	farm_forget_oldest(h);
	tz_lane_collected(&h->lane);
	if (!job) {
		task->deaths = 0;
		return;
	}
	if (status != TZ_OK && report)
		farm_end(farm, ends, job, status,
			 failure); /* each call was tried again by itself */
	else if (status != TZ_OK)
		settle_bad(farm, job, status, failure, ends);
	else if (r < 0)
		farm_end(farm, ends, job, TZ_FAILED,
			 tz_failure_new(r, "its result could not be read"));
	else if (report)
		farm_go_on(farm, job, ends);
	else
		farm_end(farm, ends, job, TZ_OK, NULL);
}

/* What a strand that waits for the result of the oldest task has not spun for. It sleeps at the price of two wake-ups: ours by the worker, and its own by us. */
static void learn_late(struct farm *farm, const struct farm_hand *h)
{
	if (!farm->awaited || farm->awaited != h->jobs[h->first % TZ_LANE_SLOTS])
		return;
	struct tz_moment rung = tz_lane_rung(&h->lane);
	int64_t took = (int64_t)(tz_clock_ticks() - rung.ticks);

	farm->awaited = NULL;
	if (took < 0 || (int64_t)(rung.ticks - farm->awaited_since.ticks) <= 0)
		return; /* nobody had to be woken, or the worker's memory went wrong */
	tz_patience_pay(&farm->patience, 2 * took);
	tz_patience_learn(&farm->patience, farm->awaited_since, rung, true);
}

bool farm_collect_hand(struct farm *farm, struct farm_hand *h, struct farm_ends *ends)
{
	struct tz_lane_mail mail;
	bool some = false;
	int r = 0;

	while (h->in_flight && !h->collecting &&
	       ((r = tz_lane_collect(&h->lane, &mail)) == 1 || r == -EMFILE)) {
		learn_late(farm, h);
		settle(farm, h, &mail, r < 0 ? r : 0, ends);
		some = true;
		r = 0;
	}
	if (r < 0 && !h->unwell) {
		h->unwell = true;
		farm_kill(h);
	}
	if (some)
		h->used = h->head_since = tz_clock_now();
	return some;
}

bool farm_collect(struct farm *farm, struct farm_ends *ends)
{
	bool some = false;

	for (int i = 0; i < farm->executor.workers; i++) {
		struct farm_hand *h = farm->hands[i];

		if (h && h->in_flight && tz_lane_has_result(&h->lane))
			some |= farm_collect_hand(farm, h, ends);
	}
	return some;
}

/* Under the lock. */
static bool has_result(const struct farm *farm)
{
	for (int i = 0; i < farm->executor.workers; i++) {
		const struct farm_hand *h = farm->hands[i];

		if (h && h->in_flight && tz_lane_has_result(&h->lane))
			return true;
	}
	return false;
}

/* --- strands that wait --------------------------------------------------------------------------------------------------- */

void farm_alert(struct farm *farm)
{
	tz_store_seq_cst(&farm->attention, true);
	(void)tz_bell_ring(farm->bell);
	if (atomic_load_explicit(&farm->attended, memory_order_seq_cst) == 2)
		tz_futex_wake(&farm->attended, 1);
}

/* Without the lock: who waits for room looks again. (The parking lot's lock comes before ours.) */
static void wake_for_room(struct farm *farm)
{
	if (atomic_load_explicit(&farm->room_waiters, memory_order_seq_cst) > 0)
		(void)tz_parking_wake(&farm->room, SIZE_MAX, NULL, NULL, NULL);
}

/* Fetches what there is, unless somebody else is at it. */
static bool harvest(struct farm *farm)
{
	FARM_ENDS(ends);

	if (!tz_mutex_trylock(&farm->lock))
		return false;
	bool some = farm_collect(farm, &ends);

	if (some)
		farm_dispatch(farm, &ends);
	tz_mutex_unlock(&farm->lock);
	wake_for_room(farm);
	farm_tell(farm, &ends);
	return some;
}

/* Has the bell back to the collector, and looks once more. `awaited`: the job that the strand goes to sleep for, or NULL. */
static void give_bell_back(struct farm *farm, const struct tz_job *awaited, struct tz_moment since)
{
	tz_bell_lie_down(farm->bell);
	if (atomic_exchange_explicit(&farm->attended, 0, memory_order_seq_cst) == 2)
		tz_futex_wake(&farm->attended, 1);
	tz_mutex_lock(&farm->lock);
	farm->awaited = awaited;
	farm->awaited_since = since;
	bool more = has_result(farm);

	tz_mutex_unlock(&farm->lock);
	if (more || atomic_load_explicit(&farm->attention, memory_order_seq_cst))
		(void)tz_bell_ring(farm->bell);
}

void farm_attend(tz_executor *executor, tz_job *job)
{
	struct farm *farm = farm_of(executor);
	uint32_t nobody = 0, ticks = tz_patience_ask(&farm->patience);

	if (ticks == 0 ||
	    !atomic_compare_exchange_strong_explicit(&farm->attended, &nobody, 1,
						     memory_order_seq_cst, memory_order_relaxed))
		return;
	tz_bell_get_up(farm->bell);
	struct tz_moment begun = tz_moment_now();
	struct tz_sitting sitting = tz_sitting_begin(ticks);
	bool done;

	while (!(done = tz_job_is_done(job))) {
		if (harvest(farm)) {
			begun.ticks = tz_clock_ticks();
			sitting.spin = tz_spin_begin(ticks);
		} else if (!tz_sitting_turn(&sitting)) {
			break;
		}
	}
	tz_sitting_end(&sitting);
	if (done)
		tz_patience_learn(&farm->patience, begun, tz_moment_now(), false);
	give_bell_back(farm, done ? NULL : job, begun);
}

/* --- asking jobs to end ---------------------------------------------------------------------------------------------------- */

/* The number of a job in the lane of its worker: true if it is there. */
static bool find(const struct farm_hand *h, const struct tz_job *job, uint32_t *ret_number)
{
	for (uint32_t i = 0; i < h->in_flight; i++) {
		if (h->jobs[(h->first + i) % TZ_LANE_SLOTS] == job) {
			*ret_number = h->first + i;
			return true;
		}
	}
	return false;
}

/* Has it killed if it has not ended by then. */
static void doom(struct farm *farm, struct farm_hand *h, uint32_t number, tz_status status,
		 uint64_t when)
{
	if (farm->grace_ns == UINT64_MAX ||
	    (h->kill_at && h->kill_number == number && h->kill_at <= when + farm->grace_ns))
		return;
	h->kill_at = when + farm->grace_ns;
	h->kill_number = number;
	h->kill_status = status;
}

/* Whether a cancel that it ignores ends its worker. */
static bool is_to_obey(const struct tz_job *job)
{
	const struct farm_parcel *p = job->parcel;

	return (job->options && job->options->kill) ||
	       (p && p->chunk && __atomic_load_n(&p->chunk->kill, __ATOMIC_RELAXED));
}

/* Asks a job in a lane to end. True if it was taken back instead. */
static bool ask(struct farm *farm, struct farm_hand *h, struct tz_job *job, uint32_t number)
{
	farm_take_back(farm, h, h->first + h->in_flight - number);
	if (farm_take_again(farm, job))
		return true;
	(void)tz_lane_cancel(&h->lane, number, TERM_CANCELLED);
	h->told = true;
	if (is_to_obey(job))
		doom(farm, h, number, TZ_CANCELLED, tz_clock_now());
	return false;
}

bool farm_recall(tz_executor *executor, tz_job *job, bool cancel)
{
	struct farm *farm = farm_of(executor);
	bool back = false;
	uint32_t number;

	tz_mutex_lock(&farm->lock);
	if (cancel) {
		struct farm_hand *h = job->worker >= 0 ? farm->hands[job->worker] : NULL;

		back = farm_take_again(farm, job);
		if (!back && h && find(h, job, &number))
			back = ask(farm, h, job, number);
		if (back) {
			farm_drop_parcel(job);
			job->worker = -1;
			farm->completed++;
		}
	}
	tz_mutex_unlock(&farm->lock);
	farm_alert(
		farm); /* others may have been taken back with it; a deadline has moved; the last job has gone */
	return back;
}

/* --- the collector ----------------------------------------------------------------------------------------------------------- */

static void wake_by(uint64_t *until, uint64_t when)
{
	if (*until == 0 || when < *until)
		*until = when;
}

static uint64_t deadline_of(const struct tz_job *job)
{
	return job && job->options ? __atomic_load_n(&job->options->deadline.ns, __ATOMIC_RELAXED)
				   : 0;
}

/* The deadline of the job that a worker is at. */
static void watch_head(struct farm *farm, struct farm_hand *h, uint64_t now, uint64_t *until)
{
	uint64_t deadline = deadline_of(h->jobs[h->first % TZ_LANE_SLOTS]);

	if (deadline && now < deadline) {
		wake_by(until, deadline);
	} else if (deadline && tz_lane_waiting(&h->lane) == h->in_flight) {
		farm_take_back(farm, h, h->in_flight);
	} else if (deadline) {
		if (!h->told)
			(void)tz_lane_cancel(&h->lane, h->first, TERM_DEADLINE);
		h->told = true;
		doom(farm, h, h->first, TZ_TIMED_OUT, deadline);
	}
	if (!h->kill_at || h->killed)
		return;
	if (now < h->kill_at)
		wake_by(until, h->kill_at);
	else if (h->kill_number == h->first)
		farm_kill(h);
}

/* Those that are to be given out again and come too late. */
static void expire_again(struct farm *farm, struct farm_ends *ends, uint64_t now, uint64_t *until)
{
	for (size_t i = 0; i < farm->again_count; i++) {
		struct tz_job *job = farm->again[(farm->again_head + i) % farm->again_room];
		uint64_t deadline = deadline_of(job);

		if (!deadline)
			continue;
		if (now < deadline) {
			wake_by(until, deadline);
			continue;
		}
		(void)farm_take_again(farm, job);
		farm_end(farm, ends, job, TZ_TIMED_OUT,
			 tz_failure_new(-ETIMEDOUT, "its deadline passed before it began"));
		i--;
	}
}

static void watch_time(struct farm *farm, struct farm_ends *ends, uint64_t now, uint64_t *until)
{
	for (int i = 0; i < farm->executor.workers; i++) {
		struct farm_hand *h = farm->hands[i];

		if (!h || !h->in_flight || h->collecting)
			continue;
		watch_head(farm, h, now, until);
		wake_by(until, now + (h->in_flight > 1 ? FARM_STUCK_NS : TZ_BELL_LOOK_NS));
	}
	expire_again(farm, ends, now, until);
}

/* Lets workers go that have been idle for long, beyond those that stay. */
static void let_idle_go(struct farm *farm, uint64_t now, uint64_t *until)
{
	int count = 0;

	for (int i = 0; farm->idle_ns && i < farm->executor.workers; i++)
		count += farm->hands[i] && farm->hands[i]->state == HAND_PRESENT;
	for (int i = farm->executor.workers; farm->idle_ns && i-- > 0 && count > farm->stay;) {
		struct farm_hand *h = farm->hands[i];

		if (!h || h->state != HAND_PRESENT || h->in_flight)
			continue;
		if (now - h->used < farm->idle_ns) {
			wake_by(until, h->used + farm->idle_ns);
			continue;
		}
		h->state = HAND_LEAVING;
		tz_lane_end(&h->lane);
		count--;
	}
}

/* --- closing ------------------------------------------------------------------------------------------------------------------- */

static void cancel_pending(struct farm *farm, struct farm_ends *ends)
{
	struct tz_job *job;

	for (int i = 0; i < farm->executor.workers; i++)
		if (farm->hands[i] && farm->hands[i]->in_flight)
			farm_take_back(farm, farm->hands[i], farm->hands[i]->in_flight);
	while ((job = farm_pop(farm)))
		farm_end(farm, ends, job, TZ_CANCELLED,
			 tz_failure_new(-ECANCELED, "the executor was shut down"));
}

static void cancel_running(struct farm *farm, uint64_t now, uint64_t *until)
{
	for (int i = 0; i < farm->executor.workers; i++) {
		struct farm_hand *h = farm->hands[i];

		if (!h || !h->in_flight ||
		    (h->told && (h->kill_at || farm->grace_ns == UINT64_MAX)))
			continue;
		h->told = tz_lane_cancel(&h->lane, h->first, TERM_CANCELLED);
		if (h->told)
			doom(farm, h, h->first, TZ_CANCELLED, now);
		wake_by(until, h->told && h->kill_at ? h->kill_at : now + FARM_STUCK_NS);
	}
}

/* Does what the shutdown asks for. True when nothing is left. */
static bool close_down(struct farm *farm, struct farm_ends *ends, uint64_t now, uint64_t *until)
{
	tz_shutdown how = (tz_shutdown)(farm->closing - 1);
	bool left = false;

	if (how >= TZ_CANCEL_PENDING)
		cancel_pending(farm, ends);
	if (how == TZ_STOP_NOW)
		cancel_running(farm, now, until);
	if (farm_has_work(farm))
		return false;
	/* Jobs that have ended, and whose futures do not say so yet. */
	if (atomic_load_explicit(&farm->told, memory_order_acquire) != farm->finished ||
	    __atomic_load_n(&farm->executor.guests, __ATOMIC_ACQUIRE)) {
		left = true;
		wake_by(until, now + FARM_STUCK_NS);
	}
	for (int i = 0; i < farm->executor.workers; i++) {
		struct farm_hand *h = farm->hands[i];

		if (!h || h->state == HAND_ABSENT)
			continue;
		left = true;
		if (h->in_flight || h->state == HAND_WANTED || h->state == HAND_BURIED)
			continue;
		if (h->state == HAND_PRESENT) {
			h->state = HAND_LEAVING;
			tz_lane_end(&h->lane);
			h->used = now;
		}
		if (how == TZ_STOP_NOW && !h->killed && farm->grace_ns != UINT64_MAX) {
			if (now - h->used >= farm->grace_ns)
				farm_kill(h);
			else
				wake_by(until, h->used + farm->grace_ns);
		}
	}
	return !left;
}

static void note_request(struct farm *farm)
{
	int asked = atomic_load_explicit(&farm->asked, memory_order_acquire);

	if (asked > farm->closing)
		farm->closing = asked;
}

/* One round, under the lock: until when there is nothing more to do; 0: for ever. */
static uint64_t look_after(struct farm *farm, struct farm_ends *ends)
{
	uint64_t now = tz_clock_now(), until = 0;

	note_request(farm);
	farm_bury(farm, ends);
	(void)farm_collect(farm, ends);
	if (ends->first) { /* what comes may take its time */
		tz_mutex_unlock(&farm->lock);
		farm_tell(farm, ends);
		tz_mutex_lock(&farm->lock);
	}
	farm_clear_buried(farm);
	watch_time(farm, ends, now, &until);
	farm_balance(farm, now);
	farm_dispatch(farm, ends);
	farm_start_wanted(farm, &until);
	let_idle_go(farm, now, &until);
	if (farm->closing)
		farm->ended = close_down(farm, ends, now, &until);
	return until;
}

/* Sleeps until there is something to do. */
static void nap(struct farm *farm, uint64_t until)
{
	if (atomic_load_explicit(&farm->attended, memory_order_seq_cst)) {
		uint32_t one = 1;

		/* Somebody has the bell. */
		(void)atomic_compare_exchange_strong_explicit(
			&farm->attended, &one, 2, memory_order_seq_cst, memory_order_relaxed);
		if (!atomic_load_explicit(&farm->attention, memory_order_seq_cst))
			(void)tz_futex_wait(&farm->attended, 2, until);
		return;
	}
	tz_bell_lie_down(farm->bell);
	tz_mutex_lock(&farm->lock);
	bool more = has_result(farm);

	tz_mutex_unlock(&farm->lock);
	if (!more && !atomic_load_explicit(&farm->attention, memory_order_seq_cst))
		tz_bell_sleep(farm->bell, until);
	if (!atomic_load_explicit(&farm->attended, memory_order_seq_cst))
		tz_bell_get_up(farm->bell);
}

void *farm_collector(void *arg)
{
	struct farm *farm = arg;
	uint32_t *changes = &farm->changes;
	bool ended = false;

	(void)pthread_setname_np(pthread_self(), "trenza-collect");
	while (!ended) {
		FARM_ENDS(ends);

		tz_store_seq_cst(&farm->attention, false);
		tz_mutex_lock(&farm->lock);
		uint64_t until = look_after(farm, &ends);

		farm->nap_until = until;
		ended = farm->ended;
		tz_mutex_unlock(&farm->lock);
		wake_for_room(farm);
		bool busy = ends.first != NULL;

		farm_tell(farm, &ends);
		if (!ended && !busy)
			nap(farm, until);
	}
	(void)tz_parking_wake(changes, SIZE_MAX, NULL, NULL, NULL);
	return NULL;
}
