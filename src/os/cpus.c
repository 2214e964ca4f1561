/* Counting processors: the machine's, the affinity mask's, the control group's quota.
 *
 * Design notes
 *
 * A quota may be set at any level of the control group tree, and the tightest one counts; so every directory from the process's own group up
 * to the root of the mount is read. Where the group's directory lies is put together from two files:
 *
 *   /proc/self/cgroup      "0::/a/b" (v2), "4:cpu,cpuacct:/a/b" (v1): the path of our group in a hierarchy
 *   /proc/self/mountinfo   where that hierarchy is mounted, and which of its directories the mount shows as its root
 *
 * In a container the mount may show a subtree: the part of our path before the mount's root is cut off; a path that does not begin with it
 * (another namespace's) is taken for the mount's root itself. Weights and shares limit nothing while processors are idle, so they are not read.
 * Whatever cannot be read or understood limits nothing.
 */
#include "os/cpus.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza/cpu.h>

enum { FIRST_MASK = 1024, LARGEST_MASK = 1 << 20 };

/* --- numbers --------------------------------------------------------------------------------------------------------- */

double tz_cpus_parse_v1(const char *quota_us, const char *period_us)
{
	long long quota = strtoll(quota_us, NULL, 10), period = strtoll(period_us, NULL, 10);

	return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

double tz_cpus_parse_max(const char *text)
{
	char *end;
	long long quota = strtoll(text, &end, 10);

	if (end == text || quota <= 0)
		return 0; /* "max" */
	long long period = strtoll(end, NULL, 10);

	return (double)quota / (double)(period > 0 ? period : 100000);
}

/* The smaller of two quotas, where 0 is none. */
static double tighter(double a, double b)
{
	return a > 0 && (b <= 0 || a < b) ? a : b;
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

static bool read_text(const char *root, const char *dir, const char *name, char *buf, size_t n)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof path, "%s%s/%s", root, dir, name);
	FILE *f = len > 0 && (size_t)len < sizeof path ? fopen(path, "re") : NULL;

	if (!f)
		return false;
	size_t got = fread(buf, 1, n - 1, f);

	buf[got] = '\0';
	(void)fclose(f);
	return got > 0;
}

static double quota_of_directory(const char *root, const char *dir, bool v2)
{
	char quota[64], period[64];

	if (v2)
		return read_text(root, dir, "cpu.max", quota, sizeof quota)
			       ? tz_cpus_parse_max(quota)
			       : 0;
	if (!read_text(root, dir, "cpu.cfs_quota_us", quota, sizeof quota) ||
	    !read_text(root, dir, "cpu.cfs_period_us", period, sizeof period))
		return 0;
	return tz_cpus_parse_v1(quota, period);
}

/* The tightest quota of dir and of what is above it, down to the first `top` characters of dir. */
static double quota_upwards(const char *root, char *dir, size_t top, bool v2)
{
	double quota = 0;

	for (;;) {
		quota = tighter(quota_of_directory(root, dir, v2), quota);
		char *slash = strrchr(dir, '/');

		if (!slash || strlen(dir) <= top)
			return quota;
		*slash = '\0';
		if (strlen(dir) < top)
			return quota;
	}
}

/* Whether a word is in a comma-separated list. */
static bool listed(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, word, n) == 0 && (at[n] == ',' || at[n] == '\0'))
			return true;
	}
	return false;
}

/* The path of our group: of the v2 hierarchy, or of the v1 hierarchy with the controller `cpu`. */
static bool find_group(const char *root, bool v2, char *path, size_t n)
{
	char name[PATH_MAX], *line = NULL;
	size_t room = 0;
	bool found = false;

	(void)snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
	FILE *f = fopen(name, "re");

	if (!f)
		return false;
	while (!found && getline(&line, &room, f) > 0) {
		char *controllers = strchr(line, ':'),
		     *group = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!group)
			continue;
		*group++ = '\0';
		controllers++;
		group[strcspn(group, "\n")] = '\0';
		if (v2 ? *controllers == '\0' : listed(controllers, "cpu")) {
			int len = snprintf(path, n, "%s", group);

			found = len > 0 && (size_t)len < n;
		}
	}
	free(line);
	(void)fclose(f);
	return found;
}

