/* What the rest of sched wants of threads. */
#ifndef TZ_SCHED_THREAD_H
#define TZ_SCHED_THREAD_H

#include <trenza/thread.h>

/* Tells the hook of tz_on_uncaught about an end that was not good. */
void tz_report_uncaught(tz_thread *thread, const tz_outcome *outcome);

#endif
