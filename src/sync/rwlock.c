/* The read-write lock.
 *
 * Design notes
 *
 * The word is a comer's (comer.h), a comer being a writer, with the number of readers in its upper
 * bits.
 *
 * Readers and writers wait in one queue. New readers go past neither a writer nor a waiter, so
 * WAITERS holds them up. Writers compete as for a plain lock: one swap frees the word if
 * nobody waits or a rival is awake; else the first in the queue is looked at under the bucket lock.
 * If it is a reader, all readers in the queue get the lock, at once and for certain: they do not
 * compete. If it is a writer, it is woken as the rival, or handed the lock if it has waited for
 * FAIR_NS. The store that frees or hands over is the last touch of the word.
 *
 * The last reader. Readers let go of the lock by counting down. The one that finds itself last and
 * waiters in the queue does it under the bucket lock; while it holds that and WAITERS is set, no
 * reader can be added.
 *
 * A writer that gives up may leave readers behind it who waited only for its sake: it lets them in
 * if the lock is not written.
 */
#include <errno.h>

#include <trenza/rwlock.h>

#include "core/parking.h"
#include "core/strand.h"
#include "sync/comer.h"

enum { WRITTEN = TZ_COMER_HELD, RIVAL = TZ_COMER_RIVAL, WAITERS = TZ_COMER_WAITERS, READER = 8 };
enum { FOR_READING = 0, FOR_WRITING = 1 }; /* kinds */

static uint32_t load(const tz_rwlock *lock)
{
	return tz_comer_load(&lock->tz__word);
}

static bool swap(tz_rwlock *lock, uint32_t *expected, uint32_t desired, int order)
{
	return tz_comer_swap(&lock->tz__word, expected, desired, order);
}

static void set_waiters(tz_rwlock *lock, bool more)
{
	if (!more)
		(void)__atomic_fetch_and(&lock->tz__word, ~(uint32_t)WAITERS, __ATOMIC_RELAXED);
}

/* Releasing */

struct release {
	tz_rwlock *lock;
	uint64_t now;
	uint32_t held; /* what the caller gives up: WRITTEN or READER */
	uint32_t given; /* what those who were chosen get */
};

static enum tz_parking_choice choose_writer(struct tz_parked *n, struct release *r)
{
	r->given = tz_comer_choose(n, r->now) ? WRITTEN : RIVAL;
	return TZ_PARKING_TAKE;
}

static enum tz_parking_choice choose(struct tz_parked *n, void *arg)
{
	struct release *r = arg;

	if (r->held == READER && load(r->lock) / READER > 1)
		return TZ_PARKING_STOP; /* readers were let in meanwhile */
	if (r->given & (WRITTEN | RIVAL))
		return TZ_PARKING_STOP;
	if (n->kind == FOR_READING) {
		r->given += READER;
		return TZ_PARKING_TAKE;
	}
	return r->given ? TZ_PARKING_PASS : choose_writer(n, r);
}

static void settle(void *arg, size_t taken, bool more)
{
	struct release *r = arg;
	uint32_t w = load(r->lock), next;

	(void)taken;
	do {
		next = ((w - r->held) & ~(uint32_t)WAITERS) + (r->given & ~(uint32_t)RIVAL);
		next |= (r->given & RIVAL) | (more ? WAITERS : 0);
	} while (!swap(r->lock, &w, next,
		       __ATOMIC_ACQ_REL)); /* the next owner comes after the other readers, too */
}

static int release(tz_rwlock *lock, uint32_t held)
{
	struct release r = { .lock = lock, .held = held };
	uint32_t w = load(lock);

	do {
		if (held == READER ? w < READER : !(w & WRITTEN))
			return -EPERM;
		bool frees = held == WRITTEN || w / READER == 1;

		if (frees && (w & WAITERS) && !(w & RIVAL)) {
			r.now = tz_now();
			(void)tz_parking_wake(lock, SIZE_MAX, choose, settle, &r);
			return 0;
		}
	} while (!swap(lock, &w, w - held, __ATOMIC_RELEASE));
	return 0;
}

int tz_rwlock_release_read(tz_rwlock *lock)
{
	return release(lock, READER);
}

int tz_rwlock_release_write(tz_rwlock *lock)
{
	return release(lock, WRITTEN);
}

/* Reading */

