/* Once: something that is done one time, by whoever comes first.
 *
 *     static tz_once tables;
 *     static int make_tables(void *arg);       // 0, or a negative errno code
 *
 *     int r = tz_once_call(&tables, make_tables, NULL);
 *
 * The function runs exactly one time, also when it fails: everybody, also who comes later, gets the
 * same answer. Who wants to try again after a failure uses another tz_once.
 */
#ifndef TRENZA_ONCE_H
#define TRENZA_ONCE_H

#include <trenza/base.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* All-zero: not done yet. */
typedef struct tz_once {
	uint32_t tz__state;
	int tz__result;
} tz_once;

typedef int tz_once_function(void *arg);

enum { TZ__ONCE_DONE = 4 }; /* in tz__state; the other values are the library's */

TZ_API int tz__once_call_slow(tz_once *once, tz_once_function *function, void *arg);

/* tz_once_call - runs function(arg) unless that was done before, and returns what it returned that
 * time.
 *
 * Who comes while it runs waits for its end. What it wrote is seen by all who return from this
 * call. It must not call tz_once_call on the same object: that would wait for itself.
 *
 * If the function does not return (its thread ends, or it throws an exception), that counts as an
 * answer of -ECANCELED.
 *
 * Ownership: none; arg is used by the first call only.
 * Threads: any.
 * Errors: what the function returned. For who waits for another strand's run also -ETIMEDOUT at the
 * scope's deadline and -ECANCELED when the scope was cancelled; the function runs on. */
TZ_API inline int tz_once_call(tz_once *once, tz_once_function *function, void *arg)
{
	if (__atomic_load_n(&once->tz__state, __ATOMIC_ACQUIRE) == TZ__ONCE_DONE)
		return once->tz__result;
	return tz__once_call_slow(once, function, arg);
}

/* tz_once_is_done - whether the function has run to its end.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_once_is_done(const tz_once *once);

TZ_END_DECLS

#endif
