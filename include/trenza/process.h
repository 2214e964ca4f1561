/* Processes: a described function, or an object with a run function, in a process of its own.
 *
 *     static void greet(const char *name) { printf("hello %s\n", name); }
 *     TZ_TASK(void, greet, const char *);
 *
 *     tz_process *p;
 *     if (tz_process_open(&p, greet, "bob") < 0)      // starts it
 *             return 1;
 *     tz_process_join(p);                             // waits for it
 *     tz_process_close(p);
 *
 * A process has memory of its own: what it changes there, its parent does not see. Its arguments travel as descriptor.h says; of what it returns only
 * that it did is told, by the exit code. What is to come back goes through a descriptor that is passed on, or through an executor ("processes").
 *
 * How it is started. Three methods; the function gets the same arguments by each, and the same directory, environment, umask, limits and processors, those of
 * the application at the moment of the start, unless options say otherwise.
 *
 *   TZ_START_FORKSERVER  a fork of the nursery, a small process that was started from the same program, before main(). Costs the same whatever the size of
 *                        the application. The default.
 *   TZ_START_SPAWN       the program executed anew, and taken over before main(). Slower; nothing is shared with any other process.
 *   TZ_START_FORK        a fork of the calling process: it sees a copy of all its memory, and has all its descriptors. Costs more the larger
 *                        the process. Refused where other threads run (-EDEADLK): a lock that one of them holds would be held in the child for ever. The option `insist`
 *                        is for who knows that there is none.
 *
 * With the first two a process is the program as it was before main(): constructors have run, C++ objects at namespace scope exist, and nothing that main() did has happened; main() is
 * not called. Of descriptors it has the standard ones and those of the option `fds`. No signal is blocked, and those are ignored that the application ignores, but SIGCHLD.
 * The application never meets such a process in SIGCHLD or in wait(-1), and nothing it does with SIGCHLD matters here.
 *
 * The end. A process whose function returns ends as by exit(0); after a failure recorded by tz_fail, or an exception, the exit code is 1, and what failed is in
 * tz_process_outcome; exit(n) has the code n. (After a fork, the child's end flushes stdio and calls no atexit handler of the application.) When the application ends, however it does, its processes end, too: see below.
 *
 * The end of the application. exit(), or returning from main, terminates the processes that are daemons, and waits for the others, at most for
 * tz_process_exit_grace(). When the application is killed, its processes get SIGTERM, and SIGKILL 50 ms later; those by TZ_START_FORK get SIGKILL at
 * once. So do children of children. A process that sees to its own end (setsid, and a further fork) is found, too, while it has the nursery as its parent.
 *
 * Children of children are allowed; a process that is a daemon may have none, unless it was started with `may_start`.
 */
#ifndef TRENZA_PROCESS_H
#define TRENZA_PROCESS_H

#include <sys/resource.h>
#include <sys/types.h>

#include <trenza/base.h>
#include <trenza/options.h>
#include <trenza/outcome.h>
#include <trenza/task.h>
#include <trenza/thread.h>
#include <trenza/time.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

typedef struct tz_process tz_process;

/* How a process is started. The numbers are part of the ABI. */
typedef enum tz_start_method {
	TZ_START_DEFAULT = 0, /* what tz_start_method_default says */
	TZ_START_FORK = 1,
	TZ_START_SPAWN = 2,
	TZ_START_FORKSERVER = 3
} tz_start_method;

/* What a standard descriptor of a process is. */
enum {
	TZ_STREAM_DEFAULT = 0, /* standard input: /dev/null; the others: the application's */
	TZ_STREAM_NULL = -1, /* /dev/null */
	TZ_STREAM_INHERIT = -2 /* the application's */
};

/* TZ_STREAM_FD - a standard descriptor that is to be a duplicate of one of the application's.
 *
 * Form: int TZ_STREAM_FD(int fd)
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
#define TZ_STREAM_FD(fd) ((fd) + 1)

/* TZ_UMASK - a value of the option `umask`.
 *
 * Form: int TZ_UMASK(mode_t mask)
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
#define TZ_UMASK(mask) ((int)(mask) + 1)

/* A resource limit of a process. */
typedef struct tz_process_limit {
	int resource; /* RLIMIT_... */
	struct rlimit limit;
} tz_process_limit;

