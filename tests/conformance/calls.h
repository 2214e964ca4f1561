/* Calls that the cases of several programs submit, and what is counted of them. */
#ifndef CONFORMANCE_CALLS_H
#define CONFORMANCE_CALLS_H

#include "conformance.h"

static atomic_int ran, ended, woken, calls;

static inline void begin(void)
{
	atomic_store(&ran, 0);
	atomic_store(&ended, 0);
	atomic_store(&woken, 0);
}

static inline void count_call(void)
{
	atomic_fetch_add(&calls, 1);
}
TZ_TASK(void, count_call, void);

static inline int hold(struct gate *g)
{
	int r = pass(g);

	atomic_fetch_add(&ended, 1);
	return r < 0 ? tz_fail(r, "asked to end") : 7;
}
TZ_TASK(int, hold, struct gate *);

/* Looks at nothing but the gate. */
static inline int hold_deaf(struct gate *g)
{
	atomic_fetch_add(&g->waiting, 1);
	while (!atomic_load(&g->open))
		(void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	return 7;
}
TZ_TASK(int, hold_deaf, struct gate *);

/* Waits in a call of the library for longer than a case may take; in virtual time that is not long. */
static inline int sleep_long(void)
{
	int r = tz_sleep(10 * CREW_PATIENCE);

	return r < 0 ? tz_fail(r, "woken") : 0;
}
TZ_TASK(int, sleep_long, void);

/* Waits in a call of the library until it is told to end. */
static inline int sleep_on(void)
{
	atomic_fetch_add(&ran, 1);
	int r = tz_sleep_until(tz_never());

	atomic_fetch_add(&ended, 1);
	if (r == -ECANCELED)
		atomic_fetch_add(&woken, 1);
	return r < 0 ? tz_fail(r, "woken") : 0;
}
TZ_TASK(int, sleep_on, void);

#endif
