/* The stream: map over what a generator yields, with a bounded window.
 *
 * Design notes
 *
 * At most `window` elements are under way: taken from the generator and not given out. Each lies in a slot. In the generator's order, the slots
 * are a ring and the oldest one is waited for. As completed, each slot is a member of a gathering (gathering.h), and the first that ends is given out.
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

#include "core/gathering.h"
#include "core/strand.h"

struct slot {
	struct tz_member member; /* as completed */
	tz_handle future;
	size_t index; /* in the input */
	struct slot *next_free;
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
	void *args; /* of the call that is being made */
	size_t window, under_way, taken;
	struct tz_gathering gathering;
	struct slot *free; /* as completed */
	struct slot slots[];
};

/* --- taking elements in --------------------------------------------------------------------------------------------- */

static struct slot *place_for(struct tz_stream *s)
{
	if (!s->as_completed)
		return &s->slots[s->taken % s->window];
	struct slot *slot = s->free;

	s->free = slot->next_free;
	return slot;
}

static void give_back(struct tz_stream *s, struct slot *slot)
{
	slot->next_free = s->free;
	s->free = slot;
}

/* Takes an element and submits its call; false at the end. */
static bool take_one(struct tz_stream *s)
{
	memset(s->args, 0, s->task->args_size);
	if (!(s->next_raw ? s->next_raw(s->arg, s->args) : s->pull(s->next, s->arg, s->args))) {
		s->ended = true;
		return false;
	}
	struct slot *slot = place_for(s);

	slot->index = s->taken++;
	slot->future = tz_submit_raw(s->executor, &s->submit, s->task, s->args);
	if (s->as_completed &&
	    tz_gathering_add(&s->gathering, &slot->member, slot->future, (size_t)(slot - s->slots)) < 0)
		give_back(s, slot); /* the scope that owns it has been left already */
	else
		s->under_way++;
	return true;
}

static struct slot *oldest(struct tz_stream *s)
{
	return &s->slots[(s->taken - s->under_way) % s->window];
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

int tz_stream_next_raw(tz_stream *s, void *out, size_t *ret_index)
{
	struct slot *slot = NULL;

	fill(s);
	if (s->under_way == 0)
		return 0;
	int r = wait_for_slot(s, &slot);

	if (r < 0)
		return r;
	r = tz_result_raw(slot->future, out, out ? s->task->result_size : 0);
	if (ret_index)
		*ret_index = slot->index;
	s->under_way--;
	if (s->as_completed)
		give_back(s, slot);
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

static struct tz_stream *new_stream(const tz_task *task, size_t window)
{
	size_t align = task->align > 16 ? task->align : 16, bytes;
	struct tz_stream *s;

	if (__builtin_mul_overflow(window, sizeof(struct slot), &bytes) ||
	    bytes > SIZE_MAX - sizeof *s)
		return NULL;
	s = calloc(1, sizeof *s + bytes);
	if (!s)
		return NULL;
	s->args = aligned_alloc(align, (task->args_size + align) / align * align);
	if (!s->args) {
		free(s);
		return NULL;
	}
	s->window = window;
	tz_gathering_begin(&s->gathering);
	for (size_t i = window; i-- > 0; s->free = &s->slots[i])
		s->slots[i].next_free = s->free;
	return s;
}

static int open_stream(tz_stream **ret, tz_executor *executor, const tz_task *task,
		       const tz_stream_options *options)
{
	tz_stream_options o = { 0 };

	if (!task || !task->run || (options && !copy_options(&o, options)))
		return -EINVAL;
	if (!executor && !(executor = tz_executor_default()))
		return -EAGAIN;
	size_t window = o.window ? o.window : 2 * (size_t)tz_executor_workers(executor);
	struct tz_stream *s = new_stream(task, window < 2 && !o.window ? 2 : window);

	if (!s)
		return -ENOMEM;
	s->executor = executor;
	s->task = task;
	s->submit = o.submit;
	s->as_completed = o.as_completed;
	*ret = s;
	return 0;
}

int tz_stream_open_raw(tz_stream **ret, tz_executor *executor, const tz_task *task,
		       const tz_stream_options *options, bool (*next)(void *arg, void *args),
		       void *arg)
{
	int r = next ? open_stream(ret, executor, task, options) : -EINVAL;

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
	int r = next ? open_stream(ret, executor, task, options) : -EINVAL;

	if (r == 0) {
		(*ret)->pull = pull;
		(*ret)->next = next;
		(*ret)->arg = arg;
	}
	return r;
}

/* Cancels what is under way, and waits for it, whatever the scope says. */
void tz_stream_close_raw(tz_stream *s)
{
	if (!s)
		return;
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;
	tz_outcome last = *tz_last();
	size_t oldest_one = s->taken - s->under_way;

	self->scope = NULL;
	s->ended = true;
	if (!s->as_completed)
		for (size_t i = oldest_one; i < s->taken; i++)
			(void)tz_cancel_raw(s->slots[i % s->window].future);
	for (size_t i = 0; s->as_completed && i < s->window; i++)
		(void)tz_cancel_raw(s->slots[i].future); /* those that were given out are stale */
	while (s->under_way > 0)
		(void)tz_stream_next_raw(s, NULL, NULL);
	self->scope = scope;
	self->last = last;
	self->last_task = NULL;
	free(s->args);
	free(s);
}
