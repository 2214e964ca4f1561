/* Loops: many coroutines on one thread.
 *
 *     static void greet(void) { puts("Hello"); tz_sleep(2); puts("World"); }
 *     TZ_TASK(void, greet, void);
 *
 *     static void run(void) { tz_gather(tz_spawn(greet), tz_spawn(greet), tz_spawn(greet)); }
 *     TZ_TASK(void, run, void);
 *
 *     int main(void) { return tz_run(run) < 0; }          // 2 s, not 6
 *
 * A coroutine is a plain function with a stack of its own. Where a call of the library blocks a thread, it suspends a coroutine, and the
 * loop goes on with another one. Only in such calls, so between two of them coroutines of one loop share data without locks. Everything
 * else is as on threads: futures, scopes, locks and queues, also between coroutines and threads.
 *
 * A call that is not the library's and that blocks (read, a foreign lock) blocks the loop: hand it to a lane (lane.h), or wait for the descriptor
 * with tz_wait_fd first.
 *
 * tz_run is what a program needs mostly. The executor "coroutines:N" (executor.h) has N loops, each on a thread of its own. A tz_loop is for who wants to
 * decide when a loop runs; the functions below work on all of them.
 *
 * A loop may be run by one thread now and by another later. A coroutine that was suspended meanwhile goes on on the new thread; what a function of it knows of
 * thread-local variables (their addresses, errno's too, which compilers keep over calls) is then of the old one. So run a loop on one thread where that matters.
 *
 * The order in which coroutines go on is that in which they became ready, first come, first served. In a simulation (backend "sim") it is
 * random by a seed if there is one, and time is virtual: it stands still while anything can go on, and else jumps to the next deadline. So a
 * program that sleeps for a day is over at once, and runs in the same way each time.
 */
#ifndef TRENZA_LOOP_H
#define TRENZA_LOOP_H

#include <trenza/executor.h>
#include <trenza/future.h>
#include <trenza/task.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* A loop. */
typedef struct tz_loop tz_loop;

/* How a loop is opened. All-zero is the default of each. */
typedef struct tz_loop_options {
	size_t size; /* sizeof(tz_loop_options), or 0: for fields to come */
	const char *name; /* in reports; NULL: "loop" */
	const char *backend; /* "epoll" or "sim"; NULL: "epoll" */
	size_t stack_size; /* of each coroutine, in bytes; 0: 256 KiB. A stack takes memory only as far as it is used. */
	uint64_t seed; /* sim: of the order in which coroutines go on; 0: first come, first served */
	double grace; /* sim: real seconds that nothing must have happened for, before time jumps: where other threads take part */
	double delay; /* sim: the longest delay that is put into waits for descriptors and into blocking calls, in seconds */
	double fail; /* sim: the share of these that fail, 0 to 1, as for want of memory or threads */
	double slow_seconds; /* a task that keeps the loop for longer is reported, see tz_on_slow (tasks.h); 0: none, or as TRENZA_SLOW says */
} tz_loop_options;

/* tz_loop_open - opens a loop, to be run by tz_loop_run or tz_loop_run_until.
 *
 * Ownership: *ret is the caller's, to be closed with tz_loop_close. The options are copied.
 * Threads: any.
 * Errors: -EINVAL, -ENOMEM, -EMFILE, -ENFILE. */
TZ_API int tz_loop_open(tz_loop **ret, const tz_loop_options *options) TZ_NODISCARD;

/* tz_loop_close - cancels what still runs on the loop, runs it until all of that has ended, and frees it. NULL is legal.
 *
 * In a fork child it only frees the memory: nothing of the parent's loop runs there.
 *
 * Ownership: releases the loop. Futures of its jobs outlive it.
 * Threads: any that runs no loop; the loop must not be running.
 * Errors: none. */
TZ_API void tz_loop_close(tz_loop *loop);

/* tz_loop_current - the loop whose coroutine is calling, or NULL.
 *
 * Ownership: the loop's owner's.
 * Threads: any.
 * Errors: none. */
TZ_API tz_loop *tz_loop_current(void);

/* tz_loop_executor - the loop as an executor: tz_submit(tz_loop_executor(loop), f, ...) runs f as a coroutine on it, from whatever thread.
 *
 * Jobs that are submitted while nobody runs the loop wait for that.
 *
 * Ownership: the loop's, as long as it is open; tz_executor_close on it does nothing.
 * Threads: any.
 * Errors: none. */
TZ_API tz_executor *tz_loop_executor(tz_loop *loop);

/* tz_loop_run_until_raw - runs the loop on the calling thread until a job has ended, of this loop or of any other executor.
 *
 * Ownership: the future is kept.
 * Threads: any; one at a time. From a coroutine of the loop itself it waits for the job.
 * Errors: -EBUSY if the loop runs elsewhere, or another loop runs on this thread; -ESTALE; -ETIMEDOUT and -ECANCELED if the caller's scope ended the
 * wait: the loop can be run again. */
TZ_API int tz_loop_run_until_raw(tz_loop *loop, tz_handle future);

/* tz_loop_run - runs the loop on the calling thread until tz_loop_stop.
 *
 * Ownership: none.
 * Threads: any; one at a time.
 * Errors: as tz_loop_run_until_raw. */
