/* The backend `sim`: the backend `epoll` with a clock of its own.
 *
 * Design notes
 *
 * The clock begins at the real one and stands still while anything runs. When the loop has nothing
 * to do before a certain time, the clock is set to that time. So hours of timers take no time, and
 * what the program sees does not depend on how fast it ran.
 *
 * Real descriptors and wake-ups from other threads are looked at, without blocking, before the
 * clock jumps; with `grace`, nothing must have come from them for so long in real time. Where there
 * is no time to jump to, the wait is a real one, and the clock stands. While something is known to
 * be under way outside (hold, or a lane that is busy), the clock goes by real time while the loop
 * waits: else every time limit on what a lane does would end before it.
 *
 * A delayed watch is not given to epoll before its time. So its readiness is seen late, and it can
 * be disarmed meanwhile.
 *
 * What is random is so by SplitMix64, with a generator for each use: asking for one kind of thing
 * does not change another.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "loop/backend.h"
#include "loop/lane.h"
#include "loop/watches.h"
#include "os/clock.h"

enum { DELAYED = 1000 }; /* tz_watch.list; epoll's are smaller */
static const uint64_t SLICE_NS = 1000000; /* to look again whether the lanes are busy */

struct sim {
	struct tz_backend base;
	struct tz_backend *real;
	struct tz_backend_options options;
	struct tz_watch *delayed; /* in order of `due` */
	size_t ndelayed;
	_Atomic uint64_t now; /* changed by the loop's thread, read by any */
	uint64_t order, faults, delays; /* states of the generators */
	uint64_t points;
	long held;
};

static struct sim *self(struct tz_backend *b)
{
	return (struct sim *)b;
}

/* G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators" (2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* --- chance ------------------------------------------------------------------------------------ */

static uint64_t sim_choose(struct tz_backend *b, uint64_t n)
{
	struct sim *s = self(b);

	return s->options.seed && n > 1 ? next_random(&s->order) % n : 0;
}

static int sim_fault(struct tz_backend *b, enum tz_point point)
{
	static const int codes[] = {
		[TZ_POINT_FD] = -ENOMEM,       [TZ_POINT_WORD] = -ENOMEM,
		[TZ_POINT_BLOCKING] = -EAGAIN, [TZ_POINT_PARK] = 0, /* cannot fail by itself */
		[TZ_POINT_JOB] = -EAGAIN,
	};
	struct sim *s = self(b);

	if (++s->points == s->options.fail_at)
		return s->options.fail_with;
	if (codes[point] == 0 || !(s->options.fail > 0))
		return 0;
	return (double)(next_random(&s->faults) >> 11) * 0x1p-53 < s->options.fail ? codes[point]
										   : 0;
}

static uint64_t sim_delay(struct tz_backend *b, enum tz_point point)
{
	struct sim *s = self(b);

	if (point == TZ_POINT_PARK || s->options.delay_ns == 0)
		return 0;
	return next_random(&s->delays) % (s->options.delay_ns + 1);
}

uint64_t tz_sim_points(const struct tz_backend *b)
{
	return b->ops == &tz_backend_sim ? ((const struct sim *)b)->points : 0;
}

static void sim_hold(struct tz_backend *b, int more)
{
	self(b)->held += more;
}

/* --- watches ----------------------------------------------------------------------------------- */

static void count(struct sim *s)
{
	s->base.armed = s->real->armed + s->ndelayed;
}

/* After all that are due no later. */
static void put_off(struct sim *s, struct tz_watch *w)
{
	struct tz_watch *first = s->delayed, *after = first ? first->prev : NULL;

	while (after && after->due > w->due)
		after = after == first ? NULL : after->prev;
	tz_watches_append(after ? &after->next : &s->delayed, w);
	if (!after)
		s->delayed = w;
	w->list = DELAYED;
	s->ndelayed++;
}

static void take_back(struct sim *s, struct tz_watch *w)
{
	tz_watches_remove(&s->delayed, w);
	w->list = 0;
	s->ndelayed--;
}

static int sim_arm(struct tz_backend *b, struct tz_watch *w)
{
	struct sim *s = self(b);
	int error = w->fd < 0 ? -EBADF : sim_fault(b, TZ_POINT_FD);
	uint64_t delay = sim_delay(b, TZ_POINT_FD);

	if (error < 0)
		return error;
	if (delay) {
		w->due = s->now + delay;
		w->revents = 0;
		put_off(s, w);
	} else {
		error = s->real->ops->arm(s->real, w);
	}
	count(s);
	return error;
}

