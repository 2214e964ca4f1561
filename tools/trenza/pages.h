/* pages.h: sixteen invented pages, the same on every machine. */
#ifndef TRENZA_TOOL_PAGES_H
#define TRENZA_TOOL_PAGES_H

#include <stddef.h>

enum { PAGES = 16, PAGES_HEADINGS = 168 };

/* What is known about an invented page before it is made. */
struct invented {
	const char *path; /* "/www.python.org/" */
	size_t chars; /* its length in characters */
	int headings; /* how many h1..h4 it has */
};

/* The page number `i`, from 0 to PAGES - 1. */
const struct invented *pages_known(int i);

/*
 * Writes the page number `i`, as HTML in UTF-8.
 * Ownership: the caller frees the text. Errors: NULL without memory.
 */
char *pages_make(int i, size_t *ret_bytes);

#endif
