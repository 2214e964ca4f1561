/* process_spawn.c: the way in which processes are started, chosen once for the whole program.
 *
 * The twin of the program with set_start_method('spawn'). The two arguments are another method, and the pause in seconds, 1 unless told. Where the text has the
 * module's name, which is '__main__' in a fork and '__mp_main__' in a spawned process, this has what C has to tell by: whether main() has run in the memory that
 * the process was given. Only a fork has it. getppid() is the program in a fork alone, else a process that starts others for it; whose child it is, tz_process_parent says.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza.h>

static bool main_has_run;

static void worker(const char *msg, double pause)
{
	printf("main() has run here: %s\n", main_has_run ? "yes" : "no");
	printf("parent process: %d\n", (int)tz_process_pid(tz_process_parent()));
	printf("process id: %d\n", (int)getpid());
	for (int i = 0; i < 10; i++) {
		printf("%s", msg);
		(void)fflush(stdout);
		tz_sleep(pause);
	}
}
TZ_TASK(void, worker, const char *, double);

static tz_start_method method_called(const char *name)
{
	for (int m = TZ_START_FORK; m <= TZ_START_FORKSERVER; m++)
		if (strcmp(tz_start_method_name((tz_start_method)m), name) == 0)
			return (tz_start_method)m;
	return TZ_START_DEFAULT;
}

int main(int argc, char *argv[])
{
	double pause = argc > 2 ? strtod(argv[2], NULL) : 1;
	tz_process *t;

	main_has_run = true;
	printf("Starting\n");
	printf("Root application process id: %d\n", (int)getpid());
	if (tz_start_method_set_default(method_called(argc > 1 ? argv[1] : "spawn")) < 0)
		return 1;
	(void)fflush(stdout); /* a fork would print it again */
	if (tz_process_open(&t, worker, "A", pause) < 0)
		return 1;
	tz_process_detach(t);
	printf("Done\n");
	return 0;
}
