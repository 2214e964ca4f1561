/* The range: handing out the elements of a map in chunks, and remembering the first failure.
 *
 * Design notes
 *
 * Guided self-scheduling. The elements lie behind one counter; whoever has time takes the next chunk. A chunk is meant to last about
 * CHUNK_US, so that the counter (one fetch-and-add a chunk) costs nothing, but is never more than a quarter of an even share of what is left,
 * so that all end at about the same time. How long an element takes is measured, chunk by chunk. The caller begins alone, with one element,
 * then GROWTH times as many, then GROWTH * FASTER times as many as that, and so on, for ALONE_US: a map of cheap elements is over before
 * anybody needs to be woken, and after few chunks, each of which costs a clock and the start of a loop.
 * (C. Polychronopoulos and D. Kuck, "Guided Self-Scheduling", 1987.) Lazy binary splitting, the other candidate, needs deques, cannot split what a worker that
 * does not poll holds, and measured no better: docs/decisions.md.
 *
 * First failure. The error of a map is that of its lowest failed element, whatever the number of workers: when element i fails, `stop` falls to
 * i + 1, so that nothing behind it is begun, but everything before it still is, and may lower it again. Chunks are taken in order, so
 * what lies before i has been taken already; a chunk that has been taken is run to its end, or to its own first failure.
 * model/range.pml has this.
 *
 * A chunk runs with a frame of its own around the user's code, so that tz_fail finds the element by the frame's cursor, and so that the
 * caller's job is not what fails. Waits inside obey the caller's deadline, and are cancelled with it.
 */
#include "core/range.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/frame.h"
#include "core/outcome.h"
#include "core/scope.h"
#include "core/strand.h"
#include "os/clock.h"

enum {
	CHUNK_US = 50, /* what a chunk is meant to last: long beside a fetch-and-add and a clock, short beside a wake-up chain */
	WORTH_US = 20, /* work that is worth one more wake-up */
	ALONE_US = 8, /* that the caller works before it looks whether others are worth waking */
	GROWTH = 8, /* of the caller's first chunks: from the first to the second, */
	FASTER = 4, /* and from one to the next so many times more */
	LINE = 8 /* of so many elements are most chunks a multiple */
};

int tz_range_workers(const tz_range *range)
{
	return range->workers;
}

int tz_range_worth(const tz_range *range)
{
	size_t next = atomic_load_explicit(&range->next, memory_order_relaxed);
	uint64_t per_4096 = atomic_load_explicit(&range->ticks_per_4096, memory_order_relaxed);

	if (next >= range->end)
		return 0;
	if (per_4096 == 0)
		return range->workers - 1; /* the first chunk is still running: long elements */
	double us = (double)(range->end - next) * (double)per_4096 / 4096 / (double)tz_clock_ticks_per_us();
	double worth = us / WORTH_US;

	return worth >= range->workers - 1 ? range->workers - 1 : (int)worth;
}

/* How many elements the next chunk has. */
static size_t chunk_size(const struct tz_range *r, size_t next)
{
	size_t left = r->end - next, share, by_time;
	uint64_t per_4096 = atomic_load_explicit(&r->ticks_per_4096, memory_order_relaxed);

	if (r->fixed_chunk)
		return r->fixed_chunk;
	if (per_4096 == 0)
		return 1;
	by_time = (size_t)((double)CHUNK_US * (double)tz_clock_ticks_per_us() * 4096 / (double)(per_4096 ? per_4096 : 1));
	share = left / (4 * (size_t)r->workers);
	if (r->workers == 1 || by_time >= left)
		share = left; /* alone, or the whole rest is shorter than a chunk: nobody else is worth waking */
	if (share < by_time)
		by_time = share;
	if (by_time > LINE && by_time < left)
		by_time -= by_time % LINE;
	return by_time ? by_time : 1;
}

