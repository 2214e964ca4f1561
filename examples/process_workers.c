/* process_workers.c: three processes that print a letter now and then, while the program has come to its end.
 *
 * The twin of the program with t2, t3 and t4. The end of a program waits for its processes, as Python's does. An argument is the pause in
 * seconds, 1 unless told.
 */
#include <stdio.h>
#include <stdlib.h>

#include <trenza.h>

static void worker(const char *msg, double pause)
{
	for (int i = 0; i < 10; i++) {
		printf("%s", msg);
		(void)fflush(stdout);
		tz_sleep(pause);
	}
}
TZ_TASK(void, worker, const char *, double);

int main(int argc, char *argv[])
{
	double pause = argc > 1 ? strtod(argv[1], NULL) : 1;
	tz_process *t2, *t3, *t4;

	printf("Starting\n");
	(void)fflush(stdout);
	if (tz_process_open(&t2, worker, "A", pause) < 0 ||
	    tz_process_open(&t3, worker, "B", pause) < 0 ||
	    tz_process_open(&t4, worker, "C", pause) < 0)
		return 1;
	tz_process_detach(t2);
	tz_process_detach(t3);
	tz_process_detach(t4);
	printf("Done\n");
	return 0;
}
