/* The worker: the other end of a farm, in a process of its own.
 *
 * Design notes
 *
 * A task that comes is run as a job like any other: of an executor of this process alone, which runs jobs when they are submitted. So tz_fail, scopes,
 * deadlines and tz_spawn work inside as they do everywhere, and what the task submits to its own executor runs here.
 *
 * The attendant is a second thread, which waits for requests to end the running task. The main thread publishes the handle of its job before
 * it looks what was asked for, and the attendant writes down what was asked before it looks at the handle (all seq_cst): one of the two sees the other. A
 * handle that is stale by then cancels nothing.
 *
 * Ending. No more tasks: the lane says so. Enough tasks, or too much memory: the worker just stops claiming, and ends; what it has not claimed is given to
 * others. A task that ends its thread by pthread_exit takes the main thread along: on the way out it is answered, and the process ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza/executor_impl.h>

#include "arena/lane.h"
#include "core/frame.h"
#include "core/job.h"
#include "core/outcome.h"
#include "core/strand.h"
#include "exec/process/farm.h"
#include "exec/process/terms.h"
#include "os/atomic.h"
#include "os/clock.h"
#include "os/thread.h"
#include "process/child.h"
#include "shared/giver.h"
#include "wire/codec.h"
#include "wire/plan.h"

enum { MOST_ROOM = 16 << 20 }; /* of a buffer that is kept for the next arguments */

/* A task that this worker was taught. */
struct lesson {
	const tz_task *task; /* NULL: it is not there */
	const struct tz_plan *plan;
	int error;
};

static struct {
	tz_executor executor;
	const struct farm_setup *setup;
	struct tz_lane_worker lane;
	struct tz_bell *bell;
	struct farm_slate *slate;
	struct lesson *lessons;
	size_t nlessons;
	uint32_t done; /* tasks */
	uint64_t resident; /* at first */
	struct tz_segment *refs[TZ_GIVER_MAX]; /* of the setup task; for life */
	void *buffer; /* for arguments that have to be aligned, or left as they are */
	size_t room;
	void *results; /* of a piece of a map */
	size_t results_room;
	struct tz_chunk
		*calls; /* of a piece whose calls have each an outcome of its own, while it runs */
	const struct tz_plan *plan; /* of these */
	size_t noted, kept_at; /* of these: so many are on the slate, up to there */
	struct {
		const struct tz_plan *plan; /* NULL: there are none */
		const void *args;
		const void *const *in; /* or of n calls */
		size_t n;
	} spent; /* arguments of the call that is being answered */
	/* for the attendant */
	_Atomic uint64_t asked; /* as tz_lane_attend answers */
	_Atomic(void *) cell; /* of the running job */
	_Atomic uint64_t generation;
	_Atomic uint32_t number;
} me;

/* --- the executor of this process --------------------------------------------------------------------------------------------- */

static int open_nothing(tz_executor **ret, const tz_executor_options *options)
{
	(void)ret, (void)options;
	return -ENOTSUP;
}

static size_t run_here(tz_executor *executor, tz_job *const *jobs, size_t n, tz_priority priority,
		       int *ret_error)
{
	(void)executor, (void)priority, (void)ret_error;
	for (size_t i = 0; i < n; i++)
		(void)tz_job_run(jobs[i], me.setup->index);
	return n;
}

static int stay_open(tz_executor *executor, tz_shutdown how, tz_deadline deadline)
{
	(void)executor, (void)how, (void)deadline;
	return -EPERM;
}

static void stay_open_anyway(tz_executor *executor, tz_shutdown how)
{
	(void)executor, (void)how;
}

static void no_stats(tz_executor *executor, tz_executor_stats *ret)
{
	(void)executor;
	ret->workers = 1;
}

static void no_end(tz_executor *executor)
{
	(void)executor;
}

static const tz_executor_ops ops = {
	.kind = "processes",
	.summary = "inside a worker",
	.capabilities = TZ_CAN_RUN_AT_SUBMIT | TZ_CAN_SHARE_MEMORY,
	.open = open_nothing,
	.submit = run_here,
	.shutdown = stay_open,
	.request_shutdown = stay_open_anyway,
	.stats = no_stats,
	.destroy = no_end,
};

/* --- answers -------------------------------------------------------------------------------------------------------------------- */

