#define _GNU_SOURCE

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <trenza.h>

/* tz_run { */
static void greet(void)
{
	puts("Hello");
	tz_sleep(0.02); /* the others go on meanwhile */
	puts("World");
}
TZ_TASK(void, greet, void);

static void greet_all(void)
{
	tz_gather(tz_spawn(greet), tz_spawn(greet), tz_spawn(greet));
}
TZ_TASK(void, greet_all, void);
/* } */

/* tz_run { */
static double day(double hours)
{
	uint64_t begin = tz_now();

	tz_sleep(hours * 3600);
	return (double)(tz_now() - begin) / 3600e9;
}
TZ_TASK(double, day, double);
/* } */

/* tz_yield { */
static void count(const char *name)
{
	for (int i = 0; i < 2; i++) {
		printf("%s%d ", name, i);
		tz_yield(); /* a long computation does this now and then */
	}
}
TZ_TASK(void, count, const char *);
/* } */

static void count_both(void)
{
	tz_gather(tz_spawn(count, "a"), tz_spawn(count, "b"));
	putchar('\n');
}
TZ_TASK(void, count_both, void);

/* tz_wait_fd { */
static int first_byte(int fd)
{
	char c = 0;
	int events = tz_wait_fd(fd, POLLIN, tz_after(5));

	/* read would have blocked the loop; now it does not. */
	if (events < 0)
		return tz_fail(events, "nothing to read");
	return read(fd, &c, 1) == 1 ? c : 0;
}
TZ_TASK(int, first_byte, int);
/* } */

static void through_a_pipe(void)
{
	int ends[2], byte = 0;

	if (pipe(ends) < 0)
		return;
	first_byte_future f = tz_spawn(first_byte, ends[0]);

	tz_yield();
	if (write(ends[1], "A", 1) == 1 && tz_result(f, &byte) == 0)
		printf("read %c\n", byte);
	close(ends[0]);
	close(ends[1]);
}
TZ_TASK(void, through_a_pipe, void);

/* tz_add_reader { */
struct lines {
	int fd;
	tz_event over;
};

static void on_readable(int fd, void *arg)
{
	struct lines *lines = arg;
	char text[64];
	ssize_t n = read(fd, text, sizeof text);

	if (n > 0)
		printf("%.*s", (int)n, text);
	else
		tz_event_set(&lines->over);
}

static void print_lines(struct lines *lines)
{
	tz_future reader = tz_add_reader(tz_loop_current(), lines->fd, on_readable, lines);

	tz_event_wait(&lines->over);
	tz_cancel(reader);
	tz_wait(reader, tz_never()); /* now on_readable is not called any more */
	tz_detach(reader);
	close(lines->fd);
}
TZ_TASK(void, print_lines, struct lines *);
/* } */

static void write_lines(int fd)
{
	if (write(fd, "one line\n", 9) != 9)
		tz_fail(-EIO, "cannot write");
	tz_sleep(0.001);
	close(fd);
}
TZ_TASK(void, write_lines, int);

static void lines_through_a_pipe(void)
{
	int ends[2];

	if (pipe(ends) < 0)
		return;
	struct lines lines = { .fd = ends[0] };

	tz_gather(tz_spawn(print_lines, &lines), tz_spawn(write_lines, ends[1]));
}
TZ_TASK(void, lines_through_a_pipe, void);

/* tz_wait_word { */
static uint32_t ready; /* in memory that processes share, it may be another one that changes it */

static void get_ready(void)
{
	__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &ready, FUTEX_WAKE, 1, NULL, NULL, 0);
}
TZ_TASK(void, get_ready, void);

static int wait_until_ready(void)
{
	while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) == 0) {
		int r = tz_wait_word(&ready, 0, tz_after(5));

		if (r < 0 && r != -EAGAIN)
			return r;
	}
	return 0;
}
/* } */

static void by_a_word(void)
{
	get_ready_future f = tz_to_thread(get_ready);

	printf("ready: %d\n", wait_until_ready());
	tz_gather(f);
}
TZ_TASK(void, by_a_word, void);

