/* Strings that are kept for ever, each once: what a `const char *` from another process becomes. */
#ifndef TZ_WIRE_INTERN_H
#define TZ_WIRE_INTERN_H

#include <stddef.h>

/* A string of `length` bytes, followed by a 0, that is equal to those at `text`: the same address for equal strings. NULL without memory. */
const char *tz_intern(const char *text, size_t length);

#endif
