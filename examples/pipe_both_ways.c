/* pipe_both_ways.c: parent and child each send the other a line.
 *
 * The twin of the second program with Pipe.
 */
#include "pipe_text.h"

static void worker(tz_connection *conn)
{
	print_next(conn);
	tz_send(conn, "sent from child process");
	tz_connection_close(conn);
}
TZ_TASK(void, worker, tz_connection *);

int main(void)
{
	tz_connection *conn1, *conn2;
	tz_process *process;

	if (tz_pipe(&conn1, &conn2, TZ_DUPLEX) < 0 || tz_process_open(&process, worker, conn2) < 0)
		return 1;
	tz_connection_close(conn2);
	tz_send(conn1, "sent from main process");
	print_next(conn1);
	tz_process_join(process);
	tz_process_close(process);
	tz_connection_close(conn1);
	return 0;
}
