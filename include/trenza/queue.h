/* Queues between strands: first in first out, last in first out, or by priority; bounded or not.
 *
 *     TZ_QUEUE(struct order, orders);              // at file scope: the type of a queue of struct order
 *
 *     orders q;
 *     struct order o = { .table = 4 };
 *     orders_open(&q, TZ_OPTIONS(tz_queue_options, .capacity = 100));
 *     orders_put(q, o);                            // waits while the queue is full
 *     orders_get(q, &o);                           // waits while it is empty
 *     tz_queue_task_done(q.queue);                 // the order is served
 *     tz_queue_join(q.queue);                      // waits until all are
 *     orders_close(&q);
 *
 * Elements have one size, given when the queue is opened, and are copied by value: what goes in comes out, bit by
 * bit. Any number of strands may use a queue at the same time. Every wait obeys the caller's scope (TZ_TIMEOUT); the
 * _until forms take a deadline as well, the try forms never wait. Who waits longest is woken first, but a strand
 * that comes by at the right moment may be served before it.
 *
 * Signal handlers. tz_queue_try_put, tz_queue_try_put_n, tz_queue_size, tz_queue_is_shutdown and
 * tz_queue_shutdown with TZ_QUEUE_DRAIN are async-signal-safe on a bounded queue of order TZ_FIFO (tz_queue_signal_safe
 * says so), also when the handler interrupts any call on that same queue. On the other kinds they are not.
 */
#ifndef TRENZA_QUEUE_H
#define TRENZA_QUEUE_H

#include <trenza/base.h>
#include <trenza/options.h>
#include <trenza/time.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

typedef struct tz_queue tz_queue;

/* In which order elements come out. */
typedef enum tz_queue_order {
	TZ_FIFO = 0, /* first in, first out */
	TZ_LIFO = 1, /* last in, first out */
	TZ_PRIORITY = 2 /* lowest first; equal ones first in, first out */
} tz_queue_order;

/* What tz_queue_shutdown does with the elements that are in the queue. */
typedef enum tz_queue_end {
	TZ_QUEUE_DRAIN =
		0, /* they can still be taken out; after the last one, get answers -ESHUTDOWN */
	TZ_QUEUE_DROP = 1 /* they are dropped and count as done */
} tz_queue_end;

/* Which number in an element is its priority; made by TZ_QUEUE_KEY. */
typedef struct tz_queue_key {
	uint32_t offset;
	uint16_t size; /* 0: there is none */
	uint16_t kind; /* 0: unsigned, 1: signed, 2: floating */
} tz_queue_key;

/* TZ_QUEUE_KEY - the member of a struct by which a priority queue orders: an integer, a float or a double.
 *
 *     .order = TZ_PRIORITY, .key = TZ_QUEUE_KEY(struct job, urgency)
 *
 * Form: tz_queue_key TZ_QUEUE_KEY(T, member)
 * Ownership: none.
 * Threads: any.
 * Errors: a member that is no number does not compile. */
#ifdef __cplusplus
#define TZ_QUEUE_KEY(T, member) \
	(tz_queue_key{ (uint32_t)offsetof(T, member), (uint16_t)sizeof(T::member), \
		       TZ__QUEUE_KIND(decltype(T::member)) })
#else
#define TZ_QUEUE_KEY(T, member) \
	((tz_queue_key){ (uint32_t)offsetof(T, member), (uint16_t)sizeof(((T *)0)->member), \
			 TZ__QUEUE_KIND(__typeof__(((T *)0)->member)) })
#endif
#define TZ__QUEUE_KIND(M) (uint16_t)((M)0.5 != 0 ? 2 : (M)-1 < (M)1 ? 1 : 0)

/* How a queue is to be; all-zero is an unbounded queue, first in first out. */
typedef struct tz_queue_options {
	tz_queue_order order;
	size_t capacity; /* how many elements it holds at most; 0: no bound */
	tz_queue_key key; /* TZ_PRIORITY: the number to order by ... */
	/* ... or, instead, a function as for qsort. It runs under the queue's lock: it compares and does nothing
	 * else. With neither, the whole element must be one signed integer of 1, 2, 4 or 8 bytes. */
	int (*compare)(const void *a, const void *b);
	uint64_t reserved[4]; /* 0 */
} tz_queue_options;

