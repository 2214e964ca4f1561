/* The queue between processes: putting, getting, and waiting for either.
 *
 * Design notes
 *
 * A ring of slots. Messages are numbered; those from `head` to `tail` are in the queue, and all else that can be said of it is derived from these two: so its size is
 * exact. Who puts holds one lock, who gets another one, so both go on at the same time. What makes a put is one store of `tail`, what makes a get is one store of
 * `head`, for a batch as for one message. A process that is killed before it has done nothing that anybody could see: what it has written lies beyond
 * `tail`; one that is killed after it has done all. The lock of a dead process is taken over (shared_lock.h), and there is nothing to repair but leases that have not begun (queue_lease.c).
 *
 * Unfinished work is what was ever put, less `done`, less what was ended by leases. After TZ_QUEUE_DROP, what was ever taken out takes the place of what was put:
 * both numbers stand still by then, and so the drop is one store as well.
 *
 * The end. `state` is changed by who holds both locks, so nobody is in the middle of a put that others believe can come no more.
 *
 * Waiting. A strand spins for as long as that has paid of late (core/spin.h), if it has paid at all; yields; and then naps (call.h, nap.h). At the end of each nap it looks for what the dead have left; those
 * who never need to nap do that at times. `tail`, `head` and what else ends a wait are stored and loaded seq_cst, as call.h wants it.
 *
 * Who is woken. For a batch, as many as it takes to move it if each moves as many as the last one did: the others would find nothing. That is a guess, so who was woken
 * and leaves something behind, or could not take it, wakes the next one. If he is killed before that, they hear of it at the end of their naps.
 */
#include "shared/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/shared_memory.h>

#include "core/sitting.h"
#include "core/strand.h"
#include "os/atomic.h"
#include "shared/call.h"

enum {
	CAPACITY = 1024,
	MESSAGE = 248, /* with its head, four lines */
	LEASES = 64,
	LEASES_MOST = 1 << 20,
	LOOK_EACH = 1024, /* messages: a look for what the dead have left */
	BAD_LUCK_MOST = 8,
	TRIAL = 32 /* waits: to spin all the same */
};
static const uint64_t LARGE = (uint64_t)1 << 30, LARGE_MOST = (uint64_t)1 << 37;

/* --- opening ------------------------------------------------------------------------------------------------------------- */

static uint64_t rounded(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static int check_options(tz_shared_queue_options *o)
{
	o->capacity = o->capacity ? o->capacity : CAPACITY;
	o->message = o->message ? o->message : MESSAGE;
	o->large = o->large ? o->large : LARGE;
	o->leases = o->leases ? o->leases : LEASES;
	if (o->reserved[0] || o->reserved[1] || o->reserved[2] || o->reserved[3])
		return -EINVAL;
	if (o->capacity > UINT32_MAX || o->message > UINT32_MAX || o->large > LARGE_MOST || o->leases > LEASES_MOST)
		return -EINVAL;
	return 0;
}

/* Where everything lies; *ret is the head of a queue that is not there yet. False if that is more than there are addresses. */
static bool lay_out(const tz_shared_queue_options *o, struct tz_shared_queue *ret)
{
	uint64_t slots = 1, size;

	while (slots < o->capacity)
		slots *= 2;
	ret->capacity = o->capacity;
	ret->mask = slots - 1;
	ret->message = rounded(o->message, 8);
	ret->slot_size = sizeof(struct tz_shared_message) + ret->message;
	ret->leases = (uint32_t)o->leases;
	ret->entry_size = sizeof(struct tz_shared_entry) + rounded(ret->message, TZ_CACHE_LINE);
	ret->slots = rounded(sizeof *ret + o->leases * sizeof ret->owners[0], TZ_CACHE_LINE);
	if (__builtin_mul_overflow(slots, ret->slot_size, &size) || size > LARGE_MOST)
		return false;
	ret->entries = rounded(ret->slots + size, TZ_CACHE_LINE);
	if (__builtin_mul_overflow(o->leases, ret->entry_size, &size) || size > LARGE_MOST)
		return false;
	ret->heap = rounded(ret->entries + size, TZ_CACHE_LINE);
	ret->heap_most = rounded(o->large, TZ_CACHE_LINE);
	return true;
}

int tz_shared_queue_open(tz_shared_queue **ret_queue, const tz_shared_queue_options *options)
{
	tz_shared_queue_options o = options ? *options : (tz_shared_queue_options){ .capacity = 0 };
	struct tz_shared_queue layout, *q;
	void *memory;
	int r = check_options(&o);

	if (r < 0)
		return r;
	memset(&layout, 0, sizeof layout);
	if (!lay_out(&o, &layout))
		return -ENOMEM;
	r = tz_shared_alloc_with(&memory, layout.heap, TZ_OPTIONS(tz_shared_options, .reserve = layout.heap + layout.heap_most));
	if (r < 0)
		return r;
	q = memory;
	memcpy(q, &layout, offsetof(struct tz_shared_queue, putting));
	*ret_queue = q;
	return 0;
}

void tz_shared_queue_close(tz_shared_queue *q)
{
	tz_shared_free(q);
}

/* --- the two locks ------------------------------------------------------------------------------------------------------- */

static int lock_putting(tz_shared_queue *q, tz_deadline deadline)
{
	int r = tz_shared_lock_acquire_until(&q->putting, deadline);

	return r == -EOWNERDEAD ? tz_shared_lock_recover(&q->putting) : r;
}

static int lock_getting(tz_shared_queue *q, tz_deadline deadline)
{
	int r = tz_shared_lock_acquire_until(&q->getting, deadline);

	if (r != -EOWNERDEAD)
		return r;
	tz_shared_leases_repair(q);
	return tz_shared_lock_recover(&q->getting);
}

static void unlock(tz_shared_lock *lock)
{
	(void)tz_shared_lock_release(lock);
}

static uint64_t load(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_seq_cst);
}

