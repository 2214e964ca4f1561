/* Streams: map over what a generator yields, with a bounded window.
 *
 *     static bool next(void *arg, area_args *ret) { ... fill ret->a1 and ret->a2, or return false at the end ... }
 *
 *     area_stream s;
 *     if (tz_stream_open(&s, ex, area, NULL, next, NULL) == 0) {
 *             double a;
 *             while (tz_stream_next(s, &a) > 0)
 *                     use(a);
 *             tz_stream_close(s);
 *     }
 *
 * At most `window` elements have been taken from the generator and not given out, so an endless input is fine. What the arguments point to must outlive the
 * call: where memory is shared, a generator that fills one buffer again and again would change the text under those that run.
 */
#ifndef TRENZA_STREAM_H
#define TRENZA_STREAM_H

#include <trenza/descriptor.h>
#include <trenza/executor.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

typedef struct tz_stream tz_stream;

/* How a stream runs. All-zero is the default of each. */
typedef struct tz_stream_options {
	size_t size; /* sizeof(tz_stream_options), or 0: for fields to come */
	size_t window; /* elements under way at once; 0: twice the executor's workers, at least 2 */
	bool as_completed; /* results in the order in which they come; else in the generator's */
	tz_submit_options submit; /* of each job */
	size_t chunk; /* elements that one job calls, for cheap ones, each with its own outcome; 0: one. Where memory is not shared, fewer if results are large */
} tz_stream_options;

/* tz_stream_open, tz_stream_open_raw - opens a stream over what a generator yields.
 *
 * next(arg, args) writes the arguments of the next call and returns true, or returns false at the end; it is not called again then. It runs
 * only inside tz_stream_next, on its caller. What the arguments point to must be there until the job has ended; where memory is not shared, until
 * `next` is called again: it goes along, and with such arguments options->chunk counts as one.
 *
 * Form: int tz_stream_open(area_stream *ret, tz_executor *ex, area, const tz_stream_options *options, bool (*next)(void *arg, area_args *args), void *arg)
 * Ownership: the stream is the caller's, to be closed. The generator is not copied.
 * Threads: one strand at a time uses a stream.
 * Errors: -ENOMEM, -EINVAL. */
TZ_API int tz_stream_open_raw(tz_stream **ret, tz_executor *executor, const tz_task *task, const tz_stream_options *options,
			      bool (*next)(void *arg, void *args), void *arg);

/* tz_stream_over, tz_stream_over_raw - opens a stream over arrays: results one by one, while others are still to come.
 *
 * in[k] is the array of the k-th argument, of n elements. With options->chunk, elements are handed over so many at a time; on processes one by one all the
 * same, if an argument or the result refers to memory or descriptors that are not copied.
 *
 * Form: int tz_stream_over(area_stream *ret, tz_executor *ex, area, const tz_stream_options *options, size_t n, const double *w, const double *h)
 * Ownership: the stream is the caller's, to be closed. The arrays stay the caller's and must be there until then.
 * Threads: one strand at a time uses a stream.
 * Errors: -ENOMEM; -EINVAL, also for a descriptor that does not say where each argument lies. */
TZ_API int tz_stream_over_raw(tz_stream **ret, tz_executor *executor, const tz_task *task, const tz_stream_options *options,
			      size_t n, const void *const *in);

/* Underneath tz_stream_open: pull(next, arg, args) calls `next` with its own type. */
TZ_API int tz__stream_open(tz_stream **ret, tz_executor *executor, const tz_task *task, const tz_stream_options *options,
			   bool (*pull)(void (*next)(void), void *arg, void *args), void (*next)(void), void *arg);

/* tz_stream_next, tz_stream_next_indexed, tz_stream_next_raw - gives out the next result: 1, or 0 at the end.
 *
 * `out` takes the result, or is NULL; `ret_index`, if not NULL, takes its place in the input from 0, also on -EREMOTEIO.
 *
 * Form: int tz_stream_next(area_stream stream, double *out)
 * Form: int tz_stream_next_indexed(area_stream stream, double *out, size_t *ret_index)
 * Ownership: what the result points to becomes the caller's.
 * Threads: one strand at a time; blocks a thread, suspends a coroutine.
 * Errors: -EREMOTEIO if that job did not end well (its outcome is in tz_last(); go on with the next); -ETIMEDOUT, -ECANCELED (nothing is lost). */
