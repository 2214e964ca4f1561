/* demo.c: the command trenza demo: what waiting and computing gain from more workers, measured
   here and now. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <trenza.h>

#include "command.h"
#include "fetch.h"
#include "pages.h"
#include "primes.h"
#include "site.h"
#include "stop.h"
#include "table.h"
#include "term.h"
#include "text.h"

static const char help[] =
	"usage: trenza demo [OPTION]...\n"
	"\n"
	"Fetches sixteen pages from a small site of its own, which takes its time with\n"
	"each: one after the other, on sixteen threads, in sixteen processes, and in\n"
	"coroutines on one loop. Then it counts primes, which no number of threads or\n"
	"processes beyond the number of cores makes faster.\n"
	"\n"
	"  -i, --input FILE     fetch the URLs of this file instead, one a line\n"
	"      --delay SECONDS  how long the site takes to answer (default: 0.3)\n"
	"      --serve          only run the site and print its addresses, until Ctrl-C\n"
	"  -h, --help           print this\n"
	"\n"
	"Exit status: 0 all is as it should be, 1 something is not, 2 it could not begin.\n";

/* Enough workers for each page of the site to have one. */
static const char many_threads[] = "threads:16", many_processes[] = "processes:16";

/* How often the primes are counted on each executor. */
enum { ROUNDS = 5 };

enum { DELAY = 256, SERVE };

static const struct option options[] = {
	{ "input", required_argument, NULL, 'i' },
	{ "delay", required_argument, NULL, DELAY },
	{ "serve", no_argument, NULL, SERVE },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct demo {
	const char *input; /* the user's list, or NULL */
	double delay;
	bool serve, help;
	const struct style *style;
	bool shown; /* a page's outline was */
	int wrong_pages;
};

static void print_title(const struct demo *demo, const char *title)
{
	printf("%s%s%s\n\n", demo->style->bold, title, demo->style->off);
}

static void print_check(const struct demo *demo, bool good, const char *what)
{
	printf("  %s%s%s  %s\n", good ? demo->style->green : demo->style->red,
	       good ? "ok" : "WRONG", demo->style->off, what);
}

/* Sees each page of each run: shows the first one, and checks the length of all. */
static void on_page(void *arg, size_t index, const char *url, const struct page *page)
{
	struct demo *demo = arg;

	if (demo->input == NULL && index < PAGES &&
	    (page->failed || (size_t)page->chars != pages_known((int)index)->chars ||
	     page->headings.count != (size_t)pages_known((int)index)->headings))
		demo->wrong_pages++;
	if (demo->shown || page->failed)
		return;
	demo->shown = true;
	output_page(stdout, OUTPUT_OUTLINE, url, page);
	fflush(stdout);
}

static bool check_site(const struct demo *demo, const struct fetching *fetching)
{
	bool all = true;
	char text[128];

	for (int i = 0; i < fetching->report_count; i++) {
		const struct report *report = &fetching->reports[i];
		bool good = report->headings == PAGES_HEADINGS && report->failed == 0;

		snprintf(text, sizeof text, "%lld of %d headings on %s", report->headings,
			 PAGES_HEADINGS, report->executor);
		print_check(demo, good, text);
		all = all && good;
	}
	snprintf(text, sizeof text, "%d of %d pages have the length that they should have",
		 PAGES * fetching->report_count - demo->wrong_pages,
		 PAGES * fetching->report_count);
	print_check(demo, demo->wrong_pages == 0, text);
	return all && demo->wrong_pages == 0;
}

/* The first table: a task that waits. Answers an exit status. */
static int show_waiting(struct demo *demo, struct fetching *fetching)
{
	int status;
	char title[128];

	if (demo->input != NULL)
		snprintf(title, sizeof title, "1. Waiting: your %zu pages", fetching->urls.count);
	else
		snprintf(title, sizeof title,
			 "1. Waiting: %d pages of a site on this machine, each answers after %g s",
			 PAGES, demo->delay);
	print_title(demo, title);
	fflush(stdout);
	fetching->sink = on_page;
	fetching->arg = demo;
	fetching->summary = false;
	fetching->executors[fetching->executor_count++] = "inline";
	fetching->executors[fetching->executor_count++] = many_threads;
	fetching->executors[fetching->executor_count++] = many_processes;
	fetching->executors[fetching->executor_count++] = "coroutines";
	status = fetch_run(fetching);
	if (status == COMMAND_USAGE || stop_asked())
		return status;
	output_comparison(stdout, OUTPUT_OUTLINE, fetching->reports, fetching->report_count);
	putchar('\n');
	if (demo->input == NULL) {
		if (!check_site(demo, fetching))
			status = COMMAND_FAILED;
		putchar('\n');
	}
	fflush(stdout);
	return status;
}

static void print_countings(const struct counting *countings, int count)
{
	static const char *const heads[] = { "executor", "wall", "speed-up", "user", "system" };
	const struct style *style = term_style(stdout);
	struct table table;

	table_begin(&table, 5, heads);
	for (int i = 0; i < count; i++) {
		table_row(&table);
		table_set(&table, 0, style->cyan, "%s", countings[i].executor);
		table_set(&table, 1, style->bold, "%.2f s", countings[i].wall);
		table_set(&table, 2,
			  countings[0].wall > 1.2 * countings[i].wall ? style->green : NULL,
			  "%.1fx", countings[0].wall / countings[i].wall);
		table_set(&table, 3, NULL, "%.2f s", countings[i].user);
		table_set(&table, 4, NULL, "%.2f s", countings[i].system);
	}
	table_print(&table, stdout, 2);
}

/* Counts on each executor, round after round, and keeps the best of each: what else the machine does
   meanwhile makes a round worse and never better. Errors: as primes_count_on. */
static int count_on_all(const char *const *executors, int count, struct counting *countings)
{
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < count && !stop_asked(); i++) {
			struct counting counting;
			int r = primes_count_on(executors[i], &counting);

			if (r < 0)
				return r;
			if (round == 0 || counting.wall < countings[i].wall ||
			    counting.primes != PRIMES_THERE_ARE)
				countings[i] = counting;
		}
	return 0;
}

