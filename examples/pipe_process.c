/* pipe_process.c: a process that works for a second and sends what it has found through a pipe.
 *
 * The twin of pool-pipe.py. An argument is the time that the work takes, 1 second unless told.
 */
#include <stdio.h>
#include <stdlib.h>

#include <trenza.h>

static void say(const char *line)
{
	printf("%s\n", line);
	(void)fflush(stdout);
}

static void worker(tz_connection *conn, double seconds)
{
	say("Worker - started now sleeping for 1 second");
	tz_sleep(seconds);
	say("Worker - sending data via Pipe");
	say("Worker - closing worker end of connection");
	tz_send(conn, "Hello!");
	tz_connection_close(conn);
}
TZ_TASK(void, worker, tz_connection *, double);

int main(int argc, char *argv[])
{
	tz_connection *main_connection, *worker_connection;
	tz_process *p;
	tz_value message;

	say("Main - starting, creating the pipe");
	if (tz_pipe(&main_connection, &worker_connection, TZ_DUPLEX) < 0)
		return 1;
	say("Main - setting up the process");
	say("Main - Starting the process");
	say("Main - Wait for a response from the child process");
	if (tz_process_open(&p, worker, worker_connection, argc > 1 ? strtod(argv[1], NULL) : 1) <
	    0)
		return 1;
	tz_connection_close(worker_connection);
	if (tz_recv(main_connection, &message) == 0) {
		say(tz_value_text(&message));
		tz_value_free(message);
	}
	say("Main - Closing parent process end of conenction");
	tz_connection_close(main_connection);
	tz_process_join(p);
	tz_process_close(p);
	say("Main - Done");
	return 0;
}
