/* Lanes for blocking calls, from inside: see <trenza/lane.h> for what they are. */
#ifndef TZ_LOOP_LANE_H
#define TZ_LOOP_LANE_H

#include <trenza/lane.h>

/* Calls fn(arg) on a thread of a lane, and parks the calling strand until it has returned, deaf to
 * its scope. Where there is no thread to have, fn runs here. Left by pthread_exit, or by a thread's
 * cancellation, fn counts as returned. */
void tz_lane_call(tz_lane_kind kind, void (*fn)(void *arg), void *arg);

/* Whether a lane has anything to do. If not, then whoever waited for what lanes have done was told. */
bool tz_lanes_are_busy(void);

#endif
