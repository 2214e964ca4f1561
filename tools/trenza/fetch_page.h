/* fetch_page.h: the task of trenza fetch, one plain function. */
#ifndef TRENZA_TOOL_FETCH_PAGE_H
#define TRENZA_TOOL_FETCH_PAGE_H

#include "page.h"

/*
 * Fetches one page and reads its headings. Whatever the page does, the answer comes within its
 * limits, and a page that failed says why; a wish to stop (stop.h) ends it at once.
 *
 * Ownership: `url` must live as long as the call; the caller ends the result with page_done.
 * Threads: any, after curl_global_init and xmlInitParser.
 */
struct page fetch_page(const char *url, struct limits limits);

#endif
