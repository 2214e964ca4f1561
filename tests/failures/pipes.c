/* Pipes whose writer is killed in the middle of a message, and messages that are too long for others. See failures.h. */
#define _GNU_SOURCE

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <trenza.h>

#include "../unit/shared.h"
#include "failures.h"

static tz_connection *to, *from;

/* --- 32: a process is killed in the middle of a message ------------------------------------------------------------------- */

enum { LARGE = 10000000 };

static void send_large(void *unused)
{
	void *data = calloc(1, LARGE);

	(void)unused;
	must(data && tz_send_bytes(from, "whole", 5) == 0);
	(void)tz_send_bytes(from, data, LARGE); /* nobody receives it */
}

/* A pipe with a whole message and a part of another one, whose writer is dead. */
static void leave_a_part(void)
{
	pid_t child;
	char whole[8];

	assert_int_equal(tz_pipe(&to, &from, TZ_ONE_WAY), 0);
	child = child_start(send_large, NULL);
	assert_int_equal(tz_connection_poll_until(to, soon()), 0);
	assert_int_equal(tz_recv_bytes_into(to, whole, sizeof whole), 5);
	must(tz_wait_fd(tz_connection_fd(to), POLLIN, soon()) > 0);
	child_kill(child);
}

/* This process could still write, so there is no end: the time limit holds, for all of the message. */
static void row_32_pipe(void **state)
{
	tz_bytes got;

	(void)state;
	leave_a_part();
	assert_int_equal(tz_connection_poll(to), 0);
	for (int i = 0; i < 2; i++)
		TZ_TIMEOUT(0.01)
			assert_int_equal(tz_recv_bytes(to, &got), -ETIMEDOUT);
	assert_int_equal(tz_connection_poll_until(to, tz_after(0.01)), -ETIMEDOUT);
	assert_int_equal(tz_wait_ready(&(tz_ready){ .connection = to }, 1, tz_after(0.01)),
			 -ETIMEDOUT);
	tz_connection_close(from);
	tz_connection_close(to);
}

/* Nobody can: that is told, and is not the end of the messages. */
static void row_32_pipe_end(void **state)
{
	tz_bytes got;

	(void)state;
	leave_a_part();
	tz_connection_close(from);
	TZ_TIMEOUT(CREW_PATIENCE)
		assert_int_equal(tz_recv_bytes(to, &got), -ECONNRESET);
	tz_connection_close(to);
}

/* --- 37: a message of more than 2 GiB ---------------------------------------------------------------------------------------- */

static void *zeros(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* The lengths on the wire are right on both sides of 2^31. unit/connection sends such a message as a whole. */
static void row_37_head(void **state)
{
	static const unsigned char wanted[2][12] = {
		{ 0x7f, 0xff, 0xff, 0xff }, { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0 }
	};
	const size_t size = (size_t)1 << 31;
	void *data = zeros(size);

	(void)state;
	for (int k = 0; k < 2; k++) {
		unsigned char got[12];
		int fds[2], answer = 0;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		assert_int_equal(tz_connection_open(&from, fds[0], NULL), 0);
		TZ_TIMEOUT(0.01) /* nobody receives the rest */
			answer = tz_send_bytes(from, data, size - 1 + (size_t)k);
		assert_int_equal(answer, -ETIMEDOUT);
		assert_int_equal(recv(fds[1], got, k ? 12 : 4, MSG_WAITALL), k ? 12 : 4);
		assert_memory_equal(got, wanted[k], k ? 12 : 4);
		tz_connection_close(from);
		(void)close(fds[1]);
	}
	assert_int_equal(munmap(data, size), 0);
}

/* Who has no room for it gets an error, and the other one, too, when that gives up. */
static void row_37_error(void **state)
{
	static const unsigned char head[] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xa0, 0, 0, 0 };
	char small[16];
	size_t size = 0;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(tz_connection_open(&to, fds[0], NULL), 0);
	assert_int_equal(send(fds[1], head, sizeof head, MSG_NOSIGNAL), sizeof head);
	assert_int_equal(tz_recv_bytes_into(to, small, sizeof small), -EMSGSIZE);
	assert_int_equal(tz_recv_size(to, &size), 0);
	assert_true(size == (size_t)0xa0000000);
	tz_connection_close(to);
	assert_int_equal(send(fds[1], head, sizeof head, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	(void)close(fds[1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_32_pipe),
		cmocka_unit_test(row_32_pipe_end),
		cmocka_unit_test(row_37_head),
		cmocka_unit_test(row_37_error),
	};

	choose(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
