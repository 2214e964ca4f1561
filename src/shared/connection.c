/* The handle on a connection: how it is made, how it ends, and how it goes to another process. See connection_inside.h.
 *
 * Design notes. Open handles are in a register, by address, so that it can be said of any pointer whether it is one. What a task got is not freed before the
 * task is over, so that the executor can tell whether the task has closed it: `place` says who will free it.
 */
#include "shared/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/mutex.h"
#include "shared/connection_inside.h"

/* Who frees a handle. */
enum {
	PLACE_OWN, /* tz_connection_close */
	PLACE_TASK, /* tz_connection_task_over, which also closes it */
	PLACE_CLOSED /* tz_connection_task_over; the task has closed it */
};

/* --- the register ------------------------------------------------------------------------------------------------- */

enum { ROWS = 64 };

static struct tz_mutex guard; /* of the rows, and of each handle's place */
static struct tz_connection *rows[ROWS];

static void hold(void)
{
	tz_mutex_lock_unless_alone(&guard);
}

static void let_go(void)
{
	tz_mutex_unlock_if_locked(&guard);
}

__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(hold, let_go, let_go);
}

static struct tz_connection **row_of(const void *p)
{
	return &rows[(uint32_t)((uintptr_t)p >> 4) * 2654435761u >> 26];
}

/* The place where p is in the register, or where its row ends. With the guard. */
static struct tz_connection **find(const void *p)
{
	struct tz_connection **at = row_of(p);

	while (*at && *at != p)
		at = &(*at)->next;
	return at;
}

static void enrol(struct tz_connection *c)
{
	struct tz_connection **row = row_of(c);

	hold();
	c->next = *row;
	*row = c;
	let_go();
}

bool tz_connection_is(const void *p)
{
	bool is;

	hold();
	is = *find(p) != NULL;
	let_go();
	return is;
}

/* --- making ------------------------------------------------------------------------------------------------------- */

static int ways_of_socket(int fd)
{
	int kind, domain;
	socklen_t n = sizeof kind;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &n) < 0)
		return -errno;
	n = sizeof domain;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0)
		return -errno;
	if (kind != SOCK_STREAM)
		return -EINVAL;
	return WAY_IN | WAY_OUT | WAY_SOCKET | (domain == AF_UNIX ? WAY_UNIX : 0);
}

static int ways_of_pipe(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return WAY_IN;
	case O_WRONLY:
		return WAY_OUT;
	default:
		return WAY_IN | WAY_OUT;
	}
}

static int make(struct tz_connection **ret, int fd, uint32_t ways, size_t max_message)
{
	struct tz_connection *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->fd = fd;
	c->ways = ways;
	atomic_init(&c->max_message, max_message);
	enrol(c);
	*ret = c;
	return 0;
}

int tz_connection_open(tz_connection **ret_connection, int fd, const tz_connection_options *options)
{
	static const tz_connection_options all_default;
	const tz_connection_options *o = options ? options : &all_default;
	struct stat st;
	int ways, e;

	if (o->size != 0 && o->size != sizeof *o)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	ways = S_ISSOCK(st.st_mode)   ? ways_of_socket(fd)
	       : S_ISFIFO(st.st_mode) ? ways_of_pipe(fd)
				      : -EINVAL;
	if (ways < 0)
		return ways;
	ways &= ~((o->no_send ? WAY_OUT : 0) | (o->no_receive ? WAY_IN : 0));
	if (!(ways & (WAY_IN | WAY_OUT)))
		return -EINVAL;
	ways |= o->handles ? WAY_HANDLES : 0;
	e = tz_fds_set_cloexec(fd, 1);
	if (e == 0)
		e = make(ret_connection, fd, (uint32_t)ways, o->max_message);
	if (e < 0)
		return e;
	(*ret_connection)->on_close = o->on_close;
	(*ret_connection)->on_close_arg = o->on_close_arg;
	return 0;
}

/* Makes both ends, or none. */
static int make_both(struct tz_connection *ret[2], const int fds[2], const uint32_t ways[2])
{
	int e = make(&ret[0], fds[0], ways[0], 0);

	if (e < 0)
		return e;
	e = make(&ret[1], fds[1], ways[1], 0);
	if (e < 0) {
		ret[0]->fd = -1; /* the caller closes it */
		tz_connection_close(ret[0]);
	}
	return e;
}

