/* The barrier: rounds of arrivals, in one word.
 *
 * Design notes
 *
 * The word. COUNT: how many have arrived in this round; BROKEN; WAITERS: some strands queue in the
 * parking lot; TELLING, see below; and the number of the round. Who arrives adds one, and is counted
 * from then on: whatever happens later, it is told how this round has ended, and no other. The last
 * one begins the next round in the same swap, with which the others are free: those who look at the
 * word see another round, and if WAITERS was set those in the queue are woken. Breaking begins
 * another round, too.
 *
 * Outcome. A counted strand learns it in one of three ways, and in one only: it is taken from the
 * queue, by who ended its round; it has ended the round itself; or it looks at the word, perhaps
 * much later, since it may be held up at any step. For that last one nothing is kept of rounds
 * that were completed, of which there may be any number. Of a round that was broken the word says
 * so, until all its parties know: TELLING is set by the swap that breaks, COUNT is how many have
 * still to be told, and meanwhile nobody is counted in the next round. So TELLING is about the round
 * before the one that the word names, and there is never a second one to be told of. Who finds its
 * own round over therefore knows: it was broken if TELLING is set and it is the one before, and
 * then the strand counts itself as told; else it was completed.
 *
 * Who breaks the barrier waits for nobody. It counts those as told that it takes from the queue, in
 * the section of the bucket lock in which it takes them. A strand that is not there, or that
 * withdraws before, counts itself. Strands that come while TELLING is set wait until it is not: for
 * others to take some steps, or for an action (below). One that gives up then breaks the barrier, as
 * any party that gives up does; it was the next round's.
 *
 * Action. While it runs the round is full: all parties and nobody else. Strands beyond the parties
 * wait until it is over, without being counted, and then arrive. Who runs the action is told last,
 * if the round is broken meanwhile: so no action ever meets another one.
 *
 * Queue. Counted strands queue with the number of their round, others without: these are woken
 * whenever anybody is, and look again. WAITERS is set under the bucket lock, by a strand that sees
 * there what it waits for still going on, before it queues; and cleared by each swap that ends a
 * round, that ends TELLING or that sets BROKEN, after which those in the queue are woken.
 *
 * Numbers. That of the round has 41 bits. For a wrong answer a strand would have to be held up
 * between two of its steps while the others go through a multiple of 2^41 rounds, and go on in the
 * very round in which the number is again the one that it knows. At a hand-over each 50 ns, 2^41 of
 * them take thirty hours.
 *
 * Order. Arriving is acquire and release, looking acquire: what was done before the barrier is seen
 * after it.
 *
 * Life. Who completes a round, or is told, touches the barrier no more. Who breaks it touches it
 * again only while it holds strands that it has taken from the queue and not woken, and these have
 * not returned yet.
 *
 * The protocol is explored in model/barrier.pml.
 */
#include <errno.h>
#include <limits.h>

#include <trenza/barrier.h>

#include "core/parking.h"
#include "core/strand.h"

enum { COUNT = 0xfffff, BROKEN = 1 << 20, WAITERS = 1 << 21, TELLING = 1 << 22, ROUND_SHIFT = 23 };

static const uint64_t ONE_ROUND = (uint64_t)1 << ROUND_SHIFT;
static const uint64_t NO_ROUND = UINT64_MAX;

enum { TOLD_BROKEN = 0, TOLD_COMPLETE = 1 }; /* tokens */
enum { LOOKS = 64 };

static uint64_t load(const tz_barrier *b)
{
	return __atomic_load_n(&b->tz__word, __ATOMIC_ACQUIRE);
}

