/* A coroutine as a strand: its operations. The token is explained in coroutine.h. */
#include <errno.h>
#include <stddef.h>

#include "loop/loop.h"

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
		tz_ready_push(&c->loop->ready, tz_entry_of_coroutine(c));
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

static void coroutine_unpark_from_signal(struct tz_strand *s)
{
	struct tz_coroutine *c = coroutine_of(s);

	if (atomic_exchange_explicit(&s->token, TZ_TOKEN_PRESENT, memory_order_acq_rel) ==
	    TZ_TOKEN_PARKED)
		tz_loop_post(c->loop, tz_entry_of_coroutine(c));
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

	tz_ready_push(&c->loop->ready, tz_entry_of_coroutine(c));
	tz_loop_suspend(c);
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

static int coroutine_wait_word(struct tz_strand *s, const _Atomic uint32_t *word, uint32_t expected, tz_deadline deadline)
{
	(void)s, (void)word, (void)expected, (void)deadline;
	return -ENOTSUP;
}

static void coroutine_run_blocking(struct tz_strand *s, void (*fn)(void *arg), void *arg)
{
	(void)s;
	fn(arg);
}

const struct tz_strand_ops tz_coroutine_strand_ops = {
	.park = coroutine_park,
	.unpark = coroutine_unpark,
	.unpark_from_signal = coroutine_unpark_from_signal,
	.state = coroutine_state,
	.now = coroutine_now,
	.yield = coroutine_yield,
	.wait_fd = coroutine_wait_fd,
	.wait_word = coroutine_wait_word,
	.run_blocking = coroutine_run_blocking,
};
