/* Files without a name. See memfd.h. */
#include "os/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int unlinked(const char *directory)
{
	char path[4096];
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd >= 0)
		return fd;
	if ((size_t)snprintf(path, sizeof path, "%s/trenza-XXXXXX", directory) >= sizeof path)
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	(void)unlink(path);
	return fd;
}

int tz_memfd(const char *name)
{
	const char *tmp = secure_getenv("TMPDIR");
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), e = fd < 0 ? -errno : fd;

	if (e == -EMFILE || e == -ENFILE || e >= 0)
		return e;
	e = unlinked("/dev/shm");
	if (e < 0 && tmp && *tmp)
		e = unlinked(tmp);
	return e < 0 ? unlinked("/tmp") : e;
}
