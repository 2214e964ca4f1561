/* How many processors there are, and how many this process may use. */
#ifndef TRENZA_CPU_H
#define TRENZA_CPU_H

#include <trenza/base.h>

TZ_BEGIN_DECLS

/* tz_cpu_count - the number of processors of the machine that are online; at least 1.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_cpu_count(void);

/* tz_usable_cpus - the number of processors that this process can keep busy; at least 1.
 *
 * The smaller of the calling thread's affinity mask and the CPU quota of its control group and of every ancestor (cgroup v1 and v2),
 * a fraction of a processor rounded up. This is the default size of an executor. Weights and requests, which limit nothing, do not count.
 *
 * Ownership: none.
 * Threads: any; reads /proc and /sys each time.
 * Errors: none; what cannot be read limits nothing. */
TZ_API int tz_usable_cpus(void);

/* tz_cpu_quota - the tightest CPU quota as a number of processors (1.5 is 150 ms in each 100 ms); 0 if there is none.
 *
 * Ownership: none.
 * Threads: any; reads /proc and /sys each time.
 * Errors: none; what cannot be read limits nothing. */
TZ_API double tz_cpu_quota(void);

TZ_END_DECLS

#endif
