/* A peer. See peer.h. */
#include "peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/crypto.h>

/* --- terms -------------------------------------------------------------------------------------------------------- */

static bool are_good(const tz_net_options *o)
{
	return (o->size == 0 || o->size == sizeof *o) && (o->key || o->key_size == 0) &&
	       o->key_size <= 1 << 20 && o->min_digest >= TZ_DIGEST_DEFAULT &&
	       o->min_digest <= TZ_DIGEST_SHA3_384 && o->handshake_seconds >= 0 && o->backlog >= 0;
}

int terms_take(struct terms *t, const tz_net_options *options)
{
	memset(t, 0, sizeof *t);
	if (options) {
		if (!are_good(options))
			return -EINVAL;
		t->o = *options;
	}
	t->o.handshake_seconds = t->o.handshake_seconds > 0 ? t->o.handshake_seconds : 5;
	t->o.max_message = t->o.max_message ? t->o.max_message : (size_t)64 << 20;
	t->o.max_connections = t->o.max_connections ? t->o.max_connections : 1024;
	t->o.max_pending = t->o.max_pending ? t->o.max_pending : 64;
	t->o.backlog = t->o.backlog ? t->o.backlog : 128;
	if (!t->o.key)
		return 0;
	t->key = malloc(t->o.key_size + 1);
	if (!t->key)
		return -ENOMEM;
	if (t->o.key_size > 0)
		memcpy(t->key, t->o.key, t->o.key_size);
	t->o.key = t->key;
	return 0;
}

void terms_done(struct terms *t)
{
	if (t->key)
		OPENSSL_cleanse(t->key, t->o.key_size);
	free(t->key);
	memset(t, 0, sizeof *t);
}

/* --- the handshake ------------------------------------------------------------------------------------------------ */

/* Sends what there is to be said. The message is small and the first on its way, or the answer to one: so there is room, or the peer does not read. */
static int speak(struct peer *p)
{
	int e = 0;

	if (p->handshake.out_size > 0)
		TZ_SCOPE_UNTIL(at_once, tz_after(0))
			e = tz_send_bytes(p->connection, p->handshake.out, p->handshake.out_size);
	return e == -ETIMEDOUT ? -EPROTO : e;
}

int peer_begin(struct peer *p, tz_connection *connection, tz_handshake_side side,
	       const struct terms *t)
{
	int e;

	memset(p, 0, sizeof *p);
	p->connection = connection;
	p->deadline = tz_after(t->o.handshake_seconds);
	if (!t->o.key)
		return 1;
	e = handshake_begin(&p->handshake, side, t->o.key, t->o.key_size, t->o.min_digest);
	return e < 0 ? e : speak(p);
}

/* Takes the message that is there. */
static int take_one(struct peer *p)
{
	unsigned char message[HANDSHAKE_MESSAGE_MAX];
	ptrdiff_t n = tz_recv_bytes_into(p->connection, message, sizeof message);
	int r, e;

	if (n < 0)
		return (int)n;
	r = handshake_take(&p->handshake, message, (size_t)n);
	e = speak(p);
	return r < 0 ? r : e < 0 ? e : r;
}

int peer_step(struct peer *p)
{
	int r = 0;

	while (r == 0) {
		r = tz_connection_poll(p->connection);
		if (r <= 0)
			return r;
		r = take_one(p);
	}
	return r;
}

int peer_finish(struct peer *p)
{
	int r;

	while ((r = peer_step(p)) == 0) {
		r = tz_connection_poll_until(p->connection, p->deadline);
		if (r == -ETIMEDOUT && tz_interrupted() == 0)
			r = -ETIME;
		if (r < 0)
			return r;
	}
	return r < 0 ? r : 0;
}

void peer_end(struct peer *p)
{
	OPENSSL_cleanse(&p->handshake, sizeof p->handshake);
}

int peer_open(tz_connection **ret, int fd, void (*on_close)(void *arg), void *arg)
{
	int yes = 1;

	/* Messages are not held back; not TCP, not minded. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	return tz_connection_open(ret, fd,
				  TZ_OPTIONS(tz_connection_options,
					     .max_message = HANDSHAKE_MESSAGE_MAX,
					     .on_close = on_close, .on_close_arg = arg));
}

int tz_net_handshake(tz_connection *connection, tz_handshake_side side,
		     const tz_net_options *options)
{
	struct terms t;
	struct peer p;
	int r = terms_take(&t, options);

	if (r < 0)
		return r;
	tz_connection_set_limit(connection, HANDSHAKE_MESSAGE_MAX);
	r = peer_begin(&p, connection, side, &t);
	if (r == 0)
		r = peer_finish(&p);
	if (r >= 0)
		tz_connection_set_limit(connection, t.o.max_message);
	peer_end(&p);
	terms_done(&t);
	return r < 0 ? r : 0;
}
