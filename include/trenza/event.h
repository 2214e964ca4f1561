/* Events: a flag that strands can wait for.
 *
 *     static tz_event stop;                    // all-zero is not set
 *
 *     static void on_term(int signal) { tz_event_set(&stop); }
 *
 *     while (tz_event_wait_until(&stop, tz_after(1)) == -ETIMEDOUT)
 *             print_progress();
 *
 * A strand that waits when the event is set is woken, even if the event is cleared again before the
 * strand gets to look.
 */
#ifndef TRENZA_EVENT_H
#define TRENZA_EVENT_H

#include <trenza/base.h>
#include <trenza/time.h>

TZ_BEGIN_DECLS

/* An event, 4 bytes. All-zero is not set. */
typedef struct tz_event {
	uint32_t tz__word;
} tz_event;

/* tz_event_set - sets the event and wakes all who wait for it. It stays set until it is cleared.
 *
 * Ownership: does not touch the event once a waiter can see it set, so the waiter may free it.
 * Threads: any; async-signal-safe, also when the handler has interrupted a wait for the same event.
 * Errors: none. */
TZ_API void tz_event_set(tz_event *event);

/* tz_event_clear - makes the event not set.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe.
 * Errors: none. */
TZ_API void tz_event_clear(tz_event *event);

/* tz_event_is_set - whether the event is set.
 *
 * What was written before the event was set is seen by who finds it set.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe.
 * Errors: none. */
TZ_API bool tz_event_is_set(const tz_event *event);

/* tz_event_wait - waits until the event is set; at once if it is, even if the scope was cancelled.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -ETIMEDOUT at the scope's deadline, -ECANCELED when the scope was cancelled. */
TZ_API int tz_event_wait(tz_event *event);

/* tz_event_wait_until - as tz_event_wait, until the deadline at most.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_event_wait; -ETIMEDOUT also at the deadline. */
TZ_API int tz_event_wait_until(tz_event *event, tz_deadline deadline);

TZ_END_DECLS

#endif
