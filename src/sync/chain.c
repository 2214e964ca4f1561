/* The chain: an unbounded store, first in first out, of linked blocks.
 *
 * Design notes
 *
 * Puts and gets have a lock each, so a put and a get never wait for each other: they meet at a cell only, which
 * says whether it is full (release on the store that says so, acquire on the load). The putter links the next block before it fills the
 * first cell in it. A block that was emptied is kept for the next put that needs one (one of them), so that a
 * queue that stays short does not allocate.
 *
 * `full` is stored by a sequentially consistent exchange, and loaded so: store.h needs it. The numbers of elements
 * that went in and came out are atomic because they are read without the locks; each is written under its own.
 */
#include "sync/store.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/counter.h"
#include "os/cpu.h"
#include "os/mutex.h"

enum { BLOCK_BYTES = 4096, BLOCK_CELLS_MIN = 8 };

struct cell {
	_Atomic uint32_t full;
	unsigned char item[];
};

struct block {
	struct block *_Atomic next;
	unsigned char cells[];
};

/* One end of the chain. */
struct end {
	struct tz_mutex lock;
	_Atomic uint64_t moved; /* elements that went through this end */
	struct block *block;
	size_t index; /* in block */
};

struct chain {
	struct tz_store base;
	size_t stride;
	size_t ncells; /* in a block */
	struct block *_Atomic spare;
	_Atomic uint32_t closed;
	_Alignas(2 * TZ_CACHE_LINE) struct end in;
	_Alignas(2 * TZ_CACHE_LINE) struct end out;
};

static struct cell *cell_at(const struct chain *c, struct block *b, size_t index)
{
	return (struct cell *)(void *)(b->cells + index * c->stride);
}

static struct block *block_new(struct chain *c)
{
	struct block *b = atomic_exchange_explicit(&c->spare, NULL, memory_order_acquire);

	if (!b)
		return calloc(1, sizeof *b + c->ncells * c->stride);
	atomic_store_explicit(&b->next, NULL, memory_order_relaxed);
	for (size_t i = 0; i < c->ncells; i++)
		atomic_store_explicit(&cell_at(c, b, i)->full, 0, memory_order_relaxed);
	return b;
}

static int put_one(struct chain *c, const void *item)
{
	struct end *in = &c->in;

	if (in->index == c->ncells) {
		struct block *b = block_new(c);

		if (!b)
			return -ENOMEM;
		atomic_store_explicit(&in->block->next, b, memory_order_release);
		in->block = b;
		in->index = 0;
	}

	struct cell *cell = cell_at(c, in->block, in->index++);

	tz_store_copy(cell->item, item, c->base.size);
	tz_counter_add(&in->moved, 1);
	(void)atomic_exchange_explicit(&cell->full, 1, memory_order_seq_cst);
	return 0;
}

static ptrdiff_t chain_put(struct tz_store *store, const void *items, size_t n)
{
	struct chain *c = (struct chain *)store;
	size_t i = 0;
	int e = 0;

	tz_mutex_lock(&c->in.lock);
	if (atomic_load_explicit(&c->closed, memory_order_relaxed))
		e = -ESHUTDOWN;
	while (e == 0 && i < n) {
		e = put_one(c, (const unsigned char *)items + i * store->size);
		if (e == 0)
			i++;
	}
	tz_mutex_unlock(&c->in.lock);
	return i ? (ptrdiff_t)i : e;
}

/* Goes on to the next block, if the putter has come to it. */
static bool next_block(struct chain *c)
{
	struct block *old = c->out.block,
		     *next = atomic_load_explicit(&old->next, memory_order_acquire);

	if (!next)
		return false;
	c->out.block = next;
	c->out.index = 0;
	free(atomic_exchange_explicit(&c->spare, old, memory_order_acq_rel));
	return true;
}

/* The cell with the oldest element, or NULL. */
static struct cell *first_full(struct chain *c)
{
	struct cell *cell;

	if (c->out.index == c->ncells && !next_block(c))
		return NULL;
	cell = cell_at(c, c->out.block, c->out.index);
	return atomic_load_explicit(&cell->full, memory_order_seq_cst) ? cell : NULL;
}

static ptrdiff_t chain_get(struct tz_store *store, void *items, size_t n)
{
	struct chain *c = (struct chain *)store;
	unsigned char *to = items;
	ptrdiff_t answer = 0;
	struct cell *cell = NULL;

	tz_mutex_lock(&c->out.lock);
	while ((size_t)answer < n) {
		cell = first_full(c);
		/* Closed under the putters' lock: what is not there now will not come. */
		if (!cell && atomic_load_explicit(&c->closed, memory_order_acquire)) {
			cell = first_full(c);
			if (!cell && answer == 0)
				answer = -ESHUTDOWN;
		}
		if (!cell)
			break;
		if (to)
			tz_store_copy(to + (size_t)answer * store->size, cell->item, store->size);
		c->out.index++;
		answer++;
	}
	if (answer > 0)
		tz_counter_add(&c->out.moved, (uint64_t)answer);
	tz_mutex_unlock(&c->out.lock);
	return answer ? answer : -EAGAIN;
}

static uint64_t chain_total(const struct tz_store *store)
{
	return atomic_load_explicit(&((const struct chain *)store)->in.moved, memory_order_seq_cst);
}

static size_t chain_count(const struct tz_store *store)
{
	const struct chain *c = (const struct chain *)store;
	uint64_t out = atomic_load_explicit(&c->out.moved, memory_order_seq_cst);
	uint64_t in = atomic_load_explicit(&c->in.moved, memory_order_seq_cst);

	return in > out ? (size_t)(in - out) : 0;
}

static void chain_close(struct tz_store *store)
{
	struct chain *c = (struct chain *)store;

	tz_mutex_lock(&c->in.lock);
	atomic_store_explicit(&c->closed, 1, memory_order_release);
	tz_mutex_unlock(&c->in.lock);
}

static void chain_free(struct tz_store *store)
{
	struct chain *c = (struct chain *)store;
	struct block *b = c->out.block;

	while (b) {
		struct block *next = atomic_load_explicit(&b->next, memory_order_relaxed);

		free(b);
		b = next;
	}
	free(atomic_load_explicit(&c->spare, memory_order_relaxed));
	free(c);
}

static const struct tz_store_ops chain_ops = {
	.put = chain_put,
	.get = chain_get,
	.total = chain_total,
	.count = chain_count,
	.close = chain_close,
	.free = chain_free,
};

struct tz_store *tz_chain_new(size_t size)
{
	const size_t align = _Alignof(struct cell);
	struct chain *c;

	if (size > SIZE_MAX / 4 / BLOCK_CELLS_MIN)
		return NULL;
	c = aligned_alloc(_Alignof(struct chain), sizeof *c);
	if (!c)
		return NULL;
	memset(c, 0, sizeof *c);
	c->base = (struct tz_store){ .ops = &chain_ops, .size = size };
	c->stride = (sizeof(struct cell) + size + align - 1) / align * align;
	c->ncells = (BLOCK_BYTES - sizeof(struct block) - 64) / c->stride;
	if (c->ncells < BLOCK_CELLS_MIN)
		c->ncells = BLOCK_CELLS_MIN;
	c->in.block = c->out.block = block_new(c);
	if (!c->in.block) {
		free(c);
		return NULL;
	}
	return &c->base;
}