static void measure(struct tz_range *r, uint64_t ticks, size_t n)
{
	uint64_t now = (uint64_t)((double)ticks * 4096 / (double)n), old;

	old = atomic_load_explicit(&r->ticks_per_4096, memory_order_relaxed);
	if (now == 0)
		now = 1;
	atomic_store_explicit(&r->ticks_per_4096, old ? (old + now + 1) / 2 : now, memory_order_relaxed);
}

/* Keeps the failure with the lowest element; takes over its memory. */
static void note_failure(struct tz_range *r, size_t element, int code, struct tz_failure *failure, int worker)
{
	tz_mutex_lock(&r->lock);
	if (element < r->failed_at) {
		struct tz_failure *older = r->failure;

		r->failed_at = element;
		r->failed_code = code;
		r->failed_worker = worker;
		r->failure = failure;
		failure = older;
		if (r->policy == TZ_MAP_STOP && element + 1 < atomic_load_explicit(&r->stop, memory_order_relaxed))
			atomic_store_explicit(&r->stop, element + 1, memory_order_relaxed);
	}
	tz_mutex_unlock(&r->lock);
	free(failure);
}

static void note_outcome(struct tz_range *r, size_t element, const struct tz_frame *frame)
{
	tz_outcome *o = &r->outcomes[element - r->begin];

	*o = (tz_outcome){ .status = frame->failed ? TZ_FAILED : TZ_OK, .code = frame->failed ? frame->code : 0,
			   .worker = frame->worker };
	tz_copy_text(o->task, sizeof o->task, r->task ? r->task->name : "for");
	if (frame->failed && frame->failure)
		tz_copy_text(o->message, sizeof o->message, frame->failure->message);
}

/* Outcomes are pending until somebody has come to their elements. */
static void begin_outcomes(struct tz_range *r)
{
	for (size_t i = 0; r->outcomes && i < r->end - r->begin; i++)
		r->outcomes[i].status = TZ_PENDING;
}

/* Nobody will come to the others. */
static void end_outcomes(struct tz_range *r)
{
	bool late = r->interrupted == -ETIMEDOUT;

	for (size_t i = 0; r->outcomes && i < r->end - r->begin; i++) {
		tz_outcome *o = &r->outcomes[i];

		if (o->status != TZ_PENDING)
			continue;
		*o = (tz_outcome){ .status = late ? TZ_TIMED_OUT : TZ_CANCELLED, .code = late ? -ETIMEDOUT : -ECANCELED, .worker = -1 };
		tz_copy_text(o->task, sizeof o->task, r->task->name);
		tz_copy_text(o->message, sizeof o->message, "not called");
	}
}

/* One piece that runs. */
struct tz_range_run {
	struct tz_frame frame;
	struct tz_range *range;
	struct tz_strand *strand;
	struct tz_cursor cursor;
	struct tz_range_run *next, **at; /* in range->runs, if it is not the caller's */
	size_t end; /* of the chunk */
	bool returned;
};

/* Field by field: zeros for all of it would take longer than a short piece. */
static void set_up_run(struct tz_range_run *run, struct tz_range *r, size_t end)
{
	run->range = r;
	run->next = NULL;
	run->at = NULL;
	run->end = end;
	run->returned = false;
}

/* Makes the piece known to tz_range_interrupt. The caller's own strand is woken by its scope. */
static void link_run(struct tz_range_run *run)
{
	struct tz_range *r = run->range;

	if (run->strand == r->strand)
		return;
	tz_mutex_lock(&r->lock);
	run->next = r->runs;
	run->at = &r->runs;
	if (run->next)
		run->next->at = &run->next;
	r->runs = run;
	tz_mutex_unlock(&r->lock);
}

static void unlink_run(struct tz_range_run *run)
{
	if (run->strand == run->range->strand)
		return;
	tz_mutex_lock(&run->range->lock); /* guards `at`, too: a neighbour moves it */
	if (run->at)
		*run->at = run->next;
	if (run->next)
		run->next->at = run->at;
	tz_mutex_unlock(&run->range->lock);
}

