/* Time: deadlines as values, and sleep.
 *
 * A deadline is an absolute point on the strand's clock, which is monotonic: setting the system's date does not
 * move it. Clocks differ only in simulations, whose time is virtual (loop.h). Where a deadline of one strand becomes that of another one with a
 * different clock (a job's, a scope's), what remains of it goes over. All-zero is "for ever". Functions that may block obey the current scope's deadline (scope.h); only
 * tz_wait and the _until forms take one as an argument, and end at the earlier of the two.
 */
#ifndef TRENZA_TIME_H
#define TRENZA_TIME_H

#include <trenza/base.h>

TZ_BEGIN_DECLS

/* A point in time, in nanoseconds of the strand's clock; { 0 } is for ever. */
typedef struct tz_deadline {
	uint64_t ns;
} tz_deadline;

/* tz_never - the deadline that never comes: all-zero.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe.
 * Errors: none. */
static inline tz_deadline tz_never(void)
{
	tz_deadline d = { 0 };
	return d;
}

/* tz_now - the strand's monotonic clock in nanoseconds; never 0.
 *
 * On a thread this is CLOCK_MONOTONIC.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe on a thread.
 * Errors: none. */
TZ_API uint64_t tz_now(void);

/* tz_after - the deadline that lies `seconds` from now.
 *
 * A negative number or NaN counts as 0 (a deadline that has passed); what lies beyond the clock's range,
 * infinity included, is for ever.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API tz_deadline tz_after(double seconds);

/* tz_deadline_min - the earlier of two deadlines.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe.
 * Errors: none. */
static inline tz_deadline tz_deadline_min(tz_deadline a, tz_deadline b)
{
	return a.ns - 1 < b.ns - 1 ? a : b; /* 0, for ever, becomes the largest */
}

/* tz_remaining - the seconds that remain until a deadline: 0 once it has passed, INFINITY for ever.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API double tz_remaining(tz_deadline deadline);

/* tz_expired - whether a deadline has passed.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_expired(tz_deadline deadline);

/* tz_sleep - let `seconds` pass: blocks a thread, suspends a coroutine.
 *
 * tz_sleep(0) gives other strands a chance to run.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -ETIMEDOUT when the scope's deadline came first, -ECANCELED when the scope was cancelled. A signal
 * handler that runs meanwhile does not shorten the sleep. */
TZ_API int tz_sleep(double seconds);

/* tz_sleep_until - as tz_sleep, up to a deadline; for ever means until the scope ends the wait.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_sleep. */
TZ_API int tz_sleep_until(tz_deadline deadline);

TZ_END_DECLS

#endif
