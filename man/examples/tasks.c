#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include <trenza.h>

static void nap(void)
{
	(void)tz_sleep(0.2);
}
TZ_TASK(void, nap, void);

/* tz_walk_tasks { */
static void show(const tz_task_info *info, void *arg)
{
	(void)arg;
	printf("%s, %s %s\n", info->name, info->state == TZ_TASK_WAITING ? "waits for a" : "runs in",
	       info->state == TZ_TASK_WAITING ? info->waits_for : info->parent ? "a task" : "the loop");
}
/* } */

/* tz_on_slow { */
static atomic_bool heard;

static void scold(const tz_slow_info *info)
{
	printf("%s holds the others up\n", info->name);
	atomic_store(&heard, true);
}
/* } */

static void compute(void)
{
	while (!atomic_load(&heard))
		; /* no call in which others could go on */
}
TZ_TASK(void, compute, void);

static int watch(void)
{
	/* tz_on_slow { */
	tz_on_slow(scold);
	return tz_run_with(&(tz_loop_options){ .slow_seconds = 0.05 }, NULL, compute);
	/* } */
}

static void run(void)
{
	tz_spawn(nap);
	(void)tz_sleep(0.05);
	/* tz_walk_tasks { */
	(void)tz_walk_tasks(show, NULL);
	/* } */
	/* tz_dump_tasks { */
	if (tz_dump_tasks(2) < 0) /* 2: where errors go */
		puts("not all of it could be written");
	/* } */
}
TZ_TASK(void, run, void);

int main(void)
{
	/* tz_report_overflows { */
	if (tz_report_overflows(false) < 0) /* this program leaves SIGSEGV alone */
		return 1;
	/* } */
	/* tz_dump_tasks_on { */
	if (tz_dump_tasks_on(SIGQUIT) < 0) /* ctrl-\ at a terminal */
		return 1;
	/* } */
	return tz_run(run) < 0 || watch() < 0;
}
/* prints:
nap, waits for a sleep
run, runs in the loop
compute holds the others up
*/