void tz_range_interrupt(struct tz_range *r, int why)
{
	tz_mutex_lock(&r->lock);
	r->interrupted = why;
	atomic_store_explicit(&r->stop, 0, memory_order_relaxed);
	for (struct tz_range_run *run = r->runs; run; run = run->next)
		tz_strand_unpark(run->strand);
	tz_mutex_unlock(&r->lock);
}

static void run_chunk(struct tz_range *r, size_t lo, size_t hi, int worker);

/* The element's code left by pthread_exit: the range goes on without it. If all elements are to be called, the rest of the chunk is, here and now:
 * nobody else would. That comes last, since one of them may leave in the same way. The caller itself, when it leaves, needs no more results. */
static void on_unwind(struct tz_range_run *run)
{
	if (__builtin_expect(run->returned, 1))
		return;
	struct tz_range *r = run->range;
	size_t element = (size_t)(uintptr_t)run->cursor.at, end = run->end;
	int worker = run->frame.worker;

	unlink_run(run);
	tz_frame_join_forks(&run->frame, run->strand); /* thieves use the frame */
	tz_frame_settle(&run->frame, run->strand, true);
	tz_frame_unwound(&run->frame);
	if (r->outcomes)
		note_outcome(r, element, &run->frame);
	tz_frame_leave(&run->frame, run->strand);
	if (run->frame.inherits)
		tz_frame_unbind(&run->frame, run->strand);
	note_failure(r, element, -ECANCELED, run->frame.failure, worker);
	if (r->policy == TZ_MAP_ALL && run->strand != r->strand && element + 1 < end)
		run_chunk(r, element + 1, end, worker);
}

static void begin_run(struct tz_range_run *run, int worker)
{
	struct tz_range *r = run->range;

	run->strand = tz_strand_self();
	tz_frame_enter(&run->frame, run->strand, r->caller ? r->caller->job : NULL, tz_never(), worker);
	run->frame.scope.tz__parent = r->scope; /* ends with the caller's */
	if (tz_bindings_are_used())
		tz_frame_bind(&run->frame, run->strand, tz_bindings_ref(r->bindings));
	run->frame.cursor = &run->cursor;
	link_run(run);
}

static void end_run(struct tz_range_run *run, size_t lo)
{
	struct tz_range *r = run->range;
	struct tz_frame *frame = &run->frame;

	run->returned = true;
	unlink_run(run);
	tz_frame_join_forks(frame, run->strand);
	tz_frame_settle(frame, run->strand, false);
	if (r->outcomes)
		note_outcome(r, lo, frame);
	tz_frame_leave(frame, run->strand);
	if (frame->inherits)
		tz_frame_unbind(frame, run->strand);
	if (__builtin_expect(frame->failed, 0))
		note_failure(r, frame->failure ? frame->failure->element : lo, frame->code, frame->failure, frame->worker);
}

static void run_body(struct tz_range_run *run, size_t lo, size_t hi)
{
	run->cursor.at = (const struct tz_cursor *)(uintptr_t)lo;
	run->range->body(run->range, lo, hi, &run->cursor);
}

/* Runs [lo, hi), of a chunk that goes to `end`, in one frame. */
static void run_piece(struct tz_range *r, size_t lo, size_t hi, size_t end, int worker)
{
	struct tz_range_run run __attribute__((cleanup(on_unwind)));

	set_up_run(&run, r, end);
	begin_run(&run, worker);
	run_body(&run, lo, hi);
	end_run(&run, lo);
}

static void run_chunk(struct tz_range *r, size_t lo, size_t hi, int worker)
{
	if (!r->outcomes) {
		run_piece(r, lo, hi, hi, worker);
		return;
	}
	for (size_t i = lo; i < hi && i < atomic_load_explicit(&r->stop, memory_order_relaxed); i++)
		run_piece(r, i, i + 1, hi, worker);
}