/* The second table: a task that computes. Answers an exit status. */
static int show_computing(const struct demo *demo)
{
	int cores = tz_usable_cpus(), count, wrong = 0, r;
	char all_cores[32], more[32], processes[32], title[128], primes[TEXT_SIZE_MAX];
	const char *executors[] = { "inline", "threads:1", "threads:2", all_cores, more, processes };
	struct counting countings[6];

	/* One row for the cores, unless they are two, and one for more threads than cores. */
	snprintf(all_cores, sizeof all_cores, "threads:%d", cores);
	snprintf(more, sizeof more, "threads:%d", cores < 16 ? 16 : 2 * cores);
	snprintf(processes, sizeof processes, "processes:%d", cores);
	count = cores > 2 ? 6 : 5;
	if (cores <= 2) {
		executors[3] = more;
		executors[4] = processes;
	}
	snprintf(title, sizeof title,
		 "2. Computing: the primes below %s, on %d core%s; the best of %d rounds",
		 text_count(primes, PRIMES_BELOW), cores, cores == 1 ? "" : "s", ROUNDS);
	print_title(demo, title);
	fflush(stdout);
	r = count_on_all(executors, count, countings);
	if (r < 0)
		return command_wrong("counting primes: %s", strerror(-r));
	if (stop_asked())
		return COMMAND_FAILED;
	print_countings(countings, count);
	printf("\n  %sThe bound: %d core%s. More threads than cores have nothing to run on.%s\n\n",
	       demo->style->dim, cores, cores == 1 ? "" : "s", demo->style->off);
	for (int i = 0; i < count; i++)
		wrong += countings[i].primes != PRIMES_THERE_ARE;
	snprintf(title, sizeof title, "%s primes on each of them",
		 text_count(primes, PRIMES_THERE_ARE));
	print_check(demo, wrong == 0, title);
	return wrong == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static void print_opening(const struct demo *demo)
{
	printf("One plain C function, run elsewhere by changing one word:\n\n"
	       "  %sstruct page fetch_page(const char *url, struct limits limits);%s"
	       "    %slibcurl and libxml2, as ever%s\n"
	       "  %sTZ_TASK(struct page, fetch_page, const char *, struct limits);%s"
	       "    %sdescribes it to trenza%s\n\n",
	       demo->style->cyan, demo->style->off, demo->style->dim, demo->style->off,
	       demo->style->cyan, demo->style->off, demo->style->dim, demo->style->off);
}

static void print_closing(const struct demo *demo)
{
	printf("\nOn pages of your own:  "
	       "%strenza fetch --compare URL...%s  or  %smake demo URLS=FILE%s\n",
	       demo->style->bold, demo->style->off, demo->style->bold, demo->style->off);
}

static int show(struct demo *demo, struct fetching *fetching)
{
	int status, computing;

	print_opening(demo);
	status = show_waiting(demo, fetching);
	if (status == COMMAND_USAGE || stop_asked())
		return status;
	computing = show_computing(demo);
	if (!stop_asked())
		print_closing(demo);
	return computing != COMMAND_DONE ? computing : status;
}

static int serve(const struct fetching *fetching)
{
	struct pollfd wish = { .fd = stop_descriptor(), .events = POLLIN };

	for (size_t i = 0; i < fetching->urls.count; i++)
		puts(fetching->urls.list[i]);
	fflush(stdout);
	while (!stop_asked())
		poll(&wish, 1, -1);
	return COMMAND_DONE;
}

static int run_with_site(struct demo *demo, struct fetching *fetching)
{
	struct site site;
	int r = site_open(&site, demo->delay), status;

	if (r < 0)
		return command_wrong("cannot start the site: %s", strerror(-r));
	/* A proxy would be asked for our own address. */
	setenv("no_proxy", "127.0.0.1", 1);
	if (site_urls(&site, &fetching->urls) < 0)
		status = command_wrong("out of memory");
	else if ((r = stop_watch()) < 0)
		status = command_wrong("cannot watch for signals: %s", strerror(-r));
	else
		status = demo->serve ? serve(fetching) : show(demo, fetching);
	site_close(&site);
	return status;
}

static int run_with_list(struct demo *demo, struct fetching *fetching)
{
	int r = urls_read_file(&fetching->urls, demo->input);

	if (r < 0)
		return command_wrong("cannot read '%s': %s", demo->input, strerror(-r));
	if (fetching->urls.count == 0)
		return command_wrong("there is no URL in '%s'", demo->input);
	r = stop_watch();
	if (r < 0)
		return command_wrong("cannot watch for signals: %s", strerror(-r));
	return show(demo, fetching);
}

static int read_line(struct demo *demo, int argc, char *argv[])
{
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "i:h", options, NULL)) >= 0)
		switch (option) {
		case 'i':
			demo->input = optarg;
			break;
		case DELAY:
			demo->delay = strtod(optarg, &end);
			if (end == optarg || *end != '\0' ||
			    !(demo->delay >= 0 && demo->delay <= 10))
				return command_wrong("'%s' is not a number of seconds up to 10",
						     optarg);
			break;
		case SERVE:
			demo->serve = true;
			break;
		case 'h':
			demo->help = true;
			return 0;
		default: /* getopt has said what is wrong */
			return COMMAND_USAGE;
		}
	if (argv[optind] != NULL)
		return command_wrong("demo takes no '%s'; for URLs of your own use --input FILE",
				     argv[optind]);
	return 0;
}

int command_demo(int argc, char *argv[])
{
	struct demo demo = { .delay = 0.3, .style = term_style(stdout) };
	struct fetching fetching;
	int status;

	argv[0] = (char[]){ "trenza" }; /* how getopt begins its complaints */
	fetch_defaults(&fetching);
	status = read_line(&demo, argc, argv);
	if (status == 0 && demo.help)
		fputs(help, stdout);
	else if (status == 0)
		status = demo.input != NULL ? run_with_list(&demo, &fetching)
					    : run_with_site(&demo, &fetching);
	fetch_done(&fetching);
	return command_end(status);
}
