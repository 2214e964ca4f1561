/*
 * choosing.c: three tasks that compute and three that wait, each run in line and on threads.
 *
 * The six tasks are plain functions of one shape. Each is called TIMES times on each executor; the
 * table shows how much faster than in line that was. docs/choosing.md tells how to read it.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <trenza.h>

enum { TIMES = 16 };

/* How long the things take for which the waiting tasks wait. */
static const double wait_seconds = 0.03;

/* --- three tasks that compute: exercise 1 ---------------------------------------------------- */

/* How many of the numbers up to `limit` are prime, by trial division. */
static long primes(long limit)
{
	long count = 0;

	for (long n = 2; n <= limit; n++) {
		bool prime = true;

		for (long d = 2; prime && d * d <= n; d++)
			prime = n % d != 0;
		count += prime;
	}
	return count;
}

/* How many steps the points of a picture of the Mandelbrot set take, `size` by `size` of them. */
static long mandelbrot(long size)
{
	long steps = 0;

	for (long i = 0; i < size * size; i++) {
		double a = -2.0 + 2.5 * (double)(i % size) / (double)size;
		double b = -1.25 + 2.5 * (double)(i / size) / (double)size;
		double x = 0, y = 0;

		for (int step = 0; step < 100 && x * x + y * y < 4; step++, steps++) {
			double next = x * x - y * y + a;

			y = 2 * x * y + b;
			x = next;
		}
	}
	return steps;
}

static int compare(const void *left, const void *right)
{
	unsigned a = *(const unsigned *)left, b = *(const unsigned *)right;

	return (a > b) - (a < b);
}

/* The middle one of `count` numbers, by sorting them. */
static long median(long count)
{
	unsigned *numbers = malloc((size_t)count * sizeof *numbers), seed = 1;
	long middle;

	if (numbers == NULL)
		return tz_fail(-ENOMEM, "no room for %ld numbers", count);
	for (long i = 0; i < count; i++)
		numbers[i] = seed = seed * 1664525u + 1013904223u;
	qsort(numbers, (size_t)count, sizeof *numbers, compare);
	middle = (long)numbers[count / 2];
	free(numbers);
	return middle;
}

/* --- three tasks that wait: exercise 2 --------------------------------------------------------- */

/* Asks a server, which takes its time, and answers what it said. */
static long ask_server(long port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long answer = 0;
	ssize_t got = -1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)port);
	if (connection >= 0 &&
	    connect(connection, (struct sockaddr *)&address, sizeof address) == 0)
		got = recv(connection, &answer, sizeof answer, MSG_WAITALL);
	if (got != (ssize_t)sizeof answer)
		answer = tz_fail(got < 0 ? -errno : -EPROTO, "no answer from port %ld", port);
	if (connection >= 0)
		close(connection);
	return answer;
}

/* Runs another program and answers its exit status. */
static long run_program(long milliseconds)
{
	extern char **environ;
	char name[] = "sleep", seconds[32];
	char *arguments[] = { name, seconds, NULL };
	pid_t child;
	int status, error;

	snprintf(seconds, sizeof seconds, "%ld.%03ld", milliseconds / 1000, milliseconds % 1000);
	error = posix_spawnp(&child, name, NULL, NULL, arguments, environ);
	if (error != 0)
		return tz_fail(-error, "cannot run sleep");
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return tz_fail(-errno, "cannot wait for sleep");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Lets a time pass, as one who may ask a service only so often does. */
static long wait_turn(long milliseconds)
{
	struct timespec pause = { milliseconds / 1000, milliseconds % 1000 * 1000000 };

	return clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* --- what trenza has to know of them ------------------------------------------------------------ */

TZ_TASK(long, primes, long);
TZ_TASK(long, mandelbrot, long);
TZ_TASK(long, median, long);
TZ_TASK(long, ask_server, long);
TZ_TASK(long, run_program, long);
TZ_TASK(long, wait_turn, long);

/* Submits TIMES calls of a task and waits for all. Each task has a type of its own, hence a macro. */
#define RUN(task) \
	static int run_##task(tz_executor *executor, long argument) \
	{ \
		task##_future futures[TIMES]; \
		for (int i = 0; i < TIMES; i++) \
			futures[i] = tz_submit(executor, task, argument); \
		return tz_gather_all(futures, TIMES); \
	}
RUN(primes)
RUN(mandelbrot)
RUN(median)
RUN(ask_server)
RUN(run_program)
RUN(wait_turn)

/* --- the server that ask_server asks -------------------------------------------------------------- */

/* Answers each connection after a while; a process for each, so that none waits for another. */
static _Noreturn void serve(int listener)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		if (connection >= 0 && fork() == 0) {
			long answer = 42;

			usleep((useconds_t)(wait_seconds * 1e6));
			_exit(write(connection, &answer, sizeof answer) < 0);
		}
		close(connection);
	}
}

