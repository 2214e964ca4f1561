/*
 * progress.c: what a run tells a waiting reader: a bar on a terminal, now and then a line
 * elsewhere.
 *
 * Design notes. A thread of its own paints, because the main one may be inside a page for half a
 * minute. The bar is painted over itself ten times a second. A log gets whole lines only, the first
 * after five seconds and each further one after twice the time, up to a minute: a log that is
 * silent looks like a program that hangs.
 */
#include "progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <trenza.h>
#include <trenza/event.h>
#include <trenza/lock.h>
#include <trenza/thread.h>

#include "term.h"
#include "text.h"

static const double paint_interval = 0.1, first_line = 5, longest_pause = 60;

struct progress {
	tz_thread *painter;
	tz_event stop;
	bool bar; /* on a terminal, else lines */
	const char *label;
	size_t total;
	uint64_t start;
	tz_lock lock; /* guards all below, and the terminal */
	bool painted; /* the bar is on the screen */
	size_t done, failed;
	long long bytes;
	double next_line, pause; /* in seconds since `start` */
};

static double elapsed(const struct progress *progress)
{
	return (double)(tz_now() - progress->start) / 1e9;
}

static void erase(struct progress *progress)
{
	if (progress->painted)
		fputs("\r\033[K", stderr);
	progress->painted = false;
}

/* Paints `columns` columns of which the part that is done is solid. */
static void paint_bar(const struct progress *progress, int columns)
{
	const struct style *style = term_style(stderr);
	const char *solid = term_is_utf8() ? "\xE2\x94\x81" : "#",
		   *open = term_is_utf8() ? solid : "-";
	int done = (int)((double)columns * (double)progress->done /
			 (double)(progress->total > 0 ? progress->total : 1));

	/* Without colours the two parts must differ in shape. */
	if (*style->dim == '\0')
		open = "-";
	fputs(style->green, stderr);
	for (int i = 0; i < done; i++)
		fputs(solid, stderr);
	fputs(style->off, stderr);
	fputs(style->dim, stderr);
	for (int i = done; i < columns; i++)
		fputs(open, stderr);
	fputs(style->off, stderr);
}

static void describe(const struct progress *progress, char *text, size_t size)
{
	char failed[64] = "", bytes[TEXT_SIZE_MAX];

	if (progress->failed > 0)
		snprintf(failed, sizeof failed, "%zu failed, ", progress->failed);
	snprintf(text, size, "%s%s, %.1f s, %s", failed, text_bytes(bytes, progress->bytes),
		 elapsed(progress), progress->label);
}

static void paint(struct progress *progress)
{
	char text[200], count[64];
	int columns;

	describe(progress, text, sizeof text);
	snprintf(count, sizeof count, "%zu/%zu", progress->done, progress->total);
	columns = term_columns(stderr) - (int)text_columns(text) - (int)text_columns(count) - 5;
	erase(progress);
	fprintf(stderr, "%s ", count);
	if (columns >= 5)
		paint_bar(progress, columns > 40 ? 40 : columns);
	fprintf(stderr, "%s%s", columns >= 5 ? "  " : "", columns >= -2 ? text : "");
	fflush(stderr);
	progress->painted = true;
}

static void print_line(struct progress *progress)
{
	char text[200];

	if (elapsed(progress) < progress->next_line || progress->done == progress->total)
		return;
	progress->pause = progress->pause * 2 < longest_pause ? progress->pause * 2 : longest_pause;
	progress->next_line += progress->pause;
	describe(progress, text, sizeof text);
	fprintf(stderr, "trenza: %zu of %zu pages so far (%s)\n", progress->done, progress->total,
		text);
}

static void paint_on(struct progress *progress)
{
	do
		tz_with_lock(&progress->lock) {
			if (progress->bar)
				paint(progress);
			else
				print_line(progress);
		}
	while (tz_event_wait_until(&progress->stop, tz_after(paint_interval)) == -ETIMEDOUT);
	tz_with_lock(&progress->lock)
		erase(progress);
}

TZ_TASK(void, paint_on, struct progress *);

int progress_open(struct progress **ret_progress, size_t total, const char *label)
{
	struct progress *progress = calloc(1, sizeof *progress);
	int r;

	if (progress == NULL)
		return -ENOMEM;
	progress->bar = term_is(stderr);
	progress->label = label;
	progress->total = total;
	progress->start = tz_now();
	progress->next_line = first_line;
	progress->pause = first_line / 2;
	r = tz_thread_open(&progress->painter, paint_on, progress);
	if (r < 0) {
		free(progress);
		return r;
	}
	*ret_progress = progress;
	return 0;
}

void progress_count(struct progress *progress, bool failed, long long bytes)
{
	if (progress == NULL)
		return;
	tz_with_lock(&progress->lock) {
		progress->done++;
		progress->failed += failed;
		progress->bytes += bytes;
	}
}

void progress_hide(struct progress *progress)
{
	if (progress == NULL)
		return;
	tz_lock_acquire(&progress->lock);
	erase(progress);
	fflush(stderr);
}

void progress_show(struct progress *progress)
{
	if (progress != NULL)
		tz_lock_release(&progress->lock);
}

void progress_close(struct progress *progress)
{
	if (progress == NULL)
		return;
	tz_event_set(&progress->stop);
	tz_thread_join(progress->painter);
	tz_thread_close(progress->painter);
	fflush(stderr);
	free(progress);
}
