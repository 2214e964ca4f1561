/* fetch_command.c: the command trenza fetch: its options. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "command.h"
#include "fetch.h"
#include "stop.h"

static const char help[] =
	"usage: trenza fetch [OPTION]... [URL]...\n"
	"\n"
	"Fetches pages and prints their headings, h1 to h4: as an outline on a terminal,\n"
	"else as lines of address, level and text with tabs between them. Without a URL\n"
	"and without -i it reads the standard input, one URL a line; empty lines and\n"
	"lines that begin with # do not count. The list is read to its end before the\n"
	"first page is fetched.\n"
	"\n"
	"  -i, --input FILE       read URLs from FILE too (- is the standard input)\n"
	"      --on EXECUTOR      where to run: inline (one page after the other),\n"
	"                         threads[:N] (default: threads:16), processes[:N] (16),\n"
	"                         or coroutines[:N]: sixteen pages at once on each of N\n"
	"                         loops (one)\n"
	"      --compare          run the list on each executor and print what it took\n"
	"                         instead of the headings; --on may then be repeated\n"
	"                         (default: inline, threads:16, processes:16 and\n"
	"                         coroutines)\n"
	"      --json             print one line of JSON a page (a run, with --compare)\n"
	"      --tsv, --outline   print the one or the other wherever the output goes\n"
	"      --timeout SECONDS  for a whole page (default: 30)\n"
	"      --connect-timeout SECONDS\n"
	"                         until a connection stands (default: 10)\n"
	"      --max-size BYTES   of a page, uncompressed; 500k and 20M are understood\n"
	"                         (default: 10M)\n"
	"      --max-redirects N  (default: 10)\n"
	"  -q, --quiet            print no progress and no summary\n"
	"  -h, --help             print this\n"
	"\n"
	"A page that cannot be had is one line on the standard error and never the end\n"
	"of the run. Ctrl-C stops at once and says how far it came; the program then\n"
	"ends by that signal. Colours are left out if NO_COLOR is set.\n"
	"\n"
	"Exit status: 0 all pages were had, 1 at least one was not, 2 it could not begin.\n"
	"\n"
	"  trenza fetch https://www.python.org/\n"
	"  trenza fetch -i urls.txt --json | jq -r '.headings[]?.text'\n"
	"  trenza fetch -i urls.txt --compare\n";

/* How many workers fetch pages unless told: they wait, and waiting needs no processor. */
static const char default_executor[] = "threads:16", default_processes[] = "processes:16";

enum { ON = 256, COMPARE, JSON, TSV, OUTLINE, TIMEOUT, CONNECT_TIMEOUT, MAX_SIZE, MAX_REDIRECTS };