/* Takes at most n elements; 0 if there are none left. */
static size_t take(struct tz_range *r, size_t n, size_t *lo)
{
	size_t next = atomic_fetch_add_explicit(&r->next, n, memory_order_acquire);
	size_t stop = atomic_load_explicit(&r->stop, memory_order_relaxed);

	if (next >= stop) {
		/* Keeps it from running away over many calls. Release, acquire above: who is given elements again that somebody has taken
		 * meanwhile, with an older `stop`, sees the newer one. */
		atomic_fetch_sub_explicit(&r->next, n, memory_order_release);
		return 0;
	}
	*lo = next;
	return n < r->end - next ? n : r->end - next;
}

bool tz_range_step(tz_range *r, int worker)
{
	size_t next = atomic_load_explicit(&r->next, memory_order_relaxed), lo;
	int why;

	if (next >= atomic_load_explicit(&r->stop, memory_order_relaxed))
		return false;
	if (r->scope && (why = tz_scope_interrupted(r->scope)) < 0) {
		tz_range_interrupt(r, why);
		return false;
	}
	size_t n = take(r, chunk_size(r, next), &lo);

	if (n == 0)
		return false;
	uint64_t t = tz_clock_ticks();

	run_chunk(r, lo, lo + n, worker);
	t = tz_clock_ticks() - t;
	measure(r, (int64_t)t > 0 ? t : 1, n);
	return true;
}

/* The end of a chunk [lo, hi), moved down to a multiple of LINE elements from the first: loops that the compiler has made of vectors
 * begin aligned then. */
static size_t whole_lines(const struct tz_range *r, size_t lo, size_t hi)
{
	size_t end = hi - (hi - r->begin) % LINE;

	return end > lo ? end : hi;
}

/* The caller's time alone. */
struct solo {
	struct tz_range_run run;
	uint64_t began, now; /* in ticks */
	uint64_t took; /* for the last chunk, which had n elements */
	size_t lo, n; /* next */
	size_t growth; /* of the next chunk */
};

static void on_solo_unwind(struct solo *s)
{
	on_unwind(&s->run);
}

static void run_solo_chunk(struct solo *s, size_t end)
{
	size_t hi = s->n < end - s->lo ? whole_lines(s->run.range, s->lo, s->lo + s->n) : end;
	uint64_t before = s->now;

	run_body(&s->run, s->lo, hi);
	s->n = hi - s->lo;
	s->lo = hi;
	if (hi == end)
		return; /* nobody needs to know */
	s->now = tz_clock_ticks();
	s->took = (int64_t)(s->now - before) > 0 ? s->now - before : 1;
}

/* The next chunk of who works alone: longer than the last, but not beyond what is left of the time. */
static void grow(struct solo *s, uint64_t ticks_left)
{
	if (s->took <= ticks_left / s->growth) {
		s->n *= s->growth;
		s->growth *= FASTER;
	} else {
		size_t fits = (size_t)((double)ticks_left * (double)s->n / (double)s->took);

		s->n = fits > 1 ? fits : 1;
	}
}

/* Whether the caller is to go on alone; if so, n is the size of its next chunk. */
static bool goes_on(struct tz_range *r, struct solo *s, int *why)
{
	uint64_t us = tz_clock_ticks_per_us(), time = (int64_t)(s->now - s->began) > 0 ? s->now - s->began : 0;
	uint64_t budget = r->workers > 1 ? ALONE_US * us : CHUNK_US * us;

	if (r->workers > 1 && time >= budget)
		return false;
	if (time >= budget) { /* alone to the end: go on in chunks, to see a cancel */
		if (r->scope && (*why = tz_scope_interrupted(r->scope)) < 0)
			return false;
		s->began = s->now;
		time = 0;
	}
	grow(s, budget - time);
	return true;
}

/* Works alone for a while, or to the end if nobody else may work: a map that is over by then has woken nobody, and has cost one frame and
 * some clocks. */