static bool swap(tz_barrier *b, uint64_t *expected, uint64_t desired)
{
	return __atomic_compare_exchange_n(&b->tz__word, expected, desired, true, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static uint64_t round_of(uint64_t w)
{
	return w >> ROUND_SHIFT;
}

static uint32_t count(uint64_t w)
{
	return (uint32_t)w & COUNT;
}

/* Whether w tells the parties of this round that it broke. */
static bool tells(uint64_t w, uint64_t round)
{
	return (w & TELLING) && round_of(w - ONE_ROUND) == round;
}

/* Whether who comes now has to wait before it is counted. */
static bool is_closed(const tz_barrier *b, uint64_t w)
{
	return (w & TELLING) || count(w) > b->tz__others;
}

/* The word after a round that was completed. */
static uint64_t completed(uint64_t w)
{
	return (round_of(w) << ROUND_SHIFT) + ONE_ROUND;
}

/* The word after a break. So many of those who are counted need not be told. A round that has not
 * begun goes on. */
static uint64_t broken_off(uint64_t w, uint32_t know, uint64_t broken)
{
	uint32_t left = count(w) - know;

	if (count(w) == 0 || (w & TELLING))
		return (w & ~(uint64_t)(BROKEN | WAITERS)) | broken;
	return completed(w) | (left ? TELLING : 0) | left | broken;
}

int tz_barrier_init(tz_barrier *b, int parties, tz_barrier_action *action, void *arg)
{
	tz_barrier fresh = { .tz__action = action, .tz__arg = arg };

	if (parties < 1 || parties > TZ_BARRIER_MAX)
		return -EINVAL;
	fresh.tz__others = (uint32_t)parties - 1;
	*b = fresh;
	return 0;
}

/* Waking */

struct arrival {
	struct tz_parked node; /* first: the steps get its address */
	tz_barrier *barrier;
	uint64_t round; /* in which it is counted, or NO_ROUND */
	bool broke_it;
	bool let_in; /* it gave up when it could have been counted */
};

struct ended {
	tz_barrier *barrier;
	uint64_t round;
	uint32_t token;
	uint32_t told;
};

/* That n of the broken round's parties know. True if it was the last ones, and others wait for that. */
static bool count_told(tz_barrier *b, uint32_t n)
{
	uint64_t w = load(b), next;

	do
		next = count(w) > n ? w - n : (w - n) & ~(uint64_t)(TELLING | WAITERS);
	while (!swap(b, &w, next));
	return !(next & TELLING) && (w & WAITERS);
}

static enum tz_parking_choice tell(struct tz_parked *n, void *arg)
{
	const struct arrival *a = (struct arrival *)n;
	struct ended *e = arg;

	if (a->round == NO_ROUND)
		return TZ_PARKING_TAKE;
	if (a->round != e->round)
		return TZ_PARKING_PASS;
	n->token = e->token;
	e->told++;
	return TZ_PARKING_TAKE;
}

/* Those who wait to be counted have been taken, too, so that nobody else has to be woken. */
static void settle(void *arg, size_t taken, bool more)
{
	const struct ended *e = arg;

	(void)taken;
	(void)more;
	if (e->token == TOLD_BROKEN && e->told > 0)
		(void)count_told(e->barrier, e->told);
}

/* Wakes the parties of a round that has ended, and those who wait to be counted. */
static void wake(tz_barrier *b, uint64_t round, uint32_t token)
{
	struct ended e = { .barrier = b, .round = round, .token = token };

	(void)tz_parking_wake(b, SIZE_MAX, tell, settle, &e);
}

/* How the round ended, which is over, and in which the caller is counted. It asks once. */
static int outcome(tz_barrier *b, uint64_t round)
{
	if (!tells(load(b), round))
		return 0;
	if (count_told(b, 1))
		wake(b, NO_ROUND, TOLD_BROKEN);
	return -EPIPE;
}

/* Breaking */

static void break_off(tz_barrier *b, uint64_t broken)
{
	uint64_t w = load(b), next;

	do
		next = broken_off(w, 0, broken);
	while (!swap(b, &w, next));
	if (w & WAITERS)
		wake(b, round_of(next) != round_of(w) ? round_of(w) : NO_ROUND, TOLD_BROKEN);
}

void tz_barrier_abort(tz_barrier *b)
{
	break_off(b, BROKEN);
}

void tz_barrier_reset(tz_barrier *b)
{
	break_off(b, 0);
}

/* The action */

struct acting {
	tz_barrier *barrier;
	uint64_t round;
	bool succeeded;
};

/* By the last party of a round that waits for its action: true if it was not broken meanwhile. */
static bool end_round(tz_barrier *b, uint64_t round, bool complete)
{
	uint64_t w = load(b);

	do {
		if (round_of(w) != round)
			return outcome(b, round) == 0;
	} while (!swap(b, &w, complete ? completed(w) : broken_off(w, 1, BROKEN)));
	if (w & WAITERS)
		wake(b, round, complete ? TOLD_COMPLETE : TOLD_BROKEN);
	return true;
}

/* Also when the action does not return: its thread ends, or it throws. */
static void after_action(struct acting *a)
{
	if (!a->succeeded)
		(void)end_round(a->barrier, a->round, false);
}

static int run_action(tz_barrier *b, uint64_t round)
{
	struct acting a __attribute__((cleanup(after_action))) = { b, round, false };
	int r = b->tz__action(b->tz__arg);

	a.succeeded = r == 0;
	return r <= 0 ? r : -EPIPE;
}

/* The caller was the last one to arrive. */
static int complete_round(tz_barrier *b, uint64_t round)
{
	int r = run_action(b, round);

	if (r < 0)
		return r;
	return end_round(b, round, true) ? (int)b->tz__others : -EPIPE;
}

/* Waiting */

/* Whether what the strand waits for has still to come. */
static bool must_wait(const struct arrival *a, uint64_t w)
{
	if (a->round != NO_ROUND)
		return round_of(w) == a->round;
	return !(w & BROKEN) && is_closed(a->barrier, w);
}

static bool wait_begin(struct tz_parked *n)
{
	struct arrival *a = (struct arrival *)n;
	uint64_t w = load(a->barrier);

	do {
		if (!must_wait(a, w))
			return false;
	} while (!swap(a->barrier, &w, w | WAITERS));
	return true;
}

/* A party that gives up breaks the barrier, unless its round has ended just now; also one that would
 * have been the next round's. Strands beyond the parties do not. */
static void withdrawn(struct tz_parked *n, bool more)
{
	struct arrival *a = (struct arrival *)n;
	bool counted = a->round != NO_ROUND;
	uint64_t w = load(a->barrier);

	(void)more; /* WAITERS may stay: it costs one look into an empty queue */
	while (!a->broke_it && (counted ? round_of(w) == a->round : (w & TELLING) != 0))
		a->broke_it = swap(a->barrier, &w, broken_off(w, counted, BROKEN));
	a->let_in = !counted && !is_closed(a->barrier, w);
}

static const struct tz_parking_steps steps = { .name = "barrier",
					       .begin = wait_begin,
					       .withdrawn = withdrawn };

/* Mostly the others are about to arrive, too. True if the wait is over. */
static bool look(const struct arrival *a)
{
	for (int i = 0; i < LOOKS; i++) {
		if (!must_wait(a, load(a->barrier)))
			return true;
		tz_cpu_relax();
	}
	return false;
}

/* 0 once woken, -EAGAIN if there is nothing to wait for, or why the wait ended before. */
static int wait(struct arrival *a, tz_deadline deadline)
{
	a->node.strand = tz_strand_self();
	if (tz_parking_patient(a->barrier, &a->node) && look(a))
		return -EAGAIN;
	int r = tz_parking_wait(&a->node, a->barrier, &steps, TZ_PARKING_SPIN, deadline);

	if (a->broke_it)
		wake(a->barrier, a->round, TOLD_BROKEN);
	return r;
}

/* Waits for the end of the round in which the caller is counted: 0 if it was completed, -EPIPE if not,
 * or why the caller has broken it. */
static int wait_for_end(tz_barrier *b, uint64_t round, tz_deadline deadline)
{
	struct arrival a = { .barrier = b, .round = round };
	int r = wait(&a, deadline);

	if (r == 0)
		return a.node.token == TOLD_COMPLETE ? 0 : -EPIPE;
	return a.broke_it ? r : outcome(b, round);
}

/* Waits until somebody may be counted: 0, and then the caller looks again, or why it gives up. If it may
 * be counted by then, it gives up as one who is. */
static int wait_for_room(tz_barrier *b, tz_deadline deadline)
{
	struct arrival a = { .barrier = b, .round = NO_ROUND };
	int r = wait(&a, deadline);

	return r == -EAGAIN || a.let_in ? 0 : r;
}

int tz_barrier_wait_until(tz_barrier *b, tz_deadline deadline)
{
	tz_strand_count_call();
	uint64_t w = load(b);

	for (;;) {
		uint32_t place = count(w);
		uint64_t round = round_of(w);

		if (w & BROKEN)
			return -EPIPE;
		if (is_closed(b, w)) {
			int r = wait_for_room(b, deadline);

			if (r < 0)
				return r;
			w = load(b);
		} else if (place == b->tz__others && !b->tz__action) {
			if (!swap(b, &w, completed(w)))
				continue;
			if (w & WAITERS)
				wake(b, round, TOLD_COMPLETE);
			return (int)place;
		} else if (swap(b, &w, w + 1)) {
			if (place == b->tz__others)
				return complete_round(b, round);
			int r = wait_for_end(b, round, deadline);

			return r < 0 ? r : (int)place;
		}
	}
}

int tz_barrier_wait(tz_barrier *b)
{
	return tz_barrier_wait_until(b, tz_never());
}

bool tz_barrier_is_broken(const tz_barrier *b)
{
	return (load(b) & BROKEN) != 0;
}

int tz_barrier_parties(const tz_barrier *b)
{
	return (int)b->tz__others + 1;
}

int tz_barrier_waiting(const tz_barrier *b)
{
	uint64_t w = load(b);

	return w & TELLING ? 0 : (int)count(w);
}