static const struct option options[] = {
	{ "input", required_argument, NULL, 'i' },
	{ "on", required_argument, NULL, ON },
	{ "compare", no_argument, NULL, COMPARE },
	{ "json", no_argument, NULL, JSON },
	{ "tsv", no_argument, NULL, TSV },
	{ "outline", no_argument, NULL, OUTLINE },
	{ "timeout", required_argument, NULL, TIMEOUT },
	{ "connect-timeout", required_argument, NULL, CONNECT_TIMEOUT },
	{ "max-size", required_argument, NULL, MAX_SIZE },
	{ "max-redirects", required_argument, NULL, MAX_REDIRECTS },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* A command line, read. */
struct line {
	struct fetching fetching;
	bool compare, help, read_input;
};

static int read_urls(struct urls *urls, const char *name)
{
	int r = urls_read_file(urls, name);

	return r < 0 ? command_wrong("cannot read '%s': %s", name, strerror(-r)) : 0;
}

static int add_executor(struct fetching *fetching, const char *spec)
{
	if (fetching->executor_count == FETCH_EXECUTORS)
		return command_wrong("more than %d executors", FETCH_EXECUTORS);
	if (strcmp(spec, "threads") == 0)
		spec = default_executor;
	if (strcmp(spec, "processes") == 0)
		spec = default_processes;
	fetching->executors[fetching->executor_count++] = spec;
	return 0;
}

static int read_seconds(const char *option, const char *text, double *ret_seconds)
{
	char *end;
	double seconds = strtod(text, &end);

	/* A day is longer than any page is worth, and fits in every clock. */
	if (end == text || *end != '\0' || !(seconds > 0 && seconds <= 86400))
		return command_wrong("--%s: '%s' is not a number of seconds above 0, up to 86400",
				     option, text);
	*ret_seconds = seconds;
	return 0;
}

static int read_size(const char *text, long long *ret_bytes)
{
	static const char units[] = "kmg";
	char *end;
	double size = strtod(text, &end);
	const char *unit = *end != '\0' ? strchr(units, tolower((unsigned char)*end)) : NULL;

	if (unit != NULL) {
		size *= pow(1000, (double)(unit - units + 1));
		end++;
	}
	if (end == text || *end != '\0' || !(size >= 1 && size <= 1e12))
		return command_wrong("--max-size: '%s' is not a size such as 500000, 500k or 20M",
				     text);
	*ret_bytes = (long long)size;
	return 0;
}

static int read_count(const char *text, long *ret_count)
{
	char *end;
	long count = strtol(text, &end, 10);

	if (end == text || *end != '\0' || count < 0 || count > 1000)
		return command_wrong("--max-redirects: '%s' is not a number from 0 to 1000", text);
	*ret_count = count;
	return 0;
}

static int read_option(struct line *line, int option, const char *value)
{
	struct fetching *fetching = &line->fetching;

	switch (option) {
	case 'i':
		line->read_input = true;
		return read_urls(&fetching->urls, value);
	case ON:
		return add_executor(fetching, value);
	case COMPARE:
		line->compare = true;
		return 0;
	case JSON:
		fetching->form = OUTPUT_JSON;
		return 0;
	case TSV:
		fetching->form = OUTPUT_TSV;
		return 0;
	case OUTLINE:
		fetching->form = OUTPUT_OUTLINE;
		return 0;
	case TIMEOUT:
		return read_seconds("timeout", value, &fetching->limits.timeout);
	case CONNECT_TIMEOUT:
		return read_seconds("connect-timeout", value, &fetching->limits.connect_timeout);
	case MAX_SIZE:
		return read_size(value, &fetching->limits.max_bytes);
	case MAX_REDIRECTS:
		return read_count(value, &fetching->limits.max_redirects);
	case 'q':
		fetching->progress = fetching->summary = false;
		return 0;
	case 'h':
		line->help = true;
		return 0;
	default: /* getopt has said what is wrong */
		fputs("trenza: `trenza fetch --help` tells the options\n", stderr);
		return COMMAND_USAGE;
	}
}

/* Reads the arguments that are URLs, and the standard input if there is no other list. */
static int read_arguments(struct line *line, char *argv[])
{
	struct urls *urls = &line->fetching.urls;

	for (; *argv != NULL; argv++) {
		int r = strcmp(*argv, "-") == 0                    ? read_urls(urls, "-")
			: urls_add(urls, *argv, strlen(*argv)) < 0 ? command_wrong("out of memory")
								   : 0;

		if (r != 0)
			return r;
		line->read_input = true;
	}
	if (line->read_input)
		return 0;
	if (isatty(STDIN_FILENO))
		return command_wrong("no URL; `trenza fetch --help` tells how to give some");
	return read_urls(urls, "-");
}

static int read_line(struct line *line, int argc, char *argv[])
{
	int option, r = 0;

	while (r == 0 && !line->help &&
	       (option = getopt_long(argc, argv, "i:qh", options, NULL)) >= 0)
		r = read_option(line, option, optarg);
	if (r != 0 || line->help)
		return r;
	if (line->fetching.executor_count > 1 && !line->compare)
		return command_wrong("more than one --on only makes sense with --compare");
	return read_arguments(line, argv + optind);
}

/* What the list runs on unless told. */
static void choose_executors(struct line *line)
{
	if (line->fetching.executor_count > 0)
		return;
	if (line->compare)
		add_executor(&line->fetching, "inline");
	add_executor(&line->fetching, default_executor);
	if (line->compare) {
		add_executor(&line->fetching, default_processes);
		add_executor(&line->fetching, "coroutines");
	}
}

static int fetch(struct line *line)
{
	struct fetching *fetching = &line->fetching;
	int status;

	choose_executors(line);
	fetching->print = !line->compare;
	fetching->summary = fetching->summary && !line->compare;
	/* Only now: a Ctrl-C while the list was read has nothing to report. */
	status = stop_watch();
	if (status < 0)
		return command_wrong("cannot watch for signals: %s", strerror(-status));
	status = fetch_run(fetching);
	if (line->compare && fetching->report_count > 0)
		output_comparison(stdout, fetching->form, fetching->reports,
				  fetching->report_count);
	return status;
}

int command_fetch(int argc, char *argv[])
{
	struct line line = { 0 };
	int status;

	argv[0] = (char[]){ "trenza" }; /* how getopt begins its complaints */
	fetch_defaults(&line.fetching);
	status = read_line(&line, argc, argv);
	if (status == 0 && line.help)
		fputs(help, stdout);
	else if (status == 0)
		status = fetch(&line);
	fetch_done(&line.fetching);
	return command_end(status);
}
