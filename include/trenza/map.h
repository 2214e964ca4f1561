/* Map, for-each and reduce over ranges.
 *
 *     tz_map(ex, area, n, out, w, h);                              waits for all
 *     tz_future f = tz_submit_map(ex, area, n, out, w, h);         begins, and is waited for like any future
 *     tz_map_bound(ex, NULL, area, n, out, calls);                 each call's arguments in a struct of their own
 *
 * The caller works too: it begins with the first elements by itself, and wakes other workers only when what remains is worth a wake-up (some
 * tens of microseconds). So a map of a few cheap elements costs what a loop costs. tz_map is the typed form of tz_map_raw.
 */
#ifndef TRENZA_MAP_H
#define TRENZA_MAP_H

#include <trenza/descriptor.h>
#include <trenza/executor.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* What a map does after an element has failed. */
typedef enum tz_map_policy {
	TZ_MAP_STOP = 0, /* elements behind the failed one that have not begun are not called; those before it are */
	TZ_MAP_ALL = 1 /* every element is called */
} tz_map_policy;

/* How a map runs. All-zero is the default of each. */
typedef struct tz_map_options {
	size_t size; /* sizeof(tz_map_options), or 0: for fields to come */
	size_t chunk; /* elements that a worker takes at once; 0: as many as last some tens of microseconds, found out while it runs */
	int workers; /* the most that work on it, the caller included; 0: all of the executor's */
	tz_map_policy policy;
	tz_outcome *outcomes; /* array of n that takes the outcome of each element, or NULL, which is cheaper */
	tz_submit_options submit; /* tz_submit_map: how the map itself is submitted, as one job. tz_map goes by `kill` alone: its deadline is the scope's */
} tz_map_options;

/* tz_map_raw - calls a task for each of n elements and waits for all; what tz_map stands on.
 *
 * in[k] is the array of the k-th argument, out the array of results (NULL for a void task). With options->outcomes, elements that were not
 * called are TZ_CANCELLED there, or TZ_TIMED_OUT if the scope's deadline ended the map; "not called" is their message.
 *
 * Ownership: the arrays are the caller's; out[i] is written for each element that was called, outcomes[i] for every one (for none if the map
 * did not begin: -EINVAL, -ESHUTDOWN).
 * Threads: any; from a job of the same executor too. Where the scope ends it, elements that run are waited for; on processes, those that ignore the scope's
 * deadline (with options->submit.kill: a cancel, too) have the executor's kill_grace before their worker is killed.
 * Errors: -EREMOTEIO if an element failed: the first by index, the same for any number of workers, is in tz_last(), with "element I:"
 * before its message. -ECANCELED, -ETIMEDOUT if the scope ended it: some elements may not have been called. -ENOTSUP: the executor shares no
 * memory with the caller, and the task does not travel; tz_last() says which argument. -EINVAL, -ENOMEM, -ESHUTDOWN. */
TZ_API int tz_map_raw(tz_executor *executor, const tz_map_options *options, const tz_task *task, size_t n, void *out,
		      const void *const *in);

/* tz_map_bound, tz_map_bound_raw - map over calls whose arguments were kept by tz_bind: calls is an array of n area_args.
 *
 * All else is as with tz_map, whose arguments lie in one array each.
 *
 * Form: int tz_map_bound(tz_executor *ex, const tz_map_options *options, area, size_t n, double *out, const area_args *calls)
 * Ownership: as tz_map_raw.
 * Threads: as tz_map_raw.
 * Errors: as tz_map_raw. */
TZ_API int tz_map_bound_raw(tz_executor *executor, const tz_map_options *options, const tz_task *task, size_t n, void *out,
			    const void *calls);

/* tz_submit_map, tz_submit_map_with, tz_submit_map_raw - begins a map and returns at once: the future of all of it.
 *
 * It is waited for, gathered, cancelled and given callbacks as any future, and has no result but what is in `out`: tz_result(f, NULL). It ends when
 * no element runs any more. If an element failed, so has the map: with the status and the code of the first by index, and "element I:" before its message.
 * Cancelling it ends what has not begun, and asks what runs. On an executor that runs jobs at submit the map has ended on return. On processes, elements are
 * sent to workers several at a time, as options->chunk says; each has its own outcome there, too, and a crash costs one of them.
 *
 * Form: tz_future tz_submit_map(tz_executor *ex, area, size_t n, double *out, const double *w, const double *h)
 * Form: tz_future tz_submit_map_with(tz_executor *ex, const tz_map_options *options, area, size_t n, double *out, const double *w, const double *h)
 * Ownership: the future is the caller's, or that of the scope or group in options->submit. The arrays stay the caller's and must be there until the
 * map has ended, the outcomes too.
 * Threads: as tz_submit_raw.
 * Errors: always gives a future, as tz_submit_raw; TZ_FAILED with -EINVAL for what cannot be mapped. */
