/* Descriptors that travel.
 *
 *     static void greet(tz_fd to) { dprintf(to.fd, "hello\n"); }
 *     TZ_TASK(void, greet, tz_fd);
 *
 *     greet_future f = tz_submit(ex, greet, (tz_fd){ ends[1] });
 *
 * An argument of type tz_fd is a descriptor of the same open file in the receiver, under a number of its own, close-on-exec. It is the task's for the time of the call;
 * who wants to keep it takes a copy by tz_fd_take. A process that was started with one has it as long as it lives. As a result, a descriptor moves: what the
 * task returns is closed there, and who takes the result closes what arrives. A negative number travels as -1.
 *
 * The caller keeps a descriptor that is an argument open until the job is done, as it does with memory: where the address space is shared, it is the same one.
 */
#ifndef TRENZA_FD_H
#define TRENZA_FD_H

#include <trenza/descriptor.h>

TZ_BEGIN_DECLS

/* tz_fd_take - a descriptor of the same open file that stays open when the call is over.
 *
 * Ownership: the caller closes it.
 * Threads: any.
 * Errors: -EBADF: it is no descriptor; -EMFILE. */
TZ_API int tz_fd_take(tz_fd f);

TZ_END_DECLS

#endif
