/* The callbacks of a job that has ended. */
#ifndef TZ_CORE_CALLBACK_H
#define TZ_CORE_CALLBACK_H

struct tz_job;
struct tz_waiter;

/* Has a list of callbacks called, the oldest first, and then those that are added meanwhile. Takes the list, and over the reference that
 * it holds. */
void tz_callbacks_begin(struct tz_job *job, struct tz_waiter *list);

#endif