TZ_API tz_handle tz_submit_map_raw(tz_executor *executor, const tz_map_options *options, const tz_task *task, size_t n, void *out,
				   const void *const *in);

/* tz_submit_map_bound, tz_submit_map_bound_raw - as tz_submit_map, over calls whose arguments were kept by tz_bind.
 *
 * Form: tz_future tz_submit_map_bound(tz_executor *ex, const tz_map_options *options, area, size_t n, double *out, const area_args *calls)
 * Ownership: as tz_submit_map_raw.
 * Threads: as tz_submit_raw.
 * Errors: as tz_submit_map_raw. */
TZ_API tz_handle tz_submit_map_bound_raw(tz_executor *executor, const tz_map_options *options, const tz_task *task, size_t n, void *out,
					 const void *calls);

/* tz_for_range - calls body(lo, hi, arg) for ranges that together are [begin, end), each index once, and waits for all.
 *
 * A body that calls tz_fail makes its range the failed one.
 *
 * Ownership: arg is handed on as it is.
 * Threads: as tz_map_raw; the body runs on several strands at once.
 * Errors: as tz_map_raw; -ENOTSUP on every executor that shares no memory with the caller. */
TZ_API int tz_for_range(tz_executor *executor, const tz_map_options *options, size_t begin, size_t end,
			void (*body)(size_t lo, size_t hi, void *arg), void *arg);

/* A reduction over [0, n): what is folded, and how two partial results become one. */
typedef struct tz_reduction {
	size_t size; /* of an accumulator, in bytes */
	const void *identity; /* the accumulator of nothing */
	void (*fold)(void *acc, size_t lo, size_t hi, void *arg); /* adds the elements lo <= i < hi to acc */
	void (*combine)(void *acc, const void *right, void *arg); /* acc becomes acc (+) right */
	void *arg;
	size_t block; /* elements in a block, 0: n / 4096, at least 1024 */
} tz_reduction;

/* tz_reduce - folds [0, n) in blocks and combines the partial results in a fixed tree.
 *
 * The blocks and the tree depend on n and reduction->block only, so the result is the same to the last bit for every executor and number of workers.
 * `combine` must be associative as far as the caller cares; it need not be commutative.
 *
 * Ownership: *ret takes one accumulator; it is not touched on failure.
 * Threads: as tz_map_raw.
 * Errors: as tz_map_raw, -ENOMEM. */
TZ_API int tz_reduce(tz_executor *executor, const tz_map_options *options, const tz_reduction *reduction, size_t n, void *ret);

TZ_END_DECLS

