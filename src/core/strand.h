/* The strand: what runs code, a thread or a coroutine, and the operations on which every blocking call stands.
 *
 * Design notes
 *
 * One table of operations is all that a blocking call knows of what it runs on: park, unpark, now, wait for a
 * descriptor, wait for a shared word, run something blocking. Threads implement it in strand_thread.c. Nothing
 * else in the library may ask which kind of strand it runs on.
 *
 * Park token. A strand has one token. unpark makes it present (and wakes a strand that is parked); park consumes
 * it, waiting for it if it is absent. unparks do not add up. Spurious returns are legal: a token may be left
 * over from an earlier wait that ended otherwise (time-out). So every wait is a loop around a condition of its
 * own, which the waker makes true *before* it calls unpark. unpark is a release and the return of park an
 * acquire operation: what the waker wrote before is seen.
 *
 * Life. A strand's memory is type-stable: it is recycled for other strands and never returned, because a waker
 * may still call unpark on a strand whose wait has just ended and whose thread is gone. That costs the
 * new owner one spurious return from park.
 *
 * The current scope (scope.h), the running job and the last outcome belong to the strand, never to plain
 * thread-local variables, since two coroutines share a thread. Only the strand itself touches those fields.
 */
#ifndef TZ_CORE_STRAND_H
#define TZ_CORE_STRAND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <trenza/future.h>
#include <trenza/outcome.h>
#include <trenza/time.h>

struct tz_strand;
struct tz_scope;
struct tz_frame;
struct tz_worker;
struct tz_job;

struct tz_strand_ops {
	/* Waits for self's token until the deadline. 0 after a token (or spuriously), -ETIMEDOUT. Only the strand itself. */
	int (*park)(struct tz_strand *self, tz_deadline deadline);
	/* Gives the token. Any thread; async-signal-safe. */
	void (*unpark)(struct tz_strand *strand);
	/* What the strand, whose job runs, is doing: any thread, and it may have changed the next moment. */
	enum tz_task_state (*state)(const struct tz_strand *strand);
	/* The strand's clock, ns, never 0. */
	uint64_t (*now)(struct tz_strand *self);
	/* Lets other strands run. */
	void (*yield)(struct tz_strand *self);
	/* Waits until poll(2)'s `events` or an error shows on fd; ret_revents says which. 0, -ETIMEDOUT, or spuriously
	 * -EINTR after an unpark, so that the caller can look at its scope. */
	int (*wait_fd)(struct tz_strand *self, int fd, short events, tz_deadline deadline, short *ret_revents);
	/* Waits while *word == expected; the word may lie in memory shared with other processes. 0, -EAGAIN, -ETIMEDOUT,
	 * -EINTR as above. */
	int (*wait_word)(struct tz_strand *self, const _Atomic uint32_t *word, uint32_t expected, tz_deadline deadline);
	/* Runs fn(arg), which may block the thread, so that other strands of this one's thread or pool can go on. */
	void (*run_blocking)(struct tz_strand *self, void (*fn)(void *arg), void *arg);
	/* The strand has cancelled a job that had not begun, and holds its handle: its own executor may drop what it keeps of it. Optional. */
	void (*cancelled)(struct tz_strand *self, struct tz_job *job);
	/* Lets others run if the strand has had its slice of time. Of strands that share a thread only. */
	void (*end_slice)(struct tz_strand *self);
};

enum {
	TZ_STRAND_NO_SPIN = 1, /* others share the strand's thread, so it must not wait by spinning */
	TZ_STRAND_SIMULATED = 2 /* its clock is not the machine's */
};

struct tz_strand {
	const struct tz_strand_ops *ops;
	_Atomic uint32_t token; /* for the implementation of park */
	uint32_t flags; /* TZ_STRAND_... */
	struct tz_scope *scope; /* innermost; NULL: no deadline and nothing to cancel */
	struct tz_frame *frame; /* the job that runs here, NULL outside of jobs */
	struct tz_worker *worker; /* the pool's worker whose thread this is, or NULL */
	void (*on_block)(struct tz_strand *self, bool begin); /* the pool's: this thread begins or ends to block; or NULL */
	void **locals; /* strand-local values by key, or NULL (sync/local.c) */
	_Atomic uint32_t dirty; /* a request has come to one of its scopes, to be passed on to what they own (scope.c) */
	uint32_t nlocals;
	struct tz_strand *next_free; /* the free list, when nobody's */
	const char *last_task; /* the task's name, if it has not been copied into `last` yet */
	void (*on_job_end)(struct tz_strand *self, struct tz_frame *frame); /* the pool's: joins forks left over; or NULL */
	struct tz_scope *base; /* parent of the outermost scope of every job here: its pool's, or NULL */
	bool restless; /* its pool could not start a stand-in for it: park in slices, to let it try again */
	struct tz_bindings *bindings; /* of context variables, or NULL (bindings.c) */
	const char *waits_for; /* what it parks for, in a word, or NULL; for reports, read while it is parked */
	const void *waits_on; /* the object, or NULL */
	uint32_t refused; /* waits in a row that were refused because the scope has ended */
	uint32_t quick; /* calls that could wait, counted so that a slice ends */
	uint64_t ident; /* a number that no other strand ever has, once somebody has asked for it; else 0 */
	bool borrows; /* runs a piece of another strand's job, whose cancel does not wake this one: park in slices */
	tz_outcome last; /* outcome that the last tz_result, tz_gather or tz_map met here */
};

