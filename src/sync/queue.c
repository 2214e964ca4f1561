/* The queue: waiting, counting of work done, and shutdown, over a store of elements.
 *
 * Design notes
 *
 * The store (store.h) holds the elements and never waits. Here there are three lists of waiters (waiters.h): who wants an
 * element, who wants room, who waits for all work to be done. A put that succeeds wakes one getter, a get from a bounded
 * queue one putter; in the ordinary case that is one load of a word that says that nobody waits. Who had to line up and is
 * served wakes the next one if there is more (the rule of waiters.h): so a batch, or two wakes that fell
 * together, reach as many as they should. After a shutdown he always does: a getter that lined up again because a put
 * was half-way must hear that somebody else took that element.
 *
 * Before lining up, a strand looks at the store for a moment (spin.h): between two running threads the next
 * element comes sooner than a sleep would take. It looks less often as time goes by, since each look takes the
 * cell's cache line from the one who is about to write it. Then it yields once.
 *
 * Unfinished work is the number of elements that ever went in (the store knows) less `done`.
 *
 * Dropping. `dropped` is set first, so that nobody begins to take elements out. Then the store is closed, and emptied
 * by the one who shuts down, who waits for puts that are half-way. Each element is taken out by exactly one:
 * a getter that began earlier, or the one who drops, who counts it as done.
 */
#include <trenza/queue.h>

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/sitting.h"
#include "core/strand.h"
#include "sync/store.h"
#include "sync/waiters.h"

/* How long a strand looks for an element before it lines up. */
enum { SPIN_US = 2 };

enum { SHUT = 1, DROPPED = 2 };

struct tz_queue {
	struct tz_store *store;
	const struct tz_store_ops *ops; /* of the store */
	size_t size; /* of an element */
	_Atomic uint32_t state; /* SHUT, DROPPED */
	_Atomic uint64_t done;
	_Alignas(TZ_CACHE_LINE) struct tz_waiters getters;
	struct tz_waiters putters;
	struct tz_waiters joiners;
};

static bool good_key(tz_queue_key key, size_t size)
{
	if (key.kind == 2)
		return (key.size == sizeof(float) || key.size == sizeof(double)) &&
		       (size_t)key.offset + key.size <= size;
	return key.kind <= 1 &&
	       (key.size == 1 || key.size == 2 || key.size == 4 || key.size == 8) &&
	       (size_t)key.offset + key.size <= size;
}

static int check_options(size_t size, tz_queue_options *o)
{
	if (size == 0 || o->reserved[0] || o->reserved[1] || o->reserved[2] || o->reserved[3])
		return -EINVAL;
	if (o->order == TZ_FIFO || o->order == TZ_LIFO)
		return o->compare || o->key.size ? -EINVAL : 0;
	if (o->order != TZ_PRIORITY || (o->compare && o->key.size))
		return -EINVAL;
	if (!o->compare && o->key.size == 0)
		o->key = (tz_queue_key){ .size = size <= 8 ? (uint16_t)size : 0, .kind = 1 };
	return o->compare || good_key(o->key, size) ? 0 : -EINVAL;
}

static struct tz_store *store_new(size_t size, const tz_queue_options *o)
{
	if (o->order == TZ_PRIORITY)
		return tz_heap_new(size, o->capacity, o->key, o->compare);
	if (o->order == TZ_LIFO)
		return tz_stack_new(size, o->capacity);
	return o->capacity ? tz_ring_new(size, o->capacity) : tz_chain_new(size);
}

int tz_queue_open(tz_queue **ret_queue, size_t size, const tz_queue_options *options)
{
	tz_queue_options o = options ? *options : (tz_queue_options){ .order = TZ_FIFO };
	int e = check_options(size, &o);
	tz_queue *q;

	if (e < 0)
		return e;
	q = aligned_alloc(_Alignof(tz_queue), sizeof *q);
	if (!q)
		return -ENOMEM;
	memset(q, 0, sizeof *q);
	q->store = store_new(size, &o);
	if (!q->store) {
		free(q);
		return -ENOMEM;
	}
	q->ops = q->store->ops;
	q->size = size;
	*ret_queue = q;
	return 0;
}

void tz_queue_close(tz_queue *q)
{
	if (!q)
		return;
	q->ops->free(q->store);
	free(q);
}

/* --- without waiting ------------------------------------------------------------------------------------- */

static ptrdiff_t put_now(tz_queue *q, const void *items, size_t n)
{
	ptrdiff_t r = q->ops->put(q->store, items, n);

	if (r > 0)
		tz_waiters_wake_one(&q->getters);
	return r;
}

