/* Maps on workers that see no memory of ours. See farm.h.
 *
 * Design notes. The caller cuts the range into pieces, encodes the arguments of each, and submits it as a job of its own; a few for each worker at a time. When one has ended,
 * its results have been written to their places, and the next one is submitted. Pieces begin small, and grow until one takes about PIECE_NS. Where
 * their size is given, it is their number that grows, to what is done in AHEAD_NS: so little is called in vain behind a failure.
 *
 * First failure: as in core/range.c. Pieces are taken in order, and when one fails at an element, no further ones are taken.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/outcome.h"
#include "core/range.h"
#include "core/scope.h"
#include "core/strand.h"
#include "exec/process/farm.h"
#include "os/clock.h"

enum {
	PIECE_NS = 500000,
	AHEAD = 3, /* pieces under way for each worker */
	AHEAD_NS = 2000000,
	FAR_AHEAD = 64 /* of those whose size is not ours to choose: for so long, and at the most */
};

static void run_elsewhere(void *result, const void *args)
{
	(void)result, (void)args; /* never called: it travels in its parcel */
}

static const tz_task chunk_task = { .name = "map", .run = run_elsewhere };

/* A piece under way. */
struct piece {
	struct farm_chunk chunk;
	tz_handle handle;
};

struct map {
	struct farm *farm;
	struct tz_range *range;
	const struct tz_plan *plan;
	size_t next; /* the first element that nobody was given */
	size_t size; /* of the next piece */
	size_t most; /* of any piece, because of its results */
	struct piece *pieces; /* a ring */
	unsigned room, first, count;
	unsigned ahead; /* how many may be under way, at most `room` */
	uint64_t began, ended; /* since when, and how many pieces have */
	int error; /* why nothing more is taken: not of an element */
};

int farm_pack_chunk(const struct tz_plan *plan, struct farm_chunk *c, const struct term_block *how,
		    struct farm_parcel **ret)
{
	struct tz_giver giver;
	size_t size = tz_block_size(plan, c->in, c->lo, c->hi, NULL);
	struct farm_parcel *p;
	struct term_block *block;
	void *bytes;
	int r = size > SIZE_MAX / 2 ? -ENOMEM : farm_parcel_new(size + sizeof *block, &p, &bytes);

	if (r < 0)
		return r;
	block = bytes;
	memset(block, 0, sizeof *block);
	if (how)
		*block = *how;
	block->n = c->hi - c->lo;
	block->lo = c->lo;
	p->plan = plan;
	p->chunk = c;
	tz_giver_init(&giver, TZ_LANE_REFS, false);
	r = tz_block_encode(plan, c->in, c->lo, c->hi, block + 1, size, &giver.carrier);
	if (r < 0) {
		tz_giver_done(&giver);
		farm_parcel_free(p);
		return r;
	}
	farm_parcel_hand_over(p, &giver);
	*ret = p;
	return 0;
}

int farm_unpack_chunk(struct farm_chunk *c, const struct tz_plan *plan,
		      const struct tz_lane_mail *mail)
{
	c->called_to = c->hi;
	c->ns = mail->what.time;
	return farm_unpack_many(plan, mail, 0, c->hi - c->lo,
				c->out ? c->out + c->lo * plan->result.size : NULL);
}

/* Results that own memory: how many there are of the elements before the one that was being called. */
static void salvage_copies(struct farm_chunk *c, const struct tz_plan *plan,
			   const struct farm_slate *slate)
{
	uint64_t kept = atomic_load_explicit(&slate->kept, memory_order_acquire), size;
	unsigned char *copy = malloc(sizeof slate->results); /* which nobody changes any more */
	size_t at = 0;

	c->kept_to = c->lo;
	if (!copy)
		return;
	memcpy(copy, slate->results, sizeof slate->results);
	for (size_t i = c->lo; i < c->failed_at && kept > 0; i++, kept--) {
		if (sizeof slate->results - at < sizeof size)
			break;
		memcpy(&size, copy + at, sizeof size);
		at += sizeof size;
		if (size > sizeof slate->results - at ||
		    tz_results_decode(plan, copy + at, (size_t)size, 1,
				      c->out + i * plan->result.size, NULL) < 0)
			break;
		at += ((size_t)size + 7) / 8 * 8;
		c->kept_to = i + 1;
	}
	free(copy);
}