/* How a process is to be; all-zero is an ordinary one. Everything is copied, descriptors are duplicated. */
typedef struct tz_process_options {
	const char *name; /* NULL: "Process-N (task)". The kernel is told its first 15 bytes */
	tz_start_method method;
	bool daemon; /* terminated when the application ends, and it has no children */
	bool may_start; /* may have children although it is a daemon */
	bool deferred; /* it runs when tz_process_start is called */
	bool insist; /* fork although other threads run */
	bool own_group; /* it leads a process group of its own: what is typed at a terminal does not signal it */
	int input, output, error; /* TZ_STREAM_... */
	int umask; /* TZ_UMASK(mask); 0: the application's */
	const int *fds; /* descriptors that it has, under the same numbers, 3 or higher; at most 100 */
	size_t nfds;
	char *const *env; /* a list as environ is; NULL: the application's */
	const char *cwd; /* NULL: the application's */
	const int *cpus; /* the processors on which it may run; NULL: where its starter may */
	size_t ncpus;
	const tz_process_limit *limits;
	size_t nlimits;
	const void *authkey; /* NULL: that of the starter; see tz_process_authkey */
	size_t authkey_size; /* at most 256 */
	uint64_t reserved[4]; /* 0 */
} tz_process_options;

/* tz_process_open_raw - make a process that calls a task, and start it; what tz_process_open stands on. options NULL is all-zero.
 *
 * When it returns, the process exists and is what the options say; its function may or may not have begun.
 *
 * Ownership: *args is copied, with all that travels. *ret_process is the caller's, until tz_process_close or tz_process_detach.
 * Threads: any; blocks the thread for as long as a fork takes, the first time as long as starting the program takes.
 * Errors: -EINVAL for bad options; -ENOTSUP if an argument cannot travel, and -ENOEXEC if the task is in no module: the reason is in tz_last(); -EDEADLK for TZ_START_FORK where other threads run,
 * -ENOTSUP in a coroutine; -EPERM in a daemon without `may_start`, in a set-user-ID program, and in constructors; -ENOEXEC if the program cannot be executed anew, or is not taken over;
 * -ECONNABORTED if the nursery was killed meanwhile: whatever had begun was killed, too; -EBADF for a descriptor that is not open; -ENOENT, -EACCES and others for
 * what cannot be set; -ENOSPC if arguments and environment are more than files may be long; -EAGAIN, -ENOMEM, -EMFILE. */
TZ_API TZ_NODISCARD int tz_process_open_raw(tz_process **ret_process, const tz_process_options *options, const tz_task *task,
					    const void *args);

/* tz_process_start - start a process that was opened with `deferred`.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EALREADY if it was started before; those of tz_process_open_raw: it can be tried again. */
TZ_API int tz_process_start(tz_process *process);

/* tz_process_close - give a handle up; NULL is legal. The handle on a process that runs is not given up by it, which is an error: join it, or use
 * tz_process_detach.
 *
 * After it there is no such handle. Others on the same process, made by tz_process_ref, answer as before. A process that was never started will never
 * run.
 *
 * Ownership: takes one reference, if it returns 0.
 * Threads: any.
 * Errors: -EBUSY while it runs. */
TZ_API int tz_process_close(tz_process *process);

/* tz_process_detach - give a handle up; NULL is legal. The process, if it runs, goes on, and is reaped when it has ended.
 *
 * Ownership: takes one reference.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_process_detach(tz_process *process);

/* tz_process_ref - the same handle once more, to be closed as well.
 *
 * Ownership: the caller owns one more reference.
 * Threads: any.
 * Errors: none. */
TZ_API tz_process *tz_process_ref(tz_process *process);

/* tz_process_join - wait until the process has ended and was reaped. Any number of strands may, any number of times; suspends a coroutine.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EDEADLK from the process itself; -EINVAL if it was not started; -ETIMEDOUT, -ECANCELED by the scope. How it ended is told by
 * tz_process_exitcode and tz_process_outcome. */
TZ_API int tz_process_join(tz_process *process);

