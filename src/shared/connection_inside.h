/* A connection from the inside: what its source files share.
 *
 * Design notes
 *
 * Frames. A message is a length of 4 bytes, big-endian, and its bytes. The length -1 says that one of 8 bytes follows, for more than 2^31 - 1 bytes; -2,
 * which is ours alone, that the number of descriptors (4 bytes) and a length of 8 bytes follow.
 *
 * Locks. `sending` guards what goes out, `receiving` all of `in`. Nobody holds both. They are held over waits, so the wait for one obeys the scope as the
 * wait for the descriptor does.
 *
 * Descriptors come with the first byte of their frame, and the kernel ends a read behind the bytes that had some. The next read is made only when no whole
 * frame is left of the one before. So there is at most one group of descriptors that is not handed out, and it belongs to the frame that is the last one
 * read, or begins there; anything else is no peer of ours.
 *
 * Reading ahead. Frames that fit are read into `buf`, as many as there are; of a larger one, what does not lie there already is read to where it is to go:
 * the caller's memory, or a tz_buffer, `body`. A receive that ends early leaves in `in` all that it has got. Where other processes have handles on the same
 * end, nothing is read that is not being received, since it would be lost to them.
 *
 * Handles in values. A message with descriptors that holds a value ends in a `struct tz_ref` for each of them, so that the receiver knows what it is. Both ends are on the
 * same machine. What comes is not believed: memory has to be a file that cannot shrink (arena/segment.h), and a word in the value has to lie in what came.
 */
#ifndef TZ_SHARED_CONNECTION_INSIDE_H
#define TZ_SHARED_CONNECTION_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <trenza/lock.h>

#include "os/fds.h"
#include "shared/connection.h"

enum {
	FRAME_LONG = -1, /* instead of a length */
	FRAME_FDS = -2,
	HEAD_SHORT = 4,
	HEAD_LONG = 12,
	HEAD_FDS = 16,
	READ_AHEAD = 65536,
	SMALL_MAX = READ_AHEAD - HEAD_FDS /* larger messages do not go through the buffer */
};

enum tz_connection_ways {
	WAY_OUT = 1, /* it sends */
	WAY_IN = 2, /* it receives */
	WAY_SOCKET = 4, /* else a pipe */
	WAY_UNIX = 8, /* a unix socket: carries descriptors */
	WAY_HANDLES = 16 /* what comes in values may be handles */
};

/* What comes in. */
struct tz_incoming {
	unsigned char *buf; /* READ_AHEAD bytes, or NULL: nothing has been read yet */
	size_t begin, end; /* what of it is read and not handed out */
	bool headed; /* the next message's head has been taken from buf, and is: */
	uint64_t size; /* of its bytes */
	unsigned nfds; /* descriptors that come with it */
	unsigned char *body; /* a tz_buffer of `size` bytes that it is being read into, or NULL */
	size_t have; /* bytes in the body */
	uint32_t luck, unlucky; /* with spinning, and how often it was left alone */
	int error; /* how the stream has ended, for good, or 0 */
	bool lost; /* a group has come, and could not be opened here */
	int ngroup; /* descriptors that have come and are not handed out */
	int *group; /* room for TZ_FDS_MAX of them, or NULL */
};

struct tz_connection {
	int fd;
	uint32_t ways; /* enum tz_connection_ways */
	_Atomic size_t max_message; /* 0: of any size */
	tz_lock sending, receiving;
	bool exact; /* others receive here, too: do not read ahead */
	bool cut; /* a message was cut off: nothing goes out any more */
	struct tz_incoming in;
	void (*on_close)(void *arg);
	void *on_close_arg;
	struct tz_connection *next; /* in the register */
	uint32_t place; /* who frees it: see connection.c */
};

/* How long to wait. */
struct tz_patient {
	bool never; /* do not wait: -EAGAIN instead */
	tz_deadline deadline;
};

/* Takes in what is there, and waits for more, until a whole message is there: 0; or it is said why there will be none. With the lock `receiving`. */
int tz_incoming_complete(struct tz_connection *c, const struct tz_patient *patient);

/* As tz_recv_bytes, with the descriptors that came with the message: room for TZ_FDS_IN_MESSAGE. -EMFILE: they could not be opened, and the message is dropped.
 * ret_fds NULL: as tz_recv_bytes. */
int tz_connection_receive(struct tz_connection *c, tz_bytes *ret_message, int *ret_fds, int *ret_n);

/* Frees what has come in. */
void tz_incoming_done(struct tz_incoming *in);

#endif
