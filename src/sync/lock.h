/* What the rest of this room needs to know of a lock. */
#ifndef TZ_SYNC_LOCK_H
#define TZ_SYNC_LOCK_H

#include <stdbool.h>

#include <trenza/lock.h>

#include "core/parking.h"

/* Says in the lock that strands wait for it. The caller holds the bucket of the lock's address and
 * queues them there. False, and nothing said, if the lock is free: then nobody might come to wake
 * them. */
bool tz_lock_expect_waiters(tz_lock *lock);

/* As above, for a caller who knows that some strand that is awake will acquire the lock. */
void tz_lock_insist_waiters(tz_lock *lock);

/* Acquires after a wait in which `node` may have been moved to the lock's queue and woken from it.
 * */
void tz_lock_reacquire(tz_lock *lock, struct tz_parked *node);

#endif
