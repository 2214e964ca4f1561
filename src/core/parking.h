/* The parking lot: where strands wait for an address, first come, first served.
 *
 * Everything that waits for an object (a lock, a condition, a queue) waits here, so that the object
 * itself needs no more than a bit that says "somebody waits for me". The waiters queue in a static
 * table of buckets, hashed by the object's address; their nodes lie on their own stacks. Nothing
 * here allocates or fails, so it works before main, in a signal's shadow, and in a fork child.
 *
 * Design notes
 *
 * Bucket lock. The bucket's lock guards its queue, and each object's "somebody waits" bit is
 * changed only under the lock of the bucket of that object's address. So whoever holds it sees
 * queue and bit agree. Sections are short; no user's code runs in them. Two buckets are locked in
 * the order of their addresses.
 *
 * One answer. A waiter leaves the queue exactly once, under the bucket lock: a waker takes it, or
 * it withdraws because its time is up. Who was taken was woken, even if its time was up as well:
 * its wait answers 0. So no wake-up is lost in a waiter that gives up, and none needs to be passed
 * on.
 *
 * Waking. The waker takes nodes from the queue under the lock, lets go of it, and then for each
 * node: reads what it needs of it (the next one, the strand), swaps DONE into its state, and gives
 * the strand its token if it found it asleep. After the swap the node may be gone; the strand may
 * belong to somebody else by then, which is harmless (strand.h). The waker has long stopped
 * touching the object: an object may be freed by a waiter that it woke.
 *
 * Spinning. A waiter may first look at its own state for a while without sleeping: briefly, since
 * most hand-overs between strands that both run are over in no time, then with one of the process's
 * seats (spin.h), which the waker gives back for it. Neither costs the waker a system call.
 *
 * Signal handlers. tz_parking_signal is the one call that a signal handler may make, even one that
 * interrupted a thread in the middle of a bucket's section. It only tries to lock the bucket; if
 * that fails it leaves a note in the bucket and whoever holds the lock sees to it after unlocking.
 * Note, then try to lock; unlock, then look for notes: all four are sequentially consistent, so one
 * of the two sides sees the other.
 */
#ifndef TZ_CORE_PARKING_H
#define TZ_CORE_PARKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/spin.h"
#include "core/strand.h"

/* A waiter. The waiter's object sets strand, and what it wants of the lower half; the rest is the
 * parking lot's. */
struct tz_parked {
	struct tz_parked *prev, *next;
	const void *key;
	const char *what;
	_Atomic uint32_t state;
	bool queued;
	bool by_signal;
	struct tz_moment woken;

	struct tz_strand *strand; /* the calling one */
	uint32_t token; /* from the waker to the waiter: what `take` sets */
	uint32_t kind; /* what this one waits for */
	void *object;
	uint64_t since; /* when it came, on its strand's clock */
};

enum {
	TZ_PARKING_DEAF = 1, /* the wait may not end early */
	TZ_PARKING_FRONT = 2, /* queue before all others: it has waited in this queue before */
	TZ_PARKING_SPIN = 4, /* look for the waker for a while before sleeping */
	TZ_PARKING_BY_SIGNAL = 8 /* tz_parking_signal wakes it */
};

/* What the object does at the steps of a wait; `begin` must be there, the others may be NULL. */
struct tz_parking_steps {
	/* What is waited for, in a word, for reports; NULL: not said. */
	const char *name;
	/* Under the bucket lock, before queueing: whether to wait at all. Sets the object's waiting
	 * bit. */
	bool (*begin)(struct tz_parked *node);
	/* After queueing, with no lock held, before sleeping. */
	void (*queued)(struct tz_parked *node);
	/* Under the bucket lock, when the node has withdrawn: whether others still wait for the
	 * key. */
	void (*withdrawn)(struct tz_parked *node, bool more);
};

/* Waits for `key`. 0 once woken, -EAGAIN if `begin` said no; unless deaf also -ETIMEDOUT at the
 * deadline or the scope's, and -ECANCELED. A waiter that was moved (below) has been chosen, and
 * waits on without a deadline. */
int tz_parking_wait(struct tz_parked *node, const void *key, const struct tz_parking_steps *steps,
		    unsigned flags, tz_deadline deadline);

/* Whether it is worth for the strand of `node` to look at the object itself for a moment before it
 * waits here. */
bool tz_parking_patient(const void *key, const struct tz_parked *node);

/* What to do with a waiter that a waker looks at. */
enum tz_parking_choice {
	TZ_PARKING_TAKE, /* wake it */
	TZ_PARKING_PASS, /* leave it and look at the next one */
	TZ_PARKING_STOP /* leave it and all after it */
};

/* Wakes waiters for key, in order. Under the bucket lock, `take` chooses for each (NULL: takes the
 * first max), and then `settle`, if not NULL, is called once with the number of taken ones and
 * whether others still wait: it sets the object's word. Returns the number taken. */
size_t tz_parking_wake(const void *key, size_t max,
		       enum tz_parking_choice (*take)(struct tz_parked *node, void *arg),
		       void (*settle)(void *arg, size_t taken, bool more), void *arg);

/* For the condition: takes at most max waiters for `from`, in order. Each is either woken or moved
 * to the end of the queue for its own node->object: `move` chooses, under the locks of both
 * buckets. A waiter whose object is not the first one's is woken. `settle` is told, under the lock
 * of `from`, whether more wait there. */
void tz_parking_move(const void *from, size_t max, bool (*move)(struct tz_parked *node, void *arg),
		     void (*settle)(void *arg, bool more), void *arg);

/* Whether a waiter spins rather than sleeps. It may change its mind at any time. */
bool tz_parking_spins(const struct tz_parked *node);

/* For a waiter by signal, `key` is a 32-bit word, and the bits of TZ_PARKING_GENERATION in it count
 * what it waits for. Its `kind` is the generation that it saw in `begin`. tz_parking_signal wakes
 * all those who saw another one than there is now. Async-signal-safe, and does not touch *key
 * unless somebody still waits for it. */
#define TZ_PARKING_GENERATION 0xfffffffcu
void tz_parking_signal(const uint32_t *key);

/* In `begin` and `settle`, where the bucket of `key` is locked: whether anybody waits for it. */
bool tz_parking_is_awaited(const void *key);

/* In a fork child: forgets all waiters, which are strands that do not exist here. The objects still
 * say that somebody waits, or is on its way: the former is found out by the next waker, for the
 * latter see below. */
void tz_parking_after_fork(void);

/* Whether this process is a fork child, so that what an object's word says of strands other than
 * waiters may be about strands of the parent. */
bool tz_parking_was_forked(void);

#endif
