/* Futures: the handle on a job, from submit to result.
 *
 *     area_future f = tz_submit(ex, area, 3.0, 4.0);
 *     double a;
 *     if (tz_result(f, &a) < 0)
 *             tz_perror("area");
 *
 * Ownership. Each future is released exactly once: by tz_result (or tz_gather), which moves the value out; by tz_detach, which drops
 * it; or by the scope it belongs to (scope.h). Everything else reads. A handle that was released answers -ESTALE, for ever after and
 * also if its memory serves another job. Any strand may use a future; two strands must not release one at the same time, as with free().
 *
 * Two channels. The return value of a wait says whether there is an answer; the outcome says what it is.
 *
 *   tz_result returns   the future is   because
 *   0                   released        the job ended well; the value was written
 *   -EREMOTEIO          released        the job ended otherwise; why is in tz_last()
 *   -ETIMEDOUT          kept            the scope's deadline ended the wait
 *   -ECANCELED          kept            the scope was cancelled during the wait
 *   -ESTALE             -               the handle was released before, or is all-zero
 *   -EINVAL             kept            the result's size is not the task's (tz_result_raw only: tz_result would not compile)
 *   -EDEADLK            kept            a job waits for itself
 *
 * A failure that nobody looked at is reported to the hook of tz_on_unobserved when its future is released.
 */
#ifndef TRENZA_FUTURE_H
#define TRENZA_FUTURE_H

#include <trenza/descriptor.h>
#include <trenza/outcome.h>
#include <trenza/task_arity.h>
#include <trenza/time.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* tz_result_raw - waits for a job, moves its result out and releases the future; see the table above.
 *
 * `out` takes `size` bytes, which must be the size of the task's result; NULL with size 0 drops the result of any task.
 *
 * Ownership: releases the future on 0 and -EREMOTEIO. What the result points to becomes the caller's.
 * Threads: any; blocks a thread, suspends a coroutine. On a worker of the job's executor it may run the job, if that has not begun.
 * Errors: see the table above. */
TZ_API int tz_result_raw(tz_handle future, void *out, size_t size);

/* tz_wait_raw - waits until a job has ended, or the deadline (or the scope) ends the wait. Reads only.
 *
 * Ownership: the future is kept.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -ETIMEDOUT, -ECANCELED, -ESTALE, -EDEADLK. 0 once the job has ended, well or not. */
TZ_API int tz_wait_raw(tz_handle future, tz_deadline deadline);

/* tz_outcome_raw - how the job ended, or status TZ_PENDING. Never blocks. Counts as looking at a failure.
 *
 * Ownership: copies into *ret; the future is kept.
 * Threads: any.
 * Errors: -ESTALE. */
TZ_API int tz_outcome_raw(tz_handle future, tz_outcome *ret);

/* tz_crash_of, tz_crash_raw - what is known of the process that a crashed job took along. Never blocks.
 *
 * Form: int tz_crash_of(area_future f, tz_crash *ret)
 * Ownership: copies into *ret; the future is kept.
 * Threads: any.
 * Errors: -EAGAIN before the job has ended; -ENOENT if it ended in another way, or took no process along; -ESTALE. */
TZ_API int tz_crash_raw(tz_handle future, tz_crash *ret);

/* tz_done_raw - whether the job has ended. Never blocks. 1, 0, or -ESTALE.
 *
 * Ownership: the future is kept.
 * Threads: any.
 * Errors: -ESTALE. */
TZ_API int tz_done_raw(tz_handle future);

/* tz_running_raw - whether the job has begun and not ended. 1, 0, or -ESTALE. Of an executor whose workers are processes: whether it was given to one.
 *
 * Ownership: the future is kept.
 * Threads: any.
 * Errors: -ESTALE. */
TZ_API int tz_running_raw(tz_handle future);

/* What a task is doing. The numbers are part of the ABI. */
typedef enum tz_task_state {
	TZ_TASK_QUEUED = 0, /* it has not begun */
	TZ_TASK_RUNNABLE = 1, /* it has begun, waits for nothing, and could go on: others use its loop's thread */
	TZ_TASK_RUNNING = 2,
	TZ_TASK_WAITING = 3, /* in a call that blocks its thread or suspends its coroutine */
	TZ_TASK_DONE = 4
} tz_task_state;

/* tz_state_raw - what the task behind a future is doing: a tz_task_state. Never blocks; it may be something else the next moment.
 *
 * A thread that blocks in a call which is not the library's counts as running.
 *
 * Ownership: the future is kept.
 * Threads: any.
 * Errors: -ESTALE. */
TZ_API int tz_state_raw(tz_handle future);

/* tz_cancel_raw - ends a job that has not begun; asks one that runs to end.
 *
 * A job that is asked sees it in tz_interrupted(), and its waits end with -ECANCELED. Whether it obeys is its choice: a result beats a
 * cancel. To say that it did, it fails with tz_fail(-ECANCELED, ...).
 *
 * Ownership: the future is kept.
 * Threads: any.
 * Errors: 0: the job will not run, its outcome is TZ_CANCELLED. 1: it runs and was asked. -EALREADY: it had ended. -ESTALE. */
