/* Threads for tests of what waits: started, awaited with a deadline, and asked about from outside.
 *
 * A test that hangs is ended, with a message, rather than left to the runner. Threads other than the test's own must
 * not use cmocka's assertions: they use `must`. Include after defining _GNU_SOURCE.
 */
#ifndef TRENZA_TESTS_CREW_H
#define TRENZA_TESTS_CREW_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <trenza/time.h>

enum { CREW_PATIENCE = 30 }; /* seconds: with a sanitizer on a busy machine, too */

/* A deadline that a test which works does not reach. */
static inline tz_deadline soon(void)
{
	return tz_after(CREW_PATIENCE);
}

_Noreturn static inline void give_up(const char *what, const char *file, int line)
{
	printf("Bail out! %s:%d: %s\n", file, line, what);
	(void)fflush(stdout);
	abort();
}

/* In any thread: ends the program if the condition does not hold. */
#define must(condition) ((condition) ? (void)0 : give_up("not so: " #condition, __FILE__, __LINE__))

/* Waits until the condition holds, which another thread brings about. */
#define until(condition) \
	for (tz_deadline until_end = soon(); !(condition); (void)tz_sleep(0.0002)) \
	must(!tz_expired(until_end))

struct crew {
	pthread_t threads[64];
	int count;
};

static inline void crew_add(struct crew *c, void *(*body)(void *), void *arg)
{
	must(c->count < 64);
	must(pthread_create(&c->threads[c->count++], NULL, body, arg) == 0);
}

/* Waits for all of them. */
static inline void crew_join(struct crew *c)
{
	for (int i = 0; i < c->count; i++) {
		struct timespec end;

		must(clock_gettime(CLOCK_REALTIME, &end) == 0);
		end.tv_sec += CREW_PATIENCE;
		/* Not pthread_clockjoin_np: older thread sanitizers do not know it. */
		must(pthread_timedjoin_np(c->threads[i], NULL, &end) == 0);
	}
	c->count = 0;
}

/* A small generator, so that runs are the same each time. */
static inline uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

#endif
