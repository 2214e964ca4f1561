/* utf8.h: reading UTF-8 one code point at a time, whatever the bytes are. */
#ifndef TRENZA_TOOL_UTF8_H
#define TRENZA_TOOL_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT 0xFFFDu

/*
 * Reads the code point at the start of `bytes`.
 * Returns its length (1..4), or 0 if `len` bytes are a correct beginning that needs more, or -n if
 * the first n bytes can never begin a code point; then `*ret_point` is the replacement character.
 */
int utf8_read(const unsigned char *bytes, size_t len, uint32_t *ret_point);

/* Writes `point` (a scalar value) into `out` and returns its length, 1..4. */
int utf8_write(uint32_t point, char out[4]);

#endif
