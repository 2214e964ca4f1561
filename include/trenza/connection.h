/* Connections: messages between processes, or between any two strands.
 *
 *     static void child(tz_connection *c)
 *     {
 *             tz_send(c, tz_list(42, tz_none, "hello"));
 *             tz_connection_close(c);
 *     }
 *     TZ_TASK(void, child, tz_connection *);
 *
 *     tz_connection *parent, *end;
 *     tz_pipe(&parent, &end, TZ_DUPLEX);
 *     tz_process_open(&p, child, end);                  // the handle travels; the process gets one of its own
 *     tz_connection_close(end);                         // so that the end of the child is the end of the messages
 *     tz_value message;
 *     if (tz_recv(parent, &message) == 0) {
 *             tz_value_print(&message, stdout);
 *             tz_value_free(message);
 *     }
 *
 * What is sent as one message is received as one, of any size: 0 bytes, or more than 4 GiB. The frames on the wire are those of Python's
 * multiprocessing.connection, so a connection over a socket can have a Python program's send_bytes and recv_bytes at its other end.
 *
 * The end. When all handles on the other end are closed, in all processes, what was sent can still be received; then a receive answers -ENODATA. If the
 * other end went away in the middle of a message, it answers -ECONNRESET. A send to nobody answers -EPIPE, and no signal is raised.
 *
 * Time. Every call obeys the caller's scope (TZ_TIMEOUT) as a whole: not only the wait for the first byte. A receive that ends early (-ETIMEDOUT, -ECANCELED)
 * has lost nothing: the next one goes on with the same message. A send that ends early has sent nothing, and the connection is as before, unless a part of
 * the message is out already: then nothing can be sent any more (-EPIPE from then on), and the peer is told that the message was cut off.
 *
 * Several strands may use one handle at a time: messages do not mix. Several processes may send through handles on one end; messages of up to 32 KiB do not
 * mix then. Only one process at a time may receive from one end; the next one goes on where it left off, if the handle was given to it as an argument. (After a
 * plain fork() both have what the parent had read ahead.)
 *
 * Values may hold handles: shared memory, with all the objects that lie there, and descriptors.
 *
 *     tz_send(parent, tz_list("work", tz_pointer(queue), (tz_fd){ 1 }));
 *
 * A connection itself travels, too: as an argument of a task or of a process, and inside a message (tz_send_fds). The sender's handle stays. What a task got is
 * closed when the task ends, if it was not closed or kept (tz_connection_keep) before.
 */
#ifndef TRENZA_CONNECTION_H
#define TRENZA_CONNECTION_H

#include <trenza/base.h>
#include <trenza/descriptor.h>
#include <trenza/options.h>
#include <trenza/time.h>
#include <trenza/types.h>
#include <trenza/value.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* One end of a line of messages. */
typedef struct tz_connection tz_connection;

/* Which way messages go through a pipe. */
typedef enum tz_pipe_ways {
	TZ_DUPLEX = 0, /* both ways */
	TZ_ONE_WAY = 1 /* the first end receives, the second sends */
} tz_pipe_ways;

/* How a connection is made of a descriptor; all-zero is the default of each. */
typedef struct tz_connection_options {
	size_t size; /* sizeof(tz_connection_options), or 0: for fields to come */
	size_t max_message; /* longer ones are not received (-EMSGSIZE); 0: of any size */
	bool no_send, no_receive; /* this end is for the other way only */
	bool handles; /* values that tz_recv receives may hold handles: memory and descriptors of a peer that is trusted with that. At the ends of a tz_pipe they may */
	void (*on_close)(void *arg); /* called by tz_connection_close of this handle; NULL: nothing */
	void *on_close_arg;
} tz_connection_options;

/* tz_pipe - makes two connected ends.
 *
 * Ownership: *ret_first and *ret_second are the caller's, to be closed with tz_connection_close.
 * Threads: any.
 * Errors: -EINVAL, -ENOMEM, -EMFILE, -ENFILE; then neither is made. */
TZ_API TZ_NODISCARD int tz_pipe(tz_connection **ret_first, tz_connection **ret_second, tz_pipe_ways ways);

/* tz_connection_open - makes a connection of a stream socket or a pipe's descriptor, whatever is at the other end. It is made
 * close-on-exec, and a pipe is made non-blocking.
 *
 * Ownership: the descriptor becomes the connection's, on success. *ret_connection is the caller's. The options are copied; NULL is all-zero.
 * Threads: any.
 * Errors: -EBADF, -EINVAL for what is neither a stream socket nor a pipe, or for bad options; -ENOMEM. */
TZ_API TZ_NODISCARD int tz_connection_open(tz_connection **ret_connection, int fd, const tz_connection_options *options);

