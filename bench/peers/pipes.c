/*
 * Messages between two processes by the system's calls alone: pipes pipe|socketpair WORKLOAD. Messages have one size, so there are no frames.
 */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/wait.h>

#include "../bench.h"

enum { SMALL = 64, LARGE = 1 << 20, TRIP = 64 };

static int ours[2], theirs[2]; /* to read from, to write to */
static char memory[LARGE];
static int by_socket;

static void make(void)
{
	int a[2], b[2];

	if (by_socket) {
		bench_check(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0, "no socket pair");
		ours[0] = ours[1] = a[0];
		theirs[0] = theirs[1] = a[1];
		return;
	}
	bench_check(pipe(a) == 0 && pipe(b) == 0, "no pipe");
	ours[0] = a[0];
	theirs[1] = a[1];
	theirs[0] = b[0];
	ours[1] = b[1];
}

static void discard(const int *ends)
{
	close(ends[0]);
	if (ends[1] != ends[0])
		close(ends[1]);
}

static pid_t start(void (*work)(long n), long n)
{
	pid_t child;

	make();
	child = fork();
	bench_check(child >= 0, "no child");
	if (child == 0) {
		discard(ours);
		work(n);
		_exit(0);
	}
	discard(theirs);
	return child;
}

static void finish(pid_t child)
{
	int status;

	discard(ours);
	bench_check(waitpid(child, &status, 0) == child && status == 0, "the child failed");
}

static void send_all(int fd, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t r = write(fd, memory + done, size - done);
		bench_check(r > 0, "not sent");
		done += (size_t)r;
	}
}

static void receive_all(int fd, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t r = read(fd, memory + done, size - done);
		bench_check(r > 0, "not received");
		done += (size_t)r;
	}
}

static void send_small(long n)
{
	while (n-- > 0)
		send_all(theirs[1], SMALL);
}

static void send_large(long n)
{
	while (n-- > 0)
		send_all(theirs[1], LARGE);
}

static void send_back(long n)
{
	while (n-- > 0) {
		receive_all(theirs[0], TRIP);
		send_all(theirs[1], TRIP);
	}
}

static void receive(void (*work)(long n), size_t size, long n)
{
	pid_t child = start(work, n);

	while (n-- > 0)
		receive_all(ours[0], size);
	finish(child);
}

static void small_by_two(long n)
{
	receive(send_small, SMALL, n);
}

static void large_by_two(long n)
{
	receive(send_large, LARGE, n);
}

static void trips(long n)
{
	pid_t child = start(send_back, n);

	while (n-- > 0) {
		send_all(ours[1], TRIP);
		receive_all(ours[0], TRIP);
	}
	finish(child);
}

static double pipe_small(void)
{
	return 1e3 / bench_each(small_by_two, LONG_MAX);
}

static double pipe_large(void)
{
	return LARGE / bench_each(large_by_two, LONG_MAX);
}

static double pipe_trip(void)
{
	return bench_each(trips, LONG_MAX) * 1e-3;
}

int main(int argc, char **argv)
{
	const bench_workload workloads[] = {
		{ "pipe-64b", pipe_small },
		{ "pipe-1m", pipe_large },
		{ "pipe-trip", pipe_trip },
		{ NULL, NULL },
	};

	bench_check(argc > 2, "pipes pipe|socketpair WORKLOAD");
	by_socket = strcmp(argv[1], "socketpair") == 0;
	return bench_main(argc - 1, argv + 1, workloads);
}
