/* Threads: a described function, or an object with a run function, on a thread of its own.
 *
 *     static double area(double w, double h) { return w * h; }
 *     TZ_TASK(double, area, double, double);
 *
 *     tz_thread *t;
 *     double a;
 *     if (tz_thread_open(&t, area, 3.0, 4.0) < 0)      // starts it
 *             return 1;
 *     if (tz_thread_result(t, area, &a) < 0)           // waits for it
 *             tz_perror("area");
 *     tz_thread_close(t);
 *
 * A thread runs as soon as it is opened; with the option `deferred` it waits for tz_thread_start. Its arguments
 * are copied. It has a scope of its own, which tz_thread_cancel cancels, and tz_fail makes it fail. However it ends
 * (it returns, tz_fail, a C++ exception, pthread_exit), everybody who waits for it hears of it, once.
 *
 * Handles. A tz_thread is the handle on a thread. Closing it does not end the thread. The thread keeps its handle's memory as
 * long as it runs, each further owner by tz_thread_ref.
 *
 * Threads that were not started here are welcome: everything in the library can be called from them, and
 * tz_thread_current gives them a handle, which cannot be joined.
 *
 * The end of the process. exit(), or returning from main, waits for the threads that are not daemons, also for those
 * that such threads start meanwhile; after it, threads still start, and nobody waits for them. It waits in an
 * atexit handler, registered when the first such thread was started: handlers that were registered before run after
 * all threads have ended. A thread that calls exit() is not waited for, nor are daemons: as with plain threads, they
 * are stopped at any instruction when the process ends. tz_thread_exit_grace bounds the wait. _exit, quick_exit, abort
 * and signals wait for nobody.
 *
 * fork. In the child, there is the thread that forked, which is its main thread from now on. All others have ended
 * there: joining them returns at once, their outcome is TZ_LOST.
 */
#ifndef TRENZA_THREAD_H
#define TRENZA_THREAD_H

#include <trenza/base.h>
#include <trenza/options.h>
#include <trenza/outcome.h>
#include <trenza/task.h>
#include <trenza/time.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

typedef struct tz_thread tz_thread;

/* How a thread is to be; all-zero is an ordinary one. */
typedef struct tz_thread_options {
	const char
		*name; /* NULL: "Thread-N (task)". Copied; the kernel is told its first 15 bytes */
	bool daemon; /* the end of the process does not wait for it */
	bool deferred; /* it runs when tz_thread_start is called */
	size_t stack_size; /* 0: that of tz_thread_stack_size */
	const int
		*cpus; /* the processors on which it may run; NULL: where its starter may. Copied */
	size_t ncpus;
	uint64_t reserved[4]; /* 0 */
} tz_thread_options;

/* An object that a thread runs: make it the first member of your own struct. */
typedef struct tz_runnable {
	void (*run)(struct tz_runnable *self);
} tz_runnable;

/* tz_thread_open_raw - make a thread that calls a task, and start it; what tz_thread_open stands on. options NULL is all-zero.
 *
 * Ownership: *args is copied. *ret_thread is the caller's, until tz_thread_close.
 * Threads: any.
 * Errors: -EINVAL for bad options (a stack under the system's minimum, a processor that does not exist); -EAGAIN if
 * the system has no room for another thread; -ENOMEM. */
TZ_API TZ_NODISCARD int tz_thread_open_raw(tz_thread **ret_thread, const tz_thread_options *options,
					   const tz_task *task, const void *args);

/* tz_thread_open_object - make a thread that calls object->run(object), and start it.
 *
 * Ownership: the object stays the caller's and must live until the thread has ended; see tz_thread_open_raw.
 * Threads: any.
 * Errors: as tz_thread_open_raw. */
TZ_API TZ_NODISCARD int tz_thread_open_object(tz_thread **ret_thread,
					      const tz_thread_options *options,
					      tz_runnable *object);

/* tz_thread_start - start a thread that was opened with `deferred`.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EALREADY if it was started before; -EINVAL, -EAGAIN, -ENOMEM as tz_thread_open_raw: it can be tried again. */
TZ_API int tz_thread_start(tz_thread *thread);

