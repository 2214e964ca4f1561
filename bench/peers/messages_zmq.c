/*
 * ZeroMQ over ipc: each socket that pulls binds, and each that pushes connects to all of them.
 */
#include <zmq.h>

#include "meeting.h"

enum { IDLE_MS = 2 };

/* Sockets and threads do not go through a fork: each process makes its own when it first needs them. */
static struct {
	pid_t pid;
	void *context, *puller, *pusher;
	long put;
} mine[2];

static int pullers = 1; /* that there will be */
static int number; /* of this process among those that pull */
static long all; /* that come to all of them, where each does not know how many it will get */

static void *socket_here(int which, int type)
{
	if (mine[which].pid != getpid()) {
		mine[which].pid = getpid();
		mine[which].context = zmq_ctx_new();
		mine[which].puller = mine[which].pusher = NULL;
		mine[which].put = 0;
	}
	void **s = type == ZMQ_PULL ? &mine[which].puller : &mine[which].pusher;
	if (*s)
		return *s;
	*s = zmq_socket(mine[which].context, type);
	bench_check(*s != NULL, "no socket");
	if (type == ZMQ_PULL) {
		bench_check(zmq_bind(*s, bench_address_of(which, number).text) == 0, "not bound");
		bench_takes_here(which);
		return *s;
	}
	bench_await(bench_meetings[which].taking, pullers);
	for (int i = 0; i < pullers; i++)
		bench_check(zmq_connect(*s, bench_address_of(which, i).text) == 0, "not connected");
	return *s;
}

static void make(int which, size_t size)
{
	(void)size;
	bench_arrange(which);
}

static void put(int which, const void *data, size_t size, size_t n)
{
	void *s = socket_here(which, ZMQ_PUSH);
	for (size_t i = 0; i < n; i++)
		bench_check(zmq_send(s, (const char *)data + i * size, size, 0) == (int)size, "not put");
	mine[which].put += (long)n;
}

static size_t take(int which, void *data, size_t size, size_t most)
{
	(void)most;
	bench_check(zmq_recv(socket_here(which, ZMQ_PULL), data, size, 0) == (int)size, "not taken");
	bench_has_taken(which, 1);
	return 1;
}

static void end_here(int which)
{
	if (mine[which].pid != getpid())
		return;
	if (mine[which].pusher) {
		bench_await(bench_meetings[which].taken, all ? all : mine[which].put);
		zmq_close(mine[which].pusher);
	}
	if (mine[which].puller) {
		zmq_close(mine[which].puller);
		bench_forget_address(which, number);
	}
	zmq_ctx_term(mine[which].context);
	mine[which].pid = 0;
}

static void leave(void)
{
	end_here(0);
	end_here(1);
}

static const bench_channel channel = { make, put, take, end_here, leave };

/* Who pushes gives each who pulls its turn, but passes over those who are behind. So nobody knows how many it will get: until all have come, who has nothing to do for a
 * moment tells how many it has had. */
static void take_share(long n)
{
	int idle = IDLE_MS;
	long got = 0;
	void *s = socket_here(0, ZMQ_PULL);

	(void)n;
	zmq_setsockopt(s, ZMQ_RCVTIMEO, &idle, sizeof idle);
	do {
		while (zmq_recv(s, bench_data, bench_size, 0) == (int)bench_size)
			got++;
		bench_has_taken(0, got);
		got = 0;
	} while (__atomic_load_n(&bench_meetings[0].taken, __ATOMIC_RELAXED) < all);
}

static void pass_4(long n)
{
	pid_t child[2 * BENCH_MANY];
	long each = n / BENCH_MANY + 1;

	make(0, bench_size);
	pullers = BENCH_MANY;
	all = each * BENCH_MANY;
	for (number = 0; number < BENCH_MANY; number++) {
		child[2 * number] = bench_start(bench_put_all, each);
		child[2 * number + 1] = bench_start(take_share, each);
	}
	for (int i = 0; i < 2 * BENCH_MANY; i++)
		bench_finish(child[i]);
}

static double small_4(void)
{
	return 1e3 / bench_rate(pass_4, BENCH_SMALL, 1);
}

int main(int argc, char **argv)
{
	const bench_workload workloads[] = { { "shared-64b-4", small_4 }, BENCH_MESSAGE_ROWS, { NULL, NULL } };

	bench_through = &channel;
	return bench_main(argc, argv, workloads);
}
