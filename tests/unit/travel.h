/* What tests of what travels to processes have in common: an executor of two workers, and how they ended. */
#ifndef TRENZA_TESTS_TRAVEL_H
#define TRENZA_TESTS_TRAVEL_H

#include <sys/mman.h>
#include <unistd.h>

#include <trenza.h>

#include "../descriptors.h"
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

/* One worker, which has run. */
static inline tz_executor *open_alone(void)
{
	tz_executor *alone;
	int pid;

	assert_int_equal(tz_executor_open(&alone, "processes:1"), 0);
	check_done(tz_result(tz_submit(alone, process), &pid), "process");
	return alone;
}

static inline bool is_mapped(const void *p)
{
	unsigned char there;

	return mincore((void *)((uintptr_t)p / 4096 * 4096), 1, &there) == 0;
}

/* What others close meanwhile is closed soon. */
static inline void check_descriptors(int most)
{
	tz_deadline end = tz_after(20);

	while (open_descriptors() > most && !tz_expired(end))
		(void)tz_sleep(0.001);
	assert_in_range(open_descriptors(), 0, most);
}

#endif
