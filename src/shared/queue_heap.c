/* The heap of a queue: room for messages that do not fit into a slot.
 *
 * Design notes
 *
 * Chunks lie one behind the other, from the beginning of the heap to heap_end. Each begins with a word {units:32, owner:32}; 0 is no owner: it is free. To split
 * a chunk, to take it, to join it with the free one behind it, and to free it, is one store of that word: what the store makes visible, a word in the middle of
 * what was free, has been written before. So the chunks are whole whoever is killed when. The first free one that fits is taken, so the same memory is used again and
 * again. `hint` saves the walk over those at the beginning: nothing before it is free. A lock guards all but the change of a chunk's owner.
 *
 * Who has a chunk. Its owner is a process: who put the message, then who takes it out, who owns it before the message has left the ring or the entry. When the
 * owner has died, the chunk is the queue's as long as a slot from head to tail, or the entry of a lease, refers to it; else nobody's: a sweep frees it. A sweep
 * needs no other lock than the heap's: it looks at the owner first, who is dead and so cannot put the message any more, and at the slots then;
 * and it frees by a compare-and-swap, that fails if somebody became the owner meanwhile, as who takes the message out does first. What it sees in slots that are used anew
 * meanwhile can only make it keep too much.
 *
 * Growth. Behind heap_end there are addresses only; memory is added (tz_shared_resize) before heap_end says so. The heap does not get smaller.
 */
#include "shared/queue.h"

#include <errno.h>

#include <trenza/shared_memory.h>

#include "os/sanitizer.h"
#include "shared/call.h"
#include "shared/owner.h"

enum { UNIT = TZ_SHARED_CHUNK_UNIT };

struct chunk {
	_Atomic uint64_t word;
	unsigned char unused[UNIT - sizeof(uint64_t)]; /* so that the bytes begin at a whole line */
};
_Static_assert(sizeof(struct chunk) == UNIT, "the head of a chunk is a unit");

static uint64_t word_of(uint64_t units, uint32_t owner)
{
	return units << 32 | owner;
}

static uint64_t units_of(uint64_t word)
{
	return word >> 32;
}

static uint32_t owner_of(uint64_t word)
{
	return (uint32_t)word;
}

static struct chunk *chunk_at(tz_shared_queue *q, uint64_t offset)
{
	return tz_shared_queue_at(q, q->heap + offset);
}

static struct chunk *chunk_of(tz_shared_queue *q, uint64_t bytes)
{
	return tz_shared_queue_at(q, bytes - UNIT);
}

static uint64_t end_of(tz_shared_queue *q)
{
	return atomic_load_explicit(&q->heap_end, memory_order_relaxed);
}

static uint64_t load(struct chunk *c)
{
	return atomic_load_explicit(&c->word, memory_order_acquire);
}

static void store(struct chunk *c, uint64_t word)
{
	atomic_store_explicit(&c->word, word, memory_order_release);
}

/* --- the lock ------------------------------------------------------------------------------------------------------------ */

static int whole_again(tz_shared_queue *q, int r)
{
	if (r != -EOWNERDEAD)
		return r;
	q->hint = 0;
	return tz_shared_lock_recover(&q->allocating);
}

/* --- taking -------------------------------------------------------------------------------------------------------------- */

/* Joins a free chunk with the free ones behind it; its word. */
static uint64_t join(tz_shared_queue *q, uint64_t offset, uint64_t word)
{
	struct chunk *c = chunk_at(q, offset);

	for (;;) {
		uint64_t next = offset + units_of(word) * UNIT, more;

		if (next >= end_of(q))
			return word;
		more = load(chunk_at(q, next));
		if (owner_of(more) != 0 || units_of(more) == 0)
			return word;
		word = word_of(units_of(word) + units_of(more), 0);
		store(c, word);
	}
}

static void take(tz_shared_queue *q, uint64_t offset, uint64_t word, uint64_t units)
{
	uint64_t rest = units_of(word) - units;

	if (rest > 0)
		store(chunk_at(q, offset + units * UNIT), word_of(rest, 0));
	store(chunk_at(q, offset), word_of(units, tz_owner_self()));
}

/* The first free chunk that fits. */
static bool find(tz_shared_queue *q, uint64_t units, uint64_t *ret_offset)
{
	uint64_t first = UINT64_MAX, at = q->hint;

	while (at < end_of(q)) {
		uint64_t word = load(chunk_at(q, at));

		if (units_of(word) == 0)
			break; /* somebody has written what is not his: use no more of it */
		if (owner_of(word) == 0) {
			word = join(q, at, word);
			if (units_of(word) >= units) {
				take(q, at, word, units);
				q->hint = first < at ? first : at + units * UNIT;
				*ret_offset = at;
				return true;
			}
			if (first > at)
				first = at;
		}
		at += units_of(word) * UNIT;
	}
	q->hint = first < at ? first : at;
	return false;
}

/* --- sweeping ------------------------------------------------------------------------------------------------------------ */

