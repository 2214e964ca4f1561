/* What a loop waits with: descriptors, the time, and wake-ups from outside. One table, two kinds:
 * `epoll`, and `sim`, whose time is virtual.
 *
 * Design notes
 *
 * Only the loop's thread uses a backend, except for tz_backend_wake.
 *
 * Wake-ups. wake() makes the poll under way, or else the next one, return at once; calls between
 * two polls count as one, and only the first of a burst makes a system call. A loop that wants to
 * save even that keeps a flag of its own:
 *
 *   loop    sleeping = 1; seq_cst fence; look at the inbox; if it is empty: poll; sleeping = 0
 *   waker   push into the inbox; seq_cst fence; if sleeping: wake()
 *
 * One of the two sees the other: so no push is slept over.
 *
 * Watches are one-shot and lie in their owner's memory. Readiness is a hint, as with poll(2):
 * whoever was told so tries, and may have to wait again. `ready` is called from poll only, never
 * from arm or disarm, and may arm and disarm what it likes.
 */
#ifndef TZ_LOOP_BACKEND_H
#define TZ_LOOP_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tz_backend;

/* Wait for a descriptor. The first four fields are set by the owner, who leaves the rest alone;
 * all-zero is not armed. */
struct tz_watch {
	int fd;
	short events; /* poll(2)'s: what to wait for */
	short revents; /* what has come: some of `events`, POLLERR, POLLHUP, POLLNVAL */
	void (*ready)(struct tz_watch *watch);
	struct tz_watch *next, *prev; /* in a ring with the others of its list */
	uint64_t due; /* sim: when the real waiting begins */
	uint32_t list; /* which it is in; 0: not armed */
};

struct tz_backend_options {
	bool old_kernel; /* do without epoll_pwait2: for tests */
	/* The rest is for sim. */
	uint64_t seed; /* of all that is random; 0: strands run first in, first out */
	uint64_t grace_ns; /* real time that nothing must have happened for, before time jumps */
	uint64_t delay_ns; /* the longest delay of a wait for a descriptor and of a blocking call */
	double fail; /* the share of those that fail, 0 to 1 */
	uint64_t fail_at; /* the n-th of all points fails, with the code fail_with; 0: none */
	int fail_with;
};

/* Where the simulation may make something fail or be slow. */
enum tz_point {
	TZ_POINT_FD, /* a wait for a descriptor: asked by the backend itself */
	TZ_POINT_WORD, /* a wait for a shared word */
	TZ_POINT_BLOCKING, /* a call that goes to a lane */
	TZ_POINT_PARK, /* any other wait */
	TZ_POINT_JOB /* the beginning of a job of an executor */
};

struct tz_backend_ops {
	const char *name;
	/* A backend for the calling thread. -ENOMEM, -EMFILE, -ENFILE. */
	int (*open)(struct tz_backend **ret, const struct tz_backend_options *options);
	/* Forgets all watches. In a fork child it does not touch the parent's. NULL is legal. */
	void (*close)(struct tz_backend *b);
	/* The loop's clock, ns, never 0, never going back. */
	uint64_t (*now)(struct tz_backend *b);
	/* Begins to wait; 0, -EBADF, -ENOMEM, -ENOSPC. What the system cannot wait for (a regular
	 * file) is ready at once. */
	int (*arm)(struct tz_backend *b, struct tz_watch *watch);
	/* Ends the wait; afterwards `ready` is not called. Nothing happens to a watch that is not
	 * armed. */
	void (*disarm)(struct tz_backend *b, struct tz_watch *watch);
	/* Waits until something happens, at most until that time on the loop's clock (0: for ever;
	 * a past time: does not block), and calls `ready` for what has. More than 0 if a watch was
	 * ready or wake was called; 0 if not: the time has come, or a signal handler ran; or a
	 * negative errno code. */
	int (*poll)(struct tz_backend *b, uint64_t until_ns);
	/* Ends a poll. Any thread; async-signal-safe. */
	void (*wake)(struct tz_backend *b);

	/* The simulation's; NULL elsewhere, for which the functions below stand in. choose is asked each time that somebody goes on, also if there is no
	 * choice: that is a step of the simulation. */
	uint64_t (*choose)(struct tz_backend *b, uint64_t n);
	int (*fault)(struct tz_backend *b, enum tz_point point);
	uint64_t (*delay)(struct tz_backend *b, enum tz_point point);
	void (*hold)(struct tz_backend *b, int more);
};

/* What every backend begins with. */
struct tz_backend {
	const struct tz_backend_ops *ops;
	size_t armed; /* watches that wait */
};

extern const struct tz_backend_ops tz_backend_epoll, tz_backend_sim;

/* Which of n ready strands goes next: 0 is the first. */
static inline uint64_t tz_backend_choose(struct tz_backend *b, uint64_t n)
{
	return b->ops->choose ? b->ops->choose(b, n) : 0;
}

/* 0, or the negative code with which this wait is to fail. */
static inline int tz_backend_fault(struct tz_backend *b, enum tz_point point)
{
	return b->ops->fault ? b->ops->fault(b, point) : 0;
}

/* For how long, on the loop's clock, to hold something up. */
static inline uint64_t tz_backend_delay(struct tz_backend *b, enum tz_point point)
{
	return b->ops->delay ? b->ops->delay(b, point) : 0;
}

/* Something begins (1) or ends (-1) outside of the loop, which will wake it: a call in a lane.
 * Virtual time does not jump meanwhile, but goes by as real time does. */
static inline void tz_backend_hold(struct tz_backend *b, int more)
{
	if (b->ops->hold)
		b->ops->hold(b, more);
}

/* How many points of a simulation have been met so far, for options.fail_at. */
uint64_t tz_sim_points(const struct tz_backend *b);

#endif