static void begin_alone(struct tz_range *r, int worker)
{
	struct solo s __attribute__((cleanup(on_solo_unwind)));
	int why = 0;

	set_up_run(&s.run, r, 0);
	s.took = 1;
	s.lo = r->begin;
	s.n = 1;
	s.growth = GROWTH;
	s.began = s.now = tz_clock_ticks();
	begin_run(&s.run, worker);
	do
		run_solo_chunk(&s, r->end);
	while (s.lo < r->end && !s.run.frame.failed && goes_on(r, &s, &why));
	atomic_store_explicit(&r->next, s.lo, memory_order_relaxed);
	if (s.lo < r->end)
		measure(r, s.took, s.n);
	end_run(&s.run, s.lo);
	if (why < 0)
		tz_range_interrupt(r, why);
}

/* --- executors without an operation of their own: pieces are jobs ------------------------------------------------------- */

static void run_piece_job(void *result, const void *args)
{
	struct tz_range *range;

	(void)result;
	memcpy(&range, args, sizeof range);
	while (tz_range_step(range, tz_worker_index()))
		;
}

static const tz_task piece_task = { .name = "map", .run = run_piece_job, .args_size = sizeof(struct tz_range *) };

struct pieces {
	tz_handle *handles;
	int submitted, awaited;
	int refused; /* why one did not run */
};

/* Until all have ended, or the scope ends the wait: then those that sleep in an element are woken, to see that. */
static void hear_scope(struct tz_range *r, const struct pieces *p)
{
	for (int i = 0; i < p->submitted; i++) {
		int why = tz_wait_raw(p->handles[i], tz_never());

		if (why == -ECANCELED || why == -ETIMEDOUT) {
			tz_range_interrupt(r, why);
			return;
		}
	}
}

/* Without ear for the scope, since they use our frame. Also when a piece that we helped with leaves by
 * pthread_exit, and we with it. */
static void wait_for_pieces(struct pieces *p)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;

	self->scope = NULL;
	while (p->awaited < p->submitted)
		if (tz_result_raw(p->handles[p->awaited++], NULL, 0) == -EREMOTEIO && self->last.status != TZ_OK)
			p->refused = self->last.code;
	self->scope = scope;
	free(p->handles);
	p->handles = NULL;
}

/* Jobs that step the range. */
static int run_as_jobs(struct tz_range *r)
{
	struct pieces p __attribute__((cleanup(wait_for_pieces))) = {
		.handles = malloc((size_t)r->workers * sizeof *p.handles),
	};

	if (!p.handles)
		return -ENOMEM;
	while (p.submitted < r->workers) {
		p.handles[p.submitted] = tz_submit_raw(r->executor, NULL, &piece_task, &r);
		p.submitted++;
	}
	hear_scope(r, &p);
	wait_for_pieces(&p);
	return tz_range_left(r) && r->failed_at == SIZE_MAX ? p.refused : 0;
}

/* --- the public calls ------------------------------------------------------------------------------------------------------ */

static void report(struct tz_range *r, struct tz_strand *self)
{
	tz_outcome o = { .status = r->failed_status ? r->failed_status : TZ_FAILED, .code = r->failed_code, .worker = r->failed_worker };

	o.signal = r->failure ? r->failure->signal : 0;

	tz_copy_text(o.task, sizeof o.task, r->task ? r->task->name : "for");
	(void)snprintf(o.message, sizeof o.message, "element %zu%s%.120s", r->failed_at, r->failure ? ": " : "",
		       r->failure ? r->failure->message : "");
	tz_remember(self, &o);
}

/* What its body refers to is in the caller's memory only. */
static int refuse_apart(const struct tz_range *r)
{
	return tz_remember_refusal(-ENOTSUP, r->task ? r->task->name : "for",
				   "executor %.40s shares no memory with its caller: use tz_map, which takes arguments along",
				   r->executor->name);
}

/* Also when an element leaves by pthread_exit, and the caller with it. */
static void drop_failure(struct tz_range **r)
{
	free((*r)->failure);
	tz_bindings_unref((*r)->bindings);
}

/* The executor takes nothing new any more, and this is one of its jobs: does all of it here. */
static int run_in_place(struct tz_range *r)
{
	while (tz_range_left(r))
		(void)tz_range_step(r, tz_worker_index());
	return 0;
}

