/* Writes docs/executors.md from what the kinds of executors say of themselves.
 *
 * executors_page           prints the page
 * executors_page --check FILE   whether FILE is that page, as TAP
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trenza.h>
#include <trenza/executor_impl.h>

enum { MOST_KINDS = 32 };

static const tz_executor_ops *kinds[MOST_KINDS];
static int nkinds;

static const struct {
	unsigned bit;
	const char *means;
} capabilities[] = {
	{ TZ_CAN_SHARE_MEMORY, "jobs see the caller's memory; pointers may be passed" },
	{ TZ_CAN_RUN_AT_SUBMIT, "`tz_submit` runs the job on the caller's strand" },
	{ TZ_CAN_RUN_IN_PARALLEL, "jobs run at the same time on several processors" },
	{ TZ_CAN_REORDER, "jobs need not begin in the order of submitting" },
	{ TZ_CAN_CANCEL_PENDING, "a job that has not begun can be cancelled" },
	{ TZ_CAN_PRIORITY, "honours priorities" },
	{ TZ_CAN_FORK, "`tz_fork` leaves calls for other workers" },
	{ TZ_CAN_SURVIVE_CRASH, "a signal in a job ends that job only" },
	{ TZ_CAN_KILL, "a job that ignores its deadline or a cancel is stopped" },
	{ TZ_CAN_INITIALIZE, "runs an initializer and a finalizer on each worker" },
	{ TZ_CAN_LIMIT_QUEUE, "honours `queue_limit` (block, fail, caller runs)" },
	{ TZ_CAN_SHRINK, "honours `min_workers` and `idle_seconds`" },
	{ TZ_CAN_INJECT, "makes delays and failures up, on purpose" },
};

/* What may happen to a job, and its outcome where the kind has none, or all, of `needs`. NULL: it does not happen there. */
static const struct {
	const char *what;
	unsigned needs;
	const char *without, *with;
} failures[] = {
	{ "it calls `tz_fail(code, ...)`", 0, NULL, "FAILED, the code and the message" },
	{ "a C++ exception leaves it", 0, NULL, "FAILED, `-EPROTO`, its `what()`" },
	{ "the library makes a failure up", TZ_CAN_INJECT, NULL,
	  "FAILED, `-EIO`, \"chaos\"; it has not run" },
	{ "it is cancelled before it began", TZ_CAN_CANCEL_PENDING, NULL,
	  "CANCELLED, `-ECANCELED`" },
	{ "it is cancelled while it runs, sees it and fails with `-ECANCELED`", 0, NULL,
	  "CANCELLED, `-ECANCELED`" },
	{ "it is cancelled while it runs and returns", 0, NULL, "OK: a result beats a cancel" },
	{ "its deadline passes before it began", 0, NULL, "TIMED_OUT, `-ETIMEDOUT`" },
	{ "its deadline passes while it runs and it does not look", TZ_CAN_KILL,
	  "as it ends: nobody stops it", "TIMED_OUT, `-ETIMEDOUT`; its worker is replaced" },
	{ "it calls `pthread_exit`", TZ_CAN_RUN_AT_SUBMIT,
	  "CRASHED, `-ECANCELED`; its worker is replaced",
	  "CRASHED, `-ECANCELED`; the caller's thread ends" },
	{ "a job that it waits for runs on its stack, and calls `pthread_exit`", 0, NULL,
	  "CRASHED, `-ECANCELED`, with the name of that job" },
	{ "a signal kills it (SIGSEGV, abort)", TZ_CAN_SURVIVE_CRASH, "the process ends",
	  "CRASHED, with the signal; its worker is replaced" },
	{ "it calls `exit`", TZ_CAN_SURVIVE_CRASH, "the process ends",
	  "CRASHED; its worker is replaced" },
	{ "the executor is shut down before it began", TZ_CAN_CANCEL_PENDING, NULL,
	  "OK after `TZ_DRAIN`; else CANCELLED, `-ECANCELED`" },
	{ "it is submitted after a shutdown", 0, NULL, "FAILED, `-ESHUTDOWN`" },
	{ "the queue is full (`TZ_FULL_FAIL`)", TZ_CAN_LIMIT_QUEUE, NULL, "FAILED, `-EAGAIN`" },
	{ "the scope ends the wait for room in the queue", TZ_CAN_LIMIT_QUEUE, NULL,
	  "TIMED_OUT or CANCELLED" },
	{ "an initializer failed", TZ_CAN_INITIALIZE, NULL,
	  "FAILED, the initializer's code; so do all others" },
	{ "there is no memory for it", 0, NULL, "FAILED, `-ENOMEM`" },
	{ "the process forks: its future in the child", 0, NULL,
	  "LOST, `-EOWNERDEAD`, unless it had ended" },
};

