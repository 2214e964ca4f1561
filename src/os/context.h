/* The context: where a stack of its own goes on when it is switched to.
 *
 * Design notes
 *
 * What a switch saves. Stack pointer, frame pointer and the address to go on at lie in the struct. On x86-64 the
 * switch is inline assembly that says that it changes every other register, so the compiler saves what it needs and
 * no more; nothing is pushed, so neither the red zone nor the unwind information of the function around it is touched.
 * On aarch64 it is a function that saves what a call must preserve on the stack it leaves. Elsewhere, and with the
 * build option `ucontext`, it is swapcontext(3), which costs two system calls.
 *
 * A jump through a register ends the switch, never a return: the processor predicts returns from a stack of its own,
 * which knows nothing of ours, so each would be mispredicted.
 *
 * Not saved: the signal mask, errno, and the modes of floating point (rounding, which exceptions trap; MXCSR and the
 * x87 control word, FPCR), which thus belong to the thread. Saving them costs more than the rest together.
 *
 * Unwinding. A context begins in tz_context_start, whose unwind information says that there is nothing above it. So
 * debuggers and profilers stop there; a C++ exception that nobody catches ends in std::terminate; and pthread_exit
 * or a thread cancellation inside a context runs the cleanups up to there and then ends the thread that runs it. The
 * frame pointer is zero there.
 *
 * C++. Which exceptions are being handled is kept in one place of each thread by the C++ runtime; a switch swaps it, if
 * that runtime is in the program. In a program without it, that is one test. The call is there for a second reason: gcc
 * takes it that assembly does not call back into functions of the same file, and so leaves out stores to static
 * variables before a switch, unless there is also a call that might. Hence it is hidden from link-time optimization.
 *
 * A context stays with the thread on which tz_context_of_thread was called for the first one that it is switched from:
 * compilers keep the addresses of thread-local variables over a switch.
 *
 * Shadow stacks (x86 CET, aarch64 GCS) would have to be switched too; they are not, so no context can be made on a
 * thread that has one.
 */
#ifndef TZ_OS_CONTEXT_H
#define TZ_OS_CONTEXT_H

#include <stddef.h>

#include "os/sanitizer.h"

#if defined(TZ_UCONTEXT)
#elif defined(__x86_64__) && !defined(__ILP32__)
#define TZ_CONTEXT_X86_64 1
#elif defined(__aarch64__) && defined(__LP64__)
#define TZ_CONTEXT_AARCH64 1
#else
#define TZ_UCONTEXT 1
#endif

#if defined(__GNUC__) && !defined(__clang__)
#define TZ_CONTEXT_NOIPA __attribute__((noipa))
#else
#define TZ_CONTEXT_NOIPA
#endif

/* What the C++ runtime keeps of a thread, as the C++ ABI lays it down. */
struct tz_cxx_globals {
	void *caught;
	unsigned int uncaught;
#ifdef __ARM_EABI_UNWINDER__
	void *propagating;
#endif
};

/* All-zero: no context. Except for sp, fp and pc of one that has been switched from, nobody's business but this file's. */
struct tz_context {
	void *sp; /* of ucontext: the ucontext_t, and the next two unused */
	void *fp;
	void *pc;
	struct tz_cxx_globals
		*cxx; /* the thread's, or NULL without C++; known of a context that runs */
	struct tz_cxx_globals cxx_saved; /* the context's own, while it does not run */
#if TZ_ASAN || TZ_TSAN
	void (*entry)(void *arg);
	void *arg;
#endif
#if TZ_ASAN
	const void *bottom;
	size_t size;
	void *fake_stack;
#endif
#if TZ_TSAN
	void *fiber;
	int owns_fiber;
#endif
};

/* The calling thread's own stack: what other contexts are switched to from, and switch back to. */
void tz_context_of_thread(struct tz_context *ctx);

/*
 * A context that will begin with entry(arg) on the stack [low, low + size). entry must not return. ctx is all-zero, or
 * was made before: then what ran there is given up, as it is. 0, -EINVAL if the stack is too small, -ENOTSUP where
 * shadow stacks are switched on.
 */
int tz_context_make(struct tz_context *ctx, void *low, size_t size, void (*entry)(void *arg),
		    void *arg);

/* Ends a context, which does not run, for good. What lies on its stack is not looked at. */
void tz_context_done(struct tz_context *ctx);

/* The part of a switch that belongs to C++. */
void tz_context_swap_cxx(struct tz_context *from, struct tz_context *to) TZ_CONTEXT_NOIPA;

#ifdef TZ_CONTEXT_X86_64

#if defined(__CET__) && (__CET__ & 1)
#define TZ_CONTEXT_LANDING "endbr64\n\t"
#else
#define TZ_CONTEXT_LANDING
#endif

#ifdef __AVX512F__
#define TZ_CONTEXT_AVX512 \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", \
		"xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", \
		"k4", "k5", "k6", "k7"
#else
#define TZ_CONTEXT_AVX512
#endif

/* Stops here and goes on there. */
static inline __attribute__((always_inline)) void tz_context_swap(struct tz_context *from,
								  struct tz_context *to)
{
	__asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
			 "movq %%rsp, 0(%0)\n\t"
			 "movq %%rbp, 8(%0)\n\t"
			 "movq %%rax, 16(%0)\n\t"
			 "movq 16(%1), %%rcx\n\t"
			 "movq 0(%1), %%rsp\n\t"
			 "movq 8(%1), %%rbp\n\t"
			 "jmpq *%%rcx\n"
			 "1:\n\t" TZ_CONTEXT_LANDING
			 : "+D"(from), "+S"(to)
			 :
			 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
			   "st(7)", "memory", "cc" TZ_CONTEXT_AVX512);
}

#else
void tz_context_swap(struct tz_context *from, struct tz_context *to);
#endif

#if TZ_ASAN || TZ_TSAN
void tz_context_switch(struct tz_context *from, struct tz_context *to);
#else
/* Stops the running context, which is `from`, and goes on with `to`; returns when somebody switches back. */
static inline void tz_context_switch(struct tz_context *from, struct tz_context *to)
{
	if (from->cxx)
		tz_context_swap_cxx(from, to);
	tz_context_swap(from, to);
}
#endif

/* What each machine's part gives: a stack and the struct such that the first switch begins with entry(arg). */
void tz_context_prepare(struct tz_context *ctx, char *low, size_t size, void (*entry)(void *arg),
			void *arg);

#endif