static void map_body(struct tz_range *r, size_t lo, size_t hi, struct tz_cursor *cursor)
{
	r->task->range(r->out, r->in, lo, hi, cursor);
}

static int run_range(struct tz_range *r)
{
	struct tz_range *guarded __attribute__((cleanup(drop_failure), unused)) = r;
	struct tz_strand *self = tz_strand_self();
	int error = 0;

	r->strand = self;
	r->scope = self->scope;
	r->caller = self->frame;
	r->bindings = tz_bindings_ref(self->bindings);
	atomic_store_explicit(&r->stop, r->end, memory_order_relaxed);
	atomic_store_explicit(&r->next, r->begin, memory_order_relaxed);
	if (r->workers <= 0 || r->workers > r->executor->workers)
		r->workers = r->executor->workers;
	if (tz_executor_is_lost(r->executor))
		return -EOWNERDEAD;
	if (!r->accepted && __atomic_load_n(&r->executor->closing, __ATOMIC_RELAXED))
		return tz_remember_no_answer(self, NULL, -ESHUTDOWN); /* also where the caller could do all of it alone */
	bool apart = !(r->executor->ops->capabilities & TZ_CAN_SHARE_MEMORY);

	if (apart && (!r->executor->ops->map || r->body != map_body))
		return refuse_apart(r);
	begin_outcomes(r);
	/* Where workers have an initializer, the caller is no worker: all of it must run on theirs. */
	if (apart) {
		error = r->executor->ops->map(r->executor, r);
	} else if (r->executor->ops->range && !r->executor->options.initializer) {
		int worker = tz_executor_current() == r->executor ? tz_worker_index() : -1;

		if (r->fixed_chunk == 0 && !r->outcomes)
			begin_alone(r, worker);
		while (tz_range_left(r) && tz_range_worth(r) == 0)
			(void)tz_range_step(r, worker);
		if (tz_range_left(r))
			error = r->executor->ops->range(r->executor, r);
	} else {
		error = run_as_jobs(r);
	}
	if (r->accepted && error == -ESHUTDOWN)
		error = run_in_place(r);
	end_outcomes(r);
	if (r->failed_at != SIZE_MAX) {
		report(r, self);
		return -EREMOTEIO;
	}
	if (r->interrupted)
		return tz_remember_no_answer(self, NULL, r->interrupted);
	if (error == 0)
		self->last.status = TZ_OK, self->last.code = 0, self->last.message[0] = '\0';
	return error;
}

static void bound_body(struct tz_range *r, size_t lo, size_t hi, struct tz_cursor *cursor)
{
	const tz_task *task = r->task;
	const char *calls = r->calls;
	char *out = r->out;

	for (size_t i = lo; i < hi; i++) {
		cursor->at = (const struct tz_cursor *)(uintptr_t)i;
		task->run(out ? out + i * task->result_size : NULL, calls ? calls + i * task->args_size : NULL);
	}
}

static void user_body(struct tz_range *r, size_t lo, size_t hi, struct tz_cursor *cursor)
{
	(void)cursor;
	r->user_body(lo, hi, r->user_arg);
}

/* Field by field, like a run. What is called, and with what, follows. */
static bool set_up(struct tz_range *r, tz_executor *executor, const tz_map_options *options, size_t begin, size_t end)
{
	r->task = NULL;
	r->out = NULL;
	r->in = NULL;
	r->calls = NULL;
	r->executor = executor ? executor : tz_executor_default();
	r->begin = begin;
	r->end = end;
	r->fixed_chunk = options ? options->chunk : 0;
	if (r->fixed_chunk > end - begin)
		r->fixed_chunk = end - begin; /* `next` goes beyond the end by some chunks, and must not come round */
	r->workers = options ? options->workers : 0;
	r->policy = options ? options->policy : TZ_MAP_STOP;
	r->kill = options && options->submit.kill;
	r->outcomes = options ? options->outcomes : NULL;
	r->accepted = false;
	atomic_init(&r->ticks_per_4096, 0);
	r->lock = (struct tz_mutex){ 0 };
	r->failed_at = SIZE_MAX;
	r->failed_status = TZ_PENDING;
	r->failure = NULL;
	r->failed_worker = r->failed_code = 0;
	r->runs = NULL;
	r->interrupted = 0;
	return r->executor != NULL;
}