static uint64_t ran_ns(void)
{
	uint64_t ticks = tz_clock_ticks() - tz_lane_begun(&me.lane);

	return (int64_t)ticks > 0 ? ticks * 1000 / tz_clock_ticks_per_us() : 0;
}

/* The values in the arguments. They go before the answer: from then on the parent writes to the bytes in which they lie. */
static void let_values_go(void)
{
	if (!me.spent.plan)
		return;
	if (me.spent.in)
		tz_block_free(me.spent.plan, me.spent.in, me.spent.n);
	else
		tz_args_free(me.spent.plan, me.spent.args);
	me.spent.plan = NULL;
}

/* Whatever the load says that comes from arguments is copied by now. */
static int reply(const struct tz_lane_what *what, const struct tz_lane_load *load)
{
	let_values_go();
	return tz_lane_reply(&me.lane, what, load);
}

static void answer_failure(const tz_outcome *o, uint64_t element)
{
	struct tz_lane_what what = { .code = (uint32_t)o->status, .time = ran_ns() };
	struct term_failure f = { .code = o->code, .element = element };
	struct tz_lane_load load = { .bytes = &f, .size = sizeof f };

	tz_copy_text(f.message, sizeof f.message, o->message);
	(void)reply(&what, &load); /* so small a one cannot fail */
}

static void answer_error(int code, const char *message)
{
	tz_outcome o = { .status = TZ_FAILED, .code = code };

	tz_copy_text(o.message, sizeof o.message, message);
	answer_failure(&o, UINT64_MAX);
}

static int answer_bytes(const void *bytes, size_t size)
{
	struct tz_lane_what what = { .code = TZ_OK, .time = ran_ns() };
	struct tz_lane_load load = { .bytes = bytes, .size = size };

	return reply(&what, &load);
}

static int encode(const struct tz_plan *plan, const void *results, size_t n, bool one, void *to,
		  size_t size, const struct tz_carrier *carrier)
{
	return one ? tz_result_encode(plan, results, to, size, carrier)
		   : tz_results_encode(plan, results, n, to, size, carrier);
}

/* A result, or n of a piece of a map. What is large is encoded where the parent will read it. */
static int answer_encoded(const struct tz_plan *plan, const void *results, size_t n, bool one)
{
	struct tz_giver g;
	struct tz_table_name name;
	void *bytes = NULL;
	int r = 0;

	tz_giver_init(&g, TZ_LANE_REFS, true);
	size_t size = one ? tz_result_size(plan, results, &g.carrier)
			  : tz_results_size(plan, results, n, &g.carrier);

	if (size == SIZE_MAX)
		r = -ENOMEM;
	else if (size > TZ_LANE_SIDE)
		r = tz_lane_reply_room(&me.lane, size, &bytes, &name);
	else if (!(bytes = malloc(size ? size : 1)))
		r = -ENOMEM;
	if (r == 0)
		r = encode(plan, results, n, one, bytes, size, &g.carrier);
	struct tz_lane_what what = { .code = TZ_OK, .time = ran_ns() };
	struct tz_lane_load load = { .bytes = bytes,
				     .size = size,
				     .placed = size > TZ_LANE_SIDE ? &name : NULL,
				     .refs = g.refs,
				     .nrefs = g.n };
	if (r == 0)
		r = reply(&what, &load);
	if (size <= TZ_LANE_SIDE)
		free(bytes);
	tz_giver_done(&g);
	return r;
}

/* Why results could not be sent. */
static void answer_unsent(const struct tz_plan *plan, int error, const char *message)
{
	char text[TZ_MESSAGE_MAX];

	if (error == -ENOTSUP) {
		tz_plan_explain(plan, 0, text, sizeof text);
		message = text;
	}
	answer_error(error, message);
}

static void answer_result(const struct tz_plan *plan, const void *result)
{
	int r = plan->result.flat ? answer_bytes(result, plan->result.size)
				  : answer_encoded(plan, result, 1, true);

	if (!plan->result.flat)
		tz_result_free(plan, result);
	if (r < 0)
		answer_unsent(plan, r, "its result could not be sent");
}

/* --- tasks ------------------------------------------------------------------------------------------------------------------------ */

