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

/* What a start carries, and the kernel tells in the same place. */
struct tz_manners {
	bool known; /* else it tells nothing: there is no /proc */
	int umask; /* -1: cannot be known */
	uint64_t ignored; /* bit n - 1: signal n */
};

/* Reads both. 0, or a negative errno code: there is no descriptor to be had. */
int tz_standing_read(struct tz_standing *ret, struct tz_manners *ret_manners);

bool tz_standing_same(const struct tz_standing *a, const struct tz_standing *b);

#endif
