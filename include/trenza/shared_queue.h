/* Queues between processes: messages of any size, bounded, first in first out, that survive the death of whoever uses them.
 *
 *     tz_shared_queue *q;
 *     tz_shared_queue_open(&q, NULL);              // the pointer is the handle: give it to tasks and processes
 *
 *     tz_shared_queue_put_bytes(q, "hello", 5);    // waits while the queue is full
 *     char text[100];
 *     ptrdiff_t n = tz_shared_queue_get_bytes(q, text, sizeof text);  // waits while it is empty
 *     tz_shared_queue_task_done(q);
 *     tz_shared_queue_close(q);
 *
 * with values, as Python's Queue has them:
 *
 *     tz_put(q, tz_list(42, tz_none, "hello"));
 *     tz_get(q, &v);
 *
 * and with the type of the messages:
 *
 *     TZ_SHARED_QUEUE(struct order, orders);       // at file scope
 *
 *     orders *q;
 *     orders_open(&q, NULL);
 *     orders_put(q, (struct order){ .table = 4 });
 *     tz_shared_queue_shutdown(orders_queue(q), TZ_QUEUE_DRAIN); // what has nothing to do with the type is the queue's
 *
 * A queue lies in memory that processes share. A child of fork() has it at the same address; as an argument of a task or of a
 * process the pointer travels by itself, and the receiver gets its own address of the same queue.
 *
 * When put returns, the message is in the queue: there is no thread that brings it there later. So the process that put it may end
 * at once, nobody needs to read before it can be joined, and size and empty are exact.
 *
 * A process may be killed at any instruction. A message is in the queue or not, whole; at most what the dead process had taken out, or had not
 * yet put in, is lost. A lease closes that gap, too: the message stays the queue's until the consumer says that it is done, and
 * if the consumer dies before, somebody else gets it.
 *
 * Any number of processes, threads and coroutines may use a queue at the same time. Every wait obeys the caller's scope (TZ_TIMEOUT); the _until forms take a
 * deadline as well, the try forms never wait for messages or room. A coroutine that waits is suspended. None of the functions is async-signal-safe.
 */
#ifndef TRENZA_SHARED_QUEUE_H
#define TRENZA_SHARED_QUEUE_H

#include <trenza/base.h>
#include <trenza/options.h>
#include <trenza/queue.h>
#include <trenza/time.h>
#include <trenza/value.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

typedef struct tz_shared_queue tz_shared_queue;

/* How a queue is to be; all-zero is good for most. */
typedef struct tz_shared_queue_options {
	size_t capacity; /* how many messages it holds at most; 0: 1024 */
	size_t message; /* bytes of a usual message. What is larger lies apart, which costs a little more; 0: 248 */
	size_t large; /* bytes that all messages larger than that may take together; 0: 1 GiB. Memory is only taken when it is needed */
	size_t leases; /* how many may be out at a time; 0: 64 */
	uint64_t reserved[4]; /* 0 */
} tz_shared_queue_options;

/* tz_shared_queue_open - make a queue; options NULL is all-zero.
 *
 * The memory for `capacity` messages of `message` bytes is allocated now.
 *
 * Ownership: *ret_queue is the caller's, until tz_shared_queue_close. The queue lives as long as some process has it.
 * Threads: any.
 * Errors: -EINVAL for options that make no sense, or a reserved field that is not 0; -ENOMEM, -ENOSPC, -EMFILE, -ENFILE. */
TZ_API TZ_NODISCARD int tz_shared_queue_open(tz_shared_queue **ret_queue, const tz_shared_queue_options *options);

/* tz_shared_queue_close - let go of a queue: the others keep it, with what is in it. NULL is legal.
 *
 * Ownership: takes the caller's reference.
 * Threads: any, once every other call of this process on this queue has returned.
 * Errors: none. */
TZ_API void tz_shared_queue_close(tz_shared_queue *queue);

/* --- put --- */

