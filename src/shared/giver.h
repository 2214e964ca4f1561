/* Givers and takers: what goes beside the bytes of a payload, and what is made of it where they arrive. The codec's carriers (wire/codec.h), for everybody who can send
 * descriptors: lanes, the start of a process, connections.
 *
 *     tz_giver_init(&g, limit, buffers);                   tz_taker_init(&t, refs, nrefs, TZ_TAKE_FOR_CALL);
 *     tz_args_encode(plan, args, to, size, &g.carrier);    tz_args_decode(plan, bytes, size, &args, &t.carrier);
 *     ... send the bytes, and g.refs ...                   ... the call ...
 *     tz_giver_done(&g);                                   tz_taker_done(&t);
 *
 * Design notes. What goes beside is segments, numbered from 0 in the order in which they were given: shared memory, buffers, descriptors. The word of a pointer is
 * {index + 1 (16 bits), offset (48 bits)}, that of a descriptor index + 1; a connection has two words more, its terms.
 *
 * The receiver has memory for as long as it holds the segments, which who received them does. A descriptor is taken out of its segment, so it is taken once.
 */
#ifndef TZ_SHARED_GIVER_H
#define TZ_SHARED_GIVER_H

#include <trenza/connection.h>

#include "arena/segment.h"
#include "wire/codec.h"

enum { TZ_GIVER_MAX = 64 };

struct tz_giver {
	struct tz_carrier carrier; /* first; for encoding, and for the size before it */
	unsigned n, limit;
	bool buffers; /* large contents that lie in buffers go beside the bytes, too */
	struct tz_segment *refs[TZ_GIVER_MAX]; /* references, the giver's */
};

/* `limit`: of segments, at most TZ_GIVER_MAX; beyond it encoding answers -EMSGSIZE. */
void tz_giver_init(struct tz_giver *ret, unsigned limit, bool buffers);

/* Drops the references. */
void tz_giver_done(struct tz_giver *giver);

enum tz_take {
	TZ_TAKE_FOR_CALL, /* arguments: what is not memory goes when the call is over */
	TZ_TAKE_FOR_LIFE, /* arguments of a process: it stays */
	TZ_TAKE_RESULT /* a result, whose owner who takes it becomes */
};

struct tz_taker {
	struct tz_carrier carrier; /* first */
	struct tz_segment *const *refs; /* what came: not the taker's */
	unsigned nrefs;
	enum tz_take how;
	unsigned nfds, nconnections;
	int fds[TZ_GIVER_MAX]; /* to be closed */
	tz_connection *connections[TZ_GIVER_MAX];
};

void tz_taker_init(struct tz_taker *ret, struct tz_segment *const *refs, unsigned nrefs, enum tz_take how);

/* The call is over. */
void tz_taker_done(struct tz_taker *taker);

/* Of each segment, what the receiver of a birth (process/child.h) has to know. */
struct tz_ref {
	uint32_t kind, reserved;
	uint64_t size;
};

void tz_refs_note(const struct tz_giver *giver, struct tz_ref *ret_refs);

/* The segments of a birth, from who is believed; the descriptors become theirs. 0 or a negative errno code. */
int tz_refs_adopt(const struct tz_ref *refs, unsigned n, const int *fds, struct tz_segment **ret);

#endif
