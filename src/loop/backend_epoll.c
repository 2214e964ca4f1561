/* The backend `epoll`.
 *
 * Design notes
 *
 * A table by descriptor has the watches that wait for it. The kernel is told the sum of their
 * events, EPOLLONESHOT: so a descriptor that nobody waits for costs nothing. Each arm tells it
 * anew. That is what keeps us right when a descriptor was closed, and its number used again, behind
 * our back: EPOLL_CTL_MOD then fails with ENOENT, and we add it. The other way round, EPOLL_CTL_ADD
 * fails with EEXIST. An error that shows that the descriptor is gone is told to whoever waits for
 * it: nobody hangs, nothing aborts.
 *
 * `generation` goes up with each EPOLL_CTL_ADD and travels with the event. A descriptor that was
 * closed while a duplicate lives keeps its old registration in the kernel, whose events would be
 * taken for the new one's.
 *
 * wake() writes to an eventfd that is registered edge-triggered: each write is an event, and nobody
 * has to read it. `rung` is set by the first waker and cleared by the poll that got the event. A
 * waker that finds it set leaves: its exchange comes before the one that clears it, which therefore
 * sees all that the waker did before.
 *
 * Time. epoll_pwait2 (Linux 5.11) takes nanoseconds. Where it is missing or forbidden, ppoll on the
 * epoll descriptor does, and an epoll_wait that does not block follows.
 *
 * Fork. The child shares the epoll descriptor with its parent, and must not change what is
 * registered there: close only closes.
 */
#include "loop/backend.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "loop/watches.h"
#include "os/clock.h"

_Static_assert(EPOLLIN == POLLIN && EPOLLPRI == POLLPRI && EPOLLOUT == POLLOUT &&
		       EPOLLERR == POLLERR && EPOLLHUP == POLLHUP && EPOLLRDHUP == POLLRDHUP &&
		       EPOLLRDNORM == POLLRDNORM && EPOLLWRNORM == POLLWRNORM,
	       "the bits are the same");

enum { EVENTS = 128 }; /* taken at once */
enum { NOT_ARMED, WAITING, RIPE, CALLED }; /* tz_watch.list */
enum {
	ALWAYS = POLLERR | POLLHUP | POLLNVAL,
	FILE_EVENTS = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM
};

static const uint64_t WAKE_KEY = UINT64_MAX;

struct slot {
	struct tz_watch *waiting;
	uint32_t generation;
	bool known; /* the kernel had it when we last looked */
};

struct epoll {
	struct tz_backend base;
	struct slot *slots; /* by descriptor */
	size_t nslots;
	struct tz_watch *ripe; /* `ready` is to be called */
	struct tz_watch *called; /* by the poll that is under way */
	int fd, wake_fd;
	bool pwait2;
	_Atomic bool rung;
};

static struct epoll *self(struct tz_backend *b)
{
	return (struct epoll *)b;
}

/* --- watches ----------------------------------------------------------------------------------- */

static int make_room(struct epoll *e, size_t fd)
{
	size_t n = e->nslots ? e->nslots : 64;
	struct slot *more;

	if (fd < e->nslots)
		return 0;
	while (n <= fd)
		n *= 2;
	more = realloc(e->slots, n * sizeof *more);
	if (!more)
		return -ENOMEM;
	memset(more + e->nslots, 0, (n - e->nslots) * sizeof *more);
	e->slots = more;
	e->nslots = n;
	return 0;
}

static struct tz_watch **list_of(struct epoll *e, const struct tz_watch *w)
{
	switch (w->list) {
	case WAITING:
		return &e->slots[w->fd].waiting;
	case RIPE:
		return &e->ripe;
	default:
		return &e->called;
	}
}

static void move(struct epoll *e, struct tz_watch *w, uint32_t list)
{
	if (w->list != NOT_ARMED)
		tz_watches_remove(list_of(e, w), w);
	w->list = list;
	if (list != NOT_ARMED)
		tz_watches_append(list_of(e, w), w);
}

/* Those that wait for a descriptor and for some of `revents` are ready. */
static void ripen(struct epoll *e, struct slot *slot, int revents)
{
	struct tz_watch *w = slot->waiting, *last = w ? w->prev : NULL, *next;

	for (; w; w = next) {
		short got = (short)(revents & (w->events | ALWAYS));

		next = w == last ? NULL : w->next;
		if (got) {
			w->revents = got;
			move(e, w, RIPE);
		}
	}
}

static uint32_t sum_of_events(const struct slot *slot)
{
	const struct tz_watch *w = slot->waiting;
	uint32_t sum = 0;

	do {
		sum |= (uint16_t)w->events;
		w = w->next;
	} while (w != slot->waiting);
	return sum;
}

/* Tells the kernel for what we wait. */
static int tell(struct epoll *e, int fd, struct slot *slot)
{
	struct epoll_event event = { .events = sum_of_events(slot) | EPOLLONESHOT };

	for (int tries = 0;; tries++) {
		int op = slot->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

		slot->generation += op == EPOLL_CTL_ADD;
		event.data.u64 = (uint64_t)slot->generation << 32 | (uint32_t)fd;
		if (epoll_ctl(e->fd, op, fd, &event) == 0) {
			slot->known = true;
			return 0;
		}
		if (errno != (slot->known ? ENOENT : EEXIST) || tries == 4)
			return -errno;
		slot->known = !slot->known;
	}
}

/* What the kernel's answer means for who waits. */
static void settle(struct epoll *e, struct slot *slot, int error)
{
	if (error == -EPERM)
		ripen(e, slot, FILE_EVENTS);
	else if (error == -EBADF)
		ripen(e, slot, POLLNVAL);
	else if (error < 0)
		ripen(e, slot, POLLERR); /* whoever arms again is told the error */
}