/* tz_connection_close - closes this handle. The other end sees the end once all handles on this end are closed. NULL is legal.
 *
 * Ownership: takes the connection.
 * Threads: any, once every other call on this handle has returned.
 * Errors: none. */
TZ_API void tz_connection_close(tz_connection *connection);

/* tz_connection_fd - the descriptor, for poll(2) and the like: what it is ready for says nothing of what the connection has read ahead, so
 * prefer tz_connection_poll and tz_wait_ready.
 *
 * Ownership: the connection's.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_connection_fd(const tz_connection *connection);

/* tz_connection_readable, tz_connection_writable - whether this end is one that receives, or sends.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_connection_readable(const tz_connection *connection);
TZ_API bool tz_connection_writable(const tz_connection *connection);

/* tz_connection_keep - keeps a handle that came as an argument of a task, beyond the end of the task: it is to be closed by tz_connection_close from now on. On
 * any other handle it does nothing.
 *
 * Ownership: the connection becomes the caller's.
 * Threads: any, while the task runs.
 * Errors: none. */
TZ_API void tz_connection_keep(tz_connection *connection);

/* tz_connection_set_limit - from how many bytes on messages are not received: such a receive answers -EMSGSIZE, and the message stays where it is. 0: of any size.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_connection_set_limit(tz_connection *connection, size_t max_message);

/* tz_send_bytes - sends one message, and waits while there is no room for it on the way.
 *
 * Ownership: the bytes are copied.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -EPIPE if nobody can receive it any more, or an earlier message was cut off; -EBADF at an end that does not send; -ETIMEDOUT, -ECANCELED by
 * the scope. */
TZ_API int tz_send_bytes(tz_connection *connection, const void *data, size_t size);

/* tz_recv_bytes - receives one message of whatever size.
 *
 * Descriptors that came with it are closed.
 *
 * Ownership: ret_message->data is a buffer, the caller's, to be freed with tz_buffer_free; NULL for an empty message.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -ENODATA at the end, -ECONNRESET if the end came in the middle of a message, -EPROTO if what came is no message: these stay. -EBADF at an
 * end that does not receive; -ETIMEDOUT, -ECANCELED by the scope; -EMSGSIZE for more than the limit, -ENOMEM: the message can be received later. */
TZ_API int tz_recv_bytes(tz_connection *connection, tz_bytes *ret_message);

/* tz_recv_bytes_into - receives one message into memory of `room` bytes; returns its size.
 *
 * Ownership: the memory is the caller's. If the answer is an error, what is in it means nothing.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: as tz_recv_bytes. -EMSGSIZE also if the message is larger than `room`: it is not lost, see tz_recv_size. */
TZ_API ptrdiff_t tz_recv_bytes_into(tz_connection *connection, void *ret_bytes, size_t room);

/* tz_recv_size - waits for the beginning of the next message, and tells its size. It stays to be received.
 *
 * Ownership: none.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: as tz_recv_bytes, but for -EMSGSIZE. */
TZ_API int tz_recv_size(tz_connection *connection, size_t *ret_size);

/* tz_connection_poll - whether a receive would be answered at once: 1 if a whole message is there, or the end, or an error; else 0. Never waits.
 *
 * To know, it takes in what is there. A part of a message is no message.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EBADF at an end that does not receive; -EBUSY while another strand receives. */
TZ_API int tz_connection_poll(tz_connection *connection);

/* tz_connection_poll_until - waits until a receive would be answered at once.
 *
 * Ownership: none.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: 0; -ETIMEDOUT at the deadline or the scope's, -ECANCELED; -EBADF. */
TZ_API int tz_connection_poll_until(tz_connection *connection, tz_deadline deadline);

/* tz_send_value, tz_send - send a value as one message, in MessagePack. tz_send makes a value of what TZ_VALUE takes: tz_send(connection, "hello"),
 * tz_send(connection, tz_list(42, tz_none)).
 *
 * Form: int tz_send(tz_connection *connection, anything x)
 * Ownership: takes the value, also if it fails.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: as tz_send_bytes and tz_value_pack, but handles go along: at most TZ_HANDLES_IN_MESSAGE different ones (-EMSGSIZE), and over unix sockets only, such as those of
 * tz_pipe (-EOPNOTSUPP). */
TZ_API int tz_send_value(tz_connection *connection, tz_value value);

/* tz_recv - receives a value.
 *
 * Handles that it holds are this process's own, as long as the value lives: shared memory at the address that it has here, descriptors close-on-exec.
 *
 * Ownership: *ret_value is the caller's, to be freed with tz_value_free.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: as tz_recv_bytes; -EBADMSG if the message is no value, exceeds the limits of tz_value_unpack, or comes with descriptors at an end that takes none
 * (tz_connection_options), -EMFILE if the process could not open what came with it: it is received all the same, and dropped. -ENOMEM. */