static uint32_t state_of(const tz_shared_queue *q)
{
	return atomic_load_explicit(&q->state, memory_order_seq_cst);
}

/* --- a call that may have to wait ---------------------------------------------------------------------------------------- */

struct call {
	tz_shared_queue *queue;
	tz_deadline deadline;
	ptrdiff_t (*attempt)(struct call *c); /* how many messages moved, or what it is for; -EAGAIN: wait on `word` */
	bool (*may_succeed)(const struct call *c); /* a look from outside of the lock */
	uint32_t *word;
	struct tz_shared_queue_side *side; /* those that it waits with; NULL: it is not worth to spin */
	const void *in; /* n messages of `size` bytes to put */
	void *out; /* room for n messages of exactly `size` bytes; or for one of up to `size` */
	size_t size, n;
	tz_shared_lease *lease; /* or that */
	uint64_t chunk; /* where the message was put, or is to be fetched from */
	int entry; /* of a lease that has come back */
	bool sweep; /* look for what the dead have left in the heap */
};

/* Wakes some of those who wait on the word for n messages, or for room for them. */
static void wake(uint32_t *word, struct tz_shared_queue_side *side, uint64_t n)
{
	uint32_t usual;

	if (__builtin_expect(!tz_call_is_due(word), 1))
		return;
	struct tz_moment now = tz_moment_now();

	atomic_store_explicit(&side->woken_ticks, now.ticks, memory_order_relaxed);
	atomic_store_explicit(&side->woken_cpu, now.cpu, memory_order_relaxed);
	usual = atomic_load_explicit(&side->usual, memory_order_relaxed);
	n = usual > 1 ? (n + usual - 1) / usual : n;
	tz_call(word, (int)(n < INT32_MAX ? n : INT32_MAX));
}

/* By who has moved n messages, and holds the lock for that. */
static void note_usual(struct tz_shared_queue_side *side, uint64_t n)
{
	uint32_t usual = (uint32_t)(n < UINT32_MAX ? n : UINT32_MAX);

	if (atomic_load_explicit(&side->usual, memory_order_relaxed) != usual)
		atomic_store_explicit(&side->usual, usual, memory_order_relaxed);
}

static ptrdiff_t spin(struct call *c, uint32_t ticks)
{
	struct tz_sitting s = tz_sitting_begin(ticks);
	ptrdiff_t r = -EAGAIN;

	while (r == -EAGAIN && tz_sitting_turn(&s))
		if (c->may_succeed(c))
			r = c->attempt(c);
	tz_sitting_end(&s);
	return r;
}

/* Where there are more strands than processors, the one that we wait for may need ours: given it, it goes on
 * until it waits itself, which moves many messages for one switch. */
