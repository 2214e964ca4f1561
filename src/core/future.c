/* Futures: the public calls on handles. What happens to the job behind one is in job.h.
 *
 * Design notes. A wait goes through four stages, each only if the one before did not end it: look; help (a worker of the job's
 * executor may run it here); if there is another processor on which the job may be about to end, take a breather, where that has paid
 * of late, and look for some hundred cycles more; add a node to the job's waiters, spin for as long as that was worth it of late, and park.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/future.h>

#include "core/breather.h"
#include "core/frame.h"
#include "core/gathering.h"
#include "core/job.h"
#include "core/outcome.h"
#include "core/scope.h"
#include "core/sitting.h"
#include "core/strand.h"
#include "os/cpu.h"

static struct tz_job *cell_of(tz_handle h)
{
	return h.tz__cell;
}

static uint32_t generation_of(tz_handle h)
{
	return (uint32_t)h.tz__generation;
}

/* 1: ended, 0: not, -ESTALE. */
static inline int look(struct tz_job *job, uint32_t generation)
{
	if (!job)
		return -ESTALE;
	uint64_t s = atomic_load_explicit(&job->state, memory_order_acquire);

	if (__builtin_expect(tz_job_generation(s) != generation, 0))
		return -ESTALE;
	if (tz_job_phase(s) == JOB_DONE)
		return 1;
	if (__builtin_expect(!tz_job_is_from_before_fork(job), 1))
		return 0;
	tz_job_take_over(job);
	return 1;
}

/* One strand that waits for one job. */
struct lone_waiter {
	struct tz_waiter waiter;
	struct tz_strand *strand;
	bool patient; /* it may spin */
	struct tz_moment woken; /* when and where the job ended, if it is patient */
	_Atomic uint32_t fired;
};

static void wake_lone(struct tz_waiter *waiter, struct tz_job *job, int status)
{
	struct lone_waiter *w = (struct lone_waiter *)waiter;
	struct tz_strand *strand = w->strand;

	(void)job, (void)status;
	if (w->patient)
		w->woken = tz_moment_now();
	atomic_store_explicit(&w->fired, 1, memory_order_release); /* the last touch: the waiter may be gone */
	tz_strand_unpark(strand);
}

static bool has_fired(struct lone_waiter *w)
{
	return atomic_load_explicit(&w->fired, memory_order_acquire) != 0;
}

static struct tz_patience patience; /* of those who wait for a job */

/* Spins for as long as that was worth it of late. */
static bool spin_for(struct lone_waiter *w)
{
	uint32_t ticks = tz_patience_ask(&patience);

	if (ticks == 0)
		return has_fired(w);
	struct tz_sitting sitting = tz_sitting_begin(ticks);

	while (!has_fired(w) && tz_sitting_turn(&sitting))
		;
	tz_sitting_end(&sitting);
	return has_fired(w);
}

/* Sleeps. 0 once the job has ended. */
static int sleep_for(struct tz_strand *self, struct tz_job *job, uint32_t generation, struct lone_waiter *w, tz_deadline deadline)
{
	while (!has_fired(w)) {
		tz_strand_waits(self, tz_waits_for_future, job->task);
		int r = tz_strand_park(self, deadline);

		if (r < 0 && !has_fired(w)) {
			if (tz_job_remove_waiter(job, generation, &w->waiter))
				return r;
			for (unsigned spins = 0; !has_fired(w);)
				tz_cpu_backoff(&spins);
		}
	}
	return 0;
}

/* Waits as a patient waiter: spins before it sleeps, as long as that is worth it. */
static int spin_or_sleep(struct tz_strand *self, struct tz_job *job, uint32_t generation, struct lone_waiter *w, tz_deadline deadline,
			 struct tz_moment begun)
{
	bool spun = spin_for(w);
	int r = spun ? 0 : sleep_for(self, job, generation, w, deadline);

	if (r == 0)
		tz_patience_learn(&patience, begun, w->woken, !spun);
	return r;
}

static int wait_as_waiter(struct tz_strand *self, struct tz_job *job, uint32_t generation, tz_deadline deadline, bool patient)
{
	struct lone_waiter w = { .waiter.fire = wake_lone, .strand = self, .patient = patient };
	struct tz_moment begun = { 0 };

	if (patient)
		begun = tz_moment_now();
	int r = tz_job_add_waiter(job, generation, &w.waiter);

	if (r)
		return r == 1 ? 0 : r;
	if (patient)
		return spin_or_sleep(self, job, generation, &w, deadline, begun);
	return sleep_for(self, job, generation, &w, deadline);
}