TZ_API int tz_loop_run(tz_loop *loop);

/* tz_loop_stop - ends the tz_loop_run that is under way, or else the next one. Coroutines stay as they are.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe.
 * Errors: none. */
TZ_API void tz_loop_stop(tz_loop *loop);

/* tz_loop_after - the deadline that lies `seconds` from now on the loop's clock.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none; as tz_after. */
TZ_API tz_deadline tz_loop_after(tz_loop *loop, double seconds);

/* tz_call_at_raw - submits a job that begins at a point in time on the loop's clock, and not before.
 *
 * Ownership: the future is the caller's, as of tz_submit_raw.
 * Threads: any.
 * Errors: as tz_submit_raw. */
TZ_API tz_handle tz_call_at_raw(tz_loop *loop, tz_deadline when, const tz_task *task, const void *args);

/* tz_timer_future - a future that is done at a point in time: no coroutine waits behind it, so it costs 128 bytes and no stack.
 *
 * `when` is on the loop's clock; tz_never() is a future that only tz_cancel ends. The loop is the calling coroutine's.
 *
 * Ownership: the future is the caller's; tz_result(f, NULL) takes it.
 * Threads: coroutines.
 * Errors: outside of a coroutine the future has failed with -EINVAL. */
TZ_API tz_future tz_timer_future(tz_deadline when);

/* tz_timer_future_reschedule - has a timer future be done at another time, earlier or later.
 *
 * That is cheaper than to cancel it and to make another one: a timer that is put off again and again, as that of a connection which must
 * not stay idle, hardly costs more than reading the clock.
 *
 * Ownership: the future stays the caller's.
 * Threads: coroutines of the loop on which the timer was made.
 * Errors: -EALREADY if its time had come, or it was cancelled. -EINVAL: no timer future of the calling coroutine's loop. -ESTALE. */
TZ_API int tz_timer_future_reschedule(tz_future timer, tz_deadline when);

/* tz_add_reader, tz_add_writer - have fn(fd, arg) called, in a coroutine of the loop, whenever the descriptor is ready to be read or written.
 *
 * Level-triggered: if fn leaves something unread, it is called again. To end it, tz_cancel the future; it is done once fn will not be called
 * any more, and the descriptor may be closed then.
 *
 * Ownership: the future is the caller's. The descriptor stays the caller's and must stay open.
 * Threads: any.
 * Errors: the future fails with -EBADF for what is no open descriptor; else as tz_submit_raw. */
TZ_API tz_future tz_add_reader(tz_loop *loop, int fd, void (*fn)(int fd, void *arg), void *arg);
TZ_API tz_future tz_add_writer(tz_loop *loop, int fd, void (*fn)(int fd, void *arg), void *arg);

/* tz_wait_fd - waits until a descriptor is ready for one of `events` (those of poll(2)), or has an error.
 *
 * Returns what it is ready for, some of `events` and POLLERR, POLLHUP; a hint, as with poll. A regular file is always ready.
 *
 * Ownership: the descriptor stays the caller's and must stay open meanwhile.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -ETIMEDOUT at the deadline or the scope's, -ECANCELED, -EBADF, -ENOMEM. */
TZ_API int tz_wait_fd(int fd, int events, tz_deadline deadline);

/* tz_wait_word - waits while *word == expected; who changes it calls futex(2) FUTEX_WAKE on it, not private. The word may lie in memory that
 * processes share.
 *
 * Ownership: the word must stay where it is meanwhile.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: 0 once it may have changed; -EAGAIN if it differed at the beginning; -ETIMEDOUT, -ECANCELED. */
TZ_API int tz_wait_word(const uint32_t *word, uint32_t expected, tz_deadline deadline);

/* tz_yield - lets others run, and comes back.
 *
 * Ownership: none.
 * Threads: any; yields the processor on a thread.
 * Errors: -ECANCELED, -ETIMEDOUT if the scope was cancelled or its deadline has come. */
TZ_API int tz_yield(void);

/* tz_run_raw - runs a call on a new loop on the calling thread; what tz_run stands on. The result, of `size` bytes, is written to `out`; NULL with size 0
 * drops it.
 *
 * Ownership: as tz_run.
 * Threads: as tz_run.
 * Errors: as tz_run; -EINVAL for a wrong size or task. */
TZ_API int tz_run_raw(const tz_loop_options *options, const tz_task *task, const void *args, void *out, size_t size);

TZ_END_DECLS

/* The arguments of a call as the address of their struct. */
#ifdef __cplusplus
extern "C++" {
template <typename T> static inline const T *tz__address_of(const T &value)
{
	return &value;
}
template <typename F> static inline F tz__future_of(tz_handle handle)
{
	F f;
	f.handle = handle;
	return f;
}
}
#define TZ__ARGS_ONE(fn) tz__address_of(fn##__bind())
#define TZ__ARGS_MANY(fn, ...) tz__address_of(fn##__bind(__VA_ARGS__))
#define TZ__FUTURE_AS(type, raw) tz__future_of<type>(raw)
#else
#define TZ__ARGS_ONE(fn) ((const fn##_args[1]){ fn##__bind() })
#define TZ__ARGS_MANY(fn, ...) ((const fn##_args[1]){ fn##__bind(__VA_ARGS__) })
#define TZ__FUTURE_AS(type, raw) ((type){ .handle = (raw) })
#endif