static ptrdiff_t let_others_run(struct call *c, struct tz_strand *self)
{
	self->ops->yield(self);
	return c->may_succeed(c) ? c->attempt(c) : -EAGAIN;
}

/* The calling strand was woken, maybe: does as much for another one, if there is something left for that. */
static void pass_on(const struct call *c, uint32_t *word)
{
	if ((word == &c->queue->arrived || word == &c->queue->room) && c->may_succeed(c))
		wake(word, c->side, 1);
}

static ptrdiff_t sleep_on(struct call *c)
{
	struct tz_nap nap = tz_nap_begin("shared queue", c->queue, c->deadline);
	ptrdiff_t r;
	int e = 0;

	do {
		uint32_t *word = c->word, seen = tz_call_listen(word);

		r = c->attempt(c);
		if (r != -EAGAIN)
			return r;
		if (c->word != word)
			continue; /* it is something else that is missing now */
		e = tz_nap_take(&nap, word, seen);
		if (e == TZ_NAP_OVER) {
			tz_shared_leases_reclaim(c->queue);
			c->sweep = true;
		}
		r = c->attempt(c); /* also if the wait is over: a message that is there beats a time-out */
		if (r != -EAGAIN || c->word != word)
			pass_on(c, word);
	} while (r == -EAGAIN && e >= 0);
	return r == -EAGAIN ? e : r;
}

/* When and where who has waited since `begun` was woken; long after, if nobody did that. */
static struct tz_moment woken(const struct tz_shared_queue_side *side, struct tz_moment begun)
{
	struct tz_moment m = {
		.ticks = atomic_load_explicit(&side->woken_ticks, memory_order_relaxed),
		.cpu = atomic_load_explicit(&side->woken_cpu, memory_order_relaxed),
	};

	return (int64_t)(m.ticks - begun.ticks) > 0 ? m : (struct tz_moment){ begun.ticks + INT32_MAX, -1 };
}

/* Whether to spin has helped lately; else only a trial now and then. */
static bool is_lucky(struct tz_shared_queue_side *side)
{
	uint32_t n;

	if (atomic_load_explicit(&side->bad_luck, memory_order_relaxed) < BAD_LUCK_MOST)
		return true;
	n = atomic_load_explicit(&side->passed, memory_order_relaxed) + 1;
	atomic_store_explicit(&side->passed, n, memory_order_relaxed);
	return n % TRIAL == 0;
}

static void learn_luck(struct tz_shared_queue_side *side, bool good)
{
	uint32_t bad = atomic_load_explicit(&side->bad_luck, memory_order_relaxed);

	if (bad != (good ? 0 : BAD_LUCK_MOST))
		atomic_store_explicit(&side->bad_luck, good ? bad - 1 : bad + 1, memory_order_relaxed);
}

/* Spins, if that makes sense here. */
static ptrdiff_t linger(struct call *c, struct tz_moment begun)
{
	struct tz_patience *patience = &c->side->patience;
	uint32_t ticks = tz_patience_ask(patience);
	ptrdiff_t r;

	if (!ticks)
		return -EAGAIN;
	r = spin(c, ticks);
	learn_luck(c->side, r != -EAGAIN);
	if (r != -EAGAIN)
		tz_patience_learn(patience, begun, tz_moment_now(), false);
	return r;
}

static ptrdiff_t wait_and_move(struct call *c)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_moment begun = tz_moment_now();
	bool may_spin = c->side && tz_strand_may_spin(self) && is_lucky(c->side);
	ptrdiff_t r = may_spin ? linger(c, begun) : -EAGAIN;

	if (r != -EAGAIN)
		return r;
	r = let_others_run(c, self);
	if (r == -EAGAIN)
		r = sleep_on(c);
	if (may_spin)
		tz_patience_learn(&c->side->patience, begun, woken(c->side, begun), true);
	return r;
}

static ptrdiff_t move(struct call *c)
{
	ptrdiff_t r = c->attempt(c);

	return __builtin_expect(r != -EAGAIN, 1) ? r : wait_and_move(c);
}

/* --- put ----------------------------------------------------------------------------------------------------------------- */

static uint64_t room(tz_shared_queue *q, uint64_t tail, uint64_t wanted)
{
	uint64_t n = q->capacity - (tail - q->head_seen);

	if (n >= wanted)
		return n;
	q->head_seen = load(&q->head);
	return q->capacity - (tail - q->head_seen);
}

