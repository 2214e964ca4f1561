/* The ring: a bounded store, first in first out, without locks.
 *
 * Design notes
 *
 * (After D. Vyukov's bounded queue.) A position is a lap and an index; each cell says which lap it is in and whether it is
 * full: 2 * lap, free for the put of that lap; 2 * lap + 1, holds its element. Laps and not positions, so
 * that a ring of one cell works. A put that finds its cell free advances the tail, which makes the cell its
 * own, copies the element and publishes it by the cell's turn; a get does the same at the head. Acquire on the
 * turn pairs with the store that published it; it is the only synchronisation of the element's bytes.
 *
 * The publishing store is a sequentially consistent exchange: store.h needs it to be ordered before the look at who waits.
 * Closing is a bit in the tail, so a put is either before or after it. A put that was interrupted between the
 * two steps holds up the gets behind it (they answer -EAGAIN), but no put: that is what a signal handler needs,
 * which may have interrupted one.
 *
 * In batches only the last element's publication is ordered; the others' are plain releases.
 */
#include "sync/store.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "os/cpu.h"

#define CLOSED ((uint64_t)1 << 63)

struct cell {
	_Atomic uint64_t turn;
	unsigned char item[];
};

struct ring {
	struct tz_store base;
	size_t stride; /* from cell to cell */
	uint64_t
		mask; /* of the index in a position: the least 2^k - 1 that has room for capacity - 1 */
	unsigned shift; /* k */
	unsigned char *cells;
	_Alignas(2 * TZ_CACHE_LINE) _Atomic uint64_t tail; /* where the next put goes; and CLOSED */
	_Alignas(2 * TZ_CACHE_LINE) _Atomic uint64_t head;
};

static struct cell *cell_at(const struct ring *r, uint64_t position)
{
	return (struct cell *)(void *)(r->cells + (position & r->mask) * r->stride);
}

static uint64_t after(const struct ring *r, uint64_t position)
{
	return (position & r->mask) + 1 < r->base.capacity ? position + 1
							   : (position | r->mask) + 1;
}

static uint64_t ordinal(const struct ring *r, uint64_t position)
{
	return (position >> r->shift) * r->base.capacity + (position & r->mask);
}

/* Makes the cell at *end its own if its turn is 2 * lap + full. 0, -EAGAIN, -ESHUTDOWN; *ret_cell and its lap. */
static int claim(struct ring *r, _Atomic uint64_t *end, unsigned full, struct cell **ret_cell,
		 uint64_t *ret_lap)
{
	uint64_t position = atomic_load_explicit(end, memory_order_relaxed);

	for (;;) {
		if (position & CLOSED)
			return -ESHUTDOWN;

		struct cell *cell = cell_at(r, position);
		uint64_t lap = position >> r->shift;

		if (atomic_load_explicit(&cell->turn, memory_order_seq_cst) == 2 * lap + full) {
			if (atomic_compare_exchange_weak_explicit(
				    end, &position, after(r, position), memory_order_relaxed,
				    memory_order_relaxed)) {
				*ret_cell = cell;
				*ret_lap = lap;
				return 0;
			}
		} else {
			uint64_t again = atomic_load_explicit(end, memory_order_relaxed);

			if (again == position)
				return -EAGAIN;
			position = again;
		}
	}
}

static void publish(struct cell *cell, uint64_t turn, bool last)
{
	if (last)
		(void)atomic_exchange_explicit(&cell->turn, turn, memory_order_seq_cst);
	else
		atomic_store_explicit(&cell->turn, turn, memory_order_release);
}

static ptrdiff_t ring_put(struct tz_store *store, const void *items, size_t n)
{
	struct ring *r = (struct ring *)store;
	const unsigned char *from = items;
	size_t i = 0;
	struct cell *cell,
		*held = NULL; /* of a batch, the last cell is published when no more follow */
	uint64_t lap, held_lap = 0;
	int e = 0;

	for (; i < n; i++, from += store->size) {
		e = claim(r, &r->tail, 0, &cell, &lap);
		if (e < 0)
			break;
		if (held)
			publish(held, 2 * held_lap + 1, false);
		tz_store_copy(cell->item, from, store->size);
		held = cell;
		held_lap = lap;
	}
	if (!held)
		return e;
	publish(held, 2 * held_lap + 1, true);
	return (ptrdiff_t)i;
}

/* Why there is nothing to take at the head. */
static int nothing(struct ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_seq_cst);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_seq_cst);

	return tail == (head | CLOSED) ? -ESHUTDOWN : -EAGAIN;
}

static ptrdiff_t ring_get(struct tz_store *store, void *items, size_t n)
{
	struct ring *r = (struct ring *)store;
	unsigned char *to = items;
	size_t i = 0;
	struct cell *cell, *held = NULL;
	uint64_t lap, held_lap = 0;

	for (; i < n; i++) {
		if (claim(r, &r->head, 1, &cell, &lap) < 0)
			break;
		if (held)
			publish(held, 2 * held_lap + 2, false);
		if (to) {
			tz_store_copy(to, cell->item, store->size);
			to += store->size;
		}
		held = cell;
		held_lap = lap;
	}
	if (!held)
		return nothing(r);
	publish(held, 2 * held_lap + 2, true);
	return (ptrdiff_t)i;
}

static uint64_t ring_total(const struct tz_store *store)
{
	const struct ring *r = (const struct ring *)store;

	return ordinal(r, atomic_load_explicit(&r->tail, memory_order_seq_cst) & ~CLOSED);
}

static size_t ring_count(const struct tz_store *store)
{
	const struct ring *r = (const struct ring *)store;
	/* The head first: it only grows, and never beyond the tail. */
	uint64_t head = ordinal(r, atomic_load_explicit(&r->head, memory_order_seq_cst));
	uint64_t count = ring_total(store) - head;

	return count < store->capacity ? (size_t)count : store->capacity;
}

static void ring_close(struct tz_store *store)
{
	(void)atomic_fetch_or_explicit(&((struct ring *)store)->tail, CLOSED, memory_order_seq_cst);
}

static void ring_free(struct tz_store *store)
{
	free(((struct ring *)store)->cells);
	free(store);
}

static const struct tz_store_ops ring_ops = {
	.put = ring_put,
	.get = ring_get,
	.total = ring_total,
	.count = ring_count,
	.close = ring_close,
	.free = ring_free,
	.signal_safe = true,
};

struct tz_store *tz_ring_new(size_t size, size_t capacity)
{
	const size_t align = _Alignof(struct cell);
	struct ring *r;

	/* Positions have room for 2^31 laps at least before they reach the bit CLOSED. */
	if (size > SIZE_MAX / 4 || capacity > ((size_t)1 << 31))
		return NULL;
	r = aligned_alloc(_Alignof(struct ring), sizeof *r);
	if (!r)
		return NULL;
	memset(r, 0, sizeof *r);
	r->base = (struct tz_store){ .ops = &ring_ops, .size = size, .capacity = capacity };
	r->stride = (sizeof(struct cell) + size + align - 1) / align * align;
	while (r->mask < capacity - 1) {
		r->mask = 2 * r->mask + 1;
		r->shift++;
	}
	r->cells = calloc(capacity, r->stride); /* turn 0: free for the put of lap 0 */
	if (!r->cells) {
		free(r);
		return NULL;
	}
	return &r->base;
}
