/* A giver: what goes beside the bytes of a payload, in either direction: references to the buffers (tz_buffer) that its large contents lie in. */
#ifndef TZ_EXEC_PROCESS_GIVER_H
#define TZ_EXEC_PROCESS_GIVER_H

#include "arena/lane.h"
#include "wire/codec.h"

struct farm_giver {
	struct tz_carrier carrier; /* first; for encoding, and for the size before it */
	struct tz_segment *refs[TZ_LANE_REFS]; /* references, the giver's */
	unsigned n;
};

void farm_giver_init(struct farm_giver *ret);

/* Drops the references. */
void farm_giver_done(struct farm_giver *giver);

#endif