void farm_salvage_chunk(struct farm_chunk *c, const struct tz_plan *plan,
			const struct farm_slate *slate, uint32_t number)
{
	bool begun = atomic_load_explicit(&slate->piece, memory_order_acquire) == number + 1;
	uint64_t element = begun ? atomic_load_explicit(&slate->element, memory_order_acquire) : 0;
	size_t size = plan->result.size, n = c->hi - c->lo;

	c->failed_at = c->lo + (element < n ? (size_t)element : 0);
	c->called_to = c->failed_at + 1;
	c->kept_to = c->failed_at;
	if (!begun || size == 0 || !c->out)
		return;
	if (!plan->result.flat)
		salvage_copies(c, plan, slate);
	else if (n > sizeof slate->results / size)
		c->kept_to = c->lo;
	else
		memcpy(c->out + c->lo * size, slate->results, (c->failed_at - c->lo) * size);
}

void farm_unpack_failed(struct farm_chunk *c, const struct tz_plan *plan,
			const struct tz_lane_mail *mail, const struct farm_slate *slate)
{
	size_t skip = sizeof(struct term_failure);
	struct term_failure f;

	if (mail->size < skip || mail->what.code == TZ_CRASHED) {
		farm_salvage_chunk(c, plan, slate, mail->number);
		return;
	}
	memcpy(&f, mail->bytes, skip);
	c->failed_at = c->lo + (f.element < c->hi - c->lo ? (size_t)f.element : 0);
	c->called_to = c->lo;
	if (mail->size > skip || plan->result.size == 0)
		c->called_to = c->hi;
	if (mail->size > skip)
		(void)farm_unpack_many(plan, mail, skip, c->hi - c->lo,
				       c->out + c->lo * plan->result.size);
}

/* --- giving out -------------------------------------------------------------------------------------------------------------- */

static int submit_piece(struct map *m, struct piece *p)
{
	struct farm_parcel *parcel;
	struct tz_job *job = tz_job_new(&m->farm->executor, NULL, &chunk_task, NULL, true);
	int error = 0, r = job ? farm_pack_chunk(m->plan, &p->chunk, NULL, &parcel) : -ENOMEM;

	if (r < 0) {
		if (job)
			tz_job_free(job);
		return r;
	}
	job->parcel = parcel;
	p->handle = tz_job_handle(job);
	(void)m->farm->executor.ops->submit(&m->farm->executor, &job, 1, TZ_PRIORITY_NORMAL,
					    &error);
	return 0;
}

static bool goes_on(const struct map *m)
{
	return m->error == 0 && m->range->failed_at == SIZE_MAX;
}

/* How many results can come in one piece, each with memory of its own. */
static size_t most_results(const struct tz_shape *s)
{
	unsigned handles = 0;

	for (uint32_t k = 0; k < s->nspots; k++)
		handles += s->spots[k].kind >= TZ_SPOT_POINTER && s->spots[k].kind <= TZ_SPOT_CONNECTION;
	if (handles == 0)
		return SIZE_MAX;
	return handles < TZ_LANE_REFS ? TZ_LANE_REFS / handles : 1;
}

/* An even share of what is left for everybody, at the most. */
static size_t next_size(const struct map *m)
{
	const struct tz_range *r = m->range;
	size_t size = m->plan->result.size,
	       most = size ? sizeof((struct farm_slate *)NULL)->results / size + 1 : SIZE_MAX;
	size_t left = r->end - m->next, share = left / ((size_t)r->workers * 2) + 1, n = m->size;

	if (r->outcomes)
		return 1;
	if (r->fixed_chunk)
		n = r->fixed_chunk;
	else if (n > share)
		n = share;
	/* What is on the slate outlives a crash. */
	if (n > most && !r->fixed_chunk)
		n = most;
	if (n > m->most)
		n = m->most;
	return n < left ? n : left;
}

