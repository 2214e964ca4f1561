/* Functions that may end their process: each is run in a child, and what that wrote to its standard error is looked at.
 * Include after defining _GNU_SOURCE.
 */
#ifndef TRENZA_TESTS_DYING_H
#define TRENZA_TESTS_DYING_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { DYING_SECONDS = 50 }; /* at the most, until it is dead */

static char output[16000]; /* of the last one */

/* Runs fn in a child; its standard error is in `output`, its end is returned. */
static inline int status_of_child(void (*fn)(void))
{
	int ends[2], status;
	size_t got = 0;
	pid_t child;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct rlimit none = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		for (int s = 1; s < 32; s++)
			(void)signal(s, SIG_DFL); /* cmocka has handlers */
		(void)dup2(ends[1], 2);
		alarm(DYING_SECONDS);
		fn();
		_exit(90);
	}
	close(ends[1]);
	for (ssize_t n; (n = read(ends[0], output + got, sizeof output - 1 - got)) > 0;)
		got += (size_t)n;
	output[got] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static inline void ends_by(int status, int sig)
{
	if (!WIFSIGNALED(status))
		print_message("# exit %d; output:\n%s\n", WEXITSTATUS(status), output);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), sig);
}

static inline void says(const char *text)
{
	if (!strstr(output, text))
		print_message("# missing \"%s\" in:\n%s\n", text, output);
	assert_non_null(strstr(output, text));
}

#endif