#define TZ__TASK_MAP(R, fn, V, N, ...) \
	TZ__UNUSED static inline int fn##__map(tz_executor *tz__ex, const tz_map_options *tz__opt, \
					       size_t tz__n TZ__OUTPARAM_##V(R) TZ__ARRAYS_##N(__VA_ARGS__)) \
	{ \
		const void *const tz__in[] = { TZ__POINTERS_##N }; \
		return tz_map_raw(tz__ex, tz__opt, &fn##_task, tz__n, TZ__OUTARG_##V, tz__in); \
	} \
	TZ__UNUSED static inline tz_future fn##__submit_map(tz_executor *tz__ex, const tz_map_options *tz__opt, \
							    size_t tz__n TZ__OUTPARAM_##V(R) TZ__ARRAYS_##N(__VA_ARGS__)) \
	{ \
		const void *const tz__in[] = { TZ__POINTERS_##N }; \
		tz_future tz__f; \
		tz__f.handle = tz_submit_map_raw(tz__ex, tz__opt, &fn##_task, tz__n, TZ__OUTARG_##V, tz__in); \
		return tz__f; \
	} \
	TZ__UNUSED static inline int fn##__map_bound(tz_executor *tz__ex, const tz_map_options *tz__opt, \
						     size_t tz__n TZ__OUTPARAM_##V(R), const fn##_args *tz__calls) \
	{ \
		return tz_map_bound_raw(tz__ex, tz__opt, &fn##_task, tz__n, TZ__OUTARG_##V, tz__calls); \
	} \
	TZ__UNUSED static inline tz_future fn##__submit_map_bound(tz_executor *tz__ex, const tz_map_options *tz__opt, \
								  size_t tz__n TZ__OUTPARAM_##V(R), const fn##_args *tz__calls) \
	{ \
		tz_future tz__f; \
		tz__f.handle = tz_submit_map_bound_raw(tz__ex, tz__opt, &fn##_task, tz__n, TZ__OUTARG_##V, tz__calls); \
		return tz__f; \
	}

/* tz_map, tz_map_with - call the task for each element of arrays and wait for all: tz_map(ex, area, n, out, w, h) sets
 * out[i] = area(w[i], h[i]) for 0 <= i < n. Results are in order; returns 0, or -EREMOTEIO if an element failed: the first
 * by index is in tz_last(). A void task has no `out`. tz_map_with takes a `const tz_map_options *` after the executor.
 * Underneath: tz_map_raw.
 *
 * Form: int tz_map(tz_executor *ex, area, size_t n, double *out, const double *w, const double *h)
 * Form: int tz_map_with(tz_executor *ex, const tz_map_options *options, area, size_t n, double *out, const double *w, const double *h) */
#define tz_map(ex, fn, ...) tz_map_with(ex, NULL, fn, __VA_ARGS__)
#define tz_map_with(ex, options, fn, ...) fn##__map(ex, options, __VA_ARGS__)
#define tz_map_bound(ex, options, fn, ...) fn##__map_bound(ex, options, __VA_ARGS__)
#define tz_submit_map(ex, fn, ...) tz_submit_map_with(ex, NULL, fn, __VA_ARGS__)
#define tz_submit_map_with(ex, options, fn, ...) fn##__submit_map(ex, options, __VA_ARGS__)
#define tz_submit_map_bound(ex, options, fn, ...) fn##__submit_map_bound(ex, options, __VA_ARGS__)

/* TZ_REDUCER(T, add) - describe `T add(T, T)` as a way to reduce arrays of T: tz_reduce_array(ex, add, &zero, n, array, &sum).
 *
 * At file scope, followed by a semicolon.
 *
 * Form: TZ_REDUCER(T, add);
 * Ownership: none.
 * Threads: the function is called on several strands at once.
 * Errors: a function that does not take two T and answer a T does not compile. */
#define TZ_REDUCER(T, fn) \
	static void fn##__fold(void *tz__acc, size_t tz__lo, size_t tz__hi, void *tz__arg) \
	{ \
		const T *const tz__a = (const T *)tz__arg; \
		T tz__v = *(T *)tz__acc; \
		for (size_t tz__i = tz__lo; tz__i < tz__hi; tz__i++) \
			tz__v = fn(tz__v, tz__a[tz__i]); \
		*(T *)tz__acc = tz__v; \
	} \
	static void fn##__combine(void *tz__acc, const void *tz__right, void *tz__arg) \
	{ \
		(void)tz__arg; \
		*(T *)tz__acc = fn(*(T *)tz__acc, *(const T *)tz__right); \
	} \
	__attribute__((unused)) static inline int fn##__reduce(tz_executor *tz__ex, const T *tz__identity, size_t tz__n, \
							       const T *tz__array, T *tz__ret) \
	{ \
		tz_reduction tz__r = { sizeof(T), tz__identity, fn##__fold, fn##__combine, (void *)(uintptr_t)tz__array, 0 }; \
		return tz_reduce(tz__ex, NULL, &tz__r, tz__n, tz__ret); \
	} \
	struct fn##__reducer /* takes the semicolon */

/* tz_reduce_array - reduce an array with a function described by TZ_REDUCER. Underneath: tz_reduce.
 *
 * Form: int tz_reduce_array(tz_executor *ex, add, const T *identity, size_t n, const T *array, T *ret)
 * Ownership: *ret takes the result; it is not touched on failure.
 * Threads: as tz_map_raw.
 * Errors: as tz_reduce. */
#define tz_reduce_array(ex, fn, identity, n, array, ret) fn##__reduce(ex, identity, n, array, ret)

#endif