static void write_slots(const struct call *c, uint64_t tail, size_t n)
{
	tz_shared_queue *q = c->queue;
	const unsigned char *in = c->in;

	for (size_t i = 0; i < n; i++, in += c->size) {
		struct tz_shared_message *m = tz_shared_queue_slot(q, tail + i);

		m->head = (uint64_t)c->size << 1 | (c->chunk != 0);
		if (c->chunk)
			memcpy(tz_shared_message_inside(m), &c->chunk, sizeof c->chunk);
		else if (c->size)
			memcpy(tz_shared_message_inside(m), in, c->size);
	}
}

static ptrdiff_t put_now(struct call *c)
{
	tz_shared_queue *q = c->queue;
	uint64_t tail, n = 0;
	int r = lock_putting(q, c->deadline);

	if (r < 0)
		return r;
	if (state_of(q) & TZ_SHARED_QUEUE_SHUT) {
		unlock(&q->putting);
		return -ESHUTDOWN;
	}
	tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	n = room(q, tail, c->n);
	if (n > 0) {
		n = n < c->n ? n : c->n;
		write_slots(c, tail, n);
		tz_store_seq_cst(&q->tail, tail + n);
		note_usual(&q->putters, n);
	}
	unlock(&q->putting);
	if (n == 0) {
		c->word = &q->room;
		return -EAGAIN;
	}
	wake(&q->arrived, &q->getters, n);
	return (ptrdiff_t)n;
}

static bool may_put(const struct call *c)
{
	tz_shared_queue *q = c->queue;

	return load(&q->tail) - load(&q->head) < q->capacity || (state_of(q) & TZ_SHARED_QUEUE_SHUT);
}

static ptrdiff_t alloc_now(struct call *c)
{
	tz_shared_queue *q = c->queue;
	int r = state_of(q) & TZ_SHARED_QUEUE_SHUT ? -ESHUTDOWN :
						     tz_shared_chunk_alloc(q, c->size, c->sweep, c->deadline, &c->chunk);

	c->sweep = false;
	if (r == -EAGAIN)
		c->word = &q->memory;
	return r;
}

static bool may_alloc(const struct call *c)
{
	(void)c;
	return false;
}

/* Puts messages of which each fits into a slot; or one that does not, whose bytes are in the heap. */
static ptrdiff_t put_slots(struct call *c, bool wait)
{
	size_t left = c->n;
	ptrdiff_t r = 0;

	c->attempt = put_now;
	c->may_succeed = may_put;
	c->side = &c->queue->putters;
	while (c->n > 0) {
		r = wait ? move(c) : put_now(c);
		if (r < 0)
			break;
		c->n -= (size_t)r;
		c->in = (const unsigned char *)c->in + (size_t)r * c->size;
		if (!wait)
			break;
	}
	return left > c->n ? (ptrdiff_t)(left - c->n) : r;
}

static ptrdiff_t put_large(const struct call *many, bool wait)
{
	struct call c = *many;
	ptrdiff_t r;

	c.n = 1;
	c.attempt = alloc_now;
	c.may_succeed = may_alloc;
	c.sweep = true;
	r = wait ? move(&c) : alloc_now(&c);
	if (r < 0)
		return r;
	memcpy(tz_shared_queue_at(c.queue, c.chunk), c.in, c.size);
	r = put_slots(&c, wait);
	if (r < 0)
		tz_shared_chunk_free(c.queue, c.chunk);
	return r;
}

static ptrdiff_t put(struct call c, bool wait)
{
	size_t n = c.n;
	ptrdiff_t r = 0;

	if (__builtin_expect(c.size <= c.queue->message, 1))
		return put_slots(&c, wait);
	while (c.n > 0 && (r = put_large(&c, wait)) > 0) {
		c.n--;
		c.in = (const unsigned char *)c.in + c.size;
	}
	return n > c.n ? (ptrdiff_t)(n - c.n) : r;
}

static struct call put_call(tz_shared_queue *q, const void *items, size_t size, size_t n, tz_deadline deadline)
{
	return (struct call){ .queue = q, .in = items, .size = size, .n = n, .deadline = deadline };
}

ptrdiff_t tz_shared_queue_put_n_until(tz_shared_queue *q, const void *items, size_t size, size_t n, tz_deadline deadline)
{
	return put(put_call(q, items, size, n, deadline), true);
}

