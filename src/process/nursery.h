/* The nursery: the process that alone forks and reaps the application's children; and what it says to the application. */
#ifndef TZ_PROCESS_NURSERY_H
#define TZ_PROCESS_NURSERY_H

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "process/child.h"

enum tz_notice_kind {
	TZ_NOTICE_READY = 1, /* the nursery has begun */
	TZ_NOTICE_STARTED, /* from the child itself, once it is what was asked for: pid, and its pidfd, if there can be one */
	TZ_NOTICE_FAILED, /* error; pid 0: there is no child, else its end will be told, too */
	TZ_NOTICE_ENDED /* it was reaped */
};

enum { TZ_NOTICE_MAGIC = 0x545a4e31, TZ_ORDER_MAGIC = 0x545a4f31 };

/* To the application: a message each. */
struct tz_notice {
	uint32_t magic, kind;
	uint64_t id;
	int32_t pid, error, status, reserved;
	uint64_t run_ns, cpu_ns, peak_bytes;
};

/* From the application, beside requests: send a signal to a child, where there are no pidfds. */
struct tz_order {
	uint32_t magic;
	int32_t signal;
	uint64_t id;
};

/* What a process that was taken over does; the result is for exit(). */
int tz_nursery_main(int socket, pid_t application);
int tz_nursery_spawned_main(int record);

/* Starts a nursery: *ret_socket is the application's end. 0 or a negative errno code. */
int tz_nursery_launch(int *ret_socket);

/* The birth of this process, if it is a child; else NULL. */
const struct tz_birth *tz_birth_own(void);
void tz_birth_set_own(const struct tz_birth *birth);

/* What waitid or wait4 said, in words of child.h. */
void tz_child_exit_set(struct tz_child_exit *to, int status, const struct rusage *usage);

#endif
