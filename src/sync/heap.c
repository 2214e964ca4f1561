/* The heap: a store by priority, lowest first, equal ones first in first out; one lock around a binary heap.
 *
 * Design notes. The heap is made of small entries, so that sifting moves no elements. Beyond its end, the entries go on to hold
 * the slots that are free. An entry carries its element's number of arrival, which decides between equals. Keys are read
 * from the elements each time: they are cheaper to read than to keep.
 */
#include "sync/store.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "os/mutex.h"

enum { FIRST_ROOM = 16 };

struct entry {
	uint64_t arrival;
	size_t slot;
};

struct heap {
	struct tz_store base;
	tz_queue_key key;
	int (*compare)(const void *a, const void *b);
	struct tz_mutex lock; /* guards all below; the atomics are read without it */
	bool closed;
	_Atomic uint64_t total;
	_Atomic size_t count;
	size_t room;
	struct entry *entries;
	unsigned char *items;
};

static uint64_t read_unsigned(const void *at, size_t size)
{
	uint8_t b;
	uint16_t h;
	uint32_t w;
	uint64_t d;

	switch (size) {
	case 1:
		return memcpy(&b, at, 1), b;
	case 2:
		return memcpy(&h, at, 2), h;
	case 4:
		return memcpy(&w, at, 4), w;
	default:
		return memcpy(&d, at, 8), d;
	}
}

static int64_t read_signed(const void *at, size_t size)
{
	unsigned up = 64 - 8 * (unsigned)size;

	return (int64_t)(read_unsigned(at, size) << up) >> up;
}

static double read_floating(const void *at, size_t size)
{
	float f;
	double d;

	if (size == sizeof f)
		return memcpy(&f, at, sizeof f), f;
	return memcpy(&d, at, sizeof d), d;
}

static int compare_keys(const tz_queue_key *key, const unsigned char *a, const unsigned char *b)
{
	a += key->offset;
	b += key->offset;
	if (key->kind == 0) {
		uint64_t x = read_unsigned(a, key->size), y = read_unsigned(b, key->size);
		return (x > y) - (x < y);
	}
	if (key->kind == 1) {
		int64_t x = read_signed(a, key->size), y = read_signed(b, key->size);
		return (x > y) - (x < y);
	}

	double x = read_floating(a, key->size), y = read_floating(b, key->size);

	/* Not-a-number comes last, so that the order stays one. */
	return x != x || y != y ? (x != x) - (y != y) : (x > y) - (x < y);
}

static bool before(const struct heap *h, struct entry a, struct entry b)
{
	const unsigned char *x = h->items + a.slot * h->base.size,
			    *y = h->items + b.slot * h->base.size;
	int order = h->compare ? h->compare(x, y) : compare_keys(&h->key, x, y);

	return order ? order < 0 : a.arrival < b.arrival;
}

static void sift_up(struct heap *h, size_t i)
{
	struct entry e = h->entries[i];

	for (; i > 0 && before(h, e, h->entries[(i - 1) / 2]); i = (i - 1) / 2)
		h->entries[i] = h->entries[(i - 1) / 2];
	h->entries[i] = e;
}

/* Puts e where the hole at the root ends up, in a heap of n entries. */
static void sift_down(struct heap *h, struct entry e, size_t n)
{
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && before(h, h->entries[child + 1], h->entries[child]))
			child++;
		if (!before(h, h->entries[child], e))
			break;
		h->entries[i] = h->entries[child];
		i = child;
	}
	h->entries[i] = e;
}

/* Room for one more: 0, -EAGAIN, -ENOMEM. */
static int make_room(struct heap *h, size_t count)
{
	size_t room = h->room ? 2 * h->room : FIRST_ROOM;
	struct entry *entries;
	unsigned char *items;

	if (h->base.capacity && count == h->base.capacity)
		return -EAGAIN;
	if (count < h->room)
		return 0;
	if (h->base.capacity && room > h->base.capacity)
		room = h->base.capacity;
	if (room > SIZE_MAX / h->base.size || room > SIZE_MAX / sizeof *entries)
		return -ENOMEM;
	entries = realloc(h->entries, room * sizeof *entries);
	if (!entries)
		return -ENOMEM;
	h->entries = entries;
	items = realloc(h->items, room * h->base.size);
	if (!items)
		return -ENOMEM;
	h->items = items;
	for (size_t i = h->room; i < room; i++)
		entries[i].slot = i;
	h->room = room;
	return 0;
}

static ptrdiff_t heap_put(struct tz_store *store, const void *items, size_t n)
{
	struct heap *h = (struct heap *)store;
	size_t i = 0, count;
	uint64_t total;
	int e;

	tz_mutex_lock(&h->lock);
	count = atomic_load_explicit(&h->count, memory_order_relaxed);
	total = atomic_load_explicit(&h->total, memory_order_relaxed);
	e = h->closed ? -ESHUTDOWN : 0;
	while (e == 0 && i < n) {
		e = make_room(h, count);
		if (e < 0)
			break;
		tz_store_copy(h->items + h->entries[count].slot * store->size,
			      (const unsigned char *)items + i++ * store->size, store->size);
		h->entries[count].arrival = total++;
		sift_up(h, count++);
	}
	atomic_store_explicit(&h->count, count, memory_order_relaxed);
	atomic_store_explicit(&h->total, total, memory_order_relaxed);
	tz_mutex_unlock(&h->lock);
	return i ? (ptrdiff_t)i : e;
}

static ptrdiff_t heap_get(struct tz_store *store, void *items, size_t n)
{
	struct heap *h = (struct heap *)store;
	unsigned char *to = items;
	size_t i = 0, count;
	ptrdiff_t answer;

	tz_mutex_lock(&h->lock);
	count = atomic_load_explicit(&h->count, memory_order_relaxed);
	for (; i < n && count > 0; i++) {
		struct entry root = h->entries[0];

		if (to)
			tz_store_copy(to + i * store->size, h->items + root.slot * store->size,
				      store->size);
		count--;
		sift_down(h, h->entries[count], count);
		h->entries[count] = root; /* its slot is free */
	}
	atomic_store_explicit(&h->count, count, memory_order_relaxed);
	answer = i ? (ptrdiff_t)i : h->closed ? -ESHUTDOWN : -EAGAIN;
	tz_mutex_unlock(&h->lock);
	return answer;
}

static uint64_t heap_total(const struct tz_store *store)
{
	return atomic_load_explicit(&((const struct heap *)store)->total, memory_order_seq_cst);
}

static size_t heap_count(const struct tz_store *store)
{
	return atomic_load_explicit(&((const struct heap *)store)->count, memory_order_seq_cst);
}

static void heap_close(struct tz_store *store)
{
	struct heap *h = (struct heap *)store;

	tz_mutex_lock(&h->lock);
	h->closed = true;
	tz_mutex_unlock(&h->lock);
}

static void heap_free(struct tz_store *store)
{
	struct heap *h = (struct heap *)store;

	free(h->entries);
	free(h->items);
	free(h);
}

static const struct tz_store_ops heap_ops = {
	.put = heap_put,
	.get = heap_get,
	.total = heap_total,
	.count = heap_count,
	.close = heap_close,
	.free = heap_free,
};

struct tz_store *tz_heap_new(size_t size, size_t capacity, tz_queue_key key,
			     int (*compare)(const void *a, const void *b))
{
	struct heap *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->base = (struct tz_store){ .ops = &heap_ops, .size = size, .capacity = capacity };
	h->key = key;
	h->compare = compare;
	return &h->base;
}