ptrdiff_t tz_shared_queue_put_n(tz_shared_queue *q, const void *items, size_t size, size_t n)
{
	return put(put_call(q, items, size, n, tz_never()), true);
}

ptrdiff_t tz_shared_queue_try_put_n(tz_shared_queue *q, const void *items, size_t size, size_t n)
{
	return put(put_call(q, items, size, n, tz_never()), false);
}

static int only_error(ptrdiff_t r)
{
	return r < 0 ? (int)r : 0;
}

int tz_shared_queue_put_bytes_until(tz_shared_queue *q, const void *data, size_t size, tz_deadline deadline)
{
	return only_error(put(put_call(q, data, size, 1, deadline), true));
}

int tz_shared_queue_put_bytes(tz_shared_queue *q, const void *data, size_t size)
{
	return only_error(put(put_call(q, data, size, 1, tz_never()), true));
}

int tz_shared_queue_try_put_bytes(tz_shared_queue *q, const void *data, size_t size)
{
	return only_error(put(put_call(q, data, size, 1, tz_never()), false));
}

/* --- get ----------------------------------------------------------------------------------------------------------------- */

enum { BACK = -1000000 }; /* there is a lease that has come back, to be taken before all messages */

/* How many messages there are, at least 1; or what stands instead. By who is getting. */
static ptrdiff_t available(struct call *c, uint64_t head)
{
	tz_shared_queue *q = c->queue;
	uint32_t state = state_of(q); /* before the tail: after a shutdown that stands still */

	if (state & TZ_SHARED_QUEUE_DROPPED)
		return -ESHUTDOWN;
	if (__builtin_expect(atomic_load_explicit(&q->back, memory_order_seq_cst) != 0, 0)) {
		c->entry = tz_shared_leases_find_back(q);
		if (c->entry >= 0)
			return BACK;
	}
	if (q->tail_seen - head < c->n)
		q->tail_seen = load(&q->tail);
	if (q->tail_seen != head)
		return (ptrdiff_t)(q->tail_seen - head);
	c->word = &q->arrived;
	return state & TZ_SHARED_QUEUE_SHUT ? -ESHUTDOWN : -EAGAIN;
}

/* What is done with the messages that are there. */
struct taking {
	/* Takes up to n from head on, and says how many; or an error. */
	ptrdiff_t (*from_ring)(struct call *c, uint64_t head, size_t n);
	/* Takes that of an entry, whose lease has come back: 1, or an error. */
	ptrdiff_t (*from_entry)(struct call *c, int entry);
};

static bool passes(uint64_t from, uint64_t to, uint64_t step)
{
	return from / step != to / step;
}

static ptrdiff_t get_with(struct call *c, const struct taking *t)
{
	tz_shared_queue *q = c->queue;
	uint64_t head;
	ptrdiff_t n, moved = 0;
	int r = lock_getting(q, c->deadline);

	if (r < 0)
		return r;
	head = atomic_load_explicit(&q->head, memory_order_relaxed);
	n = available(c, head);
	if (n > 0) {
		n = t->from_ring(c, head, (size_t)n < c->n ? (size_t)n : c->n);
		if (n > 0) {
			tz_store_seq_cst(&q->head, head + (uint64_t)n);
			note_usual(&q->getters, (uint64_t)n);
		}
		moved = n;
	} else if (n == BACK) {
		n = t->from_entry(c, c->entry);
	}
	unlock(&q->getting);
	if (moved > 0)
		wake(&q->room, &q->putters, (uint64_t)moved);
	if (n > moved)
		tz_call(&q->vacant, 1); /* an entry may be free now */
	if (moved > 0 && passes(head, head + (uint64_t)moved, LOOK_EACH))
		tz_shared_leases_reclaim(q);
	return n;
}

static bool may_get(const struct call *c)
{
	tz_shared_queue *q = c->queue;

	return load(&q->tail) != load(&q->head) || atomic_load_explicit(&q->back, memory_order_relaxed) ||
	       (state_of(q) & TZ_SHARED_QUEUE_SHUT);
}

/* -- n messages of one size -- */

