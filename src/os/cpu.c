/* Waiting for another thread that is in the middle of a few instructions. */
#include "os/cpu.h"

#include <sched.h>
#include <time.h>

enum { RELAX = 64, YIELD = 128 };

void tz_cpu_backoff(unsigned *spins)
{
	unsigned n = (*spins)++;

	if (n < RELAX) {
		tz_cpu_relax();
	} else if (n < YIELD) {
		(void)sched_yield();
	} else {
		/* It does not even get a turn when we yield: we may have the higher real-time priority. */
		struct timespec nap = { .tv_nsec = 50000 };
		(void)nanosleep(&nap, NULL);
	}
}
