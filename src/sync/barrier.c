/* The barrier: rounds of arrivals.
 *
 * Design notes. All fields that change are written under the bucket lock of the barrier's address
 * only; what is read without it (is it broken, how many are there, might I be the last) is an
 * answer that may be old, or a hint. A waiter remembers its round. The last to arrive begins the
 * next round at once, so that whoever comes while the action runs belongs to that one, and wakes
 * those of its own round afterwards. Breaking counts up `breaks`, by which the last one sees that
 * the round was broken while the action ran. Waiters look at their own nodes only, so the barrier
 * may be freed once all parties have returned.
 */
#include <errno.h>
#include <limits.h>

#include <trenza/barrier.h>

#include "core/parking.h"
#include "core/strand.h"

enum { WHOLE = 0, BROKEN = 1 }; /* tokens */

static uint32_t get(const uint32_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static void set(uint32_t *field, uint32_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

int tz_barrier_init(tz_barrier *b, int parties, tz_barrier_action *action, void *arg)
{
	tz_barrier fresh = { .tz__action = action, .tz__arg = arg };

	if (parties < 1)
		return -EINVAL;
	fresh.tz__others = (uint32_t)parties - 1;
	*b = fresh;
	return 0;
}

/* Under the bucket lock. */
static void begin_round(tz_barrier *b)
{
	set(&b->tz__arrived, 0);
	set(&b->tz__round, b->tz__round + 1);
}

/* Breaking */

struct breaking {
	tz_barrier *barrier;
	bool whole_again;
	const uint32_t
		*breaks; /* only if it has not been broken since there were so many, or NULL */
};

static bool too_late(const struct breaking *k)
{
	return k->breaks && *k->breaks != k->barrier->tz__breaks;
}

static enum tz_parking_choice tell_broken(struct tz_parked *n, void *arg)
{
	if (too_late(arg))
		return TZ_PARKING_STOP;
	n->token = BROKEN;
	return TZ_PARKING_TAKE;
}

/* Under the bucket lock. */
static void mark_broken(tz_barrier *b, bool whole_again)
{
	set(&b->tz__broken, !whole_again);
	set(&b->tz__breaks, b->tz__breaks + 1);
	begin_round(b);
}

static void settle_broken(void *arg, size_t taken, bool more)
{
	struct breaking *k = arg;

	(void)taken;
	(void)more;
	if (!too_late(k))
		mark_broken(k->barrier, k->whole_again);
}

static void break_up(tz_barrier *b, bool whole_again, const uint32_t *breaks)
{
	struct breaking k = { b, whole_again, breaks };

	(void)tz_parking_wake(b, SIZE_MAX, tell_broken, settle_broken, &k);
}

void tz_barrier_abort(tz_barrier *b)
{
	break_up(b, false, NULL);
}

void tz_barrier_reset(tz_barrier *b)
{
	break_up(b, true, NULL);
}

/* Arriving last */

struct completion {
	tz_barrier *barrier;
	uint32_t round, breaks; /* before */
	bool is_last;
	bool succeeded; /* the action */
	bool was_broken; /* while it ran */
};

/* Under the bucket lock: whether the caller completes the round. */
static bool completes(struct completion *c)
{
	tz_barrier *b = c->barrier;

	if (!c->is_last)
		c->is_last = !b->tz__broken && b->tz__arrived == b->tz__others;
	return c->is_last;
}

static enum tz_parking_choice take_if_last(struct tz_parked *n, void *arg)
{
	struct completion *c = arg;

	(void)n;
	return !completes(c) || c->barrier->tz__action ? TZ_PARKING_STOP : TZ_PARKING_TAKE;
}

static void settle_if_last(void *arg, size_t taken, bool more)
{
	struct completion *c = arg;

	(void)taken;
	(void)more;
	if (!completes(c))
		return;
	c->round = c->barrier->tz__round;
	c->breaks = c->barrier->tz__breaks;
	begin_round(c->barrier);
}

/* After the action: those who wait for it, unless the barrier was broken meanwhile and they are
 * gone. */
static enum tz_parking_choice take_of_round(struct tz_parked *n, void *arg)
{
	struct completion *c = arg;

	return n->kind == c->round ? TZ_PARKING_TAKE : TZ_PARKING_PASS;
}

static void settle_after_action(void *arg, size_t taken, bool more)
{
	struct completion *c = arg;

	(void)taken;
	(void)more;
	c->was_broken = c->barrier->tz__breaks != c->breaks;
}

/* Also when the action does not return: its thread ends, or it throws. */
static void after_action(struct completion **c)
{
	if (!(*c)->succeeded)
		break_up((*c)->barrier, false, &(*c)->breaks);
}

static int run_action(struct completion *c)
{
	struct completion *guard __attribute__((cleanup(after_action))) = c;
	int r = c->barrier->tz__action(c->barrier->tz__arg);

	guard->succeeded = r == 0;
	return r <= 0 ? r : -EPIPE;
}

/* 0: the caller was not the last after all; 1: it was, and ret is its answer. */
static bool arrive_last(tz_barrier *b, int *ret)
{
	struct completion c = { .barrier = b };

	(void)tz_parking_wake(b, SIZE_MAX, take_if_last, settle_if_last, &c);
	if (!c.is_last)
		return false;
	*ret = (int)b->tz__others;
	if (!b->tz__action)
		return true;
	int r = run_action(&c);

	if (r == 0) {
		(void)tz_parking_wake(b, SIZE_MAX, take_of_round, settle_after_action, &c);
		r = c.was_broken ? -EPIPE : *ret;
	}
	*ret = r;
	return true;
}

/* Arriving and waiting */

struct arrival {
	struct tz_parked node; /* first: the steps get its address */
	tz_barrier *barrier;
	uint32_t index;
	uint32_t last_round; /* that broke when the node withdrew */
	bool refused; /* the barrier is broken */
};

static bool wait_begin(struct tz_parked *n)
{
	struct arrival *a = (struct arrival *)n;
	tz_barrier *b = a->barrier;

	a->refused = b->tz__broken;
	if (a->refused || b->tz__arrived == b->tz__others)
		return false;
	n->kind = b->tz__round;
	a->index = b->tz__arrived;
	set(&b->tz__arrived, b->tz__arrived + 1);
	return true;
}

/* Gives up, and breaks the barrier with it. */
static void withdrawn(struct tz_parked *n, bool more)
{
	struct arrival *a = (struct arrival *)n;

	(void)more;
	a->last_round = a->barrier->tz__round;
	mark_broken(a->barrier, false);
}

/* The others of that round, or of one before it whose action still runs. */
static enum tz_parking_choice tell_others(struct tz_parked *n, void *arg)
{
	const struct arrival *a = arg;

	if ((int32_t)(a->last_round - n->kind) < 0)
		return TZ_PARKING_PASS; /* the barrier was reset in the meantime */
	n->token = BROKEN;
	return TZ_PARKING_TAKE;
}

static const struct tz_parking_steps steps = { .begin = wait_begin, .withdrawn = withdrawn };

static int arrive_early(struct arrival *a, tz_deadline deadline)
{
	int r = tz_parking_wait(&a->node, a->barrier, &steps, TZ_PARKING_SPIN, deadline);

	if (r == -EAGAIN)
		return a->refused ? -EPIPE : -EAGAIN;
	if (r < 0) {
		(void)tz_parking_wake(a->barrier, SIZE_MAX, tell_others, NULL, a);
		return r;
	}
	return a->node.token == BROKEN ? -EPIPE : (int)a->index;
}

int tz_barrier_wait_until(tz_barrier *b, tz_deadline deadline)
{
	int r;

	for (;;) {
		if (get(&b->tz__arrived) == b->tz__others && arrive_last(b, &r))
			return r;
		struct arrival a = { .barrier = b, .node.strand = tz_strand_self() };

		r = arrive_early(&a, deadline);
		if (r != -EAGAIN)
			return r;
	}
}

int tz_barrier_wait(tz_barrier *b)
{
	return tz_barrier_wait_until(b, tz_never());
}

bool tz_barrier_is_broken(const tz_barrier *b)
{
	return get(&b->tz__broken) != 0;
}

int tz_barrier_parties(const tz_barrier *b)
{
	return (int)b->tz__others + 1;
}

int tz_barrier_waiting(const tz_barrier *b)
{
	return (int)get(&b->tz__arrived);
}