static int epoll_arm(struct tz_backend *b, struct tz_watch *w)
{
	struct epoll *e = self(b);
	int error;

	if (w->fd < 0)
		return -EBADF;
	error = make_room(e, (size_t)w->fd);
	if (error < 0)
		return error;
	w->revents = 0;
	move(e, w, WAITING);
	error = tell(e, w->fd, &e->slots[w->fd]);
	if (error < 0 && error != -EPERM)
		move(e, w, NOT_ARMED);
	else
		b->armed++;
	settle(e, &e->slots[w->fd], error);
	return error == -EPERM ? 0 : error;
}

static void epoll_disarm(struct tz_backend *b, struct tz_watch *w)
{
	if (w->list == NOT_ARMED)
		return;
	/* The kernel is not told: at most, it reports the descriptor once more. */
	move(self(b), w, NOT_ARMED);
	b->armed--;
}

/* --- waiting ----------------------------------------------------------------------------------- */

static int wait_exactly(struct epoll *e, struct epoll_event *events, const struct timespec *timeout)
{
	if (e->pwait2) {
		int n = (int)syscall(SYS_epoll_pwait2, e->fd, events, (int)EVENTS, timeout, NULL,
				     0);

		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return n;
		e->pwait2 = false;
	}
	if (ppoll(&(struct pollfd){ .fd = e->fd, .events = POLLIN }, 1, timeout, NULL) < 0)
		return -1;
	return epoll_wait(e->fd, events, EVENTS, 0);
}

static int wait_for_events(struct epoll *e, struct epoll_event *events, uint64_t until)
{
	struct timespec timeout;
	uint64_t now, left;

	if (e->ripe)
		return epoll_wait(e->fd, events, EVENTS, 0);
	if (until == 0)
		return epoll_wait(e->fd, events, EVENTS, -1);
	now = tz_clock_now();
	if (until <= now)
		return epoll_wait(e->fd, events, EVENTS, 0);
	left = until - now;
	timeout.tv_sec = (time_t)(left / 1000000000u);
	timeout.tv_nsec = (long)(left % 1000000000u);
	return wait_exactly(e, events, &timeout);
}

static void take(struct epoll *e, const struct epoll_event *event)
{
	int fd = (int)(uint32_t)event->data.u64;
	struct slot *slot = &e->slots[fd];

	if (slot->generation != event->data.u64 >> 32)
		return; /* of a descriptor that had this number before */
	ripen(e, slot, (int)event->events);
	if (slot->waiting)
		settle(e, slot, tell(e, fd, slot));
}

static int call_ripe(struct epoll *e)
{
	struct tz_watch *w;
	int n = 0;

	/* Not those that become ripe meanwhile. */
	while ((w = e->ripe))
		move(e, w, CALLED);
	while ((w = e->called)) {
		move(e, w, NOT_ARMED);
		e->base.armed--;
		n++;
		w->ready(w);
	}
	return n;
}

static int epoll_poll(struct tz_backend *b, uint64_t until_ns)
{
	struct epoll *e = self(b);
	struct epoll_event events[EVENTS];
	int woken = 0, n = wait_for_events(e, events, until_ns);

	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (events[i].data.u64 == WAKE_KEY) {
			(void)atomic_exchange_explicit(&e->rung, false, memory_order_acq_rel);
			woken = 1;
		} else {
			take(e, &events[i]);
		}
	}
	return call_ripe(e) + woken;
}

static void epoll_wake(struct tz_backend *b)
{
	struct epoll *e = self(b);
	static const uint64_t one = 1;
	uint64_t count;
	int saved = errno;

	if (!atomic_exchange_explicit(&e->rung, true, memory_order_acq_rel)) {
		while (write(e->wake_fd, &one, sizeof one) < 0 && errno == EAGAIN)
			(void)!read(e->wake_fd, &count, sizeof count); /* it was full */
	}
	errno = saved;
}

static uint64_t epoll_now(struct tz_backend *b)
{
	(void)b;
	return tz_clock_now();
}

/* --- life -------------------------------------------------------------------------------------- */

static int open_descriptors(struct epoll *e)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = WAKE_KEY };

	e->fd = epoll_create1(EPOLL_CLOEXEC);
	if (e->fd < 0)
		return -errno;
	e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->wake_fd < 0)
		return -errno;
	return epoll_ctl(e->fd, EPOLL_CTL_ADD, e->wake_fd, &event) < 0 ? -errno : 0;
}

static void epoll_close(struct tz_backend *b)
{
	struct epoll *e = self(b);

	if (!e)
		return;
	if (e->wake_fd >= 0)
		(void)close(e->wake_fd);
	if (e->fd >= 0)
		(void)close(e->fd);
	free(e->slots);
	free(e);
}

static int epoll_open(struct tz_backend **ret, const struct tz_backend_options *options)
{
	struct epoll *e = calloc(1, sizeof *e);
	int error;

	if (!e)
		return -ENOMEM;
	e->base.ops = &tz_backend_epoll;
	e->fd = e->wake_fd = -1;
	e->pwait2 = !options->old_kernel;
	error = open_descriptors(e);
	if (error < 0) {
		epoll_close(&e->base);
		return error;
	}
	*ret = &e->base;
	return 0;
}

const struct tz_backend_ops tz_backend_epoll = {
	.name = "epoll",
	.open = epoll_open,
	.close = epoll_close,
	.now = epoll_now,
	.arm = epoll_arm,
	.disarm = epoll_disarm,
	.poll = epoll_poll,
	.wake = epoll_wake,
};