/* tz_shared_queue_put_bytes - copy a message of `size` bytes, 0 is legal, into the queue, waiting while it is full.
 *
 * Ownership: the bytes are copied.
 * Threads: any.
 * Errors: -ESHUTDOWN after tz_shared_queue_shutdown, also when it comes during the wait; -ETIMEDOUT, -ECANCELED by the scope; -EMSGSIZE if it is larger than
 * all large messages may be together; -ENOSPC or -ENOMEM if it is larger than `message` and there is no memory for it. On any
 * error the message is not in the queue. */
TZ_API int tz_shared_queue_put_bytes(tz_shared_queue *queue, const void *data, size_t size);

/* tz_shared_queue_put_bytes_until - as tz_shared_queue_put_bytes, and -ETIMEDOUT at the deadline.
 *
 * Ownership: as tz_shared_queue_put_bytes.
 * Threads: any.
 * Errors: as tz_shared_queue_put_bytes; -ETIMEDOUT also at the deadline. */
TZ_API int tz_shared_queue_put_bytes_until(tz_shared_queue *queue, const void *data, size_t size, tz_deadline deadline);

/* tz_shared_queue_try_put_bytes - as tz_shared_queue_put_bytes, but -EAGAIN instead of a wait for room.
 *
 * Ownership: as tz_shared_queue_put_bytes.
 * Threads: any. It waits for another one that is putting at the moment; for that, the scope counts.
 * Errors: -EAGAIN, and as tz_shared_queue_put_bytes. */
TZ_API int tz_shared_queue_try_put_bytes(tz_shared_queue *queue, const void *data, size_t size);

/* tz_shared_queue_put_n - copy n messages of `size` bytes each, which lie one behind the other, into the queue, in order, waiting while it is full; returns
 * how many went in.
 *
 * Cheaper than n calls. Those that fit at a time get in together, and if the caller is killed then all of them are in or none. Others' messages may come between
 * these. Less than n only if the wait ended early.
 *
 * Ownership: the messages are copied.
 * Threads: any.
 * Errors: those of tz_shared_queue_put_bytes, if none went in. */
TZ_API ptrdiff_t tz_shared_queue_put_n(tz_shared_queue *queue, const void *items, size_t size, size_t n);

/* tz_shared_queue_put_n_until - as tz_shared_queue_put_n, up to the deadline.
 *
 * Ownership: as tz_shared_queue_put_n.
 * Threads: any.
 * Errors: as tz_shared_queue_put_n; -ETIMEDOUT also at the deadline. */
TZ_API ptrdiff_t tz_shared_queue_put_n_until(tz_shared_queue *queue, const void *items, size_t size, size_t n, tz_deadline deadline);

/* tz_shared_queue_try_put_n - as tz_shared_queue_put_n without waiting for room: how many of them fitted, or -EAGAIN if none did.
 *
 * Ownership: as tz_shared_queue_put_n.
 * Threads: as tz_shared_queue_try_put_bytes.
 * Errors: -EAGAIN, and as tz_shared_queue_put_n, if none went in. */
TZ_API ptrdiff_t tz_shared_queue_try_put_n(tz_shared_queue *queue, const void *items, size_t size, size_t n);

/* --- get --- */

/* tz_shared_queue_get_bytes - take one message out, waiting while the queue is empty; returns how many bytes it has.
 *
 * Ownership: ret_data is the caller's memory of `room` bytes.
 * Threads: any.
 * Errors: -ESHUTDOWN when the queue was shut down and is empty, or was shut down with TZ_QUEUE_DROP; -EMSGSIZE if the message is larger than `room`: it
 * stays where it is, tz_shared_queue_next_size says how much room it needs, and tz_shared_queue_get_new takes it whatever its size; -ETIMEDOUT, -ECANCELED
 * by the scope. A message that is there is given out even if the scope has ended. */
