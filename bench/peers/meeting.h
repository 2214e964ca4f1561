/*
 * Sockets of a library that each process has for itself, and that find each other by an address. Who connects waits until the other is there: else the pause before the
 * library tries once more is measured. Who has put something goes when it was taken: both libraries may lose what a socket has not got rid of when it is closed, whatever they
 * promise.
 */
#ifndef BENCH_MEETING_H
#define BENCH_MEETING_H

#include "../bench_messages.h"
#include "../bench_shared.h"

typedef struct bench_meeting {
	int taking; /* how many sockets that take are there */
	long taken; /* messages */
} bench_meeting;

static bench_meeting *bench_meetings; /* for the two ways */
static pid_t bench_maker;

static inline void bench_arrange(int which)
{
	if (!bench_meetings)
		bench_meetings = (bench_meeting *)bench_shared(2 * sizeof *bench_meetings);
	bench_maker = getpid();
	bench_meetings[which] = (bench_meeting){ 0, 0 };
}

typedef struct bench_address {
	char text[100];
} bench_address;

/* Of the socket that takes there as number `nth`. */
static inline bench_address bench_address_of(int which, int nth)
{
	bench_address a;
	snprintf(a.text, sizeof a.text, "ipc:///tmp/trenza-bench-%d-%d-%d", (int)bench_maker, which, nth);
	return a;
}

static inline void bench_takes_here(int which)
{
	__atomic_add_fetch(&bench_meetings[which].taking, 1, __ATOMIC_RELEASE);
}

static inline void bench_has_taken(int which, long n)
{
	__atomic_add_fetch(&bench_meetings[which].taken, n, __ATOMIC_RELEASE);
}

static inline void bench_forget_address(int which, int nth)
{
	unlink(bench_address_of(which, nth).text + sizeof "ipc://" - 1);
}

/* Waits until the number is at least n. */
#define bench_await(number, n) \
	do { \
		while (__atomic_load_n(&(number), __ATOMIC_ACQUIRE) < (n)) \
			usleep(100); \
	} while (0)

#endif