static ptrdiff_t copy_many(struct call *c, uint64_t head, size_t n)
{
	tz_shared_queue *q = c->queue;
	unsigned char *out = c->out;
	size_t i = 0;

	for (; i < n; i++, out += c->size) {
		struct tz_shared_message *m = tz_shared_queue_slot(q, head + i);

		if (m->head != (uint64_t)c->size << 1)
			break;
		memcpy(out, tz_shared_message_inside(m), c->size);
	}
	if (i > 0)
		return (ptrdiff_t)i;
	struct tz_shared_message *m = tz_shared_queue_slot(q, head);

	if (tz_shared_message_size(m) != c->size)
		return -EMSGSIZE;
	c->chunk = tz_shared_message_chunk(m);
	tz_shared_chunk_own(q, c->chunk);
	return 1;
}

static ptrdiff_t copy_back(struct call *c, int entry, bool exactly)
{
	tz_shared_queue *q = c->queue;
	struct tz_shared_message *m = &tz_shared_queue_entry(q, (uint32_t)entry)->message;
	uint64_t size = tz_shared_message_size(m);

	if (size > c->size || (exactly && size != c->size))
		return -EMSGSIZE;
	c->chunk = tz_shared_message_chunk(m);
	if (!c->chunk && size)
		memcpy(c->out, tz_shared_message_inside(m), size);
	c->size = size;
	tz_shared_lease_take(q, entry);
	return 1;
}

static ptrdiff_t copy_one_back(struct call *c, int entry)
{
	return copy_back(c, entry, true);
}

static ptrdiff_t get_many_now(struct call *c)
{
	static const struct taking many = { copy_many, copy_one_back };

	return get_with(c, &many);
}

/* -- one of any size -- */

static ptrdiff_t copy_one(struct call *c, uint64_t head, size_t n)
{
	tz_shared_queue *q = c->queue;
	struct tz_shared_message *m = tz_shared_queue_slot(q, head);
	uint64_t size = tz_shared_message_size(m);

	(void)n;
	if (size > c->size)
		return -EMSGSIZE;
	c->chunk = tz_shared_message_chunk(m);
	if (c->chunk)
		tz_shared_chunk_own(q, c->chunk);
	else if (size)
		memcpy(c->out, tz_shared_message_inside(m), size);
	c->size = size;
	return 1;
}

static ptrdiff_t copy_any_back(struct call *c, int entry)
{
	return copy_back(c, entry, false);
}

static ptrdiff_t get_one_now(struct call *c)
{
	static const struct taking one = { copy_one, copy_any_back };

	return get_with(c, &one);
}

/* -- */

/* Copies a message that was taken out, and is in the heap. */
static void fetch(struct call *c)
{
	if (!c->chunk)
		return;
	memcpy(c->out, tz_shared_queue_at(c->queue, c->chunk), c->size);
	tz_shared_chunk_free(c->queue, c->chunk);
}

static ptrdiff_t get(struct call *c, bool wait)
{
	ptrdiff_t r;

	c->may_succeed = may_get;
	c->side = &c->queue->getters;
	r = wait ? move(c) : c->attempt(c);
	if (r > 0)
		fetch(c);
	return r;
}

static ptrdiff_t get_many(tz_shared_queue *q, void *ret_items, size_t size, size_t max, tz_deadline deadline, bool wait)
{
	struct call c = { .queue = q, .out = ret_items, .size = size, .n = max, .deadline = deadline, .attempt = get_many_now };

	return max ? get(&c, wait) : 0;
}

ptrdiff_t tz_shared_queue_get_n_until(tz_shared_queue *q, void *ret_items, size_t size, size_t max, tz_deadline deadline)
{
	return get_many(q, ret_items, size, max, deadline, true);
}

ptrdiff_t tz_shared_queue_get_n(tz_shared_queue *q, void *ret_items, size_t size, size_t max)
{
	return get_many(q, ret_items, size, max, tz_never(), true);
}

ptrdiff_t tz_shared_queue_try_get_n(tz_shared_queue *q, void *ret_items, size_t size, size_t max)
{
	return get_many(q, ret_items, size, max, tz_never(), false);
}

static ptrdiff_t get_one(tz_shared_queue *q, void *ret_data, size_t room, tz_deadline deadline, bool wait)
{
	struct call c = { .queue = q, .out = ret_data, .size = room, .n = 1, .deadline = deadline, .attempt = get_one_now };
	ptrdiff_t r = get(&c, wait);

	return r < 0 ? r : (ptrdiff_t)c.size;
}

