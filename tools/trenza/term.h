/* term.h: what a stream is to the reader: a terminal, how wide, with colours or not. */
#ifndef TRENZA_TOOL_TERM_H
#define TRENZA_TOOL_TERM_H

#include <stdbool.h>
#include <stdio.h>

/* Styles; the strings are empty where the reader wants no colours. */
struct style {
	const char *bold, *dim, *red, *green, *yellow, *cyan, *off;
};

/* Whether `file` is a terminal that understands more than plain lines. */
bool term_is(FILE *file);

/* The styles for `file`: none if it is no terminal or if NO_COLOR is set (see no-color.org). */
const struct style *term_style(FILE *file);

/* How many columns `file` has: the terminal's, or 80. */
int term_columns(FILE *file);

/* Whether the reader's locale can show more than ASCII. */
bool term_is_utf8(void);

#endif