static ptrdiff_t get_now(tz_queue *q, void *items, size_t n)
{
	ptrdiff_t r;

	if (__builtin_expect(atomic_load_explicit(&q->state, memory_order_acquire) & DROPPED, 0))
		return -ESHUTDOWN;
	r = q->ops->get(q->store, items, n);
	if (r > 0 && q->store->capacity)
		tz_waiters_wake_one(&q->putters);
	return r;
}

/* --- one way of waiting for both sides ------------------------------------------------------------------- */

/* A call that may have to wait: what it wants, and on which side. */
struct call {
	tz_queue *queue;
	const void *in; /* put from here, or */
	void *out; /* get to here */
	size_t n;
	struct tz_waiters *waiters;
};

static ptrdiff_t attempt(const struct call *c)
{
	return c->in ? put_now(c->queue, c->in, c->n) : get_now(c->queue, c->out, c->n);
}

/* Whether another one in the same list could go on now. */
static bool more(const struct call *c)
{
	size_t count = c->queue->ops->count(c->queue->store);

	return c->in ? count < c->queue->store->capacity : count > 0;
}

static ptrdiff_t spin(const struct call *c, const struct tz_strand *self)
{
	ptrdiff_t r = -EAGAIN;

	if (!tz_strand_may_spin(self))
		return r;
	struct tz_sitting s = tz_sitting_begin(SPIN_US * (uint32_t)tz_clock_ticks_per_us());

	while (r == -EAGAIN && tz_sitting_turn(&s))
		r = attempt(c);
	tz_sitting_end(&s);
	return r;
}

/* Where there are more strands than processors, the one that we wait for may need ours: given it, it goes on
 * until it waits itself, which moves many elements for one switch. Asleep, we would be woken for the first. */
static ptrdiff_t let_others_run(const struct call *c, struct tz_strand *self)
{
	self->ops->yield(self);
	return attempt(c);
}

static ptrdiff_t line_up(const struct call *c, struct tz_strand *self, tz_deadline deadline)
{
	struct tz_waiting w;
	ptrdiff_t r;
	int e = 0;

	do {
		tz_waiters_enter(c->waiters, &w, self);
		r = attempt(c);
		if (r != -EAGAIN) {
			tz_waiters_leave(c->waiters, &w);
			break;
		}
		e = tz_waiters_wait(c->waiters, &w, "queue", c->queue, deadline);
		r = attempt(
			c); /* also if the wait ended otherwise: an element that is there beats a time-out */
	} while (r == -EAGAIN && e == 0);
	if (tz_waiters_any(c->waiters) && (more(c) || tz_queue_is_shutdown(c->queue)))
		tz_waiters_wake_one(c->waiters);
	return r == -EAGAIN ? e : r;
}

/* At least one element moves, or the wait ends. */
static ptrdiff_t move(const struct call *c, tz_deadline deadline)
{
	ptrdiff_t r = attempt(c);

	if (__builtin_expect(r != -EAGAIN, 1)) {
		tz_strand_count_call();
		return r;
	}
	struct tz_strand *self = tz_strand_self();

	r = spin(c, self);
	if (r == -EAGAIN)
		r = let_others_run(c, self);
	return r != -EAGAIN ? r : line_up(c, self, deadline);
}

/* --- put --------------------------------------------------------------------------------------------------- */

ptrdiff_t tz_queue_put_n_until(tz_queue *q, const void *items, size_t n, tz_deadline deadline)
{
	struct call c = { .queue = q, .in = items, .n = n, .waiters = &q->putters };

	while (c.n > 0) {
		ptrdiff_t r = move(&c, deadline);

		if (r < 0)
			return c.n < n ? (ptrdiff_t)(n - c.n) : r;
		c.n -= (size_t)r;
		c.in = (const unsigned char *)c.in + (size_t)r * q->size;
	}
	return (ptrdiff_t)n;
}

ptrdiff_t tz_queue_put_n(tz_queue *q, const void *items, size_t n)
{
	return tz_queue_put_n_until(q, items, n, tz_never());
}

ptrdiff_t tz_queue_try_put_n(tz_queue *q, const void *items, size_t n)
{
	return n ? put_now(q, items, n) : 0;
}

int tz_queue_put_until(tz_queue *q, const void *item, tz_deadline deadline)
{
	struct call c = { .queue = q, .in = item, .n = 1, .waiters = &q->putters };
	ptrdiff_t r = move(&c, deadline);

	return r < 0 ? (int)r : 0;
}

int tz_queue_put(tz_queue *q, const void *item)
{
	return tz_queue_put_until(q, item, tz_never());
}

int tz_queue_try_put(tz_queue *q, const void *item)
{
	ptrdiff_t r = put_now(q, item, 1);

	return r < 0 ? (int)r : 0;
}

/* --- get --------------------------------------------------------------------------------------------------- */

