/* A program that stops with tasks in every state, for gdb.py to look at. */
#include <stdio.h>
#include <stdlib.h>

#include <trenza.h>

static tz_lock lock;
static tz_queue *queue;

static void sleeper(int n)
{
	tz_sleep(1000 + n);
	__asm__ volatile(""); /* the call is not the last thing */
}
TZ_TASK(void, sleeper, int);

static void locker(void)
{
	tz_lock_acquire(&lock);
	tz_lock_release(&lock);
}
TZ_TASK(void, locker, void);

__attribute__((noinline)) static int take_one(int depth)
{
	int item = depth;

	if (depth > 0)
		return take_one(depth - 1) + 1;
	return tz_queue_get(queue, &item) < 0 ? -1 : item;
}

static int reader(void)
{
	return take_one(3);
}
TZ_TASK(int, reader, void);

static void last(void)
{
	tz_sleep(1000);
}
TZ_TASK(void, last, void);

static void yielder(void)
{
	for (;;)
		(void)tz_yield();
}
TZ_TASK(void, yielder, void);

static void late(void)
{
}
TZ_TASK(void, late, void);

__attribute__((noinline)) void stop_here(void);
void stop_here(void)
{
	__asm__ volatile("" ::: "memory");
}

static void watcher(void)
{
	tz_lock_acquire(&lock);
	tz_detach(tz_spawn(sleeper, 1));
	tz_detach(tz_spawn_with(&(tz_submit_options){ .name = "second" }, sleeper, 2));
	tz_detach(tz_spawn(locker));
	tz_detach(tz_spawn(reader));
	tz_detach(tz_spawn(last));
	tz_detach(tz_spawn(yielder));
	tz_sleep(0.01);
	tz_detach(tz_spawn(late));
	stop_here();
	if (getenv("DUMP"))
		abort();
	tz_lock_release(&lock);
	puts("went on");
	fflush(stdout);
	_Exit(42);
}
TZ_TASK(void, watcher, void);

int main(void)
{
	if (tz_queue_open(&queue, sizeof(int), NULL) < 0)
		return 1;
	return tz_run(watcher);
}