static bool make_room(size_t n)
{
	size_t room = me.nlessons ? me.nlessons : 16;

	while (room < n)
		room *= 2;
	if (room == me.nlessons)
		return true;
	struct lesson *more = realloc(me.lessons, room * sizeof *more);

	if (!more)
		return false;
	memset(more + me.nlessons, 0, (room - me.nlessons) * sizeof *more);
	me.lessons = more;
	me.nlessons = room;
	return true;
}

static void learn(const struct tz_lane_mail *mail)
{
	struct lesson *l;

	if (mail->what.time)
		tz_lane_drop_fds(&me.lane, (uint32_t)mail->what.time);
	if (!make_room((size_t)mail->what.code + 1)) {
		answer_error(-ENOMEM, NULL);
		return;
	}
	l = &me.lessons[mail->what.code];
	*l = (struct lesson){ 0 };
	l->error = tz_task_resolve(mail->bytes, mail->size, &l->task);
	l->plan = l->error == 0 ? tz_plan_of(l->task) : NULL;
	if (l->error == 0)
		l->error = l->plan ? l->plan->error : -ENOMEM;
	(void)answer_bytes(NULL, 0);
}

static const struct lesson *lesson_of(const struct tz_lane_mail *mail)
{
	const struct lesson *l =
		mail->what.code < me.nlessons ? &me.lessons[mail->what.code] : NULL;

	if (l && l->task && l->error == 0)
		return l;
	answer_error(
		l && l->error ? l->error : -ENOEXEC,
		"its worker does not find the task: the program, or a library of it, was changed meanwhile");
	return NULL;
}

/* The payload in memory of ours, of that alignment. NULL without memory. */
static void *copied(const void *bytes, size_t size, size_t align)
{
	if (size > me.room || ((uintptr_t)me.buffer & (align - 1))) {
		free(me.buffer);
		me.room = (size + 4096) / 4096 * 4096;
		me.buffer = aligned_alloc(align > 64 ? align : 64, me.room);
		if (!me.buffer) {
			me.room = 0;
			return NULL;
		}
	}
	return memcpy(me.buffer, bytes, size);
}

/* Room of that alignment for the payload, which is moved there. NULL without memory. */
static void *aligned(void *bytes, size_t size, size_t align)
{
	return (uintptr_t)bytes & (align - 1) ? copied(bytes, size, align) : bytes;
}

static void let_large_buffer_go(void)
{
	if (me.room <= MOST_ROOM)
		return;
	free(me.buffer);
	me.buffer = NULL;
	me.room = 0;
}

/* The attendant may end the job from here on. */
static void show(tz_handle h, uint32_t number)
{
	atomic_store_explicit(&me.cell, h.tz__cell, memory_order_relaxed);
	atomic_store_explicit(&me.generation, h.tz__generation, memory_order_relaxed);
	tz_store_seq_cst(&me.number, number);
}

static void end_job(tz_handle h, uint32_t why)
{
	if (why == TERM_DEADLINE)
		(void)tz_job_limit(h.tz__cell, (uint32_t)h.tz__generation, (tz_deadline){ 1 });
	else
		(void)tz_cancel_raw(h);
}

/* Whether somebody asked for the end of this task. */
static uint32_t asked_for(uint32_t number)
{
	uint64_t asked = atomic_load_explicit(&me.asked, memory_order_seq_cst);

	return (uint32_t)asked == number ? (uint32_t)(asked >> 32) : 0;
}

/* What is left to do if the thread is taken away in the middle. */
struct run {
	struct tz_job *job;
	bool returned;
};

static void answer_outcome(struct tz_job *job)
{
	tz_outcome o;

	tz_job_outcome(job, &o);
	answer_failure(&o, job->failure ? job->failure->element : UINT64_MAX);
}

static void answer_calls(struct tz_job *job);

static void on_unwind(struct run *run)
{
	if (run->returned)
		return;
	if (me.calls)
		answer_calls(run->job);
	else
		answer_outcome(run->job);
	atomic_store_explicit(&me.slate->phase, PHASE_RETIRED, memory_order_release);
	_exit(0);
}