/* Says, as the strand's last outcome, which argument has a pointer that does not travel. */
static void explain(const struct map *m, size_t lo, size_t hi)
{
	tz_outcome o = { .status = TZ_FAILED, .code = -ENOTSUP, .worker = -1 };
	struct tz_giver giver;
	int culprit;

	tz_giver_init(&giver, TZ_LANE_REFS, false);
	culprit = tz_block_culprit(m->plan, m->range->in, lo, hi, &giver.carrier);
	tz_giver_done(&giver);
	tz_plan_explain(m->plan, culprit ? culprit : 1, o.message, sizeof o.message);
	tz_copy_text(o.task, sizeof o.task, m->range->task->name);
	tz_remember(tz_strand_self(), &o);
}

/* Elements from `lo` on, up to `hi` or, where they refer to too much, not so far. */
static void give_piece(struct map *m, size_t lo, size_t hi)
{
	struct tz_range *r = m->range;
	struct piece *p = &m->pieces[(m->first + m->count) % m->room];

	p->chunk = (struct farm_chunk){ .in = r->in,
					.out = r->out,
					.lo = lo,
					.hi = hi,
					.called_to = lo,
					.failed_at = SIZE_MAX };
	m->error = submit_piece(m, p);
	/* One payload refers to so much shared memory at the most. */
	while (m->error == -EMSGSIZE && p->chunk.hi - lo > 1) {
		p->chunk.hi = lo + (p->chunk.hi - lo) / 2;
		m->error = submit_piece(m, p);
	}
	if (m->error == -ENOTSUP)
		explain(m, lo, hi);
	if (m->error == 0)
		m->count++;
}

static void give_out(struct map *m)
{
	struct tz_range *r = m->range;

	while (m->count < m->ahead && m->next < r->end &&
	       (goes_on(m) || (m->error == 0 && r->policy == TZ_MAP_ALL))) {
		give_piece(m, m->next, m->next + next_size(m));
		if (m->error == 0)
			m->next = m->pieces[(m->first + m->count - 1) % m->room].chunk.hi;
	}
}

/* --- taking in ----------------------------------------------------------------------------------------------------------------- */

static void note_outcomes(struct map *m, const struct piece *p, const tz_outcome *o)
{
	struct tz_range *r = m->range;

	if (!r->outcomes)
		return;
	tz_outcome *to = &r->outcomes[p->chunk.lo - r->begin]; /* pieces are of one element then */

	*to = *o;
	tz_copy_text(to->task, sizeof to->task, r->task->name);
}

static void note_failure(struct map *m, const struct piece *p, const tz_outcome *o)
{
	struct tz_range *r = m->range;
	size_t at = p->chunk.failed_at == SIZE_MAX ? p->chunk.lo : p->chunk.failed_at;

	if (at >= r->failed_at)
		return;
	free(r->failure);
	r->failed_at = at;
	r->failed_code = o->code;
	r->failed_worker = o->worker;
	r->failed_status = o->status;
	r->failure = tz_failure_new(o->code, o->message);
	if (r->failure)
		r->failure->signal = o->signal;
}

/* Grows with what its worker took for the last one: how long that had to wait for a processor says nothing of the elements. */
static void adapt(struct map *m, const struct piece *p)
{
	uint64_t ns = p->chunk.ns;
	size_t n = p->chunk.hi - p->chunk.lo;

	if (m->range->fixed_chunk || m->range->outcomes) {
		uint64_t each = (tz_clock_now() - m->began) / ++m->ended,
			 most = AHEAD_NS / (each + 1);
		unsigned least = (unsigned)m->range->workers * AHEAD;

		m->ahead = most < least ? least : most < m->room ? (unsigned)most : m->room;
		return;
	}
	if (n < m->size)
		return;
	if (ns < PIECE_NS)
		m->size = n * (ns < PIECE_NS / 8 ? 8 : 2);
	else if (ns > 4 * PIECE_NS && m->size > 1)
		m->size /= 2;
}

