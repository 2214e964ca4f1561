/* Counting processors: control groups as files in a directory of their own. */
#define _XOPEN_SOURCE 700

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <trenza/cpu.h>

#include "os/cpus.h"

struct file {
	const char *path, *text;
};

enum { FILES = 8 };

struct machine {
	const char *title;
	double quota;
	struct file files[FILES];
};

#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT \
	"33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"

static const struct machine machines[] = {
	{ "no files at all", 0, { { NULL, NULL } } },
	{ "v2: two processors",
	  2,
	  { { "proc/self/cgroup", "0::/user.slice\n" },
	    { "proc/self/mountinfo", V2_MOUNT },
	    { "sys/fs/cgroup/user.slice/cpu.max", "200000 100000\n" } } },
	{ "v2: one and a half",
	  1.5,
	  { { "proc/self/cgroup", "0::/a\n" },
	    { "proc/self/mountinfo", V2_MOUNT },
	    { "sys/fs/cgroup/a/cpu.max", "150000 100000\n" } } },
	{ "v2: max is none",
	  0,
	  { { "proc/self/cgroup", "0::/a\n" },
	    { "proc/self/mountinfo", V2_MOUNT },
	    { "sys/fs/cgroup/a/cpu.max", "max 100000\n" } } },
	{ "v2: the grandparent is the tightest",
	  1,
	  { { "proc/self/cgroup", "0::/a/b/c\n" },
	    { "proc/self/mountinfo", V2_MOUNT },
	    { "sys/fs/cgroup/a/cpu.max", "50000 50000\n" },
	    { "sys/fs/cgroup/a/b/cpu.max", "max 100000\n" },
	    { "sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n" } } },
	{ "v2: a quota at the mount point itself",
	  3,
	  { { "proc/self/cgroup", "0::/\n" },
	    { "proc/self/mountinfo", V2_MOUNT },
	    { "sys/fs/cgroup/cpu.max", "300000 100000\n" } } },
	{ "v2: a sibling whose name begins alike does not count",
	  0,
	  { { "proc/self/cgroup", "0::/ab\n" },
	    { "proc/self/mountinfo", V2_MOUNT },
	    { "sys/fs/cgroup/a/cpu.max", "100000 100000\n" } } },
	{ "v2: a container that sees its own group as the root",
	  2,
	  { { "proc/self/cgroup", "0::/docker/abc\n" },
	    { "proc/self/mountinfo",
	      "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n" },
	    { "sys/fs/cgroup/cpu.max", "200000 100000\n" } } },
	{ "v2: a group of another namespace",
	  2,
	  { { "proc/self/cgroup", "0::/../other\n" },
	    { "proc/self/mountinfo", V2_MOUNT },
	    { "sys/fs/cgroup/cpu.max", "200000 100000\n" } } },
	{ "v2: a mount point with a blank",
	  2,
	  { { "proc/self/cgroup", "0::/a\n" },
	    { "proc/self/mountinfo",
	      "30 23 0:26 / /mnt/control\\040groups rw - cgroup2 cgroup rw\n" },
	    { "mnt/control groups/a/cpu.max", "200000 100000\n" } } },
	{ "v1: a quota",
	  0.5,
	  { { "proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/docker/x\n" },
	    { "proc/self/mountinfo", V1_MOUNT },
	    { "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "50000\n" },
	    { "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n" } } },
	{ "v1: -1 is none",
	  0,
	  { { "proc/self/cgroup", "4:cpu,cpuacct:/\n" },
	    { "proc/self/mountinfo", V1_MOUNT },
	    { "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n" },
	    { "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n" } } },
	{ "v1: cpuset is not cpu",
	  0,
	  { { "proc/self/cgroup", "3:cpuset:/x\n2:cpuacct:/x\n" },
	    { "proc/self/mountinfo", V1_MOUNT },
	    { "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "100000\n" },
	    { "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n" } } },
	{ "both: the tighter one counts",
	  1,
	  { { "proc/self/cgroup", "4:cpu,cpuacct:/x\n0::/y\n" },
	    { "proc/self/mountinfo", V1_MOUNT V2_MOUNT },
	    { "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "200000\n" },
	    { "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n" },
	    { "sys/fs/cgroup/y/cpu.max", "100000 100000\n" } } },
	{ "nonsense limits nothing",
	  0,
	  { { "proc/self/cgroup", "\n::\nabc\n0::/a\n" },
	    { "proc/self/mountinfo", "\nx\n - \n30 23 - cgroup2\n" V2_MOUNT },
	    { "sys/fs/cgroup/a/cpu.max", "-7 0\n" } } },
};

static char root[] = "/tmp/trenza-cpus-XXXXXX";

/* Writes one file under the root, and the directories above it. */
static void put(const char *machine, const struct file *file)
{
	char path[4096];
	int len = snprintf(path, sizeof path, "%s/%s/%s", root, machine, file->path);

	assert_true(len > 0 && (size_t)len < sizeof path);
	for (char *slash = path + sizeof root; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(file->text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void finds_the_quota(void **state)
{
	const struct machine *m = *state;
	char number[32], where[128];

	(void)snprintf(number, sizeof number, "%td", m - machines);
	for (const struct file *f = m->files; f->path; f++)
		put(number, f);
	(void)snprintf(where, sizeof where, "%s/%s", root, number);
	assert_true(tz_cpus_quota(where) == m->quota);
}

static void rounds_a_fraction_up(void **state)
{
	(void)state;
	assert_int_equal(tz_cpus_usable(8, 0), 8);
	assert_int_equal(tz_cpus_usable(8, 1.5), 2);
	assert_int_equal(tz_cpus_usable(8, 2), 2);
	assert_int_equal(tz_cpus_usable(8, 0.1), 1);
	assert_int_equal(tz_cpus_usable(2, 20), 2);
	assert_true(tz_cpus_usable(0, 0) >= 1);
}

static void agrees_with_the_machine(void **state)
{
	(void)state;
	assert_true(tz_cpus_affinity(0) >= 1);
	assert_true(tz_cpu_count() >= 1);
	assert_in_range(tz_usable_cpus(), 1, tz_cpus_affinity(0));
	assert_true(tz_cpu_quota() >= 0);
}

static int remove_root(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

enum { MACHINES = sizeof machines / sizeof *machines };

int main(void)
{
	struct CMUnitTest tests[MACHINES + 2];

	if (!mkdtemp(root))
		return 1;
	for (size_t i = 0; i < MACHINES; i++)
		tests[i] = (struct CMUnitTest){ machines[i].title, finds_the_quota, NULL, NULL,
						(void *)(uintptr_t)&machines[i] };
	tests[MACHINES] = (struct CMUnitTest)cmocka_unit_test(rounds_a_fraction_up);
	tests[MACHINES + 1] = (struct CMUnitTest)cmocka_unit_test(agrees_with_the_machine);
	return cmocka_run_group_tests_name("cpus", tests, NULL, remove_root);
}
