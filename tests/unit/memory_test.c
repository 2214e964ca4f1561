/* How much memory there is, on machines that are made of files. */
#define _GNU_SOURCE

#include "os/memory.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static char root[64];

static void put(const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof path, "%s%s", root, name);
	for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		(void)mkdir(path, 0700);
		*at = '/';
	}
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int make(void **state)
{
	(void)state;
	(void)strcpy(root, "/tmp/trenza-memory-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static int unmake(void **state)
{
	(void)state;
	return nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static void nothing_is_known(void **state)
{
	(void)state;
	assert_true(tz_memory_available(root) == UINT64_MAX);
}

static void the_machine(void **state)
{
	(void)state;
	put("/proc/meminfo", "MemTotal: 100 kB\nMemFree:  5 kB\nMemAvailable:   10 kB\nSwapTotal: 8 kB\nSwapFree:  2 kB\n");
	assert_true(tz_memory_available(root) == 12 * 1024);
}

static void version_2(void **state)
{
	(void)state;
	put("/proc/meminfo", "MemAvailable: 1000 kB\n");
	put("/proc/self/cgroup", "0::/a/b\n");
	put("/sys/fs/cgroup/a/b/memory.max", "max\n");
	assert_true(tz_memory_available(root) == 1000 * 1024);
	put("/sys/fs/cgroup/a/memory.max", "5000\n");
	assert_true(tz_memory_available(root) == 5000);
	put("/sys/fs/cgroup/a/b/memory.max", "4000\n");
	assert_true(tz_memory_available(root) == 4000);
}

static void version_1(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "3:cpu,cpuacct:/x\n4:memory:/a\n0::/\n");
	put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "7000\n");
	assert_true(tz_memory_available(root) == 7000);
}

static void here(void **state)
{
	(void)state;
	assert_true(tz_memory_available("") > 1 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_known, make, unmake),
		cmocka_unit_test_setup_teardown(the_machine, make, unmake),
		cmocka_unit_test_setup_teardown(version_2, make, unmake),
		cmocka_unit_test_setup_teardown(version_1, make, unmake),
		cmocka_unit_test(here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