/* tz_queue_open - make a queue of elements of `size` bytes; options NULL is all-zero.
 *
 * A bounded queue of order TZ_FIFO reserves its memory now (the system gives it page by page, as it is first
 * used); the others allocate as they grow.
 *
 * Ownership: *ret_queue is the caller's, until tz_queue_close.
 * Threads: any.
 * Errors: -EINVAL for a size of 0, an unknown order, a bad key, or a reserved field that is not 0; -ENOMEM. */
TZ_API TZ_NODISCARD int tz_queue_open(tz_queue **ret_queue, size_t size,
				      const tz_queue_options *options);

/* tz_queue_close - drop what is in the queue and free it; NULL is legal.
 *
 * Ownership: takes the queue.
 * Threads: any, once every other call on this queue has returned.
 * Errors: none. */
TZ_API void tz_queue_close(tz_queue *queue);

/* tz_queue_put - copy one element into the queue, waiting while it is full.
 *
 * Ownership: *item is copied.
 * Threads: any.
 * Errors: -ESHUTDOWN after tz_queue_shutdown, also when it comes during the wait; -ETIMEDOUT, -ECANCELED by the
 * scope; -ENOMEM, unbounded queues only. On any error the element is not in the queue. */
TZ_API int tz_queue_put(tz_queue *queue, const void *item);

/* tz_queue_put_until - as tz_queue_put, and -ETIMEDOUT at the deadline.
 *
 * Ownership: as tz_queue_put.
 * Threads: any.
 * Errors: as tz_queue_put; -ETIMEDOUT also at the deadline. */
TZ_API int tz_queue_put_until(tz_queue *queue, const void *item, tz_deadline deadline);

/* tz_queue_try_put - as tz_queue_put, but -EAGAIN instead of a wait. Never waits, whatever the scope.
 *
 * Ownership: *item is copied.
 * Threads: any; async-signal-safe where tz_queue_signal_safe says so. In the moment in which another strand is
 * in the middle of taking an element out, its place may not yet count as free.
 * Errors: -EAGAIN, -ESHUTDOWN, -ENOMEM. */
TZ_API int tz_queue_try_put(tz_queue *queue, const void *item);

/* tz_queue_put_n - copy n elements into the queue, in order, waiting while it is full; returns how many went in.
 *
 * Cheaper than n calls. Other strands' elements may come between these. Less than n only if the wait ended early.
 *
 * Ownership: the elements are copied.
 * Threads: any.
 * Errors: those of tz_queue_put, if none went in. */
TZ_API ptrdiff_t tz_queue_put_n(tz_queue *queue, const void *items, size_t n);

/* tz_queue_put_n_until - as tz_queue_put_n, up to the deadline.
 *
 * Ownership: as tz_queue_put_n.
 * Threads: any.
 * Errors: as tz_queue_put_n; -ETIMEDOUT also at the deadline. */
TZ_API ptrdiff_t tz_queue_put_n_until(tz_queue *queue, const void *items, size_t n,
				      tz_deadline deadline);

/* tz_queue_try_put_n - as tz_queue_put_n without waiting: how many of them fitted, or -EAGAIN if none did.
 *
 * Ownership: the elements are copied.
 * Threads: any; async-signal-safe where tz_queue_signal_safe says so.
 * Errors: -EAGAIN, -ESHUTDOWN, -ENOMEM, if none went in. */
TZ_API ptrdiff_t tz_queue_try_put_n(tz_queue *queue, const void *items, size_t n);

/* tz_queue_get - take one element out, waiting while the queue is empty.
 *
 * Ownership: *ret_item is the caller's memory of the queue's element size, written only if the answer is 0.
 * Threads: any.
 * Errors: -ESHUTDOWN when the queue was shut down and is empty, or was shut down with TZ_QUEUE_DROP; -ETIMEDOUT,
 * -ECANCELED by the scope. An element that is there is given out even if the scope has ended. */
