/* Fork and join: recursive work, split without allocation.
 *
 *     static long fib(int n);
 *     TZ_TASK(long, fib, int);
 *     static long fib(int n)
 *     {
 *             if (n < 2)
 *                     return n;
 *             fib_fork f = tz_fork(fib, n - 1);       // may be stolen by an idle worker
 *             long b = fib(n - 2);
 *             return tz_join(f) + b;                   // a plain, inlinable call if it was not
 *     }
 *
 * Inside a job of a "threads" executor, tz_fork leaves a call in the worker's own stack of forks, for a few stores. tz_join takes it back and
 * calls the function right here, unless an idle worker has taken it; then it helps that worker, or waits. Anywhere else, and
 * where the stack of forks is full or the arguments or the result are over TZ_FORK_MAX bytes, tz_fork calls the function at once. The meaning is the same.
 *
 * Join every fork once, in the function that made it. The youngest first is the fast order; others are legal, and slower. Forks that a job leaves unjoined are joined when it ends. A fork has no outcome of its own: a failure in it is a failure of
 * the job, and cancelling the job is how to cancel it. Waits in a call that was stolen obey the job's deadline and cancel request, not a scope
 * that was entered inside the job.
 *
 * After the split deque of Lace: T. van Dijk and J. van de Pol, "Lace: Non-blocking Split Deque for Work-Stealing" (2014).
 */
#ifndef TRENZA_FORK_H
#define TRENZA_FORK_H

#include <string.h>

#include <trenza/descriptor.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* The most bytes that the arguments, or the result, of a call may have to be left for others to steal. */
enum { TZ_FORK_MAX = 40 };

/* One forked call, 64 bytes. Private. */
struct tz__slot {
	void (*run)(void *data); /* reads the arguments from data, writes the result there */
	uint32_t done; /* atomic: set by the thief when the result is in data */
	uint32_t thief; /* atomic: who took it, and where in its own stack it began */
	void *frame; /* of the job that forked, once it can be stolen */
	union {
		unsigned char bytes[TZ_FORK_MAX];
		long double align_float;
		void *align_pointer;
	} data;
};

/* A worker's stack of forks, as its owner sees it. Private. */
struct tz__forks {
	struct tz__slot *head; /* the next free slot */
	struct tz__slot *limit; /* the end of the stack */
	struct tz__slot *split; /* from here on, slots are the owner's alone */
	uint32_t request __attribute__((aligned(64))); /* atomic: a thief is hungry */
};

/* The calling thread's stack of forks: a full one where there is no worker. Never NULL. */
#ifdef __cplusplus
extern TZ_API __thread struct tz__forks *tz__forks_self __attribute__((tls_model("initial-exec")));
#else
extern TZ_API _Thread_local struct tz__forks *tz__forks_self __attribute__((tls_model("initial-exec")));
#endif

/* Lets others steal half of what is the owner's alone. */
TZ_API void tz__fork_publish(struct tz__forks *forks);

/* Joins a slot that could not simply be popped. 1: nobody took it, the caller runs it; 0: the result is in its data. */
TZ_API int tz__fork_join(struct tz__slot *slot);

TZ_END_DECLS

/* Inline for certain: what the caller passes by value is then never stored. */
#define TZ__INLINE __attribute__((unused, always_inline)) static inline

#define TZ__FITS(T) (sizeof(T) <= TZ_FORK_MAX && __alignof__(T) <= 16)
#define TZ__FORK_FITS_0(R) TZ__FITS(R)
#define TZ__FORK_FITS_1(R) 1
#define TZ__FORK_HELD_0(R) R
#define TZ__FORK_HELD_1(R) char
/* A function in C++ and a compound literal in C: all-zero, of any type. */
#ifdef __cplusplus
extern "C++" {
template <typename T> static inline T tz__zero()
{
	return T();
}
}
#define TZ__FORK_ZERO_0(R) tz__zero<R>()
#else
#define TZ__FORK_ZERO_0(R) ((R){ 0 })
#endif
#define TZ__FORK_ZERO_1(R) 0
#define TZ__FORK_CALL_0(call) tz__f.tz__value = call
#define TZ__FORK_CALL_1(call) call
#define TZ__FORK_TAKE_0(R) \
	{ \
		R tz__r; \
		memcpy(&tz__r, &tz__s->data, sizeof tz__r); \
		return tz__r; \
	}
