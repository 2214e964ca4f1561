/* Waiting for several things at a time: connections, sentinels, any descriptors.
 *
 * Design notes. A connection is ready when a whole message is there, so what has come is taken in before each wait; then the descriptors are watched by an epoll
 * descriptor, which is what the strand waits for: that is the same on a thread and in a coroutine. It is level-triggered, and a connection that was looked at has
 * nothing left to be read, so the wait ends when there is something new.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <trenza/connection.h>
#include <trenza/loop.h>

enum { FEW = 16 };

struct watch {
	const tz_ready *things;
	struct pollfd *polled; /* one for each thing */
	struct pollfd few[FEW];
	size_t n;
	int epoll; /* -1: not made yet */
};

static int begin(struct watch *w, const tz_ready *things, size_t n)
{
	w->things = things;
	w->n = n;
	w->epoll = -1;
	w->polled = w->few;
	if (n > FEW)
		w->polled = calloc(n, sizeof *w->polled);
	if (!w->polled)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const tz_ready *t = &things[i];

		w->polled[i].fd = t->connection ? tz_connection_fd(t->connection) : t->fd;
		w->polled[i].events = t->connection || !t->events ? POLLIN : t->events;
		if (w->polled[i].fd < 0)
			return -EBADF;
	}
	return 0;
}

static void end(struct watch *w)
{
	if (w->epoll >= 0)
		(void)close(w->epoll);
	if (w->polled != w->few)
		free(w->polled);
}

/* How many are ready now; `revents` says which. */
static int look(struct watch *w)
{
	int ready = 0, n;

	do
		n = poll(w->polled, (nfds_t)w->n, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (size_t i = 0; i < w->n; i++) {
		struct pollfd *p = &w->polled[i];

		if (p->revents & POLLNVAL)
			return -EBADF;
		if (w->things[i].connection) {
			n = tz_connection_poll(w->things[i].connection);
			if (n < 0)
				return n;
			p->revents = n > 0 ? POLLIN : 0;
		}
		ready += p->revents != 0;
	}
	return ready;
}

/* All events that are waited for on the descriptor of thing i, among the first ones up to it: two things may have the same. */
static uint32_t events_of(const struct watch *w, size_t i)
{
	uint32_t events = 0;

	for (size_t k = 0; k <= i; k++)
		if (w->polled[k].fd == w->polled[i].fd)
			events |= (uint32_t)(unsigned short)w->polled[k].events;
	return events; /* EPOLLIN is POLLIN, and so on */
}

static int watch_all(struct watch *w)
{
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll < 0)
		return -errno;
	for (size_t i = 0; i < w->n; i++) {
		struct epoll_event e = { .events = (uint32_t)(unsigned short)w->polled[i].events };

		if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->polled[i].fd, &e) == 0)
			continue;
		e.events = events_of(w, i);
		if (errno != EEXIST || epoll_ctl(w->epoll, EPOLL_CTL_MOD, w->polled[i].fd, &e) < 0)
			return -errno;
	}
	return 0;
}

static int wait_more(struct watch *w, tz_deadline deadline)
{
	int e;

	if (w->n == 1)
		return tz_wait_fd(w->polled[0].fd, w->polled[0].events, deadline);
	if (w->epoll < 0) {
		e = watch_all(w);
		if (e < 0)
			return e;
	}
	return tz_wait_fd(w->epoll, POLLIN, deadline);
}

int tz_wait_ready(tz_ready *things, size_t n, tz_deadline deadline)
{
	struct watch w = { .n = 0 };
	int r = n == 0 ? -EINVAL : begin(&w, things, n);

	while (r >= 0) {
		r = look(&w);
		if (r != 0)
			break;
		r = wait_more(&w, deadline);
	}
	for (size_t i = 0; r > 0 && i < n; i++)
		things[i].ready = w.polled[i].revents != 0;
	if (n > 0)
		end(&w);
	return r;
}