static bool take_for_reading(tz_rwlock *lock)
{
	uint32_t w = load(lock);

	while (!(w & (WRITTEN | WAITERS)))
		if (swap(lock, &w, w + READER, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* In a fork child the word may speak of waiters and of a rival that stayed in the parent. */
static void forget_the_dead(tz_rwlock *lock)
{
	uint32_t gone = RIVAL | (tz_parking_is_awaited(lock) ? 0 : WAITERS);

	if (tz_parking_was_forked())
		(void)__atomic_fetch_and(&lock->tz__word, ~gone, __ATOMIC_RELAXED);
}

static bool read_begin(struct tz_parked *n)
{
	tz_rwlock *lock = n->object;

	forget_the_dead(lock);
	uint32_t w = load(lock);

	do {
		if (!(w & (WRITTEN | WAITERS)))
			return false;
	} while (!swap(lock, &w, w | WAITERS, __ATOMIC_RELAXED));
	return true;
}

static void read_withdrawn(struct tz_parked *n, bool more)
{
	set_waiters(n->object, more);
}

static const struct tz_parking_steps read_steps = {
	.name = "lock to read",
	.begin = read_begin,
	.withdrawn = read_withdrawn,
};

static int acquire_read(tz_rwlock *lock, unsigned flags, tz_deadline deadline)
{
	tz_strand_count_call();
	while (!take_for_reading(lock)) {
		struct tz_parked n = { .strand = tz_strand_self(),
				       .kind = FOR_READING,
				       .object = lock };
		int r = tz_parking_wait(&n, lock, &read_steps, flags | TZ_PARKING_SPIN, deadline);

		if (r != -EAGAIN)
			return r; /* who wakes a reader has given it the lock */
	}
	return 0;
}

void tz_rwlock_acquire_read(tz_rwlock *lock)
{
	(void)acquire_read(lock, TZ_PARKING_DEAF, tz_never());
}

int tz_rwlock_acquire_read_until(tz_rwlock *lock, tz_deadline deadline)
{
	return acquire_read(lock, 0, deadline);
}

int tz_rwlock_try_read(tz_rwlock *lock)
{
	return take_for_reading(lock) ? 0 : -EBUSY;
}

/* Writing */

static struct tz_comer comer(tz_rwlock *lock)
{
	return (struct tz_comer){ .word = &lock->tz__word, .busy = ~(uint32_t)(RIVAL | WAITERS) };
}

/* Lets in the readers at the head of the queue. */
static enum tz_parking_choice admit(struct tz_parked *n, void *arg)
{
	tz_rwlock *lock = arg;
	uint32_t w = load(lock);

	do {
		if (n->kind == FOR_WRITING || (w & WRITTEN))
			return TZ_PARKING_STOP;
	} while (!swap(lock, &w, w + READER, __ATOMIC_ACQUIRE));
	return TZ_PARKING_TAKE;
}

static void settle_admitted(void *arg, size_t taken, bool more)
{
	(void)taken;
	set_waiters(arg, more);
}

static int acquire_write(tz_rwlock *lock, unsigned flags, tz_deadline deadline)
{
	struct tz_comer c = comer(lock);

	tz_strand_count_call();
	if (tz_comer_take(&c))
		return 0;
	struct tz_parked n = { .strand = tz_strand_self(), .kind = FOR_WRITING };
	int r = tz_comer_acquire(&c, &n, flags, deadline);

	if (r < 0)
		(void)tz_parking_wake(lock, SIZE_MAX, admit, settle_admitted, lock);
	return r;
}

void tz_rwlock_acquire_write(tz_rwlock *lock)
{
	(void)acquire_write(lock, TZ_PARKING_DEAF, tz_never());
}

int tz_rwlock_acquire_write_until(tz_rwlock *lock, tz_deadline deadline)
{
	return acquire_write(lock, 0, deadline);
}

int tz_rwlock_try_write(tz_rwlock *lock)
{
	struct tz_comer c = comer(lock);

	return tz_comer_take(&c) ? 0 : -EBUSY;
}

int tz_rwlock_readers(const tz_rwlock *lock)
{
	return (int)(load(lock) / READER);
}

bool tz_rwlock_is_written(const tz_rwlock *lock)
{
	return (load(lock) & WRITTEN) != 0;
}
