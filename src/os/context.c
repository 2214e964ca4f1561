/* Making and ending contexts; what sanitizers must be told of them. See context.h. */
#include "os/context.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

/* What a context's first frames and its machine's part take at most, with some left to do something. */
enum { LEAST_STACK = 4096 };

/* In a program without the C++ runtime: NULL. */
extern struct tz_cxx_globals *__cxa_get_globals(void) __attribute__((weak));

TZ_NO_SANITIZE void tz_context_swap_cxx(struct tz_context *from, struct tz_context *to)
{
	from->cxx_saved = *from->cxx;
	*from->cxx = to->cxx_saved;
	to->cxx = from->cxx;
}

static int has_shadow_stack(void)
{
#if defined(TZ_CONTEXT_X86_64)
	uint64_t pointer = 0;

	__asm__ volatile("rdsspq %0" : "+r"(pointer)); /* does nothing where there is none */
	return pointer != 0;
#elif defined(TZ_CONTEXT_AARCH64)
	register uint64_t feature __asm__("x16") = 1;

	__asm__ volatile("hint #40" : "+r"(feature)); /* chkfeat: clears bit 0 if there is one */
	return feature == 0;
#else
	return 0; /* makecontext sees to it */
#endif
}

#if TZ_ASAN

/* Tells of a change of stacks that does not take place, to ask what the calling thread's stack is, or to end
 * the fake stack of a context that will never run again. */
static TZ_NO_SANITIZE void asan_of_thread(struct tz_context *ctx)
{
	void *fake = NULL;

	__sanitizer_start_switch_fiber(&fake, __builtin_frame_address(0), 1);
	__sanitizer_finish_switch_fiber(fake, &ctx->bottom, &ctx->size);
	__sanitizer_start_switch_fiber(&fake, ctx->bottom, ctx->size);
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
	ctx->fake_stack = NULL;
}

static TZ_NO_SANITIZE void asan_forget(struct tz_context *ctx)
{
	const void *bottom;
	size_t size;
	void *fake = NULL;

	if (!ctx->fake_stack)
		return;
	__sanitizer_start_switch_fiber(&fake, ctx->bottom, ctx->size);
	__sanitizer_finish_switch_fiber(ctx->fake_stack, &bottom, &size);
	__sanitizer_start_switch_fiber(NULL, bottom, size);
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
	ctx->fake_stack = NULL;
}

static void asan_make(struct tz_context *ctx, void *low, size_t size)
{
	asan_forget(ctx);
	__asan_unpoison_memory_region(low, size); /* frames that were given up */
	ctx->bottom = low;
	ctx->size = size;
}

#else
#define asan_of_thread(ctx) ((void)0)
#define asan_forget(ctx) ((void)0)
#define asan_make(ctx, low, size) ((void)0)
#endif

#if TZ_TSAN

static void tsan_of_thread(struct tz_context *ctx)
{
	ctx->fiber = __tsan_get_current_fiber();
	ctx->owns_fiber = 0;
}

static void tsan_forget(struct tz_context *ctx)
{
	if (ctx->owns_fiber)
		__tsan_destroy_fiber(ctx->fiber);
	ctx->fiber = NULL;
	ctx->owns_fiber = 0;
}

static void tsan_make(struct tz_context *ctx)
{
	tsan_forget(ctx); /* what was given up left its calls in there */
	ctx->fiber = __tsan_create_fiber(0);
	ctx->owns_fiber = 1;
}

#else
#define tsan_of_thread(ctx) ((void)0)
#define tsan_forget(ctx) ((void)0)
#define tsan_make(ctx) ((void)0)
#endif

#if TZ_ASAN || TZ_TSAN

TZ_NO_SANITIZE void tz_context_switch(struct tz_context *from, struct tz_context *to)
{
	if (from->cxx)
		tz_context_swap_cxx(from, to);
#if TZ_ASAN
	__sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#endif
#if TZ_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	tz_context_swap(from, to);
#if TZ_ASAN
	__sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
	from->fake_stack = NULL;
#endif
}

static TZ_NO_SANITIZE void begin(void *arg)
{
	struct tz_context *ctx = arg;

#if TZ_ASAN
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
	ctx->entry(ctx->arg);
	abort(); /* allowed: entry returned, which it must not */
}

static void prepare(struct tz_context *ctx, void *low, size_t size, void (*entry)(void *),
		    void *arg)
{
	ctx->entry = entry;
	ctx->arg = arg;
	tz_context_prepare(ctx, low, size, begin, ctx);
}

#else
#define prepare tz_context_prepare
#endif

void tz_context_of_thread(struct tz_context *ctx)
{
	*ctx = (struct tz_context){ .cxx = __cxa_get_globals ? __cxa_get_globals() : NULL };
	asan_of_thread(ctx);
	tsan_of_thread(ctx);
}

int tz_context_make(struct tz_context *ctx, void *low, size_t size, void (*entry)(void *arg),
		    void *arg)
{
	if (size < LEAST_STACK)
		return -EINVAL;
	if (has_shadow_stack())
		return -ENOTSUP;
	asan_make(ctx, low, size);
	tsan_make(ctx);
	ctx->cxx_saved = (struct tz_cxx_globals){ 0 };
	prepare(ctx, low, size, entry, arg);
	return 0;
}

void tz_context_done(struct tz_context *ctx)
{
	asan_forget(ctx);
	tsan_forget(ctx);
	(void)ctx;
}

#if defined(TZ_CONTEXT_X86_64) || defined(TZ_CONTEXT_AARCH64)

void tz_context_start(void); /* context_*.S; no function that C can call */

/* Words that tz_context_start takes from the stack, and below them what the switch takes from there. */
#ifdef TZ_CONTEXT_X86_64
enum { START_WORDS = 2, SAVED_WORDS = 0 };
#else
enum { START_WORDS = 2, SAVED_WORDS = 18 };
#endif

void tz_context_prepare(struct tz_context *ctx, char *low, size_t size, void (*entry)(void *),
			void *arg)
{
	uintptr_t top = (uintptr_t)(low + size) & ~(uintptr_t)15;
	uintptr_t *words = (uintptr_t *)top - START_WORDS;

	words[0] = (uintptr_t)entry;
	words[1] = (uintptr_t)arg;
	ctx->sp = words - SAVED_WORDS;
	ctx->fp = NULL;
	ctx->pc = (void *)(uintptr_t)tz_context_start;
}

#endif