static const struct {
	const char *name, *example, *means;
} options[] = {
	{ "workers", "workers=1", "the most workers that run jobs; a bare number means this" },
	{ "min", "min=1", "workers that stay when idle" },
	{ "idle", "idle=0.5", "seconds without a job after which the others end" },
	{ "name", "name=x", "workers are called x-0, x-1, ..." },
	{ "stack", "stack=256k", "bytes of a worker's stack" },
	{ "spares", "spares=1", "the most extra workers that stand in for blocked ones" },
	{ "queue", "queue=1", "the most jobs that wait" },
	{ "full", "full=fail", "what a submit does then: block, fail, caller" },
	{ "seed", "seed=1", "of all that is random" },
	{ "delay", "delay=0.1", "the longest delay before a job, in seconds" },
	{ "fail", "fail=0.1", "the share of jobs that fail without having run" },
};

#define EACH(array, i) for (size_t i = 0; i < sizeof(array) / sizeof *(array); i++)

static void head(FILE *to, const char *first)
{
	fprintf(to, "\n| %s |", first);
	for (int k = 0; k < nkinds; k++)
		fprintf(to, " `%s` |", kinds[k]->kind);
	fprintf(to, "\n|---|");
	for (int k = 0; k < nkinds; k++)
		fprintf(to, "---|");
	fprintf(to, "\n");
}

/* Found out by trying: the kind itself knows what it takes. */
static int takes_option(const char *kind, const char *example)
{
	char spec[64];
	tz_executor *ex;

	(void)snprintf(spec, sizeof spec, "%s:%s", kind, example);
	if (tz_executor_open(&ex, spec) < 0)
		return 0;
	tz_executor_close(ex);
	return 1;
}

static void write_page(FILE *to)
{
	fprintf(to,
		"# Executors\n\n"
		"<!-- Written by docs/executors_page.c from the tables of the executors: change those, then run\n"
		"     `ninja -C build-test docs/executors_page && build-test/docs/executors_page > docs/executors.md`. -->\n\n"
		"Every executor keeps the promises of `executor_impl.h`; the suite in `tests/conformance/` runs on each kind.\n\n");
	fprintf(to, "| kind | |\n|---|---|\n");
	for (int k = 0; k < nkinds; k++)
		fprintf(to, "| `%s` | %s |\n", kinds[k]->kind, kinds[k]->summary);
	fprintf(to, "\n## What each kind can do\n");
	head(to, "");
	EACH(capabilities, i)
	{
		fprintf(to, "| %s |", capabilities[i].means);
		for (int k = 0; k < nkinds; k++)
			fprintf(to, " %s |",
				kinds[k]->capabilities & capabilities[i].bit ? "yes" : "-");
		fprintf(to, "\n");
	}
	fprintf(to,
		"\n## How a job ends\n\n"
		"Outcomes are those of `outcome.h`. A job that returns is OK; what else may happen to it:\n");
	head(to, "what happens");
	EACH(failures, i)
	{
		fprintf(to, "| %s |", failures[i].what);
		for (int k = 0; k < nkinds; k++) {
			bool with =
				(kinds[k]->capabilities & failures[i].needs) == failures[i].needs;
			const char *text = with ? failures[i].with : failures[i].without;

			fprintf(to, " %s |", text ? text : "-");
		}
		fprintf(to, "\n");
	}
	fprintf(to,
		"\n## What a spec may say\n\n"
		"`kind:option=value,...`. An option that the kind cannot honour is `-EINVAL`.\n");
	head(to, "option");
	EACH(options, i)
	{
		fprintf(to, "| `%s`: %s |", options[i].name, options[i].means);
		for (int k = 0; k < nkinds; k++)
			fprintf(to, " %s |",
				takes_option(kinds[k]->kind, options[i].example) ? "yes" : "-");
		fprintf(to, "\n");
	}
}

/* Says where the file first differs. */
static int check(const char *page, size_t size, const char *name)
{
	FILE *f = fopen(name, "r");
	size_t line = 1;

	printf("1..1\n");
	for (size_t i = 0; f && i <= size; i++) {
		int c = fgetc(f);

		if (c != (i < size ? (unsigned char)page[i] : EOF)) {
			printf("not ok 1 - %s is what the code says\n# line %zu differs\n", name,
			       line);
			(void)fclose(f);
			return 1;
		}
		line += c == '\n';
	}
	printf("%sok 1 - %s is what the code says\n", f ? "" : "not ", name);
	if (f)
		(void)fclose(f);
	return !f;
}

int main(int argc, char **argv)
{
	char *page = NULL;
	size_t size = 0;

	while (nkinds < MOST_KINDS && (kinds[nkinds] = tz_executor_kinds((size_t)nkinds)))
		nkinds++;
	if (argc == 1) {
		write_page(stdout);
		return fflush(stdout) != 0;
	}
	FILE *to =
		argc == 3 && strcmp(argv[1], "--check") == 0 ? open_memstream(&page, &size) : NULL;

	if (!to)
		return 2;
	write_page(to);
	if (fclose(to))
		return 2;
	int r = check(page, size, argv[2]);

	free(page);
	return r;
}
