/* The loop: runs the coroutines of one thread, and waits when none of them can go on.
 *
 * Design notes
 *
 * Who switches to whom. A coroutine that waits, yields or ends looks for the next one itself and
 * switches to it directly; to the thread's own stack, the loop's `main`, it goes only if nothing is
 * ready or its slice is over. `main` takes the inbox, fires timers, asks the backend, and goes on
 * with the first one ready. So a hand-over between two coroutines is one switch, and descriptors,
 * timers and other threads are looked after every SLICE at the latest, or in the middle of the one
 * task that runs for longer.
 *
 * Slices. Reading the clock costs more than a switch. It is read every TURNS-th time that a
 * coroutine is left; if the slice is over then, `main` gets its turn. In a simulation the clock
 * stands still and the turn comes by count, so that a run depends on the seed alone; and each time that a coroutine is left, the simulation may
 * cancel its job or end the job's time. A coroutine whose calls never need
 * to wait is not left at all: every so many of them it looks at the clock itself (tz_strand_count_call).
 *
 * Waking. Same thread: into the line (ready.h). Other threads and signal handlers: into the inbox;
 * then they ring: swap RUNG into `bell`. The loop swaps ASLEEP into a bell that is AWAKE before it
 * polls; if it finds RUNG, it looks around again instead. Who swaps RUNG in and finds ASLEEP wakes
 * the backend. So whatever was done before a ring is seen before the loop sleeps, or ends the poll.
 * A visitor counts itself before its push and off after its last touch; a loop that ends waits for
 * the count, since what was pushed may have been all that kept the loop from ending.
 *
 * Ending. Whoever asks for a shutdown sets `closing` and wakes the loop, from a signal handler too.
 * The loop's thread does what was asked for: ends pending jobs, cancels the loop's scope, which is
 * the parent of every job's, and wakes everybody to see it. A loop has ended when it is closing,
 * nobody visits, and every job that was ever accepted has ended. A submit from outside visits first
 * and looks at `closing` then; the loop sets `closing` first and looks at `visitors` then.
 *
 * Fork. In the child, the coroutine that called fork becomes a plain thread on its stack: its
 * strand gets the operations of one. The loop and everybody else on it are gone; futures say so.
 */
#ifndef TZ_LOOP_LOOP_H
#define TZ_LOOP_LOOP_H

#include <trenza/executor_impl.h>

#include "core/counter.h"
#include "core/scope.h"
#include "loop/backend.h"
#include "loop/coroutine.h"
#include "loop/overflow.h"
#include "loop/ready.h"
#include "loop/stack.h"
#include "loop/timers.h"
#include "loop/watchdog.h"

enum { TZ_LOOP_TASKS = 32 };

struct tz_loop {
	tz_executor executor; /* first: the loop by itself, as an executor */
	tz_executor *group; /* of whose loops it is one, or NULL */
	int index; /* as a worker of its executor */
	struct tz_backend *backend;
	struct tz_context main;
	struct tz_strand *host; /* of the thread that runs the loop; NULL: none does */
	struct tz_coroutine *current; /* NULL: main; read by anybody */
	uint32_t switches; /* times that a coroutine began or went on with a job; read by anybody */
	struct tz_ready_queue ready;
	int turns; /* left before the clock is read; simulated: 1, so that each one is looked at */
	int steps; /* simulated: left before the slice is over */
	uint64_t slice_end; /* in ticks */
	bool simulated;
	struct tz_coroutine *idle; /* linked by next_ready */
	struct tz_coroutine *retired; /* the same: must not be gone on with as they are */
	struct tz_coroutine *all;
	struct tz_wheel wheel;
	struct tz_stacks stacks;
	struct tz_overflow overflow;
	struct tz_wheel_timer trimmer; /* see trim */
	size_t nidle, idle_least; /* now, and at least since the last trim */
	struct tz_scope scope; /* parent of every job's: cancelled by TZ_STOP_NOW */
	uint32_t obeyed; /* what of `closing` was done */
	size_t held; /* jobs that wait for their time (later.h) */
	uint64_t held_seen; /* when those were looked through last, for the end of the loop */
	uint32_t ids; /* given to jobs */
	uint8_t quick[TZ_LOOP_TASKS]; /* by task: whether it ends without waiting, 0 (no) to 3 */
	uint8_t trials; /* of tz_loop_help */
	unsigned spins;
	uint64_t now; /* at the last turn of main, on its clock */
	uint32_t number; /* of all loops that there were */
	struct tz_loop *next_loop; /* in the list of all loops (tasks.c) */
	int *errno_location;
	/* Written by the loop's thread, read by anybody. */
	_Atomic uint64_t submitted, begun, ended;

