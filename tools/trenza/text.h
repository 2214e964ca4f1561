/* text.h: small texts for people: sizes, counts, and strings that are safe to show. */
#ifndef TRENZA_TOOL_TEXT_H
#define TRENZA_TOOL_TEXT_H

#include <stddef.h>

#include <trenza/version.h>

#define TEXT_QUOTE_(x) #x
#define TEXT_QUOTE(x) TEXT_QUOTE_(x)
#define TEXT_VERSION \
	TEXT_QUOTE(TZ_VERSION_MAJOR) \
	"." TEXT_QUOTE(TZ_VERSION_MINOR) "." TEXT_QUOTE(TZ_VERSION_PATCH)

/* Room for any text that text_bytes and text_count write. */
enum { TEXT_SIZE_MAX = 32 };

/* "17 bytes", "1.2 MB"; answers `out`. */
const char *text_bytes(char out[TEXT_SIZE_MAX], long long bytes);

/* "253,691"; answers `out`. */
const char *text_count(char out[TEXT_SIZE_MAX], long long n);

/* "16 pages", "1 page": the word gets its s. Answers `out`. */
const char *text_plural(char *out, size_t size, long long n, const char *word);

/*
 * Copies `len` bytes of foreign text into `out` as valid UTF-8 in which control characters, which a
 * terminal would obey, became question marks; cut to fit, always terminated. Answers `out`.
 */
const char *text_clean(char *out, size_t size, const char *text, size_t len);

/* How many columns valid UTF-8 takes on a terminal, roughly: East Asian characters count as two. */
size_t text_columns(const char *text);

#endif
