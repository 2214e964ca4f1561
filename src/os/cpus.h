/* How many processors there are, and how many may be used: what cpu.h says, with the places to look as arguments. */
#ifndef TZ_OS_CPUS_H
#define TZ_OS_CPUS_H

#include <stddef.h>
#include <sys/types.h>

/* The tightest quota of the calling process's control groups and all their ancestors, as a number of processors; 0: none.
 * `root` goes before every path that is opened ("" for the real one): a test gives a directory of fixtures. */
double tz_cpus_quota(const char *root);

/* One quota file: "200000 100000" or "max 100000" (cpu.max); 0: none, or not understood. */
double tz_cpus_parse_max(const char *text);

/* The two files of cgroup v1, whose quota is -1 for none. */
double tz_cpus_parse_v1(const char *quota_us, const char *period_us);

/* The number of processors in the affinity mask of a thread (0: the calling one); 0 if it cannot be read. */
int tz_cpus_affinity(pid_t thread);

/* The processors that `allowed` (0: not known) and a quota (0: none) leave to use; at least 1. */
int tz_cpus_usable(int allowed, double quota);

#endif
