/* The pile: what the stack and the heap have in common. One lock around an array of elements that grows. */
#ifndef TZ_SYNC_PILE_H
#define TZ_SYNC_PILE_H

#include <stdatomic.h>

#include "os/mutex.h"
#include "sync/store.h"

struct tz_pile;

/* How a kind of pile orders its elements. All are called under the lock; `count` elements are there before the call. */
struct tz_pile_order {
	/* The pile is about to have room for so many: true, or false without memory. NULL: nothing to do. */
	bool (*extend)(struct tz_pile *pile, size_t room);
	/* Takes a copy of an element, the one after `arrival` others. */
	void (*push)(struct tz_pile *pile, size_t count, const void *item, uint64_t arrival);
	/* Takes the next one out, and says where it still lies. */
	const void *(*pop)(struct tz_pile *pile, size_t count);
};

struct tz_pile {
	struct tz_store base; /* first */
	const struct tz_pile_order *order;
	struct tz_mutex lock; /* guards all below; the atomics are read without it */
	bool closed;
	_Atomic uint64_t total;
	_Atomic size_t count;
	size_t room;
	unsigned char *items;
};

/* The operations of a store; all but `free`, which ends with tz_pile_done. */
ptrdiff_t tz_pile_put(struct tz_store *store, const void *items, size_t n);
ptrdiff_t tz_pile_get(struct tz_store *store, void *items, size_t n);
uint64_t tz_pile_total(const struct tz_store *store);
size_t tz_pile_count(const struct tz_store *store);
void tz_pile_close(struct tz_store *store);

/* Frees the elements, not the pile. */
void tz_pile_done(struct tz_pile *pile);

#define TZ_PILE_OPERATIONS \
	.put = tz_pile_put, .get = tz_pile_get, .total = tz_pile_total, .count = tz_pile_count, \
	.close = tz_pile_close

#endif
