/*
 * What processes cost without a library, and what a plain pool of them in C comes to:
 * processes fork|spawn|seqpacket|ring|memcpy WORKLOAD.
 *
 * fork and spawn start children that do nothing. seqpacket is the pool that one would write first: two forked
 * workers take messages from one socket and answer into another. ring is the bound of what crosses address spaces: a
 * ring of words in shared memory to one worker, and one back; both sides spin.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../bench_processes.h"

extern char **environ;
static char *program;

/* --- children that do nothing --------------------------------------------------------------------- */

static void reap(pid_t pid)
{
	int status;
	bench_check(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "no child");
}

static void fork_once(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	reap(pid);
}

static void spawn_once(void)
{
	char *argv[] = { program, NULL };
	pid_t pid = 0;
	bench_check(posix_spawn(&pid, program, NULL, NULL, argv, environ) == 0, "posix_spawn");
	reap(pid);
}

static double fork_start(void)
{
	return bench_starts(fork_once);
}

static double fork_start_1g(void)
{
	return bench_starts_1g(fork_once);
}

static double spawn_start(void)
{
	return bench_starts(spawn_once);
}

static double spawn_start_1g(void)
{
	return bench_starts_1g(spawn_once);
}

/* A child that is there already is told to crash, and its end is awaited. */
static double fork_crash(void)
{
	double took[BENCH_CRASHES];
	for (int i = 0; i < BENCH_CRASHES; i++) {
		int s[2], status;
		bench_check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0, "socketpair");
		pid_t pid = fork();
		if (pid == 0) {
			char c;
			bench_check(read(s[1], &c, 1) == 1, "read");
			raise(SIGSEGV);
		}
		bench_let_park();
		double start = bench_now();
		bench_check(write(s[0], "x", 1) == 1 && waitpid(pid, &status, 0) == pid,
			    "no child");
		took[i] = (bench_now() - start) * 1e6;
		close(s[0]);
		close(s[1]);
	}
	return bench_median(took, BENCH_CRASHES);
}

/* --- two workers on two sockets ------------------------------------------------------------------- */

static struct {
	int tasks[2], results[2];
	pid_t pid[2];
} pool;

static void open_pool(void)
{
	bench_check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pool.tasks) == 0 &&
			    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pool.results) == 0,
		    "socketpair");
	for (int w = 0; w < 2; w++) {
		pool.pid[w] = fork();
		if (pool.pid[w] > 0)
			continue;
		long task;
		close(pool.tasks[0]);
		while (read(pool.tasks[1], &task, sizeof task) == sizeof task) {
			bench_nop();
			if (write(pool.results[1], &task, sizeof task) != sizeof task)
				break;
		}
		_exit(0);
	}
	close(pool.tasks[1]);
	close(pool.results[1]);
}

static void close_pool(void)
{
	close(pool.tasks[0]);
	close(pool.results[0]);
	reap(pool.pid[0]);
	reap(pool.pid[1]);
}

static void pool_put(void)
{
	long task = 1;
	bench_check(write(pool.tasks[0], &task, sizeof task) == sizeof task, "write");
}

static void pool_take(void)
{
	long task;
	bench_check(read(pool.results[0], &task, sizeof task) == sizeof task, "read");
}

static void pool_trip(void)
{
	pool_put();
	pool_take();
}

static void pool_trips(long n)
{
	while (n-- > 0)
		pool_trip();
}

/* No more under way than the sockets hold without making us wait. */
static void pool_tasks(long n)
{
	enum { WINDOW = 64 };
	for (long i = 0; i < n; i++) {
		if (i >= WINDOW)
			pool_take();
		pool_put();
	}
	for (long i = 0; i < WINDOW && i < n; i++)
		pool_take();
}

static void pool_once(void)
{
	open_pool();
	pool_put();
	pool_put();
	pool_take();
	pool_take();
	close_pool();
}

static double pool_ready(void)
{
	return bench_starts(pool_once);
}

static double with_pool(double (*run)(void))
{
	open_pool();
	double value = run();
	close_pool();
	return value;
}

static double pool_spin_here(void)
{
	return bench_each(pool_trips, LONG_MAX);
}

static double pool_parked_here(void)
{
	return bench_trips_parked(pool_trip);
}

static double pool_map_here(void)
{
	return bench_each(pool_tasks, BENCH_MAP);
}

static double pool_spin(void)
{
	return with_pool(pool_spin_here);
}

static double pool_parked(void)
{
	return with_pool(pool_parked_here);
}

static double pool_map(void)
{
	return with_pool(pool_map_here);
}