int tz_pipe(tz_connection **ret_first, tz_connection **ret_second, tz_pipe_ways ways)
{
	uint32_t both = WAY_IN | WAY_OUT | WAY_SOCKET | WAY_UNIX | WAY_HANDLES;
	uint32_t wanted[2] = { both, both };
	struct tz_connection *ends[2];
	int fds[2], e;

	if (ways != TZ_DUPLEX && ways != TZ_ONE_WAY)
		return -EINVAL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	if (ways == TZ_ONE_WAY) {
		wanted[0] &= ~(uint32_t)WAY_OUT;
		wanted[1] &= ~(uint32_t)WAY_IN;
	}
	e = make_both(ends, fds, wanted);
	if (e < 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		return e;
	}
	*ret_first = ends[0];
	*ret_second = ends[1];
	return 0;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* Closes all but the memory. */
static void finish(struct tz_connection *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	tz_incoming_done(&c->in);
	if (c->on_close)
		c->on_close(c->on_close_arg);
	c->on_close = NULL;
}

void tz_connection_close(tz_connection *c)
{
	bool own;

	if (!c)
		return;
	hold();
	own = c->place == PLACE_OWN;
	if (own)
		*find(c) = c->next;
	else
		c->place = PLACE_CLOSED;
	let_go();
	finish(c);
	if (own)
		free(c);
}

void tz_connection_keep(tz_connection *c)
{
	hold();
	if (c->place == PLACE_TASK)
		c->place = PLACE_OWN;
	let_go();
}

void tz_connection_task_over(tz_connection *c)
{
	bool mine;

	hold();
	/* One that was kept may be closed and freed by now. */
	mine = *find(c) && c->place != PLACE_OWN;
	if (mine)
		*find(c) = c->next;
	let_go();
	if (mine) {
		finish(c);
		free(c);
	}
}

/* --- to another process ------------------------------------------------------------------------------------------- */

int tz_connection_depart(tz_connection *c, int *ret_fd, struct tz_connection_terms *ret_terms)
{
	bool ahead;

	if (c->fd < 0)
		return -EBADF;
	if (tz_lock_try(&c->receiving) < 0)
		return -EBUSY;
	ahead = c->in.begin < c->in.end || c->in.headed || c->in.ngroup > 0;
	c->exact = c->exact || !ahead;
	(void)tz_lock_release(&c->receiving);
	if (ahead)
		return -EBUSY;
	*ret_fd = c->fd;
	*ret_terms = (struct tz_connection_terms){
		.max_message = atomic_load_explicit(&c->max_message, memory_order_relaxed),
		.ways = c->ways & (WAY_IN | WAY_OUT | WAY_HANDLES),
	};
	return 0;
}

int tz_connection_arrive(tz_connection **ret_connection, int fd,
			 const struct tz_connection_terms *terms, bool task)
{
	const uint32_t known = WAY_IN | WAY_OUT | WAY_HANDLES;
	tz_connection_options o = { .max_message = (size_t)terms->max_message };
	int e;

	if (!(terms->ways & (WAY_IN | WAY_OUT)) || terms->ways & ~known || terms->reserved != 0)
		return -EPROTO;
	o.no_send = !(terms->ways & WAY_OUT);
	o.no_receive = !(terms->ways & WAY_IN);
	o.handles = (terms->ways & WAY_HANDLES) != 0;
	e = tz_connection_open(ret_connection, fd, &o);
	if (e < 0)
		return e;
	(*ret_connection)->exact = true;
	(*ret_connection)->place = task ? PLACE_TASK : PLACE_OWN;
	return 0;
}

/* --- what is known of it ------------------------------------------------------------------------------------------ */

int tz_connection_fd(const tz_connection *c)
{
	return c->fd;
}

bool tz_connection_readable(const tz_connection *c)
{
	return (c->ways & WAY_IN) != 0;
}

bool tz_connection_writable(const tz_connection *c)
{
	return (c->ways & WAY_OUT) != 0;
}

void tz_connection_set_limit(tz_connection *c, size_t max_message)
{
	atomic_store_explicit(&c->max_message, max_message, memory_order_relaxed);
}
