/* The switch where there is no assembly for it, and with the build option `ucontext`: swapcontext(3). See context.h. */
#include "os/context.h"

#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#ifdef TZ_UCONTEXT

/* At the top of a stack that has not begun. */
struct start {
	ucontext_t registers;
	void (*entry)(void *arg);
	void *arg;
};

/* makecontext passes ints only. */
static void start(unsigned int high, unsigned int low)
{
	struct start *s = (void *)(uintptr_t)((uint64_t)high << 32 | low);

	s->entry(s->arg);
	abort(); /* allowed: entry returned, which it must not */
}

void tz_context_prepare(struct tz_context *ctx, char *low, size_t size, void (*entry)(void *),
			void *arg)
{
	uintptr_t top = ((uintptr_t)(low + size) - sizeof(struct start)) & ~(uintptr_t)63;
	struct start *s = (void *)top;

	(void)getcontext(&s->registers);
	s->registers.uc_stack.ss_sp = low;
	s->registers.uc_stack.ss_size = (size_t)((char *)s - low);
	s->registers.uc_link = NULL;
	s->entry = entry;
	s->arg = arg;
	makecontext(&s->registers, (void (*)(void))start, 2, (unsigned int)((uint64_t)top >> 32),
		    (unsigned int)top);
	ctx->sp = &s->registers;
	ctx->fp = NULL;
	ctx->pc = NULL;
}

/* The registers lie on the stack that is left; `sp` says where. */
void tz_context_swap(struct tz_context *from, struct tz_context *to)
{
	ucontext_t here;

	here.uc_stack = (stack_t){ 0 }; /* the address sanitizer looks at it */
	from->sp = &here;
	(void)swapcontext(&here, to->sp);
}

#endif
