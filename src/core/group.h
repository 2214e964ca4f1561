/* The group: one strand waits for several jobs at once. Behind wait_all, wait_any, first failure, gather and as_completed. */
#ifndef TZ_CORE_GROUP_H
#define TZ_CORE_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "core/job.h"
#include "os/mutex.h"

struct tz_group;

/* One job of a group. */
struct tz_member {
	struct tz_waiter waiter;
	struct tz_group *group;
	struct tz_job *job;
	uint32_t generation;
	size_t index;
	int status; /* when it has ended */
	bool ended; /* under the group's lock */
	struct tz_member *next_ended; /* the queue of those that ended and were not taken */
};

struct tz_group {
	struct tz_mutex lock;
	struct tz_strand *strand; /* that waits, or NULL */
	struct tz_member *first, **last; /* ended, not taken, oldest first */
	size_t added, taken;
};

/* Makes an empty group, and adds one job to it: 0 or -ESTALE. A member that was taken may be added again. */
void tz_group_begin(struct tz_group *group);
int tz_group_add(struct tz_group *group, struct tz_member *member, tz_handle future, size_t index);

/* Makes a group of n handles; members is an array of n. -ESTALE if one handle is stale: nothing is left behind. */
int tz_group_init(struct tz_group *group, struct tz_member *members, const tz_handle *futures, size_t stride, size_t n);

/* Takes the next member that has ended, in order of ending. -ENOENT if all were taken; -ETIMEDOUT, -ECANCELED. */
int tz_group_next(struct tz_group *group, tz_deadline deadline, struct tz_member **ret);

/* Whether tz_group_next would not wait. */
bool tz_group_has_next(struct tz_group *group);

/* Leaves the jobs alone. Not for a group whose members are used more than once: take them all instead. After it, the memory of the group and its members is the caller's again. */
void tz_group_done(struct tz_group *group, struct tz_member *members);

#endif
