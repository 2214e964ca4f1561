/* A coroutine as a strand: its operations. The token is explained in coroutine.h. */
#include <errno.h>
#include <stddef.h>

#include "loop/lane.h"
#include "loop/later.h"
#include "loop/loop.h"
#include "loop/word.h"
#include "os/clock.h"

static struct tz_coroutine *coroutine_of(struct tz_strand *s)
{
	return (struct tz_coroutine *)s;
}

/* --- park and unpark --------------------------------------------------------------------------- */

static bool take_token(struct tz_coroutine *c, uint32_t from, uint32_t to)
{
	return atomic_compare_exchange_strong_explicit(&c->strand.token, &from, to,
						       memory_order_acq_rel, memory_order_acquire);
}

static void time_is_up(struct tz_wheel_timer *timer)
{
	struct tz_coroutine *c =
		(struct tz_coroutine *)(void *)((char *)timer -
						offsetof(struct tz_coroutine, timer));

	if (take_token(c, TZ_TOKEN_PARKED, TZ_TOKEN_ABSENT)) {
		c->timed_out = true;
		tz_ready_push_coroutine(&c->loop->ready, c);
	}
}

static int park_until(struct tz_coroutine *c, tz_deadline deadline)
{
	c->timed_out = false;
	tz_wheel_set(&c->loop->wheel, &c->timer, deadline.ns, time_is_up);
	tz_loop_suspend(c);
	if (c->timed_out)
		return -ETIMEDOUT;
	(void)tz_wheel_clear(&c->loop->wheel, &c->timer);
	return 0;
}

static int coroutine_park(struct tz_strand *s, tz_deadline deadline)
{
	struct tz_coroutine *c = coroutine_of(s);
	int r = 0;

	c->since = c->loop->now;
	if (take_token(c, TZ_TOKEN_ABSENT, TZ_TOKEN_PARKED)) {
		if (deadline.ns)
			r = park_until(c, deadline);
		else
			tz_loop_suspend(c);
	}
	/* After a time-out the token may be there as well; the next park has it. */
	if (r == 0)
		(void)atomic_exchange_explicit(&s->token, TZ_TOKEN_ABSENT, memory_order_acquire);
	return r;
}

static void coroutine_unpark(struct tz_strand *s)
{
	struct tz_coroutine *c = coroutine_of(s);

	if (atomic_exchange_explicit(&s->token, TZ_TOKEN_PRESENT, memory_order_acq_rel) ==
	    TZ_TOKEN_PARKED)
		tz_loop_wake(c->loop, c);
}

static enum tz_task_state coroutine_state(const struct tz_strand *s)
{
	const struct tz_coroutine *c = (const struct tz_coroutine *)s;

	if (atomic_load_explicit(&s->token, memory_order_relaxed) == TZ_TOKEN_PARKED)
		return TZ_TASK_WAITING;
	return __atomic_load_n(&c->loop->current, __ATOMIC_RELAXED) == c ? TZ_TASK_RUNNING
									 : TZ_TASK_RUNNABLE;
}

static uint64_t coroutine_now(struct tz_strand *s)
{
	struct tz_backend *b = coroutine_of(s)->loop->backend;

	return b->ops->now(b);
}

static void coroutine_yield(struct tz_strand *s)
{
	struct tz_coroutine *c = coroutine_of(s);

	tz_ready_push_coroutine(&c->loop->ready, c);
	tz_loop_suspend(c);
}

/* In a simulation time stands still while somebody is ready, so there others get their turn by count. */
static void coroutine_end_slice(struct tz_strand *s)
{
	struct tz_loop *l = coroutine_of(s)->loop;

	if (!l->simulated && tz_clock_ticks() < l->slice_end)
		return;
	l->turns = 0; /* main looks around first */
	coroutine_yield(s);
}

/* --- descriptors ---------------------------------------------------------------------------------------------------------------- */

struct fd_wait {
	struct tz_watch watch; /* first */
	struct tz_strand *strand;
	bool is_ready;
};

static void fd_is_ready(struct tz_watch *watch)
{
	struct fd_wait *w = (struct fd_wait *)watch;

	w->is_ready = true;
	coroutine_unpark(w->strand);
}

static int coroutine_wait_fd(struct tz_strand *s, int fd, short events, tz_deadline deadline, short *ret_revents)
{
	struct tz_backend *b = coroutine_of(s)->loop->backend;
	struct fd_wait w = { .watch = { .fd = fd, .events = events, .ready = fd_is_ready }, .strand = s };
	int r = b->ops->arm(b, &w.watch);

	if (r < 0)
		return r;
	r = coroutine_park(s, deadline);
	if (w.is_ready) {
		*ret_revents = w.watch.revents;
		return 0;
	}
	b->ops->disarm(b, &w.watch);
	return r == 0 ? -EINTR : r;
}

/* Where a simulation is to make something slow or fail. */
static int meet_point(struct tz_strand *s, enum tz_point point)
{
	struct tz_backend *b = coroutine_of(s)->loop->backend;
	uint64_t delay = tz_backend_delay(b, point);

	if (delay) {
		tz_deadline until = { b->ops->now(b) + delay };

		while (coroutine_park(s, until) == 0)
			;
	}
	return tz_backend_fault(b, point);
}

/* --- words --------------------------------------------------------------------------------------------------------------------- */

struct word_wait {
	struct tz_word_wait wait; /* first */
	struct tz_strand *strand;
};

static void word_has_changed(struct tz_word_wait *wait)
{
	coroutine_unpark(((struct word_wait *)wait)->strand);
}

static int coroutine_wait_word(struct tz_strand *s, const _Atomic uint32_t *word, uint32_t expected, tz_deadline deadline)
{
	struct word_wait w = { .wait = { .word = word, .expected = expected, .woken = word_has_changed }, .strand = s };
	struct tz_backend *b = coroutine_of(s)->loop->backend;
	int r = meet_point(s, TZ_POINT_WORD);

	if (r == 0)
		r = tz_word_watch(&w.wait);
	if (r < 0)
		return r;
	tz_backend_hold(b, 1);
	r = coroutine_park(s, deadline);
	tz_backend_hold(b, -1);
	if (!tz_word_unwatch(&w.wait))
		return 0;
	return r == 0 ? -EINTR : r;
}

/* --- blocking calls ---------------------------------------------------------------------------------------------------------------- */

static void coroutine_run_blocking(struct tz_strand *s, void (*fn)(void *arg), void *arg)
{
	struct tz_backend *b = coroutine_of(s)->loop->backend;

	(void)meet_point(s, TZ_POINT_BLOCKING); /* it has nothing to fail with: that is for who calls */
	tz_backend_hold(b, 1);
	tz_lane_call(TZ_LANE_IO, fn, arg);
	tz_backend_hold(b, -1);
}

static void coroutine_cancelled(struct tz_strand *s, struct tz_job *job)
{
	tz_later_forget(coroutine_of(s)->loop, job);
}

const struct tz_strand_ops tz_coroutine_strand_ops = {
	.park = coroutine_park,
	.unpark = coroutine_unpark,
	.state = coroutine_state,
	.now = coroutine_now,
	.yield = coroutine_yield,
	.wait_fd = coroutine_wait_fd,
	.wait_word = coroutine_wait_word,
	.run_blocking = coroutine_run_blocking,
	.cancelled = coroutine_cancelled,
	.end_slice = coroutine_end_slice,
};
