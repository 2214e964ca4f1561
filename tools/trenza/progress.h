/* progress.h: what a run tells a waiting reader: a bar on a terminal, now and then a line
   elsewhere. */
#ifndef TRENZA_TOOL_PROGRESS_H
#define TRENZA_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct progress;

/*
 * Begins to show the progress of `total` pages on the standard error; `label` says what runs them.
 *
 * Ownership: the caller closes it; `label` must live as long. NULL is legal in all functions below
 * and shows nothing. Errors: -ENOMEM, -EAGAIN.
 */
int progress_open(struct progress **ret_progress, size_t total, const char *label);

/* Counts a page. */
void progress_count(struct progress *progress, bool failed, long long bytes);

/* Between these two, others may write on the terminal: the bar is off the screen. Never blocks
   for long. */
void progress_hide(struct progress *progress);
void progress_show(struct progress *progress);

/* Takes the bar away. */
void progress_close(struct progress *progress);

#endif