/* tz_thread_close - give a handle up; NULL is legal. The thread, if it still runs, goes on.
 *
 * If this was the last handle on a thread that has ended, waits until the system has taken it back, too, which it
 * is about to do. A thread that was never started will never run.
 *
 * Ownership: takes one reference.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_thread_close(tz_thread *thread);

/* tz_thread_ref - the same handle once more, to be closed as well.
 *
 * Ownership: the caller owns one more reference.
 * Threads: any.
 * Errors: none. */
TZ_API tz_thread *tz_thread_ref(tz_thread *thread);

/* tz_thread_join - wait until the thread has ended. Any number of strands may, any number of times.
 *
 * Afterwards its function has ended and its strand-local values are gone; destructors of C's thread-local values may still run.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EDEADLK from the thread itself; -EINVAL if it was not started, or not by this library; -ETIMEDOUT,
 * -ECANCELED by the scope. How the thread ended is told by tz_thread_outcome. */
TZ_API int tz_thread_join(tz_thread *thread);

/* tz_thread_join_until - as tz_thread_join, and -ETIMEDOUT at the deadline.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: as tz_thread_join; -ETIMEDOUT also at the deadline. */
TZ_API int tz_thread_join_until(tz_thread *thread, tz_deadline deadline);

/* tz_thread_result_raw - as tz_thread_join, and copies the result; what tz_thread_result stands on.
 *
 * Ownership: ret_result is the caller's memory, of the size of the task's result.
 * Threads: any.
 * Errors: those of tz_thread_join; -EREMOTEIO if the thread did not end well: why is in tz_last(); -EINVAL if
 * the thread does not run that task. The result is written only if the answer is 0. */
TZ_API int tz_thread_result_raw(tz_thread *thread, const tz_task *task, void *ret_result);

/* tz_thread_outcome - how the thread ended; status TZ_PENDING before.
 *
 * Ownership: writes *ret_outcome.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_thread_outcome(tz_thread *thread, tz_outcome *ret_outcome);

/* tz_thread_cancel - ask the thread to end: its waits end with -ECANCELED, and tz_interrupted tells it.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: -EINVAL if it was not started, or not by this library; -EALREADY if it has ended. */
TZ_API int tz_thread_cancel(tz_thread *thread);

/* tz_thread_alive - whether it was started and has not ended.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_thread_alive(const tz_thread *thread);

/* tz_thread_daemon - whether the end of the process does not wait for it.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API bool tz_thread_daemon(const tz_thread *thread);

/* tz_thread_ident - a number that no other thread of this process has or will have; never 0, 1 is the main thread.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API uint64_t tz_thread_ident(const tz_thread *thread);

/* tz_thread_native_id - the kernel's number of the thread, as gettid(2) gives it; 0 if it was not started.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_thread_native_id(tz_thread *thread);

/* tz_thread_name - copies the name, cut to fit, and returns its whole length, as snprintf does.
 *
 * Ownership: writes at most n bytes to buf, the terminating 0 included.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_thread_name(tz_thread *thread, char *buf, size_t n);

/* tz_thread_set_name - give it another name (at most TZ_NAME_MAX - 1 bytes are kept), and tell the kernel.
 *
 * Ownership: the name is copied.
 * Threads: any.
 * Errors: -EINVAL for NULL. */
TZ_API int tz_thread_set_name(tz_thread *thread, const char *name);

/* tz_thread_current - the handle of the calling thread; a thread that was not started here gets one now.
 *
 * Ownership: borrowed: valid as long as the thread runs. tz_thread_ref keeps it longer.
 * Threads: any.
 * Errors: NULL if there was no memory for a first handle. */
TZ_API tz_thread *tz_thread_current(void);

/* tz_thread_main - the handle of the main thread.
 *
 * Ownership: borrowed, valid as long as the process.
 * Threads: any.
 * Errors: none. */
TZ_API tz_thread *tz_thread_main(void);

