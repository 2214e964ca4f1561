/* decode.h: the decoder, which turns the bytes of a page into valid UTF-8 as they arrive. */
#ifndef TRENZA_TOOL_DECODE_H
#define TRENZA_TOOL_DECODE_H

#include <stddef.h>

struct decoder;

/* Takes a piece of valid UTF-8 that ends at a code point's end. Returns 0, or -errno to stop
   decoding. */
typedef int decoder_sink(void *arg, const char *text, size_t len);

/*
 * Opens a decoder. `charset` is what the server's Content-Type named, or NULL; the page's own byte
 * order mark overrules it, and without either the page's <meta> decides.
 *
 * Ownership: the caller closes the decoder. `sink_arg` must live as long as it does.
 * Errors: -ENOMEM.
 */
int decoder_open(struct decoder **ret_decoder, const char *charset, decoder_sink *sink,
		 void *sink_arg);

/* Decodes `len` more bytes. Errors: -ENOMEM, or what the sink returned. */
int decoder_feed(struct decoder *decoder, const char *bytes, size_t len);

/* Decodes what was held back; to be called once, after the last byte. Errors: as decoder_feed. */
int decoder_finish(struct decoder *decoder);

/* How many characters (code points) came out so far; each broken sequence counts as one. */
size_t decoder_chars(const struct decoder *decoder);

/* Closes a decoder, finished or not. NULL is legal. */
void decoder_close(struct decoder *decoder);

#endif
