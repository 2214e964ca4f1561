/* Locks in shared memory, for the rest of the room. */
#ifndef TZ_SHARED_LOCK_H
#define TZ_SHARED_LOCK_H

#include <stdbool.h>

#include <trenza/shared_lock.h>

/* Whether the calling process holds the lock, and what it protects is whole. */
bool tz_shared_lock_is_own(const tz_shared_lock *lock);

/* Takes the lock if its holder has ended; as after -EOWNERDEAD. */
bool tz_shared_lock_inherit(tz_shared_lock *lock);

/* A recursive lock that the calling strand holds, and has recovered, becomes one that it has acquired once; and back. False if it is not so. */
bool tz_shared_rlock_unfold(tz_shared_rlock *lock, uint32_t *ret_depth);
void tz_shared_rlock_fold(tz_shared_rlock *lock, uint32_t depth);

/* Around what the room does to an object of its own: deaf, and short. What a killed process may leave of such an object is whole at every instruction (each of them says why), so
 * nothing is to be repaired. A process that is stopped in between holds up the others until it goes on. */
void tz_monitor_enter(tz_shared_lock *lock);
void tz_monitor_leave(tz_shared_lock *lock);

#endif
