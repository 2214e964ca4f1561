/* output.h: pages as text: an outline for people, lines for programs. */
#ifndef TRENZA_TOOL_OUTPUT_H
#define TRENZA_TOOL_OUTPUT_H

#include <stdio.h>

#include "page.h"
#include "run.h"

enum output_form {
	OUTPUT_OUTLINE, /* the page's address, its headings below it */
	OUTPUT_TSV, /* one line a heading: address, level, text */
	OUTPUT_JSON, /* one line a page */
};

/* Prints a page. Failed pages appear in JSON only; the other forms have no place to say why. */
void output_page(FILE *file, enum output_form form, const char *url, const struct page *page);

/* Prints one line that says why a page failed. */
void output_failure(FILE *file, const char *url, const struct page *page);

/* Prints one line that says what a run came to. */
void output_summary(FILE *file, const struct report *report);

/* Prints a comparison: a table, or one line of JSON a run. */
void output_comparison(FILE *file, enum output_form form, const struct report *reports, int count);

#endif
