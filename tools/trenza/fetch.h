/* fetch.h: fetching a list: its runs, what they print while they run, and their comparison. */
#ifndef TRENZA_TOOL_FETCH_H
#define TRENZA_TOOL_FETCH_H

#include <stdbool.h>

#include "output.h"
#include "run.h"

enum { FETCH_EXECUTORS = 16 };

struct fetching {
	struct urls urls;
	struct limits limits;
	const char *executors[FETCH_EXECUTORS]; /* where to run the list, one after the other */
	int executor_count;
	enum output_form form;
	bool print; /* the pages, as they come */
	bool progress; /* is shown */
	bool summary; /* is printed after each run */
	run_sink *sink; /* also sees each page of each run; may be NULL */
	void *arg; /* of the sink */
	struct report reports[FETCH_EXECUTORS]; /* of the runs that ended */
	int report_count;
};

/* Sets what a user who says nothing wants. */
void fetch_defaults(struct fetching *fetching);

/*
 * Runs the list on each executor and prints what was asked for, but not the comparison. Ends early
 * on a wish to stop. Answers an exit status of command.h.
 */
int fetch_run(struct fetching *fetching);

/* Frees what it holds. */
void fetch_done(struct fetching *fetching);

#endif
