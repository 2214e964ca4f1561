/* Descriptors: sending them, and seeing to it that a child gets those that it is to have. */
#ifndef TZ_OS_FDS_H
#define TZ_OS_FDS_H

#include <stddef.h>
#include <sys/types.h>

enum { TZ_FDS_MAX = 253 }; /* of one message: the kernel's SCM_MAX_FD */

/* Sends one message, with n descriptors, over a unix socket: the number of bytes, or a negative errno code. Does not raise SIGPIPE. Async-signal-safe. */
ssize_t tz_fds_send(int socket, const void *data, size_t size, const int *fds, int n, int flags);

/* Receives one message. fds takes *n descriptors, close-on-exec, and *n becomes their number; -1 if there were more of them than could be had: then none
 * is kept. The number of bytes, 0 at the end, or a negative errno code. */
ssize_t tz_fds_receive(int socket, void *data, size_t size, int *fds, int *n, int flags);

/* Closes all descriptors from `first` on, but `keep` and `also` (-1: none). Uses neither memory nor locks: legal in a child that shares its parent's memory. */
void tz_fds_close_from(int first, int keep, int also);

int tz_fds_set_cloexec(int fd, int on);

/* Moves a descriptor out of the place of the standard ones, which an application may have closed: its new number, or a negative errno code, and then it is closed. A
 * negative fd stays what it is. */
int tz_fds_above_standard(int fd);

/* /dev/null, for both ways, close-on-exec: a descriptor or a negative errno code. */
int tz_fds_null(void);

/* Moves descriptors: from[i] becomes to[i], which stays open over an exec, for n of them. All `from` are different, and so are all `to`. Where one of the
 * nothers descriptors *others[i] (-1: none) is in the way, it gets another number. 0 or a negative errno code. */
int tz_fds_place(int *from, const int *to, int n, int **others, int nothers);

#endif
