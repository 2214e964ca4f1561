/* os_pipe.c: a process writes text into a pipe of the system, whose descriptor it got as an argument.
 *
 * The twin of the program with os.pipe and a class ChildProcess.
 */
#include <stdio.h>
#include <unistd.h>

#include <trenza.h>

static void child(tz_fd pipein)
{
	FILE *f;

	printf("Intentando iniciar el pipe\n");
	f = fdopen(tz_fd_take(pipein), "w");
	if (!f)
		return;
	(void)fputs("Mi c\xc3\xb3"
		    "digo es MX-317",
		    f);
	(void)fclose(f);
}
TZ_TASK(void, child, tz_fd);

int main(void)
{
	tz_process *p;
	char content[100];
	size_t n;
	FILE *f;
	int ends[2];

	if (pipe(ends) < 0 || tz_process_open(&p, child, (tz_fd){ ends[1] }) < 0)
		return 1;
	tz_process_join(p);
	tz_process_close(p);

	(void)close(ends[1]);
	f = fdopen(ends[0], "r");
	if (!f)
		return 1;
	n = fread(content, 1, sizeof content - 1, f);
	(void)fclose(f);
	content[n] = 0;
	printf("Pipe: %s\n", content);
	return 0;
}
