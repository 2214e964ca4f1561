/* The barrier for several processes.
 *
 * Design notes. `state` is the number of the round and whether it is broken; a round ends by the one store that makes it the next. The table says of each
 * process how many strands of it have arrived, in two halves of a word, one for rounds of even and one for rounds of odd number: so one half counts the arrivals of this
 * round, and the other still says who was there in the last one. The half for the next round is cleared just before the round ends. A process that is killed in
 * between has arrived, and is found to have ended; so the round never ends, and is broken by whoever finds that.
 *
 * Who waits has to tell a round that was completed from one that a reset has ended; `fates` says that of the last 32 rounds.
 *
 * When the dead break it: one that has arrived in this round is missed in any case. One that has only been there in the last round is missed if somebody else
 * of the last round has arrived in this one: else it is a new crew that uses the barrier, after the old one has gone.
 */
#include <trenza/shared_barrier.h>

#include <errno.h>

#include "core/strand.h"
#include "shared/holders.h"
#include "shared/lock.h"
#include "shared/owner.h"

enum { BROKEN = 1, ONE = 2 };

static struct tz_holders holders_of(const tz_shared_barrier *b)
{
	tz_shared_barrier *m = (tz_shared_barrier *)(uintptr_t)b;

	return (struct tz_holders){ m->tz__holders, &m->tz__used };
}

static uint32_t state_of(const tz_shared_barrier *b)
{
	return tz_word_get(&b->tz__state);
}

static uint32_t round_of(const tz_shared_barrier *b)
{
	return state_of(b) / ONE;
}

static unsigned shift_of(uint32_t round)
{
	return round % 2 ? 16 : 0;
}

/* How many strands of it arrived in the round, which is this or the last one. */
static uint32_t arrived_of(const tz__shared_holder *h, uint32_t round)
{
	return tz_word_get(&h->tz__amount) >> shift_of(round) & 0xffff;
}

static uint32_t arrived(const tz_shared_barrier *b)
{
	struct tz_holders hs = holders_of(b);
	uint32_t round = round_of(b), sum = 0;

	for (unsigned i = 0, n = tz_holders_count(hs); i < n; i++)
		sum += arrived_of(&hs.table[i], round);
	return sum;
}

/* --- under the lock --------------------------------------------------------------------------------------------------------------------- */

static void break_it(tz_shared_barrier *b)
{
	tz_word_set(&b->tz__state, state_of(b) | BROKEN);
	tz_gate_open(&b->tz__gate, TZ_NAP_ALL);
}

/* Begins the next round; `keep` is what each process keeps of its amount. */
static void end_round(tz_shared_barrier *b, uint32_t keep, bool completed)
{
	struct tz_holders hs = holders_of(b);
	uint32_t round = round_of(b), bit = (uint32_t)1 << round % 32;

	for (unsigned i = 0, n = tz_holders_count(hs); i < n; i++)
		tz_word_set(&hs.table[i].tz__amount, tz_word_get(&hs.table[i].tz__amount) & keep);
	tz_word_set(&b->tz__fates, completed ? b->tz__fates & ~bit : b->tz__fates | bit);
	tz_word_set(&b->tz__state, (round + 1) * ONE);
	tz_gate_open(&b->tz__gate, TZ_NAP_ALL);
}

static void bury(tz_shared_barrier *b, const struct tz_dead *dead)
{
	struct tz_holders hs = holders_of(b);
	uint32_t round = round_of(b);
	bool missed = false, missed_of_last = false, same_crew = false;

	if (dead->count == 0 || state_of(b) & BROKEN)
		return;
	for (unsigned i = 0, n = tz_holders_count(hs); i < n; i++) {
		const tz__shared_holder *h = &hs.table[i];
		bool now = arrived_of(h, round) > 0, before = arrived_of(h, round - 1) > 0;

		if (tz_dead_has(dead, tz_word_get(&h->tz__owner))) {
			missed |= now;
			missed_of_last |= before;
		}
		same_crew |= now && before;
	}
	if (missed || (missed_of_last && same_crew))
		break_it(b);
}

/* What became of a round: 1, nothing yet; 0, completed; -EPIPE. */
static int fate_of(const tz_shared_barrier *b, uint32_t round)
{
	uint32_t state = state_of(b);

	if (state / ONE == round)
		return state & BROKEN ? -EPIPE : 1;
	return tz_word_get(&b->tz__fates) >> round % 32 & 1 ? -EPIPE : 0;
}

/* --- wait -------------------------------------------------------------------------------------------------------------------------------- */

/* One that arrives. */
struct party {
	uint32_t round, gate;
	int index;
};

/* 1: it has arrived, and waits; 0: it is the last one, and the round is not over yet; -EAGAIN: all have arrived, and an action runs; -EPIPE; -EUSERS. */
static int arrive(tz_shared_barrier *b, struct party *me)
{
	uint32_t n = arrived(b);
	tz__shared_holder *h;

	if (state_of(b) & BROKEN)
		return -EPIPE;
	me->round = round_of(b);
	if (n > b->tz__others)
		return -EAGAIN;
	h = tz_holders_own(holders_of(b));
	if (!h)
		return -EUSERS;
	me->index = (int)n;
	tz_word_set(&h->tz__amount,
		    tz_word_get(&h->tz__amount) + ((uint32_t)1 << shift_of(me->round)));
	return n < b->tz__others;
}