TZ_API int tz_cancel_raw(tz_handle future);

/* tz_detach_raw - drops a future; the job goes on and its result is dropped when it ends.
 *
 * Ownership: releases the future.
 * Threads: any.
 * Errors: -ESTALE. */
TZ_API int tz_detach_raw(tz_handle future);

/* tz_on_done_raw - has fn(arg, outcome, result) called once when the job has ended.
 *
 * Never from inside this call nor from inside tz_cancel: where the job has ended already, or is cancelled, the callback is run by the
 * library's service thread; else by the strand that ran the job, just after the outcome became visible. A job has any number of callbacks;
 * they run one after the other, in the order of their adding. `result` points to the job's result, or is NULL if there is none; it and
 * `outcome` are valid during the call. (What a result points to belongs to who takes the result with tz_result, and may be gone.) A callback may use
 * any future, this one included, and should be short.
 *
 * Ownership: the future is kept; it may be released before the callback runs, but not by another strand during this call.
 * Threads: any.
 * Errors: -ENOMEM, -ESTALE; the callback is then not called. */
TZ_API int tz_on_done_raw(tz_handle future, void (*fn)(void *arg, const tz_outcome *outcome, const void *result), void *arg);

/* Underneath tz_on_result: call(got, arg, result) calls `got` with its own type. */
TZ_API int tz__on_result(tz_handle future, void (*call)(void (*got)(void), void *arg, const void *result), void (*got)(void),
			 void (*failed)(void *arg, const tz_outcome *outcome), void *arg);

/* tz_wait_all_raw - waits until all of n jobs have ended. `futures` is the first of n handles that lie `stride` bytes apart.
 *
 * Ownership: the futures are kept.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -ETIMEDOUT, -ECANCELED, -ESTALE if one of them is stale (none is waited for then). */
TZ_API int tz_wait_all_raw(const tz_handle *futures, size_t stride, size_t n, tz_deadline deadline);

/* tz_wait_any_raw - waits until one of n jobs has ended; returns its index, the lowest if there are several.
 *
 * Ownership: the futures are kept.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: as tz_wait_all_raw; -EINVAL for n = 0, or more than INT_MAX; -ENOMEM. */
TZ_API int tz_wait_any_raw(const tz_handle *futures, size_t stride, size_t n, tz_deadline deadline);

/* tz_wait_first_failure_raw - waits until one of n jobs has ended other than well, and returns its index; or until all have
 * ended well, and returns n.
 *
 * Ownership: the futures are kept.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: as tz_wait_any_raw. */
TZ_API int tz_wait_first_failure_raw(const tz_handle *futures, size_t stride, size_t n, tz_deadline deadline);

/* tz_gather_raw - waits for all of n jobs and releases them; results are dropped.
 *
 * Ownership: releases all n on 0 and -EREMOTEIO; none if the wait itself ended first.
 * Threads: any; blocks a thread, suspends a coroutine.
 * Errors: -EREMOTEIO if one did not end well (the first by index is in tz_last()); -ETIMEDOUT, -ECANCELED, -ESTALE. */
TZ_API int tz_gather_raw(const tz_handle *futures, size_t stride, size_t n);

/* An iterator over futures in the order in which their jobs end. */
typedef struct tz_completed tz_completed;

/* tz_as_completed_raw - opens an iterator over n futures, which may be of different tasks and executors.
 *
 * Ownership: the iterator is the caller's, to be closed with tz_completed_close. The futures are kept, may be released once they have
 * been given out, and must not be released before.
 * Threads: any; one strand at a time uses the iterator.
 * Errors: -ENOMEM, -ESTALE. */
TZ_API int tz_as_completed_raw(tz_completed **ret, const tz_handle *futures, size_t stride, size_t n);

/* tz_completed_next - waits for the next job that ends and returns its index; -ENOENT after the last one.
 *
 * Ownership: none; the future with that index may be released from now on.
 * Threads: one strand at a time; blocks a thread, suspends a coroutine.
 * Errors: -ETIMEDOUT, -ECANCELED (the iterator can be used again), -ENOENT. */
TZ_API int tz_completed_next(tz_completed *completed, tz_deadline deadline);

/* tz_completed_close - closes an iterator, at its end or before. NULL is legal.
 *
 * Ownership: releases the iterator, not the futures.
 * Threads: one strand at a time.
 * Errors: none. */
TZ_API void tz_completed_close(tz_completed *completed);

/* tz_on_unobserved - sets the hook that hears of failures that nobody looked at, and returns the one before.
 *
 * Called when a future is released (or, if it was detached, when the job ends) whose job ended other than well, and whose outcome was
 * never read. A job that was cancelled before it ran is not reported. There is no hook at first: such failures are silent.
 *
 * Ownership: the hook copies what it wants to keep.
 * Threads: any; the hook runs on any strand, and must not block.
 * Errors: none. */
typedef void (*tz_unobserved_hook)(const tz_outcome *outcome);
TZ_API tz_unobserved_hook tz_on_unobserved(tz_unobserved_hook hook);

TZ_END_DECLS

/* --- the words that users write: they take typed futures (area_future) and tz_future alike ------------------ */

