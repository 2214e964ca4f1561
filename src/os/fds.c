/* Descriptors. See fds.h. */
#include "os/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/sanitizer.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int) * TZ_FDS_MAX)];
};

ssize_t tz_fds_send(int socket, const void *data, size_t size, const int *fds, int n, int flags)
{
	struct iovec io = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	union control control;
	ssize_t r;

	if (n > TZ_FDS_MAX)
		return -EINVAL;
	if (n > 0) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
		memset(&control, 0, m.msg_controllen);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * (size_t)n);
	}
	do
		r = sendmsg(socket, &m, flags | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* Takes the descriptors of one control message: false if they do not fit. */
static bool take(struct cmsghdr *c, int *fds, int *have, int room)
{
	int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	bool fits = *have + n <= room;

	for (int i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + sizeof(int) * (size_t)i, sizeof fd);
		if (fits)
			fds[(*have)++] = fd;
		else
			(void)close(fd);
	}
	return fits;
}

ssize_t tz_fds_receive(int socket, void *data, size_t size, int *fds, int *n, int flags)
{
	struct iovec io = { .iov_base = data, .iov_len = size };
	union control control;
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	int have = 0;
	bool whole = true;
	ssize_t r;

	do
		r = recvmsg(socket, &m, flags | MSG_CMSG_CLOEXEC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			whole = take(c, fds, &have, *n) && whole;
	whole = whole && !(m.msg_flags & MSG_CTRUNC);
	whole = whole && !(m.msg_flags & MSG_TRUNC); /* who gets an error gets no descriptors */
	while (!whole && have > 0)
		(void)close(fds[--have]);
	*n = whole ? have : -1;
	return m.msg_flags & MSG_TRUNC ? -EMSGSIZE : r;
}

int tz_fds_set_cloexec(int fd, int on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int tz_fds_above_standard(int fd)
{
	int moved, e;

	if (fd < 0 || fd > 2)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	e = moved < 0 ? -errno : moved;
	(void)close(fd);
	return e;
}

int tz_fds_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* --- closing what is not to be inherited ---------------------------------------------------------------------- */

/* The kernel's struct linux_dirent64. */
struct entry {
	uint64_t inode;
	int64_t offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

TZ_NO_SANITIZE static int number_of(const char *name)
{
	int n = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		n = n * 10 + (*name - '0');
	return *name ? -1 : n;
}

/* Closes what one read of the directory names: whether it was any. */
TZ_NO_SANITIZE static bool close_listed(const char *buf, long size, int directory, int first, int keep, int also)
{
	bool any = false;

	for (long at = 0; at < size;) {
		const struct entry *e = (const struct entry *)(const void *)(buf + at);
		int fd = e->name[0] == '.' ? -1 : number_of(e->name);

		at += e->size;
		if (fd < first || fd == keep || fd == also || fd == directory)
			continue;
		(void)syscall(SYS_close, fd);
		any = true;
	}
	return any;
}

TZ_NO_SANITIZE static bool close_by_proc(int first, int keep, int also)
{
	_Alignas(8) char buf[2048];
	int directory = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	bool again;

	if (directory < 0)
		return false;
	do {
		long n;

		again = false;
		(void)syscall(SYS_lseek, directory, 0L, SEEK_SET);
		while ((n = syscall(SYS_getdents64, directory, buf, sizeof buf)) > 0)
			again = close_listed(buf, n, directory, first, keep, also) || again;
	} while (again);
	(void)syscall(SYS_close, directory);
	return true;
}

TZ_NO_SANITIZE static void close_one_by_one(int first, int keep, int also)
{
	struct rlimit limit;
	long last = syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0 && limit.rlim_cur < 1 << 20 ? (long)limit.rlim_cur :
													       1 << 20;

	for (long fd = first; fd < last; fd++)
		if (fd != keep && fd != also)
			(void)syscall(SYS_close, fd);
}

TZ_NO_SANITIZE static bool close_between(int64_t from, int64_t to)
{
	return from > to || syscall(SYS_close_range, (unsigned)from, (unsigned)to, 0) == 0;
}

TZ_NO_SANITIZE static bool close_ranges(int first, int keep, int also)
{
	int low = keep < also ? keep : also, high = keep < also ? also : keep;
	int64_t above_low = low < first ? first : (int64_t)low + 1, above_high = high < first ? first : (int64_t)high + 1;

	return close_between(first, (int64_t)low - 1) && close_between(above_low, (int64_t)high - 1) && close_between(above_high, ~0U);
}

TZ_NO_SANITIZE void tz_fds_close_from(int first, int keep, int also)
{
	if (!close_ranges(first, keep, also) && !close_by_proc(first, keep, also))
		close_one_by_one(first, keep, also);
}

/* --- placing ---------------------------------------------------------------------------------------------------- */

static bool among(int fd, const int *fds, int n)
{
	for (int i = 0; i < n; i++)
		if (fds[i] == fd)
			return true;
	return false;
}

/* Moves *fd to a number, not a standard one, that is not in the list: the lowest there is, since those above the list may be above the limit. */
static int move_out(int *fd, const int *list, int n)
{
	int moved = 2;

	do {
		int next = fcntl(*fd, F_DUPFD_CLOEXEC, moved + 1);

		if (moved > 2)
			(void)close(moved);
		moved = next;
	} while (moved >= 0 && among(moved, list, n));
	if (moved < 0)
		return errno == EINVAL ? -EMFILE : -errno; /* the list goes up to the limit */
	(void)close(*fd);
	*fd = moved;
	return 0;
}

int tz_fds_place(int *from, const int *to, int n, int **others, int nothers)
{
	int e = 0;

	for (int i = 0; i < n && e == 0; i++)
		if (from[i] != to[i] && among(from[i], to, n))
			e = move_out(&from[i], to, n);
	for (int i = 0; i < nothers && e == 0; i++)
		if (*others[i] >= 0 && among(*others[i], to, n))
			e = move_out(others[i], to, n);
	for (int i = 0; i < n && e == 0; i++) {
		if (from[i] == to[i]) {
			e = tz_fds_set_cloexec(from[i], 0);
			continue;
		}
		e = dup2(from[i], to[i]) < 0 ? -errno : 0;
		(void)close(from[i]);
	}
	return e;
}