TZ_API int tz_queue_get(tz_queue *queue, void *ret_item);

/* tz_queue_get_until - as tz_queue_get, and -ETIMEDOUT at the deadline.
 *
 * Ownership: as tz_queue_get.
 * Threads: any.
 * Errors: as tz_queue_get; -ETIMEDOUT also at the deadline. */
TZ_API int tz_queue_get_until(tz_queue *queue, void *ret_item, tz_deadline deadline);

/* tz_queue_try_get - as tz_queue_get, but -EAGAIN instead of a wait.
 *
 * Ownership: as tz_queue_get.
 * Threads: any; never waits.
 * Errors: -EAGAIN, -ESHUTDOWN. */
TZ_API int tz_queue_try_get(tz_queue *queue, void *ret_item);

/* tz_queue_get_n - wait until the queue is not empty, and take out what is there, up to max; returns how many.
 *
 * Ownership: ret_items has room for max elements; only as many as the answer says are written.
 * Threads: any.
 * Errors: those of tz_queue_get. */
TZ_API ptrdiff_t tz_queue_get_n(tz_queue *queue, void *ret_items, size_t max);

/* tz_queue_get_n_until - as tz_queue_get_n, up to the deadline.
 *
 * Ownership: as tz_queue_get_n.
 * Threads: any.
 * Errors: as tz_queue_get_n; -ETIMEDOUT also at the deadline. */
TZ_API ptrdiff_t tz_queue_get_n_until(tz_queue *queue, void *ret_items, size_t max,
				      tz_deadline deadline);

/* tz_queue_try_get_n - as tz_queue_get_n, but -EAGAIN instead of a wait.
 *
 * Ownership: as tz_queue_get_n.
 * Threads: any; never waits.
 * Errors: -EAGAIN, -ESHUTDOWN. */
TZ_API ptrdiff_t tz_queue_try_get_n(tz_queue *queue, void *ret_items, size_t max);

/* tz_queue_size - how many elements are in the queue; old news by the time you read it.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe where tz_queue_signal_safe says so.
 * Errors: none. */
TZ_API size_t tz_queue_size(const tz_queue *queue);

/* tz_queue_empty - whether it holds nothing; see tz_queue_size.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_queue_empty(const tz_queue *queue);

/* tz_queue_full - whether it holds as much as it may; never true of an unbounded queue. See tz_queue_size.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_queue_full(const tz_queue *queue);

/* tz_queue_capacity - how many elements it may hold; 0: no bound.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_queue_capacity(const tz_queue *queue);

/* tz_queue_signal_safe - whether a signal handler may put into this queue; see the head of queue.h.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_queue_signal_safe(const tz_queue *queue);

/* tz_queue_task_done - tell that the work on one element is finished, which was taken out before.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EINVAL if it was called more often than there were elements; nothing is changed then. */
TZ_API int tz_queue_task_done(tz_queue *queue);

/* tz_queue_join - wait until tz_queue_task_done was called for each element that was ever put in.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -ETIMEDOUT, -ECANCELED by the scope. */
TZ_API int tz_queue_join(tz_queue *queue);

/* tz_queue_join_until - as tz_queue_join, and -ETIMEDOUT at the deadline.
 *
 * Ownership: as tz_queue_join.
 * Threads: any.
 * Errors: as tz_queue_join; -ETIMEDOUT also at the deadline. */
TZ_API int tz_queue_join_until(tz_queue *queue, tz_deadline deadline);

/* tz_queue_unfinished - for how many elements tz_queue_task_done was not called yet; see tz_queue_size.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_queue_unfinished(const tz_queue *queue);

/* tz_queue_shutdown - let nothing more in, and end the waits of everybody who puts.
 *
 * After TZ_QUEUE_DRAIN, what is in the queue can be taken out. After TZ_QUEUE_DROP it is gone and counted as done,
 * and the waits of everybody who gets end as well; TZ_QUEUE_DROP may follow TZ_QUEUE_DRAIN. Elements that were taken
 * out before and are still worked on keep tz_queue_join waiting.
 *
 * Ownership: none.
 * Threads: any; TZ_QUEUE_DRAIN is async-signal-safe where tz_queue_signal_safe says so.
 * Errors: -EINVAL for an unknown `end`. Shutting down twice is legal. */
