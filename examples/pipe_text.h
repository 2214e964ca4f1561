/* What the programs with pipes have in common: a text that has come, on a line. */
#ifndef PIPE_TEXT_H
#define PIPE_TEXT_H

#include <stdio.h>

#include <trenza.h>

static inline int print_next(tz_connection *conn)
{
	tz_value message;
	int e = tz_recv(conn, &message);

	if (e < 0)
		return e;
	if (tz_value_text(&message))
		printf("%s\n", tz_value_text(&message));
	else
		tz_value_print(&message, stdout);
	(void)fflush(stdout);
	tz_value_free(message);
	return 0;
}

#endif
