/* Connections to other programs, on this machine or another: a listener, and a client.
 *
 *     tz_net_options o = { .key = "secret", .key_size = 6 };
 *     tz_listener *listener;
 *     tz_connection *c;
 *
 *     tz_listener_open(&listener, "127.0.0.1:0", &o);       // tz_listener_address() says which port
 *     while (tz_listener_accept(listener, &c) == 0)
 *             tz_spawn(serve, c);
 *
 *     tz_net_connect(&c, "host.example:4000", &o);          // in the other program
 *
 * What comes of both is a tz_connection (trenza/connection.h). The other program may be one in Python: bytes that one of multiprocessing.connection's Listener and Client sends, the
 * other side receives. Its send() and recv() are pickles, which this library neither makes nor reads.
 *
 * Addresses. "HOST:PORT", "[::1]:PORT": TCP; port 0 of a listener is any free one. "/PATH", "./PATH": a unix socket. "@NAME": one without a file, on Linux.
 *
 * Authentication. With a key each side proves to the other that it has the key, without sending it (HMAC with a random challenge), before a byte of the program is
 * received. It says who is there at the beginning; what follows is neither encrypted nor protected from who sits between, so over a network that is not
 * yours use a tunnel (TLS, SSH). Without a key, whoever can reach the address is let in.
 *
 * Python 3.11 and older know only HMAC-MD5, which is refused unless min_digest is TZ_DIGEST_MD5.
 *
 * A peer that is slow, sends what is no handshake, or has another key is refused, and keeps nobody else from being accepted meanwhile.
 *
 * This module is a library of its own, trenza-net, by pkg-config's name.
 */
#ifndef TRENZA_NET_H
#define TRENZA_NET_H

#include <trenza/base.h>
#include <trenza/connection.h>
#include <trenza/options.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* Digests of the handshake, from the weakest on. The numbers are part of the ABI. */
typedef enum tz_digest {
	TZ_DIGEST_DEFAULT = 0, /* TZ_DIGEST_SHA256 */
	TZ_DIGEST_MD5 = 1, /* for Python 3.11 and older */
	TZ_DIGEST_SHA256 = 2,
	TZ_DIGEST_SHA3_256 = 3,
	TZ_DIGEST_SHA384 = 4,
	TZ_DIGEST_SHA3_384 = 5
} tz_digest;

/* How connections are made; all-zero is the default of each. */
typedef struct tz_net_options {
	size_t size; /* sizeof(tz_net_options), or 0: for fields to come */
	const void *key; /* what both sides know; NULL: no authentication */
	size_t key_size;
	tz_digest min_digest; /* weaker ones are refused */
	double handshake_seconds; /* for all of a handshake; 0: 5 */
	size_t max_message; /* longer messages are not received (-EMSGSIZE); 0: 64 MiB, SIZE_MAX: of any size */
	unsigned max_connections; /* listener: as many may be open at a time, further ones are refused; 0: 1024 */
	unsigned max_pending; /* listener: as many may be in their handshake at a time; for one more, the oldest is refused; 0: 64 */
	int backlog; /* listener: how many the system keeps waiting; 0: 128 */
} tz_net_options;

typedef struct tz_listener tz_listener;

/* tz_listener_open - begins to listen at an address. Options NULL is all-zero.
 *
 * Ownership: *ret_listener is the caller's, to be closed with tz_listener_close. Address, options and key are copied.
 * Threads: any; looking up a host's name suspends a coroutine.
 * Errors: -EINVAL for what is no address, or bad options; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES and what else the system says; -EHOSTUNREACH if there is no
 * such host; -ENOMEM. */
TZ_API TZ_NODISCARD int tz_listener_open(tz_listener **ret_listener, const char *address, const tz_net_options *options);

/* tz_listener_close - ends listening, and the handshakes that are under way. Accepted connections stay. NULL is legal.
 *
 * Ownership: takes the listener; the file of a unix socket is removed.
 * Threads: any, once every other call on this listener has returned.
 * Errors: none. */
TZ_API void tz_listener_close(tz_listener *listener);

/* tz_listener_address - where it listens, as tz_net_connect wants it: with the port that was free.
 *
 * Ownership: the listener's.
 * Threads: any.
 * Errors: none. */
TZ_API const char *tz_listener_address(const tz_listener *listener);

/* tz_listener_accept - waits for a peer whose handshake is good. Who fails is refused and counted (tz_listener_refused), and the wait goes on.
 *
 * Ownership: *ret_connection is the caller's, to be closed with tz_connection_close.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -ETIMEDOUT, -ECANCELED by the scope: handshakes that are under way go on with the next call; -ENOMEM, -EMFILE, -ENFILE. */
TZ_API TZ_NODISCARD int tz_listener_accept(tz_listener *listener, tz_connection **ret_connection);

/* tz_listener_refused - how many peers have been refused, and why the last one was: as tz_net_handshake, or -EUSERS for too many. ret_last may be NULL.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_listener_refused(const tz_listener *listener, int *ret_last);

/* tz_net_connect - connects to a listener. Options NULL is all-zero.
 *
 * Ownership: *ret_connection is the caller's, to be closed with tz_connection_close.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -EINVAL for what is no address; -ECONNREFUSED, -ENOENT and what else the system says; -EHOSTUNREACH if there is no such host; as tz_net_handshake. */
TZ_API TZ_NODISCARD int tz_net_connect(tz_connection **ret_connection, const char *address, const tz_net_options *options);

/* Which side of a handshake. */
typedef enum tz_handshake_side {
	TZ_HANDSHAKE_LISTENER = 0, /* asks first */
	TZ_HANDSHAKE_CLIENT = 1
} tz_handshake_side;

/* tz_net_handshake - does the handshake over a connection that was made otherwise. tz_listener_accept and tz_net_connect do it by themselves.
 *
 * Without a key in the options it does nothing. After a failure the connection is of no use.
 *
 * Ownership: none.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -EKEYREJECTED if one side has another key; -EPROTONOSUPPORT for a digest that is too weak or unknown; -EPROTO, -EMSGSIZE for what is no handshake;
 * -ETIME if it took too long; -ENODATA, -ECONNRESET, -EPIPE if the peer left; -ETIMEDOUT, -ECANCELED by the
 * scope. */
TZ_API int tz_net_handshake(tz_connection *connection, tz_handshake_side side, const tz_net_options *options);

TZ_END_DECLS

#endif