/* mountinfo writes blanks and backslashes in paths as three octal digits. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* One line of mountinfo: id parent major:minor ROOT POINT options [optional...] - TYPE source SUPEROPTIONS */
struct mount {
	char *root, *point, *type, *options;
};

static bool parse_mount(char *line, struct mount *m)
{
	char *fields[6], *rest = NULL, *tail = strstr(line, " - ");

	if (!tail)
		return false;
	*tail = '\0';
	tail += 3;
	fields[0] = strtok_r(line, " ", &rest);
	for (int i = 1; i < 6; i++)
		fields[i] = fields[i - 1] ? strtok_r(NULL, " ", &rest) : NULL;
	m->root = fields[3];
	m->point = fields[4];
	m->type = strtok_r(tail, " ", &rest);
	(void)strtok_r(NULL, " ", &rest);
	m->options = strtok_r(NULL, " \n", &rest);
	if (!fields[5] || !m->options)
		return false;
	unescape(m->root);
	unescape(m->point);
	return true;
}

/* The directory in which a mount shows a group. Returns the length of the mount point in it, or 0. */
static size_t directory_of(const struct mount *m, const char *group, char *dir, size_t n)
{
	size_t shown = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);
	const char *below =
		strncmp(group, m->root, shown) == 0 && (group[shown] == '/' || group[shown] == '\0')
			? group + shown
			: "";

	if (strcmp(below, "/") == 0 || strncmp(below, "/..", 3) == 0)
		below = "";
	int len = snprintf(dir, n, "%s%s", m->point, below);

	return len > 0 && (size_t)len < n ? strlen(m->point) : 0;
}

static double quota_of_mount(const char *root, const struct mount *m)
{
	char group[PATH_MAX], dir[PATH_MAX];
	bool v2 = strcmp(m->type, "cgroup2") == 0;

	if (!v2 && (strcmp(m->type, "cgroup") != 0 || !listed(m->options, "cpu")))
		return 0;
	if (!find_group(root, v2, group, sizeof group))
		return 0;
	size_t top = directory_of(m, group, dir, sizeof dir);

	return top ? quota_upwards(root, dir, top, v2) : 0;
}

double tz_cpus_quota(const char *root)
{
	char name[PATH_MAX], *line = NULL;
	size_t room = 0;
	double quota = 0;

	(void)snprintf(name, sizeof name, "%s/proc/self/mountinfo", root);
	FILE *f = fopen(name, "re");

	if (!f)
		return 0;
	while (getline(&line, &room, f) > 0) {
		struct mount m;

		if (parse_mount(line, &m))
			quota = tighter(quota_of_mount(root, &m), quota);
	}
	free(line);
	(void)fclose(f);
	return quota;
}

/* --- counting ---------------------------------------------------------------------------------------------------------- */

int tz_cpus_affinity(pid_t thread)
{
	/* The kernel refuses a mask with fewer bits than it has processors, which may be more than the 1024 of cpu_set_t. */
	for (size_t bits = FIRST_MASK; bits <= LARGEST_MASK; bits *= 2) {
		cpu_set_t *set = CPU_ALLOC(bits);

		if (!set)
			return 0;
		int r = sched_getaffinity(thread, CPU_ALLOC_SIZE(bits), set), error = errno;
		int n = r == 0 ? CPU_COUNT_S(CPU_ALLOC_SIZE(bits), set) : 0;

		CPU_FREE(set);
		if (r == 0 || error != EINVAL)
			return n;
	}
	return 0;
}

int tz_cpus_usable(int allowed, double quota)
{
	int n = allowed > 0 ? allowed : tz_cpu_count();

	if (quota > 0 && quota < n) {
		n = (int)quota;
		n += n < quota; /* a fraction counts as a whole one */
	}
	return n > 0 ? n : 1;
}

int tz_cpu_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (int)n : 1;
}

double tz_cpu_quota(void)
{
	return tz_cpus_quota("");
}

int tz_usable_cpus(void)
{
	return tz_cpus_usable(tz_cpus_affinity(0), tz_cpu_quota());
}