TZ_API ptrdiff_t tz_shared_queue_get_bytes(tz_shared_queue *queue, void *ret_data, size_t room);

/* tz_shared_queue_get_bytes_until - as tz_shared_queue_get_bytes, and -ETIMEDOUT at the deadline.
 *
 * Ownership: as tz_shared_queue_get_bytes.
 * Threads: any.
 * Errors: as tz_shared_queue_get_bytes; -ETIMEDOUT also at the deadline. */
TZ_API ptrdiff_t tz_shared_queue_get_bytes_until(tz_shared_queue *queue, void *ret_data, size_t room, tz_deadline deadline);

/* tz_shared_queue_try_get_bytes - as tz_shared_queue_get_bytes, but -EAGAIN instead of a wait for a message.
 *
 * Ownership: as tz_shared_queue_get_bytes.
 * Threads: any. It waits for another one that is getting at the moment; for that, the scope counts.
 * Errors: -EAGAIN, and as tz_shared_queue_get_bytes. */
TZ_API ptrdiff_t tz_shared_queue_try_get_bytes(tz_shared_queue *queue, void *ret_data, size_t room);

/* tz_shared_queue_get_new - take one message out, of whatever size, waiting while the queue is empty.
 *
 * Ownership: *ret_data is the caller's, who frees it with free(). It is never NULL on success.
 * Threads: any.
 * Errors: as tz_shared_queue_get_bytes, without -EMSGSIZE; -ENOMEM, and the message stays where it is. */
TZ_API int tz_shared_queue_get_new(tz_shared_queue *queue, void **ret_data, size_t *ret_size);

/* tz_shared_queue_get_new_until - as tz_shared_queue_get_new, and -ETIMEDOUT at the deadline.
 *
 * Ownership: as tz_shared_queue_get_new.
 * Threads: any.
 * Errors: as tz_shared_queue_get_new; -ETIMEDOUT also at the deadline. */
TZ_API int tz_shared_queue_get_new_until(tz_shared_queue *queue, void **ret_data, size_t *ret_size, tz_deadline deadline);

/* tz_shared_queue_get_n - wait until the queue is not empty, and take out what is there, up to max messages of `size` bytes each; returns how many.
 *
 * Cheaper than so many calls. It ends before a message that has another size.
 *
 * Ownership: ret_items has room for max messages, which are written one behind the other.
 * Threads: any.
 * Errors: -EMSGSIZE if the first message has another size: it stays where it is; and as tz_shared_queue_get_bytes. */
TZ_API ptrdiff_t tz_shared_queue_get_n(tz_shared_queue *queue, void *ret_items, size_t size, size_t max);

/* tz_shared_queue_get_n_until - as tz_shared_queue_get_n, up to the deadline.
 *
 * Ownership: as tz_shared_queue_get_n.
 * Threads: any.
 * Errors: as tz_shared_queue_get_n; -ETIMEDOUT also at the deadline. */
TZ_API ptrdiff_t tz_shared_queue_get_n_until(tz_shared_queue *queue, void *ret_items, size_t size, size_t max, tz_deadline deadline);

/* tz_shared_queue_try_get_n - as tz_shared_queue_get_n, but -EAGAIN instead of a wait for a message.
 *
 * Ownership: as tz_shared_queue_get_n.
 * Threads: as tz_shared_queue_try_get_bytes.
 * Errors: -EAGAIN, and as tz_shared_queue_get_n. */
TZ_API ptrdiff_t tz_shared_queue_try_get_n(tz_shared_queue *queue, void *ret_items, size_t size, size_t max);

/* tz_shared_queue_next_size - how many bytes the message has that would be taken out next; somebody else may take it before you do.
 *
 * Ownership: none.
 * Threads: as tz_shared_queue_try_get_bytes.
 * Errors: -EAGAIN if the queue is empty; -ESHUTDOWN, -ETIMEDOUT, -ECANCELED as tz_shared_queue_try_get_bytes. */