static void sim_disarm(struct tz_backend *b, struct tz_watch *w)
{
	struct sim *s = self(b);

	if (w->list == DELAYED) {
		take_back(s, w);
	} else {
		s->real->ops->disarm(s->real, w);
	}
	count(s);
}

/* Gives epoll the watches whose delay is over; returns how many it refused. */
static int begin_waiting(struct sim *s)
{
	struct tz_watch *w;
	int refused = 0;

	while ((w = s->delayed) && w->due <= s->now) {
		take_back(s, w);
		int error = s->real->ops->arm(s->real, w);

		if (error < 0) {
			w->revents = error == -EBADF ? POLLNVAL : POLLERR;
			refused++;
			w->ready(w);
		}
	}
	return refused;
}

/* --- waiting ----------------------------------------------------------------------------------- */

/* Waits for what is real, for `grace` at most. */
static int wait_a_while(struct sim *s)
{
	uint64_t end = tz_clock_now() + s->options.grace_ns;
	int n;

	do
		n = s->real->ops->poll(s->real, s->options.grace_ns ? end : 1);
	while (n == 0 && s->options.grace_ns && tz_clock_now() < end);
	return n;
}

/* While something real is under way, time goes by as it does there. */
static int wait_really(struct sim *s, uint64_t until)
{
	uint64_t begun = tz_clock_now(), passed;
	int n = s->real->ops->poll(s->real, until ? begun + (until - s->now) : 0);

	passed = tz_clock_now() - begun;
	s->now = until && passed > until - s->now ? until : s->now + passed;
	return n;
}

static int wait_until(struct sim *s, uint64_t until)
{
	bool busy;
	int n;

	if (until && until <= s->now)
		return s->real->ops->poll(s->real, 1);
	if (s->held > 0)
		return wait_really(s, until);
	if (until == 0)
		return s->real->ops->poll(s->real, 0);
	busy = tz_lanes_are_busy(); /* before the look at what has come from there */
	n = wait_a_while(s);
	if (n != 0)
		return n;
	if (busy)
		return wait_really(s, until - s->now > SLICE_NS ? s->now + SLICE_NS : until);
	s->now = until;
	return 0;
}

static int sim_poll(struct tz_backend *b, uint64_t until_ns)
{
	struct sim *s = self(b);
	int refused = begin_waiting(s), n;

	if (refused)
		until_ns = 1;
	else if (s->delayed && (until_ns == 0 || s->delayed->due < until_ns))
		until_ns = s->delayed->due;
	n = wait_until(s, until_ns);
	count(s);
	return n < 0 ? n : n + refused;
}

static void sim_wake(struct tz_backend *b)
{
	struct tz_backend *real = self(b)->real;

	real->ops->wake(real);
}

static uint64_t sim_now(struct tz_backend *b)
{
	return atomic_load_explicit(&self(b)->now, memory_order_relaxed);
}

/* --- life -------------------------------------------------------------------------------------- */

static void sim_close(struct tz_backend *b)
{
	if (!b)
		return;
	tz_backend_epoll.close(self(b)->real);
	free(self(b));
}

static int sim_open(struct tz_backend **ret, const struct tz_backend_options *options)
{
	struct sim *s = calloc(1, sizeof *s);
	int error;

	if (!s)
		return -ENOMEM;
	error = tz_backend_epoll.open(&s->real, options);
	if (error < 0) {
		free(s);
		return error;
	}
	s->base.ops = &tz_backend_sim;
	s->options = *options;
	s->now = tz_clock_now();
	s->order = options->seed;
	s->faults = options->seed ^ UINT64_C(0x6661756c74730000);
	s->delays = options->seed ^ UINT64_C(0x64656c6179730000);
	*ret = &s->base;
	return 0;
}

const struct tz_backend_ops tz_backend_sim = {
	.name = "sim",
	.open = sim_open,
	.close = sim_close,
	.now = sim_now,
	.arm = sim_arm,
	.disarm = sim_disarm,
	.poll = sim_poll,
	.wake = sim_wake,
	.choose = sim_choose,
	.fault = sim_fault,
	.delay = sim_delay,
	.hold = sim_hold,
};