static bool is_map(const tz_task *task, size_t n, const void *out)
{
	return task && task->run && task->name && !(n && task->result_size && !out);
}

int tz_map_raw(tz_executor *executor, const tz_map_options *options, const tz_task *task, size_t n, void *out,
	       const void *const *in)
{
	struct tz_range r;

	if (!is_map(task, n, out) || !task->range)
		return -EINVAL;
	if (!set_up(&r, executor, options, 0, n))
		return -EAGAIN;
	r.body = map_body;
	r.task = task;
	r.out = out;
	r.in = in;
	return n ? run_range(&r) : 0;
}

/* For jobs that see no memory of ours, and so have a place for one array an argument only. */
static int map_columns(tz_executor *executor, const tz_map_options *options, const tz_task *task, size_t n, void *out,
		       const void *calls)
{
	const void *in[TZ_ARGS_MAX] = { NULL };
	size_t offset[TZ_ARGS_MAX], size = 0;

	for (uint32_t k = 0; k < task->nargs; k++) {
		size_t bytes;

		offset[k] = size;
		if (__builtin_mul_overflow(n, task->args[k].size, &bytes) || __builtin_add_overflow(bytes, 63, &bytes) ||
		    __builtin_add_overflow(size, bytes & ~(size_t)63, &size))
			return -ENOMEM;
	}
	char *columns = aligned_alloc(64, size ? size : 64);

	if (!columns)
		return -ENOMEM;
	for (uint32_t k = 0; k < task->nargs; k++) {
		const char *from = calls ? (const char *)calls + task->arg_offset[k] : NULL; /* n may be 0 */
		size_t each = task->args[k].size;

		in[k] = columns + offset[k];
		for (size_t i = 0; i < n; i++)
			memcpy(columns + offset[k] + i * each, from + i * task->args_size, each);
	}
	int r = tz_map_raw(executor, options, task, n, out, in);

	free(columns);
	return r;
}

int tz_map_bound_raw(tz_executor *executor, const tz_map_options *options, const tz_task *task, size_t n, void *out,
		     const void *calls)
{
	struct tz_range r;

	if (!is_map(task, n, out) || (n && task->args_size && !calls))
		return -EINVAL;
	if (!set_up(&r, executor, options, 0, n))
		return -EAGAIN;
	if (!(r.executor->ops->capabilities & TZ_CAN_SHARE_MEMORY))
		return task->range ? map_columns(r.executor, options, task, n, out, calls) : -EINVAL;
	r.body = bound_body;
	r.task = task;
	r.out = out;
	r.calls = calls;
	return n ? run_range(&r) : 0;
}

int tz_map_run(const struct tz_map_call *c)
{
	struct tz_range r;

	if (!set_up(&r, c->executor, &c->options, 0, c->n))
		return -EAGAIN;
	r.body = c->bound ? bound_body : map_body;
	r.task = c->task;
	r.out = c->out;
	r.in = c->in;
	r.calls = c->calls;
	r.accepted = true;
	return c->n ? run_range(&r) : 0;
}

int tz_for_range(tz_executor *executor, const tz_map_options *options, size_t begin, size_t end,
		 void (*body)(size_t lo, size_t hi, void *arg), void *arg)
{
	struct tz_range r;

	if (!body || begin > end || (options && options->outcomes))
		return -EINVAL;
	if (!set_up(&r, executor, options, begin, end))
		return -EAGAIN;
	r.body = user_body;
	r.user_body = body;
	r.user_arg = arg;
	return begin < end ? run_range(&r) : 0;
}