TZ_API ptrdiff_t tz_shared_queue_next_size(tz_shared_queue *queue);

/* --- values --- */

/* tz_put_value, tz_put, tz_put_value_until - put a value, as MessagePack; tz_put(queue, "hello"), tz_put(queue, tz_list(42, tz_none)) make one of anything that TZ_VALUE takes.
 *
 * What cannot be sent is told to who puts it, and nothing is in the queue then.
 *
 * Form: int tz_put(tz_shared_queue *queue, anything x)
 * Ownership: takes the value, also if it fails.
 * Threads: any.
 * Errors: as tz_shared_queue_put_bytes and tz_value_pack; -ETIMEDOUT also at the deadline. */
TZ_API int tz_put_value(tz_shared_queue *queue, tz_value value);
TZ_API int tz_put_value_until(tz_shared_queue *queue, tz_value value, tz_deadline deadline);

/* tz_get, tz_get_until - take a value out, waiting while the queue is empty.
 *
 * Ownership: *ret_value is the caller's, to be freed with tz_value_free.
 * Threads: any.
 * Errors: as tz_shared_queue_get_bytes, without -EMSGSIZE; -ETIMEDOUT also at the deadline; -EBADMSG if the message is no value, or exceeds the limits of tz_value_unpack: it
 * is taken out all the same, and dropped. -ENOMEM. */
TZ_API int tz_get(tz_shared_queue *queue, tz_value *ret_value);
TZ_API int tz_get_until(tz_shared_queue *queue, tz_value *ret_value, tz_deadline deadline);

/* --- leases --- */

/* A message that is being worked on, and still the queue's. */
typedef struct tz_shared_lease {
	void *data; /* the message, in shared memory, aligned as malloc's: until the lease ends */
	size_t size;
	uint32_t deliveries; /* how often somebody had it before: 0 the first time. Then some of the work may be done already */
	uint32_t tz__entry, tz__generation;
} tz_shared_lease;

/* tz_shared_queue_lease - take one message out on lease, waiting while the queue is empty, or while as many are out as may be.
 *
 * If the process dies before tz_shared_lease_done, another one gets the message, sooner than those that wait in the queue: so it is worked on at least once.
 * That is noticed by those who wait for messages within a tenth of a second, and by those who get many, once in a while.
 * A child of fork() cannot end the leases of its parent. What is on lease does not count in tz_shared_queue_size.
 *
 * Ownership: the message stays the queue's. ret_lease->data is readable and writable until the lease ends.
 * Threads: any.
 * Errors: as tz_shared_queue_get_bytes, without -EMSGSIZE. */
TZ_API int tz_shared_queue_lease(tz_shared_queue *queue, tz_shared_lease *ret_lease);

/* tz_shared_queue_lease_until - as tz_shared_queue_lease, and -ETIMEDOUT at the deadline.
 *
 * Ownership: as tz_shared_queue_lease.
 * Threads: any.
 * Errors: as tz_shared_queue_lease; -ETIMEDOUT also at the deadline. */
TZ_API int tz_shared_queue_lease_until(tz_shared_queue *queue, tz_shared_lease *ret_lease, tz_deadline deadline);

/* tz_shared_queue_try_lease - as tz_shared_queue_lease, but -EAGAIN instead of a wait for a message.
 *
 * Ownership: as tz_shared_queue_lease.
 * Threads: as tz_shared_queue_try_get_bytes.
 * Errors: -EAGAIN, and as tz_shared_queue_lease. */
TZ_API int tz_shared_queue_try_lease(tz_shared_queue *queue, tz_shared_lease *ret_lease);

/* tz_shared_lease_done - end a lease: the work on the message is finished, and it is gone. Counts as tz_shared_queue_task_done.
 *
 * Ownership: lease->data must not be used any more.
 * Threads: any of the process that took the lease.
 * Errors: -ESTALE if the lease is not, or no longer, this process's; nothing is changed then. */
