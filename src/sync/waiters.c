/* Waiters: lining up, waiting and waking. The protocol is in waiters.h. */
#include "sync/waiters.h"

#include <limits.h>

#include "os/cpu.h"
#include "os/futex.h"

enum {
	LOCKED = 1,
	SLEEPER = 2,
	WAITING = TZ_WAITERS_WAITING,
	ONE = TZ_WAITERS_ONE,
	ALL = TZ_WAITERS_ALL
};
enum { SPINS = 60, BATCH = 8 };

static bool try_lock(struct tz_waiters *ws, uint32_t *w)
{
	return !(*w & LOCKED) &&
	       atomic_compare_exchange_weak_explicit(&ws->word, w, *w | LOCKED,
						     memory_order_acquire, memory_order_relaxed);
}

static void lock(struct tz_waiters *ws)
{
	uint32_t w;

	for (int i = 0; i < SPINS; i++) {
		w = atomic_load_explicit(&ws->word, memory_order_relaxed);
		if (try_lock(ws, &w))
			return;
		tz_cpu_relax();
	}
	for (;;) {
		w = atomic_load_explicit(&ws->word, memory_order_relaxed);
		if (try_lock(ws, &w))
			return;
		if (!(w & LOCKED))
			continue;
		if (!(w & SLEEPER) &&
		    !atomic_compare_exchange_strong_explicit(
			    &ws->word, &w, w | SLEEPER, memory_order_relaxed, memory_order_relaxed))
			continue;
		(void)tz_futex_wait(&ws->word, w | SLEEPER, 0);
	}
}

static void unlink_waiter(struct tz_waiters *ws, struct tz_waiting *w)
{
	*(w->prev ? &w->prev->next : &ws->first) = w->next;
	*(w->next ? &w->next->prev : &ws->last) = w->prev;
	if (!ws->first)
		(void)atomic_fetch_and_explicit(&ws->word, ~(uint32_t)WAITING,
						memory_order_relaxed);
}

static struct tz_strand *pop(struct tz_waiters *ws)
{
	struct tz_waiting *w = ws->first;
	struct tz_strand *strand = w->strand;

	unlink_waiter(ws, w);
	atomic_store_explicit(&w->woken, 1, memory_order_release); /* from here on *w may be gone */
	return strand;
}

/* Takes out who is to be woken, as the wake bits say; under the lock. */
static unsigned collect(struct tz_waiters *ws, struct tz_strand **out, unsigned n)
{
	uint32_t w =
		atomic_fetch_and_explicit(&ws->word, ~(uint32_t)(ONE | ALL), memory_order_acquire);
	unsigned end = w & ALL ? BATCH : n + 1;

	while (n < end && ws->first)
		out[n++] = pop(ws);
	if ((w & ALL) && ws->first) /* the batch is full: the rest in the next round */
		(void)atomic_fetch_or_explicit(&ws->word, ALL, memory_order_relaxed);
	return n;
}

/* Lets go of the lock, after doing the wakes that were asked for while it was held. */
static void unlock(struct tz_waiters *ws)
{
	uint32_t w;

	do {
		struct tz_strand *out[BATCH];
		unsigned n = 0;

		w = atomic_load_explicit(&ws->word, memory_order_relaxed);
		do {
			while ((w & (ONE | ALL)) && n < BATCH) {
				n = collect(ws, out, n);
				w = atomic_load_explicit(&ws->word, memory_order_relaxed);
			}
		} while (!atomic_compare_exchange_weak_explicit(
			&ws->word, &w, w & ~(uint32_t)(LOCKED | SLEEPER), memory_order_release,
			memory_order_relaxed));
		if (w & SLEEPER)
			tz_futex_wake(&ws->word, INT_MAX);
		for (unsigned i = 0; i < n; i++)
			tz_strand_unpark(out[i]);
		/* Wakes that did not fit into the batch: go on, unless somebody else holds the lock and so will. */
	} while ((w & (ONE | ALL)) &&
		 !(atomic_fetch_or_explicit(&ws->word, LOCKED, memory_order_acquire) & LOCKED));
}

void tz_waiters_enter(struct tz_waiters *ws, struct tz_waiting *w, struct tz_strand *self)
{
	w->strand = self;
	w->next = NULL;
	atomic_store_explicit(&w->woken, 0, memory_order_relaxed);
	lock(ws);
	w->prev = ws->last;
	*(ws->last ? &ws->last->next : &ws->first) = w;
	ws->last = w;
	(void)atomic_fetch_or_explicit(&ws->word, WAITING, memory_order_seq_cst);
	unlock(ws);
}

void tz_waiters_leave(struct tz_waiters *ws, struct tz_waiting *w)
{
	if (atomic_load_explicit(&w->woken, memory_order_acquire))
		return;
	lock(ws);
	if (!atomic_load_explicit(&w->woken, memory_order_relaxed))
		unlink_waiter(ws, w);
	unlock(ws);
}

int tz_waiters_wait(struct tz_waiters *ws, struct tz_waiting *w, const char *what, const void *on, tz_deadline deadline)
{
	while (!atomic_load_explicit(&w->woken, memory_order_acquire)) {
		tz_strand_waits(w->strand, what, on);
		int r = tz_strand_park(w->strand, deadline);

		if (r < 0) {
			tz_waiters_leave(ws, w);
			return r;
		}
	}
	return 0;
}

void tz_waiters_kick(struct tz_waiters *ws, uint32_t how)
{
	if (!(atomic_fetch_or_explicit(&ws->word, how | LOCKED, memory_order_acq_rel) & LOCKED))
		unlock(ws);
}
