/*
 * run.c: a run, which fetches a list of pages on one executor.
 *
 * Design notes. Pages are taken as they come, so that the progress shown is true and a slow page
 * holds up nobody, and are given out in the order of the list: one that is early waits in `pages`.
 */
#include "run.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <trenza.h>

#include "fetch_page.h"
#include "session.h"
#include "stop.h"

/* How they travel to another process and back. */
TZ_FLAT(struct limits);
TZ_STRUCT(struct headings, lines, count, cut);
TZ_STRUCT(struct page, failed, error, final_url, status, bytes, chars, seconds, cpu,
	  (struct headings, headings));

TZ_TASK(struct page, fetch_page, const char *, struct limits);

struct run {
	const struct urls *urls;
	struct limits limits;
	size_t begun; /* how many pages the generator has given out */
	size_t given; /* how many the sink has seen, or would have but for a stop */
	struct page *pages;
	bool *done; /* whether each of `pages` has come */
	struct progress *progress;
	run_sink *sink;
	void *arg;
	bool apart; /* pages are fetched by other processes */
	struct report report;
};

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* Adds the process's times to the report, with this sign. */
static void add_times(struct report *report, double sign)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	report->wall += sign * (double)tz_now() / 1e9;
	report->user += sign * seconds(usage.ru_utime);
	report->system += sign * seconds(usage.ru_stime);
}

/* The generator: the next call of fetch_page. */
static bool next_page(void *arg, fetch_page_args *ret_args)
{
	struct run *run = arg;

	if (run->begun == run->urls->count || stop_asked())
		return false;
	*ret_args = tz_bind(fetch_page, run->urls->list[run->begun++], run->limits);
	return true;
}

static void count(struct run *run, const struct page *page)
{
	struct report *report = &run->report;

	report->user += run->apart ? page->cpu : 0; /* else it is in our own times */
	report->pages++;
	report->failed += page->failed;
	report->headings += (long long)page->headings.count;
	report->bytes += page->bytes;
	report->sum += page->seconds;
	if (page->seconds > report->longest)
		report->longest = page->seconds;
}

/* Whether the page failed because the user wished to stop; then it has not been fetched. */
static bool was_interrupted(const struct page *page)
{
	return page->failed && stop_asked() && strcmp(page_error(page), "interrupted") == 0;
}

/* Gives the sink all pages whose turn it is. */
static void give(struct run *run)
{
	for (; run->given < run->begun && run->done[run->given]; run->given++) {
		struct page *page = &run->pages[run->given];

		if (!was_interrupted(page)) {
			count(run, page);
			run->sink(run->arg, run->given, run->urls->list[run->given], page);
		}
		page_done(page);
	}
}

/* A job that did not end well, though fetch_page never fails: the library says why. */
static struct page lost_page(void)
{
	char text[TZ_MESSAGE_MAX + TZ_NAME_MAX + 64];

	tz_describe(tz_last(), text, sizeof text);
	return (struct page){ .failed = true, .error = strdup(text) };
}

/* The next result. Other processes do not hear of a wish to stop, so we look for one now and then. */
static int next_result(const struct run *run, fetch_page_stream stream, struct page *page,
		       size_t *index)
{
	int r = 0;

	if (!run->apart)
		return tz_stream_next_indexed(stream, page, index);
	do
		TZ_TIMEOUT(0.1)
			r = tz_stream_next_indexed(stream, page, index);
	while (r == -ETIMEDOUT && !stop_asked());
	return r == -ETIMEDOUT ? 0 : r;
}

/* How many pages to have out at one time. A worker that is a thread fetches one, and finds the next behind
   the results that have come; one that is a loop fetches all that it is given at once. */
static size_t window_of(const tz_executor *executor)
{
	bool loops = strcmp(tz_executor_kind(executor), "coroutines") == 0;

	return (size_t)tz_executor_workers(executor) * (loops ? RUN_PAGES_PER_LOOP : 2);
}

static int stream_pages(struct run *run, tz_executor *executor)
{
	tz_stream_options options = { .as_completed = true,
				      .window = window_of(executor),
				      .submit.kill = run->apart };
	fetch_page_stream stream;
	struct page page;
	size_t index;
	int r = tz_stream_open(&stream, executor, fetch_page, &options, next_page, run);

	if (r < 0)
		return r;
	while ((r = next_result(run, stream, &page, &index)) != 0) {
		if (r < 0 && r != -EREMOTEIO)
			break;
		run->pages[index] = r < 0 ? lost_page() : page;
		run->done[index] = true;
		progress_count(run->progress, run->pages[index].failed, run->pages[index].bytes);
		give(run);
	}
	tz_stream_close(stream);
	return r;
}

int run_pages(const struct urls *urls, struct limits limits, const char *spec,
	      struct progress *progress, run_sink *sink, void *arg, struct report *ret_report)
{
	struct run run = {
		.urls = urls, .limits = limits, .progress = progress, .sink = sink, .arg = arg
	};
	tz_executor *executor;
	int r;

	add_times(&run.report, -1);
	r = tz_executor_open(&executor, spec);
	if (r < 0)
		return r;
	run.pages = calloc(urls->count + 1, sizeof *run.pages);
	run.done = calloc(urls->count + 1, sizeof *run.done);
	run.report.executor = spec;
	run.apart = strcmp(tz_executor_kind(executor), "processes") == 0;
	r = run.pages != NULL && run.done != NULL ? stream_pages(&run, executor) : -ENOMEM;
	tz_executor_close(executor);
	sessions_close(); /* the next run makes its own connections, so that runs can be compared */
	add_times(&run.report, 1);
	run.report.left = urls->count - run.report.pages;
	for (size_t i = run.given; run.pages != NULL && i < run.begun; i++)
		page_done(&run.pages[i]);
	free(run.pages);
	free(run.done);
	if (r == 0)
		*ret_report = run.report;
	return r;
}
