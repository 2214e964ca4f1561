/* What the tz_with_ blocks are made of.
 *
 *     tz_with_lock(&lock) {
 *             if (!found)
 *                     return -ENOENT;         // releases the lock, too
 *     }
 *
 * A tz_with_ block acquires what its head names, runs its body once, and releases whichever way the
 * body is left: at its end, by return, goto, or a C++ exception, also by pthread_exit and
 * pthread_cancel where the file is compiled with -fexceptions. `break` and `continue` leave the
 * block, not a loop around it; use goto for that. longjmp over the block does not release.
 */
#ifndef TRENZA_WITH_H
#define TRENZA_WITH_H

#include <trenza/base.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

/* A loop of one turn: `enter` gives a pointer to what is held, or NULL, which skips the body;
 * `leave` is called with the address of that pointer. */
#define TZ__WITH(type, leave, enter) TZ__WITH_(type, leave, enter, __COUNTER__)
#define TZ__WITH_(type, leave, enter, n) TZ__WITH__(type, leave, enter, n)
#define TZ__WITH__(type, leave, enter, n) \
	for (type * tz__held_##n __attribute__((__cleanup__(leave))) = enter, \
				 *tz__turn_##n = tz__held_##n; \
	     tz__turn_##n; tz__turn_##n = NULL)

#define TZ__WITH_FN __attribute__((__unused__)) static inline

#endif