/* tz_run, tz_run_with - run a call on a new loop on the calling thread, until it has ended: tz_run(f, args...). What else still runs on the loop then is
 * cancelled and waited for. tz_run_with takes options, and where the result goes: NULL drops it. Underneath: tz_run_raw.
 *
 * In a coroutine, where a loop runs already, they run the call there, and options must be NULL.
 *
 * Form: int tz_run(area, double w, double h)
 * Form: int tz_run_with(const tz_loop_options *options, double *ret_value, area, double w, double h)
 * Ownership: the result becomes the caller's.
 * Threads: any.
 * Errors: 0; -EREMOTEIO if the task did not end well: why is in tz_last(). If the caller's scope ends, the task is cancelled and waited for. -EBUSY with
 * options in a coroutine; as tz_loop_open. */
#define tz_run(...) TZ__CAT(TZ__RUN_, TZ__MANY(__VA_ARGS__))(NULL, NULL, 0, __VA_ARGS__)
#define TZ__RUN_ONE(options, out, size, fn) tz_run_raw(options, &fn##_task, TZ__ARGS_ONE(fn), out, size)
#define TZ__RUN_MANY(options, out, size, fn, ...) tz_run_raw(options, &fn##_task, TZ__ARGS_MANY(fn, __VA_ARGS__), out, size)
#define tz_run_with(options, out, ...) TZ__CAT(TZ__RUN_WITH_, TZ__MANY(__VA_ARGS__))(options, out, __VA_ARGS__)
#define TZ__RUN_WITH_ONE(options, out, fn) TZ__RUN_OUT(options, out, fn, TZ__ARGS_ONE(fn))
#define TZ__RUN_WITH_MANY(options, out, fn, ...) TZ__RUN_OUT(options, out, fn, TZ__ARGS_MANY(fn, __VA_ARGS__))
#ifdef __cplusplus
extern "C++" {
template <typename F>
static inline int tz__run_out(const tz_loop_options *options, tz__result_to<decltype(F::tz__type)> to, const tz_task *task,
			      const void *args)
{
	return tz_run_raw(options, task, args, to.out, to.size);
}
}
#define TZ__RUN_OUT(options, out, fn, args) tz__run_out<fn##_future>(options, out, &fn##_task, args)
#else
#define TZ__RUN_OUT(options, out_, fn, args) \
	tz_run_raw(options, &fn##_task, args, \
		   _Generic((out_), __typeof__(((fn##_future *)0)->tz__type): (out_), \
			    TZ__NULL_OF(((fn##_future *)0)->tz__type): (out_)), \
		   _Generic((out_), __typeof__(((fn##_future *)0)->tz__type): TZ__SIZE_OF(((fn##_future *)0)->tz__type), \
			    TZ__NULL_OF(((fn##_future *)0)->tz__type): (size_t)0))
#endif

/* tz_call_soon, tz_call_later, tz_call_at - submit a call to a loop: to begin once those that are ready now have had their turn, after some seconds, or at
 * a point in time on the loop's clock, and not before. tz_cancel takes it back. Underneath: tz_call_at_raw.
 *
 * Form: area_future tz_call_soon(tz_loop *loop, area, double w, double h)
 * Form: area_future tz_call_later(tz_loop *loop, double seconds, area, double w, double h)
 * Form: area_future tz_call_at(tz_loop *loop, tz_deadline when, area, double w, double h)
 * Ownership: as tz_submit.
 * Threads: any.
 * Errors: as tz_submit. */
#define tz_call_soon(loop, ...) tz_submit(tz_loop_executor(loop), __VA_ARGS__)
#define tz_call_later(loop, seconds, ...) tz_call_at(loop, tz_loop_after(loop, seconds), __VA_ARGS__)
#define tz_call_at(loop, when, ...) TZ__CAT(TZ__CALL_AT_, TZ__MANY(__VA_ARGS__))(loop, when, __VA_ARGS__)
#define TZ__CALL_AT_ONE(loop, when, fn) \
	TZ__FUTURE_AS(fn##_future, tz_call_at_raw(loop, when, &fn##_task, TZ__ARGS_ONE(fn)))
#define TZ__CALL_AT_MANY(loop, when, fn, ...) \
	TZ__FUTURE_AS(fn##_future, tz_call_at_raw(loop, when, &fn##_task, TZ__ARGS_MANY(fn, __VA_ARGS__)))

/* tz_loop_run_until - run the loop on the calling thread until a future's job has ended. Underneath: tz_loop_run_until_raw.
 *
 * Form: int tz_loop_run_until(tz_loop *loop, area_future f)
 * Ownership: the future is kept.
 * Threads: as tz_loop_run_until_raw.
 * Errors: as tz_loop_run_until_raw. */
#define tz_loop_run_until(loop, f) tz_loop_run_until_raw(loop, (f).handle)

#endif