TZ_API int tz_recv(tz_connection *connection, tz_value *ret_value);

/* tz_send_fds - as tz_send_bytes, with n descriptors, at most TZ_FDS_IN_MESSAGE. Unix sockets only, such as those of tz_pipe.
 *
 * To send a connection, send tz_connection_fd of it, and make one of what arrives with tz_connection_open.
 *
 * Ownership: the bytes are copied, the descriptors duplicated.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: as tz_send_bytes; -EINVAL for too many, -EBADF for one that is not open, -EOPNOTSUPP where they cannot go; -ETOOMANYREFS if too many are on
 * their way. */
TZ_API int tz_send_fds(tz_connection *connection, const void *data, size_t size, const int *fds, int n);

/* How many descriptors one message has at most, and how many handles a value in a message. */
enum { TZ_FDS_IN_MESSAGE = 250, TZ_HANDLES_IN_MESSAGE = 64 };

/* tz_recv_fds - as tz_recv_bytes_into, with the descriptors that came with the message, close-on-exec: at most `n`. *ret_n is how many.
 *
 * Ownership: the descriptors are the caller's.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: as tz_recv_bytes_into; -EMSGSIZE also if there are more than `n`; -EMFILE if the process could not open them when they arrived: then they are
 * gone, and the next call receives the rest of the message. */
TZ_API ptrdiff_t tz_recv_fds(tz_connection *connection, void *ret_bytes, size_t room, int *ret_fds, int n, int *ret_n);

/* Something to wait for. Either a connection, or a descriptor if that is NULL: a process's sentinel, a socket, an eventfd. */
typedef struct tz_ready {
	tz_connection *connection; /* ready when a receive is answered at once */
	int fd; /* ready for one of `events`, or with an error */
	short events; /* those of poll(2); 0: POLLIN */
	bool ready; /* written by tz_wait_ready */
} tz_ready;

/* tz_wait_ready - waits until at least one of n things is ready, and tells which are, in their `ready`; returns how many.
 *
 * Ownership: none.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -ETIMEDOUT at the deadline or the scope's, -ECANCELED, -EBADF, -ENOMEM, -EMFILE, -EINVAL for n == 0, -EBUSY if
 * another strand receives from one of the connections; nothing is written then. */
TZ_API int tz_wait_ready(tz_ready *things, size_t n, tz_deadline deadline);

/* Underneath tz_recv_item. */
TZ_API int tz__recv_item(tz_connection *connection, void *ret_item, size_t size);

TZ_END_DECLS

#define tz_send(connection, ...) tz_send_value(connection, TZ_VALUE((__VA_ARGS__)))

/* tz_send_item, tz_recv_item - send and receive a number or a flat struct as one message, its bytes as they lie in memory. Both ends are on the same kind of machine and
 * mean the same type.
 *
 * Form: int tz_send_item(tz_connection *connection, T item)
 * Form: int tz_recv_item(tz_connection *connection, T *ret_item)
 * Ownership: the item is copied.
 * Threads: any; block a thread, suspend a coroutine.
 * Errors: as tz_send_bytes and tz_recv_bytes; -EBADMSG if the message has another size than the item: it is received all the same, and dropped. A pointer does not
 * compile. */
/* Not a string, tz_bytes, or another pointer. */
#define TZ__IS_ITEM(kind) ((kind) < TZ_KIND_STRING || (kind) == TZ_KIND_VALUE)
#ifdef __cplusplus
extern "C++" {
template <typename T> static inline int tz_send_item(tz_connection *connection, const T &item)
{
	static_assert(__is_trivially_copyable(T) && TZ__IS_ITEM(tz__kind_of<T>::value), "tz_send_item: only numbers and flat structs");
	return tz_send_bytes(connection, &item, sizeof item);
}
template <typename T> static inline int tz_recv_item(tz_connection *connection, T *ret_item)
{
	static_assert(__is_trivially_copyable(T) && TZ__IS_ITEM(tz__kind_of<T>::value), "tz_recv_item: only numbers and flat structs");
	return tz__recv_item(connection, ret_item, sizeof *ret_item);
}
}
#else
#define tz_send_item(connection, ...) \
	(TZ__ITEM_CHECK(__typeof__(__VA_ARGS__)), \
	 tz_send_bytes(connection, (const __typeof__(__VA_ARGS__)[1]){ __VA_ARGS__ }, sizeof(__VA_ARGS__)))
#define tz_recv_item(connection, ret_item) \
	(TZ__ITEM_CHECK(__typeof__(*(ret_item))), tz__recv_item(connection, ret_item, sizeof *(ret_item)))
#define TZ__ITEM_CHECK(T) ((void)sizeof(struct { int tz__only_numbers_and_flat_structs : TZ__IS_ITEM(TZ__KIND(T)) ? 1 : -1; }))
#endif
#endif