/* Slots are put into meanwhile, and entries filled: see above. */
TZ_NO_SANITIZE static bool is_in_ring(tz_shared_queue *q, uint64_t bytes)
{
	uint64_t head = atomic_load_explicit(&q->head, memory_order_seq_cst);
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_seq_cst);

	for (uint64_t i = head; i < tail; i++)
		if (tz_shared_message_chunk(tz_shared_queue_slot(q, i)) == bytes)
			return true;
	return false;
}

TZ_NO_SANITIZE static bool is_on_lease(tz_shared_queue *q, uint64_t bytes)
{
	for (uint32_t i = 0; i < q->leases; i++)
		if ((uint32_t)atomic_load_explicit(&q->owners[i], memory_order_acquire) != 0 &&
		    tz_shared_message_chunk(&tz_shared_queue_entry(q, i)->message) == bytes)
			return true;
	return false;
}

/* Frees what the dead have left; whether there was anything. */
static bool sweep(tz_shared_queue *q)
{
	uint32_t alive = tz_owner_self();
	bool found = false;
	uint64_t word;

	for (uint64_t at = 0; at < end_of(q); at += units_of(word) * UNIT) {
		struct chunk *c = chunk_at(q, at);
		uint64_t bytes = q->heap + at + UNIT;

		word = load(c);
		if (units_of(word) == 0)
			break;
		if (owner_of(word) == 0 || owner_of(word) == alive)
			continue;
		if (tz_owner_is_alive(owner_of(word))) {
			alive = owner_of(word);
			continue;
		}
		if (is_in_ring(q, bytes) || is_on_lease(q, bytes))
			continue;
		uint64_t expected = word;

		if (atomic_compare_exchange_strong_explicit(&c->word, &expected, word_of(units_of(word), 0), memory_order_acq_rel,
							    memory_order_relaxed)) {
			if (at < q->hint)
				q->hint = at;
			found = true;
		}
	}
	return found;
}

/* --- growing ------------------------------------------------------------------------------------------------------------- */

static int grow_to(tz_shared_queue *q, uint64_t end)
{
	uint64_t there = tz_shared_size(q) - q->heap;
	int r = 0;

	if (there < end) {
		r = tz_shared_resize(q, q->heap + end);
		there = end;
	}
	if (r < 0)
		return r;
	there = there < q->heap_most ? there : q->heap_most;
	there -= there % UNIT;
	store(chunk_at(q, end_of(q)), word_of((there - end_of(q)) / UNIT, 0));
	atomic_store_explicit(&q->heap_end, there, memory_order_release);
	return 0;
}

enum { LEAST_GROWTH = 1 << 20 };

/* Makes room for so many units at the end: by half of what there is, and if that cannot be had by what is needed. */
static int grow(tz_shared_queue *q, uint64_t units)
{
	uint64_t end = end_of(q), need = end + units * UNIT, step = end / 2, want;
	int r;

	if (end >= q->heap_most)
		return -EAGAIN;
	need = need < q->heap_most ? need : q->heap_most; /* what is free at the end counts, too */
	step = step > LEAST_GROWTH ? step : LEAST_GROWTH;
	want = end + step > need ? end + step : need;
	want = want < q->heap_most ? want : q->heap_most;
	r = grow_to(q, want);
	return r < 0 && want > need ? grow_to(q, need) : r;
}

/* --- the face ------------------------------------------------------------------------------------------------------------ */

static int alloc(tz_shared_queue *q, uint64_t units, bool may_sweep, uint64_t *ret_offset)
{
	int r;

	if (find(q, units, ret_offset) || (may_sweep && sweep(q) && find(q, units, ret_offset)))
		return 0;
	r = grow(q, units);
	if (r < 0)
		return r;
	return find(q, units, ret_offset) ? 0 : -EAGAIN;
}

int tz_shared_chunk_alloc(tz_shared_queue *q, uint64_t size, bool may_sweep, tz_deadline deadline, uint64_t *ret_chunk)
{
	uint64_t units, offset = 0;
	int r;

	if (size > q->heap_most || q->heap_most - size < UNIT)
		return -EMSGSIZE;
	units = 1 + (size + UNIT - 1) / UNIT;
	if (units * UNIT > q->heap_most)
		return -EMSGSIZE;
	r = whole_again(q, tz_shared_lock_acquire_until(&q->allocating, deadline));
	if (r < 0)
		return r;
	r = alloc(q, units, may_sweep, &offset);
	(void)tz_shared_lock_release(&q->allocating);
	if (r == 0)
		*ret_chunk = q->heap + offset + UNIT;
	return r;
}

void tz_shared_chunk_own(tz_shared_queue *q, uint64_t bytes)
{
	if (bytes == 0)
		return;
	struct chunk *c = chunk_of(q, bytes);

	store(c, word_of(units_of(load(c)), tz_owner_self()));
}

void tz_shared_chunk_free(tz_shared_queue *q, uint64_t bytes)
{
	if (bytes == 0 || whole_again(q, tz_shared_lock_acquire(&q->allocating)) < 0)
		return;
	struct chunk *c = chunk_of(q, bytes);

	store(c, word_of(units_of(load(c)), 0));
	if (bytes - UNIT - q->heap < q->hint)
		q->hint = bytes - UNIT - q->heap;
	(void)tz_shared_lock_release(&q->allocating);
	tz_call(&q->memory, TZ_NAP_ALL);
}
