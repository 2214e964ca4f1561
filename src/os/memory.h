/* How much memory there is to be had. */
#ifndef TZ_OS_MEMORY_H
#define TZ_OS_MEMORY_H

#include <stdint.h>

/* Bytes that could be allocated now, at the most: what the machine has free or can free (with swap), and what the limit of our control group allows a process
 * at all. UINT64_MAX: not known. `root`: "", or where a test has its own /proc and /sys. */
uint64_t tz_memory_available(const char *root);

#endif
