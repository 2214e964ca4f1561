/* The timers of one loop: a wheel. Only the loop's thread uses it; it takes no lock and allocates
 * nothing.
 *
 * A timer is a node in the caller's memory, all-zero when it is not set; it must stay where it is
 * while it is set. Times are nanoseconds on the loop's clock, which the wheel does not read: it is
 * told the time.
 *
 * Design notes
 *
 * A wheel of eleven levels with 64 slots each; a level for each six bits of a time, down to single
 * nanoseconds. A timer lies at the level of the highest six bits in which its time differs from
 * `base`, in the slot that these bits name. So the slots of one level are in order, all of a level
 * come before all of the next, and the first timers are in the lowest slot of the lowest level that
 * has any: two bit scans. When their time comes, `base` moves there, and what else was in that slot
 * moves to lower levels. A timer moves down ten times at most, in practice two or three times;
 * setting and clearing are constant. There is no need for a heap of near timers: the lowest levels
 * are exact. (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987; the levels
 * relative to the last time taken out are those of the radix heap of Ahuja, Mehlhorn, Orlin and
 * Tarjan, 1990.)
 *
 *   base    no later than the present, and no later than any timer in a slot. Times that are not
 *           after it go to the list LATE.
 *   bound   of a slot: no timer in it is earlier. It is exact unless the earliest was cleared or
 *           moved since.
 *
 * Moving is lazy: a timer that is set to another time, but not to one before its slot's bound, stays
 * in its slot, and is moved when that slot's time comes. So a timer lies in the slot of its time or in
 * an earlier one; and one that is moved to and fro all the time soon lies in the earliest of these,
 * where setting it touches no other timer.
 *
 * Order. Timers fire by (when, order of setting). A slot's list is in order of arrival, which is
 * that order among equal times except after a lazy move; what is taken out together is checked, and
 * sorted if it must be.
 *
 * Firing first moves all that are due to the list DUE, then calls their functions one by one. Those
 * may set and clear what they like: a timer that they set, however early, is not fired before the
 * next call.
 */
#ifndef TZ_LOOP_TIMERS_H
#define TZ_LOOP_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tz_wheel_timer {
	struct tz_wheel_timer *next, *prev; /* in a ring with the others of its list */
	uint64_t when; /* ns */
	uint64_t order; /* how many were set before it */
	void (*fire)(struct tz_wheel_timer *timer);
	uint32_t list; /* which it is in; 0: not set */
};

enum {
	TZ_WHEEL_LEVELS = 11, /* of 6 bits each: 64 bits */
	TZ_WHEEL_SLOTS = 64,
	TZ_WHEEL_LATE = 1 + TZ_WHEEL_LEVELS * TZ_WHEEL_SLOTS,
	TZ_WHEEL_DUE,
	TZ_WHEEL_LISTS
};

struct tz_wheel {
	uint64_t base;
	uint64_t set; /* how many ever were */
	size_t count; /* that are set now */
	uint32_t levels; /* bit n: level n has timers */
	uint64_t slots[TZ_WHEEL_LEVELS]; /* bit n: slot n has timers */
	struct tz_wheel_timer *lists[TZ_WHEEL_LISTS]; /* the first of each ring; [0] is not used */
	uint64_t bounds[1 + TZ_WHEEL_LEVELS * TZ_WHEEL_SLOTS];
};

/* A wheel without timers. `now` must not be 0, and no time that is given later may be before it. */
void tz_wheel_init(struct tz_wheel *wheel, uint64_t now);

/* Has fire(timer) called by the tz_wheel_fire that is given `when` or later. A timer that is set
 * already is moved. */
void tz_wheel_set(struct tz_wheel *wheel, struct tz_wheel_timer *timer, uint64_t when,
		  void (*fire)(struct tz_wheel_timer *timer));

/* True if the timer was set. It is not fired any more then, not even by a tz_wheel_fire that is
 * under way. */
bool tz_wheel_clear(struct tz_wheel *wheel, struct tz_wheel_timer *timer);

static inline bool tz_wheel_is_set(const struct tz_wheel_timer *timer)
{
	return timer->list != 0;
}

/* When to call tz_wheel_fire next; 0: there is no timer. Never after the time of the earliest;
 * before it only if an earlier one was cleared or moved. */
uint64_t tz_wheel_next(const struct tz_wheel *wheel);

/* Fires all timers that were set before the call and for `now` or earlier; returns how many. Not to
 * be called from a fire function. */
size_t tz_wheel_fire(struct tz_wheel *wheel, uint64_t now);

#endif
