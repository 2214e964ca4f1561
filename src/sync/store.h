/* The store of a queue: holds elements in some order, and never waits.
 *
 * Design notes
 *
 * queue.c does the waiting, the counting of work done and the shutdown; a store is what lies underneath, one file
 * a kind: ring.c (bounded FIFO), chain.c (unbounded FIFO), stack.c (LIFO), heap.c (priority). Any number of strands call a
 * store at once. What queue.c relies on, so that no wake is lost:
 *
 *   - a put that succeeded, followed by a look at who waits for elements, is seen by a waiter that lined up and then
 *     found the store empty, or sees that waiter; the same for a get and who waits for room. Stores
 *     do this with one lock around both, or with sequentially consistent operations (waiters.h);
 *   - after close has returned, no put succeeds, and get answers -ESHUTDOWN only when everything that went in has come out.
 */
#ifndef TZ_SYNC_STORE_H
#define TZ_SYNC_STORE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <trenza/queue.h>

struct tz_store;

struct tz_store_ops {
	/* Puts up to n elements in, in order. How many (at least 1), -EAGAIN (full), -ESHUTDOWN, -ENOMEM. */
	ptrdiff_t (*put)(struct tz_store *store, const void *items, size_t n);
	/* Takes up to n elements out, or drops them if items is NULL. How many (at least 1), -EAGAIN (nothing there,
	 * or not yet), -ESHUTDOWN (closed, and nothing will come). */
	ptrdiff_t (*get)(struct tz_store *store, void *items, size_t n);
	/* How many elements went in so far, and are in it now. */
	uint64_t (*total)(const struct tz_store *store);
	size_t (*count)(const struct tz_store *store);
	void (*close)(struct tz_store *store);
	void (*free)(struct tz_store *store);
	bool signal_safe; /* put, count and close may be called from a signal handler */
};

struct tz_store {
	const struct tz_store_ops *ops;
	size_t size; /* of an element */
	size_t capacity; /* 0: no bound */
};

/* NULL: out of memory. */
struct tz_store *tz_ring_new(size_t size, size_t capacity);
struct tz_store *tz_chain_new(size_t size);
struct tz_store *tz_stack_new(size_t size, size_t capacity);
struct tz_store *tz_heap_new(size_t size, size_t capacity, tz_queue_key key,
			     int (*compare)(const void *a, const void *b));

/* memcpy, without a call for the sizes that matter. */
static inline void tz_store_copy(void *restrict to, const void *restrict from, size_t size)
{
	if (size == 8)
		memcpy(to, from, 8);
	else if (size == 64)
		memcpy(to, from, 64);
	else
		memcpy(to, from, size);
}

#endif
