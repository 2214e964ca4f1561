#include <unistd.h>

#include <trenza.h>

/* tz_fd_take { */
static int keep(tz_fd log)
{
	static int kept = -1;

	if (kept < 0)
		kept = tz_fd_take(log); /* the next calls have it, too */
	return (int)write(kept, "kept\n", 5);
}
TZ_TASK(int, keep, tz_fd);
/* } */

int main(void)
{
	int n = 0;

	return tz_result(tz_submit(tz_executor_default(), keep, ((tz_fd){ STDOUT_FILENO })), &n) < 0 || n != 5;
}
/* prints:
kept
*/
