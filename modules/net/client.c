/* The client: connects to a listener. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "peer.h"

/* Waits until a connect that was begun has ended. */
static int wait_connected(int fd)
{
	socklen_t n = sizeof(int);
	int r = tz_wait_fd(fd, POLLOUT, tz_never()), e;

	if (r < 0)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0)
		return -errno;
	return -e;
}

/* One attempt: the socket, or a negative errno code. */
static int connect_one(const struct address *a)
{
	int fd = socket(a->at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), e;

	if (fd < 0)
		return -errno;
	for (;;) {
		e = connect(fd, &a->at.any, a->size) < 0 ? -errno : 0;
		if (e != -EAGAIN ||
		    tz_sleep(0.001) <
			    0) /* the queue of a unix listener is full, and nothing says when it is not */
			break;
	}
	if (e == -EAGAIN)
		e = tz_interrupted();
	if (e == -EINPROGRESS || e == -EINTR)
		e = wait_connected(fd);
	if (e < 0)
		(void)close(fd);
	return e < 0 ? e : fd;
}

static int connect_any(const char *address)
{
	struct address list[ADDRESSES_MAX];
	int n = address_resolve(address, list), r = n;

	for (int i = 0; i < n; i++) {
		r = connect_one(&list[i]);
		if (r >= 0 || r == -ECANCELED || tz_interrupted() != 0)
			return r;
	}
	return r;
}

int tz_net_connect(tz_connection **ret_connection, const char *address,
		   const tz_net_options *options)
{
	tz_connection *c;
	int fd = connect_any(address), e;

	if (fd < 0)
		return fd;
	e = peer_open(&c, fd, NULL, NULL);
	if (e < 0) {
		(void)close(fd);
		return e;
	}
	e = tz_net_handshake(c, TZ_HANDSHAKE_CLIENT, options);
	if (e < 0) {
		tz_connection_close(c);
		return e;
	}
	*ret_connection = c;
	return 0;
}
