/* The heap: a store by priority, lowest first, equal ones first in first out; a pile that is a binary heap.
 *
 * Design notes. The heap is made of small entries, so that sifting moves no elements. Beyond its end, the entries go on to hold
 * the slots that are free. An entry carries its element's number of arrival, which decides between equals. Keys are read
 * from the elements each time: they are cheaper to read than to keep.
 */
#include <stdlib.h>

#include "sync/pile.h"

struct entry {
	uint64_t arrival;
	size_t slot;
};

struct heap {
	struct tz_pile pile; /* first */
	tz_queue_key key;
	int (*compare)(const void *a, const void *b);
	struct entry *entries; /* under the pile's lock */
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

static unsigned char *slot(const struct tz_pile *p, size_t i)
{
	return p->items + i * p->base.size;
}

static bool before(const struct heap *h, struct entry a, struct entry b)
{
	const unsigned char *x = slot(&h->pile, a.slot), *y = slot(&h->pile, b.slot);
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

static bool extend(struct tz_pile *p, size_t room)
{
	struct heap *h = (struct heap *)p;
	struct entry *entries;

	if (room > SIZE_MAX / sizeof *entries)
		return false;
	entries = realloc(h->entries, room * sizeof *entries);
	if (!entries)
		return false;
	h->entries = entries;
	for (size_t i = p->room; i < room; i++)
		entries[i].slot = i;
	return true;
}

static void push(struct tz_pile *p, size_t count, const void *item, uint64_t arrival)
{
	struct heap *h = (struct heap *)p;

	tz_store_copy(slot(p, h->entries[count].slot), item, p->base.size);
	h->entries[count].arrival = arrival;
	sift_up(h, count);
}

static const void *pop(struct tz_pile *p, size_t count)
{
	struct heap *h = (struct heap *)p;
	struct entry root = h->entries[0];

	sift_down(h, h->entries[count - 1], count - 1);
	h->entries[count - 1] = root; /* its slot is free */
	return slot(p, root.slot);
}

static void heap_free(struct tz_store *store)
{
	struct heap *h = (struct heap *)store;

	tz_pile_done(&h->pile);
	free(h->entries);
	free(h);
}

static const struct tz_pile_order by_priority = { .extend = extend, .push = push, .pop = pop };
static const struct tz_store_ops heap_ops = { TZ_PILE_OPERATIONS, .free = heap_free };

struct tz_store *tz_heap_new(size_t size, size_t capacity, tz_queue_key key,
			     int (*compare)(const void *a, const void *b))
{
	struct heap *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->pile.base = (struct tz_store){ .ops = &heap_ops, .size = size, .capacity = capacity };
	h->pile.order = &by_priority;
	h->key = key;
	h->compare = compare;
	return &h->pile.base;
}
