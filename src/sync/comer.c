/* The comer. See comer.h for the protocol. */
#include "sync/comer.h"

#include <errno.h>

#include "core/spin.h"
#include "core/strand.h"

static const uint64_t FAIR_NS = 1000000;

/* How long a rival spins, and how far apart its looks are, at first and in the end, in pauses. */
enum { SPIN_US = 2, FIRST_PAUSES = 16, SPIN_PAUSES = 64 };

static bool become_rival(struct tz_comer *c)
{
	uint32_t w = tz_comer_load(c->word);

	while (!c->is_rival) {
		if (w & (TZ_COMER_RIVAL | TZ_COMER_WAITERS))
			return false; /* queue behind those who wait already */
		c->is_rival = tz_comer_swap(c->word, &w, w | TZ_COMER_RIVAL, __ATOMIC_RELAXED);
	}
	return true;
}

/* Waits for a while without sleeping; true with the lock. */
static bool spin(struct tz_comer *c, struct tz_strand *self)
{
	if (tz_comer_take(c))
		return true;
	if (!tz_strand_may_spin(self) || !become_rival(c))
		return false;
	struct tz_spin s = tz_spin_begin(SPIN_US * tz_clock_ticks_per_us());

	s.pauses = FIRST_PAUSES;
	while (tz_spin_turn(&s, SPIN_PAUSES))
		if (tz_comer_take(c))
			return true;
	return false;
}

/* Steps of the wait. */

static bool wait_begin(struct tz_parked *n)
{
	struct tz_comer *c = n->object;
	uint32_t w = tz_comer_load(c->word);
	uint32_t gone = c->is_rival || tz_parking_was_forked() ? TZ_COMER_RIVAL : 0;

	do {
		if (!(w & c->busy))
			return false;
	} while (!tz_comer_swap(c->word, &w, (w | TZ_COMER_WAITERS) & ~gone, __ATOMIC_RELAXED));
	c->is_rival = false;
	return true;
}

static void withdrawn(struct tz_parked *n, bool more)
{
	struct tz_comer *c = n->object;

	if (!more)
		(void)__atomic_fetch_and(c->word, ~(uint32_t)TZ_COMER_WAITERS, __ATOMIC_RELAXED);
}

int tz_comer_acquire(struct tz_comer *c, struct tz_parked *n, unsigned flags, tz_deadline deadline)
{
	static const struct tz_parking_steps steps = { .name = "lock",
						       .begin = wait_begin,
						       .withdrawn = withdrawn };

	n->object = c;
	while (!spin(c, n->strand)) {
		if (n->since == 0)
			n->since = tz_now();
		else
			flags |= TZ_PARKING_FRONT;
		int r = tz_parking_wait(n, c->word, &steps, flags, deadline);

		if (r == 0 && n->token == TZ_COMER_HANDED_OVER)
			return 0;
		if (r == 0)
			c->is_rival = true;
		else if (r != -EAGAIN)
			return r;
	}
	return 0;
}

bool tz_comer_choose(struct tz_parked *n, uint64_t now)
{
	bool hand_over = (int64_t)(now - n->since) > (int64_t)FAIR_NS;

	n->token = hand_over ? TZ_COMER_HANDED_OVER : TZ_COMER_WOKEN;
	return hand_over;
}