TZ_API int tz_stream_next_raw(tz_stream *stream, void *out, size_t *ret_index);

/* tz_stream_close_raw - cancels what is under way, waits for what runs, and frees the stream. NULL is legal.
 *
 * Ownership: releases the stream; results that were not given out are dropped.
 * Threads: one strand at a time; blocks a thread, suspends a coroutine.
 * Errors: none. */
TZ_API void tz_stream_close_raw(tz_stream *stream);

TZ_END_DECLS

#define TZ__TASK_STREAM_0(R, fn, N, ...) \
	typedef struct fn##__stream_s { \
		tz_stream *tz__stream; \
		int (*tz__next)(tz_stream *, R *, size_t *); \
	} fn##_stream; \
	TZ__UNUSED static int fn##__stream_next(tz_stream *tz__s, R *tz__out, size_t *tz__index) \
	{ \
		return tz_stream_next_raw(tz__s, tz__out, tz__index); \
	} \
	TZ__TASK_STREAM(fn, N, __VA_ARGS__)
#define TZ__TASK_STREAM_1(R, fn, N, ...) \
	typedef struct fn##__stream_s { \
		tz_stream *tz__stream; \
		int (*tz__next)(tz_stream *, const void *, size_t *); \
	} fn##_stream; \
	TZ__UNUSED static int fn##__stream_next(tz_stream *tz__s, const void *tz__out, size_t *tz__index) \
	{ \
		(void)tz__out; \
		return tz_stream_next_raw(tz__s, NULL, tz__index); \
	} \
	TZ__TASK_STREAM(fn, N, __VA_ARGS__)
#define TZ__TASK_STREAM(fn, N, ...) \
	TZ__UNUSED static inline fn##_stream fn##__stream_of(tz_stream *tz__s) \
	{ \
		fn##_stream tz__typed = { tz__s, fn##__stream_next }; \
		return tz__typed; \
	} \
	TZ__UNUSED static bool fn##__stream_pull(void (*tz__next)(void), void *tz__arg, void *tz__args) \
	{ \
		return ((bool (*)(void *, fn##_args *))tz__next)(tz__arg, (fn##_args *)tz__args); \
	} \
	TZ__UNUSED static inline int fn##__stream_open(fn##_stream *tz__ret, tz_executor *tz__ex, \
						       const tz_stream_options *tz__opt, \
						       bool (*tz__next)(void *, fn##_args *), void *tz__arg) \
	{ \
		tz_stream *tz__s; \
		int tz__r = tz__stream_open(&tz__s, tz__ex, &fn##_task, tz__opt, fn##__stream_pull, \
					    (void (*)(void))tz__next, tz__arg); \
		if (tz__r == 0) \
			*tz__ret = fn##__stream_of(tz__s); \
		return tz__r; \
	} \
	TZ__UNUSED static inline int fn##__stream_over(fn##_stream *tz__ret, tz_executor *tz__ex, \
						       const tz_stream_options *tz__opt, \
						       size_t tz__n TZ__ARRAYS_##N(__VA_ARGS__)) \
	{ \
		const void *const tz__in[] = { TZ__POINTERS_##N }; \
		tz_stream *tz__s; \
		int tz__r = tz_stream_over_raw(&tz__s, tz__ex, &fn##_task, tz__opt, tz__n, tz__in); \
		if (tz__r == 0) \
			*tz__ret = fn##__stream_of(tz__s); \
		return tz__r; \
	}

#define tz_stream_open(ret, ex, fn, options, next, arg) fn##__stream_open(ret, ex, options, next, arg)
#define tz_stream_over(ret, ex, fn, options, ...) fn##__stream_over(ret, ex, options, __VA_ARGS__)
#define tz_stream_next(stream, out) ((stream).tz__next((stream).tz__stream, out, NULL))
#define tz_stream_next_indexed(stream, out, ret_index) ((stream).tz__next((stream).tz__stream, out, ret_index))
#define tz_stream_close(stream) tz_stream_close_raw((stream).tz__stream)

#endif
