/* Leases: messages that somebody works on, and that are the queue's until he says that he is done.
 *
 * Design notes
 *
 * Each lease has an entry, into which the message is copied from its slot; one in the heap stays where it is. Whose it is says one word: {done, owner}. No owner: the
 * entry is free. BACK: the lease has come back, and is to be given to the next one. `done` counts the leases of this entry that were ended as done, so that to
 * end a lease and to count it is one compare-and-swap; it is the generation, too, by which a lease that is over is told from the next one.
 *
 * To begin a lease, the entry is filled and gets its owner, and then the queue's head moves: that one store takes the message out of the ring and makes the lease.
 * An entry with an owner, whose index head has not passed, is nothing yet: the next one who gets frees it if who was getting has died. So everybody else looks at
 * the index before he believes that an entry of a dead process is a lease.
 *
 * Entries are taken, given again and taken out for good by who holds the lock of those who get. Leases are ended, given back, and
 * taken from the dead by anybody at any time, by compare-and-swap. A message in the heap has its new owner (queue_heap.c) before the entry has.
 */
#include <errno.h>

#include "os/atomic.h"
#include "shared/call.h"
#include "shared/owner.h"
#include "shared/queue.h"

#define BACK ((uint32_t)1 << TZ_OWNER_BITS)

static uint64_t word_of(uint32_t done, uint32_t owner)
{
	return (uint64_t)done << 32 | owner;
}

static uint32_t done_of(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static uint32_t owner_of(uint64_t word)
{
	return (uint32_t)word;
}

static uint64_t load(const tz_shared_queue *q, uint32_t i)
{
	return atomic_load_explicit(&q->owners[i], memory_order_acquire);
}

static bool swap(tz_shared_queue *q, uint32_t i, uint64_t expected, uint64_t desired)
{
	return atomic_compare_exchange_strong_explicit(&q->owners[i], &expected, desired, memory_order_seq_cst, memory_order_relaxed);
}

/* The number of the message that an entry has. */
static uint64_t index_of(tz_shared_queue *q, uint32_t i)
{
	return atomic_load_explicit(&tz_shared_queue_entry(q, i)->index, memory_order_relaxed);
}

static uint64_t chunk_of(tz_shared_queue *q, uint32_t i)
{
	return tz_shared_message_chunk(&tz_shared_queue_entry(q, i)->message);
}

static bool is_dropped(const tz_shared_queue *q)
{
	return atomic_load_explicit(&q->state, memory_order_seq_cst) & TZ_SHARED_QUEUE_DROPPED;
}

static int find(const tz_shared_queue *q, uint32_t owner)
{
	for (uint32_t i = 0; i < q->leases; i++)
		if (owner_of(load(q, i)) == owner)
			return (int)i;
	return -1;
}

/* --- by who is getting --------------------------------------------------------------------------------------------------- */

int tz_shared_leases_find(const tz_shared_queue *q)
{
	return find(q, 0);
}

int tz_shared_leases_find_back(tz_shared_queue *q)
{
	int i;

	/* The mark goes first: who gives a lease back sets it last. */
	tz_store_seq_cst(&q->back, 0);
	i = find(q, BACK);
	if (i >= 0)
		tz_store_seq_cst(&q->back, 1);
	return i;
}

static void fill(tz_shared_queue *q, uint32_t i, uint32_t deliveries, tz_shared_lease *ret)
{
	struct tz_shared_entry *e = tz_shared_queue_entry(q, i);

	*ret = (tz_shared_lease){
		.data = tz_shared_message_bytes(q, &e->message),
		.size = (size_t)tz_shared_message_size(&e->message),
		.deliveries = deliveries,
		.tz__entry = i,
		.tz__generation = done_of(load(q, i)),
	};
}

void tz_shared_lease_begin(tz_shared_queue *q, int entry, uint64_t index, tz_shared_lease *ret)
{
	uint32_t i = (uint32_t)entry;
	struct tz_shared_entry *e = tz_shared_queue_entry(q, i);
	const struct tz_shared_message *m = tz_shared_queue_slot(q, index);

	atomic_store_explicit(&e->index, index, memory_order_relaxed);
	e->deliveries = 0;
	e->message.head = m->head;
	__builtin_memcpy(tz_shared_message_inside(&e->message), tz_shared_message_inside(m), m->head & 1 ? sizeof(uint64_t) : (size_t)tz_shared_message_size(m));
	tz_shared_chunk_own(q, chunk_of(q, i));
	atomic_store_explicit(&q->owners[i], word_of(done_of(load(q, i)), tz_owner_self()), memory_order_release);
	fill(q, i, 0, ret);
}

void tz_shared_lease_again(tz_shared_queue *q, int entry, tz_shared_lease *ret)
{
	uint32_t i = (uint32_t)entry;
	uint32_t deliveries = ++tz_shared_queue_entry(q, i)->deliveries;

	tz_shared_chunk_own(q, chunk_of(q, i));
	atomic_store_explicit(&q->owners[i], word_of(done_of(load(q, i)), tz_owner_self()), memory_order_release);
	fill(q, i, deliveries, ret);
}

void tz_shared_lease_take(tz_shared_queue *q, int entry)
{
	uint32_t i = (uint32_t)entry;

	tz_shared_chunk_own(q, chunk_of(q, i));
	tz_store_seq_cst(&q->owners[i], word_of(done_of(load(q, i)), 0));
}

void tz_shared_leases_repair(tz_shared_queue *q)
{
	uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);

	for (uint32_t i = 0; i < q->leases; i++) {
		uint64_t word = load(q, i);

		if (owner_of(word) != 0 && index_of(q, i) >= head)
			(void)swap(q, i, word, word_of(done_of(word), 0));
	}
}

