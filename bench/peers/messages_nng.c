/*
 * nng over ipc: one socket pushes, one pulls.
 */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>

#include "meeting.h"

/* Sockets and threads do not go through a fork: each process makes its own when it first needs them. */
static struct {
	pid_t pid;
	nng_socket puller, pusher;
	long put;
} mine[2];

static void enter(int which)
{
	if (mine[which].pid == getpid())
		return;
	mine[which].pid = getpid();
	mine[which].puller = mine[which].pusher = (nng_socket)NNG_SOCKET_INITIALIZER;
	mine[which].put = 0;
}

static bool is_open(nng_socket s)
{
	return nng_socket_id(s) > 0;
}

static void make(int which, size_t size)
{
	(void)size;
	bench_arrange(which);
}

static void put(int which, const void *data, size_t size, size_t n)
{
	enter(which);
	if (!is_open(mine[which].pusher)) {
		bench_check(nng_push0_open(&mine[which].pusher) == 0, "no socket");
		bench_await(bench_meetings[which].taking, 1);
		bench_check(nng_dial(mine[which].pusher, bench_address_of(which, 0).text, NULL, 0) == 0, "not connected");
	}
	for (size_t i = 0; i < n; i++)
		bench_check(nng_send(mine[which].pusher, (char *)data + i * size, size, 0) == 0, "not put");
	mine[which].put += (long)n;
}

static size_t take(int which, void *data, size_t size, size_t most)
{
	size_t got = size;

	(void)most;
	enter(which);
	if (!is_open(mine[which].puller)) {
		bench_check(nng_pull0_open(&mine[which].puller) == 0, "no socket");
		bench_check(nng_listen(mine[which].puller, bench_address_of(which, 0).text, NULL, 0) == 0, "not bound");
		bench_takes_here(which);
	}
	bench_check(nng_recv(mine[which].puller, data, &got, 0) == 0 && got == size, "not taken");
	bench_has_taken(which, 1);
	return 1;
}

static void end_here(int which)
{
	if (mine[which].pid != getpid())
		return;
	if (is_open(mine[which].pusher)) {
		bench_await(bench_meetings[which].taken, mine[which].put);
		nng_close(mine[which].pusher);
	}
	if (is_open(mine[which].puller))
		nng_close(mine[which].puller);
	mine[which].pid = 0;
}

static void leave(void)
{
	end_here(0);
	end_here(1);
}

/* Who has used the library cannot fork: so a process of its own for each pass. */
static void trips(long n)
{
	bench_finish(bench_start(bench_trips, n));
}

static double steady_trip(void)
{
	return bench_rate(trips, BENCH_SMALL, 1) * 1e-3;
}

int main(int argc, char **argv)
{
	static const bench_channel channel = { make, put, take, end_here, leave };
	const bench_workload workloads[] = { { "shared-trip", steady_trip }, BENCH_MESSAGE_ROWS, { NULL, NULL } };

	bench_through = &channel;
	return bench_main(argc, argv, workloads);
}
