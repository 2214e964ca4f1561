/* pipe_hello_world.c: two processes, each with one of two words.
 *
 * The exercise's third answer. The second process begins when the first word has come, so that they come in order.
 */
#include "pipe_text.h"

static void funcion1(tz_connection *conn)
{
	tz_send(conn, tz_list("hello"));
	tz_connection_close(conn);
}
TZ_TASK(void, funcion1, tz_connection *);

static void funcion2(tz_connection *conn)
{
	tz_send(conn, tz_list("world"));
	tz_connection_close(conn);
}
TZ_TASK(void, funcion2, tz_connection *);

int main(void)
{
	tz_connection *parent_conn, *child_conn;
	tz_process *p1, *p2;

	if (tz_pipe(&parent_conn, &child_conn, TZ_DUPLEX) < 0 ||
	    tz_process_open(&p1, funcion1, child_conn) < 0)
		return 1;
	print_next(parent_conn);
	if (tz_process_open(&p2, funcion2, child_conn) < 0)
		return 1;
	print_next(parent_conn);
	tz_process_join(p1);
	tz_process_join(p2);
	tz_process_close(p1);
	tz_process_close(p2);
	tz_connection_close(parent_conn);
	tz_connection_close(child_conn);
	return 0;
}
