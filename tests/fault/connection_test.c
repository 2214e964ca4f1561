/* Connections when memory or descriptors run out at any point: what has come is not lost. */
#include "fault.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza.h>

#include "check.h"

enum { LARGE = 100000 };

static char large[LARGE];

struct ends {
	tz_connection *a, *b;
};

static int close_ends(struct ends *e, int r)
{
	tz_connection_close(e->a);
	tz_connection_close(e->b);
	return r;
}

/* Receives one message of that size, again if there was no memory for it. */
static int receive(tz_connection *c, size_t size)
{
	tz_bytes got;
	int failed = 0, r;

	while ((r = tz_recv_bytes(c, &got)) == -ENOMEM)
		failed = r;
	expect(r == 0 && got.size == size);
	tz_buffer_free((void *)got.data);
	return failed;
}

static int messages(const void *arg)
{
	struct ends e = { NULL, NULL };
	int r = tz_pipe(&e.a, &e.b, TZ_DUPLEX), failed;

	(void)arg;
	if (r < 0)
		return r;
	expect(tz_send_bytes(e.a, "small", 5) == 0);
	expect(tz_send_bytes(e.a, large, LARGE) == 0);
	expect(tz_send_bytes(e.a, NULL, 0) == 0);
	failed = receive(e.b, 5);
	r = receive(e.b, LARGE);
	failed = failed ? failed : r;
	r = receive(e.b, 0);
	return close_ends(&e, failed ? failed : r);
}

static int with_descriptors(const void *arg)
{
	struct ends e = { NULL, NULL };
	int r = tz_pipe(&e.a, &e.b, TZ_DUPLEX), fds[2], n = 0, failed = 0;
	ptrdiff_t size;
	char text[8];

	(void)arg;
	if (r < 0)
		return r;
	r = tz_send_fds(e.a, "two", 3, (const int[]){ 0, 1 }, 2);
	if (r < 0)
		return close_ends(&e, r);
	while ((size = tz_recv_fds(e.b, text, sizeof text, fds, 2, &n)) == -ENOMEM)
		failed = -ENOMEM;
	expect(size == 3 && n == 2);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return close_ends(&e, failed);
}

/* Without memory to keep what it has got, a receive that ends early ends the stream; it does not lose its place in it. */
static int a_receive_that_ends_early(const void *arg)
{
	struct ends e = { NULL, NULL };
	int r = tz_pipe(&e.a, &e.b, TZ_DUPLEX);
	ptrdiff_t size = 0;
	char *to;

	(void)arg;
	if (r < 0)
		return r;
	to = malloc(LARGE);
	if (!to)
		return close_ends(&e, -ENOMEM);
	expect(write(tz_connection_fd(e.a), "\0\1\x86\xa0", 4) == 4); /* LARGE */
	expect(write(tz_connection_fd(e.a), large, 1000) == 1000);
	TZ_TIMEOUT(0.001)
		size = tz_recv_bytes_into(e.b, to, LARGE);
	if (size == -ENOMEM && (r = tz_connection_poll(e.b)) == 1) {
		expect(tz_recv_bytes_into(e.b, to, LARGE) == -ENOMEM);
	} else {
		expect(size == -ETIMEDOUT || size == -ENOMEM);
		expect(write(tz_connection_fd(e.a), large, LARGE - 1000) == LARGE - 1000);
		expect(tz_recv_bytes_into(e.b, to, LARGE) == LARGE);
	}
	free(to);
	return close_ends(&e, size == -ENOMEM ? -ENOMEM : 0);
}

static int values(const void *arg)
{
	struct ends e = { NULL, NULL };
	int r = tz_pipe(&e.a, &e.b, TZ_DUPLEX);
	tz_value got;

	(void)arg;
	if (r < 0)
		return r;
	r = tz_send(e.a, tz_list(42, "hello", tz_dict("a", 1)));
	if (r == 0) {
		r = tz_recv(e.b, &got);
		if (r == 0)
			tz_value_free(got);
	}
	return close_ends(&e, r);
}

static int waiting_for_several(const void *arg)
{
	struct ends e = { NULL, NULL };
	tz_ready things[20];
	int r = tz_pipe(&e.a, &e.b, TZ_DUPLEX);

	(void)arg;
	if (r < 0)
		return r;
	for (int i = 0; i < 20; i++)
		things[i] = (tz_ready){ .connection = e.b };
	r = tz_wait_ready(things, 20, tz_after(0.001));
	if (r == -ETIMEDOUT) {
		expect(tz_send_bytes(e.a, "x", 1) == 0);
		r = tz_wait_ready(things, 20, tz_after(10));
	}
	/* A connection that had no memory is ready: a receive would say so at once. */
	r = r == 20 ? 0 : r > 0 ? -ENOMEM : r;
	return close_ends(&e, r);
}

#define SWEEP(scenario) \
	static void scenario##_test(void **state) \
	{ \
		(void)state; \
		fault_sweep(scenario, NULL); \
	}
SWEEP(messages)
SWEEP(with_descriptors)
SWEEP(a_receive_that_ends_early)
SWEEP(values)
SWEEP(waiting_for_several)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_test),
		cmocka_unit_test(with_descriptors_test),
		cmocka_unit_test(a_receive_that_ends_early_test),
		cmocka_unit_test(values_test),
		cmocka_unit_test(waiting_for_several_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
