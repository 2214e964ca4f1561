/* Sending messages. See connection_inside.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <trenza/loop.h>

#include "shared/connection_inside.h"

/* What goes out at once, head included, so that a message that fits does not mix with those of other processes: what the kernel takes as one piece at
 * least. Messages with descriptors need a copy for that. */
enum { ONE_PIECE = 32768 };

static void put(unsigned char *to, uint64_t value, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--, value >>= 8)
		to[i] = (unsigned char)value;
}

/* Writes the head of a message: how many bytes. */
static size_t write_head(unsigned char *to, uint64_t size, unsigned nfds)
{
	if (nfds > 0) {
		put(to, (uint64_t)FRAME_FDS, 4);
		put(to + 4, nfds, 4);
		put(to + 8, size, 8);
		return HEAD_FDS;
	}
	if (size <= INT32_MAX) {
		put(to, size, 4);
		return HEAD_SHORT;
	}
	put(to, (uint64_t)FRAME_LONG, 4);
	put(to + 4, size, 8);
	return HEAD_LONG;
}

/* --- one attempt -------------------------------------------------------------------------------------------------- */

/* writev(2) to a pipe without the signal: blocked meanwhile, and taken away if it is ours. */
static ssize_t write_quietly(int fd, const struct iovec *io, int n)
{
	static const struct timespec at_once;
	sigset_t sigpipe, before, pending;
	bool was_pending;
	ssize_t r;

	(void)sigemptyset(&sigpipe);
	(void)sigaddset(&sigpipe, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
	(void)sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE) == 1;
	r = writev(fd, io, n);
	r = r < 0 ? -errno : r;
	if (r == -EPIPE && !was_pending)
		(void)sigtimedwait(&sigpipe, NULL, &at_once);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static ssize_t send_quietly(int fd, struct iovec *io, int n)
{
	struct msghdr m = { .msg_iov = io, .msg_iovlen = (size_t)n };
	ssize_t r = n == 1 ? send(fd, io->iov_base, io->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
			   : sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

	return r < 0 ? -errno : r;
}

/* What the failure of a send means to the caller. */
static ssize_t meaning(ssize_t r)
{
	return r == -ECONNRESET || r == -ETIMEDOUT ? -EPIPE : r;
}

/* Sends a part of what is left, and waits until that is possible: how much, or a negative errno code. */
static ssize_t send_some(const struct tz_connection *c, struct iovec *io, int n)
{
	for (;;) {
		ssize_t r = c->ways & WAY_SOCKET ? send_quietly(c->fd, io, n)
						 : write_quietly(c->fd, io, n);

		if (r == -EAGAIN) {
			r = tz_wait_fd(c->fd, POLLOUT, tz_never());
			if (r < 0)
				return r;
		} else if (r != -EINTR) {
			return meaning(r);
		}
	}
}

/* --- the whole message -------------------------------------------------------------------------------------------- */

/* A part of a message is out and the rest will not follow: so nothing else can, and the peer is to know. */
static void cut_off(struct tz_connection *c)
{
	int null;

	c->cut = true;
	if (c->ways & WAY_SOCKET) {
		(void)shutdown(c->fd, SHUT_WR);
		return;
	}
	null = tz_fds_null();
	if (null >= 0) {
		(void)dup3(null, c->fd, O_CLOEXEC);
		(void)close(null);
	}
}

/* Takes `sent` bytes, and what is empty then, off the front: how many parts are left. */
static int take_off(struct iovec **io, int n, size_t sent)
{
	for (; n > 0 && sent >= (*io)->iov_len; n--)
		sent -= (*io)++->iov_len;
	if (n > 0) {
		(*io)->iov_base = (char *)(*io)->iov_base + sent;
		(*io)->iov_len -= sent;
	}
	return n;
}

/* Sends all of it; `begun`: a part of the message is out already. With the lock. */
static int send_all(struct tz_connection *c, struct iovec *io, int n, bool begun)
{
	n = take_off(&io, n, 0);
	while (n > 0) {
		ssize_t r = send_some(c, io, n);

		if (r < 0) {
			if (begun)
				cut_off(c);
			return (int)r;
		}
		begun = begun || r > 0;
		n = take_off(&io, n, (size_t)r);
	}
	return 0;
}

static int send_plain(struct tz_connection *c, const void *data, size_t size)
{
	unsigned char small[512];
	size_t head = write_head(small, size, 0);
	struct iovec io[2] = { { small, head }, { (void *)(uintptr_t)data, size } };

	if (size > sizeof small - head)
		return send_all(c, io, 2, false);
	if (size > 0)
		memcpy(small + head, data, size);
	io[0].iov_len += size;
	return send_all(c, io, 1, false);
}

/* Sends the first part of a message, with descriptors: how much, or a negative errno code. */
static ssize_t send_first(struct tz_connection *c, const void *data, size_t size, const int *fds,
			  int n)
{
	for (;;) {
		ssize_t r = tz_fds_send(c->fd, data, size, fds, n, MSG_DONTWAIT);

		if (r != -EAGAIN)
			return meaning(r);
		r = tz_wait_fd(c->fd, POLLOUT, tz_never());
		if (r < 0)
			return r;
	}
}

static int send_with_fds(struct tz_connection *c, const void *data, size_t size, const int *fds,
			 int n)
{
	size_t first = size < ONE_PIECE - HEAD_FDS ? size : ONE_PIECE - HEAD_FDS, head;
	unsigned char *piece = malloc(HEAD_FDS + first);
	ssize_t r;

	if (!piece)
		return -ENOMEM;
	head = write_head(piece, size, (unsigned)n);
	if (first > 0)
		memcpy(piece + head, data, first);
	r = send_first(c, piece, head + first, fds, n);
	if (r >= 0) {
		/* Without bytes, data may be NULL. */
		char *rest = first < size ? (char *)(uintptr_t)data + first : (char *)piece;
		struct iovec io[2] = { { piece + r, head + first - (size_t)r }, { rest, size - first } };

		r = send_all(c, io, 2, true);
	}
	free(piece);
	return (int)r;
}

/* --- the calls ---------------------------------------------------------------------------------------------------- */

/* Whether it can send; then the lock is held. */
static int begin(struct tz_connection *c)
{
	int e;

	if (!(c->ways & WAY_OUT))
		return -EBADF;
	e = tz_lock_acquire_until(&c->sending, tz_never());
	if (e < 0 || !c->cut)
		return e;
	(void)tz_lock_release(&c->sending);
	return -EPIPE;
}

int tz_send_bytes(tz_connection *c, const void *data, size_t size)
{
	int e = begin(c);

	if (e < 0)
		return e;
	e = send_plain(c, data, size);
	(void)tz_lock_release(&c->sending);
	return e;
}

int tz_send_fds(tz_connection *c, const void *data, size_t size, const int *fds, int n)
{
	int e;

	if (n < 0 || n > TZ_FDS_IN_MESSAGE)
		return -EINVAL;
	if (n == 0)
		return tz_send_bytes(c, data, size);
	if (!(c->ways & WAY_UNIX))
		return -EOPNOTSUPP;
	e = begin(c);
	if (e < 0)
		return e;
	e = send_with_fds(c, data, size, fds, n);
	(void)tz_lock_release(&c->sending);
	return e;
}