/* --- a ring in shared memory ------------------------------------------------------------------------ */

enum { SLOTS = 256 };
static struct shared {
	_Alignas(128) _Atomic long published;
	_Alignas(128) _Atomic long done;
	_Alignas(128) long task[SLOTS], result[SLOTS];
} * ring;
static pid_t ring_pid;
static long ring_put, ring_taken;

static void open_ring(void)
{
	ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bench_check(ring != MAP_FAILED, "no memory");
	ring_pid = fork();
	if (ring_pid != 0)
		return;
	for (long i = 0;; i++) {
		while (atomic_load_explicit(&ring->published, memory_order_acquire) == i)
			bench_pause();
		if (ring->task[i % SLOTS] < 0)
			_exit(0);
		bench_nop();
		ring->result[i % SLOTS] = ring->task[i % SLOTS];
		atomic_store_explicit(&ring->done, i + 1, memory_order_release);
	}
}

static void put(long task)
{
	ring->task[ring_put % SLOTS] = task;
	atomic_store_explicit(&ring->published, ++ring_put, memory_order_release);
}

static void take_one(void)
{
	while (atomic_load_explicit(&ring->done, memory_order_acquire) <= ring_taken)
		bench_pause();
	bench_check(ring->result[ring_taken++ % SLOTS] == 1, "wrong result");
}

static void ring_trips(long n)
{
	while (n-- > 0) {
		put(1);
		take_one();
	}
}

static void ring_tasks(long n)
{
	for (long i = 0; i < n; i++) {
		if (i >= SLOTS)
			take_one();
		put(1);
	}
	for (long i = 0; i < SLOTS && i < n; i++)
		take_one();
}

static double with_ring(void (*work)(long n), long most)
{
	open_ring();
	double value = bench_each(work, most);
	put(-1);
	reap(ring_pid);
	return value;
}

static double ring_spin(void)
{
	return with_ring(ring_trips, LONG_MAX);
}

static double ring_map(void)
{
	return with_ring(ring_tasks, BENCH_MAP);
}

/* --- bytes -------------------------------------------------------------------------------------------- */

/* There and back, with the least of copies: two. `fresh`: into memory that nobody has touched. */
static double copies(int fresh)
{
	char *from = bench_bytes(), *to = NULL;
	double took[BENCH_BYTES_RUNS];
	for (int i = 0; i < BENCH_BYTES_RUNS + 1; i++) {
		if (fresh || !to) {
			if (to)
				munmap(to, 2ul * BENCH_BYTES);
			to = mmap(NULL, 2ul * BENCH_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			bench_check(to != MAP_FAILED, "no memory");
		}
		double start = bench_now();
		memcpy(to, from, BENCH_BYTES);
		bench_keep(to);
		memcpy(to + BENCH_BYTES, to, BENCH_BYTES);
		bench_keep(to);
		if (i > 0)
			took[i - 1] = (bench_now() - start) * 1e3;
	}
	return bench_median(took, BENCH_BYTES_RUNS);
}

static double copies_fresh(void)
{
	return copies(1);
}

static double copies_recycled(void)
{
	return copies(0);
}

static const struct {
	const char *name;
	bench_workload table[6];
} contenders[] = {
	{ "fork",
	  { { "process-start", fork_start },
	    { "process-start-1g", fork_start_1g },
	    { "crash", fork_crash },
	    { NULL, NULL } } },
	{ "spawn",
	  { { "process-start", spawn_start },
	    { "process-start-1g", spawn_start_1g },
	    { NULL, NULL } } },
	{ "seqpacket",
	  { { "pool-ready", pool_ready },
	    { "process-trip-spin", pool_spin },
	    { "process-trip-parked", pool_parked },
	    { "process-map-1", pool_map },
	    { NULL, NULL } } },
	{ "ring",
	  { { "process-trip-spin", ring_spin }, { "process-map-1", ring_map }, { NULL, NULL } } },
	{ "memcpy",
	  { { "bytes-fresh", copies_fresh },
	    { "bytes-recycled", copies_recycled },
	    { NULL, NULL } } },
};

int main(int argc, char **argv)
{
	if (argc == 1)
		return 0; /* a child of spawn */
	program = argv[0];
	bench_no_cores();
	for (size_t i = 0; argc == 3 && i < sizeof contenders / sizeof *contenders; i++)
		if (strcmp(argv[1], contenders[i].name) == 0)
			return bench_main(argc - 1, argv + 1, contenders[i].table);
	fprintf(stderr, "usage: %s fork|spawn|seqpacket|ring|memcpy WORKLOAD\n", argv[0]);
	return 2;
}