/* --- by anybody ---------------------------------------------------------------------------------------------------------- */

/* Ends a lease that nobody will take any more. */
static void end(tz_shared_queue *q, uint32_t i, uint64_t word)
{
	uint64_t chunk = chunk_of(q, i);

	if (!swap(q, i, word, word_of(done_of(word) + 1, 0)))
		return;
	tz_shared_chunk_free(q, chunk);
	tz_shared_queue_wake_joiners(q);
}

void tz_shared_leases_settle(tz_shared_queue *q)
{
	for (uint32_t i = 0; i < q->leases; i++) {
		uint64_t word = load(q, i);

		if (owner_of(word) == BACK)
			end(q, i, word);
	}
}

/* The lease has come back. */
static void announce(tz_shared_queue *q)
{
	tz_store_seq_cst(&q->back, 1);
	if (is_dropped(q))
		tz_shared_leases_settle(q);
	else
		tz_call(&q->arrived, 1);
}

void tz_shared_leases_reclaim(tz_shared_queue *q)
{
	uint32_t alive = tz_owner_self();
	bool found = false;

	for (uint32_t i = 0; i < q->leases; i++) {
		uint64_t word = load(q, i);
		uint32_t owner = owner_of(word);

		if (owner == 0 || owner == alive)
			continue;
		if (owner == BACK) {
			found = true; /* who gave it back may have died before he could say so */
		} else if (tz_owner_is_alive(owner)) {
			alive = owner;
		} else if (index_of(q, i) < atomic_load_explicit(&q->head, memory_order_seq_cst)) {
			found |= swap(q, i, word, word_of(done_of(word), BACK));
		}
	}
	if (found)
		announce(q);
}

uint32_t tz_shared_leases_done(const tz_shared_queue *q)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < q->leases; i++)
		sum += done_of(atomic_load_explicit(&q->owners[i], memory_order_seq_cst));
	return sum;
}

static bool give_up(tz_shared_queue *q, const tz_shared_lease *lease, uint64_t to)
{
	return lease->tz__entry < q->leases && swap(q, lease->tz__entry, word_of(lease->tz__generation, tz_owner_self()), to);
}

int tz_shared_lease_done(tz_shared_queue *q, const tz_shared_lease *lease)
{
	uint64_t chunk = lease->tz__entry < q->leases ? chunk_of(q, lease->tz__entry) : 0;

	if (!give_up(q, lease, word_of(lease->tz__generation + 1, 0)))
		return -ESTALE;
	tz_shared_chunk_free(q, chunk);
	tz_call(&q->vacant, 1);
	tz_shared_queue_wake_joiners(q);
	return 0;
}

int tz_shared_lease_return(tz_shared_queue *q, const tz_shared_lease *lease)
{
	if (!give_up(q, lease, word_of(lease->tz__generation, BACK)))
		return -ESTALE;
	announce(q);
	return 0;
}
