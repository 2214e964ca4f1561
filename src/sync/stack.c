/* The stack: a store, last in first out. */
#include <stdlib.h>

#include "sync/pile.h"

static void push(struct tz_pile *p, size_t count, const void *item, uint64_t arrival)
{
	(void)arrival;
	tz_store_copy(p->items + count * p->base.size, item, p->base.size);
}

static const void *pop(struct tz_pile *p, size_t count)
{
	return p->items + (count - 1) * p->base.size;
}

static void stack_free(struct tz_store *store)
{
	tz_pile_done((struct tz_pile *)store);
	free(store);
}

static const struct tz_pile_order last_in_first_out = { .push = push, .pop = pop };
static const struct tz_store_ops stack_ops = { TZ_PILE_OPERATIONS, .free = stack_free };

struct tz_store *tz_stack_new(size_t size, size_t capacity)
{
	struct tz_pile *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->base = (struct tz_store){ .ops = &stack_ops, .size = size, .capacity = capacity };
	p->order = &last_in_first_out;
	return &p->base;
}
