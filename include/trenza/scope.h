/* Scopes: what bounds the waits inside a block of code, and owns what the block submitted.
 *
 *     TZ_TIMEOUT(0.5) {
 *             tz_sleep(10);                    // returns -ETIMEDOUT after half a second
 *     }
 *
 *     TZ_SCOPE(s) {
 *             tz_scope_submit(&s, ex, area, 3.0, 4.0);
 *             tz_scope_submit(&s, ex, area, 5.0, 6.0);
 *     }                                        // both have ended here, and are released
 *
 *     TZ_SHIELD(2) {
 *             say_goodbye(connection);         // two seconds, also if the job has been cancelled
 *     }
 *
 * Scopes form a tree: each strand has a current scope; a scope's parent is the one that was current when it was entered, and the
 * outermost scope of a job ends with the job's deadline and cancel request. A scope's deadline is never later than its parent's. Cancel and
 * deadline are level-triggered: once a scope is cancelled, every wait in it that may end early ends, again and again, until the scope is
 * left. What is interrupted is worked out from the tree at each wait, and nothing is counted, so an inner scope can neither use up nor hide what was
 * meant for an outer one. A scope ends only when what it owns has ended: leaving it waits for its futures; if the scope was cancelled or its
 * deadline came, they are cancelled first.
 *
 * A wait that is refused because its scope has ended gives way to others, and if the code goes on to wait in vain (a loop that does not look at
 * what its waits return), each further one takes a millisecond.
 */
#ifndef TRENZA_SCOPE_H
#define TRENZA_SCOPE_H

#include <trenza/executor.h>
#include <trenza/future.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* A scope, embedded in the caller's frame. Its fields are private; it must not be copied or moved while entered. */
typedef struct tz_scope {
	struct tz_scope *tz__parent;
	void *tz__strand;
	uint64_t tz__deadline; /* atomic: its own, 0: none */
	uint32_t tz__cancelled; /* atomic: TZ__CANCELLED by a call, TZ__CUT by its group */
	uint32_t tz__busy; /* atomic: cancellers that are under way */
	uint32_t tz__lock;
	tz_handle *tz__owned; /* the strand adds to it without the lock */
	uint32_t tz__count; /* atomic */
	uint32_t tz__room;
	tz_handle *tz__given; /* by other strands, under the lock */
	uint32_t tz__ngiven, tz__given_room;
	uint32_t tz__weeded; /* atomic: how often what was given has been moved together */
	uint32_t tz__refused; /* atomic: 1 once a submit into it got no memory */
	int32_t tz__met; /* what ended a wait in it: 0, -ECANCELED, -ETIMEDOUT */
	uint8_t tz__shield; /* the scopes around do not reach into it */
	uint8_t tz__reaps; /* releases what ended well before it is left */
	tz_handle tz__few[4]; /* the first futures it owns */
} tz_scope;

/* tz_scope_enter - makes an all-zero scope the strand's current one, with a deadline of its own (tz_never() for none).
 *
 * Ownership: the scope's memory is the caller's and must stay until tz_scope_leave.
 * Threads: any; the scope belongs to the calling strand.
 * Errors: none. */
TZ_API void tz_scope_enter(tz_scope *scope, tz_deadline deadline);

/* tz_scope_enter_shield - as tz_scope_enter, for a scope that cancels and deadlines of the scopes around it do not reach: TZ_SHIELD.
 *
 * For what must be done all the same, within a deadline of its own. Whoever waits for the job to end waits for that, too.
 *
 * Ownership: as tz_scope_enter.
 * Threads: any; the scope belongs to the calling strand.
 * Errors: none. */
TZ_API void tz_scope_enter_shield(tz_scope *scope, tz_deadline deadline);

/* tz_scope_leave - waits for what the scope owns, releases it, and makes the parent current again.
 *
 * If the scope was cancelled or its deadline has come, what it owns is cancelled first; a job that does not look at the request is
 * waited for all the same. Scopes are left in the reverse order of entering.
 *
 * Ownership: releases the futures that the scope owns. The scope is all-zero afterwards.
 * Threads: the strand that entered it.
 * Errors: -EREMOTEIO if an owned job ended other than well and not by our cancel (the first in order of submitting is in tz_last(); a
 * submit into the scope that got no memory comes last);
 * -ETIMEDOUT if a deadline, -ECANCELED if a cancel ended a wait in it, or what it owns. A scope around that did so is still cancelled. */
TZ_API int tz_scope_leave(tz_scope *scope);

/* tz_scope_reschedule - moves a scope's own deadline, to earlier or later; tz_never() takes it away.
 *
 * A strand that waits in the scope, or in one inside it, goes by the new deadline from now on; so do jobs that were submitted into it, unless their
 * own deadline is earlier. One that has not begun, and was submitted while there was no deadline at all, begins without one. The deadline is on
 * the clock of the caller.
 *
 * Ownership: none.
 * Threads: any, while the scope is entered.
 * Errors: -ETIMEDOUT if the old deadline has ended a wait in the scope or what it owns already, as seen by its own strand; that cannot be taken back. The new
 * deadline is in force all the same. */
TZ_API int tz_scope_reschedule(tz_scope *scope, tz_deadline deadline);

