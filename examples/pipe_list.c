/* pipe_list.c: a process sends a list through a pipe.
 *
 * The twin of the first program with Pipe.
 */
#include <stdio.h>

#include <trenza.h>

static void f(tz_connection *conn)
{
	tz_send(conn, tz_list("Hello world"));
	tz_connection_close(conn);
}
TZ_TASK(void, f, tz_connection *);

int main(void)
{
	tz_connection *parent_conn, *child_conn;
	tz_process *p;
	tz_value list;

	if (tz_pipe(&parent_conn, &child_conn, TZ_DUPLEX) < 0 ||
	    tz_process_open(&p, f, child_conn) < 0)
		return 1;
	tz_connection_close(child_conn);
	if (tz_recv(parent_conn, &list) == 0) {
		tz_value_print(&list, stdout);
		tz_value_free(list);
	}
	tz_process_join(p);
	tz_process_close(p);
	tz_connection_close(parent_conn);
	return 0;
}
