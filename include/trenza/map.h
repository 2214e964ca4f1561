/* Map, for-each and reduce over ranges.
 *
 * The caller works too: it begins with the first elements by itself, and wakes other workers only when what remains is worth a wake-up (some
 * tens of microseconds). So a map of a few cheap elements costs what a loop costs. tz_map (task.h) is the typed form of tz_map_raw.
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
} tz_map_options;

/* tz_map_raw - calls a task for each of n elements and waits for all; what tz_map stands on.
 *
 * in[k] is the array of the k-th argument, out the array of results (NULL for a void task). With options->outcomes, elements that were not
 * called are TZ_CANCELLED there, or TZ_TIMED_OUT if the scope's deadline ended the map; "not called" is their message.
 *
 * Ownership: the arrays are the caller's; out[i] is written for each element that was called, outcomes[i] for every one (for none if the map
 * did not begin: -EINVAL, -ESHUTDOWN).
 * Threads: any; from a job of the same executor too.
 * Errors: -EREMOTEIO if an element failed: the first by index, the same for any number of workers, is in tz_last(), with "element I:"
 * before its message. -ECANCELED, -ETIMEDOUT if the scope ended it: some elements may not have been called. -EINVAL, -ENOMEM,
 * -ESHUTDOWN. */
TZ_API int tz_map_raw(tz_executor *executor, const tz_map_options *options, const tz_task *task, size_t n, void *out,
		      const void *const *in);

/* tz_for_range - calls body(lo, hi, arg) for ranges that together are [begin, end), each index once, and waits for all.
 *
 * A body that calls tz_fail makes its range the failed one.
 *
 * Ownership: arg is handed on as it is.
 * Threads: as tz_map_raw; the body runs on several strands at once.
 * Errors: as tz_map_raw. */
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
