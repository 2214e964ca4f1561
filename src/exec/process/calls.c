/* Several calls of a task that travel together: a chunk (core/chunk.h) as one task of a worker. See farm.h.
 *
 * Design notes. The chunk is the job of a caller who wants to know of each call how it ended. What comes back is a report (terms.h): results, and who failed. A
 * worker reports early when there is no room for more on its slate; and when it dies, the slate says what it had called before, so that the one that it was at is
 * blamed, alone. In both cases the calls that are left are packed again, from the chunk's own copy of the arguments, and given out before all others: for
 * everybody else the job runs on. So a job of n calls ends when n calls have ended, in however many workers; unless it was cancelled or came too late: then the calls that are left
 * have ended as it has.
 *
 * How many. All calls are given out at once, so nothing can be learnt from the first ones, as with a map (map.c). Sizes fall instead: to a part of what an even share of the rest
 * would be; and to what takes about PIECE_NS, if it is known what a call takes.
 *
 * What refers to memory or descriptors beside the bytes goes by itself: so little of that fits into one payload. So does what only points somewhere until the next
 * call is made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/outcome.h"
#include "exec/process/farm.h"

enum {
	PIECE_NS = 500000,
	PARTS = 4, /* of an even share */
	UNKNOWN = 256 /* calls in one, if it is not known what they take */
};

static bool is_bytes(const struct tz_shape *s)
{
	for (uint32_t k = 0; k < s->nspots; k++)
		if (s->spots[k].kind == TZ_SPOT_VALUE || s->spots[k].kind >= TZ_SPOT_POINTER)
			return false; /* a value may hold such a thing, too */
	return true;
}

static bool has_contents(const struct tz_shape *s)
{
	for (uint32_t k = 0; k < s->nspots; k++)
		if (s->spots[k].kind != TZ_SPOT_BOOL)
			return true;
	return false;
}

static bool may_carry(const struct tz_plan *plan, const tz_task *task, bool stay)
{
	if (!plan || plan->error || !is_bytes(&plan->result) || !is_bytes(&plan->args))
		return false;
	if (task->nargs > TZ_ARGS_MAX || (task->nargs == 0 && task->args_size))
		return false; /* who knows where the arguments lie */
	return stay || !has_contents(&plan->args);
}

static uint64_t time_of(struct farm *farm, const struct tz_plan *plan)
{
	tz_mutex_lock(&farm->lock);
	const struct farm_task *task = farm_task_of(farm, plan);
	uint64_t ns = task ? task->ns : 0;

	tz_mutex_unlock(&farm->lock);
	return ns;
}

size_t farm_chunk(tz_executor *executor, const tz_task *task, size_t wanted, size_t left, bool stay)
{
	const struct tz_plan *plan = tz_plan_of(task);
	size_t most, n = wanted;

	if (!may_carry(plan, task, stay))
		return 1;
	if (wanted == 0) {
		size_t share = left / (PARTS * (size_t)executor->workers) + 1;
		uint64_t ns = time_of(farm_of(executor), plan);

		n = ns ? (size_t)(PIECE_NS / ns) + 1 : UNKNOWN;
		n = n < share ? n : share;
	}
	/* What is on the slate outlives a crash. */
	most = plan->result.size ? sizeof((struct farm_slate *)NULL)->results / plan->result.size
				 : n;
	return n < most ? n : most;
}

/* --- there --------------------------------------------------------------------------------------------------------------------- */

/* The arguments of calls from `lo` on as arrays, in one piece of memory. */
static void *make_columns(const struct tz_chunk *c, size_t lo, const void **ret_in)
{
	const tz_task *task = c->task;
	size_t n = c->n - lo, at[TZ_ARGS_MAX], size = 0;
	char *columns;

	for (uint32_t k = 0; k < task->nargs; k++) {
		at[k] = size;
		size += (n * task->args[k].size + 63) / 64 * 64;
	}
	columns = aligned_alloc(64, size + 64);
	for (uint32_t k = 0; columns && k < task->nargs; k++) {
		size_t each = task->args[k].size;

		ret_in[k] = columns + at[k];
		for (size_t i = 0; i < n; i++)
			memcpy(columns + at[k] + i * each,
			       c->args + (lo + i) * c->args_step + task->arg_offset[k], each);
	}
	return columns;
}

int farm_pack_calls(struct tz_job *job, const struct tz_plan *plan, struct tz_chunk *c)
{
	const struct term_block how = { .how = TERM_EACH | (c->stops ? TERM_STOPS : 0),
					.retries = c->retries > 0 ? (uint32_t)c->retries : 0 };
	const void *in[TZ_ARGS_MAX] = { NULL };
	void *columns = make_columns(c, c->called, in);
	struct farm_chunk all = { .in = in, .hi = c->n - c->called };
	struct farm_parcel *p;
	int r = columns ? farm_pack_chunk(plan, &all, &how, &p) : -ENOMEM;

	free(columns);
	if (r < 0)
		return r;
	p->own = (struct farm_chunk){ .out = c->results, .lo = c->called, .hi = c->n };
	p->chunk = &p->own;
	p->calls = c;
	job->parcel = p;
	return 0;
}