TZ_API int tz_queue_shutdown(tz_queue *queue, tz_queue_end end);

/* tz_queue_is_shutdown - whether tz_queue_shutdown was called.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe where tz_queue_signal_safe says so.
 * Errors: none. */
TZ_API bool tz_queue_is_shutdown(const tz_queue *queue);

TZ_END_DECLS

#ifdef __cplusplus
#define TZ__QUEUE_CHECK(T, name) \
	static_assert(__is_trivially_copyable(T), \
		      "TZ_QUEUE(" #name "): elements are copied bit by bit")
#else
#define TZ__QUEUE_CHECK(T, name) \
	_Static_assert(sizeof(T) > 0, "TZ_QUEUE(" #name "): elements need a size")
#endif
#define TZ__QUEUE_FN __attribute__((unused)) static inline

/* TZ_QUEUE - declare `name`, a queue of elements of type T, and its typed functions. At file scope, followed by a
 * semicolon. name##_put takes the element itself. The functions without an element in them take q.queue.
 *
 *     int orders_open(orders *ret_queue, const tz_queue_options *options);
 *     void orders_close(orders *queue);
 *     int orders_put(orders queue, T item);
 *     int orders_put_until(orders queue, T item, tz_deadline deadline);
 *     int orders_try_put(orders queue, T item);
 *     ptrdiff_t orders_put_n(orders queue, const T *items, size_t n);
 *     int orders_get(orders queue, T *ret_item);
 *     int orders_get_until(orders queue, T *ret_item, tz_deadline deadline);
 *     int orders_try_get(orders queue, T *ret_item);
 *     ptrdiff_t orders_get_n(orders queue, T *ret_items, size_t max);
 *
 * Form: TZ_QUEUE(T, orders);
 * Ownership: that of the functions underneath, tz_queue_open and so on.
 * Threads: theirs.
 * Errors: theirs; an element of another type does not compile. */
#define TZ_QUEUE(T, name) \
	TZ__QUEUE_CHECK(T, name); \
	typedef struct name { \
		tz_queue *queue; \
	} name; \
	TZ__QUEUE_FN int name##_open(name *ret_queue, const tz_queue_options *options) \
	{ \
		return tz_queue_open(&ret_queue->queue, sizeof(T), options); \
	} \
	TZ__QUEUE_FN void name##_close(name *queue) \
	{ \
		tz_queue_close(queue->queue); \
		queue->queue = NULL; \
	} \
	TZ__QUEUE_FN int name##_put(name queue, T item) \
	{ \
		return tz_queue_put(queue.queue, &item); \
	} \
	TZ__QUEUE_FN int name##_put_until(name queue, T item, tz_deadline deadline) \
	{ \
		return tz_queue_put_until(queue.queue, &item, deadline); \
	} \
	TZ__QUEUE_FN int name##_try_put(name queue, T item) \
	{ \
		return tz_queue_try_put(queue.queue, &item); \
	} \
	TZ__QUEUE_FN ptrdiff_t name##_put_n(name queue, const T *items, size_t n) \
	{ \
		return tz_queue_put_n(queue.queue, items, n); \
	} \
	TZ__QUEUE_FN int name##_get(name queue, T *ret_item) \
	{ \
		return tz_queue_get(queue.queue, ret_item); \
	} \
	TZ__QUEUE_FN int name##_get_until(name queue, T *ret_item, tz_deadline deadline) \
	{ \
		return tz_queue_get_until(queue.queue, ret_item, deadline); \
	} \
	TZ__QUEUE_FN int name##_try_get(name queue, T *ret_item) \
	{ \
		return tz_queue_try_get(queue.queue, ret_item); \
	} \
	TZ__QUEUE_FN ptrdiff_t name##_get_n(name queue, T *ret_items, size_t max) \
	{ \
		return tz_queue_get_n(queue.queue, ret_items, max); \
	} \
	struct name /* takes the semicolon */

#endif
