/* Timers: call a described function once after a delay, or again and again.
 *
 *     static void remind(int table) { printf("table %d\n", table); }
 *     TZ_TASK(void, remind, int);
 *
 *     tz_timer *once, *often;
 *     tz_timer_open(&once, 0.5, remind, 4);          // remind(4) in half a second
 *     tz_timer_every(&often, 60, remind, 7);         // remind(7) in a minute, and each minute after that
 *     ...
 *     tz_timer_cancel(often);
 *     tz_timer_close(often);
 *     tz_timer_close(once);
 *
 * All timers of a process share one service, which uses no processor time while nothing is due. Time is monotonic: setting
 * the system's date moves no timer. No function is called early.
 *
 * The functions run on a thread of the library, where signals are blocked but for those of faults; one after the other, in
 * the order of their deadlines, equal ones in the order in which they were set. So they should be short; long work belongs into an
 * executor. A function that runs for more than 10 ms while others are due does not hold them up: another
 * thread goes on with them. A result is dropped; a failure (tz_fail) reaches the hook of tz_on_uncaught (thread.h).
 *
 * Timers do not keep a process from ending. In a fork child no timer is set; it can be set there again.
 */
#ifndef TRENZA_TIMER_H
#define TRENZA_TIMER_H

#include <trenza/base.h>
#include <trenza/task.h>
#include <trenza/thread.h>
#include <trenza/time.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

typedef struct tz_timer tz_timer;

/* When a timer fires; all-zero is once, at once. */
typedef struct tz_timer_options {
	double delay; /* seconds from now to the first call; negative counts as 0 */
	tz_deadline at; /* instead of the delay, unless it is all-zero */
	double period; /* seconds from one call to the next; 0: there is no next */
	uint64_t reserved[4]; /* 0 */
} tz_timer_options;

/* tz_timer_open_raw - make a timer that calls a task, and set it; what tz_timer_open stands on. options NULL is all-zero.
 *
 * A period counts from deadline to deadline, not from the end of a call, so it does not drift. Calls that fall
 * behind by more than a period are left out, not made up for; a timer never runs twice at a time.
 *
 * Ownership: *args is copied. *ret_timer is the caller's, until tz_timer_close; it is written before the first call.
 * Threads: any.
 * Errors: -EINVAL for a negative period, NaN, or a reserved field that is not 0; -ENOMEM; -EAGAIN if the system has no room
 * for the service's thread. */
TZ_API TZ_NODISCARD int tz_timer_open_raw(tz_timer **ret_timer, const tz_timer_options *options,
					  const tz_task *task, const void *args);

/* tz_timer_close - cancel the timer and give it up; NULL is legal, and so is its own function.
 *
 * A call that is running goes on; to wait for its end, use tz_timer_cancel and tz_timer_join before.
 *
 * Ownership: takes the timer.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_timer_close(tz_timer *timer);

/* tz_timer_cancel - keep the timer from calling its function (again).
 *
 * Ownership: none.
 * Threads: any, also its own function.
 * Errors: -EINPROGRESS if its function is running now: it goes on, and is not called again. -EALREADY if nothing was set. */
TZ_API int tz_timer_cancel(tz_timer *timer);

/* tz_timer_reschedule - let the timer fire `seconds` from now, whether it is set, is running, has fired or was cancelled.
 *
 * A timer with a period goes on with it from then on.
 *
 * Ownership: none.
 * Threads: any, also its own function.
 * Errors: -EAGAIN if the system has no room for the service's thread: it is not set then. */
TZ_API int tz_timer_reschedule(tz_timer *timer, double seconds);

/* tz_timer_join - wait until the timer is neither set nor running: it has fired, or was cancelled.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EDEADLK from its own function; -ETIMEDOUT, -ECANCELED by the scope. */
TZ_API int tz_timer_join(tz_timer *timer);

/* tz_timer_join_until - as tz_timer_join, and -ETIMEDOUT at the deadline.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_timer_join; -ETIMEDOUT also at the deadline. */
TZ_API int tz_timer_join_until(tz_timer *timer, tz_deadline deadline);

/* tz_timer_pending - whether it is set, or running.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_timer_pending(tz_timer *timer);

/* tz_timer_calls - how often its function was called.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API uint64_t tz_timer_calls(tz_timer *timer);

TZ_END_DECLS

static inline int tz__timer_open(tz_timer **ret_timer, double delay, double period,
				 const tz_task *task, const void *args)
{
	tz_timer_options o;

	memset(&o, 0, sizeof o);
	o.delay = delay;
	o.period = period;
	return tz_timer_open_raw(ret_timer, &o, task, args);
}

/* tz_timer_open - call a task once, `seconds` from now: tz_timer_open(&t, 0.5, remind, 4). Arguments are checked as in a call. 0 or a
 * negative errno code; see tz_timer_open_raw.
 *
 * Form: int tz_timer_open(tz_timer **ret_timer, double seconds, remind, int table) */
#define tz_timer_open(ret_timer, seconds, ...) \
	TZ__CAT(TZ__TIMER_, TZ__MANY(__VA_ARGS__))(ret_timer, seconds, 0, __VA_ARGS__)

/* tz_timer_every - call a task every `seconds`, first that long from now.
 *
 * Form: int tz_timer_every(tz_timer **ret_timer, double seconds, remind, int table)
 * Ownership: as tz_timer_open.
 * Threads: any.
 * Errors: as tz_timer_open; a period of 0 is none. */
#define tz_timer_every(ret_timer, seconds, ...) \
	TZ__CAT(TZ__TIMER_, TZ__MANY(__VA_ARGS__))(ret_timer, seconds, seconds, __VA_ARGS__)
#define TZ__TIMER_ONE(ret_timer, delay, period, fn) \
	tz__timer_open(ret_timer, delay, period, &fn##_task, TZ__BOUND(fn##_args, fn##__bind()))
#define TZ__TIMER_MANY(ret_timer, delay, period, fn, ...) \
	tz__timer_open(ret_timer, delay, period, &fn##_task, \
		       TZ__BOUND(fn##_args, fn##__bind(__VA_ARGS__)))

#endif