/* The oldest piece has ended. */
static void take_in(struct map *m)
{
	struct piece *p = &m->pieces[m->first];
	struct tz_job *job = p->handle.tz__cell;
	tz_outcome o;

	tz_job_outcome(job, &o);
	atomic_store_explicit(&job->observed, 1, memory_order_relaxed);
	note_outcomes(m, p, &o);
	if (o.status == TZ_OK)
		adapt(m, p);
	else if (o.status == TZ_CANCELLED && m->range->interrupted)
		;
	else if (o.code == -ESHUTDOWN || (o.status == TZ_CANCELLED && o.worker < 0))
		m->error = o.code;
	else
		note_failure(m, p, &o);
	(void)tz_detach_raw(p->handle);
	struct farm_chunk rest = p->chunk;

	m->first = (m->first + 1) % m->room;
	m->count--;
	/* The worker died at one element, and all are to be called. */
	if (o.status != TZ_OK && m->range->policy == TZ_MAP_ALL && m->error == 0 &&
	    rest.failed_at != SIZE_MAX && rest.called_to < rest.hi)
		give_piece(m, rest.called_to, rest.hi);
}

/* The caller's scope has ended the wait: what is under way is cancelled, and waited for, since it uses our memory. A deadline is one for the elements too, as it is for a
 * job: who ignores it is killed. */
static void cut_short(struct map *m, int why)
{
	bool kill = why == -ETIMEDOUT || m->range->kill;
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;

	m->range->interrupted = m->error = why;
	self->scope = NULL;
	for (unsigned i = 0; i < m->count; i++) {
		struct piece *p = &m->pieces[(m->first + i) % m->room];

		__atomic_store_n(&p->chunk.kill, kill, __ATOMIC_RELAXED);
		(void)tz_cancel_raw(p->handle);
	}
	while (m->count) {
		(void)tz_wait_raw(m->pieces[m->first].handle, tz_never());
		take_in(m);
	}
	self->scope = scope;
}

/* Until the oldest piece has ended. If there are many, and so short ones, sleeps until half of them have: one wake-up is for all of those. */
static int wait_for_some(struct map *m)
{
	unsigned least = (unsigned)m->range->workers * AHEAD;
	int r = 0;

	if (m->count > 2 * least)
		r = tz_wait_raw(m->pieces[(m->first + m->count / 2) % m->room].handle, tz_never());
	return r < 0 ? r : tz_wait_raw(m->pieces[m->first].handle, tz_never());
}

int farm_map(tz_executor *executor, tz_range *range)
{
	struct map m = { .farm = farm_of(executor),
			 .range = range,
			 .plan = tz_plan_of(range->task),
			 .next = range->begin,
			 .size = 1 };
	int r = 0;

	if (!m.plan || m.plan->error)
		return m.plan ? tz_remember_refusal(m.plan->error, range->task->name, "%s", m.plan->refusal) : -ENOMEM;
	m.most = most_results(&m.plan->result);
	m.ahead = (unsigned)range->workers * AHEAD;
	m.began = tz_clock_now();
	m.room = (unsigned)range->workers *
		 (range->fixed_chunk || range->outcomes ? FAR_AHEAD : AHEAD);
	m.pieces = calloc(m.room, sizeof *m.pieces);
	if (!m.pieces)
		return -ENOMEM;
	give_out(&m);
	while (m.count) {
		r = wait_for_some(&m);
		if (r < 0) {
			cut_short(&m, r);
			break;
		}
		do
			take_in(&m);
		while (m.count && tz_done_raw(m.pieces[m.first].handle) == 1);
		give_out(&m);
	}
	free(m.pieces);
	return m.error;
}
