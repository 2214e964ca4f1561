/* headings.h: the headings h1 to h4 of a page, read as it arrives. */
#ifndef TRENZA_TOOL_HEADINGS_H
#define TRENZA_TOOL_HEADINGS_H

#include <stdbool.h>
#include <stddef.h>

/* What a hostile page can make us keep. */
enum {
	HEADINGS_MAX = 10000, /* headings a page */
	HEADING_MAX_BYTES = 1000, /* text of a heading; longer ones end in an ellipsis */
};

struct heading {
	int level; /* 1..4 */
	char *text; /* UTF-8, white space collapsed, never empty, no control characters */
};

struct headings {
	struct heading *list;
	size_t count;
	bool cut; /* the page had more than HEADINGS_MAX */
};

/* Frees the texts and the list and empties the struct. All-zero is legal. */
void headings_done(struct headings *headings);

struct heading_parser;

/*
 * Opens a parser for one page.
 * Ownership: the caller closes it. Threads: each parser belongs to one thread at a time.
 * Errors: -ENOMEM.
 */
int heading_parser_open(struct heading_parser **ret_parser);

/* Parses `len` more bytes, which must be valid UTF-8 and end where a code point does.
   Errors: -ENOMEM, -ELOOP (nested so badly that reading it would take too long). */
int heading_parser_feed(struct heading_parser *parser, const char *text, size_t len);

/* Ends the page and moves its headings out. Errors: as heading_parser_feed; then `*ret_headings`
   is untouched. */
int heading_parser_finish(struct heading_parser *parser, struct headings *ret_headings);

/* Closes a parser, finished or not. NULL is legal. */
void heading_parser_close(struct heading_parser *parser);

#endif