/* Runs a task as a job, which is the caller's then. NULL without memory. */
static struct tz_job *run_as_job(const tz_task *task, const void *args, uint64_t deadline,
				 uint32_t number)
{
	tz_submit_options options = { .deadline.ns = deadline };
	struct tz_job *job = tz_job_new(&me.executor, deadline ? &options : NULL, task, args, true);
	struct run run __attribute__((cleanup(on_unwind))) = { .job = job };

	if (job) {
		show(tz_job_handle(job), number);
		uint32_t why = asked_for(number);

		if (why == 0 || why == TERM_DEADLINE)
			(void)tz_job_run(job, me.setup->index);
		else
			(void)tz_job_end(job, TZ_CANCELLED, -ECANCELED, "cancelled while it began");
	}
	run.returned = true;
	return job;
}

static void release(struct tz_job *job)
{
	atomic_store_explicit(&job->observed, 1, memory_order_relaxed);
	(void)tz_detach_raw(tz_job_handle(job));
}

static void call_with(const struct tz_lane_mail *mail, const struct lesson *l, struct tz_taker *taker)
{
	const void *args = mail->bytes;

	if (mail->what.flags & TERM_ENCODED) {
		size_t align = l->plan->align > 8 ? l->plan->align : 8;
		void *bytes = mail->what.flags & TERM_KEPT
				      ? copied(mail->bytes, mail->size, align)
				      : aligned(mail->bytes, mail->size, align);
		int r = bytes ? tz_args_decode(l->plan, bytes, mail->size, &args, &taker->carrier)
			      : -ENOMEM;

		if (r < 0) {
			answer_error(r, "its arguments could not be read");
			return;
		}
	} else if (mail->size != l->task->args_size) {
		answer_error(-EBADMSG, "its arguments could not be read");
		return;
	}
	struct tz_job *job = run_as_job(l->task, args, mail->what.time, mail->number);

	if (mail->what.flags & TERM_ENCODED) {
		me.spent.plan = l->plan;
		me.spent.args = args;
		me.spent.in = NULL;
	}

	if (!job)
		answer_error(-ENOMEM, NULL);
	else if (job->status == TZ_OK)
		answer_result(l->plan, tz_job_result(job));
	else
		answer_outcome(job);
	if (job)
		release(job);
	let_values_go();
}

static void call(const struct tz_lane_mail *mail)
{
	const struct lesson *l = lesson_of(mail);
	struct tz_taker taker;

	if (!l)
		return;
	tz_taker_init(&taker, mail->refs, mail->nrefs, TZ_TAKE_FOR_CALL);
	call_with(mail, l, &taker);
	tz_taker_done(&taker);
	let_large_buffer_go();
}

/* --- pieces of maps ----------------------------------------------------------------------------------------------------------------- */

/* A piece under way; lies in this worker's memory, and is the argument of the job that runs it. */
struct piece {
	const struct lesson *lesson;
	const void *in[TZ_ARGS_MAX];
	size_t n, lo;
	uint32_t number; /* in the lane */
	void *results;
};

/* A copy of a result that owns memory, behind those of the elements before it. False: no room, or it cannot be had by a copy. */
static bool keep(const struct tz_plan *plan, const void *result, size_t *at)
{
	size_t room = sizeof me.slate->results - *at, size = tz_results_size(plan, result, 1, NULL);
	unsigned char *to = me.slate->results + *at;
	uint64_t n = size;

	if (room < sizeof n || size > room - sizeof n ||
	    tz_results_encode(plan, result, 1, to + sizeof n, size, NULL) < 0)
		return false;
	memcpy(to, &n, sizeof n);
	*at += sizeof n + (size + 7) / 8 * 8;
	(void)atomic_fetch_add_explicit(&me.slate->kept, 1, memory_order_release);
	return true;
}

static void call_and_keep(const struct piece *p, struct tz_cursor *cursor)
{
	const struct tz_plan *plan = p->lesson->plan;
	size_t at = 0, i = 0;
	bool kept = true;

	while (i < p->n && kept) {
		p->lesson->task->range(p->results, p->in, i, i + 1, cursor);
		kept = keep(plan, (const char *)p->results + i * plan->result.size, &at);
		i++;
	}
	p->lesson->task->range(p->results, p->in, i, p->n, cursor);
}

