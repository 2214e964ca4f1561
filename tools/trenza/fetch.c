/* fetch.c: fetching a list: its runs, what they print while they run, and their comparison. */
#include "fetch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "progress.h"
#include "stop.h"

/* One run, as its sink sees it. */
struct running {
	struct fetching *fetching;
	struct progress *progress;
	bool first; /* the later runs meet the same failures again, and would only repeat them */
};

void fetch_defaults(struct fetching *fetching)
{
	memset(fetching, 0, sizeof *fetching);
	fetching->limits = (struct limits){
		.timeout = 30,
		.connect_timeout = 10,
		.max_bytes = 10 * 1000 * 1000,
		.max_redirects = 10,
	};
	fetching->progress = fetching->summary = true;
	fetching->form = isatty(STDOUT_FILENO) ? OUTPUT_OUTLINE : OUTPUT_TSV;
}

static void on_page(void *arg, size_t index, const char *url, const struct page *page)
{
	struct running *running = arg;
	struct fetching *fetching = running->fetching;

	progress_hide(running->progress);
	if (page->failed && running->first)
		output_failure(stderr, url, page);
	if (fetching->print)
		output_page(stdout, fetching->form, url, page);
	/* A page is shown when it comes, also to the program behind a pipe. */
	if (fetching->print && fflush(stdout) < 0)
		stop_now(-errno);
	if (fetching->sink != NULL)
		fetching->sink(fetching->arg, index, url, page);
	progress_show(running->progress);
}

static int refuse(const char *executor, int error)
{
	if (error == -ENOENT)
		return command_wrong("there is no executor '%s'", executor);
	if (error == -EINVAL)
		return command_wrong("cannot understand the executor '%s'", executor);
	return command_wrong("cannot use the executor '%s': %s", executor, strerror(-error));
}

static int run_on(struct fetching *fetching, const char *executor)
{
	struct running running = { .fetching = fetching, .first = fetching->report_count == 0 };
	struct report report;
	int r;

	/* Without memory or a thread for its picture the work is done unseen. */
	if (fetching->progress &&
	    progress_open(&running.progress, fetching->urls.count, executor) < 0)
		running.progress = NULL;
	r = run_pages(&fetching->urls, fetching->limits, executor, running.progress, on_page,
		      &running, &report);
	progress_close(running.progress);
	if (r < 0)
		return refuse(executor, r);
	fetching->reports[fetching->report_count++] = report;
	if (fetching->summary)
		output_summary(stderr, &report);
	return report.failed > 0 ? COMMAND_FAILED : COMMAND_DONE;
}

int fetch_run(struct fetching *fetching)
{
	int status = COMMAND_DONE;

	for (int i = 0; i < fetching->executor_count && !stop_asked(); i++) {
		int r = run_on(fetching, fetching->executors[i]);

		if (r == COMMAND_USAGE)
			return r;
		if (r != COMMAND_DONE)
			status = r;
	}
	return status;
}

void fetch_done(struct fetching *fetching)
{
	urls_done(&fetching->urls);
}