/* tz_result(f, &value) - wait, move the value out, release. A pointer of the wrong type does not compile. For a void task, or to
 * drop the value: tz_result(f, NULL).
 *
 * Form: int tz_result(area_future f, double *ret_value) */
#ifdef __cplusplus
extern "C++" {
/* Where a result goes: to a pointer of exactly its type, or nowhere. */
template <typename Pointer> struct tz__result_to {
	Pointer out;
	size_t size;
	template <typename Other> tz__result_to(Other) = delete;
	tz__result_to(Pointer p)
		: out(p)
		, size(sizeof *p)
	{
	}
	tz__result_to(decltype(nullptr))
		: out(nullptr)
		, size(0)
	{
	}
	tz__result_to(long) /* the NULL of C++ */
		: out(nullptr)
		, size(0)
	{
	}
};
template <> inline tz__result_to<void *>::tz__result_to(void *) = delete;
template <typename F> static inline int tz__result(F f, tz__result_to<decltype(F::tz__type)> to)
{
	return tz_result_raw(f.handle, to.out, to.size);
}
}
#define tz_result(f, out) tz__result(f, out)
#else
/* NULL stands for "no result wanted": its type is void *, which for a void task is the type of the result's pointer already. */
#define TZ__NULL_OF(p) __typeof__(_Generic((p), void *: (struct tz__nothing *)0, default: (void *)0))
#define TZ__SIZE_OF(p) \
	_Generic((p), void *: (size_t)0, default: sizeof *_Generic((p), void *: (char *)0, default: (p)))
#define tz_result(f, out) \
	tz_result_raw((f).handle, _Generic((out), __typeof__((f).tz__type): (out), TZ__NULL_OF((f).tz__type): (out)), \
		      _Generic((out), __typeof__((f).tz__type): TZ__SIZE_OF((f).tz__type), TZ__NULL_OF((f).tz__type): (size_t)0))
#endif

#define tz_wait(f, deadline) tz_wait_raw((f).handle, deadline)
#define tz_outcome_of(f, ret) tz_outcome_raw((f).handle, ret)
#define tz_crash_of(f, ret) tz_crash_raw((f).handle, ret)
#define tz_done(f) tz_done_raw((f).handle)
#define tz_running(f) tz_running_raw((f).handle)
#define tz_state(f) tz_state_raw((f).handle)
#define tz_cancel(f) tz_cancel_raw((f).handle)
#define tz_detach(f) tz_detach_raw((f).handle)
#define tz_on_done(f, fn, arg) tz_on_done_raw((f).handle, fn, arg)

/* These take an array of futures of one type, or of tz_future, and its length. */
#define tz_wait_all(futures, n, deadline) tz_wait_all_raw(&(futures)->handle, sizeof *(futures), n, deadline)
#define tz_wait_any(futures, n, deadline) tz_wait_any_raw(&(futures)->handle, sizeof *(futures), n, deadline)
#define tz_wait_first_failure(futures, n, deadline) \
	tz_wait_first_failure_raw(&(futures)->handle, sizeof *(futures), n, deadline)
#define tz_gather_all(futures, n) tz_gather_raw(&(futures)->handle, sizeof *(futures), n)
#define tz_as_completed(ret, futures, n) tz_as_completed_raw(ret, &(futures)->handle, sizeof *(futures), n)

/* tz_gather - wait for up to 8 futures, of any tasks, and release them: tz_gather(f, g, h). Results are dropped; returns what
 * tz_gather_raw does, which is underneath.
 *
 * Form: int tz_gather(area_future f, area_future g, ...) */
#ifdef __cplusplus
extern "C++" {
template <typename... F> static inline int tz__gather(F... f)
{
	const tz_handle handles[] = { f.handle... };
	return tz_gather_raw(handles, sizeof *handles, sizeof...(F));
}
}
#define tz_gather(...) tz__gather(__VA_ARGS__)
#else
#define tz_gather(...) \
	tz_gather_raw((const tz_handle[]){ TZ__CAT(TZ__HANDLES_, TZ__COUNT(__VA_ARGS__))(__VA_ARGS__) }, sizeof(tz_handle), \
		      TZ__COUNT(__VA_ARGS__))
#define TZ__HANDLES_1(a) (a).handle
#define TZ__HANDLES_2(a, ...) (a).handle, TZ__HANDLES_1(__VA_ARGS__)
#define TZ__HANDLES_3(a, ...) (a).handle, TZ__HANDLES_2(__VA_ARGS__)
#define TZ__HANDLES_4(a, ...) (a).handle, TZ__HANDLES_3(__VA_ARGS__)
#define TZ__HANDLES_5(a, ...) (a).handle, TZ__HANDLES_4(__VA_ARGS__)
#define TZ__HANDLES_6(a, ...) (a).handle, TZ__HANDLES_5(__VA_ARGS__)
#define TZ__HANDLES_7(a, ...) (a).handle, TZ__HANDLES_6(__VA_ARGS__)
#define TZ__HANDLES_8(a, ...) (a).handle, TZ__HANDLES_7(__VA_ARGS__)
#endif

#endif
