/* The handshake: two sides prove to each other that they have the same key. Messages in, messages out; who carries them is another matter.
 *
 *     struct handshake h;
 *     r = handshake_begin(&h, side, key, key_size, min_digest);
 *     while (r == 0)       send h.out, if h.out_size > 0; receive a message; r = handshake_take(&h, message, size);
 *     send h.out, if h.out_size > 0; r is 1: done, or why the peer is refused
 *
 * The messages are those of Python's multiprocessing.connection:
 *
 *   who asks                                     who is asked
 *   #CHALLENGE#{sha256} + 40 random bytes   ->
 *                                           <-   {sha256} + HMAC-SHA256 of all that follows #CHALLENGE#
 *   #WELCOME# or #FAILURE#                  ->
 *
 * and then the same with the sides changed; the listener asks first. Before Python 3.12, a challenge is 20 random bytes, and the answer the bare HMAC-MD5; to a
 * challenge of the new kind such a program answers with the bare HMAC-MD5 of all of it.
 *
 * Design notes. A listener answers nothing before the client has proved itself, so its challenge cannot be put to another listener with the same key, or to
 * itself by a second connection. A client answers first, so who gets it to connect can use its answer elsewhere: that lies in the protocol.
 */
#ifndef TZ_NET_HANDSHAKE_H
#define TZ_NET_HANDSHAKE_H

#include <stddef.h>

#include <trenza/net.h>

enum {
	HANDSHAKE_MESSAGE_MAX = 256,
	HANDSHAKE_NONCE = 40,
	HANDSHAKE_CHALLENGE_MAX = HANDSHAKE_NONCE + 16
};

struct handshake {
	const void *key;
	size_t key_size;
	tz_digest min_digest;
	int step; /* what is waited for: an enum of handshake.c */
	bool client;
	unsigned char challenge[HANDSHAKE_CHALLENGE_MAX]; /* ours, without the prefix */
	size_t challenge_size;
	unsigned char out[HANDSHAKE_MESSAGE_MAX]; /* to be sent before anything else happens */
	size_t out_size;
};

/* The key must stay until the end. 0, or a negative errno code. */
int handshake_begin(struct handshake *h, tz_handshake_side side, const void *key, size_t key_size,
		    tz_digest min_digest);

/* A message has come: 0: go on; 1: done; else why the peer is refused. In all cases `out` is to be sent. */
int handshake_take(struct handshake *h, const unsigned char *message, size_t size);

#endif
