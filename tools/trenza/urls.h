/* urls.h: the list of URLs to fetch. */
#ifndef TRENZA_TOOL_URLS_H
#define TRENZA_TOOL_URLS_H

#include <stddef.h>
#include <stdio.h>

struct urls {
	char **list;
	size_t count;
	size_t room;
};

/* Adds a copy of `len` bytes of URL. Errors: -ENOMEM. */
int urls_add(struct urls *urls, const char *url, size_t len);

/*
 * Adds one URL a line: white space around it does not count, and neither do empty lines and lines
 * that begin with #. Errors: -ENOMEM, or what reading the file said.
 */
int urls_read(struct urls *urls, FILE *file);

/* As urls_read, from a file by name; "-" is the standard input. Errors: also what opening it
   said. */
int urls_read_file(struct urls *urls, const char *name);

/* Frees the list. All-zero is legal. */
void urls_done(struct urls *urls);

#endif