/* Sleeps until the round is over: 0 or -EPIPE; or, if it gives up, why. Giving up breaks the barrier for the others, unless it has not arrived. */
static int await(tz_shared_barrier *b, struct party *me, struct tz_nap *nap, bool has_arrived)
{
	int n, r = 1;

	while (r == 1) {
		struct tz_dead dead = { .count = 0 };

		n = tz_nap_take(nap, &b->tz__gate, me->gate);
		r = fate_of(b, me->round);
		if (r != 1)
			break;
		if (n != 0)
			tz_dead_find(&dead, holders_of(b));
		tz_monitor_enter(&b->tz__lock);
		bury(b, &dead);
		r = fate_of(b, me->round);
		if (r == 1 && n < 0) {
			r = n;
			if (has_arrived)
				break_it(b);
		}
		me->gate = tz_gate_close(&b->tz__gate);
		tz_monitor_leave(&b->tz__lock);
	}
	return r;
}

/* By the last one, with the lock: it is released. */
static int finish(tz_shared_barrier *b, struct party *me, tz_barrier_action *action, void *arg)
{
	int r = 0, fate;

	if (action) {
		tz_monitor_leave(&b->tz__lock);
		r = action(arg);
		tz_monitor_enter(&b->tz__lock);
	}
	fate = fate_of(b, me->round);
	if (fate == 1 && r < 0)
		break_it(b);
	else if (fate == 1)
		end_round(b, (uint32_t)0xffff << shift_of(me->round), true);
	tz_monitor_leave(&b->tz__lock);
	if (r < 0)
		return r;
	return fate < 0 ? fate : me->index;
}

/* Forgets those that have ended and were there in the last round only, since there is no room for who comes. */
static void make_room(tz_shared_barrier *b)
{
	struct tz_holders hs = holders_of(b);
	struct tz_dead dead = { .count = 0 };

	tz_dead_find(&dead, hs);
	bury(b, &dead);
	for (unsigned i = 0, n = tz_holders_count(hs); i < n; i++)
		if (arrived_of(&hs.table[i], round_of(b)) == 0 &&
		    tz_dead_has(&dead, tz_word_get(&hs.table[i].tz__owner)))
			tz_word_set(&hs.table[i].tz__amount, 0);
}

/* Arrives, and closes the gate if it has to wait. The lock is held if this returns 0. */
static int enter(tz_shared_barrier *b, struct party *me)
{
	int r;

	tz_monitor_enter(&b->tz__lock);
	r = arrive(b, me);
	if (r == -EUSERS) {
		make_room(b);
		r = arrive(b, me);
	}
	if (r != 0) {
		me->gate = tz_gate_close(&b->tz__gate);
		tz_monitor_leave(&b->tz__lock);
	}
	return r;
}

int tz_shared_barrier_wait_action(tz_shared_barrier *b, tz_barrier_action *action, void *arg,
				  tz_deadline deadline)
{
	struct tz_nap nap = tz_nap_begin("barrier", b, deadline);
	struct party me = { .index = 0 };
	int r;

	tz_strand_count_call();
	r = enter(b, &me);
	while (r == -EAGAIN) {
		r = await(b, &me, &nap, false);
		if (r < 0 && r != -EPIPE)
			return r;
		r = enter(b, &me);
	}
	if (r == 0)
		return finish(b, &me, action, arg);
	if (r < 0)
		return r;
	r = await(b, &me, &nap, true);
	return r < 0 ? r : me.index;
}

int tz_shared_barrier_wait_until(tz_shared_barrier *b, tz_deadline deadline)
{
	return tz_shared_barrier_wait_action(b, NULL, NULL, deadline);
}

int tz_shared_barrier_wait(tz_shared_barrier *b)
{
	return tz_shared_barrier_wait_until(b, tz_never());
}

/* --- the rest -------------------------------------------------------------------------------------------------------------------------- */

int tz_shared_barrier_init(tz_shared_barrier *b, int parties)
{
	if (parties < 1 || parties > TZ_SHARED_BARRIER_MAX)
		return -EINVAL;
	*b = (tz_shared_barrier){ .tz__others = (uint32_t)parties - 1 };
	return 0;
}

void tz_shared_barrier_abort(tz_shared_barrier *b)
{
	tz_monitor_enter(&b->tz__lock);
	break_it(b);
	tz_monitor_leave(&b->tz__lock);
}

/* Broken first: who is killed in the middle of it has aborted it. */
void tz_shared_barrier_reset(tz_shared_barrier *b)
{
	tz_monitor_enter(&b->tz__lock);
	tz_word_set(&b->tz__state, state_of(b) | BROKEN);
	end_round(b, 0, false);
	tz_monitor_leave(&b->tz__lock);
}

bool tz_shared_barrier_is_broken(const tz_shared_barrier *b)
{
	return (state_of(b) & BROKEN) != 0;
}

int tz_shared_barrier_parties(const tz_shared_barrier *b)
{
	return (int)b->tz__others + 1;
}

int tz_shared_barrier_waiting(const tz_shared_barrier *b)
{
	return (int)arrived(b);
}
