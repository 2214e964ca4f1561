/* process_object.c: a process as an object, of a type that has a function `run`.
 *
 * The twin of `class MyProcess(multiprocessing.Process)`.
 */
#include <stdio.h>

#include <trenza.h>

typedef struct my_process {
	int nothing; /* what the constructor would set up; the process gets a copy */
} my_process;
TZ_FLAT(my_process);

static void run(my_process *self)
{
	(void)self;
	printf("Child Process: %d\n", (int)tz_process_pid(tz_process_current()));
}
TZ_PROCESS(my_process, run);

int main(void)
{
	const my_process mine = { 0 };
	tz_process *p;

	printf("Main Process PID: %d\n", (int)tz_process_pid(tz_process_current()));
	(void)fflush(stdout);
	if (tz_process_open_object(&p, NULL, my_process, &mine) < 0)
		return 1;
	tz_process_join(p);
	tz_process_close(p);
	return 0;
}