#define TZ__FORK_TAKE_1(R) return;
#define TZ__FORK_RETURN_0(call) return call
#define TZ__FORK_RETURN_1(call) call
#define TZ__FORK_GIVE_0 return tz__value
#define TZ__FORK_GIVE_1 (void)tz__value

#define TZ__TASK_FORK(R, fn, V, N, ...) \
	typedef struct fn##__fork_s { \
		struct tz__slot *tz__slot; /* NULL: it was called at once, and gave tz__value */ \
		R (*tz__join)(struct tz__slot *, TZ__FORK_HELD_##V(R)); \
		TZ__FORK_HELD_##V(R) tz__value; \
	} fn##_fork; \
	static void fn##__fork_run(void *tz__data) \
	{ \
		fn##_args tz__args; \
		const fn##_args *const tz__in = &tz__args; \
		(void)tz__in; \
		memcpy((void *)&tz__args, tz__data, sizeof tz__args); \
		TZ__GUARD_BEGIN TZ__STORE_##V(R, tz__data, fn(TZ__FROM_##N)) TZ__GUARD_END \
	} \
	TZ__INLINE R fn##__join(struct tz__slot *const tz__s, TZ__FORK_HELD_##V(R) tz__value) \
	{ \
		if (__builtin_expect(tz__s != NULL, 1)) { \
			struct tz__forks *const tz__w = tz__forks_self; \
			fn##_args tz__args; \
			const fn##_args *const tz__in = &tz__args; \
			(void)tz__in; \
			if (__builtin_expect(tz__w->head == tz__s + 1 && tz__s >= tz__w->split, 1)) \
				tz__w->head = tz__s; \
			else if (!tz__fork_join(tz__s)) \
				TZ__FORK_TAKE_##V(R) \
			memcpy((void *)&tz__args, &tz__s->data, sizeof tz__args); \
			TZ__FORK_RETURN_##V(fn(TZ__FROM_##N)); \
		} else { \
			TZ__FORK_GIVE_##V; \
		} \
	} \
	TZ__INLINE fn##_fork fn##__fork(TZ__ONLY_##N(__VA_ARGS__)) \
	{ \
		fn##_fork tz__f = { NULL, fn##__join, TZ__FORK_ZERO_##V(R) }; \
		struct tz__forks *const tz__w = tz__forks_self; \
		struct tz__slot *const tz__s = tz__w->head; \
		if (TZ__FORK_FITS_##V(R) && TZ__FITS(fn##_args) && __builtin_expect(tz__s != tz__w->limit, 1)) { \
			const fn##_args tz__args = { TZ__INIT_##N }; \
			memcpy((void *)&tz__s->data, (const void *)&tz__args, sizeof tz__args); \
			tz__s->run = fn##__fork_run; \
			tz__w->head = tz__s + 1; \
			if (__builtin_expect(__atomic_load_n(&tz__w->request, __ATOMIC_RELAXED) != 0, 0)) \
				tz__fork_publish(tz__w); \
			tz__f.tz__slot = tz__s; \
		} else { \
			TZ__FORK_CALL_##V(fn(TZ__PASS_##N)); \
		} \
		return tz__f; \
	}

/* tz_fork - fork a call: fib_fork f = tz_fork(fib, n - 1).
 *
 * Form: fib_fork tz_fork(fib, int n)
 * Ownership: the arguments are copied. The fork is to be joined once, by the function that made it.
 * Threads: any; outside of a job of an executor that steals it calls the function at once.
 * Errors: none of its own; a failure in the call is the job's. */
#define tz_fork(...) TZ__CAT(TZ__FORK_, TZ__MANY(__VA_ARGS__))(__VA_ARGS__)
#define TZ__FORK_ONE(fn) fn##__fork()
#define TZ__FORK_MANY(fn, ...) fn##__fork(__VA_ARGS__)

/* tz_join - the result of a forked call: long a = tz_join(f). `f` is a variable, evaluated twice.
 *
 * Form: long tz_join(fib_fork f)
 * Ownership: ends the fork; what the result points to becomes the caller's.
 * Threads: the strand that forked; blocks a thread, suspends a coroutine, if the call was stolen and is not done.
 * Errors: none of its own; a failure in the call is the job's. */
#define tz_join(f) ((f).tz__join((f).tz__slot, (f).tz__value))

#endif
