/* The coroutine: a strand with a stack of its own, which runs jobs, one after the other, on one
 * loop.
 *
 * Design notes
 *
 * A coroutine belongs to one loop and runs on that loop's thread only, from its making to its end:
 * thread-local addresses that compilers keep, errno and the C++ runtime's state stay right over a
 * switch.
 *
 * It is a worker, not a task: coroutine_main (loop.c) runs the job that it was given, and then
 * takes the next ready one itself if that has not begun, on the same warm stack and without a
 * switch. Idle ones wait in the loop, last in, first out. So a job costs a stack only from its
 * first dispatch to its end, and a job that never waits costs no switch at all.
 *
 * Token. The strand's token (strand.h) is ABSENT, PRESENT, or PARKED: the coroutine has been
 * switched away from, or is about to be, and is in no line. Who takes the token away from PARKED,
 * an unpark by swapping PRESENT in or the park's timer by swapping ABSENT in, puts the coroutine in
 * line, exactly once. There is no window between saying PARKED and having left the stack: only the
 * loop's own thread goes on with a coroutine, and it does that from a switch.
 *
 * Memory. Coroutines are type-stable, as strands must be: chunks that are never returned, with a
 * free list for all loops. Their stacks are another matter, see stack.h.
 */
#ifndef TZ_LOOP_COROUTINE_H
#define TZ_LOOP_COROUTINE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"
#include "core/strand.h"
#include "loop/stack.h"
#include "loop/timers.h"
#include "os/context.h"
#include "os/cpu.h"

struct tz_loop;

enum { TZ_TOKEN_ABSENT = 0, TZ_TOKEN_PRESENT = 1, TZ_TOKEN_PARKED = 2 };

struct tz_coroutine {
	struct tz_strand strand; /* first */
	/* What a switch touches, in one line with what it looks at next. */
	_Alignas(TZ_CACHE_LINE) struct tz_context context;
	uintptr_t next_ready; /* ready.h; of an idle one: the next idle one */
	struct tz_loop *loop;
	tz_job *job; /* what it runs, or is to run; NULL: idle */
	/* Of the last such job; read by anybody, at any time. */
	const tz_task *task;
	const struct tz_site *site;
	struct tz_wheel_timer timer; /* of its park */
	struct tz_stack stack;
	struct tz_coroutine *previous, *next; /* all of the loop */
	uint64_t since; /* when it was parked, ns on the loop's clock */
	bool timed_out; /* its last park */
	bool own_stack; /* not of the loop's size: not kept */
};

/* An all-zero coroutine but for what must stay, or NULL without memory; and back. Any thread. */
struct tz_coroutine *tz_coroutine_alloc(void);
void tz_coroutine_free(struct tz_coroutine *c);

/* Says who it is, for reports: "task 'parse' (spawned at crawl.c:88)". The text's length; it is cut to
 * `size` and not terminated. Async-signal-safe. */
size_t tz_coroutine_describe(void *coroutine, char *ret_text, size_t size);

/* Around fork(2). */
void tz_coroutine_fork_prepare(void);
void tz_coroutine_fork_done(void);

/* The strand operations. */
extern const struct tz_strand_ops tz_coroutine_strand_ops;

#endif
