/* The recursive lock for several processes: a lock, the strand that holds it, and how often it has acquired it again.
 *
 * Design notes. A strand is named by its process and its address there. `strand` is written before `process`, which is cleared first: so a strand that finds its
 * own process there finds the strand that goes with it. Only who holds the lock writes them, and who takes it from a process that has ended writes them
 * anew; until then they name a process that nobody is.
 */
#include <errno.h>

#include "core/strand.h"
#include "shared/lock.h"
#include "shared/owner.h"

static uint64_t address_of(const struct tz_strand *strand)
{
	return (uint64_t)(uintptr_t)strand;
}

static bool is_mine(const tz_shared_rlock *lock, const struct tz_strand *self)
{
	return __atomic_load_n(&lock->tz__process, __ATOMIC_ACQUIRE) == tz_owner_self() &&
	       __atomic_load_n(&lock->tz__strand, __ATOMIC_RELAXED) == address_of(self);
}

/* Passes on what the inner lock answered. */
static int begin(tz_shared_rlock *lock, const struct tz_strand *self, int r)
{
	if (r < 0 && r != -EOWNERDEAD)
		return r;
	lock->tz__depth = 0;
	__atomic_store_n(&lock->tz__strand, address_of(self), __ATOMIC_RELAXED);
	__atomic_store_n(&lock->tz__process, tz_owner_self(), __ATOMIC_RELEASE);
	return r;
}

static bool deepen(tz_shared_rlock *lock, const struct tz_strand *self)
{
	if (!is_mine(lock, self))
		return false;
	lock->tz__depth++;
	return true;
}

int tz_shared_rlock_acquire(tz_shared_rlock *lock)
{
	struct tz_strand *self = tz_strand_self();

	return deepen(lock, self) ? 0 : begin(lock, self, tz_shared_lock_acquire(&lock->tz__lock));
}

int tz_shared_rlock_acquire_until(tz_shared_rlock *lock, tz_deadline deadline)
{
	struct tz_strand *self = tz_strand_self();

	return deepen(lock, self)
		       ? 0
		       : begin(lock, self, tz_shared_lock_acquire_until(&lock->tz__lock, deadline));
}

int tz_shared_rlock_try(tz_shared_rlock *lock)
{
	struct tz_strand *self = tz_strand_self();

	return deepen(lock, self) ? 0 : begin(lock, self, tz_shared_lock_try(&lock->tz__lock));
}

int tz_shared_rlock_recover(tz_shared_rlock *lock)
{
	return is_mine(lock, tz_strand_self()) ? tz_shared_lock_recover(&lock->tz__lock) : -EPERM;
}

int tz_shared_rlock_release(tz_shared_rlock *lock)
{
	if (!is_mine(lock, tz_strand_self()))
		return -EPERM;
	if (lock->tz__depth > 0) {
		lock->tz__depth--;
		return 0;
	}
	__atomic_store_n(&lock->tz__process, 0, __ATOMIC_RELAXED);
	return tz_shared_lock_release(&lock->tz__lock);
}

bool tz_shared_rlock_is_held(const tz_shared_rlock *lock)
{
	return tz_shared_lock_is_held(&lock->tz__lock);
}

bool tz_shared_rlock_is_mine(const tz_shared_rlock *lock)
{
	return is_mine(lock, tz_strand_self());
}

bool tz_shared_rlock_unfold(tz_shared_rlock *lock, uint32_t *ret_depth)
{
	if (!is_mine(lock, tz_strand_self()) || !tz_shared_lock_is_own(&lock->tz__lock))
		return false;
	*ret_depth = lock->tz__depth;
	__atomic_store_n(&lock->tz__process, 0, __ATOMIC_RELAXED);
	return true;
}

void tz_shared_rlock_fold(tz_shared_rlock *lock, uint32_t depth)
{
	(void)begin(lock, tz_strand_self(), 0);
	lock->tz__depth = depth;
}
