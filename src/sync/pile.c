/* The pile: putting, taking and growing. See pile.h. */
#include "sync/pile.h"

#include <stdlib.h>

enum { FIRST_ROOM = 16 };

/* Room for one more: 0, -EAGAIN, -ENOMEM. */
static int make_room(struct tz_pile *p, size_t count)
{
	size_t room = p->room ? 2 * p->room : FIRST_ROOM;
	unsigned char *items;

	if (p->base.capacity && count == p->base.capacity)
		return -EAGAIN;
	if (count < p->room)
		return 0;
	if (p->base.capacity && room > p->base.capacity)
		room = p->base.capacity;
	if (room > SIZE_MAX / p->base.size || (p->order->extend && !p->order->extend(p, room)))
		return -ENOMEM;
	items = realloc(p->items, room * p->base.size);
	if (!items)
		return -ENOMEM;
	p->items = items;
	p->room = room;
	return 0;
}

ptrdiff_t tz_pile_put(struct tz_store *store, const void *items, size_t n)
{
	struct tz_pile *p = (struct tz_pile *)store;
	const unsigned char *from = items;
	size_t i = 0, count;
	uint64_t total;
	int e;

	tz_mutex_lock(&p->lock);
	count = atomic_load_explicit(&p->count, memory_order_relaxed);
	total = atomic_load_explicit(&p->total, memory_order_relaxed);
	e = p->closed ? -ESHUTDOWN : 0;
	while (e == 0 && i < n) {
		e = make_room(p, count);
		if (e == 0)
			p->order->push(p, count++, from + i++ * store->size, total++);
	}
	atomic_store_explicit(&p->count, count, memory_order_relaxed);
	atomic_store_explicit(&p->total, total, memory_order_relaxed);
	tz_mutex_unlock(&p->lock);
	return i ? (ptrdiff_t)i : e;
}

ptrdiff_t tz_pile_get(struct tz_store *store, void *items, size_t n)
{
	struct tz_pile *p = (struct tz_pile *)store;
	unsigned char *to = items;
	size_t i = 0, count;
	ptrdiff_t answer;

	tz_mutex_lock(&p->lock);
	count = atomic_load_explicit(&p->count, memory_order_relaxed);
	for (; i < n && count > 0; i++) {
		const void *item = p->order->pop(p, count--);

		if (to)
			tz_store_copy(to + i * store->size, item, store->size);
	}
	atomic_store_explicit(&p->count, count, memory_order_relaxed);
	answer = i ? (ptrdiff_t)i : p->closed ? -ESHUTDOWN : -EAGAIN;
	tz_mutex_unlock(&p->lock);
	return answer;
}

uint64_t tz_pile_total(const struct tz_store *store)
{
	return atomic_load_explicit(&((const struct tz_pile *)store)->total, memory_order_seq_cst);
}

size_t tz_pile_count(const struct tz_store *store)
{
	return atomic_load_explicit(&((const struct tz_pile *)store)->count, memory_order_seq_cst);
}

void tz_pile_close(struct tz_store *store)
{
	struct tz_pile *p = (struct tz_pile *)store;

	tz_mutex_lock(&p->lock);
	p->closed = true;
	tz_mutex_unlock(&p->lock);
}

void tz_pile_done(struct tz_pile *p)
{
	free(p->items);
}