/* tz_process_join_until - as tz_process_join, and -ETIMEDOUT at the deadline.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_process_join; -ETIMEDOUT also at the deadline. */
TZ_API int tz_process_join_until(tz_process *process, tz_deadline deadline);

/* tz_process_alive - whether it was started and has not ended.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_process_alive(tz_process *process);

/* tz_process_exitcode - how it ended: 0 to 255 is what it gave to exit(), -n means that signal n ended it.
 *
 * Ownership: writes *ret_code.
 * Threads: any.
 * Errors: -EAGAIN while it runs; -EINVAL if it was not started; -ENODATA if nobody could learn how it ended. */
TZ_API int tz_process_exitcode(tz_process *process, int *ret_code);

/* tz_process_outcome - how it ended, in words; status TZ_PENDING before. TZ_OK: its function returned, or the exit code is 0. TZ_FAILED: its function failed; code and message
 * are those of tz_fail. TZ_CRASHED: a signal, or another exit code. TZ_LOST: nobody could learn how.
 *
 * Ownership: writes *ret_outcome.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_process_outcome(tz_process *process, tz_outcome *ret_outcome);

/* tz_process_signal - send it a signal.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe where the kernel has pidfds.
 * Errors: -ESRCH if it has ended; -EINVAL if it was not started, or for no signal; -EPERM if it has changed its user. A process that has ended and was replaced
 * by another one of the same number is never meant. */
TZ_API int tz_process_signal(tz_process *process, int signal);

/* tz_process_interrupt - send it SIGINT.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe where the kernel has pidfds.
 * Errors: as tz_process_signal. */
TZ_API int tz_process_interrupt(tz_process *process);

/* tz_process_terminate - send it SIGTERM.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe where the kernel has pidfds.
 * Errors: as tz_process_signal. */
TZ_API int tz_process_terminate(tz_process *process);

/* tz_process_kill - send it SIGKILL, which it cannot catch.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe where the kernel has pidfds.
 * Errors: as tz_process_signal. */
TZ_API int tz_process_kill(tz_process *process);

/* tz_process_pid - the kernel's number of the process; 0 if it was not started.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe.
 * Errors: none. */
TZ_API pid_t tz_process_pid(const tz_process *process);

/* tz_process_sentinel - a descriptor that poll and epoll find readable once the process has ended.
 *
 * Ownership: the handle's: it is closed with the last one. Do not read it.
 * Threads: any.
 * Errors: -EINVAL if it was not started; -ENOSYS or -EMFILE if there is none to have. */
TZ_API int tz_process_sentinel(const tz_process *process);

/* tz_process_name - copies the name, cut to fit, and returns its whole length, as snprintf does.
 *
 * Ownership: writes at most n bytes to buf, the terminating 0 included.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_process_name(const tz_process *process, char *buf, size_t n);

/* tz_process_daemon - whether it is a daemon.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_process_daemon(const tz_process *process);

/* tz_process_authkey - copies the key by which it proves to others that it belongs to the same application, and returns its size. Processes have that of their
 * starter, unless an option gives them another; an application that nobody gave one makes 32 random bytes.
 *
 * Ownership: writes at most n bytes to buf.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_process_authkey(const tz_process *process, void *buf, size_t n);

/* tz_process_current - the handle of the calling process. It cannot be joined, nor closed.
 *
 * Ownership: borrowed: valid for ever.
 * Threads: any.
 * Errors: none. */
TZ_API tz_process *tz_process_current(void);

/* tz_process_parent - the handle of the process that started this one, which is the application, not its nursery; NULL in an application that was started otherwise.
 *
 * It can be joined, polled by its sentinel and signalled. How it ends is not told.
 *
 * Ownership: borrowed: valid for ever.
 * Threads: any.
 * Errors: none. */
TZ_API tz_process *tz_process_parent(void);

/* tz_process_list - the processes that this one has started and that run. Returns how many there are, which may be more than max.
 *
 * Ownership: the handles that were written, at most max, are to be given up by the caller (tz_process_detach).
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_process_list(tz_process **ret_processes, size_t max);

/* tz_process_exit_grace - how many seconds the end of the application waits for processes that are no daemons, at most, before it kills them; returns what it was.
 * The default is INFINITY; 0 does not wait. Daemons get SIGTERM, and SIGKILL a second later.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: a negative number or NaN changes nothing. */
