/* Jobs that wait for a point in time without a coroutine: those that are to start later, and timer
 * futures, whose whole task it is to wait. They are held by a timer of the loop; a timer future has
 * it in its cell, in place of its arguments. */
#ifndef TZ_LOOP_LATER_H
#define TZ_LOOP_LATER_H

#include <stdbool.h>

#include "loop/loop.h"

extern const tz_task tz_timer_task;

/* Takes a job that is about to begin, if its time has not come: it is put in line, or ended, when
 * that is so. On the loop's thread. */
bool tz_later_hold(struct tz_loop *loop, struct tz_job *job);

/* A new timer future on the loop, which is not closing. A job without a cell: -ENOMEM, as of tz_submit_raw. */
tz_handle tz_later_timer(struct tz_loop *loop, tz_deadline when);

/* As tz_timer_future_reschedule, on the loop's thread. */
int tz_later_move(struct tz_loop *loop, tz_handle timer, tz_deadline when);

/* A timer future was cancelled on the loop's thread: lets go of it, if it is held here. */
void tz_later_forget(struct tz_loop *loop, struct tz_job *job);

/* Calls fn for each job that is held. */
void tz_later_walk(const struct tz_loop *loop, void (*fn)(const struct tz_job *job, void *arg), void *arg);

/* Ends all that are held. */
void tz_later_cancel(struct tz_loop *loop);

/* Lets go of those that have ended: cancelled on another thread, or too late to begin. */
void tz_later_drop_ended(struct tz_loop *loop);

#endif