extern _Thread_local struct tz_strand *tz_strand_current __attribute__((tls_model("initial-exec"), visibility("hidden")));
struct tz_strand *tz_strand_adopt_foreign(void);

/* The calling strand; never NULL: a foreign thread gets a strand on its first call. */
static inline struct tz_strand *tz_strand_self(void)
{
	struct tz_strand *s = tz_strand_current;

	return __builtin_expect(s != NULL, 1) ? s : tz_strand_adopt_foreign();
}

/* As tz_strand_self, but NULL where the thread has none yet: for destructors and signal handlers. */
static inline struct tz_strand *tz_strand_peek(void)
{
	return tz_strand_current;
}

static inline void tz_strand_unpark(struct tz_strand *s)
{
	s->ops->unpark(s);
}

/* A number for a strand, which its memory's next owner does not have; never 0. Only the strand itself. */
uint64_t tz_strand_number(struct tz_strand *self);

static inline uint64_t tz_strand_ident(struct tz_strand *self)
{
	return __builtin_expect(self->ident != 0, 1) ? self->ident : tz_strand_number(self);
}

/* Whether it makes sense for the strand to wait by spinning (spin.h). */
bool tz_strand_may_spin(const struct tz_strand *self);

/* Why a wait that is allowed to end early must end now: 0 (go on), -ECANCELED, -ETIMEDOUT, from the scopes of self.
 * One load where there is no scope. */
int tz_strand_interrupted(struct tz_strand *self);

/* For a wait that must end so: writes that down in the scopes, and lets others run, since the code may go on to wait in vain. Returns `why`. */
int tz_strand_refuse(struct tz_strand *self, int why);

/* The earlier of `deadline` and the scope's. */
tz_deadline tz_strand_deadline(struct tz_strand *self, tz_deadline deadline);

enum { TZ_QUICK_CALLS = 16 };

/* A call that waits at times begins, or has had no need to. A strand whose calls never need to would keep from running all others that share
 * its thread: every so many calls it looks whether its slice of time is over. May suspend, so not where a handler may be; and where the call gives
 * the caller something that others wait for, before that. */
static inline void tz_strand_count_call(void)
{
	struct tz_strand *s = tz_strand_current;

	if (s && s->flags & TZ_STRAND_NO_SPIN && ++s->quick % TZ_QUICK_CALLS == 0)
		s->ops->end_slice(s);
}

/* Says what the next park of self is for; it is forgotten when that returns. */
static inline void tz_strand_waits(struct tz_strand *self, const char *what, const void *on)
{
	self->waits_for = what;
	self->waits_on = on;
}

/* The words for what reports treat apart: the object is the job's task, or the number of the descriptor. */
extern const char tz_waits_for_future[], tz_waits_for_descriptor[];

/* Parks once, obeying the scope: 0 after a token (look at your condition again), -ETIMEDOUT or -ECANCELED. Tells the
 * pool, if self is one of its workers, that this thread blocks, so that another one may run in its place. */
int tz_strand_park(struct tz_strand *self, tz_deadline deadline);

/* As tz_strand_park, for waits that may not end early (a plain lock): deaf to the scope and to every deadline. */
void tz_strand_park_deaf(struct tz_strand *self);

/* Tell the pool, if self is one of its workers, that the thread begins to block or goes on. They nest. */
void tz_strand_block_begin(struct tz_strand *self);
void tz_strand_block_end(struct tz_strand *self);

/* Makes and ends the strand of a thread that the library starts; free gives it back for reuse. */
struct tz_strand *tz_strand_new_thread(void);
void tz_strand_adopt(struct tz_strand *strand); /* the calling thread is that strand from now on */
void tz_strand_free(struct tz_strand *strand);

/* Makes a strand of another kind, whose memory is its owner's; and between two jobs, ends what belongs to the first: its strand-local values
 * and its last outcome. The token is left alone, as above. */
void tz_strand_set_up(struct tz_strand *strand, const struct tz_strand_ops *ops, uint32_t flags);
void tz_strand_drop_locals(struct tz_strand *strand);
static inline void tz_strand_recycle(struct tz_strand *strand)
{
	if (__builtin_expect(strand->nlocals != 0, 0))
		tz_strand_drop_locals(strand);
	strand->ident = 0;
	strand->last.status = TZ_PENDING;
	strand->last_task = NULL;
}

/* Around fork(2): the free list is not in the middle of something in the child. */
void tz_strand_fork_prepare(void);
void tz_strand_fork_done(void);

/* Called at the end of a strand, before it is freed: releases its local values. Set by sync/local.c. */
void tz_strand_at_exit(void (*fn)(struct tz_strand *strand));

#endif
