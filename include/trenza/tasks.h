/* What the tasks of a running program are doing: as a tree of who spawned whom.
 *
 *     tz_dump_tasks(2);
 *
 *     loop 0: 4 tasks
 *       #1 run: waiting for a number of tasks, 2.0 s
 *         #2 greet: sleeping, 2.0 s, spawned at hello.c:9 by run
 *         #3 greet: sleeping, 2.0 s, spawned at hello.c:9 by run
 *         #4 greet: runnable, spawned at hello.c:9 by run
 *
 * These are the tasks of loops: of tz_run, of loops that a program opened, and of the executors "coroutines" and "sim".
 */
#ifndef TRENZA_TASKS_H
#define TRENZA_TASKS_H

#include <trenza/future.h>

TZ_BEGIN_DECLS

/* One task. The strings are valid during the call. */
typedef struct tz_task_info {
	uint32_t loop; /* a number of its loop, from 0 */
	uint32_t id; /* among the tasks of its loop; 0: its loop has not seen it yet */
	uint32_t parent; /* the id of who submitted it, or 0 */
	tz_task_state state;
	const char *name;
	const char *waits_for; /* in a word: "lock", "queue", "descriptor"; NULL: nothing */
	const void *waits_on; /* the object, or NULL */
	double since; /* for how many seconds it has waited, to a fraction of a millisecond */
	const char *file; /* where it was spawned, or NULL */
	const char *function;
	uint32_t line;
} tz_task_info;

/* tz_walk_tasks - calls fn(info, arg) for each task of each loop of the process.
 *
 * Each loop's thread describes its own tasks, between two of them. A loop that does not come to that within a second, because a task has
 * kept it for so long, is left out. The calls are made on the calling strand.
 *
 * Ownership: *info and its strings are valid during the call.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: the number of loops that were left out; -ENOMEM. */
TZ_API int tz_walk_tasks(void (*fn)(const tz_task_info *info, void *arg), void *arg);

/* tz_dump_tasks - writes the tree of all tasks to a descriptor, as text.
 *
 * Ownership: the descriptor stays the caller's.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: as tz_walk_tasks; a negative errno code of write(2). */
TZ_API int tz_dump_tasks(int fd);

/* tz_dump_tasks_on - has the tree of all tasks written to descriptor 2 whenever the process gets that signal. 0 for none again.
 *
 * Installs a handler for the signal, with SA_RESTART, in place of the one there was, and starts a thread that writes.
 *
 * Ownership: none.
 * Threads: any; the handler is async-signal-safe.
 * Errors: -EINVAL for what is no signal, or one that cannot be handled; -EAGAIN, -ENOMEM. */
TZ_API int tz_dump_tasks_on(int signal);

/* A task that has kept its loop from going on for too long. The strings stay. */
typedef struct tz_slow_info {
	uint32_t loop; /* as in tz_task_info */
	const char *name; /* the task's, not one that was given at submit */
	const char *file; /* where it was spawned, or NULL */
	uint32_t line;
	double seconds; /* for which it has run at least, in real time, since it last waited or yielded */
} tz_slow_info;

typedef void (*tz_slow_hook)(const tz_slow_info *info);

/* tz_on_slow - sets the hook that hears of tasks that keep their loop from going on, and returns the one before.
 *
 * Which loops are watched: those with `slow_seconds` in their options, and if the environment says TRENZA_SLOW=0.1 when the first loop is
 * opened, all others too, with that limit in seconds. A thread looks at them every quarter of the shortest limit, a millisecond at least. What goes on for longer
 * than the loop's limit is reported once, while it still goes on. There is no hook at first; without one, and with TRENZA_SLOW, a line is written to
 * descriptor 2.
 *
 * Ownership: *info is the library's, for the time of the call.
 * Threads: any; the hook runs on the thread that watches, and nothing is watched meanwhile. It may still run when the call that replaces it returns.
 * Errors: none. Without memory for the thread nobody watches. */
TZ_API tz_slow_hook tz_on_slow(tz_slow_hook hook);

/* tz_report_overflows - whether a coroutine that overflows its stack is reported: which task it was, and where. It is, unless a program says false before
 * its first loop runs, or the environment says TRENZA_OVERFLOW=off.
 *
 * For the report there are handlers for SIGSEGV and SIGBUS in the process, and an alternate signal stack on each thread that runs a loop. Without it
 * there is neither, and the process ends by the signal all the same.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EBUSY once a loop has run. */
TZ_API int tz_report_overflows(bool wanted) TZ_NODISCARD;

TZ_END_DECLS

#endif
