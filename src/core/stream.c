/* The stream: map over what a generator yields, with a bounded window.
 *
 * Design notes
 *
 * At most `window` elements are under way: taken from the generator and not given out. Each lies in a slot, or a chunk of them does (chunk.h). In the
 * generator's order, the slots are a ring and the oldest one is waited for. As completed, each slot is a member of a gathering (gathering.h), and the first
 * that ends is given out. A chunk that has ended is given out element by element before the next one is waited for.
 *
 * A generator may be slow itself. So a call of next that has something to give out takes at most two more elements from it: one for
 * the place that becomes free, and one to fill the window in the course of time. A call that would have to wait fills the window first.
 *
 * A wait that the scope ends leaves everything where it was: the next call goes on.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/executor_impl.h>
#include <trenza/stream.h>

#include "core/chunk.h"
#include "core/gathering.h"
#include "core/strand.h"

struct slot {
	struct tz_member member; /* as completed */
	tz_handle future;
	size_t index; /* in the input, of the first */
	size_t count; /* of elements */
	struct tz_chunk *chunk; /* that they are in, or NULL */
	struct slot *next_free;
};

/* Arrays, as a generator. */
struct columns {
	const tz_task *task;
	size_t next, end;
	const void *in[TZ_ARGS_MAX];
};

struct tz_stream {
	tz_executor *executor;
	const tz_task *task;
	tz_submit_options submit;
	bool as_completed;
	bool ended; /* the generator has no more */
	bool (*pull)(void (*next)(void), void *arg, void *args);
	void (*next)(void);
	bool (*next_raw)(void *arg, void *args); /* in place of pull and next */
	void *arg;
	struct columns columns; /* or what `next_raw` reads */
	void *args; /* of the call that is being made */
	size_t chunk; /* elements in a slot */
	size_t window, under_way, begun; /* slots */
	size_t taken; /* elements */
	struct slot *open; /* whose elements are being given out: a chunk's */
	size_t given; /* of them */
	struct tz_gathering gathering;
	struct slot *free; /* as completed */
	struct slot slots[];
};

/* --- taking elements in --------------------------------------------------------------------------------------------- */

static struct slot *place_for(struct tz_stream *s)
{
	if (!s->as_completed)
		return &s->slots[s->begun % s->window];
	struct slot *slot = s->free;

	s->free = slot->next_free;
	return slot;
}

static void give_back(struct tz_stream *s, struct slot *slot)
{
	slot->next_free = s->free;
	s->free = slot;
}

/* Takes an element; false at the end. */
static bool draw(struct tz_stream *s, void *args)
{
	memset(args, 0, s->task->args_size);
	if (!s->ended && !(s->next_raw ? s->next_raw(s->arg, args) : s->pull(s->next, s->arg, args)))
		s->ended = true;
	return !s->ended;
}

/* Submits what is taken into the slot; false if there was nothing to take. */
static bool submit(struct tz_stream *s, struct slot *slot)
{
	slot->index = s->taken;
	slot->count = 0;
	if (!slot->chunk) {
		if (!draw(s, s->args))
			return false;
		slot->count = 1;
		slot->future = tz_submit_raw(s->executor, &s->submit, s->task, s->args);
	} else {
		while (slot->count < s->chunk && draw(s, tz_chunk_args(slot->chunk, slot->count)))
			slot->count++;
		if (slot->count == 0)
			return false;
		tz_chunk_submit(slot->chunk, slot->count, s->executor, &s->submit);
		slot->future = slot->chunk->job;
	}
	s->taken += slot->count;
	return true;
}

/* Takes elements and submits their calls as one job; false at the end. */
static bool take_one(struct tz_stream *s)
{
	struct slot *slot = place_for(s);

	if (!submit(s, slot)) {
		if (s->as_completed)
			give_back(s, slot);
		return false;
	}
	s->begun++;
	if (s->as_completed &&
	    tz_gathering_add(&s->gathering, &slot->member, slot->future, (size_t)(slot - s->slots)) < 0)
		give_back(s, slot); /* the scope that owns it has been left already */
	else
		s->under_way++;
	return true;
}

static struct slot *oldest(struct tz_stream *s)
{
	return &s->slots[(s->begun - s->under_way) % s->window];
}

