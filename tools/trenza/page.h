/* page.h: a page, as fetching it left it. */
#ifndef TRENZA_TOOL_PAGE_H
#define TRENZA_TOOL_PAGE_H

#include "headings.h"

/* How much patience and room a page gets. */
struct limits {
	double timeout; /* seconds for the whole page */
	double connect_timeout; /* seconds until the connection stands */
	long long max_bytes; /* of its content, uncompressed */
	long max_redirects;
};

/* What a page is and was; plain data, so it can be a task's result. */
struct page {
	bool failed;
	char *error; /* why, in words; may be NULL where there was no memory for them: page_error */
	char *final_url; /* where redirects led to; NULL: nowhere else */
	int status; /* the HTTP status, or 0 if no answer came */
	long long bytes; /* of content, uncompressed */
	long long chars; /* of content, decoded */
	double seconds; /* from start to end */
	double cpu; /* of them, those of the processor, for all that its thread did meanwhile */
	struct headings headings;
};

/* Why a failed page failed. Never NULL; belongs to the page. */
const char *page_error(const struct page *page);

/* Frees what the page holds and empties it. All-zero is legal. */
void page_done(struct page *page);

#endif
