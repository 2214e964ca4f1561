/* The timer service: calls functions of the library at points in time, on one thread for all of them.
 *
 * The functions run on the service's thread, one after the other, in the order of their deadlines (equal ones in the order in
 * which they were added), and never early. They must be quick and never wait: users' code is handed on to somebody else
 * (timer_call.c does). Adding allocates nothing.
 *
 * The thread is started by the first add, ends when there was nothing to do for some seconds, and uses no processor
 * while it waits. All signals are blocked on it. In a fork child no timer is set.
 */
#ifndef TZ_SCHED_TIMER_H
#define TZ_SCHED_TIMER_H

#include <stdbool.h>
#include <stdint.h>

/* Embed it; all-zero is one that is not set. The fields are the service's. */
struct tz_timer_entry {
	uint64_t deadline_ns; /* on CLOCK_MONOTONIC */
	uint64_t order; /* between equal deadlines */
	void (*fn)(struct tz_timer_entry *entry);
	struct tz_timer_entry *child, *next,
		*prev; /* prev: the elder sibling, or the parent of the eldest */
	bool set;
};

enum tz_timer_removed {
	TZ_TIMER_REMOVED, /* it was set, and its function will not be called */
	TZ_TIMER_RUNNING, /* its function is being called now */
	TZ_TIMER_IDLE /* neither */
};

/* Sets the entry to call fn(entry) at deadline_ns; moves it if it is set already. fn may set it again, and may free it.
 * 0, or a negative errno code if the service's thread could not be started (nothing is set then). */
int tz_timer_add(struct tz_timer_entry *entry, uint64_t deadline_ns,
		 void (*fn)(struct tz_timer_entry *entry));

/* Takes the entry back, once. After TZ_TIMER_RUNNING it may be set again by its own function; after TZ_TIMER_REMOVED its
 * function may still be running if it was set again meanwhile. */
enum tz_timer_removed tz_timer_remove(struct tz_timer_entry *entry);

/* As tz_timer_remove, and waits out a call that is running, unless it comes from that very call. The entry's memory may
 * be freed afterwards if its function does not set it again. */
enum tz_timer_removed tz_timer_remove_wait(struct tz_timer_entry *entry);

#endif