/* tz_thread_list - the threads that run now: those started here, the main thread, and those that asked for
 * tz_thread_current. Returns how many there are, which may be more than max.
 *
 * Ownership: the handles that were written, at most max, are to be closed by the caller.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_thread_list(tz_thread **ret_threads, size_t max);

/* tz_thread_count - how many threads tz_thread_list would find.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_thread_count(void);

/* tz_thread_stack_size - set the stack size of threads started later by this library whose options name none, and
 * return what it was; 0 is the system's default.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: a size under the system's minimum changes nothing. */
TZ_API size_t tz_thread_stack_size(size_t bytes);

/* tz_thread_exit_grace - how many seconds the end of the process waits for threads at most; returns what it was.
 * The default is INFINITY; 0 does not wait.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: a negative number or NaN changes nothing. */
TZ_API double tz_thread_exit_grace(double seconds);

/* Called on a thread that ends other than well, and was not cancelled. `thread` is NULL for the callback of a timer. */
typedef void (*tz_uncaught_hook)(tz_thread *thread, const tz_outcome *outcome);

/* tz_on_uncaught - set the hook for the failures of threads and timers; returns the one before. None is set at first.
 *
 * It is called on the thread that failed, before anybody who joins it hears of its end.
 *
 * Ownership: *outcome is the library's, for the time of the call.
 * Threads: any.
 * Errors: none. */
TZ_API tz_uncaught_hook tz_on_uncaught(tz_uncaught_hook hook);

TZ_END_DECLS

/* tz_thread_open, tz_thread_open_with - start a thread that calls a task: tz_thread_open(&t, area, 3.0, 4.0). Arguments are checked as in a call.
 * tz_thread_open_with takes a `const tz_thread_options *` after the first argument (in parentheses, if it has a comma in
 * it). 0 or a negative errno code; see tz_thread_open_raw.
 *
 * Form: int tz_thread_open(tz_thread **ret_thread, area, double w, double h)
 * Form: int tz_thread_open_with(tz_thread **ret_thread, const tz_thread_options *options, area, double w, double h) */
#define tz_thread_open(ret_thread, ...) tz_thread_open_with(ret_thread, NULL, __VA_ARGS__)
#define tz_thread_open_with(ret_thread, options, ...) \
	TZ__CAT(TZ__THREAD_, TZ__MANY(__VA_ARGS__))(ret_thread, options, __VA_ARGS__)
#define TZ__THREAD_ONE(ret_thread, options, fn) \
	tz_thread_open_raw(ret_thread, options, &fn##_task, TZ__BOUND(fn##_args, fn##__bind()))
#define TZ__THREAD_MANY(ret_thread, options, fn, ...) \
	tz_thread_open_raw(ret_thread, options, &fn##_task, \
			   TZ__BOUND(fn##_args, fn##__bind(__VA_ARGS__)))

/* tz_thread_result - wait for a thread that runs the task fn, and copy its result: tz_thread_result(t, area, &a). A wrong result
 * type does not compile. See tz_thread_result_raw.
 *
 * Form: int tz_thread_result(tz_thread *thread, area, double *ret_result) */
#ifdef __cplusplus
extern "C++" {
template <typename T> static inline const void *tz__bound(const T &args)
{
	return &args;
}
template <typename R>
static inline int tz__thread_result(tz_thread *thread, const tz_task *task, R *, R *ret_result)
{
	return tz_thread_result_raw(thread, task, ret_result);
}
}
#define TZ__BOUND(A, bound) tz__bound<A>(bound)
#define tz_thread_result(thread, fn, ret_result) \
	tz__thread_result(thread, &fn##_task, (decltype(fn##_future::tz__type))nullptr, ret_result)
#else
#define TZ__BOUND(A, bound) ((const A[1]){ bound })
#define tz_thread_result(thread, fn, ret_result) \
	tz_thread_result_raw(thread, &fn##_task, \
			     _Generic((ret_result), __typeof__(((fn##_future *)0)->tz__type) \
				      : (ret_result)))
#endif

#endif
