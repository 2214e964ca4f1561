/* Fuzzes the handshake of trenza-net: whatever a peer without the key says, it is not let in, and nothing is written where it should not be.
 *
 * The first byte says which side is fuzzed and what digest it insists on; then come messages, each after a byte that is its length. --seeds=FOLDER writes bytes to
 * begin with. */
#include <stdint.h>

#include "handshake.h"
#include "seeds.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct handshake h;
	int r;

	if (size < 1)
		return 0;
	r = handshake_begin(&h, data[0] & 1 ? TZ_HANDSHAKE_CLIENT : TZ_HANDSHAKE_LISTENER, "a key",
			    5, (tz_digest)(data[0] / 2 % 6));
	MUST(r == 0);
	for (size_t at = 1; at < size && r == 0;) {
		size_t n = data[at++];
		uint8_t *message;

		n = n < size - at ? n : size - at;
		message = malloc(n + 1); /* so that what lies beyond is seen */
		MUST(message);
		memcpy(message, data + at, n);
		message = realloc(message, n ? n : 1);
		MUST(message);
		r = handshake_take(&h, message, n);
		MUST(r <= 0 && h.out_size <= sizeof h.out);
		free(message);
		at += n;
	}
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct {
		const char *bytes;
		size_t size;
	} seeds[] = {
#define SEED(text) { text, sizeof text - 1 }
		SEED("\0\x28{sha256}0123456789abcdef0123456789abcdef\x9#WELCOME#"),
		SEED("\2\x10"
		     "0123456789abcdef"),
		SEED("\1\x3b#CHALLENGE#{sha256}0123456789012345678901234567890123456789\x9#WELCOME#\x28{sha256}0123456789abcdef0123456789abcdef"),
		SEED("\3\x1f#CHALLENGE#01234567890123456789\x9#WELCOME#\x10"
		     "0123456789abcdef"),
		SEED("\1\x3d#CHALLENGE#{sha3_384}0123456789012345678901234567890123456789\x9#FAILURE#"),
		SEED("\1\x3b#CHALLENGE#{sha384}0123456789012345678901234567890123456789\x9#WELCOME#\x38{sha384}0123456789abcdef0123456789abcdef0123456789abcdef"),
	};
	const char *folder = seeds_folder(*argc, *argv);

	if (!folder)
		return 0;
	for (unsigned i = 0; i < sizeof seeds / sizeof *seeds; i++)
		write_seed(folder, i, NULL, 0, seeds[i].bytes, seeds[i].size);
	exit(0);
}