static bool has_something(struct tz_stream *s)
{
	if (s->under_way == 0)
		return false;
	return s->as_completed ? tz_gathering_has_next(&s->gathering) : tz_done_raw(oldest(s)->future) != 0;
}

static void fill(struct tz_stream *s)
{
	for (int n = 0; !s->ended && s->under_way < s->window && (n < 2 || !has_something(s)); n++)
		if (!take_one(s))
			return;
}

/* --- giving results out ------------------------------------------------------------------------------------------------ */

/* The slot to give out next, whose job has ended. */
static int wait_for_slot(struct tz_stream *s, struct slot **ret)
{
	struct tz_member *m;
	int r;

	if (s->as_completed) {
		r = tz_gathering_next(&s->gathering, tz_never(), &m);
		if (r == 0)
			*ret = &s->slots[m->index];
		return r;
	}
	*ret = oldest(s);
	r = tz_wait_raw((*ret)->future, tz_never());
	return r == -ESTALE ? 0 : r; /* released behind our back: tz_result says so */
}

/* The slot has nothing more to give. */
static void end_slot(struct tz_stream *s, struct slot *slot)
{
	s->under_way--;
	if (s->as_completed)
		give_back(s, slot);
}

/* The next element of a chunk that has ended. */
static int give_open(struct tz_stream *s, void *out, size_t *ret_index)
{
	struct slot *slot = s->open;
	size_t i = s->given++;

	if (ret_index)
		*ret_index = slot->index + i;
	int r = tz_chunk_take(slot->chunk, i, out);

	if (s->given == slot->count) {
		s->open = NULL;
		end_slot(s, slot);
	}
	return r < 0 ? r : 1;
}

int tz_stream_next_raw(tz_stream *s, void *out, size_t *ret_index)
{
	struct slot *slot = NULL;

	if (s->open)
		return give_open(s, out, ret_index);
	fill(s);
	if (s->under_way == 0)
		return 0;
	int r = wait_for_slot(s, &slot);

	if (r < 0)
		return r;
	if (slot->chunk) {
		tz_chunk_settle(slot->chunk);
		s->open = slot;
		s->given = 0;
		return give_open(s, out, ret_index);
	}
	r = tz_result_raw(slot->future, out, out ? s->task->result_size : 0);
	if (ret_index)
		*ret_index = slot->index;
	end_slot(s, slot);
	return r < 0 ? r : 1;
}

/* --- beginning and end ----------------------------------------------------------------------------------------------------- */

static bool copy_options(tz_stream_options *to, const tz_stream_options *from)
{
	size_t size = from->size ? from->size : sizeof *from;

	for (size_t i = sizeof *to; i < size; i++)
		if (((const unsigned char *)from)[i])
			return false; /* asks for something that this library does not know */
	memcpy(to, from, size < sizeof *to ? size : sizeof *to);
	return true;
}

static void free_stream(struct tz_stream *s)
{
	for (size_t i = 0; i < s->window; i++)
		tz_chunk_free(s->slots[i].chunk);
	free(s->args);
	free(s);
}

static struct tz_stream *new_stream(const tz_task *task, size_t window, size_t chunk)
{
	size_t align = task->align > 16 ? task->align : 16, bytes;
	struct tz_stream *s;

	if (__builtin_mul_overflow(window, sizeof(struct slot), &bytes) ||
	    bytes > SIZE_MAX - sizeof *s)
		return NULL;
	s = calloc(1, sizeof *s + bytes);
	if (!s)
		return NULL;
	s->task = task;
	s->window = window;
	s->chunk = chunk;
	s->args = aligned_alloc(align, (task->args_size + align) / align * align);
	bool complete = s->args != NULL;

	for (size_t i = 0; complete && chunk > 1 && i < window; i++)
		complete = (s->slots[i].chunk = tz_chunk_new(task, chunk)) != NULL;
	if (!complete) {
		free_stream(s);
		return NULL;
	}
	tz_gathering_begin(&s->gathering);
	for (size_t i = window; i-- > 0; s->free = &s->slots[i])
		s->slots[i].next_free = s->free;
	return s;
}

