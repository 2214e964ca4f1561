/* A sitting: a spin by one who also waits a moment for a seat (spin.h).
 *
 * Two strands that hand jobs to and fro spin in turn. The one that has just been served still has the seat for some instructions when the other
 * one wants it; going to sleep at once because of that would cost both of them a wake-up.
 */
#ifndef TZ_CORE_SITTING_H
#define TZ_CORE_SITTING_H

#include "core/spin.h"

enum {
	TZ_SITTING_STANDS_US = 1, /* to wait for a seat */
	TZ_SITTING_PAUSES = 8
};

struct tz_sitting {
	struct tz_spin spin;
	uint64_t stands_until; /* in ticks */
	bool seated;
};

static inline struct tz_sitting tz_sitting_begin(uint32_t ticks)
{
	struct tz_sitting s = { .spin = tz_spin_begin(ticks) };

	s.stands_until = s.spin.end - ticks + TZ_SITTING_STANDS_US * tz_clock_ticks_per_us();
	s.seated = tz_spin_sit();
	return s;
}

/* Pauses a little. False when it is time to sleep. */
static inline bool tz_sitting_turn(struct tz_sitting *s)
{
	bool more = tz_spin_turn(&s->spin, TZ_SITTING_PAUSES);

	if (!s->seated) {
		s->seated = tz_spin_sit();
		if (!s->seated && (int64_t)(s->stands_until - tz_clock_ticks()) <= 0)
			return false;
	}
	return more;
}

static inline void tz_sitting_end(struct tz_sitting *s)
{
	if (s->seated)
		tz_spin_leave();
}

#endif
