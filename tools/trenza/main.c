/* main.c: the command trenza, which finds its subcommand. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <libxml/parser.h>

#include <trenza.h>

#include "command.h"
#include "stop.h"
#include "text.h"

static const char help[] =
	"usage: trenza COMMAND [OPTION]... [ARGUMENT]...\n"
	"\n"
	"Runs one plain function for many arguments, on the executor that you name.\n"
	"\n"
	"  trenza fetch URL...   fetch pages and print their headings\n"
	"  trenza demo           see what that gains, on a small site that it brings along\n"
	"\n"
	"  trenza COMMAND --help   the options of a command\n"
	"  trenza --version\n";

static const struct {
	const char *name;
	int (*run)(int argc, char *argv[]);
} commands[] = {
	{ "fetch", command_fetch },
#ifdef TRENZA_WITH_DEMO
	{ "demo", command_demo },
#endif
};

int command_wrong(const char *format, ...)
{
	va_list args;

	fputs("trenza: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return COMMAND_USAGE;
}

int command_end(int status)
{
	if (fflush(stdout) < 0)
		stop_now(-errno);
	if (stop_asked() > 0)
		stop_die(stop_asked());
	if (stop_asked() == -EPIPE) /* the reader has left, as `head` does: no reason to complain */
		stop_die(SIGPIPE);
	if (stop_asked() < 0) {
		command_wrong("cannot write the output: %s", strerror(-stop_asked()));
		return COMMAND_FAILED;
	}
	return status;
}

static int print_version(void)
{
	printf("trenza %s (library %d.%d.%d, %s)\n", TEXT_VERSION, tz_version() / 1000000,
	       tz_version() / 1000 % 1000, tz_version() % 1000, curl_version());
	return command_end(COMMAND_DONE);
}

static int run_command(int argc, char *argv[])
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, argv[0]) == 0)
			return commands[i].run(argc, argv);
	command_wrong("there is no command '%s'", argv[0]);
	fputs(help, stderr);
	return COMMAND_USAGE;
}

int main(int argc, char *argv[])
{
	setlocale(LC_CTYPE, "");
	/* Whole lines and whole pictures, not characters. */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	/* A reader who leaves is met where we write; a server that leaves must not end us. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		fputs(help, stderr);
		return COMMAND_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		fputs(help, stdout);
		return command_end(COMMAND_DONE);
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return print_version();
	/* Now, before there are other threads; in a process that fetches, fetch_page does it. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return command_wrong("libcurl cannot be used here");
	xmlInitParser();
	return run_command(argc - 1, argv + 1);
}
