/* Handles on processes. */
#ifndef TZ_OS_PIDFD_H
#define TZ_OS_PIDFD_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/* A descriptor that stands for a process, close-on-exec; readable once it has ended. Or a negative errno code: -ENOSYS, or -EPERM under a filter, where the
 * kernel has none to give. */
int tz_pidfd_open(pid_t pid);

/* 0 or a negative errno code: -ESRCH once it was reaped. Async-signal-safe. */
int tz_pidfd_signal(int pidfd, int signal);

/* Reaps a child of the caller that has ended: 0; -EAGAIN while it runs, -ECHILD if somebody else has reaped it. *status is as that of waitpid(2). */
int tz_pidfd_reap(int pidfd, int *ret_status, struct rusage *ret_usage);

/* The status of a process that somebody else has reaped: 0, or a negative errno code where the kernel (before 6.15) cannot say. */
int tz_pidfd_last_status(int pidfd, int *ret_status);

#endif
