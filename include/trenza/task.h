/* Tasks: a plain C function and a description of its types.
 *
 *     static double area(double w, double h) { return w * h; }
 *     TZ_TASK(double, area, double, double);
 *
 * TZ_TASK reads like the prototype. It does not change the function, which stays callable as ever; it makes, beside
 * it, the types and the inline functions on which tz_submit, tz_result, tz_map, tz_fork and the others stand, so
 * that their arguments are checked and converted as in a call. A function without arguments is described with
 * `void`, as in its prototype: TZ_TASK(int, nop, void). Up to 8 arguments. A type must be written so that a variable can be
 * declared by putting its name behind it: name function pointers and arrays by a typedef.
 *
 * What TZ_TASK(R, area, A...) declares, all static, each ready for use:
 *
 *     area_future     the handle on a job of area; 16 bytes, copied by value
 *     area_fork       the handle on a local, forked call of area (fork.h)
 *     area_args       a struct with fields a1, a2, ...: a call's arguments, to be kept (tz_bind)
 *     area_task       the descriptor, a `const tz_task`; its address names the task
 *
 * The kinds of types and how each travels: descriptor.h.
 *
 * From C++, TZ_TASK is the same; a C++ exception that leaves the function makes the job fail with its what().
 *
 * Including this header makes three constraint violations of ISO C errors in C files, as they are by default in gcc 14 and
 * clang 16: converting between pointer and integer, and between incompatible pointers, without a cast; and calling a
 * function that is not declared. Define TZ_NO_STRICT before including to keep your compiler's choice.
 */
#ifndef TRENZA_TASK_H
#define TRENZA_TASK_H

#include <string.h>

#ifdef __cplusplus
#include <exception>
#if __has_include(<cxxabi.h>)
#include <cxxabi.h>
#endif
#endif

#include <trenza/descriptor.h>
#include <trenza/executor.h>
#include <trenza/fork.h>
#include <trenza/future.h>
#include <trenza/map.h>
#include <trenza/scope.h>
#include <trenza/spawn.h>
#include <trenza/stream.h>
#include <trenza/task_arity.h>
#include <trenza/types.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

#if !defined(__cplusplus) && !defined(TZ_NO_STRICT)
#pragma GCC diagnostic error "-Wint-conversion"
#pragma GCC diagnostic error "-Wincompatible-pointer-types"
#pragma GCC diagnostic error "-Wimplicit-function-declaration"
#endif

/* --- what depends on whether the result is void ----------------------------------------------------------- */

#define TZ__RTYPE_0(R) TZ__TYPE(R)
#define TZ__RTYPE_1(R) TZ__TYPE_VOID
/* A variable for the result, `memory = call`, and `return call`. */
#define TZ__SIZE_0(R) (uint32_t)sizeof(R)
#define TZ__SIZE_1(R) 0
#define TZ__ALIGN_0(R) (uint32_t) __alignof__(R)
#define TZ__ALIGN_1(R) 1
#define TZ__STORE_0(R, to, call) \
	{ \
		R tz__r = call; \
		memcpy(to, &tz__r, sizeof tz__r); \
	}
#define TZ__STORE_1(R, to, call) \
	{ \
		(void)to; \
		call; \
	}
#define TZ__OUT_0(R) R *const tz__o = (R *)tz__out;
#define TZ__OUT_1(R) (void)tz__out;
#define TZ__PUT_0(call) tz__o[tz__i] = call;
#define TZ__PUT_1(call) call;
#define TZ__OUTPARAM_0(R) , R *tz__out
#define TZ__OUTPARAM_1(R)
#define TZ__OUTARG_0 tz__out
#define TZ__OUTARG_1 NULL

