/* primes.c: a task that computes and never waits: counting primes. */
#include "primes.h"

#include <stdbool.h>
#include <sys/resource.h>

#include <trenza.h>

/* Many more pieces than workers, so that none of them ends with nothing left to do. */
enum { PIECES = 400, PIECE = PRIMES_BELOW / PIECES };

/* By trial division, which is slow; a fast way would be over before there is anything to see. */
static bool is_prime(long n)
{
	if (n < 4)
		return n > 1;
	if (n % 2 == 0)
		return false;
	for (long d = 3; d * d <= n; d += 2)
		if (n % d == 0)
			return false;
	return true;
}

static long count_primes(long from)
{
	long primes = 0;

	for (long n = from; n < from + PIECE; n++)
		primes += is_prime(n);
	return primes;
}

TZ_TASK(long, count_primes, long);

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void add_times(struct counting *counting, double sign)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	counting->wall += sign * (double)tz_now() / 1e9;
	counting->user += sign * seconds(usage.ru_utime);
	counting->system += sign * seconds(usage.ru_stime);
}

int primes_count_on(const char *spec, struct counting *ret_counting)
{
	struct counting counting = { .executor = spec };
	long from[PIECES], primes[PIECES];
	tz_executor *executor;
	int r;

	for (int i = 0; i < PIECES; i++)
		from[i] = (long)i * PIECE;
	add_times(&counting, -1);
	r = tz_executor_open(&executor, spec);
	if (r < 0)
		return r;
	r = tz_map(executor, count_primes, PIECES, primes, from);
	tz_executor_close(executor);
	add_times(&counting, 1);
	if (r < 0)
		return r;
	for (int i = 0; i < PIECES; i++)
		counting.primes += primes[i];
	*ret_counting = counting;
	return 0;
}
