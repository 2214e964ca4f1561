#include <stdio.h>

#include <trenza.h>
#include <trenza/net.h>

/* tz_net_connect { */
static void client(const char *address)
{
	tz_connection *c;
	char text[16];
	ptrdiff_t n;

	if (tz_net_connect(&c, address,
			   TZ_OPTIONS(tz_net_options, .key = "secret", .key_size = 6)) < 0)
		return;
	tz_send_bytes(c, "hello", 5);
	n = tz_recv_bytes_into(c, text, sizeof text);
	if (n > 0)
		printf("%.*s\n", (int)n, text);
	tz_connection_close(c);
}
TZ_TASK(void, client, const char *);
/* } */

/* tz_listener_open, tz_listener_address, tz_listener_accept, tz_listener_refused, tz_listener_close { */
static int serve(int peers)
{
	tz_listener *listener;
	tz_connection *c;
	char text[16];
	int why;

	if (tz_listener_open(&listener, "127.0.0.1:0",
			     TZ_OPTIONS(tz_net_options, .key = "secret", .key_size = 6)) < 0)
		return 1;
	client_future f = tz_spawn(client, tz_listener_address(listener));

	while (peers-- > 0 && tz_listener_accept(listener, &c) == 0) {
		ptrdiff_t n = tz_recv_bytes_into(c, text, sizeof text);

		if (n > 0)
			tz_send_bytes(c, text, (size_t)n); /* back again */
		tz_connection_close(c);
	}
	tz_result(f, NULL);
	if (tz_listener_refused(listener, &why) > 0)
		printf("somebody was refused: %d\n", why);
	tz_listener_close(listener);
	return 0;
}
/* } */
TZ_TASK(int, serve, int);

/* tz_net_handshake { */
static int prove(int fd) /* a socket that was connected otherwise */
{
	tz_connection *c;
	int e;

	if (tz_connection_open(&c, fd, NULL) < 0)
		return -1;
	e = tz_net_handshake(c, TZ_HANDSHAKE_CLIENT,
			     TZ_OPTIONS(tz_net_options, .key = "secret", .key_size = 6));
	if (e == 0)
		e = tz_send_bytes(c, "hello", 5);
	tz_connection_close(c);
	return e;
}
/* } */

int main(void)
{
	return prove(-1) == -1 ? tz_run(serve, 1) : 1;
}

/* prints:
hello
*/
