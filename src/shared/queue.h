/* What a queue between processes consists of. See queue.c. */
#ifndef TZ_SHARED_QUEUE_H
#define TZ_SHARED_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <trenza/shared_lock.h>
#include <trenza/shared_queue.h>

#include "core/spin.h"
#include "os/cpu.h"

/* What those who put, or those who get, know of each other's waits: hints. */
struct tz_shared_queue_side {
	struct tz_patience patience; /* how long to spin */
	_Atomic uint32_t bad_luck, passed; /* how often that was in vain, less how often not; how often it was left alone for that */
	_Atomic uint64_t woken_ticks; /* when and where one of them was last woken */
	_Atomic int woken_cpu;
	_Atomic uint32_t usual; /* how many messages the last one of them has moved */
};

/* All of it lies at the beginning of the queue's memory; behind it lie the slots, the entries of leases, and the heap. Places in the memory are offsets from its
 * beginning. */
struct tz_shared_queue {
	/* Written once. */
	uint64_t capacity, mask; /* of the slots there is a power of two, of which at most `capacity` are in use */
	uint64_t message; /* bytes that a slot has room for */
	uint64_t slot_size, slots;
	uint64_t entry_size, entries;
	uint64_t heap, heap_most; /* bytes */
	uint32_t leases;
	/* Of those who put. */
	_Alignas(TZ_CACHE_LINE) tz_shared_lock putting;
	uint64_t head_seen; /* `head`, as it was lately */
	_Alignas(TZ_CACHE_LINE) _Atomic uint64_t tail;
	/* Of those who get. */
	_Alignas(TZ_CACHE_LINE) tz_shared_lock getting;
	uint64_t tail_seen;
	_Alignas(TZ_CACHE_LINE) _Atomic uint64_t head;
	/* Seldom written: the words that one waits on (call.h), and what is to be looked at besides. */
	_Alignas(TZ_CACHE_LINE) uint32_t arrived; /* for a message */
	uint32_t room; /* for room in the ring */
	uint32_t memory; /* for room in the heap */
	uint32_t vacant; /* for an entry */
	uint32_t finished; /* for all work to be done */
	_Atomic uint32_t state; /* TZ_SHARED_QUEUE_... */
	_Atomic uint32_t back; /* there may be leases that have come back */
	_Alignas(TZ_CACHE_LINE) struct tz_shared_queue_side putters;
	_Alignas(TZ_CACHE_LINE) struct tz_shared_queue_side getters;
	/* Of those who have done the work on what they took out. */
	_Alignas(TZ_CACHE_LINE) _Atomic uint64_t done;
	/* Of the heap. */
	_Alignas(TZ_CACHE_LINE) tz_shared_lock allocating;
	_Atomic uint64_t heap_end; /* how far it goes by now, from its beginning */
	uint64_t hint; /* there is nothing free before that */
	/* Whose each lease is: {number of leases that this entry has had ended by tz_shared_lease_done:32, owner:32}. */
	_Alignas(TZ_CACHE_LINE) _Atomic uint64_t owners[];
};

enum { TZ_SHARED_QUEUE_SHUT = 1, TZ_SHARED_QUEUE_DROPPED = 2 };

/* A message as it lies in a slot, and in an entry. Behind it are its bytes, or where they are in the heap. */
struct tz_shared_message {
	uint64_t head; /* its size, times 2; plus 1 if it is in the heap */
};

struct tz_shared_entry {
	_Atomic uint64_t index; /* the message is on lease if `head` is above that */
	uint32_t deliveries;
	uint32_t reserved[11];
	struct tz_shared_message message; /* so that its bytes begin at a whole line */
};
_Static_assert(sizeof(struct tz_shared_entry) == 64, "the bytes are aligned");

static inline void *tz_shared_queue_at(tz_shared_queue *q, uint64_t offset)
{
	return (unsigned char *)q + offset;
}

static inline struct tz_shared_message *tz_shared_queue_slot(tz_shared_queue *q, uint64_t index)
{
	return tz_shared_queue_at(q, q->slots + (index & q->mask) * q->slot_size);
}

static inline struct tz_shared_entry *tz_shared_queue_entry(tz_shared_queue *q, uint32_t i)
{
	return tz_shared_queue_at(q, q->entries + i * q->entry_size);
}

static inline void *tz_shared_message_inside(const struct tz_shared_message *m)
{
	return (unsigned char *)(uintptr_t)m + sizeof *m;
}

static inline uint64_t tz_shared_message_size(const struct tz_shared_message *m)
{
	return m->head >> 1;
}

/* Where in the queue's memory its bytes are; 0: they are here. */
static inline uint64_t tz_shared_message_chunk(const struct tz_shared_message *m)
{
	uint64_t chunk = 0;

	if (m->head & 1)
		__builtin_memcpy(&chunk, tz_shared_message_inside(m), sizeof chunk);
	return chunk;
}

static inline void *tz_shared_message_bytes(tz_shared_queue *q, struct tz_shared_message *m)
{
	return m->head & 1 ? tz_shared_queue_at(q, tz_shared_message_chunk(m)) : tz_shared_message_inside(m);
}

/* --- the heap (queue_heap.c) --------------------------------------------------------------------------------------------- */

/* What a chunk consists of, bytes: the first unit is its head. */
enum { TZ_SHARED_CHUNK_UNIT = 64 };

/* Room for a message of `size` bytes, owned by this process: the offset of the bytes. `sweep`: look first for what dead processes have left. -EAGAIN: there will be
 * when something was freed. -EMSGSIZE, -ENOSPC, -ENOMEM; -ETIMEDOUT, -ECANCELED. */
int tz_shared_chunk_alloc(tz_shared_queue *q, uint64_t size, bool sweep, tz_deadline deadline, uint64_t *ret_chunk);

/* Makes this process the owner of a chunk: it is freed when that is dead and nothing in the queue refers to it. 0: nothing. */
void tz_shared_chunk_own(tz_shared_queue *q, uint64_t chunk);

/* By its owner. 0: nothing. */
void tz_shared_chunk_free(tz_shared_queue *q, uint64_t chunk);

/* --- leases (queue_lease.c) ---------------------------------------------------------------------------------------------- */

/* An entry that is nobody's; -1: there is none. By who is getting. */
int tz_shared_leases_find(const tz_shared_queue *q);

/* An entry whose lease has come back; -1: there is none. By who is getting. */
int tz_shared_leases_find_back(tz_shared_queue *q);

/* Fills an entry with message `index`; the lease has begun when `head` is above that. By who is getting. */
void tz_shared_lease_begin(tz_shared_queue *q, int entry, uint64_t index, tz_shared_lease *ret);

/* Gives a lease that has come back to this process; or ends it, as its message was taken out for good. By who is getting. */
void tz_shared_lease_again(tz_shared_queue *q, int entry, tz_shared_lease *ret);
void tz_shared_lease_take(tz_shared_queue *q, int entry);

/* Frees the entries of leases that have not begun, as who was getting has died. By who is getting. */
void tz_shared_leases_repair(tz_shared_queue *q);

/* Takes back what dead processes have on lease. */
void tz_shared_leases_reclaim(tz_shared_queue *q);

/* After TZ_SHARED_QUEUE_DROPPED: what has come back counts as done. */
void tz_shared_leases_settle(tz_shared_queue *q);

/* How many leases have been ended as done, modulo 2^32. */
uint32_t tz_shared_leases_done(const tz_shared_queue *q);

/* --- (queue.c) ----------------------------------------------------------------------------------------------------------- */

/* When work was finished. */
void tz_shared_queue_wake_joiners(tz_shared_queue *q);

#endif