TZ_API int tz_shared_lease_done(tz_shared_queue *queue, const tz_shared_lease *lease);

/* tz_shared_lease_return - end a lease without having done the work: the next one who gets a message gets this one, as it is now.
 *
 * Ownership: lease->data must not be used any more.
 * Threads: any of the process that took the lease.
 * Errors: -ESTALE if the lease is not, or no longer, this process's; nothing is changed then. */
TZ_API int tz_shared_lease_return(tz_shared_queue *queue, const tz_shared_lease *lease);

/* --- what it holds --- */

/* tz_shared_queue_size - how many messages are in the queue: exact, and old news by the time you read it.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_shared_queue_size(const tz_shared_queue *queue);

/* tz_shared_queue_empty - whether it holds nothing; see tz_shared_queue_size.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_shared_queue_empty(const tz_shared_queue *queue);

/* tz_shared_queue_full - whether it holds as much as it may; see tz_shared_queue_size.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_shared_queue_full(const tz_shared_queue *queue);

/* tz_shared_queue_capacity - how many messages it may hold.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_shared_queue_capacity(const tz_shared_queue *queue);

/* --- work done --- */

/* tz_shared_queue_task_done - tell that the work on one message is finished, which was taken out before, not on lease.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EINVAL if it was called more often than there were messages; nothing is changed then. */
TZ_API int tz_shared_queue_task_done(tz_shared_queue *queue);

/* tz_shared_queue_join - wait until the work on each message that was ever put in is finished.
 *
 * Who takes a message out without a lease and dies before tz_shared_queue_task_done keeps this waiting for ever.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -ETIMEDOUT, -ECANCELED by the scope. */
TZ_API int tz_shared_queue_join(tz_shared_queue *queue);

/* tz_shared_queue_join_until - as tz_shared_queue_join, and -ETIMEDOUT at the deadline.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_shared_queue_join; -ETIMEDOUT also at the deadline. */
TZ_API int tz_shared_queue_join_until(tz_shared_queue *queue, tz_deadline deadline);

/* tz_shared_queue_unfinished - for how many messages the work is not finished yet; up to 2^31 - 1 of them. See tz_shared_queue_size.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_shared_queue_unfinished(const tz_shared_queue *queue);

/* --- the end --- */

/* tz_shared_queue_shutdown - let nothing more in, and end the waits of everybody who puts, in all processes.
 *
 * After TZ_QUEUE_DRAIN, what is in the queue can be taken out. After TZ_QUEUE_DROP it is gone and counts as done, with what dead or returned leases left,
 * and the waits of everybody who gets end as well; TZ_QUEUE_DROP may follow TZ_QUEUE_DRAIN. Messages that were taken out before and are still worked on keep
 * tz_shared_queue_join waiting. This waits for those who are putting or getting at the moment, but not for those who wait.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EINVAL for an unknown `end`; -ETIMEDOUT, -ECANCELED by the scope. Shutting down twice is legal. */
TZ_API int tz_shared_queue_shutdown(tz_shared_queue *queue, tz_queue_end end);

/* tz_shared_queue_is_shutdown - whether tz_shared_queue_shutdown was called.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_shared_queue_is_shutdown(const tz_shared_queue *queue);

TZ_END_DECLS

#define tz_put(queue, ...) tz_put_value(queue, TZ_VALUE((__VA_ARGS__)))

/* TZ_SHARED_QUEUE - declare `name`, a queue between processes of messages of type T, a number or a flat struct, and its typed functions. At file scope, followed
 * by a semicolon. The pointer to it travels as any queue's; name##_queue gives it to the functions without a message in them.
 *
 *     int orders_open(orders **ret_queue, const tz_shared_queue_options *options);
 *     void orders_close(orders *queue);
 *     tz_shared_queue *orders_queue(orders *queue);
 *     int orders_put(orders *queue, T item);
 *     int orders_put_until(orders *queue, T item, tz_deadline deadline);
 *     int orders_try_put(orders *queue, T item);
 *     ptrdiff_t orders_put_n(orders *queue, const T *items, size_t n);
 *     int orders_get(orders *queue, T *ret_item);
 *     int orders_get_until(orders *queue, T *ret_item, tz_deadline deadline);
 *     int orders_try_get(orders *queue, T *ret_item);
 *     ptrdiff_t orders_get_n(orders *queue, T *ret_items, size_t max);
 *
 * Form: TZ_SHARED_QUEUE(T, orders);
 * Ownership: that of the functions underneath, tz_shared_queue_open and so on.
 * Threads: theirs.
 * Errors: theirs; a message of another type does not compile. */
