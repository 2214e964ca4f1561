/* primes.c: a task that computes and never waits: counting primes. */
#include "primes.h"

#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

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

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* What a piece came to, and what it took of the processor. */
struct piece {
	long primes;
	double cpu;
};
TZ_FLAT(struct piece);

static double thread_cpu(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct piece count_primes(long from)
{
	struct piece piece = { .cpu = -thread_cpu() };

	for (long n = from; n < from + PIECE; n++)
		piece.primes += is_prime(n);
	piece.cpu += thread_cpu();
	return piece;
}

TZ_TASK(struct piece, count_primes, long);

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
	static struct piece pieces[PIECES];
	long from[PIECES];
	tz_executor *executor;
	bool apart;
	int r;

	for (int i = 0; i < PIECES; i++)
		from[i] = (long)i * PIECE;
	add_times(&counting, -1);
	r = tz_executor_open(&executor, spec);
	if (r < 0)
		return r;
	apart = strcmp(tz_executor_kind(executor), "processes") == 0;
	r = tz_map(executor, count_primes, PIECES, pieces, from);
	tz_executor_close(executor);
	add_times(&counting, 1);
	if (r < 0)
		return r;
	for (int i = 0; i < PIECES; i++) {
		counting.primes += pieces[i].primes;
		counting.user += apart ? pieces[i].cpu : 0; /* else it is in our own times */
	}
	*ret_counting = counting;
	return 0;
}
