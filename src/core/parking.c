/* The parking lot. See parking.h for the protocol. */
#include "core/parking.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "core/job.h"
#include "core/probe.h"
#include "core/sitting.h"
#include "os/atomic.h"
#include "os/mutex.h"

/* A waiter's state: LOOKING while it spins briefly without a seat, SPINNING while it has one,
 * ASLEEP also on its way to sleep. */
enum { LOOKING = 0, SPINNING = 1, ASLEEP = 2, DONE = 3 };

enum { LOOKS = 24 };

enum { BUCKET_BITS = 8, BUCKETS = 1 << BUCKET_BITS };

struct bucket {
	_Alignas(TZ_CACHE_LINE) struct tz_mutex lock;
	_Atomic uint32_t notes; /* a signal handler was here while the lock was held */
	struct tz_parked *head, *tail; /* by lock */
	struct tz_patience patience;
};

static struct bucket buckets[BUCKETS];

static struct bucket *bucket_of(const void *key)
{
	/* Fibonacci hashing: neighbouring objects spread over the table. */
	uint64_t h = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);

	return &buckets[h >> (64 - BUCKET_BITS)];
}

static void serve_notes(struct bucket *b);

static _Atomic bool used; /* any of them */

/* Seen by a fork child that sees anything of the use. */
static void note_use(void)
{
	if (__builtin_expect(atomic_load_explicit(&used, memory_order_relaxed), 1))
		return;
	atomic_store_explicit(&used, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

static void lock_bucket(struct bucket *b)
{
	note_use();
	tz_mutex_lock(&b->lock);
}

static bool try_lock_bucket(struct bucket *b)
{
	uint32_t unlocked = 0;

	note_use();
	return atomic_compare_exchange_strong_explicit(&b->lock.word, &unlocked, 1,
						       memory_order_seq_cst, memory_order_seq_cst);
}

static void unlock_bucket(struct bucket *b)
{
	/* As tz_mutex_unlock, but ordered before the look at the notes. */
	if (atomic_exchange_explicit(&b->lock.word, 0, memory_order_seq_cst) == 2)
		tz_futex_wake(&b->lock.word, 1);
	if (__builtin_expect(atomic_load_explicit(&b->notes, memory_order_seq_cst) != 0, 0))
		serve_notes(b);
}

static struct bucket *lock_key(const void *key)
{
	struct bucket *b = bucket_of(key);

	lock_bucket(b);
	return b;
}

static void unlock_two(struct bucket *a, struct bucket *b)
{
	unlock_bucket(a);
	if (a != b)
		unlock_bucket(b);
}

/* Queues: all by the bucket's lock. */

static void append(struct bucket *b, struct tz_parked *n)
{
	n->prev = b->tail;
	n->next = NULL;
	*(b->tail ? &b->tail->next : &b->head) = n;
	b->tail = n;
	n->queued = true;
}

static void prepend(struct bucket *b, struct tz_parked *n)
{
	n->prev = NULL;
	n->next = b->head;
	*(b->head ? &b->head->prev : &b->tail) = n;
	b->head = n;
	n->queued = true;
}

static void unlink_node(struct bucket *b, struct tz_parked *n)
{
	*(n->prev ? &n->prev->next : &b->head) = n->next;
	*(n->next ? &n->next->prev : &b->tail) = n->prev;
	n->queued = false;
}

/* The first waiter for key from n on, n included. */
static struct tz_parked *find(struct tz_parked *n, const void *key)
{
	while (n && n->key != key)
		n = n->next;
	return n;
}

/* Those taken from a queue and not woken yet, linked by next. */
struct taken {
	struct tz_parked *first, **last;
};

static void take_node(struct bucket *b, struct tz_parked *n, struct taken *t)
{
	unlink_node(b, n);
	n->next = NULL;
	*t->last = n;
	t->last = &n->next;
}

static void wake_taken(const struct taken *t)
{
	struct tz_parked *next;

	for (struct tz_parked *n = t->first; n; n = next) {
		struct tz_strand *strand = n->strand;

		next = n->next;
		if (atomic_load_explicit(&n->state, memory_order_relaxed) != LOOKING)
			n->woken = tz_moment_now();
		switch (atomic_exchange_explicit(&n->state, DONE, memory_order_acq_rel)) {
		case SPINNING:
			tz_spin_leave(); /* its seat; see spin.h */
			break;
		case ASLEEP:
			tz_strand_unpark(strand);
		}
	}
}

/* Waiting */

static bool is_done(struct tz_parked *n)
{
	return atomic_load_explicit(&n->state, memory_order_acquire) == DONE;
}

/* False if the waiter was woken instead. */
static bool change_state(struct tz_parked *n, uint32_t from, uint32_t to)
{
	return atomic_compare_exchange_strong_explicit(&n->state, &from, to, memory_order_acquire,
						       memory_order_acquire);
}

bool tz_parking_patient(const void *key, const struct tz_parked *n)
{
	return tz_strand_may_spin(n->strand) && tz_patience_is_left(&bucket_of(key)->patience);
}

/* How long to spin, in ticks, before sleeping. */
static uint32_t ask_patience(struct bucket *b, const struct tz_parked *n, unsigned flags)
{
	if (!(flags & TZ_PARKING_SPIN) || !tz_strand_may_spin(n->strand))
		return 0;
	return tz_patience_ask(&b->patience);
}

/* So many ticks, but no more than the wait may last. */
static uint32_t limited(const struct tz_parked *n, uint32_t ticks, tz_deadline deadline)
{
	if (tz_strand_interrupted(n->strand) < 0)
		return 0;
	deadline = tz_strand_deadline(n->strand, deadline);
	if (deadline.ns) {
		uint64_t now = tz_now(), us = deadline.ns > now ? (deadline.ns - now) / 1000 : 0;

		if (us <= ticks / tz_clock_ticks_per_us())
			return (uint32_t)(us * tz_clock_ticks_per_us());
	}
	return ticks;
}

/* Spins with a seat; true once woken. As long as the node says SPINNING it is the waker who gives the
 * seat back. */
static bool spin_seated(struct tz_parked *n, uint32_t ticks)
{
	struct tz_sitting s = tz_sitting_begin(ticks);
	uint32_t state = LOOKING;

	do {
		if (s.seated && state == LOOKING && change_state(n, LOOKING, SPINNING))
			state = SPINNING;
	} while (!is_done(n) && tz_sitting_turn(&s));
	bool woken = is_done(n) || !change_state(n, state, ASLEEP);

	if (!woken || state == LOOKING)
		tz_sitting_end(&s);
	return woken;
}

/* Most hand-overs between strands that both run are over before a seat is worth the trouble. */
static bool look(struct tz_parked *n)
{
	for (int i = 0; i < LOOKS; i++) {
		if (is_done(n))
			return true;
		tz_cpu_relax();
	}
	return is_done(n);
}

/* `key` is what it came for: it may have been moved. */
static void sleep_until_done(struct tz_parked *n, const void *key)
{
	while (!is_done(n)) {
		tz_strand_waits(n->strand, n->what, key);
		tz_strand_park_deaf(n->strand);
	}
}

/* The time is up. 0 if somebody has chosen to wake the node after all. */
static int withdraw(struct tz_parked *n, const void *key, const struct tz_parking_steps *steps,
		    int why)
{
	struct bucket *b = lock_key(key);

	/* A node that was moved has another key, which this lock guards; `queued` is another lock's
	 * then. */
	if (n->key == key && n->queued) {
		unlink_node(b, n);
		if (steps->withdrawn)
			steps->withdrawn(n, find(b->head, key) != NULL);
		unlock_bucket(b);
		return why;
	}
	unlock_bucket(b);
	sleep_until_done(n, key);
	return 0;
}

static int sleep_queued(struct tz_parked *n, const void *key, const struct tz_parking_steps *steps,
			unsigned flags, tz_deadline deadline)
{
	if (flags & TZ_PARKING_DEAF) {
		sleep_until_done(n, key);
		return 0;
	}
	while (!is_done(n)) {
		tz_strand_waits(n->strand, n->what, key);
		int r = tz_strand_park(n->strand, deadline);

		if (r < 0 && !is_done(n))
			return withdraw(n, key, steps, r);
	}
	return 0;
}

/* Waits in the queue; `ticks` of it at most without sleeping, and if so the node is LOOKING. */
static int wait_queued(struct bucket *b, struct tz_parked *n, const void *key,
		       const struct tz_parking_steps *steps, unsigned flags, tz_deadline deadline,
		       uint32_t ticks)
{
	if (ticks && look(n))
		return 0;
	struct tz_moment begun = tz_moment_now();
	bool slept = !(ticks && spin_seated(n, limited(n, ticks, deadline)));
	int r = slept ? sleep_queued(n, key, steps, flags, deadline) : 0;

	if (r == 0 && (flags & TZ_PARKING_SPIN) && n->woken.ticks)
		tz_patience_learn(&b->patience, begun, n->woken, slept);
	return r;
}

int tz_parking_wait(struct tz_parked *n, const void *key, const struct tz_parking_steps *steps,
		    unsigned flags, tz_deadline deadline)
{
	struct bucket *b = bucket_of(key);
	uint32_t ticks = ask_patience(b, n, flags);

	lock_bucket(b);
	if (!steps->begin(n)) {
		unlock_bucket(b);
		return -EAGAIN;
	}
	n->key = key;
	n->what = steps->name;
	n->token = 0;
	n->by_signal = (flags & TZ_PARKING_BY_SIGNAL) != 0;
	n->woken.ticks = 0;
	atomic_store_explicit(&n->state, ticks ? LOOKING : ASLEEP, memory_order_relaxed);
	(flags & TZ_PARKING_FRONT ? prepend : append)(b, n);
	unlock_bucket(b);
	if (steps->queued)
		steps->queued(n);

	TZ_PROBE(TZ_PROBE_WAIT_BEGIN, key, 0);
	int r = wait_queued(b, n, key, steps, flags, deadline, ticks);

	TZ_PROBE(TZ_PROBE_WAIT_END, key, (uint64_t)-r);
	return r;
}

/* Waking */

size_t tz_parking_wake(const void *key, size_t max,
		       enum tz_parking_choice (*take)(struct tz_parked *node, void *arg),
		       void (*settle)(void *arg, size_t taken, bool more), void *arg)
{
	struct taken t = { NULL, &t.first };
	struct bucket *b = lock_key(key);
	struct tz_parked *n = find(b->head, key), *next, *left = NULL;
	size_t count = 0;

	for (; n && count < max; n = next) {
		enum tz_parking_choice c = take ? take(n, arg) : TZ_PARKING_TAKE;

		next = find(n->next, key);
		if (c == TZ_PARKING_STOP)
			break;
		if (c == TZ_PARKING_TAKE) {
			take_node(b, n, &t);
			count++;
		} else if (!left) {
			left = n;
		}
	}
	if (settle)
		settle(arg, count, left || n);
	unlock_bucket(b);
	wake_taken(&t);
	return count;
}

/* Locks the bucket of `from` and that of the object of the first waiter there; NULL if there is no
 * waiter, and then only the first is locked. */
static struct bucket *lock_from_and_to(const void *from, struct bucket *b, const void **to)
{
	struct tz_parked *n;

	lock_bucket(b);
	while ((n = find(b->head, from)) != NULL) {
		struct bucket *c = bucket_of(n->object);

		*to = n->object;
		if (c < b) {
			unlock_bucket(b); /* out of order: begin again */
			lock_bucket(c);
			lock_bucket(b);
		} else if (c > b) {
			lock_bucket(c);
		}
		n = find(b->head, from); /* it may be another one by now */
		if (n && n->object == *to)
			return c;
		if (c != b)
			unlock_bucket(c);
	}
	return NULL;
}

void tz_parking_move(const void *from, size_t max, bool (*move)(struct tz_parked *node, void *arg),
		     void (*settle)(void *arg, bool more), void *arg)
{
	struct taken t = { NULL, &t.first };
	struct bucket *b = bucket_of(from);
	const void *to = NULL;
	struct bucket *c = lock_from_and_to(from, b, &to);
	struct tz_parked *n = find(b->head, from), *next;

	for (; n && max > 0; n = next, max--) {
		next = find(n->next, from);
		if (n->object != to || !move(n, arg)) {
			take_node(b, n, &t);
			continue;
		}
		unlink_node(b, n);
		n->key = to;
		append(c, n);
	}
	settle(arg, n != NULL);
	unlock_two(b, c ? c : b);
	wake_taken(&t); /* not before: those who were moved count on who is woken to come after them */
}

bool tz_parking_spins(const struct tz_parked *n)
{
	return atomic_load_explicit(&n->state, memory_order_relaxed) < ASLEEP;
}

/* Signals */

/* Takes all whose word has moved on: it never goes back, so another generation is a later one. The
 * bucket is locked, so they wait still, and their words are there. */
static void take_overtaken(struct bucket *b, struct taken *t)
{
	struct tz_parked *next;

	for (struct tz_parked *n = b->head; n; n = next) {
		next = n->next;
		if (!n->by_signal)
			continue;
		uint32_t word = __atomic_load_n((const uint32_t *)n->key, __ATOMIC_ACQUIRE);

		if ((word & TZ_PARKING_GENERATION) != n->kind)
			take_node(b, n, t);
	}
}

/* Does what a signal handler could not, for all waiters of the bucket. Who holds the lock now looks
 * at the notes after unlocking, so there is nothing to wait for. */
static void serve_notes(struct bucket *b)
{
	while (atomic_load_explicit(&b->notes, memory_order_seq_cst) != 0) {
		struct taken t = { NULL, &t.first };

		if (!try_lock_bucket(b))
			return;
		tz_store_seq_cst(&b->notes, 0);
		take_overtaken(b, &t);
		if (atomic_exchange_explicit(&b->lock.word, 0, memory_order_seq_cst) == 2)
			tz_futex_wake(&b->lock.word, 1);
		wake_taken(&t);
	}
}

void tz_parking_signal(const uint32_t *key)
{
	struct bucket *b = bucket_of(key);

	tz_store_seq_cst(&b->notes, 1);
	serve_notes(b);
}

bool tz_parking_is_awaited(const void *key)
{
	return find(bucket_of(key)->head, key) != NULL;
}

/* fork */

bool tz_parking_was_forked(void)
{
	return atomic_load_explicit(&tz_process_number, memory_order_relaxed) != 0;
}

void tz_parking_after_fork(void)
{
	/* One thread, and it is here: nobody holds a lock. */
	if (atomic_load_explicit(&used, memory_order_relaxed))
		memset(buckets, 0, sizeof buckets);
	tz_spin_after_fork();
}
