/* The workers' lives: starting them, and what becomes of their jobs when they die. See farm.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/outcome.h"
#include "exec/process/farm.h"
#include "os/clock.h"

enum {
	MOST_BAD_BIRTHS =
		10, /* workers in a row that died before they were ready, without a setup that could be to blame */
	RETRY_NS = 100000000, /* after a start that failed */
	MOST_KILLS = 2 /* workers that a job may take along */
};

/* --- birth ------------------------------------------------------------------------------------------------------------------ */

static struct farm_hand *new_hand(struct farm *farm, int index)
{
	struct farm_hand *h = aligned_alloc(64, (sizeof *h + 63) / 64 * 64);

	if (!h)
		return NULL;
	memset((void *)h, 0, sizeof *h);
	h->farm = farm;
	h->index = index;
	return h;
}

static void note_failed_start(struct farm *farm, int why)
{
	farm->failed_starts++;
	farm->start_error = why;
	farm->start_after = tz_clock_now() + RETRY_NS;
}

struct farm_hand *farm_want_hand(struct farm *farm)
{
	struct farm_hand *h;
	int i = 0, r;

	while (i < farm->executor.workers && farm->hands[i] && farm->hands[i]->state != HAND_ABSENT)
		i++;
	if (i == farm->executor.workers || farm->broken ||
	    (farm->start_after && tz_clock_now() < farm->start_after))
		return NULL;
	if (!farm->hands[i])
		farm->hands[i] = new_hand(farm, i);
	h = farm->hands[i];
	r = h ? tz_lane_open(&h->lane) : -ENOMEM;
	if (r < 0) {
		note_failed_start(farm, r);
		farm_alert(farm); /* the next try is its */
		return NULL;
	}
	h->state = HAND_WANTED;
	h->first = h->lane.published;
	h->used = tz_clock_now();
	return h;
}

static void on_exit_of_worker(struct tz_child *child, const struct tz_child_exit *how, void *arg)
{
	struct farm_hand *h = arg;
	struct farm *farm = h->farm;
	FARM_ENDS(ends);

	(void)child;
	/* The farm may be freed as soon as it knows of the last death, but for its guests. */
	__atomic_fetch_add(&farm->executor.guests, 1, __ATOMIC_ACQUIRE);
	h->how = *how;
	atomic_store_explicit(&h->dead, true, memory_order_release);
	tz_mutex_lock(&farm->lock);
	farm_bury(farm, &ends);
	tz_mutex_unlock(&farm->lock);
	farm_tell(farm, &ends);
	tz_bell_rouse(farm->bell); /* it may have taken a ring with it */
	farm_alert(farm);
	tz_executor_leave(&farm->executor);
}

static int make_slate(struct farm_slate **ret, int *ret_fd)
{
	int fd = tz_segment_file("trenza-slate", sizeof(struct farm_slate)), r;
	void *map;

	if (fd < 0)
		return fd;
	r = tz_segment_map_loosely(fd, sizeof(struct farm_slate), &map);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	*ret = map;
	*ret_fd = fd;
	return 0;
}

static int start_child(struct farm_hand *h, int slate_fd, int err_fd)
{
	struct farm *farm = h->farm;
	int fds[WORKER_FDS + TZ_GIVER_MAX], r;
	char name[96];
	rlim_t size = farm->executor.options.stack_size;
	struct tz_child_limit stack = { RLIMIT_STACK, { size, size } };
	struct tz_child_start start = {
		.method = farm->method,
		.entry = TZ_CHILD_WORKER,
		.blob = farm->setup,
		.size = farm->setup_size,
		.fds = fds,
		.nfds = WORKER_FDS + (int)farm->giver.n,
		.in = TZ_CHILD_NULL,
		.err = err_fd + 1,
		.name = name,
		.may_start = true,
		.insist = true, /* whoever says start=fork knows that we have threads */
		.on_exit = on_exit_of_worker,
		.arg = h,
		.limits = &stack,
		.nlimits = farm->executor.options.stack_size ? 1 : 0,
	};

	tz_lane_fds(&h->lane, fds);
	fds[WORKER_FD_BELL] = farm->bell_fd;
	fds[WORKER_FD_SLATE] = slate_fd;
	for (unsigned i = 0; i < farm->giver.n; i++)
		fds[WORKER_FDS + i] = farm->giver.refs[i]->fd;
	farm->setup->index = h->index; /* one start at a time */
	(void)snprintf(name, sizeof name, "%s-%d", farm->executor.name, h->index);
	r = tz_child_ask(&h->child, &start);
	if (r == 0)
		tz_lane_close_fds(&h->lane);
	return r;
}