/* tz_timer_future { */
static void first_of_many(void)
{
	tz_future timers[1000];

	for (int i = 0; i < 1000; i++)
		timers[i] = tz_timer_future(tz_after(i == 42 ? 0.001 : 3600));
	printf("timer %d\n", tz_wait_any(timers, 1000, tz_never()));
	for (int i = 0; i < 1000; i++) {
		tz_cancel(timers[i]);
		tz_detach(timers[i]);
	}
}
TZ_TASK(void, first_of_many, void);
/* } */

/* tz_timer_future_reschedule { */
static void end_when_idle(void)
{
	tz_future idle = tz_timer_future(tz_after(60));

	for (int message = 0; message < 1000; message++) /* with each that comes, idleness is as far away as before */
		tz_timer_future_reschedule(idle, tz_after(60));
	tz_timer_future_reschedule(idle, tz_after(0.001));
	printf("idle: %s\n", tz_result(idle, NULL) == 0 ? "yes" : "no");
}
TZ_TASK(void, end_when_idle, void);
/* } */

/* tz_loop_current { */
static void say_where(void)
{
	printf("on a loop: %s\n", tz_loop_current() ? "yes" : "no");
}
TZ_TASK(void, say_where, void);
/* } */

static void say(const char *what)
{
	printf("%s\n", what);
}
TZ_TASK(void, say, const char *);

/* tz_loop_stop { */
static void stop(tz_loop *loop)
{
	tz_loop_stop(loop); /* as a handler of SIGTERM may do, too */
}
TZ_TASK(void, stop, tz_loop *);
/* } */

int main(void)
{
	double hours = 0;

	/* tz_run { */
	if (tz_run(greet_all) < 0) /* three greetings, in the time of one */
		tz_perror("greet_all");
	/* In a simulation a day is over at once. */
	if (tz_run_with(&(tz_loop_options){ .backend = "sim" }, &hours, day, 24.0) == 0)
		printf("%g hours\n", hours);
	/* } */
	tz_run(count_both);
	tz_run(through_a_pipe);
	tz_run(lines_through_a_pipe);
	tz_run(by_a_word);
	tz_run(first_of_many);
	tz_run(end_when_idle);
	say_where();
	tz_run(say_where);
	{
		/* tz_loop_open, tz_loop_close, tz_loop_executor, tz_loop_run_until { */
		tz_loop *loop;

		if (tz_loop_open(&loop, &(tz_loop_options){ .stack_size = 64 * 1024 }) < 0)
			return 1;
		say_future f = tz_submit(tz_loop_executor(loop), say, "not before the loop runs");

		if (tz_loop_run_until(loop, f) == 0) /* others that were submitted run meanwhile, too */
			tz_result(f, NULL);
		tz_loop_close(loop); /* cancels what still runs, and waits for it */
		/* } */
	}
	{
		tz_loop *loop;

		if (tz_loop_open(&loop, NULL) < 0)
			return 1;
		/* tz_call_soon, tz_call_at_raw, tz_loop_after { */
		say_future late = tz_call_later(loop, 0.02, say, "third");
		say_future at = tz_call_at(loop, tz_loop_after(loop, 0.001), say, "second");
		say_future soon = tz_call_soon(loop, say, "first");
		say_future never = tz_call_later(loop, 3600, say, "never");

		tz_cancel(never);
		tz_loop_run_until(loop, late);
		tz_gather(soon, at, late, never);
		/* } */
		/* tz_loop_run, tz_loop_stop { */
		stop_future f = tz_call_later(loop, 0.001, stop, loop);

		tz_loop_run(loop); /* until somebody stops it */
		/* } */
		tz_detach(f);
		tz_loop_close(loop);
	}
	return 0;
}
/* prints:
Hello
Hello
Hello
World
World
World
24 hours
a0 b0 a1 b1 
read A
one line
ready: 0
timer 42
idle: yes
on a loop: no
on a loop: yes
not before the loop runs
first
second
third
*/
