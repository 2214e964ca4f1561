/* How much memory there is. See memory.h.
 *
 * Design notes. Of a control group only the limit counts, not what it has used: most of that is files, which the kernel drops when memory is wanted. So this is
 * a bound that never refuses what could be had. It is for refusing what could not: the kernel allocates the pages of a file without looking ahead, and what it
 * does when it runs out is to kill a process.
 */
#include "os/memory.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t of_machine(const char *root)
{
	char name[PATH_MAX], line[128];
	unsigned long long available = 0, swap = 0;
	int found = 0;

	(void)snprintf(name, sizeof name, "%s/proc/meminfo", root);
	FILE *f = fopen(name, "re");

	if (!f)
		return UINT64_MAX;
	while (fgets(line, sizeof line, f))
		found += sscanf(line, "MemAvailable: %llu kB", &available) + sscanf(line, "SwapFree: %llu kB", &swap);
	(void)fclose(f);
	return found > 0 ? (available + swap) * 1024 : UINT64_MAX;
}

/* The limit that a file holds; none if there is no such file, or it says "max". */
static uint64_t limit_in(const char *root, const char *place, const char *group, const char *file)
{
	char name[PATH_MAX];
	unsigned long long limit;

	if ((size_t)snprintf(name, sizeof name, "%s%s%s/%s", root, place, group, file) >= sizeof name)
		return UINT64_MAX;
	FILE *f = fopen(name, "re");

	if (!f)
		return UINT64_MAX;
	int n = fscanf(f, "%llu", &limit);

	(void)fclose(f);
	return n == 1 ? limit : UINT64_MAX;
}

/* Of a group and all above it. In a container the path may be that of the host, and the group lies at the top. */
static uint64_t limit_upwards(const char *root, const char *place, char *group, const char *file)
{
	uint64_t least = limit_in(root, place, "", file);

	for (char *end; *group; *end = '\0') {
		least = smaller(least, limit_in(root, place, group, file));
		end = strrchr(group, '/');
		if (!end)
			break;
	}
	return least;
}

static uint64_t of_group(const char *root)
{
	char name[PATH_MAX], line[PATH_MAX];
	uint64_t least = UINT64_MAX;

	(void)snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
	FILE *f = fopen(name, "re");

	if (!f)
		return UINT64_MAX;
	while (fgets(line, sizeof line, f)) {
		char *group = strstr(line, ":memory:");

		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			least = smaller(least, limit_upwards(root, "/sys/fs/cgroup", line + 3, "memory.max"));
		else if (group)
			least = smaller(least, limit_upwards(root, "/sys/fs/cgroup/memory", group + 8, "memory.limit_in_bytes"));
	}
	(void)fclose(f);
	return least;
}

uint64_t tz_memory_available(const char *root)
{
	return smaller(of_machine(root), of_group(root));
}
