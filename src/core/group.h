/* Groups, as submitting sees them. */
#ifndef TZ_CORE_GROUP_H
#define TZ_CORE_GROUP_H

#include <trenza/group.h>

struct tz_job;

/* Has the group hear when a job that its scope owns, and that has not been handed over yet, ends: 0 or -ENOMEM. */
int tz_group_watch(struct tz_group *group, struct tz_job *job);

#endif