ptrdiff_t tz_shared_queue_get_bytes_until(tz_shared_queue *q, void *ret_data, size_t room, tz_deadline deadline)
{
	return get_one(q, ret_data, room, deadline, true);
}

ptrdiff_t tz_shared_queue_get_bytes(tz_shared_queue *q, void *ret_data, size_t room)
{
	return get_one(q, ret_data, room, tz_never(), true);
}

ptrdiff_t tz_shared_queue_try_get_bytes(tz_shared_queue *q, void *ret_data, size_t room)
{
	return get_one(q, ret_data, room, tz_never(), false);
}

/* -- how large the next one is -- */

static ptrdiff_t size_in_ring(struct call *c, uint64_t head, size_t n)
{
	(void)n;
	c->size = tz_shared_message_size(tz_shared_queue_slot(c->queue, head));
	return 0; /* it stays */
}

static ptrdiff_t size_in_entry(struct call *c, int entry)
{
	c->size = tz_shared_message_size(&tz_shared_queue_entry(c->queue, (uint32_t)entry)->message);
	return 0;
}

ptrdiff_t tz_shared_queue_next_size(tz_shared_queue *q)
{
	static const struct taking look = { size_in_ring, size_in_entry };
	struct call c = { .queue = q, .n = 1 };
	ptrdiff_t r = get_with(&c, &look);

	return r < 0 ? r : (ptrdiff_t)c.size;
}

/* -- into new memory -- */

int tz_shared_queue_get_new_until(tz_shared_queue *q, void **ret_data, size_t *ret_size, tz_deadline deadline)
{
	size_t room = q->message;
	unsigned char *data = NULL;
	ptrdiff_t r;

	do {
		unsigned char *more = realloc(data, room ? room : 1);

		if (!more) {
			free(data);
			return -ENOMEM;
		}
		data = more;
		r = get_one(q, data, room, deadline, true);
		if (r == -EMSGSIZE) {
			ptrdiff_t size = tz_shared_queue_next_size(q);

			room = size > (ptrdiff_t)room ? (size_t)size : room;
		}
	} while (r == -EMSGSIZE);
	if (r < 0) {
		free(data);
		return (int)r;
	}
	*ret_data = data;
	*ret_size = (size_t)r;
	return 0;
}

int tz_shared_queue_get_new(tz_shared_queue *q, void **ret_data, size_t *ret_size)
{
	return tz_shared_queue_get_new_until(q, ret_data, ret_size, tz_never());
}

/* --- leases -------------------------------------------------------------------------------------------------------------- */

static ptrdiff_t lease_from_ring(struct call *c, uint64_t head, size_t n)
{
	int entry = tz_shared_leases_find(c->queue);

	(void)n;
	if (entry < 0) {
		c->word = &c->queue->vacant;
		return -EAGAIN;
	}
	tz_shared_lease_begin(c->queue, entry, head, c->lease);
	return 1;
}

static ptrdiff_t lease_again(struct call *c, int entry)
{
	tz_shared_lease_again(c->queue, entry, c->lease);
	return 1;
}

static ptrdiff_t lease_now(struct call *c)
{
	static const struct taking lease = { lease_from_ring, lease_again };

	return get_with(c, &lease);
}

static int lease(tz_shared_queue *q, tz_shared_lease *ret, tz_deadline deadline, bool wait)
{
	tz_shared_lease found;
	struct call c = { .queue = q, .lease = &found, .n = 1, .deadline = deadline, .attempt = lease_now, .may_succeed = may_get, .side = &q->getters };
	ptrdiff_t r = wait ? move(&c) : lease_now(&c);

	if (r < 0)
		return (int)r;
	*ret = found;
	return 0;
}

int tz_shared_queue_lease_until(tz_shared_queue *q, tz_shared_lease *ret_lease, tz_deadline deadline)
{
	return lease(q, ret_lease, deadline, true);
}

int tz_shared_queue_lease(tz_shared_queue *q, tz_shared_lease *ret_lease)
{
	return lease(q, ret_lease, tz_never(), true);
}

int tz_shared_queue_try_lease(tz_shared_queue *q, tz_shared_lease *ret_lease)
{
	return lease(q, ret_lease, tz_never(), false);
}

/* --- what it holds ------------------------------------------------------------------------------------------------------- */

