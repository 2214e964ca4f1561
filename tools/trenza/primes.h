/* primes.h: a task that computes and never waits: counting primes. */
#ifndef TRENZA_TOOL_PRIMES_H
#define TRENZA_TOOL_PRIMES_H

enum { PRIMES_BELOW = 2000000, PRIMES_THERE_ARE = 148933 };

/* What counting all primes below PRIMES_BELOW took. */
struct counting {
	const char *executor;
	double wall, user, system;
	long primes;
};

/*
 * Counts the primes by a map over pieces of the range, on the executor that `spec` names.
 * Errors: what opening the executor or mapping says.
 */
int primes_count_on(const char *spec, struct counting *ret_counting);

#endif
