/* Spinning: a short wait on the processor before a long one asleep.
 *
 * A wait that will be over within about the time that a sleep and a wake-up cost is cheaper to spin
 * through. Longer spinning only takes the processor from who could end the wait. So: a budget by
 * the clock and not by a count (the pause instruction takes 10 cycles on one machine and 140 on the
 * next), at most one spinner less than there are processors in the whole process, and none at all
 * where there is one processor or a quota on their time.
 *
 * Design notes. The seats are one counter. Who takes a seat gives it back itself, unless it says
 * that its waker will (parking.c): the waker knows first that the seat is free, which lets two
 * strands that hand something to and fro find the seat free each time.
 */
#ifndef TZ_CORE_SPIN_H
#define TZ_CORE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "os/clock.h"
#include "os/cpu.h"

/* Takes a seat for one spinner, if there is one. */
bool tz_spin_sit(void);
void tz_spin_leave(void);
void tz_spin_after_fork(void); /* nobody sits in the child */

/* Whether spinning makes sense at all in this process. */
bool tz_spin_allowed(void);

/* One turn of a spin loop: how long it has lasted, on the tick counter. */
struct tz_spin {
	uint64_t end; /* in ticks */
	unsigned pauses; /* of the next turn */
};

/* Begins a spin of `ns` nanoseconds. */
struct tz_spin tz_spin_begin(uint32_t ns);

/* Pauses a little, and longer each time up to max_pauses; false when the time is up. */
static inline bool tz_spin_turn(struct tz_spin *s, unsigned max_pauses)
{
	for (unsigned i = 0; i < s->pauses; i++)
		tz_cpu_relax();
	if (s->pauses < max_pauses)
		s->pauses *= 2;
	return (int64_t)(s->end - tz_clock_ticks()) > 0;
}

#endif
