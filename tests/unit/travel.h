/* What tests of what travels to processes have in common: an executor of two workers, and how they ended. */
#ifndef TRENZA_TESTS_TRAVEL_H
#define TRENZA_TESTS_TRAVEL_H

#include <unistd.h>

#include <trenza.h>

#include "check.h"

static tz_executor *ex;

static int open_executor(void **state)
{
	(void)state;
	return tz_executor_open(&ex, "processes:2");
}

static int close_executor(void **state)
{
	(void)state;
	tz_executor_close(ex);
	return 0;
}

static void check_done(int r, const char *what)
{
	if (r < 0)
		fail_msg("%s: %s", what, tz_last()->message);
}

static int process(void)
{
	return (int)getpid();
}
TZ_TASK(int, process, void);

#endif
