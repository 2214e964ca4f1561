/* The other program in tests with Python: peer listen|connect ADDRESS KEY|- [md5]
 *
 * Listening, it prints the address, takes one connection, and sends each message back; connecting, it sends messages and checks that they come back. What
 * ends it before is printed as a number. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trenza.h>
#include <trenza/net.h>

static int echo(const char *address, const tz_net_options *o)
{
	tz_listener *listener;
	tz_connection *c = NULL;
	tz_bytes message;
	int e = tz_listener_open(&listener, address, o);

	if (e < 0)
		return e;
	printf("%s\n", tz_listener_address(listener));
	(void)fflush(stdout);
	while (!c && e == 0) {
		TZ_TIMEOUT(0.05)
			e = tz_listener_accept(listener, &c);
		if (tz_listener_refused(listener, NULL) > 0)
			(void)tz_listener_refused(listener, &e);
		else if (e == -ETIMEDOUT)
			e = 0;
	}
	while (e == 0) {
		e = tz_recv_bytes(c, &message);
		if (e == 0) {
			e = tz_send_bytes(c, message.data, message.size);
			tz_buffer_free((void *)message.data);
		}
	}
	tz_connection_close(c);
	tz_listener_close(listener);
	return e == -ENODATA || e == -ECONNRESET ? 0 : e;
}

static int there_and_back(tz_connection *c, size_t size)
{
	unsigned char *data = malloc(size + 1);
	tz_bytes got;
	int e;

	if (!data)
		return -ENOMEM;
	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)(i * 31 + size);
	e = tz_send_bytes(c, data, size);
	if (e == 0)
		e = tz_recv_bytes(c, &got);
	if (e == 0) {
		if (got.size != size || (size > 0 && memcmp(got.data, data, size) != 0))
			e = -EBADMSG;
		tz_buffer_free((void *)got.data);
	}
	free(data);
	return e;
}

static int talk(const char *address, const tz_net_options *o)
{
	static const size_t sizes[] = { 0, 1, 16384, 16385, 65536, 1 << 20, 5000001 };
	tz_connection *c;
	int e = tz_net_connect(&c, address, o);

	if (e < 0)
		return e;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes && e == 0; i++)
		e = there_and_back(c, sizes[i]);
	tz_connection_close(c);
	return e;
}

int main(int argc, char **argv)
{
	tz_net_options o = { .key = NULL };
	int e;

	if (argc < 4)
		return 2;
	if (strcmp(argv[3], "-") != 0) {
		o.key = argv[3];
		o.key_size = strlen(argv[3]);
	}
	o.min_digest = argc > 4 ? TZ_DIGEST_MD5 : TZ_DIGEST_DEFAULT;
	e = strcmp(argv[1], "listen") == 0 ? echo(argv[2], &o) : talk(argv[2], &o);
	printf("%d\n", e);
	return e < 0;
}