static void run_piece(void *result, const void *args)
{
	const struct piece *p;
	struct tz_frame *frame = tz_strand_self()->frame;
	struct tz_cursor *cursor =
		(struct tz_cursor *)(void *)&me.slate->element; /* seen by the parent, if we die */

	(void)result;
	memcpy(&p, args, sizeof p);
	frame->cursor = cursor;
	atomic_store_explicit(&me.slate->element, 0, memory_order_relaxed);
	atomic_store_explicit(&me.slate->kept, 0, memory_order_relaxed);
	atomic_store_explicit(&me.slate->piece, p->number + 1, memory_order_release);
	if (p->lesson->plan->result.flat)
		p->lesson->task->range(p->results, p->in, 0, p->n, cursor);
	else
		call_and_keep(p, cursor);
}

static const tz_task piece_task = { .name = "map",
				    .run = run_piece,
				    .args_size = sizeof(struct piece *) };

static bool make_results(struct piece *p)
{
	size_t size = p->lesson->plan->result.size, need;

	if (__builtin_mul_overflow(size, p->n, &need))
		return false;
	if (p->lesson->plan->result.flat && need <= sizeof me.slate->results) {
		p->results = me.slate->results;
		return true;
	}
	if (need > me.results_room) {
		free(me.results);
		me.results_room = (need + 4095) / 4096 * 4096;
		me.results = aligned_alloc(4096, me.results_room);
		if (!me.results) {
			me.results_room = 0;
			return false;
		}
	}
	p->results = me.results;
	return true;
}

/* An element failed, but all were called: the results follow the failure. */
static int answer_failed_piece(const struct piece *p, struct tz_job *job)
{
	const struct tz_plan *plan = p->lesson->plan;
	struct term_failure *f;
	struct tz_giver g;
	tz_outcome o;
	tz_giver_init(&g, TZ_LANE_REFS, true);
	size_t size = tz_results_size(plan, p->results, p->n, &g.carrier);
	char *bytes = size < SIZE_MAX - sizeof *f
			      ? aligned_alloc(64, (sizeof *f + size + 63) / 64 * 64)
			      : NULL;

	if (!bytes) {
		tz_giver_done(&g);
		return -ENOMEM;
	}
	f = (struct term_failure *)bytes;
	memset(f, 0, sizeof *f);
	tz_job_outcome(job, &o);
	f->code = o.code;
	f->element = job->failure ? job->failure->element : UINT64_MAX;
	tz_copy_text(f->message, sizeof f->message, o.message);
	struct tz_lane_what what = { .code = (uint32_t)o.status, .time = ran_ns() };
	struct tz_lane_load load = {
		.bytes = bytes, .size = sizeof *f + size, .align = 64, .refs = g.refs
	};
	int r = tz_results_encode(plan, p->results, p->n, bytes + sizeof *f, size, &g.carrier);

	load.nrefs = g.n;
	if (r == 0)
		r = reply(&what, &load);
	tz_giver_done(&g);
	free(bytes);
	return r;
}

static void answer_piece(const struct piece *p, struct tz_job *job)
{
	const struct tz_plan *plan = p->lesson->plan;
	int r = 0;

	if (job->status != TZ_OK && (job->status != TZ_FAILED || plan->result.size == 0)) {
		answer_outcome(job);
		return;
	}
	if (job->status != TZ_OK)
		r = answer_failed_piece(p, job);
	else if (plan->result.flat)
		r = answer_bytes(p->results, p->n * plan->result.size);
	else
		r = answer_encoded(plan, p->results, p->n, false);
	if (!plan->result.flat)
		tz_results_free(plan, p->results, p->n);
	if (r < 0)
		answer_unsent(plan, r, "its results could not be sent");
}

/* --- calls that travel together ----------------------------------------------------------------------------------------------------- */

static void write_failure(struct term_failure *f, const tz_outcome *o, size_t element)
{
	memset(f, 0, sizeof *f);
	f->code = o->code;
	f->word = (uint32_t)o->status;
	f->element = element;
	tz_copy_text(f->message, sizeof f->message, o->message);
}

/* Has the last call on the slate. False: there is no room for more. */
static bool note_call(struct tz_chunk *c, size_t i)
{
	uint32_t nfailures = atomic_load_explicit(&me.slate->nfailures, memory_order_relaxed);
	char *result = c->results + i * c->task->result_size;

	if (c->failed[i]) {
		memset(result, 0, c->task->result_size);
		write_failure(&me.slate->failures[nfailures++], c->failed[i], i);
		atomic_store_explicit(&me.slate->nfailures, nfailures, memory_order_release);
	}
	if (!me.plan->result.flat && !keep(me.plan, result, &me.kept_at))
		return false;
	return nfailures < TERM_FAILURES;
}

