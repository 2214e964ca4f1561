/* A process that is stopped after every machine instruction: to kill it there, or to do something else meanwhile. */
#ifndef TRENZA_TESTS_STEPS_H
#define TRENZA_TESTS_STEPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct steps {
	void (*prepare)(void); /* in the new process, before its first step */
	void (*run)(void); /* what is run step by step; _exit() in it is a failure of the test */
	pid_t pid;
	/* By steps_record: */
	int n; /* how many steps it has to its end, or to where it falls asleep */
	bool sleeps; /* and which of the two */
	uint64_t *where; /* n + 1 program counters */
	int lost; /* runs that took another way */
};

/* Whether this machine lets us. */
bool steps_are_possible(void);

/* Starts the process, and stops it where `run` begins. */
void steps_begin(struct steps *s);

/* Notes all steps of a process that has begun. It has come to its end then, or sleeps in a system call. */
void steps_record(struct steps *s);
void steps_forget(struct steps *s);

/* Lets a process that has begun go on to where it is after k of the steps that were recorded. False if it took another way: it is gone. */
bool steps_go(struct steps *s, int k);

enum step { STEP_DONE, STEP_ASLEEP, STEP_OVER };

/* One instruction more. STEP_ASLEEP: it is a system call in which the process sleeps; somebody should wake it, and the next step waits for the end of this one.
 * STEP_OVER: `run` has come to its end, and the process is gone. */
enum step steps_next(struct steps *s);

/* Kills it where it is. */
void steps_kill(struct steps *s);

/* Lets it run to its end. Fails the test if that takes a minute. */
void steps_finish(struct steps *s);

#endif
