/* What tests of what travels to processes have in common: an executor of two workers, and how they ended. */
#ifndef TRENZA_TESTS_TRAVEL_H
#define TRENZA_TESTS_TRAVEL_H

#include <fcntl.h>
#include <string.h>
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

/* Whether one of our descriptors stands for that process. */
static inline bool have_pidfd_of(int pid)
{
	DIR *dir = opendir("/proc/self/fdinfo");
	char wanted[32], text[512];
	bool found = false;

	assert_non_null(dir);
	(void)snprintf(wanted, sizeof wanted, "\nPid:\t%d\n", pid);
	for (struct dirent *e; !found && (e = readdir(dir));) {
		int fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

		text[n > 0 ? n : 0] = '\0';
		found = strstr(text, wanted) != NULL;
		if (fd >= 0)
			(void)close(fd);
	}
	(void)closedir(dir);
	return found;
}

/* One worker, which has run, and of which we have all descriptors: that it was born may be told later than its first result. */
static inline tz_executor *open_alone(void)
{
	tz_deadline end = tz_after(20);
	tz_executor *alone;
	int pid;

	assert_int_equal(tz_executor_open(&alone, "processes:1"), 0);
	check_done(tz_result(tz_submit(alone, process), &pid), "process");
	while (!have_pidfd_of(pid)) {
		assert_false(tz_expired(end));
		(void)tz_sleep(0.001);
	}
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
	if (open_descriptors() > most)
		tell_descriptors();
	assert_in_range(open_descriptors(), 0, most);
}

#endif
