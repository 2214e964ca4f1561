/* Lanes: threads for calls that block, so that they hold up neither a loop nor each other.
 *
 *     static int lines_of(const char *path) { ... fopen, getline ... }
 *     TZ_TASK(int, lines_of, const char *);
 *
 *     lines_of_future f = tz_to_thread(lines_of, "/etc/services");   others run meanwhile
 *     int n;
 *     if (tz_result(f, &n) == 0) ...
 *
 * There are three, shared by the whole process. A lane is an executor; it has no threads until it
 * has work, starts one for each call that finds none free, up to its limit, and ends a thread that
 * was idle for 30 s.
 *
 *   lane          at most                  for
 *   TZ_LANE_IO    64 threads               files, devices, other libraries: what waits
 *   TZ_LANE_CPU   tz_usable_cpus()         what computes for longer than a loop can be held up
 *   TZ_LANE_DNS   16 threads               looking up names, which may take seconds
 *
 * They are apart because what waits in one of them must not keep the others from going on. What is
 * submitted to one that is at its limit waits in line. In a fork child there are new ones.
 */
#ifndef TRENZA_LANE_H
#define TRENZA_LANE_H

#include <trenza/executor.h>
#include <trenza/task.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* The lanes. */
typedef enum tz_lane_kind {
	TZ_LANE_IO = 0,
	TZ_LANE_CPU = 1,
	TZ_LANE_DNS = 2
} tz_lane_kind;

/* tz_lane - a lane, as an executor; made the first time.
 *
 * At the end of the process nobody waits for what still runs there.
 *
 * Ownership: the library's; tz_executor_close on it does nothing, and it cannot be shut down.
 * Threads: any.
 * Errors: NULL if it could not be made (it is tried again the next time), or for what is no lane. */
TZ_API tz_executor *tz_lane(tz_lane_kind kind);

TZ_END_DECLS

/* tz_to_thread - call a task on a thread of the lane TZ_LANE_IO: int_future f =
 * tz_to_thread(lines_of, path). The caller, a thread or a coroutine, waits for it as for any
 * future, or goes on. Where the lane could not be made, it is the default executor that runs it.
 *
 * Form: lines_of_future tz_to_thread(lines_of, const char *path)
 * Ownership: as tz_submit.
 * Threads: as tz_submit.
 * Errors: as tz_submit. */
#define tz_to_thread(...) tz_submit(tz_lane(TZ_LANE_IO), __VA_ARGS__)

/* tz_run_in_executor - call a task on an executor, of any kind; another name of tz_submit, for who
 * knows it by that one.
 *
 * Form: area_future tz_run_in_executor(tz_executor *ex, area, double w, double h)
 * Ownership: as tz_submit.
 * Threads: as tz_submit.
 * Errors: as tz_submit. */
#define tz_run_in_executor(ex, ...) tz_submit(ex, __VA_ARGS__)

#endif