/* Before the next call: tells the parent of it, in case we die. */
static bool go_on(struct tz_chunk *c)
{
	while (me.noted < c->called)
		if (!note_call(c, me.noted++))
			return false;
	atomic_store_explicit(&me.slate->element, c->called, memory_order_release);
	return true;
}

static size_t report_size(const struct tz_chunk *c)
{
	size_t size = sizeof(struct term_failure);

	for (size_t i = 0; i < c->called; i++) {
		if (!c->failed[i])
			continue;
		size += sizeof(struct term_failure);
		memset(c->results + i * c->task->result_size, 0, c->task->result_size);
	}
	return size;
}

/* Writes everything but the results. */
static void write_report(void *to, const struct tz_chunk *c, struct tz_job *job,
			 uint32_t *ret_status)
{
	struct term_failure *f = to, *next = f;
	tz_outcome o = { .status = TZ_OK };

	if (c->called < c->n)
		tz_job_outcome(job, &o);
	if (o.status == TZ_CRASHED)
		o = (tz_outcome){
			.status = TZ_OK
		}; /* of the call that has left: it is among the failures */
	write_failure(f, &o, c->called);
	for (size_t i = 0; i < c->called; i++)
		if (c->failed[i])
			write_failure(++next, c->failed[i], i);
	f->word = (uint32_t)(next - f);
	*ret_status = (uint32_t)o.status;
}

static void answer_calls(struct tz_job *job)
{
	const struct tz_chunk *c = me.calls;
	size_t head = report_size(c), size = tz_results_size(me.plan, c->results, c->called, NULL);
	struct tz_lane_what what = { .time = ran_ns() };
	struct tz_lane_load load = { .size = head + size, .align = 64 };
	char *bytes = size < SIZE_MAX / 2 ? aligned_alloc(64, (head + size + 63) / 64 * 64) : NULL;
	int r = -ENOMEM;

	me.calls = NULL;
	if (bytes) {
		write_report(bytes, c, job, &what.code);
		load.bytes = bytes;
		r = tz_results_encode(me.plan, c->results, c->called, bytes + head, size, NULL);
	}
	if (r == 0)
		r = reply(&what, &load);
	if (r < 0)
		answer_unsent(me.plan, r, "its results could not be sent");
	free(bytes);
	if (!me.plan->result.flat)
		tz_results_free(me.plan, c->results, c->called);
}

static void begin_slate(uint32_t number)
{
	atomic_store_explicit(&me.slate->element, 0, memory_order_relaxed);
	atomic_store_explicit(&me.slate->kept, 0, memory_order_relaxed);
	atomic_store_explicit(&me.slate->nfailures, 0, memory_order_relaxed);
	atomic_store_explicit(&me.slate->piece, number + 1, memory_order_release);
}

static void fill_calls(struct tz_chunk *c, const struct piece *p)
{
	const tz_task *task = c->task;

	for (size_t i = 0; i < p->n; i++) {
		char *to = tz_chunk_args(c, i);

		memset(to, 0, task->args_size);
		for (uint32_t k = 0; k < task->nargs; k++)
			memcpy(to + task->arg_offset[k],
			       (const char *)p->in[k] + i * task->args[k].size, task->args[k].size);
	}
}

/* Whether the results have room on the slate, where they outlive us; if not, they are copied there. */
static bool fit(const struct piece *p)
{
	const struct tz_shape *s = &p->lesson->plan->result;

	return s->flat && (s->size == 0 || p->n <= sizeof me.slate->results / s->size);
}

static void call_each(const struct tz_lane_mail *mail, const struct piece *p, bool stops,
		      int retries)
{
	struct tz_chunk *c = tz_chunk_new(p->lesson->task, p->n);

	if (!c) {
		answer_error(-ENOMEM, NULL);
		return;
	}
	fill_calls(c, p);
	c->n = p->n;
	c->stops = stops;
	c->retries = retries;
	c->goes_on = go_on;
	if (fit(p))
		c->results = (char *)me.slate->results;
	me.plan = p->lesson->plan;
	me.noted = me.kept_at = 0;
	begin_slate(mail->number);
	me.calls = c;
	struct tz_job *job = run_as_job(&tz_chunk_task, &c, mail->what.time, mail->number);

	if (job) {
		answer_calls(job);
		release(job);
	} else {
		answer_error(-ENOMEM, NULL);
	}
	me.calls = NULL;
	tz_chunk_free(c);
}

