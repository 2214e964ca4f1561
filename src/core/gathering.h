/* The gathering: one strand waits for several jobs at once. Behind wait_all, wait_any, first failure, gather and as_completed. */
#ifndef TZ_CORE_GATHERING_H
#define TZ_CORE_GATHERING_H

#include <stdbool.h>
#include <stddef.h>

#include "core/job.h"
#include "os/mutex.h"

struct tz_gathering;

/* One job of a gathering. */
struct tz_member {
	struct tz_waiter waiter;
	struct tz_gathering *gathering;
	struct tz_job *job;
	uint32_t generation;
	size_t index;
	int status; /* when it has ended */
	bool ended; /* under its lock */
	struct tz_member *next_ended; /* the queue of those that ended and were not taken */
};

struct tz_gathering {
	struct tz_mutex lock;
	struct tz_strand *strand; /* that waits, or NULL */
	struct tz_member *first, **last; /* ended, not taken, oldest first */
	size_t added, taken;
};

/* Makes an empty group, and adds one job to it: 0 or -ESTALE. A member that was taken may be added again. */
void tz_gathering_begin(struct tz_gathering *gathering);
int tz_gathering_add(struct tz_gathering *gathering, struct tz_member *member, tz_handle future, size_t index);

/* Makes a gathering of n handles; members is an array of n. -ESTALE if one handle is stale: nothing is left behind. */
int tz_gathering_init(struct tz_gathering *gathering, struct tz_member *members, const tz_handle *futures, size_t stride, size_t n);

/* Takes the next member that has ended, in order of ending. -ENOENT if all were taken; -ETIMEDOUT, -ECANCELED. */
int tz_gathering_next(struct tz_gathering *gathering, tz_deadline deadline, struct tz_member **ret);

/* Whether tz_gathering_next would not wait. */
bool tz_gathering_has_next(struct tz_gathering *gathering);

/* Leaves the jobs alone. Not for a gathering whose members are used more than once: take them all instead. After it, the memory of the gathering and its members is the caller's again. */
void tz_gathering_done(struct tz_gathering *gathering, struct tz_member *members);

#endif
