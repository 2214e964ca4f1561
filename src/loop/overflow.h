/* Reports of stack overflow: whose stack, how large it is, and where the code was.
 *
 * Design notes
 *
 * A coroutine that uses more than its stack touches the guard below it, and the kernel sends SIGSEGV (or
 * SIGBUS). There is no stack left to handle it on, so each thread that runs a loop has an alternate one. The handler looks up the
 * address; if it is in a guard of ours and the stack pointer is near, it writes the report on descriptor 2. In any case the
 * signal then takes its course: the handler that was there before is called, or without one the process ends of it, at the instruction
 * that failed, so that a core dump shows it.
 *
 * The handler only reads what the kernel gave it, the table of slabs, the owner's description, frame pointers within that
 * stack, and /proc/self/maps for the names of the files: all async-signal-safe. Without frame pointers in the program, the backtrace
 * is short.
 */
#ifndef TZ_LOOP_OVERFLOW_H
#define TZ_LOOP_OVERFLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "loop/stack.h"

/* What a thread has for it. All-zero is valid. */
struct tz_overflow {
	void *memory; /* the alternate stack; NULL: none, or not ours */
	size_t size;
};

/*
 * The calling thread runs a loop from now on. The first time in the process, installs the handler; nothing at all, if
 * the program (tz_report_overflows) or the environment (TRENZA_OVERFLOW=off) does not want it. 0, or -ENOMEM: the report will be missing.
 */
int tz_overflow_begin(struct tz_overflow *overflow);
void tz_overflow_end(struct tz_overflow *overflow);

/*
 * Says in words whose stack it is, as "task 'parse' (spawned at crawl.c:88)": the text's length, or 0. Called in a signal
 * handler. Set by whoever owns stacks.
 */
extern size_t (*_Atomic tz_overflow_describe)(void *owner, char *ret_text, size_t size);

/* For a stack without guard, whose gap is no longer intact: reports, and ends the process as the signal does. */
_Noreturn void tz_overflow_found(const struct tz_stack *stack);

#endif