size_t tz_shared_queue_size(const tz_shared_queue *q)
{
	uint64_t head, tail, again = load(&q->head);

	if (state_of(q) & TZ_SHARED_QUEUE_DROPPED)
		return 0;
	do {
		head = again;
		tail = load(&q->tail);
		again = load(&q->head);
	} while (head != again); /* then it was so at the moment when tail was read */
	return (size_t)(tail - head);
}

bool tz_shared_queue_empty(const tz_shared_queue *q)
{
	return tz_shared_queue_size(q) == 0;
}

bool tz_shared_queue_full(const tz_shared_queue *q)
{
	return tz_shared_queue_size(q) >= q->capacity;
}

size_t tz_shared_queue_capacity(const tz_shared_queue *q)
{
	return (size_t)q->capacity;
}

/* --- work done ----------------------------------------------------------------------------------------------------------- */

size_t tz_shared_queue_unfinished(const tz_shared_queue *q)
{
	/* First what is done: it does not overtake the total. */
	uint32_t done = (uint32_t)load(&q->done) + tz_shared_leases_done(q);
	bool dropped = state_of(q) & TZ_SHARED_QUEUE_DROPPED;

	int32_t left = (int32_t)((uint32_t)load(dropped ? &q->head : &q->tail) - done);

	return left > 0 ? (size_t)left : 0;
}

void tz_shared_queue_wake_joiners(tz_shared_queue *q)
{
	if (tz_shared_queue_unfinished(q) == 0)
		tz_call(&q->finished, TZ_NAP_ALL);
}

int tz_shared_queue_task_done(tz_shared_queue *q)
{
	uint64_t done = load(&q->done);

	do {
		if (tz_shared_queue_unfinished(q) == 0)
			return -EINVAL;
	} while (!atomic_compare_exchange_weak_explicit(&q->done, &done, done + 1, memory_order_seq_cst, memory_order_seq_cst));
	tz_shared_queue_wake_joiners(q);
	return 0;
}

int tz_shared_queue_join_until(tz_shared_queue *q, tz_deadline deadline)
{
	int e = 0;

	tz_strand_count_call();
	if (tz_shared_queue_unfinished(q) == 0)
		return 0;
	struct tz_nap nap = tz_nap_begin("shared queue to be done", q, deadline);

	do {
		uint32_t seen = tz_call_listen(&q->finished);

		if (tz_shared_queue_unfinished(q) == 0)
			return 0;
		e = tz_nap_take(&nap, &q->finished, seen);
		/* Called is enough: all was done for a moment, and more may have come since. */
		if (tz_call_came(&q->finished, seen))
			return 0;
		if (e == TZ_NAP_OVER)
			tz_shared_leases_reclaim(q);
	} while (e >= 0);
	return tz_shared_queue_unfinished(q) == 0 ? 0 : e;
}

int tz_shared_queue_join(tz_shared_queue *q)
{
	return tz_shared_queue_join_until(q, tz_never());
}

/* --- the end ------------------------------------------------------------------------------------------------------------- */

static int shut(tz_shared_queue *q, uint32_t state)
{
	int r = lock_putting(q, tz_never());

	if (r < 0)
		return r;
	r = lock_getting(q, tz_never());
	if (r == 0) {
		(void)atomic_fetch_or_explicit(&q->state, state, memory_order_seq_cst);
		unlock(&q->getting);
	}
	unlock(&q->putting);
	return r;
}

int tz_shared_queue_shutdown(tz_shared_queue *q, tz_queue_end end)
{
	bool drop = end == TZ_QUEUE_DROP;
	int r = drop || end == TZ_QUEUE_DRAIN ? shut(q, TZ_SHARED_QUEUE_SHUT | (drop ? TZ_SHARED_QUEUE_DROPPED : 0)) : -EINVAL;

	if (r < 0)
		return r;
	tz_call(&q->arrived, TZ_NAP_ALL);
	tz_call(&q->room, TZ_NAP_ALL);
	tz_call(&q->memory, TZ_NAP_ALL);
	tz_call(&q->vacant, TZ_NAP_ALL);
	if (drop)
		tz_shared_leases_settle(q);
	tz_shared_queue_wake_joiners(q);
	return 0;
}

bool tz_shared_queue_is_shutdown(const tz_shared_queue *q)
{
	return state_of(q) & TZ_SHARED_QUEUE_SHUT;
}