/* Asks for it. Without the lock: nobody else touches these fields of a worker that is wanted. */
static int start_process(struct farm_hand *h)
{
	int slate_fd, err_fd, r = make_slate(&h->slate, &slate_fd);

	if (r < 0)
		return r;
	r = farm_tail_open(&h->tail, &err_fd);
	if (r == 0) {
		r = start_child(h, slate_fd, err_fd);
		(void)close(err_fd);
	}
	(void)close(slate_fd);
	return r;
}

/* Everything of a process that is not there any more; its jobs have been seen to. */
static void clear(struct farm_hand *h)
{
	tz_lane_close(&h->lane);
	tz_child_unref(h->child);
	h->child = NULL;
	if (h->slate)
		(void)munmap(h->slate, sizeof(struct farm_slate));
	h->slate = NULL;
	if (h->tail)
		farm_tail_close(h->tail);
	h->tail = NULL;
	if (h->taught)
		memset(h->taught, 0, h->ntaught);
	h->backlog_ns = h->kill_at = 0;
	h->slow = h->unwell = h->told = h->killed = h->shot = false;
	atomic_store_explicit(&h->dead, false, memory_order_relaxed);
}

/* It could not be started. */
static void call_off(struct farm *farm, struct farm_hand *h, int why)
{
	farm_take_back(farm, h, h->in_flight);
	h->in_flight = 0;
	clear(h);
	h->state = HAND_ABSENT;
	note_failed_start(farm, why);
}

static bool has_workers(const struct farm *farm)
{
	for (int i = 0; i < farm->executor.workers; i++)
		if (farm->hands[i] && farm->hands[i]->state == HAND_PRESENT)
			return true;
	return false;
}

/* One step of the start of those that are wanted, and that it is the turn of. */
static void step(struct farm *farm, bool asked, int (*take)(struct farm_hand *h),
		 void (*taken)(struct farm *farm, struct farm_hand *h))
{
	for (int i = 0; i < farm->executor.workers; i++) {
		struct farm_hand *h = farm->hands[i];
		int r;

		if (!h || h->state != HAND_WANTED || (h->child != NULL) != asked)
			continue;
		tz_mutex_unlock(&farm->lock);
		r = take(h);
		tz_mutex_lock(&farm->lock);
		if (r < 0)
			call_off(farm, h, r);
		else if (taken)
			taken(farm, h);
	}
}

static int await_process(struct farm_hand *h)
{
	return tz_child_await_start(h->child);
}

static void note_presence(struct farm *farm, struct farm_hand *h)
{
	h->state = HAND_PRESENT;
	h->used = h->head_since = tz_clock_now();
	farm->failed_starts = 0;
	farm->start_after = 0;
}

/* All are asked for before any is waited for: one begins while the next is made. */
void farm_start_wanted(struct farm *farm, uint64_t *until)
{
	step(farm, false, start_process, NULL);
	step(farm, true, await_process, note_presence);
	if (farm->start_after && farm_has_work(farm) && (*until == 0 || farm->start_after < *until))
		*until = farm->start_after;
}

/* --- death ------------------------------------------------------------------------------------------------------------------- */

void farm_kill(struct farm_hand *h)
{
	h->killed = true;
	if (h->child)
		(void)tz_child_signal(h->child, SIGKILL);
}

int farm_kill_workers(tz_executor *executor)
{
	struct farm *farm = farm_of(executor);
	int n = 0;

	tz_mutex_lock(&farm->lock);
	for (int i = 0; i < farm->executor.workers; i++) {
		struct farm_hand *h = farm->hands[i];

		if (h && (h->state == HAND_PRESENT || h->state == HAND_LEAVING) && !h->shot &&
		    !atomic_load_explicit(&h->dead, memory_order_acquire)) {
			h->shot = true;
			(void)tz_child_signal(h->child, SIGKILL);
			n++;
		}
	}
	tz_mutex_unlock(&farm->lock);
	return n;
}

void farm_break(struct farm *farm, struct farm_ends *ends, int code, const char *why)
{
	struct tz_job *job;

	if (!farm->broken) {
		farm->broken = code ? code : -ECANCELED;
		(void)snprintf(farm->broken_why, sizeof farm->broken_why,
			       "the executor is broken: %s", why);
	}
	while ((job = farm_pop(farm)))
		farm_end(farm, ends, job, TZ_FAILED,
			 tz_failure_new(farm->broken, farm->broken_why));
}

/* How a worker ended, as it is told of the job that it died of. */
struct death {
	struct tz_child_exit how;
	bool unwell; /* it wrote nonsense */
	bool shot; /* by tz_executor_kill_workers */
	bool taught; /* it had not come to the job, but was told what that is of */
	bool meant; /* we killed it because of that job, which becomes `status` */
	tz_status status;
	uint64_t ran_ns;
	char tail[TZ_CRASH_TEXT]; /* of its standard error */
};