/* How many slots there are, and how many elements go into one. */
static size_t slots_of(tz_executor *executor, const tz_task *task, const tz_stream_options *o,
		       bool stay, size_t *ret_chunk)
{
	size_t window = 2 * (size_t)tz_executor_workers(executor), chunk = 1;

	if (o->chunk > 1)
		chunk = tz_chunk_size(executor, task, o->chunk, SIZE_MAX, stay);
	if (o->window && chunk > o->window)
		chunk = o->window;
	*ret_chunk = chunk;
	if (o->window)
		return o->window / chunk;
	return window < 2 ? 2 : window;
}

/* `stay`: what arguments point to stays there until the stream is closed. */
static int open_stream(tz_stream **ret, tz_executor *executor, const tz_task *task,
		       const tz_stream_options *options, bool stay)
{
	tz_stream_options o = { 0 };
	size_t chunk;

	if (!task || !task->run || (options && !copy_options(&o, options)))
		return -EINVAL;
	if (!executor && !(executor = tz_executor_default()))
		return -EAGAIN;
	size_t window = slots_of(executor, task, &o, stay, &chunk);
	struct tz_stream *s = new_stream(task, window, chunk);

	if (!s)
		return -ENOMEM;
	s->executor = executor;
	s->submit = o.submit;
	s->as_completed = o.as_completed;
	*ret = s;
	return 0;
}

int tz_stream_open_raw(tz_stream **ret, tz_executor *executor, const tz_task *task,
		       const tz_stream_options *options, bool (*next)(void *arg, void *args),
		       void *arg)
{
	int r = next ? open_stream(ret, executor, task, options, false) : -EINVAL;

	if (r == 0) {
		(*ret)->next_raw = next;
		(*ret)->arg = arg;
	}
	return r;
}

int tz__stream_open(tz_stream **ret, tz_executor *executor, const tz_task *task,
		    const tz_stream_options *options,
		    bool (*pull)(void (*next)(void), void *arg, void *args), void (*next)(void),
		    void *arg)
{
	int r = next ? open_stream(ret, executor, task, options, false) : -EINVAL;

	if (r == 0) {
		(*ret)->pull = pull;
		(*ret)->next = next;
		(*ret)->arg = arg;
	}
	return r;
}

/* Whether the descriptor says where each argument lies. */
static bool has_columns(const tz_task *task)
{
	return task->nargs <= TZ_ARGS_MAX && (task->nargs > 0 || task->args_size == 0);
}

static bool next_row(void *arg, void *args)
{
	struct columns *c = arg;
	const tz_task *task = c->task;

	if (c->next == c->end)
		return false;
	for (uint32_t k = 0; k < task->nargs; k++)
		memcpy((char *)args + task->arg_offset[k],
		       (const char *)c->in[k] + c->next * task->args[k].size, task->args[k].size);
	c->next++;
	return true;
}

int tz_stream_over_raw(tz_stream **ret, tz_executor *executor, const tz_task *task,
		       const tz_stream_options *options, size_t n, const void *const *in)
{
	if (!task || !has_columns(task) || (n && task->nargs && !in))
		return -EINVAL;
	int r = open_stream(ret, executor, task, options, true);

	if (r < 0)
		return r;
	struct tz_stream *s = *ret;

	s->columns = (struct columns){ .task = task, .end = n };
	for (uint32_t k = 0; k < task->nargs; k++)
		s->columns.in[k] = in ? in[k] : NULL;
	s->next_raw = next_row;
	s->arg = &s->columns;
	return 0;
}

/* Cancels what is under way, and waits for it, whatever the scope says. */
void tz_stream_close_raw(tz_stream *s)
{
	if (!s)
		return;
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;
	tz_outcome last = *tz_last();
	size_t oldest_one = s->begun - s->under_way;

	self->scope = NULL;
	s->ended = true;
	if (!s->as_completed)
		for (size_t i = oldest_one; i < s->begun; i++)
			(void)tz_cancel_raw(s->slots[i % s->window].future);
	for (size_t i = 0; s->as_completed && i < s->window; i++)
		(void)tz_cancel_raw(s->slots[i].future); /* those that were given out are stale */
	while (s->under_way > 0)
		(void)tz_stream_next_raw(s, NULL, NULL);
	self->scope = scope;
	self->last = last;
	self->last_task = NULL;
	free_stream(s);
}
