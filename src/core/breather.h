/* A breather: a pause of some microseconds that lets the other side of a stream get ahead.
 *
 * One thread puts things into memory and another one takes them out. They are fastest at some distance,
 * where each finds several things at a time and cache lines travel in groups. When one has caught up
 * with the other they go in step, and each thing costs both of them several misses: on a machine whose
 * processors are far from each other ten times what it costs at a distance. So who finds nothing for
 * once, pauses before it looks again. That pays only if things are streaming; if they come one at a time,
 * each as the answer to the last, it is a delay. Hence it is remembered whether it paid: if not, more and
 * more occasions are passed over before the next trial.
 */
#ifndef TZ_CORE_BREATHER_H
#define TZ_CORE_BREATHER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/spin.h"
#include "os/clock.h"
#include "os/cpu.h"

enum {
	TZ_BREATHER_NS = 5000, /* some tens of misses between distant processors */
	TZ_BREATHER_WORTH = 3, /* things that must be there after it; one is there in any case */
	TZ_BREATHER_SKIPS = 1023 /* occasions passed over, at most */
};

/* Of one thread. All-zero: nothing known yet. */
struct tz_breather {
	unsigned left; /* occasions to pass over */
	unsigned skips; /* next time */
};

/* Takes a breath, unless that has not paid of late. False if it was passed over. */
static inline bool tz_breather_take(struct tz_breather *b)
{
	if (b->left > 0) {
		b->left--;
		return false;
	}
	if (!tz_spin_allowed())
		return false;
	uint64_t begun = tz_clock_ticks(), ticks = tz_clock_ticks_per_us() * TZ_BREATHER_NS / 1000;

	while (tz_clock_ticks() - begun < ticks)
		tz_cpu_relax();
	return true;
}

/* What the last breath has brought. */
static inline void tz_breather_learn(struct tz_breather *b, size_t things)
{
	b->skips = things >= TZ_BREATHER_WORTH    ? 0
		   : b->skips < TZ_BREATHER_SKIPS ? b->skips * 2 + 1
						  : b->skips;
	b->left = b->skips;
}

#endif
