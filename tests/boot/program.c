/* A program that is taken over. It starts a process by each method that its arguments name, or opens the executor that they describe, and prints what was said there, in one line,
 * after "main":
 *
 *   525         the constructor's 500 and the argument's 25: all constructors had run, and the argument came over
 *   525!...     and something was wrong with the environment, or the boot library was left open
 *   -N          an error of the start
 *   =N          how it ended, if it said nothing
 *
 * -DTASKS=1: only a library with the tasks; 2: only the program; 3: a plugin, that argument 1 names, has them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif
int run_by(const char *method, char *text, size_t size);
#ifdef __cplusplus
}
#endif

#if TASKS != 2 && TASKS != 3
#include <trenza.h>

static int base, early;

#ifdef __cplusplus
struct set {
	set()
	{
		base = 500;
	}
};
static set at_namespace_scope;
#else
__attribute__((constructor)) static void set(void)
{
	base = 500;
}
#endif

static void nothing(void)
{
}
TZ_TASK(void, nothing, void);

/* Nothing can be started while the program is being taken over, or it would never come to an end. */
__attribute__((constructor)) static void start_early(void)
{
	tz_process *p;

	if (!getenv("EARLY"))
		return;
	early = tz_process_open(&p, nothing);
	if (early == 0) {
		(void)tz_process_join(p);
		(void)tz_process_close(p);
	}
}

/* What is wrong in this process. */
static const char *wrong(void)
{
	const char *preload = getenv("LD_PRELOAD"), *wanted = getenv("PRELOAD");

	if (getenv("TRENZA_BOOT") || (wanted ? !preload || strcmp(preload, wanted) != 0 : preload && (strstr(preload, "trenza") || strstr(preload, "/fd/"))))
		return "!environment";
	for (int fd = 0; fd < 64; fd++) {
		char name[64], path[1024];

		(void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(name, path, sizeof path - 1);

		path[n > 0 ? n : 0] = '\0';
		if (strstr(path, "trenza-boot"))
			return "!descriptor";
	}
	return "";
}

static void speak(int fd, int x)
{
	char text[512];
	int n = snprintf(text, sizeof text, "%d%s", base + x + early, wrong());

	(void)!write(fd, text, (size_t)n);
}
TZ_TASK(void, speak, int, int);

static int answer(int x)
{
	return *wrong() ? -1 : base + x + early;
}
TZ_TASK(int, answer, int);

static int run_in(const char *spec, char *text, size_t size)
{
	tz_executor *pool;
	int said[8], x[8], e = tz_executor_open(&pool, spec);

	for (int i = 0; i < 8; i++)
		x[i] = 25;
	if (e == 0) {
		e = tz_map(pool, answer, 8, said, x);
		tz_executor_close(pool);
	}
	for (int i = 1; i < 8 && e == 0; i++)
		e = said[i] == said[0] ? 0 : -EBADMSG;
	(void)snprintf(text, size, "%d", e < 0 ? e : said[0]);
	return e;
}

int run_by(const char *method, char *text, size_t size)
{
	if (strchr(method, ':'))
		return run_in(method, text, size);

	tz_process_options o;
	tz_process *p;
	int fds[2], e, code = 0;

	memset(&o, 0, sizeof o);
	for (int m = TZ_START_FORK; m <= TZ_START_FORKSERVER; m++)
		if (strcmp(tz_start_method_name((tz_start_method)m), method) == 0)
			o.method = (tz_start_method)m;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	o.fds = &fds[1];
	o.nfds = 1;
	o.insist = true; /* sanitizers have threads of their own */
	e = tz_process_open_with(&p, &o, speak, fds[1], 25);
	(void)close(fds[1]);
	if (e == 0) {
		ssize_t n = read(fds[0], text, size - 1);

		text[n > 0 ? n : 0] = '\0';
		e = tz_process_join_until(p, tz_after(60));
		if (n <= 0) {
			tz_outcome how;

			tz_process_outcome(p, &how);
			(void)tz_process_exitcode(p, &code);
			(void)snprintf(text, size, "=%d (%s)", code, how.message);
		}
		tz_process_detach(p);
	}
	(void)close(fds[0]);
	if (e < 0)
		(void)snprintf(text, size, "%d", e);
	return 0;
}
#endif

#if TASKS != 1
int main(int argc, char **argv)
{
	int (*run)(const char *, char *, size_t) = NULL;
	int first = 1;

	if (getenv("REMOVE"))
		(void)unlink(argv[0]);
#if TASKS == 3
	void *plugin = dlopen(argv[first++], RTLD_NOW), *symbol = plugin ? dlsym(plugin, "run_by") : NULL;

	if (!symbol) {
		puts(dlerror());
		return 1;
	}
	memcpy(&run, &symbol, sizeof run);
#else
	run = run_by;
#endif
	printf("main");
	for (int i = first; i < argc; i++) {
		char text[512] = "";

		run(argv[i], text, sizeof text);
		printf(" %s", text);
	}
	puts("");
	return 0;
}
#endif
