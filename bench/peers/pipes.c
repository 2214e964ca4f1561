/*
 * Messages between two processes by the system's calls alone: pipes pipe|socketpair WORKLOAD. Messages have one size, so there are no frames.
 */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "../bench_pipes.h"

static struct {
	int in, out;
} end[2]; /* by side */
static int by_socket;

static void make(void)
{
	int a[2], b[2];

	if (by_socket) {
		bench_check(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0, "no socket pair");
		for (int side = 0; side < 2; side++)
			end[side].in = end[side].out = a[side];
		return;
	}
	bench_check(pipe(a) == 0 && pipe(b) == 0, "no pipe");
	end[0].in = a[0];
	end[1].out = a[1];
	end[1].in = b[0];
	end[0].out = b[1];
}

static void discard(enum bench_side side)
{
	close(end[side].in);
	if (!by_socket)
		close(end[side].out);
}

static void send_all(enum bench_side from, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t r = write(end[from].out, bench_memory + done, size - done);
		bench_check(r > 0, "not sent");
		done += (size_t)r;
	}
}

static void receive_all(enum bench_side at, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t r = read(end[at].in, bench_memory + done, size - done);
		bench_check(r > 0, "not received");
		done += (size_t)r;
	}
}

int main(int argc, char **argv)
{
	static const bench_line line = { make, discard, send_all, receive_all };
	const bench_workload workloads[] = { BENCH_PIPE_ROWS, { NULL, NULL } };

	bench_check(argc > 2, "pipes pipe|socketpair WORKLOAD");
	bench_by = &line;
	by_socket = strcmp(argv[1], "socketpair") == 0;
	return bench_main(argc - 1, argv + 1, workloads);
}
