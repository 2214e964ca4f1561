/*
 * ZeroMQ over ipc: one socket pushes, one pulls.
 */
#include <zmq.h>

#include "../bench_messages.h"

static char address[2][100];
static void *context[2], *puller[2], *pusher[2];
static pid_t context_of[2], pull_of[2], push_of[2];

/* Sockets and threads do not go through a fork: each process makes its own when it first needs them. */
static void *context_here(int which)
{
	if (context_of[which] != getpid()) {
		context_of[which] = getpid();
		context[which] = zmq_ctx_new();
	}
	return context[which];
}

static void make(int which, size_t size)
{
	(void)size;
	snprintf(address[which], sizeof address[which], "ipc:///tmp/trenza-bench-%d-%d", (int)getpid(), which);
}

static void put(int which, const void *data, size_t size, size_t n)
{
	if (push_of[which] != getpid()) {
		push_of[which] = getpid();
		pusher[which] = zmq_socket(context_here(which), ZMQ_PUSH);
		bench_check(zmq_connect(pusher[which], address[which]) == 0, "not connected");
	}
	for (size_t i = 0; i < n; i++)
		bench_check(zmq_send(pusher[which], (const char *)data + i * size, size, 0) == (int)size, "not put");
}

static size_t take(int which, void *data, size_t size, size_t most)
{
	(void)most;
	if (pull_of[which] != getpid()) {
		pull_of[which] = getpid();
		puller[which] = zmq_socket(context_here(which), ZMQ_PULL);
		bench_check(zmq_bind(puller[which], address[which]) == 0, "not bound");
	}
	bench_check(zmq_recv(puller[which], data, size, 0) == (int)size, "not taken");
	return 1;
}

/* Waits until what was put has gone. */
static void end_here(int which)
{
	if (push_of[which] == getpid())
		zmq_close(pusher[which]);
	if (pull_of[which] == getpid())
		zmq_close(puller[which]);
	if (context_of[which] == getpid())
		zmq_ctx_term(context[which]);
	push_of[which] = pull_of[which] = context_of[which] = 0;
}

static void leave(void)
{
	end_here(0);
	end_here(1);
}

static void unmake(int which)
{
	end_here(which);
	unlink(address[which] + sizeof "ipc://" - 1);
}

static const bench_channel channel = { make, put, take, unmake, leave };

int main(int argc, char **argv)
{
	const bench_workload workloads[] = { BENCH_MESSAGE_ROWS, { NULL, NULL } };

	bench_through = &channel;
	return bench_main(argc, argv, workloads);
}
