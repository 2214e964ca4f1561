/* Events in memory that processes share: a flag that strands of several processes can wait for.
 *
 * As tz_event, in memory that is shared (shared_memory.h). Who waits may be killed without anybody noticing; who sets the event never waits for anybody.
 */
#ifndef TRENZA_SHARED_EVENT_H
#define TRENZA_SHARED_EVENT_H

#include <trenza/base.h>
#include <trenza/time.h>

TZ_BEGIN_DECLS

/* An event for several processes, 4 bytes. All-zero is not set. */
typedef struct tz_shared_event {
	uint32_t tz__word;
} tz_shared_event;

/* tz_shared_event_set - sets the event and wakes all who wait for it. It stays set until it is cleared.
 *
 * Ownership: does not touch the event once a waiter can see it set.
 * Threads: any, of any process; async-signal-safe.
 * Errors: none. */
TZ_API void tz_shared_event_set(tz_shared_event *event);

/* tz_shared_event_clear - makes the event not set.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe.
 * Errors: none. */
TZ_API void tz_shared_event_clear(tz_shared_event *event);

/* tz_shared_event_is_set - whether the event is set.
 *
 * What was written before the event was set is seen by who finds it set.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe.
 * Errors: none. */
TZ_API bool tz_shared_event_is_set(const tz_shared_event *event);

/* tz_shared_event_wait - waits until the event is set; at once if it is, even if the scope was cancelled.
 *
 * A strand that waits when the event is set is woken, even if the event is cleared again before the strand gets to look.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -ETIMEDOUT at the scope's deadline, -ECANCELED when the scope was cancelled. */
TZ_API int tz_shared_event_wait(tz_shared_event *event);

/* tz_shared_event_wait_until - as tz_shared_event_wait, until the deadline at most.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_shared_event_wait; -ETIMEDOUT also at the deadline. */
TZ_API int tz_shared_event_wait_until(tz_shared_event *event, tz_deadline deadline);

TZ_END_DECLS

#endif
