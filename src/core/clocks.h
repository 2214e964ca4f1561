/* Deadlines that go from one clock to another.
 *
 * A deadline is a point on the clock of the strand that it is for: the machine's, or that of a simulated loop, which jumps and stands still. Where a
 * deadline is handed to a strand with another clock, what remains of it goes over, not the number. There are three such places: a job's deadline when the
 * job is handed to an executor; a moved deadline that is passed on to a job; and a scope whose deadline another strand moves.
 */
#ifndef TZ_CORE_CLOCKS_H
#define TZ_CORE_CLOCKS_H

#include "core/strand.h"

/* The deadline on a clock that shows `to`, while that which it is on shows `from`. */
static inline tz_deadline tz_deadline_carry(tz_deadline deadline, uint64_t from, uint64_t to)
{
	if (deadline.ns)
		deadline.ns = to + (deadline.ns > from ? deadline.ns - from : 0);
	return deadline;
}

/* The deadline of one strand for another one. */
static inline tz_deadline tz_deadline_between(tz_deadline deadline, struct tz_strand *from, struct tz_strand *to)
{
	if (__builtin_expect(!((from->flags | to->flags) & TZ_STRAND_SIMULATED), 1) || from == to)
		return deadline;
	return tz_deadline_carry(deadline, from->ops->now(from), to->ops->now(to));
}

#endif