#define TZ_SHARED_QUEUE(T, name) \
	TZ__QUEUE_CHECK(T, name); \
	typedef struct name name; \
	TZ__QUEUE_FN tz_shared_queue *name##_queue(name *queue) \
	{ \
		return (tz_shared_queue *)(void *)queue; \
	} \
	TZ__QUEUE_FN int name##_open(name **ret_queue, const tz_shared_queue_options *options) \
	{ \
		tz_shared_queue_options tz__o = { 0, 0, 0, 0, { 0, 0, 0, 0 } }; \
		tz_shared_queue *tz__q = NULL; \
		int tz__r; \
		if (options) \
			tz__o = *options; \
		if (!tz__o.message) \
			tz__o.message = sizeof(T); \
		tz__r = tz_shared_queue_open(&tz__q, &tz__o); \
		if (tz__r == 0) \
			*ret_queue = (name *)(void *)tz__q; \
		return tz__r; \
	} \
	TZ__QUEUE_FN void name##_close(name *queue) \
	{ \
		tz_shared_queue_close(name##_queue(queue)); \
	} \
	TZ__QUEUE_FN int name##_put(name *queue, T item) \
	{ \
		return tz_shared_queue_put_bytes(name##_queue(queue), &item, sizeof item); \
	} \
	TZ__QUEUE_FN int name##_put_until(name *queue, T item, tz_deadline deadline) \
	{ \
		return tz_shared_queue_put_bytes_until(name##_queue(queue), &item, sizeof item, deadline); \
	} \
	TZ__QUEUE_FN int name##_try_put(name *queue, T item) \
	{ \
		return tz_shared_queue_try_put_bytes(name##_queue(queue), &item, sizeof item); \
	} \
	TZ__QUEUE_FN ptrdiff_t name##_put_n(name *queue, const T *items, size_t n) \
	{ \
		return tz_shared_queue_put_n(name##_queue(queue), items, sizeof(T), n); \
	} \
	TZ__QUEUE_FN int name##_get_until(name *queue, T *ret_item, tz_deadline deadline) \
	{ \
		ptrdiff_t tz__r = tz_shared_queue_get_n_until(name##_queue(queue), ret_item, sizeof(T), 1, deadline); \
		return tz__r < 0 ? (int)tz__r : 0; \
	} \
	TZ__QUEUE_FN int name##_get(name *queue, T *ret_item) \
	{ \
		ptrdiff_t tz__r = tz_shared_queue_get_n(name##_queue(queue), ret_item, sizeof(T), 1); \
		return tz__r < 0 ? (int)tz__r : 0; \
	} \
	TZ__QUEUE_FN int name##_try_get(name *queue, T *ret_item) \
	{ \
		ptrdiff_t tz__r = tz_shared_queue_try_get_n(name##_queue(queue), ret_item, sizeof(T), 1); \
		return tz__r < 0 ? (int)tz__r : 0; \
	} \
	TZ__QUEUE_FN ptrdiff_t name##_get_n(name *queue, T *ret_items, size_t max) \
	{ \
		return tz_shared_queue_get_n(name##_queue(queue), ret_items, sizeof(T), max); \
	} \
	struct name /* takes the semicolon */

#endif