/* What TZ_TASK makes for tz_apply and tz_on_result. */
#define TZ__TASK_CALL_0(R, fn, N, ...) \
	TZ__UNUSED static void fn##__got(void (*tz__got)(void), void *tz__arg, const void *tz__result) \
	{ \
		R tz__r; \
		memcpy(&tz__r, tz__result, sizeof tz__r); \
		((void (*)(void *, R))tz__got)(tz__arg, tz__r); \
	} \
	TZ__UNUSED static inline int fn##__on_result(fn##_future tz__f, void (*tz__got)(void *, R), \
						     void (*tz__failed)(void *, const tz_outcome *), void *tz__arg) \
	{ \
		return tz__on_result(tz__f.handle, fn##__got, (void (*)(void))tz__got, tz__failed, tz__arg); \
	} \
	TZ__TASK_CALL(R, fn, N, __VA_ARGS__)
#define TZ__TASK_CALL_1(R, fn, N, ...) \
	TZ__UNUSED static void fn##__got(void (*tz__got)(void), void *tz__arg, const void *tz__result) \
	{ \
		(void)tz__result; \
		((void (*)(void *))tz__got)(tz__arg); \
	} \
	TZ__UNUSED static inline int fn##__on_result(fn##_future tz__f, void (*tz__got)(void *), \
						     void (*tz__failed)(void *, const tz_outcome *), void *tz__arg) \
	{ \
		return tz__on_result(tz__f.handle, fn##__got, (void (*)(void))tz__got, tz__failed, tz__arg); \
	} \
	TZ__TASK_CALL(R, fn, N, __VA_ARGS__)
#define TZ__TASK_CALL(R, fn, N, ...) \
	TZ__UNUSED static inline int fn##__apply(tz_executor *tz__ex, const tz_submit_options *tz__opt, \
						 R *tz__out TZ__PARAMS_##N(__VA_ARGS__)) \
	{ \
		const fn##_args tz__in = { TZ__INIT_##N }; \
		return tz_apply_raw(tz__ex, tz__opt, &fn##_task, &tz__in, tz__out); \
	}

/* Of a function with a hot loop, which then lies in its lines of code in the same way whatever stands before it: a short loop that straddles two
 * takes twice as long on some processors. */
#define TZ__OWN_LINE __attribute__((aligned(64)))

/* --- TZ_TASK ------------------------------------------------------------------------------------------------ */

/* Comes first, so that what else the compiler says is read after it. */
#ifdef __cplusplus
#define TZ__TYPES_ARE_GIVEN(fn, text, n) \
	static_assert(sizeof(text) > 1, "TZ_TASK(" #fn "): a function without arguments is described with void, as in its prototype"); \
	static_assert((n) <= TZ_ARGS_MAX, "TZ_TASK(" #fn "): at most 8 arguments; put them into a struct")
#else
#define TZ__TYPES_ARE_GIVEN(fn, text, n) \
	_Static_assert(sizeof(text) > 1, "TZ_TASK(" #fn "): a function without arguments is described with void, as in its prototype"); \
	_Static_assert((n) <= TZ_ARGS_MAX, "TZ_TASK(" #fn "): at most 8 arguments; put them into a struct")
#endif

/* The type of the function must be R(A...) exactly, not one that is convertible to it. */
#ifdef __cplusplus
extern "C++" {
template <typename F> struct tz__signature;
template <typename R, typename... A> struct tz__signature<R(A...)> {
	template <typename S, typename... B> static constexpr bool is(S (*)(B...))
	{
		return tz__is_same<R(A...), S(B...)>::value;
	}
};
}
#define TZ__SAME_SIGNATURE(R, fn, ...) \
	static_assert(tz__signature<R(__VA_ARGS__)>::is(&fn), \
		      "TZ_TASK(" #fn "): this is not the prototype of " #fn "()")
#else
#define TZ__SAME_SIGNATURE(R, fn, ...) \
	_Static_assert(_Generic(&(fn), R(*)(__VA_ARGS__): 1, default: 0), \
		       "TZ_TASK(" #fn "): this is not the prototype of " #fn "()")
#endif

/* An exception may not cross the library's frames: it becomes the job's failure here, in the user's C++. */
#ifdef __cplusplus
extern "C++" {
template <typename Body> static inline void tz__guarded(Body body)
{
#if defined(__cpp_exceptions)
	try {
		body();
	} catch (const std::exception &e) {
		tz__fail_exception(e.what());
#if defined(__GLIBCXX__)
	} catch (abi::__forced_unwind &) {
		throw; /* pthread_exit: the library handles it */
#endif
	} catch (...) {
		tz__fail_exception("not a std::exception");
	}
#else
	body();
#endif
}
}
#define TZ__GUARD_BEGIN tz__guarded([&] {
#define TZ__GUARD_END });
#else
#define TZ__GUARD_BEGIN
#define TZ__GUARD_END
#endif

/* The entry of a descriptor in the module's section of them: each points at the other. */
#define TZ__IN_TASKS __attribute__((used, section("tz_tasks")))
#ifdef __cplusplus
#define TZ__DECLARE_ENTRY(entry) \
	namespace \
	{ \
	extern const tz_task *const entry; \
	}
#define TZ__DEFINE_ENTRY(entry, task) \
	namespace \
	{ \
	TZ__IN_TASKS const tz_task *const entry = &task; \
	}
#else
#define TZ__DECLARE_ENTRY(entry) static const tz_task *const entry TZ__IN_TASKS;
#define TZ__DEFINE_ENTRY(entry, task) static const tz_task *const entry TZ__IN_TASKS = &task;
#endif

/* TZ_TASK - describe the function `fn`, whose prototype is R fn(types...). At file scope, followed by a semicolon.
 *
 * Form: TZ_TASK(double, area, double, double);
 * Ownership: none; what it makes is static and constant.
 * Threads: the function is called on any strand, and on several at once.
 * Errors: a prototype that is not that of the function does not compile. */
#define TZ_TASK(R, fn, ...) \
	TZ__TYPES_ARE_GIVEN(fn, #__VA_ARGS__, TZ__COUNT(__VA_ARGS__)); \
	TZ__TASK(R, fn, TZ__IS_VOID(R), TZ__ARITY(__VA_ARGS__), __VA_ARGS__)
#define TZ__TASK(R, fn, V, N, ...) TZ__TASK_(R, fn, V, N, __VA_ARGS__)
#define TZ__TASK_(R, fn, V, N, ...) \
	TZ__SAME_SIGNATURE(R, fn, __VA_ARGS__); \
	typedef struct fn##__args { \
		TZ__FIELDS_##N(__VA_ARGS__) \
	} fn##_args; \
	typedef union { \
		tz_handle handle; \
		R *tz__type; \
	} fn##_future; \
	static void fn##__run(void *tz__out, const void *tz__v) \
	{ \
		const fn##_args *tz__in = (const fn##_args *)tz__v; \
		(void)tz__in; \
		TZ__GUARD_BEGIN TZ__STORE_##V(R, tz__out, fn(TZ__FROM_##N)) TZ__GUARD_END \
	} \
	TZ__OWN_LINE static void fn##__range(void *tz__out, const void *const *tz__in, size_t tz__lo, size_t tz__hi, \
				struct tz_cursor *tz__c) \
	{ \
		TZ__OUT_##V(R) TZ__ARRAYVARS_##N(__VA_ARGS__) TZ__GUARD_BEGIN \
		for (size_t tz__i = tz__lo; tz__i < tz__hi; tz__i++) { \
			tz__c->at = (const struct tz_cursor *)tz__i; \
			TZ__PUT_##V(fn(TZ__ELEMENT_##N)) \
		} \
		TZ__GUARD_END \
	} \
	static void *fn##__slot; \
	TZ__DECLARE_ENTRY(fn##__entry) \
	static const tz_task fn##_task = { \
		#fn, \
		fn##__run, \
		fn##__range, \
		(N) ? (uint32_t)sizeof(fn##_args) : 0, \
		TZ__SIZE_##V(R), \
		(uint32_t)(__alignof__(fn##_args) > TZ__ALIGN_##V(R) ? __alignof__(fn##_args) : \
								       TZ__ALIGN_##V(R)), \
		N, \
		TZ__RTYPE_##V(R), \
		{ TZ__KINDS_##N(__VA_ARGS__) }, \
		{ TZ__OFFSETS_##N(fn##_args) }, \
		__FILE__, \
		__LINE__, \
		&tz__here, \
		&fn##__entry, \
		&fn##__slot, \
		TZ__MAGIC, \
	}; \
	TZ__DEFINE_ENTRY(fn##__entry, fn##_task) \
	TZ__UNUSED static inline fn##_args fn##__bind(TZ__ONLY_##N(__VA_ARGS__)) \
	{ \
		fn##_args tz__in = { TZ__INIT_##N }; \
		return tz__in; \
	} \
	TZ__UNUSED static inline fn##_future fn##__submit_bound(tz_executor *tz__ex, const tz_submit_options *tz__opt, \
								const fn##_args *tz__in) \
	{ \
		fn##_future tz__f; \
		tz__f.handle = tz_submit_raw(tz__ex, tz__opt, &fn##_task, tz__in); \
		return tz__f; \
	} \
	TZ__UNUSED static inline fn##_future fn##__submit(tz_executor *tz__ex, const tz_submit_options *tz__opt \
								  TZ__PARAMS_##N(__VA_ARGS__)) \
	{ \
		const fn##_args tz__in = { TZ__INIT_##N }; \
		return fn##__submit_bound(tz__ex, tz__opt, &tz__in); \
	} \
	TZ__UNUSED static inline int fn##__submit_bulk(tz_executor *tz__ex, const tz_submit_options *tz__opt, \
						       size_t tz__n, const fn##_args *tz__in, fn##_future *tz__f) \
	{ \
		return tz_submit_bulk_raw(tz__ex, tz__opt, &fn##_task, tz__n, tz__in, tz__f ? &tz__f->handle : NULL); \
	} \
	TZ__TASK_MAP(R, fn, V, N, __VA_ARGS__) \
	TZ__TASK_STREAM_##V(R, fn, N, __VA_ARGS__) \
	TZ__TASK_CALL_##V(R, fn, N, __VA_ARGS__) \
	TZ__TASK_SPAWN(R, fn, N, __VA_ARGS__) \
	TZ__TASK_FORK(R, fn, V, N, __VA_ARGS__) \
	struct fn##__args /* takes the semicolon */

/* --- the words that users write ------------------------------------------------------------------------------ */

/* tz_bind - the arguments of a call, kept for later: area_args a = tz_bind(area, 3.0, 4.0). Its fields a1, a2, ... can be
 * changed before it is submitted, by tz_submit_bound or tz_submit_bulk, any number of times.
 *
 * Form: area_args tz_bind(area, double w, double h)
 * Ownership: by value.
 * Threads: any.
 * Errors: none; wrong arguments do not compile. */
#define tz_bind(...) TZ__CAT(TZ__BIND_, TZ__MANY(__VA_ARGS__))(__VA_ARGS__)
#define TZ__BIND_ONE(fn) fn##__bind()
#define TZ__BIND_MANY(fn, ...) fn##__bind(__VA_ARGS__)

/* tz_submit, tz_submit_with - submit a call to an executor: area_future f = tz_submit(ex, area, 3.0, 4.0). ex NULL is the default
 * executor. Arguments are checked as in a call and copied. Always gives a future: if submitting failed, it has already failed.
 * tz_submit_with takes a `const tz_submit_options *` after the executor. Underneath: tz_submit_raw.
 *
 * Options are written in place with TZ_OPTIONS (options.h):
 * tz_submit_with(ex, TZ_OPTIONS(tz_submit_options, .priority = TZ_PRIORITY_HIGH, .retries = 2), area, 3.0, 4.0).
 *
 * Form: area_future tz_submit(tz_executor *ex, area, double w, double h)
 * Form: area_future tz_submit_with(tz_executor *ex, const tz_submit_options *options, area, double w, double h) */
#define tz_submit(ex, ...) tz_submit_with(ex, NULL, __VA_ARGS__)
#define tz_submit_with(ex, options, ...) \
	TZ__CAT(TZ__SUBMIT_, TZ__MANY(__VA_ARGS__))(ex, options, __VA_ARGS__)
#define TZ__SUBMIT_ONE(ex, options, fn) fn##__submit(ex, options)
#define TZ__SUBMIT_MANY(ex, options, fn, ...) fn##__submit(ex, options, __VA_ARGS__)

/* tz_apply, tz_apply_with - submit a call and wait for it: tz_apply(ex, &a, area, 3.0, 4.0). NULL in place of &a drops the result, and is what a void
 * task takes. tz_apply_with takes a `const tz_submit_options *` after the executor. Underneath: tz_apply_raw.
 *
 * Form: int tz_apply(tz_executor *ex, double *ret_value, area, double w, double h)
 * Form: int tz_apply_with(tz_executor *ex, const tz_submit_options *options, double *ret_value, area, double w, double h) */
#define tz_apply(ex, ret_value, ...) tz_apply_with(ex, NULL, ret_value, __VA_ARGS__)
#define tz_apply_with(ex, options, ret_value, ...) \
	TZ__CAT(TZ__APPLY_, TZ__MANY(__VA_ARGS__))(ex, options, ret_value, __VA_ARGS__)
#define TZ__APPLY_ONE(ex, options, ret, fn) fn##__apply(ex, options, ret)
#define TZ__APPLY_MANY(ex, options, ret, fn, ...) fn##__apply(ex, options, ret, __VA_ARGS__)

/* tz_on_result - have one function called with the result of a job, or another one with what went wrong: tz_on_result(f, area, got, failed, arg).
 *
 * got(arg, value), or got(arg) of a void task, if the job ends well; failed(arg, outcome) if not. Either may be NULL. All else is as with
 * tz_on_done_raw, which is underneath. If the future is detached, what the result points to becomes got's.
 *
 * Form: int tz_on_result(area_future f, area, void (*got)(void *arg, double value), void (*failed)(void *arg, const tz_outcome *outcome), void *arg)
 * Ownership: the future is kept.
 * Threads: any; the functions are called as callbacks of tz_on_done_raw are.
 * Errors: -ENOMEM, -ESTALE; neither is called then. */
#define tz_on_result(f, fn, got, failed, arg) fn##__on_result(f, got, failed, arg)

/* tz_submit_bound - submit a call whose arguments were kept by tz_bind, given by address.
 *
 * Form: area_future tz_submit_bound(tz_executor *ex, const tz_submit_options *options, area, const area_args *args)
 * Ownership: as tz_submit; *args is copied.
 * Threads: as tz_submit.
 * Errors: as tz_submit. */
#define tz_submit_bound(ex, options, fn, args) fn##__submit_bound(ex, options, args)

/* tz_submit_bulk - submit n calls at once: args is an array of n area_args, futures an array that takes n
 * area_futures, or NULL to detach them all. Cheaper than n calls of tz_submit. Underneath: tz_submit_bulk_raw.
 *
 * Form: int tz_submit_bulk(tz_executor *ex, const tz_submit_options *options, area, size_t n, const area_args *args, area_future *futures) */
#define tz_submit_bulk(ex, options, fn, n, args, futures) fn##__submit_bulk(ex, options, n, args, futures)

#endif
