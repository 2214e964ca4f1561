/* The recursive lock: a lock, its owner, and how often the owner has acquired it again.
 *
 * Design notes. `owner` is written by the strand that holds the lock only, and read by all: whoever
 * finds itself there is the owner, whoever finds anything else is not, however old the answer is.
 * `depth` is the owner's alone. A strand is known by its number and not by its address, which another one may come to have
 * while a strand that has ended still holds the lock.
 */
#include <errno.h>

#include <trenza/lock.h>

#include "core/strand.h"

static void *me(void)
{
	return (void *)(uintptr_t)tz_strand_ident(tz_strand_self());
}

static void *owner(const tz_rlock *lock)
{
	return __atomic_load_n(&lock->tz__owner, __ATOMIC_RELAXED);
}

static void set_owner(tz_rlock *lock, void *strand)
{
	__atomic_store_n(&lock->tz__owner, strand, __ATOMIC_RELAXED);
}

/* Acquires once more if self is the owner. */
static bool deepen(tz_rlock *lock, void *self)
{
	if (owner(lock) != self)
		return false;
	lock->tz__depth++;
	return true;
}

void tz_rlock_acquire(tz_rlock *lock)
{
	void *self = me();

	if (deepen(lock, self))
		return;
	tz_strand_count_call();
	tz_lock_acquire(&lock->tz__lock);
	set_owner(lock, self);
}

int tz_rlock_try(tz_rlock *lock)
{
	void *self = me();

	if (deepen(lock, self))
		return 0;
	int r = tz_lock_try(&lock->tz__lock);

	if (r == 0)
		set_owner(lock, self);
	return r;
}

int tz_rlock_acquire_until(tz_rlock *lock, tz_deadline deadline)
{
	void *self = me();

	if (deepen(lock, self))
		return 0;
	int r = tz_lock_acquire_until(&lock->tz__lock, deadline);

	if (r == 0)
		set_owner(lock, self);
	return r;
}

int tz_rlock_release(tz_rlock *lock)
{
	if (owner(lock) != me())
		return -EPERM;
	if (lock->tz__depth > 0) {
		lock->tz__depth--;
		return 0;
	}
	set_owner(lock, NULL);
	return tz_lock_release(&lock->tz__lock);
}

bool tz_rlock_is_held(const tz_rlock *lock)
{
	return tz_lock_is_held(&lock->tz__lock);
}

bool tz_rlock_is_mine(const tz_rlock *lock)
{
	return owner(lock) == me();
}
