/* Spinning: a short wait on the processor before a long one asleep.
 *
 * A wait that will be over within about the time that a sleep and a wake-up cost is cheaper to spin
 * through. Longer spinning only takes the processor from who could end the wait. So: a budget by
 * the clock and not by a count (the pause instruction takes 10 cycles on one machine and 140 on the
 * next), at most one spinner less than there are processors in the whole process, and none at all
 * where there is one processor, or a quota on their time.
 *
 * Design notes
 *
 * Seats. They are one counter. Who takes a seat gives it back itself, unless its waker does that
 * for it (parking.c): the waker knows first that the seat is free, so two strands that hand
 * something to and fro find it free each time.
 *
 * Patience. What a sleep and a wake-up cost lies between 2 us (the scheduler changes between two
 * threads on one processor) and 100 us (an idle virtual processor is woken by its host), so no
 * constant is right. Each place where strands wait remembers how long it was worth to spin there.
 * The waker notes when and on which processor it woke: if the wait was short, the next one may
 * spin through as long a one; if it was long, patience shrinks; if waker and waiter take turns on
 * the same processor, spinning only keeps the waker from running, and is left alone but for a
 * trial now and then, since the scheduler may move one of them.
 *
 * Price. Where the two are in different processes, both sleep when nothing comes, and neither finds
 * the other awake unless it spins through the other's wake-up. So there, who was woken tells what
 * that took, and a spin is as long as that: at the worst, spinning and sleeping then cost twice what
 * sleeping at once would have. Each wait that was longer halves the next spin, and the first one
 * that was not brings all of it back.
 */
#ifndef TZ_CORE_SPIN_H
#define TZ_CORE_SPIN_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/clock.h"
#include "os/cpu.h"

/* Whether a quota of processor time forbids all spinning. To find that out takes the reading of a dozen files, so a process tells it its children, if it knows. */
enum tz_spin_quota { TZ_SPIN_QUOTA_UNKNOWN, TZ_SPIN_NO_QUOTA, TZ_SPIN_QUOTA };
enum tz_spin_quota tz_spin_known_quota(void);
void tz_spin_set_quota(enum tz_spin_quota quota);

/* Takes a seat for one spinner, if there is one. */
bool tz_spin_sit(void);
void tz_spin_leave(void);
void tz_spin_after_fork(void); /* nobody sits in the child */

/* Whether spinning makes sense at all in this process. */
bool tz_spin_allowed(void);

/* A spin loop that is going on. */
struct tz_spin {
	uint64_t end; /* in ticks */
	unsigned pauses; /* of the next turn */
};

/* Begins a spin of so many ticks. */
static inline struct tz_spin tz_spin_begin(uint64_t ticks)
{
	struct tz_spin s = { .end = tz_clock_ticks() + ticks, .pauses = 1 };

	return s;
}

/* Pauses a little, and longer each time up to max_pauses; false when the time is up. */
static inline bool tz_spin_turn(struct tz_spin *s, unsigned max_pauses)
{
	for (unsigned i = 0; i < s->pauses; i++)
		tz_cpu_relax();
	if (s->pauses < max_pauses)
		s->pauses *= 2;
	return (int64_t)(s->end - tz_clock_ticks()) > 0;
}

/* Where and when something happened. */
struct tz_moment {
	uint64_t ticks;
	int cpu;
};

static inline struct tz_moment tz_moment_now(void)
{
	struct tz_moment m = { tz_clock_ticks(), sched_getcpu() };

	return m;
}

/* What one place has learnt. All-zero: nothing yet. A hint: several may write it at a time. */
struct tz_patience {
	_Atomic uint32_t ticks; /* that it was worth to spin */
	_Atomic uint32_t refused; /* how often spinning was left alone */
	_Atomic uint32_t price; /* what it costs in ticks to sleep and to be woken; 0: not known */
};

/* The ticks to spin for the next wait here; 0: do not. */
uint32_t tz_patience_ask(struct tz_patience *p);

/* Whether spinning is worth while at all. */
bool tz_patience_is_left(struct tz_patience *p);

/* To sleep and to be woken has cost so many ticks. */
void tz_patience_pay(struct tz_patience *p, int64_t ticks);

/* A wait has ended that began at `begun` and that was ended at `woken`, asleep or not. */
void tz_patience_learn(struct tz_patience *p, struct tz_moment begun, struct tz_moment woken,
		       bool slept);

#endif
