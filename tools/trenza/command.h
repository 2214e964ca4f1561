/* command.h: the subcommands of trenza. */
#ifndef TRENZA_TOOL_COMMAND_H
#define TRENZA_TOOL_COMMAND_H

/* How trenza ends. A run that was stopped by a signal ends by that signal. */
enum {
	COMMAND_DONE = 0,
	COMMAND_FAILED = 1, /* the work was done, and some of it failed */
	COMMAND_USAGE = 2, /* it was not begun: a wrong option, a file that cannot be read */
};

/* Each takes its own name as argv[0] and answers the exit status. */
int command_fetch(int argc, char *argv[]);
int command_demo(int argc, char *argv[]);

/* Prints "trenza: " and the message to the standard error and answers COMMAND_USAGE. */
int command_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends what the commands share: flushes the output and minds a reader who left, or a wish to
   stop. */
int command_end(int status);

#endif