/* As much of the end of what it wrote as there is room for, in one line. */
static void last_words(char *text, const char *tail, size_t size)
{
	size_t n = strlen(tail);

	while (n && (tail[n - 1] == '\n' || tail[n - 1] == ' '))
		n--;
	size_t from = n >= size ? n - (size - 1) : 0;

	memcpy(text, tail + from, n - from);
	text[n - from] = '\0';
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
}

static void fill_in(tz_crash *c, const struct death *d)
{
	c->pid = (int)d->how.pid;
	c->signal = d->how.signal;
	c->exit_code = d->how.signal || d->how.lost ? -1 : d->how.code;
	c->core = d->how.core;
	c->seconds = (double)d->ran_ns / 1e9;
	c->peak_bytes = (size_t)d->how.peak_bytes;
	memcpy(c->text, d->tail, sizeof c->text);
}

/* The cause, in words. */
static void describe(struct tz_failure *f, const struct death *d)
{
	const struct tz_child_exit *how = &d->how;
	const char *name = how->signal ? sigabbrev_np(how->signal) : NULL;
	char end[48];
	int n;

	if (how->signal)
		(void)snprintf(end, sizeof end, "killed by SIG%s%s", name ? name : "?",
			       how->core ? " (core dumped)" : "");
	else if (how->lost)
		(void)snprintf(end, sizeof end, "its worker was lost");
	else
		(void)snprintf(end, sizeof end, "ended by exit(%d)", how->code);
	n = snprintf(f->message, sizeof f->message, "%s in process %d after %.3f s, peak %.1f MB",
		     end, (int)how->pid, (double)d->ran_ns / 1e9, (double)how->peak_bytes / 1e6);
	static const char before[] = "; stderr: ";
	size_t room = n > 0 && (size_t)n < sizeof f->message ? sizeof f->message - (size_t)n : 0;

	if (d->tail[0] && room > sizeof before + 8) {
		memcpy(f->message + n, before, sizeof before);
		last_words(f->message + n + sizeof before - 1, d->tail, room - (sizeof before - 1));
	}
}

static int code_of(const struct death *d)
{
	if (d->meant)
		return d->status == TZ_TIMED_OUT ? -ETIMEDOUT : -ECANCELED;
	return d->unwell ? -EPROTO : d->how.signal ? -EINTR : -ECANCELED;
}

static struct tz_failure *cause_of(const struct death *d)
{
	struct tz_failure *f = tz_failure_new_crash(code_of(d));

	if (!f)
		return NULL;
	f->signal = d->how.signal;
	fill_in(f->crash, d);
	if (d->meant)
		(void)snprintf(f->message, sizeof f->message,
			       "%s and did not end; process %d was killed",
			       d->status == TZ_TIMED_OUT ? "its deadline passed while it ran"
							 : "cancelled while it ran",
			       (int)d->how.pid);
	else if (d->unwell)
		tz_copy_text(f->message, sizeof f->message,
			     "its worker wrote nonsense into its lane, and was killed");
	else
		describe(f, d);
	return f;
}

/* One of several calls, which alone has crashed. The others go on. */
static void blame_call(struct farm *farm, struct tz_job *job, const struct death *d,
		       struct farm_ends *ends)
{
	struct farm_parcel *p = job->parcel;

	if (d->shot || !farm_may_repeat_call(p))
		farm_blame_call(p, cause_of(d), job->worker);
	else
		p->calls->crashed = p->calls->called + 1;
	farm_go_on(farm, job, ends);
}

/* The job that the worker died of. */
static void blame(struct farm *farm, struct tz_job *job, const struct death *d,
		  struct farm_ends *ends)
{
	const struct farm_parcel *p = job->parcel;

	if (p && p->calls && !d->meant && !d->taught) {
		blame_call(farm, job, d, ends);
		return;
	}
	if (!d->meant && job->options && !d->shot && ++job->options->kills < MOST_KILLS &&
	    farm_try_again(farm, job))
		return;
	struct tz_failure *f = cause_of(d);

	if (f && !d->meant && farm_has_tries_left(job) && job->options->kills >= MOST_KILLS) {
		size_t n = strlen(f->message);

		(void)snprintf(f->message + n, sizeof f->message - n, "; not tried again");
	}
	farm_end(farm, ends, job, d->meant ? d->status : TZ_CRASHED, f);
}

