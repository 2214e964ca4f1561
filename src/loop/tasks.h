/* The list of all loops, and questions about their tasks. See tasks.c. */
#ifndef TZ_LOOP_TASKS_H
#define TZ_LOOP_TASKS_H

#include <stdint.h>

struct tz_loop;
struct tz_question;

void tz_loops_add(struct tz_loop *loop);
void tz_loops_remove(struct tz_loop *loop);

/* The loop of this process that has something to do, or may yet, with the lowest number from that one on, visited (tz_loop_leave is the caller's); or NULL. */
struct tz_loop *tz_loops_visit(uint32_t at_least);

/* Answers the question that somebody has left with the loop, if there is one. On the loop's thread, in `main`. */
void tz_loop_answer(struct tz_loop *loop);

/* Nobody runs the loop any more, and will answer: says so to who has left a question with it. */
void tz_loop_refuse_question(struct tz_loop *loop);

/* Around fork(2). */
void tz_loops_fork_prepare(void);
void tz_loops_fork_done(void);

#endif
