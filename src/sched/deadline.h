/* Deadlines of jobs that have not begun. */
#ifndef TZ_SCHED_DEADLINE_H
#define TZ_SCHED_DEADLINE_H

/* Connects the core with the timer service; called when an executor is opened. */
void tz_deadlines_connect(void);

#endif
