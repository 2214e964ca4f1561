/* The listener: lets in who proves to have the key.
 *
 * Design notes
 *
 * tz_listener_accept waits for new peers and for those whose handshake is under way at once, so a slow one keeps nobody waiting. What is under way stays when the
 * call ends, and goes on with the next one. One strand at a time does that, under `lock`; the others wait for it.
 *
 * How many connections are open is counted in a piece of memory of its own, which the last of listener and connections frees.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "peer.h"

struct census {
	_Atomic unsigned open; /* connections */
	_Atomic unsigned users; /* these, and the listener */
};

struct tz_listener {
	int fd;
	struct terms terms;
	char address[ADDRESS_TEXT_MAX];
	dev_t device; /* of the file of a unix socket */
	ino_t inode;
	bool has_file;
	tz_lock lock; /* of what follows */
	struct peer *pending; /* room for terms.o.max_pending, oldest first */
	tz_ready *things; /* the listening socket, and one for each of them */
	unsigned npending;
	struct census *census;
	_Atomic size_t refused;
	_Atomic int last_refusal;
};

/* --- opening and closing ------------------------------------------------------------------------------------------ */

static int listen_at(const struct address *a, int backlog)
{
	int fd = socket(a->at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    yes = 1, e = 0;

	if (fd < 0)
		return -errno;
	if (a->at.any.sa_family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(fd, &a->at.any, a->size) < 0 || listen(fd, backlog) < 0) {
		e = -errno;
		(void)close(fd);
	}
	return e < 0 ? e : fd;
}

/* What there is to know of the socket once it is bound. */
static int describe(struct tz_listener *l)
{
	struct address a = { .size = sizeof a.at };
	struct stat st;

	if (getsockname(l->fd, &a.at.any, &a.size) < 0)
		return -errno;
	address_text(&a, l->address);
	l->has_file =
		a.at.any.sa_family == AF_UNIX && l->address[0] != '@' && stat(l->address, &st) == 0;
	if (l->has_file) {
		l->device = st.st_dev;
		l->inode = st.st_ino;
	}
	return 0;
}

static int set_up(struct tz_listener *l, const char *address, const tz_net_options *options)
{
	struct address list[ADDRESSES_MAX];
	int e = terms_take(&l->terms, options), n;

	if (e < 0)
		return e;
	l->pending = calloc(l->terms.o.max_pending, sizeof *l->pending);
	l->things = calloc((size_t)l->terms.o.max_pending + 1, sizeof *l->things);
	l->census = calloc(1, sizeof *l->census);
	if (!l->pending || !l->things || !l->census)
		return -ENOMEM;
	atomic_init(&l->census->users, 1);
	n = address_resolve(address, list);
	e = n;
	for (int i = 0; i < n; i++) {
		e = listen_at(&list[i], l->terms.o.backlog);
		if (e >= 0)
			break;
	}
	if (e < 0)
		return e;
	l->fd = e;
	return describe(l);
}

int tz_listener_open(tz_listener **ret_listener, const char *address, const tz_net_options *options)
{
	struct tz_listener *l = calloc(1, sizeof *l);
	int e;

	if (!l)
		return -ENOMEM;
	l->fd = -1;
	e = set_up(l, address, options);
	if (e < 0) {
		tz_listener_close(l);
		return e;
	}
	*ret_listener = l;
	return 0;
}

static void leave(struct census *c)
{
	if (atomic_fetch_sub(&c->users, 1) == 1)
		free(c);
}

/* A connection is closed. */
static void departed(void *arg)
{
	struct census *c = arg;

	atomic_fetch_sub(&c->open, 1);
	leave(c);
}

/* Removes the file that this listener has made, not one that came after it. */
static void remove_file(const struct tz_listener *l)
{
	struct stat st;

	if (l->has_file && stat(l->address, &st) == 0 && st.st_dev == l->device &&
	    st.st_ino == l->inode)
		(void)unlink(l->address);
}

void tz_listener_close(tz_listener *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < l->npending; i++) {
		peer_end(&l->pending[i]);
		tz_connection_close(l->pending[i].connection);
	}
	remove_file(l);
	if (l->fd >= 0)
		(void)close(l->fd);
	terms_done(&l->terms);
	if (l->census)
		leave(l->census);
	free(l->pending);
	free(l->things);
	free(l);
}

/* --- accepting ---------------------------------------------------------------------------------------------------- */

