/* The inlet: the ring through which one thread outside a pool submits ordinary jobs to it. The pool's
 * workers take from it.
 *
 * Design notes
 *
 * One thread pushes, any may take. `tail` counts what was pushed, `head` what was taken; both only grow,
 * so that a count that comes back is no danger. push stores the entry, then `tail` (seq_cst: the pusher
 * looks next whether anybody must be woken, see pool.c). take reads the entry, then moves `head` by
 * compare-and-swap (release): if that succeeds the entry was still there, as the pusher overwrites it
 * only after it has seen (acquire) a `head` beyond it. Either side keeps what it saw of the other's count
 * on its own line, and looks again only when that does not do: as long as the ring is neither empty nor
 * full, the two lines stay where they are. The takers share theirs, `seen`; several may store it at
 * once, and an old value only makes one of them look again.
 *
 * Life. The ring is held by its thread and by its pool, whichever ends first, and freed by the one that
 * lets go last. A thread that ends leaves the ring vacant, with what is in it; the next new thread moves
 * in. A thread finds its ring by the pool's number, which is never used again; so a ring of a pool that is
 * gone is not mistaken for one of a pool that lies at the same place.
 *
 * `inside`. The job that was just pushed may run, and have the pool closed, while its submitter is still
 * about to look whether somebody must be woken. So the submitter is `inside` from before it pushes until
 * it does not touch the pool any more. Who has heard from the job, and closes the pool for that, sees it
 * inside (what was stored before the push is seen by whoever takes the job, and by whom that one tells),
 * and waits.
 */
#ifndef TZ_SCHED_INLET_H
#define TZ_SCHED_INLET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <trenza/executor_impl.h>

#include "os/atomic.h"
#include "os/cpu.h"

enum {
	TZ_INLET_SIZE = 1024, /* jobs in a ring; what is more goes to the injector */
	TZ_INLETS = 64, /* rings of a pool; further threads submit to the injector */
	TZ_INLET_AHEAD = 8 /* jobs ahead whose cache lines a taker asks for */
};

struct tz_inlet {
	/* The submitter's line. */
	_Alignas(64) _Atomic uint64_t tail;
	uint64_t room; /* there is room up to this tail: `head`, as it was seen, and the size */
	_Atomic bool inside;
	/* The takers' line. */
	_Alignas(64) _Atomic uint64_t head;
	_Atomic uint64_t seen; /* `tail`, as it was seen */
	/* Seldom changed. */
	_Alignas(64) uint64_t pool; /* its number */
	struct tz_inlet *next; /* of the same thread */
	_Atomic int holders;
	_Atomic bool vacant;
	_Atomic(tz_job *) jobs[TZ_INLET_SIZE];
};

/* The number of no pool. */
#define TZ_INLETS_SHUT UINT64_MAX

/* The inlets of a pool. Added to under its lock, looked at without. */
struct tz_inlets {
	_Atomic int n;
	_Atomic(struct tz_inlet *) all[TZ_INLETS];
};

/* The calling thread's inlet into the pool that it used last; pool 0: none. */
struct tz_inlet_here {
	uint64_t pool;
	struct tz_inlet *inlet;
};
extern _Thread_local struct tz_inlet_here tz_inlet_here
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* A number for a new pool. */
uint64_t tz_inlet_pool_number(void);

/* The calling thread's inlet into a pool: true if there is one; tz_inlet_here is it from now on. */
bool tz_inlet_find(uint64_t pool);

/* Gives the calling thread an inlet; under the pool's lock. False without memory, or if there are too
 * many. */
bool tz_inlet_add(struct tz_inlets *inlets, uint64_t pool);

/* Waits until no thread is inside that was inside when the call began. */
void tz_inlets_settle(struct tz_inlets *inlets);

/* The pool lets go of its inlets. They are empty. */
void tz_inlets_done(struct tz_inlets *inlets);

static inline int tz_inlets_count(struct tz_inlets *inlets)
{
	return atomic_load_explicit(&inlets->n, memory_order_acquire);
}

static inline struct tz_inlet *tz_inlet_at(struct tz_inlets *inlets, int i)
{
	return atomic_load_explicit(&inlets->all[i], memory_order_relaxed);
}

static inline size_t tz_inlet_length(struct tz_inlet *in)
{
	uint64_t head = atomic_load_explicit(
		&in->head, memory_order_relaxed); /* first: it is never beyond a later tail */

	return (size_t)(atomic_load_explicit(&in->tail, memory_order_relaxed) - head);
}

/* The jobs that lie in all of them, and all that were ever pushed. */
static inline size_t tz_inlets_length(struct tz_inlets *inlets)
{
	size_t length = 0;

	for (int i = 0, n = tz_inlets_count(inlets); i < n; i++)
		length += tz_inlet_length(tz_inlet_at(inlets, i));
	return length;
}

uint64_t tz_inlets_pushed(struct tz_inlets *inlets);

/* Its thread only. Pushes a job, if there was room when it looked last. Then the thread is inside, until
 * tz_inlet_leave. */
static inline bool tz_inlet_push(struct tz_inlet *in, tz_job *job)
{
	uint64_t tail = atomic_load_explicit(&in->tail, memory_order_relaxed);

	if (__builtin_expect(in->room == tail, 0))
		return false;
	atomic_store_explicit(&in->jobs[tail % TZ_INLET_SIZE], job, memory_order_relaxed);
	atomic_store_explicit(&in->inside, true, memory_order_relaxed);
	tz_store_seq_cst(&in->tail, tail + 1);
	return true;
}

/* Its thread only. Looks for room, if need be, and pushes as many of n jobs as there is room for;
 * returns how many. If that is not 0, the thread is inside then. */
size_t tz_inlet_push_all(struct tz_inlet *in, tz_job *const *jobs, size_t n);

static inline void tz_inlet_leave(struct tz_inlet *in)
{
	atomic_store_explicit(&in->inside, false, memory_order_release);
}

/* How many there are to take beyond `head`, by what was seen of `tail`, or else by looking. */
static inline uint64_t tz_inlet_beyond(struct tz_inlet *in, uint64_t head)
{
	uint64_t seen = atomic_load_explicit(&in->seen, memory_order_acquire);

	if (__builtin_expect(head >= seen, 0)) {
		seen = atomic_load_explicit(&in->tail, memory_order_acquire);
		if (head >= seen)
			return 0;
		atomic_store_explicit(&in->seen, seen, memory_order_release);
	}
	return seen - head;
}

static inline tz_job *tz_inlet_job(struct tz_inlet *in, uint64_t at)
{
	return atomic_load_explicit(&in->jobs[at % TZ_INLET_SIZE], memory_order_relaxed);
}

/* Any thread. Takes the oldest job; NULL if there is none. */
static inline tz_job *tz_inlet_take(struct tz_inlet *in)
{
	uint64_t head = atomic_load_explicit(&in->head, memory_order_relaxed), beyond;
	tz_job *job;

	do {
		beyond = tz_inlet_beyond(in, head);
		if (beyond == 0)
			return NULL;
		job = tz_inlet_job(in, head);
	} while (!atomic_compare_exchange_weak_explicit(
		&in->head, &head, head + 1, memory_order_release, memory_order_relaxed));
	if (beyond > TZ_INLET_AHEAD)
		tz_cpu_fetch_to_write(tz_inlet_job(in, head + TZ_INLET_AHEAD));
	return job;
}

/* Any thread. Takes the oldest jobs, at most n; returns how many. */
size_t tz_inlet_take_all(struct tz_inlet *in, tz_job **jobs, size_t n);

#endif
