/* run.h: a run, which fetches a list of pages on one executor. */
#ifndef TRENZA_TOOL_RUN_H
#define TRENZA_TOOL_RUN_H

#include <stddef.h>

#include "page.h"
#include "progress.h"
#include "urls.h"

/* How many pages a loop of coroutines fetches at one time. */
enum { RUN_PAGES_PER_LOOP = 16 };

/* What a run came to. */
struct report {
	const char *executor; /* the spec it was opened by */
	size_t pages; /* fetched, well or not */
	size_t failed; /* of these */
	size_t left; /* not fetched because the user stopped the run */
	long long headings, bytes;
	double wall, user, system; /* seconds of the whole run, and of the processor */
	double sum, longest; /* of the pages' own times */
};

/* Is given each page that was fetched, in the order of the list. The page is the run's. */
typedef void run_sink(void *arg, size_t index, const char *url, const struct page *page);

/*
 * Fetches all URLs on the executor that `spec` names and gives each page to the sink.
 *
 * A page that fails is given to the sink as well; it is no error of the run, and neither is a wish
 * to stop.
 * Errors: what tz_executor_open says, -ENOMEM.
 */
int run_pages(const struct urls *urls, struct limits limits, const char *spec,
	      struct progress *progress, run_sink *sink, void *arg, struct report *ret_report);

#endif
