#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <trenza.h>

/* tz_send_item { */
struct order {
	int table;
	double price;
};
TZ_FLAT(struct order);
/* } */

/* tz_connection_readable, tz_connection_set_limit { */
static void describe(tz_connection *c)
{
	printf("%s%s\n", tz_connection_readable(c) ? "receives " : "",
	       tz_connection_writable(c) ? "sends" : "");
	tz_connection_set_limit(c, 1 << 20); /* no message of more than 1 MiB */
}
/* } */

/* tz_connection_keep { */
static tz_connection *of_worker;

static void setup(tz_connection *c)
{
	tz_connection_keep(c); /* for the tasks to come */
	of_worker = c;
}
/* } */

/* tz_wait_ready { */
static int serve(tz_connection *a, tz_connection *b)
{
	tz_ready things[] = { { .connection = a }, { .connection = b }, { .fd = STDIN_FILENO } };
	int n = tz_wait_ready(things, 3, tz_after(0.5));

	for (int i = 0; i < 2 && n > 0; i++) {
		char message[64];

		if (things[i].ready)
			printf("%d: %td bytes\n", i,
			       tz_recv_bytes_into(things[i].connection, message, sizeof message));
	}
	return n;
}
/* } */

int main(void)
{
	{
		/* tz_pipe, tz_send_bytes, tz_recv_bytes, tz_connection_close { */
		tz_connection *here, *there;
		tz_bytes message;

		if (tz_pipe(&here, &there, TZ_DUPLEX) < 0)
			return 1;
		tz_send_bytes(here, "hello", 5);
		if (tz_recv_bytes(there, &message) == 0) {
			printf("%.*s\n", (int)message.size, (const char *)message.data);
			tz_buffer_free((void *)message.data);
		}
		tz_connection_close(here);
		if (tz_recv_bytes(there, &message) == -ENODATA)
			puts("the end");
		tz_connection_close(there);
		/* } */
	}
	{
		/* tz_connection_open, tz_connection_fd { */
		tz_connection *to, *from;
		int fds[2];

		if (pipe(fds) < 0 || tz_connection_open(&to, fds[0], NULL) < 0 ||
		    tz_connection_open(&from, fds[1], NULL) < 0)
			return 1;
		printf("%d to %d\n", tz_connection_fd(from) == fds[1],
		       tz_connection_fd(to) == fds[0]);
		tz_connection_close(from);
		tz_connection_close(to);
		/* } */
	}
	{
		/* tz_recv_bytes_into, tz_recv_size { */
		tz_connection *here, *there;
		char small[4], large[64];
		size_t size;

		if (tz_pipe(&here, &there, TZ_ONE_WAY) < 0)
			return 1;
		tz_send_bytes(there, "a long message", 14);
		if (tz_recv_bytes_into(here, small, sizeof small) == -EMSGSIZE &&
		    tz_recv_size(here, &size) == 0)
			printf("%zu bytes\n", size);
		printf("%td bytes\n", tz_recv_bytes_into(here, large, sizeof large));
		tz_connection_close(here);
		tz_connection_close(there);
		/* } */
	}
	{
		/* tz_connection_poll, tz_connection_poll_until { */
		tz_connection *here, *there;

		if (tz_pipe(&here, &there, TZ_ONE_WAY) < 0)
			return 1;
		printf("%d\n", tz_connection_poll(here)); /* 0: nothing is there */
		if (tz_connection_poll_until(here, tz_after(0.01)) == -ETIMEDOUT)
			puts("nothing has come");
		tz_send_bytes(there, "x", 1);
		printf("%d\n", tz_connection_poll(here)); /* 1 */
		tz_connection_close(here);
		tz_connection_close(there);
		/* } */
	}
	{
		/* tz_send_value, tz_recv { */
		tz_connection *here, *there;
		tz_value got;

		if (tz_pipe(&here, &there, TZ_ONE_WAY) < 0)
			return 1;
		tz_send(there, tz_list(42, tz_none, "hello"));
		if (tz_recv(here, &got) == 0) {
			tz_value_print(&got, stdout); /* [42, None, 'hello'] */
			tz_value_free(got);
		}
		tz_connection_close(here);
		tz_connection_close(there);
		/* } */
	}
	{
		/* tz_send_item { */
		tz_connection *here, *there;
		struct order o = { .table = 4, .price = 9.5 };

		if (tz_pipe(&here, &there, TZ_ONE_WAY) < 0)
			return 1;
		tz_send_item(there, o);
		if (tz_recv_item(here, &o) == 0)
			printf("table %d\n", o.table);
		tz_connection_close(here);
		tz_connection_close(there);
		/* } */
	}
	{
		/* tz_send_fds, tz_recv_fds { */
		tz_connection *here, *there;
		int out = STDOUT_FILENO, got, n;
		char text[16];

		if (tz_pipe(&here, &there, TZ_ONE_WAY) < 0)
			return 1;
		(void)fflush(stdout);
		tz_send_fds(there, "log", 3, &out, 1);
		if (tz_recv_fds(here, text, sizeof text, &got, 1, &n) == 3 && n == 1) {
			if (write(got, "the same output\n", 16) < 0)
				return 1;
			close(got);
		}
		tz_connection_close(here);
		tz_connection_close(there);
		/* } */
	}
	{
		tz_connection *a, *b, *c, *d;

		if (tz_pipe(&a, &b, TZ_DUPLEX) < 0 || tz_pipe(&c, &d, TZ_DUPLEX) < 0)
			return 1;
		tz_send_bytes(b, "x", 1);
		if (serve(a, c) < 1)
			return 1;
		describe(d);
		setup(d);
		tz_connection_close(a);
		tz_connection_close(b);
		tz_connection_close(c);
		tz_connection_close(of_worker);
	}
	return 0;
}

/* prints:
hello
the end
1 to 1
14 bytes
14 bytes
0
nothing has come
1
[42, None, 'hello']
table 4
the same output
0: 1 bytes
receives sends
*/