/* tz_scope_deadline - the deadline that is in force in a scope: the earliest of its own and those around it, as far as a shield lets them reach.
 *
 * Ownership: none.
 * Threads: any, while the scope is entered.
 * Errors: none. */
TZ_API tz_deadline tz_scope_deadline(const tz_scope *scope);

/* tz_scope_expired, tz_scope_cancelled - whether a scope's own deadline has come, or it has been cancelled itself: not because of a scope around it.
 *
 * Ownership: none.
 * Threads: any, while the scope is entered.
 * Errors: none. */
TZ_API bool tz_scope_expired(const tz_scope *scope);
TZ_API bool tz_scope_cancelled(const tz_scope *scope);

/* tz_interrupted_by - the scope because of which tz_interrupted() is not 0: the outermost of those that are cancelled or, if none is, whose deadline has
 * come. NULL if nothing is to end.
 *
 * Ownership: the scope is its owner's; compare the address.
 * Threads: any.
 * Errors: none. */
TZ_API const tz_scope *tz_interrupted_by(void);

/* tz_scope_cancel - cancels a scope: its waits end with -ECANCELED, what it owns is cancelled.
 *
 * Ownership: none.
 * Threads: any; the scope must be entered when the call begins, and may be left meanwhile.
 * Errors: none; cancelling twice is legal. */
TZ_API void tz_scope_cancel(tz_scope *scope);

/* tz_scope_adopt_raw - makes the scope the owner of a future: it will release it, unless tz_result does so before.
 *
 * Ownership: the future becomes the scope's, on success.
 * Threads: any, while the scope is entered.
 * Errors: -ENOMEM (the future is still the caller's). */
TZ_API int tz_scope_adopt_raw(tz_scope *scope, tz_handle future);

/* tz_interrupted - whether the current scope wants the code to end: 0, -ECANCELED or -ETIMEDOUT.
 *
 * This is how a running job sees a cancel request or its deadline. Never blocks.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_interrupted(void);

/* Underneath TZ_SCOPE and TZ_TIMEOUT. */
TZ_API void tz__scope_cleanup(tz_scope *scope);
static inline tz_scope tz__scope_zero(void)
{
	tz_scope s;
	__builtin_memset(&s, 0, sizeof s);
	return s;
}
static inline int tz__scope_enter_once(tz_scope *scope, int *once, tz_deadline deadline)
{
	if ((*once)++)
		return 0;
	tz_scope_enter(scope, deadline);
	return 1;
}
static inline int tz__scope_shield_once(tz_scope *scope, int *once, tz_deadline deadline)
{
	if ((*once)++)
		return 0;
	tz_scope_enter_shield(scope, deadline);
	return 1;
}

TZ_END_DECLS

/* TZ_SCOPE(s) { ... }, TZ_SCOPE_UNTIL(s, deadline) { ... }, TZ_TIMEOUT(seconds) { ... }, TZ_SHIELD(seconds) { ... } - a block with a scope `s`, left
 * however the block is left: its end, return, break, goto. `break` and `continue` leave the block. The scopes of TZ_TIMEOUT and TZ_SHIELD have no
 * name. TZ_SHIELD keeps what is cancelled or late around it out for so many seconds, for cleaning up.
 *
 * Form: TZ_SCOPE(s) { ... }
 * Form: TZ_SCOPE_UNTIL(s, tz_deadline deadline) { ... }
 * Form: TZ_TIMEOUT(double seconds) { ... }
 * Form: TZ_SHIELD(double seconds) { ... }
 * Ownership: the futures that `s` owns are waited for and released when the block is left.
 * Threads: any; the scope belongs to the calling strand.
 * Errors: as tz_scope_leave, in tz_last(). */
#define TZ_SCOPE(s) TZ_SCOPE_UNTIL(s, tz_never())
#define TZ_SCOPE_UNTIL(s, deadline) TZ__SCOPE_BLOCK(s, tz__scope_enter_once, deadline)
#define TZ_TIMEOUT(seconds) TZ_SCOPE_UNTIL(tz__timeout, tz_after(seconds))
#define TZ_SHIELD(seconds) TZ__SCOPE_BLOCK(tz__shelter, tz__scope_shield_once, tz_after(seconds))
#define TZ__SCOPE_BLOCK(s, enter, deadline) \
	for (int tz__once_##s = 0; tz__once_##s == 0; tz__once_##s = 1) \
		for (tz_scope s __attribute__((cleanup(tz__scope_cleanup))) = tz__scope_zero(); \
		     enter(&s, &tz__once_##s, deadline);)

/* tz_scope_submit - submit a call that the scope owns; the future may be used, or ignored.
 *
 * Form: area_future tz_scope_submit(tz_scope *scope, tz_executor *ex, area, double w, double h)
 * Ownership: the future is the scope's; tz_result may release it before the scope does.
 * Threads: any, while the scope is entered.
 * Errors: as tz_submit; TZ_FAILED with -ENOMEM also if the scope had no memory to keep it. */
#define tz_scope_submit(scope_, ex, ...) tz_submit_with(ex, TZ_OPTIONS(tz_submit_options, .scope = (scope_)), __VA_ARGS__)
#define tz_scope_adopt(scope, f) tz_scope_adopt_raw(scope, (f).handle)

#endif
