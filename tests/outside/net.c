/* A program outside of trenza that uses the module trenza-net: it talks to itself, and prints the version. */
#include <stdio.h>

#include <trenza.h>
#include <trenza/net.h>

int main(void)
{
	tz_listener *listener;
	tz_connection *here, *there;
	tz_value got;
	int64_t version;

	if (tz_listener_open(&listener, "127.0.0.1:0", NULL) < 0 ||
	    tz_net_connect(&here, tz_listener_address(listener), NULL) < 0 || tz_listener_accept(listener, &there) < 0)
		return 1;
	if (tz_send(here, tz_version()) < 0 || tz_recv(there, &got) < 0)
		return 1;
	if (tz_value_to_int(&got, &version) < 0 || version != TZ_VERSION)
		return 1;
	tz_value_free(got);
	printf("%d.%d.%d\n", TZ_VERSION_MAJOR, TZ_VERSION_MINOR, TZ_VERSION_PATCH);
	tz_connection_close(here);
	tz_connection_close(there);
	tz_listener_close(listener);
	return 0;
}
