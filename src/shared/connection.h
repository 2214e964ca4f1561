/* What the rest of the library needs to know of a connection: how a handle goes to another process.
 *
 * The sender looks whether a pointer is a connection, and sends the descriptor and the terms; the receiver makes a handle of its own. If that is for a task, it
 * ends it when the task does.
 */
#ifndef TZ_SHARED_CONNECTION_H
#define TZ_SHARED_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include <trenza/connection.h>

/* All that makes a handle beside the descriptor; plain bytes. */
struct tz_connection_terms {
	uint64_t max_message;
	uint32_t ways; /* bits of connection.c */
	uint32_t reserved;
};

/* Whether p is a handle that is open in this process. Any value of p is legal. */
bool tz_connection_is(const void *p);

/* What to send in place of the handle: its descriptor, which stays the connection's and is to be sent before the call that has the handle
 * as its argument returns, and its terms. -EBUSY if it has read ahead: what it has would not go along. */
int tz_connection_depart(tz_connection *connection, int *ret_fd,
			 struct tz_connection_terms *ret_terms);

/* The handle in the receiver's process. The descriptor becomes its own on success. -EPROTO for terms that mean nothing; as tz_connection_open. With
 * `task`, it is ended by tz_connection_task_over, and not freed before, whether it is closed or not. */
int tz_connection_arrive(tz_connection **ret_connection, int fd,
			 const struct tz_connection_terms *terms, bool task);

/* The task that got the handle is over: closes it, unless it was closed or kept. Nobody uses the pointer after that who has not kept it. */
void tz_connection_task_over(tz_connection *connection);

#endif