enum { LOOKS = 24 };

/* A job that is about to end is not worth becoming its waiter. */
static bool look_twice(struct tz_job *job)
{
	for (int i = 0; i < LOOKS; i++) {
		if (tz_job_phase(atomic_load_explicit(&job->state, memory_order_acquire)) == JOB_DONE)
			return true;
		tz_cpu_relax();
	}
	return false;
}

/* A thread's results of late: does it collect those of many jobs in a row? */
struct harvest {
	struct tz_breather breather; /* when it has caught up with who runs the jobs */
	bool breathed;
	unsigned ready; /* results since then that were there when they were asked for */
	const struct tz_job *last; /* of these, the last one's job */
};
static _Thread_local struct harvest harvest __attribute__((tls_model("initial-exec")));

/* Has caught up with who runs the jobs: lets them get ahead. True if the job has ended meanwhile. */
static bool breathe(struct tz_job *job)
{
	if (harvest.breathed)
		tz_breather_learn(&harvest.breather, harvest.ready + 1); /* and the one that was waited for */
	harvest.ready = 0;
	harvest.breathed = tz_breather_take(&harvest.breather);
	return harvest.breathed && tz_job_phase(atomic_load_explicit(&job->state, memory_order_acquire)) == JOB_DONE;
}

enum { AHEAD = 8 };

/* Jobs that are submitted in a row lie in a row, forwards or backwards: has the ones to come fetched from the processor that ran them. */
static inline void fetch_ahead(const struct tz_job *job)
{
	intptr_t step = (intptr_t)job - (intptr_t)harvest.last;

	harvest.last = job;
	harvest.ready++;
	if (step == (intptr_t)sizeof *job || step == -(intptr_t)sizeof *job)
		tz_cpu_fetch_to_write((const char *)job + AHEAD * step);
}

/* A job that runs in another process: while we have nothing better to do, its executor may fetch results on our strand. */
static void attend(struct tz_job *job, uint32_t generation, bool patient)
{
	if (!patient || !tz_job_visit(job, generation))
		return;
	tz_executor *executor = job->executor; /* it is there: not before the visit, as the job may have ended meanwhile */

	if (executor->ops->attend)
		executor->ops->attend(executor, job);
	tz_executor_leave(executor);
}

/* The stages after the second one. */
__attribute__((noinline)) static int wait_by_ourselves(struct tz_strand *self, struct tz_job *job, uint32_t generation,
						       tz_deadline deadline)
{
	if (tz_expired(deadline))
		return -ETIMEDOUT;
	bool patient = tz_strand_may_spin(self);

	if (job->remote) {
		attend(job, generation, patient);
		patient = false; /* that was the time to spin */
	}
	if (patient && (breathe(job) || look_twice(job)))
		return look(job, generation) == 1 ? 0 : -ESTALE;
	return wait_as_waiter(self, job, generation, deadline, patient);
}

/* Whether nothing may end a wait of the strand early. */
static inline bool is_calm(const struct tz_strand *self)
{
	return !atomic_load_explicit(&self->dirty, memory_order_relaxed) && tz_scope_is_plain(self->scope);
}

/* Whether the strand runs a job of the same executor, on one of its workers. */
static inline bool is_colleague(const struct tz_strand *self, const struct tz_job *job)
{
	const struct tz_frame *frame = self->frame;

	return frame && frame->worker >= 0 && frame->job && frame->job->executor == job->executor;
}

static int wait_slow(struct tz_job *job, uint32_t generation, tz_deadline deadline)
{
	struct tz_strand *self = tz_strand_self();
	bool calm = is_calm(self);
	int r = calm ? 0 : tz_strand_interrupted(self);

	if (__builtin_expect(r < 0, 0))
		return tz_strand_refuse(self, r);
	if (__builtin_expect(tz_frame_runs(self, job), 0))
		return -EDEADLK;
	if (is_colleague(self, job) && job->executor->ops->help) {
		bool timed = (calm ? deadline : tz_strand_deadline(self, deadline)).ns != 0;

		job->executor->ops->help(job->executor, job, timed);
		if ((r = look(job, generation)))
			return r == 1 ? 0 : r;
	}
	return wait_by_ourselves(self, job, generation, deadline);
}

int tz_wait_raw(tz_handle future, tz_deadline deadline)
{
	int r = look(cell_of(future), generation_of(future));

	if (__builtin_expect(r == 1, 1)) {
		tz_strand_count_call();
		return 0;
	}
	return r < 0 ? r : wait_slow(cell_of(future), generation_of(future), deadline);
}