	/* Written by others. */
	struct tz_attention attention; /* by watchdog.c */
	_Alignas(64) _Atomic tz_entry inbox;
	_Atomic uint32_t bell;
	_Atomic uint32_t visitors;
	_Atomic uint32_t closing; /* 1 + the tz_shutdown; 0: open */
	_Atomic uint64_t submitted_outside, dropped_outside;
	_Atomic int broken; /* the code that all jobs are to fail with; 0: none */
	_Atomic(struct tz_question *) question; /* about its tasks; by tasks.c */
	_Atomic bool stop; /* tz_loop_run is to return */
};

/* The loop that runs on this thread, or NULL. */
extern _Thread_local struct tz_loop *tz_loop_self
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* What a loop is as an executor by itself. */
extern const tz_executor_ops tz_loop_ops;

struct tz_question;

struct tz_loop_setup {
	const struct tz_backend_ops *backend; /* NULL: epoll */
	struct tz_backend_options backend_options;
	size_t stack_size; /* 0: the default */
	double slow_seconds; /* the watchdog's limit; 0: the environment's */
};

/* Sets up a loop whose jobs are those of an executor with that table. 0, -ENOMEM, -EMFILE, -ENFILE.
 * */
int tz_loop_init(struct tz_loop *loop, const tz_executor_ops *ops,
		 const tz_executor_options *options, const struct tz_loop_setup *setup);

/* The loop has ended, or this is a fork child. */
void tz_loop_done(struct tz_loop *loop);

/* Runs the loop on the calling thread until over(loop, arg), which is asked on the thread's own
 * stack. -EBUSY if it runs elsewhere, or a loop runs here. */
int tz_loop_drive(struct tz_loop *loop, bool (*over)(struct tz_loop *loop, void *arg), void *arg);

/* Whether all that was accepted has ended and nothing more will be. Any thread. */
bool tz_loop_is_finished(const struct tz_loop *loop);

/* The same, and nobody visits the loop; for tz_loop_drive. */
bool tz_loop_has_ended(struct tz_loop *loop, void *unused);

/* Ends a job that has not begun and will not, and takes it off the loop. On the loop's thread. */
void tz_loop_drop(struct tz_loop *loop, struct tz_job *job, tz_status status, int code,
		  const char *message);

/* A job has ended that no coroutine has run. On the loop's thread. */
static inline void tz_loop_count_unrun(struct tz_loop *loop)
{
	tz_counter_add(&loop->begun, 1);
	tz_counter_add(&loop->ended, 1);
}

/* The next number for a task. */
uint32_t tz_loop_next_id(struct tz_loop *loop);

/* Adds what the loop has done and is doing to statistics. Any thread. */
void tz_loop_stats(const struct tz_loop *loop, tz_executor_stats *add);
bool tz_loop_is_asleep(const struct tz_loop *loop);

/* Takes n jobs: all, or none, if it is closing. Any thread. */
size_t tz_loop_submit(struct tz_loop *loop, tz_job *const *jobs, size_t n, int *ret_error);

/* A coroutine is about to wait for a job of its own executor: lets the job run first, if it is in line here and those of its task usually
 * end without waiting. Then the coroutine need not become its waiter, which costs more than a switch. The `help` of executors. */
void tz_loop_help(tz_executor *executor, tz_job *job, bool timed);

/* Ends the jobs that the loop's thread has not seen yet: it may be busy with one that never ends. Any thread. */
void tz_loop_cancel_unseen(struct tz_loop *loop);

/* From now on the loop ends all jobs that have not begun with that negative code. Any thread. */
void tz_loop_break(struct tz_loop *loop, int code);

/* Any thread; async-signal-safe. */
void tz_loop_request_shutdown(struct tz_loop *loop, tz_shutdown how);

/* Has the loop look around, if it sleeps: a condition of `over` may have changed. Any thread;
 * async-signal-safe. The caller has visited. */
void tz_loop_ring(struct tz_loop *loop);
static inline void tz_loop_visit(struct tz_loop *loop)
{
	(void)atomic_fetch_add_explicit(&loop->visitors, 1, memory_order_seq_cst);
}
static inline void tz_loop_leave(struct tz_loop *loop)
{
	(void)atomic_fetch_sub_explicit(&loop->visitors, 1, memory_order_release);
}

/* Puts an entry in line, by way of the inbox. Any thread; async-signal-safe. */
void tz_loop_post(struct tz_loop *loop, tz_entry e);

/* Leaves the running coroutine for whoever is next. It is in line, or PARKED; returns when somebody
 * goes on with it. */
void tz_loop_suspend(struct tz_coroutine *self);

/* Puts a coroutine that was PARKED in line. Any thread; async-signal-safe. */
static inline void tz_loop_wake(struct tz_loop *loop, struct tz_coroutine *c)
{
	/* In a signal handler that interrupted who changes the line, or the loop on its way to sleep, the inbox it is. */
	if (__builtin_expect(loop == tz_loop_self && loop->current && !loop->ready.busy, 1))
		tz_ready_push_coroutine(&loop->ready, c);
	else
		tz_loop_post(loop, tz_entry_of_coroutine(c));
}

#endif
