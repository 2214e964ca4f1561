/* The request: what the application asks of its nursery, and what a child needs in order to become what was asked for. One message, with descriptors.
 *
 * Design notes. The message is one block of bytes without pointers. It is up to REQUEST_INLINE bytes long; a longer one lies in a file without a name,
 * which is the first descriptor, and the message is its head only. The child keeps the block for its life: its environment and its birth point into it.
 * Both sides are the same build of the same program, and the socket is nobody else's, so what is checked on reading is only what guards
 * against a message that was cut.
 */
#ifndef TZ_PROCESS_REQUEST_H
#define TZ_PROCESS_REQUEST_H

#include <sched.h>

#include "process/child.h"
#include "process/standing.h"

enum {
	REQUEST_MAGIC = 0x545a5231,
	REQUEST_INLINE = 60 << 10,
	REQUEST_FDS = TZ_CHILD_FDS_MAX + 5
};

enum request_flags {
	REQUEST_IN_FILE = 1, /* the first descriptor holds the block */
	REQUEST_IN = 2, /* descriptors for 0, 1, 2 come along; else /dev/null */
	REQUEST_OUT = 4,
	REQUEST_ERR = 8,
	REQUEST_CWD = 16, /* one for the working directory comes along */
	REQUEST_DAEMON = 32,
	REQUEST_MAY_START = 64,
	REQUEST_OWN_GROUP = 128
};

/* The head. The descriptors come in this order: file, cwd, in, out, err, fds, keep. Offsets are from the head's beginning. */
struct tz_request {
	uint32_t magic, flags;
	uint64_t id;
	uint64_t size; /* of the whole block */
	uint32_t method, entry;
	int32_t parent, group, umask; /* umask -1: as it is */
	uint32_t nfds, nkeep, nlimits, nenv, cpus_size;
	uint64_t ignored; /* bit n - 1: signal n */
	/* What the application has found out of the machine, if it has: each child would have to, too. */
	uint64_t ticks_per_us;
	uint32_t quota; /* an enum tz_spin_quota */
	uint32_t unused;
	uint64_t name, keep, limits, cpus, env, blob, blob_size;
};

/* A request and its descriptors, ready to be sent. `manners`: NULL for a fork. 0 or a negative errno code. */
struct tz_request_message {
	struct tz_request *block;
	int fds[REQUEST_FDS], nfds;
	int file, cwd; /* what is to be closed, or -1 */
};
int tz_request_make(struct tz_request_message *ret, const struct tz_child_start *start, uint64_t id, const struct tz_manners *manners);
void tz_request_free(struct tz_request_message *m);

int tz_request_send(const struct tz_request_message *m, int socket);

/* Whether a block that came is one. `size`: how much of it there is. */
bool tz_request_is_whole(const struct tz_request *r, size_t size);

/* In the child: becomes what the request says, but for the environment and the limits. fds are those that came along, without the file; *socket (-1: none) gets another number if it
 * is in the way. `ignored`: the signals that this process ignores. ret_birth's descriptors lie in fds. 0 or a negative errno code. */
int tz_request_apply(struct tz_request *r, int *fds, int nfds, int *socket, uint64_t ignored, struct tz_birth *ret_birth);

/* Sets the limits, which is to be the last: they count for all that is done then. 0 or a negative errno code. */
int tz_request_limit(struct tz_request *r);

/* The signals that this process ignores, as in tz_request.ignored. That takes a system call for each there is. */
uint64_t tz_request_ignored(void);

/* What of it is the child's birth; and takes over what the application knows of the machine. */
void tz_request_birth(struct tz_request *r, const int *fds, struct tz_birth *ret);

/* Whether the environment that the request brought is that one. */
bool tz_request_environment_is(const struct tz_request *r, char *const *env);

/* The environment that the request brought, with room for `more` entries in front, from malloc; NULL without memory. */
char **tz_request_environment(struct tz_request *r, size_t more);

#endif