__attribute__((noinline)) static int meet_failure(struct tz_strand *self, struct tz_job *job)
{
	tz_outcome o;

	tz_job_outcome(job, &o);
	atomic_store_explicit(&job->observed, 1, memory_order_relaxed);
	tz_remember(self, &o);
	return -EREMOTEIO;
}

/* As tz_remember, for a job that ended well. */
static inline void remember_ok(struct tz_strand *strand, const struct tz_job *job)
{
	tz_outcome *o = &strand->last;

	o->status = TZ_OK;
	o->code = 0;
	o->signal = 0;
	o->worker = job->worker;
	o->message[0] = '\0';
	if (__builtin_expect(job->options != NULL, 0)) {
		strand->last_task = NULL;
		tz_copy_text(o->task, sizeof o->task, tz_job_name(job));
	} else {
		strand->last_task = job->task->name; /* copied only if somebody asks */
	}
}

/* Remembers how a job ended; 0 or -EREMOTEIO. */
static inline int meet(struct tz_strand *self, struct tz_job *job)
{
	if (__builtin_expect(job->status != TZ_OK, 0))
		return meet_failure(self, job);
	remember_ok(self, job);
	return 0;
}

/* The cell of a stale future may be another job's. */
__attribute__((noinline)) static int no_answer(struct tz_job *job, int code)
{
	return tz_remember_no_answer(tz_strand_self(), code == -ESTALE ? NULL : job, code);
}

int tz_result_raw(tz_handle future, void *out, size_t size)
{
	struct tz_job *job = cell_of(future);
	int r = look(job, generation_of(future));

	if (__builtin_expect(r == 1, 1)) {
		fetch_ahead(job);
		tz_strand_count_call();
	} else if (r < 0 || (r = wait_slow(job, generation_of(future), tz_never())) < 0)
		return no_answer(job, r);
	if (__builtin_expect(out && size != job->task->result_size && job->status == TZ_OK, 0))
		return -EINVAL; /* a job that failed may be of no task: it could not be submitted */
	r = meet(tz_strand_self(), job);
	if (r == 0 && out)
		memcpy(out, tz_job_result(job), size);
	(void)tz_job_release(job, generation_of(future));
	return r;
}

int tz_outcome_raw(tz_handle future, tz_outcome *ret)
{
	struct tz_job *job = cell_of(future);
	int r = look(job, generation_of(future));

	if (r < 0)
		return r;
	if (r == 1) {
		tz_job_outcome(job, ret);
		atomic_store_explicit(&job->observed, 1, memory_order_relaxed);
	} else {
		*ret = (tz_outcome){ .status = TZ_PENDING, .worker = -1 };
		tz_copy_text(ret->task, sizeof ret->task, tz_job_name(job));
	}
	return 0;
}

int tz_crash_raw(tz_handle future, tz_crash *ret)
{
	struct tz_job *job = cell_of(future);
	int r = look(job, generation_of(future));

	if (r < 1)
		return r < 0 ? r : -EAGAIN;
	if (job->status == TZ_OK || !job->failure || !job->failure->crash)
		return -ENOENT;
	*ret = *job->failure->crash;
	return 0;
}

int tz_done_raw(tz_handle future)
{
	return look(cell_of(future), generation_of(future));
}

int tz_running_raw(tz_handle future)
{
	struct tz_job *job = cell_of(future);
	int r = look(job, generation_of(future));

	return r ? (r < 0 ? r : 0) : tz_job_phase(atomic_load_explicit(&job->state, memory_order_relaxed)) == JOB_RUNNING;
}

int tz_state_raw(tz_handle future)
{
	int r = look(cell_of(future), generation_of(future));

	if (r)
		return r < 0 ? r : TZ_TASK_DONE;
	return tz_job_state(cell_of(future), generation_of(future));
}

int tz_cancel_raw(tz_handle future)
{
	struct tz_job *job = cell_of(future);
	int r = look(job, generation_of(future));

	if (r)
		return r < 0 ? r : -EALREADY;
	r = tz_job_cancel(job, generation_of(future), NULL);
	if (r == 0) {
		struct tz_strand *self = tz_strand_peek();

		if (self && self->ops->cancelled)
			self->ops->cancelled(self, job);
	}
	return r;
}

int tz_detach_raw(tz_handle future)
{
	return cell_of(future) ? tz_job_release(cell_of(future), generation_of(future)) : -ESTALE;
}

