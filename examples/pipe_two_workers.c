/* pipe_two_workers.c: two processes, one after the other, at one end of a pipe; each writes a line to the parent.
 *
 * The exercise below the program with two ways, and its first answer. The second process goes on receiving where the first has ended.
 */
#include "pipe_text.h"

static void worker(tz_connection *conn)
{
	char pname[32], line[64];

	print_next(conn);
	tz_process_name(tz_process_current(), pname, sizeof pname);
	(void)snprintf(line, sizeof line, "sent from child process %s", pname);
	tz_send(conn, line);
	tz_connection_close(conn);
}
TZ_TASK(void, worker, tz_connection *);

static int run(tz_connection *conn, const char *name)
{
	tz_process *process;
	int e = tz_process_open_with(&process, TZ_OPTIONS(tz_process_options, .name = name), worker,
				     conn);

	if (e < 0)
		return e;
	tz_process_join(process);
	tz_process_close(process);
	return 0;
}

int main(void)
{
	tz_connection *conn1, *conn2;

	if (tz_pipe(&conn1, &conn2, TZ_DUPLEX) < 0)
		return 1;
	tz_send(conn1, "sent from main process");
	if (run(conn2, "Worker 1") < 0)
		return 1;
	tz_send(conn1, "Termin\xc3\xb3 el proceso 1");
	if (run(conn2, "Worker 2") < 0)
		return 1;
	print_next(conn1);
	print_next(conn1);
	tz_connection_close(conn1);
	tz_connection_close(conn2);
	return 0;
}