static void refuse(struct tz_listener *l, tz_connection *c, int why)
{
	tz_connection_close(c);
	atomic_store(&l->last_refusal, why);
	atomic_fetch_add(&l->refused, 1);
}

/* Takes number i out of those that are under way. */
static tz_connection *take_out(struct tz_listener *l, unsigned i)
{
	tz_connection *c = l->pending[i].connection;

	peer_end(&l->pending[i]);
	l->npending--;
	memmove(&l->pending[i], &l->pending[i + 1], (l->npending - i) * sizeof *l->pending);
	return c;
}

/* A peer's handshake has come to an end: the connection if it is good, else NULL. */
static tz_connection *settle(struct tz_listener *l, unsigned i, int r)
{
	tz_connection *c = take_out(l, i);

	if (r < 0) {
		refuse(l, c, r);
		return NULL;
	}
	tz_connection_set_limit(c, l->terms.o.max_message);
	return c;
}

/* A new peer: the connection if there is nothing to prove, else NULL. */
static tz_connection *begin(struct tz_listener *l, tz_connection *c)
{
	int r;

	if (l->npending == l->terms.o.max_pending)
		(void)settle(l, 0, -EUSERS);
	r = peer_begin(&l->pending[l->npending++], c, TZ_HANDSHAKE_LISTENER, &l->terms);
	return r == 0 ? NULL : settle(l, l->npending - 1, r);
}

/* Whether a failure of accept(2) is about the one peer only. */
static bool is_of_the_peer(int e)
{
	return e == EINTR || e == ECONNABORTED || e == EPROTO || e == ENETDOWN ||
	       e == ENOPROTOOPT || e == EHOSTDOWN || e == ENONET || e == EHOSTUNREACH ||
	       e == EOPNOTSUPP || e == ENETUNREACH;
}

/* Takes one that the system has ready: 1, 0 if there is none, or a negative errno code. */
static int take_in(struct tz_listener *l, tz_connection **ret)
{
	tz_connection *c;
	int fd, e;

	do
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	while (fd < 0 && is_of_the_peer(errno));
	if (fd < 0)
		return errno == EAGAIN ? 0 : -errno;
	atomic_fetch_add(&l->census->users, 1);
	atomic_fetch_add(&l->census->open, 1);
	e = peer_open(&c, fd, departed, l->census);
	if (e < 0) {
		(void)close(fd);
		departed(l->census);
		return e;
	}
	if (atomic_load(&l->census->open) > l->terms.o.max_connections)
		refuse(l, c, -EUSERS);
	else
		*ret = begin(l, c);
	return 1;
}

/* Goes on with those under way that are ready, or late. */
static tz_connection *advance(struct tz_listener *l)
{
	for (unsigned i = 0; i < l->npending;) {
		int r = peer_step(&l->pending[i]);

		if (r == 0 && tz_expired(l->pending[i].deadline))
			r = -ETIME;
		if (r == 0) {
			i++;
			continue;
		}
		tz_connection *c = settle(l, i, r);

		if (c)
			return c;
	}
	return NULL;
}

static int wait_more(struct tz_listener *l)
{
	tz_deadline next = tz_never();
	int r;

	l->things[0] = (tz_ready){ .fd = l->fd };
	for (unsigned i = 0; i < l->npending; i++) {
		l->things[i + 1] = (tz_ready){ .connection = l->pending[i].connection };
		next = tz_deadline_min(next, l->pending[i].deadline);
	}
	r = tz_wait_ready(l->things, l->npending + 1, next);
	if (r == -ETIMEDOUT && tz_interrupted() == 0)
		return 0; /* somebody is late */
	return r < 0 ? r : 0;
}

int tz_listener_accept(tz_listener *l, tz_connection **ret_connection)
{
	tz_connection *c = NULL;
	int e = tz_lock_acquire_until(&l->lock, tz_never());

	if (e < 0)
		return e;
	for (;;) {
		c = advance(l);
		if (c)
			break;
		e = take_in(l, &c);
		if (c || e < 0)
			break;
		if (e == 0)
			e = wait_more(l);
		if (e < 0)
			break;
	}
	(void)tz_lock_release(&l->lock);
	if (!c)
		return e;
	*ret_connection = c;
	return 0;
}

const char *tz_listener_address(const tz_listener *l)
{
	return l->address;
}

size_t tz_listener_refused(const tz_listener *l, int *ret_last)
{
	if (ret_last)
		*ret_last = atomic_load(&l->last_refusal);
	return atomic_load(&l->refused);
}