/* --- many at once ---------------------------------------------------------------------------------------------------- */

static tz_handle handle_at(const tz_handle *futures, size_t stride, size_t i)
{
	return *(const tz_handle *)(const void *)((const char *)futures + i * stride);
}

static int check_all(const tz_handle *futures, size_t stride, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (tz_done_raw(handle_at(futures, stride, i)) < 0)
			return -ESTALE;
	return 0;
}

int tz_wait_all_raw(const tz_handle *futures, size_t stride, size_t n, tz_deadline deadline)
{
	int r = check_all(futures, stride, n);

	/* One after the other: no order of ending matters here, and most have ended by the time we come to them. */
	for (size_t i = 0; r == 0 && i < n; i++)
		r = tz_wait_raw(handle_at(futures, stride, i), deadline);
	return r;
}

static bool ended_badly(tz_handle future)
{
	struct tz_job *job = cell_of(future);

	return tz_done_raw(future) == 1 && job->status != TZ_OK;
}

/* The members of a gathering: on the stack if they are few. */
enum { FEW = 16 };

static int wait_for_one(const tz_handle *futures, size_t stride, size_t n, tz_deadline deadline, bool failures_only)
{
	struct tz_member few[FEW], *members = n <= FEW ? few : malloc(n * sizeof *members);
	struct tz_gathering gathering = { 0 };
	struct tz_member *m;
	int r;

	if (!members)
		return -ENOMEM;
	r = tz_gathering_init(&gathering, members, futures, stride, n);
	if (r == 0) {
		do
			r = tz_gathering_next(&gathering, deadline, &m);
		while (r == 0 && failures_only && m->status == TZ_OK);
		if (r == 0)
			r = (int)m->index;
		else if (r == -ENOENT)
			r = (int)n;
		tz_gathering_done(&gathering, members);
	}
	if (members != few)
		free(members);
	return r;
}

int tz_wait_any_raw(const tz_handle *futures, size_t stride, size_t n, tz_deadline deadline)
{
	if (n == 0 || n > INT_MAX)
		return -EINVAL;
	tz_strand_count_call();
	int r = check_all(futures, stride, n);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (tz_done_raw(handle_at(futures, stride, i)) == 1)
			return (int)i;
	return r < 0 ? r : wait_for_one(futures, stride, n, deadline, false);
}

int tz_wait_first_failure_raw(const tz_handle *futures, size_t stride, size_t n, tz_deadline deadline)
{
	if (n > INT_MAX)
		return -EINVAL;
	tz_strand_count_call();
	int r = check_all(futures, stride, n);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (ended_badly(handle_at(futures, stride, i)))
			return (int)i;
	return r < 0 || n == 0 ? r : wait_for_one(futures, stride, n, deadline, true);
}

int tz_gather_raw(const tz_handle *futures, size_t stride, size_t n)
{
	struct tz_strand *self = tz_strand_self();
	int r = tz_wait_all_raw(futures, stride, n, tz_never());
	bool failed = false;

	if (r < 0)
		return tz_remember_no_answer(self, NULL, r);
	for (size_t i = 0; i < n; i++) {
		tz_handle h = handle_at(futures, stride, i);
		struct tz_job *job = cell_of(h);

		if (!failed && meet(self, job) < 0)
			failed = true; /* the first by index is remembered; the others are seen, too */
		atomic_store_explicit(&job->observed, 1, memory_order_relaxed);
		(void)tz_job_release(job, generation_of(h));
	}
	return failed ? -EREMOTEIO : 0;
}

/* --- as they end ------------------------------------------------------------------------------------------------------- */

struct tz_completed {
	struct tz_gathering gathering;
	struct tz_member members[];
};

int tz_as_completed_raw(tz_completed **ret, const tz_handle *futures, size_t stride, size_t n)
{
	tz_completed *c;

	if (n > INT_MAX)
		return -EINVAL;
	c = calloc(1, sizeof *c + n * sizeof *c->members);
	if (!c)
		return -ENOMEM;
	int r = tz_gathering_init(&c->gathering, c->members, futures, stride, n);

	if (r < 0) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int tz_completed_next(tz_completed *completed, tz_deadline deadline)
{
	struct tz_member *m;
	int r = tz_gathering_next(&completed->gathering, deadline, &m);

	return r < 0 ? r : (int)m->index;
}

void tz_completed_close(tz_completed *completed)
{
	if (!completed)
		return;
	tz_gathering_done(&completed->gathering, completed->members);
	free(completed);
}