/* How far it had come. A worker that was not ready by then, and that nobody killed, has failed. */
static void judge_birth(struct farm *farm, struct farm_hand *h, struct farm_ends *ends)
{
	uint32_t phase = atomic_load_explicit(&h->slate->phase, memory_order_acquire);
	bool has_setup = farm->setup->has_initializer || farm->setup->name_size;
	char why[TZ_MESSAGE_MAX];

	if (phase == PHASE_READY || phase == PHASE_RETIRED) {
		farm->bad_births = 0;
		return;
	}
	if (h->killed || h->shot ||
	    ++farm->bad_births < (has_setup ? FARM_MOST_STARTS : MOST_BAD_BIRTHS))
		return;
	if (phase == PHASE_BROKEN) {
		char message[TZ_MESSAGE_MAX];

		memcpy(message, h->slate->message, sizeof message);
		message[sizeof message - 1] = '\0';
		farm_break(farm, ends, atomic_load_explicit(&h->slate->code, memory_order_relaxed),
			   message);
		return;
	}
	(void)snprintf(why, sizeof why, "its workers end while they begin: %s %d",
		       h->how.signal ? "signal" : "exit code",
		       h->how.signal ? h->how.signal : h->how.code);
	farm_break(farm, ends, -ECANCELED, why);
}

/* What can be known of a piece of a map that the worker died of: at which element, and the results before that. */
static void salvage(const struct farm_hand *h, struct tz_job *job)
{
	const struct farm_parcel *p = job->parcel;

	if (p && p->calls)
		farm_salvage_calls(job->parcel, h->slate, h->first, h->index);
	else if (p && p->chunk)
		farm_salvage_chunk(p->chunk, p->plan, h->slate, h->first);
}

/* A worker runs one task at a time, so only one that wrote nonsense has claimed more than the one that is blamed. Nobody knows what it did with those. */
static void end_claimed(struct farm *farm, const struct farm_hand *h, uint32_t claimed,
			struct farm_ends *ends)
{
	for (uint32_t i = 1; i < claimed; i++) {
		struct tz_job *job = h->jobs[(h->first + i) % TZ_LANE_SLOTS];

		if (job)
			farm_end(
				farm, ends, job, TZ_CRASHED,
				tz_failure_new(-EPROTO, "its worker wrote nonsense into its lane"));
	}
}

static void bury(struct farm *farm, struct farm_hand *h, struct farm_ends *ends)
{
	struct tz_lane_end end;
	struct tz_job *blamed = NULL;
	struct death death = { .how = h->how };

	(void)farm_collect_hand(farm, h, ends);
	tz_lane_classify(&h->lane, &end);
	uint32_t rest = end.left < h->in_flight ? end.left : h->in_flight;

	for (uint32_t i = rest; i-- > 0;) {
		struct tz_job *job = h->jobs[(end.first + i) % TZ_LANE_SLOTS];

		if (job)
			farm_push_again(farm, job);
		h->in_flight--;
	}
	uint32_t odd = h->in_flight;

	if (odd) {
		blamed = h->jobs[h->first % TZ_LANE_SLOTS];
		/* It died while it was taught a task. If that happens again, that is the fault of who
		 * wants it. */
		if (!blamed && !h->shot &&
		    ++h->tasks[h->first % TZ_LANE_SLOTS]->deaths >= MOST_KILLS &&
		    farm->again_count) {
			blamed = farm_pop(farm);
			death.taught = true;
		}
	}
	judge_birth(farm, h, ends);
	if (blamed && !death.taught)
		salvage(h, blamed);
	death.ran_ns = tz_clock_now() - h->head_since;
	death.unwell = h->unwell || end.broken;
	death.shot = h->shot;
	death.meant = h->killed && !death.unwell && h->kill_number == h->first;
	death.status = h->kill_status;
	if (blamed) {
		farm_tail_read(h->tail, death.tail, sizeof death.tail);
		blame(farm, blamed, &death, ends);
	}
	end_claimed(farm, h, odd, ends);
	h->in_flight = 0;
	h->state = HAND_BURIED;
}

void farm_clear_buried(struct farm *farm)
{
	for (int i = 0; i < farm->executor.workers; i++) {
		struct farm_hand *h = farm->hands[i];

		if (!h || h->state != HAND_BURIED)
			continue;
		tz_mutex_unlock(&farm->lock); /* nobody else looks at it in this state */
		clear(h);
		tz_mutex_lock(&farm->lock);
		h->state = HAND_ABSENT;
	}
}

void farm_bury(struct farm *farm, struct farm_ends *ends)
{
	for (int i = 0; i < farm->executor.workers; i++) {
		struct farm_hand *h = farm->hands[i];

		if (h && (h->state == HAND_PRESENT || h->state == HAND_LEAVING) && !h->collecting &&
		    atomic_load_explicit(&h->dead, memory_order_acquire))
			bury(farm, h, ends);
	}
	if (farm->failed_starts >= FARM_MOST_STARTS && !has_workers(farm)) {
		char why[96];

		(void)snprintf(why, sizeof why, "its workers cannot be started: %s",
			       strerrordesc_np(-farm->start_error));
		farm_break(farm, ends, farm->start_error, why);
	}
	if (farm->broken)
		farm_break(farm, ends, farm->broken, NULL);
}
