/* A child by fork of the application itself: how it is started, how it dies with its parent, and how its end is learnt. */
#ifndef TZ_PROCESS_FORKED_H
#define TZ_PROCESS_FORKED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "process/child.h"

struct tz_forked {
	int life; /* a pipe's end whose closing kills the child; -1 */
	int status; /* a pipe's end that the child closes by ending, where there are no pidfds; -1 */
	_Atomic int *record; /* a shared word in which the child leaves its exit code + 1; NULL */
};

void tz_forked_init(struct tz_forked *f);
void tz_forked_done(struct tz_forked *f);

/* In a fork of the parent: the child is not ours. */
void tz_forked_forget(struct tz_forked *f);

/* Forks. `own_threads`: how many threads of the caller do not count, since they may be forked away. The child does not return. */
int tz_forked_start(struct tz_forked *f, const struct tz_child_start *start, int own_threads, pid_t *ret_pid, int *ret_pidfd);

/* Reaps it, or learns otherwise how it ended; also of a process that is not our child. false: it has not ended. */
bool tz_forked_learn_end(const struct tz_forked *f, pid_t pid, int pidfd, struct tz_child_exit *how);

#endif
