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
	char text[HEADING_MAX_BYTES +
		  1]; /* UTF-8, white space collapsed, never empty, no control characters */
};

/* All headings of a page. One text, so that they travel to another process as strings do. */
struct headings {
	char *lines; /* of each heading: its level, its text, a line feed; NULL: none */
	size_t count;
	bool cut; /* the page had more than HEADINGS_MAX */
};

/* Reads the heading that begins at *at, which is `lines` at first, and moves on; false at the end. */
bool headings_next(const char **at, struct heading *ret_heading);

/* Frees the text and empties the struct. All-zero is legal. */
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
