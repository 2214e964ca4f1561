/* Descriptors that travel. See trenza/fd.h; how they do: shared/giver.c. */
#include <trenza/fd.h>

#include <errno.h>
#include <fcntl.h>

int tz_fd_take(tz_fd f)
{
	int fd = fcntl(f.fd, F_DUPFD_CLOEXEC, 3);

	return fd < 0 ? -errno : fd;
}
