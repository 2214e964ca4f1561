/* The standing of a process: what of it a nursery shares with the application, and no start can carry. When it has changed, a new nursery is needed. */
#ifndef TZ_PROCESS_STANDING_H
#define TZ_PROCESS_STANDING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tz_standing {
	uint64_t credentials; /* a hash over user, group, capabilities, no-new-privileges, seccomp, of the calling thread */
	dev_t root_device;
	ino_t root_inode;
	pid_t session;
};

/* Reads it, and the umask (-1: cannot be known), which the kernel tells in the same place. 0, or a negative errno code: there is no descriptor to be had. */
int tz_standing_read(struct tz_standing *ret, int *ret_umask);

bool tz_standing_same(const struct tz_standing *a, const struct tz_standing *b);

#endif