ptrdiff_t tz_queue_get_n_until(tz_queue *q, void *ret_items, size_t max, tz_deadline deadline)
{
	struct call c = { .queue = q, .out = ret_items, .n = max, .waiters = &q->getters };

	return max ? move(&c, deadline) : 0;
}

ptrdiff_t tz_queue_get_n(tz_queue *q, void *ret_items, size_t max)
{
	return tz_queue_get_n_until(q, ret_items, max, tz_never());
}

ptrdiff_t tz_queue_try_get_n(tz_queue *q, void *ret_items, size_t max)
{
	return max ? get_now(q, ret_items, max) : 0;
}

int tz_queue_get_until(tz_queue *q, void *ret_item, tz_deadline deadline)
{
	ptrdiff_t r = tz_queue_get_n_until(q, ret_item, 1, deadline);

	return r < 0 ? (int)r : 0;
}

int tz_queue_get(tz_queue *q, void *ret_item)
{
	return tz_queue_get_until(q, ret_item, tz_never());
}

int tz_queue_try_get(tz_queue *q, void *ret_item)
{
	ptrdiff_t r = get_now(q, ret_item, 1);

	return r < 0 ? (int)r : 0;
}

/* --- what it holds ----------------------------------------------------------------------------------------- */

size_t tz_queue_size(const tz_queue *q)
{
	return q->ops->count(q->store);
}

bool tz_queue_empty(const tz_queue *q)
{
	return tz_queue_size(q) == 0;
}

bool tz_queue_full(const tz_queue *q)
{
	return q->store->capacity && tz_queue_size(q) >= q->store->capacity;
}

size_t tz_queue_capacity(const tz_queue *q)
{
	return q->store->capacity;
}

bool tz_queue_signal_safe(const tz_queue *q)
{
	return q->ops->signal_safe;
}

/* --- work done --------------------------------------------------------------------------------------------- */

size_t tz_queue_unfinished(const tz_queue *q)
{
	/* `done` first: it never overtakes the total. */
	uint64_t done = atomic_load_explicit(&q->done, memory_order_seq_cst);

	return (size_t)(q->ops->total(q->store) - done);
}

static void wake_joiners(tz_queue *q)
{
	if (tz_queue_unfinished(q) == 0)
		tz_waiters_wake_all(&q->joiners);
}

int tz_queue_task_done(tz_queue *q)
{
	uint64_t done = atomic_load_explicit(&q->done, memory_order_relaxed);

	do {
		if (done >= q->ops->total(q->store))
			return -EINVAL;
	} while (!atomic_compare_exchange_weak_explicit(
		&q->done, &done, done + 1, memory_order_seq_cst, memory_order_relaxed));
	wake_joiners(q);
	return 0;
}

int tz_queue_join_until(tz_queue *q, tz_deadline deadline)
{
	struct tz_strand *self;
	struct tz_waiting w;

	tz_strand_count_call();
	if (tz_queue_unfinished(q) == 0)
		return 0;
	self = tz_strand_self();
	for (;;) {
		int e;

		tz_waiters_enter(&q->joiners, &w, self);
		if (tz_queue_unfinished(q) == 0) {
			tz_waiters_leave(&q->joiners, &w);
			return 0;
		}
		e = tz_waiters_wait(&q->joiners, &w, "queue to be done", q, deadline);
		/* Woken is enough: all was done for a moment, and more may have come since. */
		if (e == 0 || tz_queue_unfinished(q) == 0)
			return 0;
		return e;
	}
}

int tz_queue_join(tz_queue *q)
{
	return tz_queue_join_until(q, tz_never());
}

/* --- the end ----------------------------------------------------------------------------------------------- */

static void drop_all(tz_queue *q)
{
	struct tz_strand *self = tz_strand_self();

	for (;;) {
		ptrdiff_t n = q->ops->get(q->store, NULL, INT_MAX);

		if (n == -ESHUTDOWN)
			return;
		if (n > 0)
			(void)atomic_fetch_add_explicit(&q->done, (uint64_t)n,
							memory_order_seq_cst);
		else
			self->ops->yield(self); /* a put is half-way */
	}
}

int tz_queue_shutdown(tz_queue *q, tz_queue_end end)
{
	if (end != TZ_QUEUE_DRAIN && end != TZ_QUEUE_DROP)
		return -EINVAL;
	(void)atomic_fetch_or_explicit(&q->state, end == TZ_QUEUE_DROP ? SHUT | DROPPED : SHUT,
				       memory_order_seq_cst);
	q->ops->close(q->store);
	if (end == TZ_QUEUE_DROP)
		drop_all(q);
	tz_waiters_wake_all(&q->putters);
	tz_waiters_wake_all(&q->getters);
	wake_joiners(q);
	return 0;
}

bool tz_queue_is_shutdown(const tz_queue *q)
{
	return atomic_load_explicit(&q->state, memory_order_acquire) & SHUT;
}
