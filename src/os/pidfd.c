/* Handles on processes. See pidfd.h. */
#include "os/pidfd.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

int tz_pidfd_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int tz_pidfd_signal(int pidfd, int signal)
{
	int saved = errno, e = syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;

	errno = saved;
	return e;
}

static int status_of(const siginfo_t *info)
{
	switch (info->si_code) {
	case CLD_EXITED:
		return (info->si_status & 0xff) << 8;
	case CLD_DUMPED:
		return info->si_status | 0x80;
	default:
		return info->si_status;
	}
}

/* The system call, which tells of the usage, too. */
int tz_pidfd_reap(int pidfd, int *ret_status, struct rusage *ret_usage)
{
	enum { BY_PIDFD = 3 }; /* P_PIDFD */
	siginfo_t info;

	memset(&info, 0, sizeof info);
	if (syscall(SYS_waitid, BY_PIDFD, pidfd, &info, WEXITED | WNOHANG | __WALL, ret_usage) < 0)
		return -errno;
	if (info.si_pid == 0)
		return -EAGAIN;
	*ret_status = status_of(&info);
	return 0;
}

int tz_pidfd_last_status(int pidfd, int *ret_status)
{
	/* The kernel's struct pidfd_info of its first size. */
	struct {
		uint64_t mask, cgroup;
		uint32_t ids[11];
		int32_t exit_code;
	} info = { .mask = 8 /* PIDFD_INFO_EXIT */ };

	if (ioctl(pidfd, _IOWR(0xff, 11, info), &info) < 0)
		return -errno;
	if (!(info.mask & 8))
		return -EAGAIN;
	*ret_status = info.exit_code;
	return 0;
}
