/* The lock for several processes.
 *
 * Design notes
 *
 * The word: 0 is free; else the process that holds it (owner.h), with PARKED if somebody may sleep on the word, and DIED if the holder took it from
 * a process that had ended, and has not said yet that all is well. DIED without an owner is a lock that is lost. Each change is one
 * compare-and-swap or exchange of the word, and nothing else has to agree with it: so there is no moment at which a process that is killed leaves more behind than
 * its own name, which says that it is gone.
 *
 * Who waits sets PARKED, sleeps while the word is what it saw, and looks at the end of each slice (nap.h) whether the holder has ended. Who was woken takes
 * the lock with PARKED set, since others may sleep still: at worst somebody is woken for nothing. A wake-up that goes to a process that is
 * killed is made good for by the end of a slice of the others.
 *
 * After the release the word is not touched any more: the wake-up uses it as an address only.
 *
 * There is no lock of the process in front: the word holds a process, not a strand, so strands of one process exclude each other by it as well.
 */
#include "shared/lock.h"

#include <errno.h>

#include "core/strand.h"
#include "shared/nap.h"
#include "shared/owner.h"

#define PARKED ((uint32_t)1 << TZ_OWNER_BITS)
#define DIED ((uint32_t)2 << TZ_OWNER_BITS)
#define LOST DIED

static uint32_t load(const tz_shared_lock *lock)
{
	return __atomic_load_n(&lock->tz__word, __ATOMIC_RELAXED);
}

static bool swap(tz_shared_lock *lock, uint32_t *expected, uint32_t desired, int order)
{
	return __atomic_compare_exchange_n(&lock->tz__word, expected, desired, false, order,
					   __ATOMIC_RELAXED);
}

static bool is_mine(uint32_t w)
{
	return (w & TZ_OWNER_MASK) == tz_owner_self();
}

static bool take(tz_shared_lock *lock)
{
	uint32_t w = 0;

	return swap(lock, &w, tz_owner_self(), __ATOMIC_ACQUIRE);
}

/* --- acquire -------------------------------------------------------------------------------------------------------------------- */

enum { HELD = 1 };

/* Takes the lock if it is free, or if `look` and its holder has ended: 0, -EOWNERDEAD; -ENOTRECOVERABLE; or HELD, with the word in *ret_word. */
static int attempt(tz_shared_lock *lock, bool look, uint32_t parked, uint32_t *ret_word)
{
	uint32_t w = load(lock), me = tz_owner_self();

	for (;;) {
		if (w == LOST)
			return -ENOTRECOVERABLE;
		if (w == 0) {
			if (swap(lock, &w, me | parked, __ATOMIC_ACQUIRE))
				return 0;
		} else if (look && !tz_owner_is_alive(w)) {
			if (swap(lock, &w, me | DIED | PARKED, __ATOMIC_ACQUIRE))
				return -EOWNERDEAD;
		} else {
			*ret_word = w;
			return HELD;
		}
	}
}

/* Makes it known that somebody sleeps; false if the word has changed. */
static bool announce(tz_shared_lock *lock, uint32_t *w)
{
	if (*w & PARKED)
		return true;
	if (!swap(lock, w, *w | PARKED, __ATOMIC_RELAXED))
		return false;
	*w |= PARKED;
	return true;
}

static int acquire_slow(tz_shared_lock *lock, struct tz_nap *nap)
{
	uint32_t w, parked = 0;
	bool look = false;
	int r;

	for (bool first = true;; first = false) {
		r = attempt(lock, look, parked, &w);
		if (r != HELD)
			return r;
		look = false;
		if (first) {
			tz_nap_spin(nap, &lock->tz__word, w);
			continue;
		}
		if (!announce(lock, &w))
			continue;
		r = tz_nap_take(nap, &lock->tz__word, w);
		parked = PARKED;
		look = r == TZ_NAP_OVER;
		if (r < 0) {
			int last = attempt(lock, true, parked, &w);

			return last == HELD ? r : last;
		}
	}
}

int tz_shared_lock_acquire(tz_shared_lock *lock)
{
	if (take(lock))
		return 0;
	struct tz_nap nap = tz_nap_begin_deaf("lock", lock);

	return acquire_slow(lock, &nap);
}

int tz_shared_lock_acquire_until(tz_shared_lock *lock, tz_deadline deadline)
{
	tz_strand_count_call();
	if (take(lock))
		return 0;
	struct tz_nap nap = tz_nap_begin("lock", lock, deadline);

	return acquire_slow(lock, &nap);
}

int tz_shared_lock_try(tz_shared_lock *lock)
{
	uint32_t w;
	int r;

	if (take(lock))
		return 0;
	r = attempt(lock, true, 0, &w);
	return r == HELD ? -EBUSY : r;
}

/* --- release ---------------------------------------------------------------------------------------------------------------- */

int tz_shared_lock_release(tz_shared_lock *lock)
{
	uint32_t w = load(lock);

	if (!is_mine(w))
		return -EPERM;
	if (!(w & (PARKED | DIED)) && swap(lock, &w, 0, __ATOMIC_RELEASE))
		return 0;
	if (w & DIED) {
		(void)__atomic_exchange_n(&lock->tz__word, LOST, __ATOMIC_RELEASE);
		(void)tz_nap_wake(&lock->tz__word, TZ_NAP_ALL);
		return 0;
	}
	if (__atomic_exchange_n(&lock->tz__word, 0, __ATOMIC_RELEASE) & PARKED)
		(void)tz_nap_wake(&lock->tz__word, 1);
	return 0;
}

int tz_shared_lock_recover(tz_shared_lock *lock)
{
	uint32_t w = load(lock);

	if (!is_mine(w))
		return -EPERM;
	if (!(w & DIED))
		return -EINVAL;
	(void)__atomic_fetch_and(&lock->tz__word, ~DIED, __ATOMIC_RELAXED);
	return 0;
}

bool tz_shared_lock_is_held(const tz_shared_lock *lock)
{
	return (load(lock) & TZ_OWNER_MASK) != 0;
}

/* --- for the rest of the room ------------------------------------------------------------------------------------------------ */

bool tz_shared_lock_is_own(const tz_shared_lock *lock)
{
	uint32_t w = load(lock);

	return is_mine(w) && !(w & DIED);
}

bool tz_shared_lock_inherit(tz_shared_lock *lock)
{
	uint32_t w = load(lock);

	return w & TZ_OWNER_MASK && !tz_owner_is_alive(w) &&
	       swap(lock, &w, tz_owner_self() | DIED | PARKED, __ATOMIC_ACQUIRE);
}

void tz_monitor_enter(tz_shared_lock *lock)
{
	if (tz_shared_lock_acquire(lock) == -EOWNERDEAD)
		(void)tz_shared_lock_recover(lock);
}

void tz_monitor_leave(tz_shared_lock *lock)
{
	(void)tz_shared_lock_release(lock);
}
