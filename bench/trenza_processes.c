/*
 * Our contender, area `processes`: written as any user of the installed library would.
 */
#include <errno.h>
#include <signal.h>

#include <trenza.h>

#include "bench_processes.h"
#include "trenza_bench.h"
#include "trenza_nop.h"

static void ignore(int i)
{
	(void)i;
	bench_nop();
}
TZ_TASK(void, ignore, int);

/* --- a process of its own ---------------------------------------------------------------------------- */

static tz_process_options how;

static void start_once(void)
{
	tz_process *p;
	int code = -1;
	bench_check(tz_process_open_with(&p, &how, nop) == 0 && tz_process_join(p) == 0 &&
			    tz_process_exitcode(p, &code) == 0 && code == 0 &&
			    tz_process_close(p) == 0,
		    "no process");
}

static double start(void)
{
	how.method = TZ_START_FORKSERVER;
	return bench_starts(start_once);
}

static double start_1g(void)
{
	how.method = TZ_START_FORKSERVER;
	return bench_starts_1g(start_once);
}

static double start_spawn(void)
{
	how.method = TZ_START_SPAWN;
	return bench_starts(start_once);
}

static double start_spawn_1g(void)
{
	how.method = TZ_START_SPAWN;
	return bench_starts_1g(start_once);
}

static double start_fork(void)
{
	how.method = TZ_START_FORK;
	how.insist = true; /* the only other threads are the library's */
	return bench_starts(start_once);
}

static double start_fork_1g(void)
{
	how.method = TZ_START_FORK;
	how.insist = true;
	return bench_starts_1g(start_once);
}

/* --- a pool -------------------------------------------------------------------------------------------- */

static tz_executor *ex;

static void open_pool(int workers)
{
	bench_check(tz_executor_open_with(&ex, "processes",
					  &(tz_executor_options){ .workers = workers }) == 0,
		    "no executor");
}

static void trip(void)
{
	bench_check(tz_apply(ex, NULL, nop) == 0, "a task failed");
}

static void trips(long n)
{
	while (n-- > 0)
		trip();
}

static void pool_once(void)
{
	nop_future f[2];
	open_pool(2);
	for (int i = 0; i < 2; i++)
		f[i] = tz_submit(ex, nop);
	bench_check(tz_gather_all(f, 2) == 0, "a task failed");
	tz_executor_close(ex);
}

static double pool_ready(void)
{
	return bench_starts(pool_once);
}

static double on_pool(int workers, double (*workload)(void))
{
	open_pool(workers);
	trip();
	double value = workload();
	tz_executor_close(ex);
	return value;
}

static double trip_spin_here(void)
{
	return bench_each(trips, LONG_MAX);
}

static double trip_parked_here(void)
{
	return bench_trips_parked(trip);
}

static size_t chunk;

static void map(long n)
{
	static int numbers[BENCH_MAP];
	bench_check(tz_map_with(ex, &(tz_map_options){ .chunk = chunk }, ignore, (size_t)n,
				numbers) == 0,
		    "a task failed");
}

static double map_here(void)
{
	return bench_each(map, BENCH_MAP);
}

static void submit_window(long n)
{
	submit_nops(ex, n);
}

static double submit_here(void)
{
	return bench_each(submit_window, BENCH_TASKS);
}

static double trip_spin(void)
{
	return on_pool(2, trip_spin_here);
}

static double trip_parked(void)
{
	return on_pool(2, trip_parked_here);
}

static double map_1(void)
{
	chunk = 1;
	return on_pool(2, map_here);
}

static double map_auto(void)
{
	chunk = 0;
	return on_pool(2, map_here);
}

static double submit(void)
{
	return on_pool(2, submit_here);
}

/* --- bytes ------------------------------------------------------------------------------------------- */

/* A result is a buffer of its own. */
static tz_bytes echo(tz_bytes data)
{
	void *mine = tz_buffer_alloc(data.size);
	if (!mine)
		return tz_fail(-ENOMEM, "no memory"), (tz_bytes){ NULL, 0 };
	memcpy(mine, data.data, data.size);
	return (tz_bytes){ mine, data.size };
}
TZ_TASK(tz_bytes, echo, tz_bytes);

static char *bytes;

static double echo_once(void)
{
	tz_bytes got, data = { bytes, BENCH_BYTES };
	double start = bench_now();
	bench_check(tz_apply(ex, &got, echo, data) == 0 && got.size == BENCH_BYTES,
		    "a task failed");
	double ms = (bench_now() - start) * 1e3;
	bench_check(memcmp(got.data, bytes, BENCH_BYTES) == 0, "wrong bytes");
	tz_buffer_free((void *)(uintptr_t)got.data);
	return ms;
}

static double echo_fresh_here(void)
{
	return echo_once();
}

static double echo_recycled_here(void)
{
	double took[BENCH_BYTES_RUNS];
	echo_once();
	for (int i = 0; i < BENCH_BYTES_RUNS; i++)
		took[i] = echo_once();
	return bench_median(took, BENCH_BYTES_RUNS);
}

static double echo_fresh(void)
{
	bytes = bench_bytes();
	return on_pool(1, echo_fresh_here);
}

static double echo_recycled(void)
{
	bytes = bench_bytes();
	return on_pool(1, echo_recycled_here);
}

/* The argument is made in memory that travels, and so does not have to be copied. */
static double echo_buffer(void)
{
	char *from = bench_bytes();
	bytes = (char *)tz_buffer_alloc(BENCH_BYTES);
	bench_check(bytes != NULL, "no memory");
	memcpy(bytes, from, BENCH_BYTES);
	free(from);
	return on_pool(1, echo_recycled_here);
}

/* --- crashes ------------------------------------------------------------------------------------------ */

static void crash(void)
{
	raise(SIGSEGV);
}
TZ_TASK(void, crash, void);

static double crash_here(void)
{
	double took[BENCH_CRASHES];
	for (int i = 0; i < BENCH_CRASHES; i++) {
		trip();
		bench_let_park();
		double start = bench_now();
		int r = tz_apply(ex, NULL, crash);
		took[i] = (bench_now() - start) * 1e6;
		bench_check(r == -EREMOTEIO && tz_last()->status == TZ_CRASHED &&
				    tz_last()->signal == SIGSEGV &&
				    strcmp(tz_last()->task, "crash") == 0,
			    "a crash that was not told");
	}
	return bench_median(took, BENCH_CRASHES);
}

static double crashed(void)
{
	bench_no_cores();
	return on_pool(2, crash_here);
}

const bench_workload processes_workloads[] = {
	{ "process-start", start },
	{ "process-start-1g", start_1g },
	{ "process-start-spawn", start_spawn },
	{ "process-start-1g-spawn", start_spawn_1g },
	{ "process-start-fork", start_fork },
	{ "process-start-1g-fork", start_fork_1g },
	{ "pool-ready", pool_ready },
	{ "process-trip-spin", trip_spin },
	{ "process-trip-parked", trip_parked },
	{ "process-map-1", map_1 },
	{ "process-map-auto", map_auto },
	{ "process-submit", submit },
	{ "bytes-fresh", echo_fresh },
	{ "bytes-recycled", echo_recycled },
	{ "bytes-recycled-buffer", echo_buffer },
	{ "crash", crashed },
	{ NULL, NULL },
};