/* --- and back ------------------------------------------------------------------------------------------------------------------- */

static tz_status status_of(const struct term_failure *f)
{
	tz_status s = (tz_status)f->word;

	return s == TZ_CANCELLED || s == TZ_TIMED_OUT || s == TZ_CRASHED ? s : TZ_FAILED;
}

/* The first `n` calls of the piece have ended; those failed. */
static void note_calls(struct farm_parcel *p, size_t n, const void *failures, size_t nfailures,
		       int worker)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		tz_outcome o = { .status = TZ_OK, .worker = worker };
		struct term_failure f = { .element = UINT64_MAX };

		if (at < nfailures)
			memcpy(&f, (const char *)failures + at * sizeof f, sizeof f);
		if (f.element == i) {
			at++;
			f.message[sizeof f.message - 1] = '\0';
			o.status = status_of(&f);
			o.code = f.code;
			tz_copy_text(o.message, sizeof o.message, f.message);
		}
		tz_chunk_note(p->calls, &o);
	}
}

int farm_unpack_calls(struct farm_parcel *p, const struct tz_lane_mail *mail, int worker)
{
	size_t n = p->own.hi - p->own.lo, size = p->plan->result.size, skip;
	const char *bytes = mail->bytes;
	struct term_failure head;

	if (mail->size < sizeof head)
		return -EBADMSG;
	memcpy(&head, bytes, sizeof head);
	if (mail->what.code != TZ_OK && head.element == UINT64_MAX)
		return 0; /* none was made */
	skip = sizeof head * (1 + (size_t)head.word);
	if (head.word > TERM_FAILURES || head.element > n || skip > mail->size ||
	    (mail->what.code == TZ_OK && head.element == 0))
		return -EBADMSG;
	n = (size_t)head.element;
	int r = farm_unpack_many(p->plan, mail, skip, n, p->own.out + p->own.lo * size);

	if (r == 0)
		note_calls(p, n, bytes + sizeof head, head.word, worker);
	return r;
}

void farm_salvage_calls(struct farm_parcel *p, const struct farm_slate *slate, uint32_t number,
			int worker)
{
	static const tz_outcome lost = { .status = TZ_CRASHED,
					 .code = -ENOMEM,
					 .worker = -1,
					 .message = "its result was lost with its worker" };
	struct term_failure failures[TERM_FAILURES];
	uint32_t nfailures = atomic_load_explicit(&slate->nfailures, memory_order_acquire);

	farm_salvage_chunk(p->chunk, p->plan, slate, number);
	memcpy(failures, slate->failures, sizeof failures); /* which nobody changes any more */
	note_calls(p, p->own.kept_to - p->own.lo, failures,
		   nfailures < TERM_FAILURES ? nfailures : TERM_FAILURES, worker);
	for (size_t i = p->own.kept_to; i < p->own.failed_at; i++)
		tz_chunk_note(p->calls, &lost);
}

bool farm_may_repeat_call(const struct farm_parcel *p)
{
	return p->calls->retries > 0 && p->calls->crashed != p->calls->called + 1;
}

void farm_blame_call(struct farm_parcel *p, struct tz_failure *f, int worker)
{
	tz_outcome o = { .status = TZ_CRASHED, .code = f ? f->code : -ENOMEM, .worker = worker };

	if (f) {
		o.signal = f->signal;
		tz_copy_text(o.message, sizeof o.message, f->message);
	}
	free(f);
	tz_chunk_note(p->calls, &o);
}

/* Why no more calls are to be made: a status, and TZ_OK if they are. */
static tz_status why_not(const struct farm *farm, const struct tz_job *job, int *ret_code)
{
	*ret_code = farm->broken ? farm->broken : -ECANCELED;
	if (farm->broken)
		return TZ_FAILED;
	if (farm->closing - 1 >= TZ_CANCEL_PENDING ||
	    (atomic_load_explicit(&job->state, memory_order_relaxed) & JOB_CANCEL))
		return TZ_CANCELLED;
	*ret_code = -ETIMEDOUT;
	return job->options && job->options->deadline.ns && tz_expired(job->options->deadline)
		       ? TZ_TIMED_OUT
		       : TZ_OK;
}

void farm_go_on(struct farm *farm, struct tz_job *job, struct farm_ends *ends)
{
	struct farm_parcel *p = job->parcel;
	struct tz_chunk *c = p->calls;
	int code;

	if (c->called == c->n || tz_chunk_is_stopped(c)) {
		farm_end(farm, ends, job, TZ_OK, NULL);
		return;
	}
	tz_status status = why_not(farm, job, &code);

	if (status == TZ_OK && (code = farm_pack_calls(job, p->plan, c)) < 0)
		status = TZ_FAILED;
	if (status != TZ_OK) {
		farm_end(farm, ends, job, status, tz_failure_new(code, "not called"));
		return;
	}
	((struct farm_parcel *)job->parcel)->task = p->task;
	farm_parcel_free(p);
	farm_push_again(farm, job);
}
