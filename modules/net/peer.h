/* A peer: a connection on its way to be one of the program's, with its handshake. */
#ifndef TZ_NET_PEER_H
#define TZ_NET_PEER_H

#include <trenza.h>
#include <trenza/net.h>

#include "handshake.h"

/* Options with nothing left to default, and a key of their own. */
struct terms {
	tz_net_options o;
	unsigned char *key; /* o.key */
};

/* -EINVAL, -ENOMEM. */
int terms_take(struct terms *t, const tz_net_options *options);
void terms_done(struct terms *t);

struct peer {
	tz_connection *connection;
	struct handshake handshake;
	tz_deadline deadline;
};

/* Begins with a connection, whose messages must be limited to HANDSHAKE_MESSAGE_MAX. 0: peer_step is to be called when it is ready; 1: done; or why it is
 * refused. The connection stays the caller's. */
int peer_begin(struct peer *p, tz_connection *connection, tz_handshake_side side,
	       const struct terms *t);

/* As far as the messages go that are there; never waits. As peer_begin. */
int peer_step(struct peer *p);

/* Waits until it is done: 0, or why not. */
int peer_finish(struct peer *p);

void peer_end(struct peer *p);

/* Makes a connection of a socket, which becomes its own on success, as a peer that has proved nothing has it. */
int peer_open(tz_connection **ret, int fd, void (*on_close)(void *arg), void *arg);

#endif
