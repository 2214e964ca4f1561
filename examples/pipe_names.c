/* pipe_names.c: one process sends names to another, a second apart, until END.
 *
 * The exercise's second answer. So that the lines come in order whatever the pause, a name is answered once it is printed. An argument is the
 * pause in seconds, 1 unless told.
 */
#include <stdlib.h>
#include <string.h>

#include "pipe_text.h"

static void send_msg(tz_connection *conn, double pause)
{
	static const char *const nombres[] = { "Carlos", "Renata", "Rebeca", "Sandra", "END" };
	tz_value printed;

	for (int i = 0; i < 5; i++) {
		tz_sleep(pause);
		printf("mandando %s\n", nombres[i]);
		(void)fflush(stdout);
		tz_send(conn, nombres[i]);
		if (tz_recv(conn, &printed) == 0)
			tz_value_free(printed);
	}
	tz_connection_close(conn);
}
TZ_TASK(void, send_msg, tz_connection *, double);

static void recv_msgs(tz_connection *conn)
{
	tz_value msg;

	while (tz_recv(conn, &msg) == 0) {
		bool end = strcmp(tz_value_text(&msg), "END") == 0;

		if (!end)
			printf("%s\n", tz_value_text(&msg));
		(void)fflush(stdout);
		tz_value_free(msg);
		if (end)
			break;
		tz_send(conn, true);
	}
	tz_connection_close(conn);
}
TZ_TASK(void, recv_msgs, tz_connection *);

int main(int argc, char *argv[])
{
	tz_connection *parent_conn, *child_conn;
	tz_process *p1, *p2;

	if (tz_pipe(&parent_conn, &child_conn, TZ_DUPLEX) < 0 ||
	    tz_process_open(&p1, send_msg, parent_conn, argc > 1 ? strtod(argv[1], NULL) : 1) < 0 ||
	    tz_process_open(&p2, recv_msgs, child_conn) < 0)
		return 1;
	tz_connection_close(parent_conn); /* so that each of the two sees the end of the other */
	tz_connection_close(child_conn);
	tz_process_join(p1);
	tz_process_join(p2);
	tz_process_close(p1);
	tz_process_close(p2);
	return 0;
}