static void call_piece_with(const struct tz_lane_mail *mail, const struct lesson *l, struct tz_taker *taker)
{
	struct piece p = { .lesson = l }, *at = &p;
	struct term_block *block;

	block = mail->size >= sizeof *block ? aligned(mail->bytes, mail->size, 64) : NULL;
	if (!block) {
		answer_error(mail->size >= sizeof *block ? -ENOMEM : -EBADMSG, NULL);
		return;
	}
	p.n = block->n;
	p.lo = block->lo;
	bool each = block->how & TERM_EACH, stops = block->how & TERM_STOPS;
	int retries = block->retries <= INT_MAX ? (int)block->retries : INT_MAX;
	p.number = mail->number;
	int r = tz_block_decode(l->plan, block + 1, mail->size - sizeof *block, p.n, p.in,
				&taker->carrier);

	if (r < 0) {
		answer_error(r, "its arguments could not be read");
		return;
	}
	if (each) { /* no argument is a value, and needs to be freed */
		call_each(mail, &p, stops, retries);
		return;
	}
	struct tz_job *job = make_results(&p) ? run_as_job(&piece_task, &at, mail->what.time, mail->number) : NULL;

	me.spent.plan = l->plan;
	me.spent.in = p.in;
	me.spent.n = p.n;

	if (job) {
		answer_piece(&p, job);
		release(job);
	} else {
		answer_error(-ENOMEM, NULL);
	}
	let_values_go();
}

static void call_piece(const struct tz_lane_mail *mail)
{
	const struct lesson *l = lesson_of(mail);
	struct tz_taker taker;

	if (!l)
		return;
	tz_taker_init(&taker, mail->refs, mail->nrefs, TZ_TAKE_FOR_CALL);
	call_piece_with(mail, l, &taker);
	tz_taker_done(&taker);
}

/* --- the attendant -------------------------------------------------------------------------------------------------------------------- */

static void *attend(void *unused)
{
	uint64_t asked = 0;

	(void)unused;
	for (;;) {
		asked = tz_lane_attend(&me.lane, asked);
		uint32_t number = (uint32_t)asked, why = (uint32_t)(asked >> 32);

		if (why == 0)
			continue;
		tz_store_seq_cst(&me.asked, asked);
		if (atomic_load_explicit(&me.number, memory_order_seq_cst) != number)
			continue;
		tz_handle h = { atomic_load_explicit(&me.cell, memory_order_relaxed),
				atomic_load_explicit(&me.generation, memory_order_relaxed) };

		if (atomic_load_explicit(&me.number, memory_order_seq_cst) == number)
			end_job(h, why);
	}
	return NULL;
}

/* --- from birth to death -------------------------------------------------------------------------------------------------------------- */

