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
	{ TZ_CAN_START_LATER, "honours `start`: a job begins at a point in time" },
	{ TZ_CAN_SUSPEND, "a wait suspends a coroutine: other jobs run on its thread meanwhile" },
	{ TZ_CAN_SIMULATE, "time is virtual" },
	{ TZ_CAN_STAND_IN, "honours `spares`: further workers stand in for blocked ones" },
};

/* An outcome, where the kind has all of `needs` and none of `lacks`. */
struct outcome {
	const char *text; /* NULL: none more */
	unsigned needs, lacks;
};

/* What may happen to a job, and its outcome: the first that fits the kind. Where none does, it does not happen. */
static const struct {
	const char *what;
	struct outcome outcomes[4];
} failures[] = {
	{ "it calls `tz_fail(code, ...)`", { { "FAILED, the code and the message", 0, 0 } } },
	{ "a C++ exception leaves it", { { "FAILED, `-EPROTO`, its `what()`", 0, 0 } } },
	{ "the library makes a failure up",
	  { { "FAILED, `-EIO`, \"chaos\"; it has not run", TZ_CAN_INJECT, 0 } } },
	{ "it is cancelled before it began",
	  { { "CANCELLED, `-ECANCELED`", TZ_CAN_CANCEL_PENDING, 0 } } },
	{ "it is cancelled while it runs, sees it and fails with `-ECANCELED`",
	  { { "CANCELLED, `-ECANCELED`", 0, 0 } } },
	{ "it is cancelled while it runs and returns",
	  { { "OK: a result beats a cancel", 0, 0 } } },
	{ "it is cancelled while it runs and does not look",
	  { { "as it ends; with the option `kill`: CANCELLED, `-ECANCELED`, and its worker is replaced", TZ_CAN_KILL, 0 },
	    { "as it ends: nobody stops it", 0, 0 } } },
	{ "its deadline passes before it began", { { "TIMED_OUT, `-ETIMEDOUT`", 0, 0 } } },
	{ "its deadline passes while it runs and it does not look",
	  { { "TIMED_OUT, `-ETIMEDOUT`; its worker is replaced", TZ_CAN_KILL, 0 },
	    { "as it ends: nobody stops it, and its loop stands still meanwhile", TZ_CAN_SUSPEND,
	      0 },
	    { "as it ends: nobody stops it", 0, 0 } } },
	{ "it calls `pthread_exit`",
	  { { "CRASHED, `-ECANCELED`; the caller's thread ends", TZ_CAN_RUN_AT_SUBMIT, 0 },
	    { "CRASHED, `-ECANCELED`; its thread goes on", TZ_CAN_SUSPEND, 0 },
	    { "CRASHED, `-ECANCELED`; its worker is replaced", 0, 0 } } },
	{ "a job that it waits for runs on its stack, and calls `pthread_exit`",
	  { { "CRASHED, `-ECANCELED`, with the name of that job", 0, TZ_CAN_SUSPEND } } },
	{ "a signal kills it (SIGSEGV, abort)",
	  { { "CRASHED, with the signal; its worker is replaced", TZ_CAN_SURVIVE_CRASH, 0 },
	    { "the process ends", 0, 0 } } },
	{ "its worker is killed from outside (`tz_executor_kill_workers`, the kernel for want of memory)",
	  { { "CRASHED, SIGKILL; its worker is replaced", TZ_CAN_SURVIVE_CRASH, 0 } } },
	{ "an argument is a pointer that is not to shared memory, or a struct that is not declared",
	  { { "it sees the caller's memory", TZ_CAN_SHARE_MEMORY, 0 },
	    { "FAILED, `-ENOTSUP`, with the argument's number and type", 0, 0 } } },
	{ "its stack overflows",
	  { { "CRASHED, with the signal; its worker is replaced", TZ_CAN_SURVIVE_CRASH, 0 },
	    { "the process ends, after a report that names it", TZ_CAN_SUSPEND, 0 },
	    { "the process ends", 0, 0 } } },
	{ "it calls `exit`",
	  { { "CRASHED; its worker is replaced", TZ_CAN_SURVIVE_CRASH, 0 },
	    { "the process ends", 0, 0 } } },
	{ "the executor is shut down before it began",
	  { { "OK after `TZ_DRAIN`; else CANCELLED, `-ECANCELED`", TZ_CAN_CANCEL_PENDING, 0 } } },
	{ "it is submitted after a shutdown", { { "FAILED, `-ESHUTDOWN`", 0, 0 } } },
	{ "it is to start later (`start`)",
	  { { "pending until then", TZ_CAN_START_LATER, 0 }, { "FAILED, `-ENOTSUP`", 0, 0 } } },
	{ "the queue is full (`TZ_FULL_FAIL`)",
	  { { "FAILED, `-EAGAIN`", TZ_CAN_LIMIT_QUEUE, 0 } } },
	{ "the scope ends the wait for room in the queue",
	  { { "TIMED_OUT or CANCELLED", TZ_CAN_LIMIT_QUEUE, 0 } } },
	{ "an initializer failed",
	  { { "FAILED, the initializer's code; so do all others", TZ_CAN_INITIALIZE, 0 } } },
	{ "there is no memory for it", { { "FAILED, `-ENOMEM`", 0, 0 } } },
	{ "the process forks: its future in the child",
	  { { "LOST, `-EOWNERDEAD`, unless it had ended", 0, 0 } } },
};

static const struct {
	const char *name, *example, *means;
} options[] = {
	{ "workers", "workers=1", "the most workers that run jobs; a bare number means this" },
	{ "min", "min=1", "workers that stay when idle" },
	{ "idle", "idle=0.5", "seconds without a job after which the others end" },
	{ "name", "name=x", "workers are called x-0, x-1, ..." },
	{ "stack", "stack=256k", "bytes of a worker's stack, or of a coroutine's" },
	{ "spares", "spares=1", "the most extra workers that stand in for blocked ones" },
	{ "queue", "queue=1", "the most jobs that wait" },
	{ "full", "full=fail", "what a submit does then: block, fail, caller" },
	{ "seed", "seed=1", "of all that is random" },
	{ "delay", "delay=0.1", "the longest delay that is made up, in seconds" },
	{ "fail", "fail=0.1", "the share of jobs that fail without having run" },
	{ "grace", "grace=0.1",
	  "real seconds that nothing must have happened for before time jumps" },
	{ "start", "start=spawn", "how workers are started: fork, spawn or forkserver" },
	{ "max_tasks", "max_tasks=1", "jobs after which a worker is replaced" },
	{ "memory", "memory=64m", "bytes of resident memory more than at first, after which it is" },
	{ "kill_grace", "kill_grace=0.1", "seconds that a job has after its deadline before its worker is killed" },
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

static const char *outcome_of(const struct outcome *outcomes, unsigned can)
{
	for (; outcomes->text; outcomes++)
		if ((can & outcomes->needs) == outcomes->needs && !(can & outcomes->lacks))
			return outcomes->text;
	return "-";
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
		for (int k = 0; k < nkinds; k++)
			fprintf(to, " %s |",
				outcome_of(failures[i].outcomes, kinds[k]->capabilities));
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