TZ_API double tz_process_exit_grace(double seconds);

/* tz_start_method_default - the method of processes, and of executors, whose options name none: TZ_START_FORKSERVER, unless it was set.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API tz_start_method tz_start_method_default(void);

/* tz_start_method_set_default - set it, once for this process; before any process was started by it.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EALREADY if it was set or used before, and is another one; -EINVAL for what is no method. */
TZ_API int tz_start_method_set_default(tz_start_method method);

/* tz_start_method_name - "fork", "spawn", "forkserver" or "default".
 *
 * Ownership: a constant string.
 * Threads: any.
 * Errors: "unknown" for a number that is no method. */
TZ_API const char *tz_start_method_name(tz_start_method method);

TZ_END_DECLS

/* tz_process_open, tz_process_open_with - start a process that calls a task: tz_process_open(&p, greet, "bob"). Arguments are checked as in a call.
 * tz_process_open_with takes a `const tz_process_options *` after the first argument. 0 or a negative errno code; see tz_process_open_raw.
 *
 * Form: int tz_process_open(tz_process **ret_process, area, double w, double h)
 * Form: int tz_process_open_with(tz_process **ret_process, const tz_process_options *options, area, double w, double h) */
#define tz_process_open(ret_process, ...) tz_process_open_with(ret_process, NULL, __VA_ARGS__)
#define tz_process_open_with(ret_process, options, ...) \
	TZ__CAT(TZ__PROCESS_, TZ__MANY(__VA_ARGS__))(ret_process, options, __VA_ARGS__)
#define TZ__PROCESS_ONE(ret_process, options, fn) \
	tz_process_open_raw(ret_process, options, &fn##_task, TZ__BOUND(fn##_args, fn##__bind()))
#define TZ__PROCESS_MANY(ret_process, options, fn, ...) \
	tz_process_open_raw(ret_process, options, &fn##_task, TZ__BOUND(fn##_args, fn##__bind(__VA_ARGS__)))

/* tz_process_open_bound - start a process that calls a task with arguments that were kept by tz_bind, given by address.
 *
 * Form: int tz_process_open_bound(tz_process **ret_process, const tz_process_options *options, area, const area_args *args)
 * Ownership: as tz_process_open_raw.
 * Threads: as tz_process_open_raw.
 * Errors: as tz_process_open_raw. */
#define tz_process_open_bound(ret_process, options, fn, args) \
	tz_process_open_raw(ret_process, options, &fn##_task, (const fn##_args *){ args })

/* TZ_PROCESS - describe an object that a process runs: of the type T, a typedef name that is TZ_FLAT or TZ_STRUCT, by the function void run(T *self). At file
 * scope, followed by a semicolon. The process has a copy of the object.
 *
 *     typedef struct greeter { int times; } greeter;
 *     TZ_FLAT(greeter);
 *     static void greeter_run(greeter *self) { ... }
 *     TZ_PROCESS(greeter, greeter_run);
 *
 *     greeter g = { .times = 3 };
 *     tz_process_open_object(&p, NULL, greeter, &g);
 *
 * Form: TZ_PROCESS(greeter, greeter_run);
 * Ownership: none; what it makes is static and constant.
 * Threads: the function is called in processes.
 * Errors: a function of another type does not compile. */
#define TZ_PROCESS(T, run) \
	static void T##_runs(T self) \
	{ \
		void (*const tz__run)(T *) = run; \
		tz__run(&self); \
	} \
	TZ_TASK(void, T##_runs, T)

/* tz_process_open_object - start a process that runs an object, whose type was described by TZ_PROCESS.
 *
 * Form: int tz_process_open_object(tz_process **ret_process, const tz_process_options *options, greeter, const greeter *object)
 * Ownership: *object is copied; see tz_process_open_raw.
 * Threads: as tz_process_open_raw.
 * Errors: as tz_process_open_raw. */
#define tz_process_open_object(ret_process, options, T, object) \
	tz_process_open_raw(ret_process, options, &T##_runs_task, TZ__BOUND(T##_runs_args, T##_runs__bind(*(const T *){ object })))

#endif