static uint64_t resident_bytes(void)
{
	char text[128];
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	unsigned long pages = 0, resident = 0;

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);

	(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (sscanf(text, "%lu %lu", &pages, &resident) != 2)
		return 0;
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Whether it is time for somebody fresh. */
static bool has_had_enough(void)
{
	const struct farm_setup *s = me.setup;

	if (s->max_tasks && me.done >= s->max_tasks)
		return true;
	return s->memory && resident_bytes() > me.resident + s->memory;
}

static void work(void)
{
	struct tz_lane_mail mail;
	int r;

	while (!has_had_enough() && (r = tz_lane_claim(&me.lane, 0, &mail)) != -EPIPE) {
		if (r == -ETIMEDOUT)
			continue;
		if (r < 0) {
			answer_error(r, "its arguments could not be mapped");
		} else if (mail.what.kind == TERM_TEACH) {
			learn(&mail);
			continue; /* does not count */
		} else if (mail.what.kind == TERM_CALL) {
			call(&mail);
		} else if (mail.what.kind == TERM_BLOCK) {
			call_piece(&mail);
		} else {
			answer_error(-EPROTO, "its worker is of another build of the library");
		}
		me.done++;
	}
}

static int break_down(int code, const char *message)
{
	tz_copy_text(me.slate->message, sizeof me.slate->message, message);
	atomic_store_explicit(&me.slate->code, code, memory_order_relaxed);
	atomic_store_explicit(&me.slate->phase, PHASE_BROKEN, memory_order_release);
	return 1;
}

static int run_setup_task(void)
{
	const struct farm_setup *s = me.setup;
	char *name = (char *)(uintptr_t)s + (sizeof *s + 63) / 64 * 64,
	     *bytes = name + (s->name_size + 63) / 64 * 64;
	const tz_task *task = NULL;
	const void *args = NULL;
	struct tz_taker taker;
	int r = tz_task_resolve(name, s->name_size, &task);
	const struct tz_plan *plan = r == 0 ? tz_plan_of(task) : NULL;

	tz_taker_init(&taker, me.refs, s->nrefs, TZ_TAKE_FOR_LIFE);
	if (r == 0)
		r = plan ? tz_args_decode(plan, aligned(bytes, s->args_size, 64), s->args_size,
					  &args, &taker.carrier)
			 : -ENOMEM;
	if (r < 0)
		return break_down(r, "its setup is not to be found");
	struct tz_job *job = run_as_job(task, args, 0, UINT32_MAX);

	if (!job || job->status != TZ_OK) {
		tz_outcome o = { .code = -ENOMEM };

		if (job)
			tz_job_outcome(job, &o);
		return break_down(o.code, o.message);
	}
	tz_result_free(plan, tz_job_result(job));
	release(job);
	tz_args_free(plan, args);
	return 0;
}

static int set_up(void)
{
	const struct farm_setup *s = me.setup;

	if (s->has_initializer) {
		void (*initializer)(void) = NULL;
		int r = tz_function_resolve(&s->initializer, &initializer);

		if (r == 0)
			r = ((int (*)(void *))initializer)(NULL);
		if (r < 0)
			return break_down(r, "its initializer failed");
	}
	return s->name_size ? run_setup_task() : 0;
}

static int join_farm(const struct tz_birth *birth)
{
	int lane[2] = { birth->fds[WORKER_FD_LANE], birth->fds[WORKER_FD_SOCKET] };
	void *slate;
	int r = tz_bell_join(birth->fds[WORKER_FD_BELL], &me.bell);

	if (r < 0)
		return r;
	r = tz_segment_map_loosely(birth->fds[WORKER_FD_SLATE], sizeof *me.slate, &slate);
	if (r < 0)
		return r;
	me.slate = slate;
	return tz_lane_join(&me.lane, lane, me.bell);
}

static int worker_main(const struct tz_birth *birth)
{
	const struct farm_setup *s = birth->blob;
	pthread_t attendant;

	if (birth->size < sizeof *s || s->magic != SETUP_MAGIC || s->nrefs > TZ_GIVER_MAX ||
	    birth->nfds != WORKER_FDS + (int)s->nrefs ||
	    tz_refs_adopt(s->refs, s->nrefs, birth->fds + WORKER_FDS, me.refs) < 0)
		return 127;
	me.setup = s;
	/* An interrupt typed at the terminal: the application decides what becomes of us. */
	(void)signal(SIGINT, SIG_IGN);
	tz_executor_init(&me.executor, &ops, &(tz_executor_options){ .name = s->executor }, 1);
	me.executor.permanent = 1;
	atomic_store_explicit(&me.number, UINT32_MAX, memory_order_relaxed);
	if (join_farm(birth) < 0 || tz_os_thread_start_detached(&attendant, attend, NULL) < 0)
		return 127;
	if (s->memory)
		me.resident = resident_bytes();
	if (set_up() != 0)
		return 1;
	atomic_store_explicit(&me.slate->phase, PHASE_READY, memory_order_release);
	work();
	if (s->has_finalizer) {
		void (*finalizer)(void) = NULL;

		if (tz_function_resolve(&s->finalizer, &finalizer) == 0)
			((void (*)(void *))finalizer)(NULL);
	}
	atomic_store_explicit(&me.slate->phase, PHASE_RETIRED, memory_order_release);
	return 0;
}

const char farm_worker_is_here;

__attribute__((constructor(1000))) static void set_entry(void)
{
	atomic_store(&tz_child_entries[TZ_CHILD_WORKER], worker_main);
}