/* Starts the server; answers its port, or a negative error. */
static long start_server(pid_t *ret_server)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 ||
	    listen(listener, 100) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	*ret_server = fork();
	if (*ret_server == 0)
		serve(listener);
	close(listener);
	return *ret_server < 0 ? -errno : ntohs(address.sin_port);
}

/* --- the table ---------------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The seconds that TIMES calls take on an executor, and those of the processor among them; -1 if
   they failed. */
static double time_of(int (*run)(tz_executor *, long), long argument, const char *spec,
		      double *ret_cpu)
{
	tz_executor *executor;
	double cpu;
	uint64_t start;
	int r;

	if (tz_executor_open(&executor, spec) < 0) {
		fprintf(stderr, "cannot open %s\n", spec);
		return -1;
	}
	cpu = cpu_seconds();
	start = tz_now();
	r = run(executor, argument);
	start = tz_now() - start;
	*ret_cpu = cpu_seconds() - cpu;
	if (r < 0)
		tz_perror(spec);
	tz_executor_close(executor);
	return r < 0 ? -1 : (double)start / 1e9;
}

/* The best of a few rounds: what else the machine does makes a round worse, never better. */
static double best_time(int (*run)(tz_executor *, long), long argument, const char *spec,
			double *ret_cpu)
{
	double best = INFINITY;

	for (int round = 0; round < 2; round++) {
		double cpu, seconds = time_of(run, argument, spec, &cpu);

		if (seconds < 0)
			return -1;
		if (seconds < best) {
			best = seconds;
			*ret_cpu = cpu;
		}
	}
	return best;
}

static bool print_row(const char *name, int (*run)(tz_executor *, long), long argument)
{
	static const char *const specs[] = { "threads:1", "threads:2", "threads:16" };
	double cpu, more_cpu, in_line = best_time(run, argument, "inline", &cpu);

	if (in_line < 0)
		return false;
	printf("%-12s  %6.0f %%", name, 100 * cpu / in_line);
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		double seconds = best_time(run, argument, specs[i], &more_cpu);

		if (seconds < 0)
			return false;
		printf("  %9.1fx", in_line / seconds);
	}
	putchar('\n');
	fflush(stdout);
	return true;
}

int main(void)
{
	long milliseconds = (long)(wait_seconds * 1000);
	pid_t server = -1;
	long port = start_server(&server);
	bool good;

	if (port < 0) {
		fprintf(stderr, "cannot start the server: %s\n", strerror((int)-port));
		return 1;
	}
	printf("%d calls of each, on %d core%s; how much faster than in line\n\n", TIMES,
	       tz_usable_cpus(), tz_usable_cpus() == 1 ? "" : "s");
	printf("%-12s  %8s  %10s  %10s  %10s\n", "task", "computes", "threads:1", "threads:2",
	       "threads:16");
	good = print_row("primes", run_primes, 60000) &&
	       print_row("mandelbrot", run_mandelbrot, 160) &&
	       print_row("median", run_median, 80000) &&
	       print_row("ask_server", run_ask_server, port) &&
	       print_row("run_program", run_run_program, milliseconds) &&
	       print_row("wait_turn", run_wait_turn, milliseconds);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	return good ? 0 : 1;
}
