/* The handshake. See handshake.h. */
#include "handshake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum step { WANT_ANSWER, WANT_CHALLENGE, WANT_WELCOME };

static const char CHALLENGE[] = "#CHALLENGE#", WELCOME[] = "#WELCOME#", FAILURE[] = "#FAILURE#";
enum { CHALLENGE_SIZE = sizeof CHALLENGE - 1, VERDICT_SIZE = sizeof WELCOME - 1, MD5_SIZE = 16 };

/* --- digests ------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	const EVP_MD *(*md)(void);
} digests[] = {
	[TZ_DIGEST_MD5] = { "md5", EVP_md5 },
	[TZ_DIGEST_SHA256] = { "sha256", EVP_sha256 },
	[TZ_DIGEST_SHA3_256] = { "sha3_256", EVP_sha3_256 },
	[TZ_DIGEST_SHA384] = { "sha384", EVP_sha384 },
	[TZ_DIGEST_SHA3_384] = { "sha3_384", EVP_sha3_384 },
};

/* The digest that "{name}" at the beginning of a message names, and where it ends; TZ_DIGEST_DEFAULT: none is named, or none that we know. */
static tz_digest named(const unsigned char *message, size_t size, size_t *ret_end)
{
	for (int d = TZ_DIGEST_MD5; d <= TZ_DIGEST_SHA3_384; d++) {
		size_t n = strlen(digests[d].name);

		if (size >= n + 2 && message[0] == '{' &&
		    memcmp(message + 1, digests[d].name, n) == 0 && message[n + 1] == '}') {
			*ret_end = n + 2;
			return (tz_digest)d;
		}
	}
	return TZ_DIGEST_DEFAULT;
}

/* The digest's size, or 0. */
static size_t hmac(const struct handshake *h, tz_digest d, const unsigned char *data, size_t size,
		   unsigned char *to)
{
	unsigned n = 0;

	if (!HMAC(digests[d].md(), h->key_size > 0 ? h->key : "", (int)h->key_size, data, size, to,
		  &n))
		return 0;
	return n;
}

/* --- what is sent ------------------------------------------------------------------------------------------------- */

static void say(struct handshake *h, const void *message, size_t size)
{
	memcpy(h->out, message, size);
	h->out_size = size;
}

static int ask(struct handshake *h)
{
	tz_digest d = h->min_digest > TZ_DIGEST_SHA256 ? h->min_digest : TZ_DIGEST_SHA256;
	size_t prefix = (size_t)snprintf((char *)h->challenge, sizeof h->challenge, "{%s}",
					 digests[d].name);

	if (RAND_bytes(h->challenge + prefix, HANDSHAKE_NONCE) != 1)
		return -EIO;
	h->challenge_size = prefix + HANDSHAKE_NONCE;
	memcpy(h->out, CHALLENGE, CHALLENGE_SIZE);
	memcpy(h->out + CHALLENGE_SIZE, h->challenge, h->challenge_size);
	h->out_size = CHALLENGE_SIZE + h->challenge_size;
	h->step = WANT_ANSWER;
	return 0;
}

/* --- what is received --------------------------------------------------------------------------------------------- */

/* Whether the answer to our challenge is right: 0, or why not. */
static int verify(const struct handshake *h, const unsigned char *answer, size_t size)
{
	unsigned char wanted[EVP_MAX_MD_SIZE];
	size_t prefix = 0, n;
	tz_digest d = size == MD5_SIZE ? TZ_DIGEST_MD5 : named(answer, size, &prefix);

	if (d == TZ_DIGEST_DEFAULT || d < h->min_digest)
		return -EPROTONOSUPPORT;
	n = hmac(h, d, h->challenge, h->challenge_size, wanted);
	if (n == 0)
		return -EPROTONOSUPPORT;
	return n == size - prefix && CRYPTO_memcmp(wanted, answer + prefix, n) == 0 ? 0
										    : -EKEYREJECTED;
}

static int take_answer(struct handshake *h, const unsigned char *message, size_t size)
{
	int e = verify(h, message, size);

	if (e < 0) {
		say(h, FAILURE, VERDICT_SIZE);
		return e;
	}
	say(h, WELCOME, VERDICT_SIZE);
	h->step = WANT_CHALLENGE;
	return h->client;
}

static int take_challenge(struct handshake *h, const unsigned char *message, size_t size)
{
	const unsigned char *challenge = message + CHALLENGE_SIZE;
	size_t prefix = 0, n;
	bool old;
	tz_digest d;

	if (size < CHALLENGE_SIZE || memcmp(message, CHALLENGE, CHALLENGE_SIZE) != 0)
		return -EPROTO;
	size -= CHALLENGE_SIZE;
	old = size == 20 || size == MD5_SIZE;
	d = old ? TZ_DIGEST_MD5 : named(challenge, size, &prefix);
	if (d == TZ_DIGEST_DEFAULT || d < h->min_digest)
		return -EPROTONOSUPPORT;
	memcpy(h->out, challenge, prefix);
	n = hmac(h, d, challenge, size, h->out + prefix);
	if (n == 0)
		return -EPROTONOSUPPORT;
	h->out_size = prefix + n;
	h->step = WANT_WELCOME;
	return 0;
}

static int take_welcome(struct handshake *h, const unsigned char *message, size_t size)
{
	if (size == VERDICT_SIZE && memcmp(message, FAILURE, VERDICT_SIZE) == 0)
		return -EKEYREJECTED;
	if (size != VERDICT_SIZE || memcmp(message, WELCOME, VERDICT_SIZE) != 0)
		return -EPROTO;
	return h->client ? ask(h) : 1;
}

int handshake_begin(struct handshake *h, tz_handshake_side side, const void *key, size_t key_size,
		    tz_digest min_digest)
{
	*h = (struct handshake){
		.key = key,
		.key_size = key_size,
		.min_digest = min_digest == TZ_DIGEST_DEFAULT ? TZ_DIGEST_SHA256 : min_digest,
		.step = WANT_CHALLENGE,
		.client = side == TZ_HANDSHAKE_CLIENT,
	};
	return h->client ? 0 : ask(h);
}

int handshake_take(struct handshake *h, const unsigned char *message, size_t size)
{
	h->out_size = 0;
	if (size > HANDSHAKE_MESSAGE_MAX)
		return -EMSGSIZE;
	switch (h->step) {
	case WANT_ANSWER:
		return take_answer(h, message, size);
	case WANT_CHALLENGE:
		return take_challenge(h, message, size);
	default:
		return take_welcome(h, message, size);
	}
}
