/* The stack: a store, last in first out; one lock around an array that grows. */
#include "sync/store.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "os/mutex.h"

enum { FIRST_ROOM = 16 };

struct stack {
	struct tz_store base;
	struct tz_mutex lock; /* guards all below; the atomics are read without it */
	bool closed;
	_Atomic uint64_t total;
	_Atomic size_t count;
	size_t room;
	unsigned char *items;
};

/* Room for one more: 0, -EAGAIN, -ENOMEM. */
static int make_room(struct stack *s, size_t count)
{
	size_t room = s->room ? 2 * s->room : FIRST_ROOM;
	unsigned char *items;

	if (s->base.capacity && count == s->base.capacity)
		return -EAGAIN;
	if (count < s->room)
		return 0;
	if (s->base.capacity && room > s->base.capacity)
		room = s->base.capacity;
	if (room > SIZE_MAX / s->base.size)
		return -ENOMEM;
	items = realloc(s->items, room * s->base.size);
	if (!items)
		return -ENOMEM;
	s->items = items;
	s->room = room;
	return 0;
}

static ptrdiff_t stack_put(struct tz_store *store, const void *items, size_t n)
{
	struct stack *s = (struct stack *)store;
	size_t i = 0, count;
	int e;

	tz_mutex_lock(&s->lock);
	count = atomic_load_explicit(&s->count, memory_order_relaxed);
	e = s->closed ? -ESHUTDOWN : 0;
	while (e == 0 && i < n) {
		e = make_room(s, count);
		if (e == 0)
			tz_store_copy(s->items + count++ * store->size,
				      (const unsigned char *)items + i++ * store->size,
				      store->size);
	}
	atomic_store_explicit(&s->count, count, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&s->total, i, memory_order_relaxed);
	tz_mutex_unlock(&s->lock);
	return i ? (ptrdiff_t)i : e;
}

static ptrdiff_t stack_get(struct tz_store *store, void *items, size_t n)
{
	struct stack *s = (struct stack *)store;
	unsigned char *to = items;
	size_t i = 0, count;
	ptrdiff_t answer;

	tz_mutex_lock(&s->lock);
	count = atomic_load_explicit(&s->count, memory_order_relaxed);
	for (; i < n && count > 0; i++) {
		count--;
		if (to)
			tz_store_copy(to + i * store->size, s->items + count * store->size,
				      store->size);
	}
	atomic_store_explicit(&s->count, count, memory_order_relaxed);
	answer = i ? (ptrdiff_t)i : s->closed ? -ESHUTDOWN : -EAGAIN;
	tz_mutex_unlock(&s->lock);
	return answer;
}

static uint64_t stack_total(const struct tz_store *store)
{
	return atomic_load_explicit(&((const struct stack *)store)->total, memory_order_seq_cst);
}

static size_t stack_count(const struct tz_store *store)
{
	return atomic_load_explicit(&((const struct stack *)store)->count, memory_order_seq_cst);
}

static void stack_close(struct tz_store *store)
{
	struct stack *s = (struct stack *)store;

	tz_mutex_lock(&s->lock);
	s->closed = true;
	tz_mutex_unlock(&s->lock);
}

static void stack_free(struct tz_store *store)
{
	free(((struct stack *)store)->items);
	free(store);
}

static const struct tz_store_ops stack_ops = {
	.put = stack_put,
	.get = stack_get,
	.total = stack_total,
	.count = stack_count,
	.close = stack_close,
	.free = stack_free,
};

struct tz_store *tz_stack_new(size_t size, size_t capacity)
{
	struct stack *s = calloc(1, sizeof *s);

	if (s)
		s->base =
			(struct tz_store){ .ops = &stack_ops, .size = size, .capacity = capacity };
	return s ? &s->base : NULL;
}
