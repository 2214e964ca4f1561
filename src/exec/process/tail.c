/* The tail: what a worker wrote to its standard error last. See farm.h.
 *
 * Design notes. One thread of the process reads all pipes, passes on what comes to our own standard error, and keeps the end of it. It is started with the
 * first pipe and sleeps while nothing comes. Who wants the end of it reads what is left in the pipe itself: a worker that has died will not write any more, but its children may still
 * hold the other end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "exec/process/farm.h"
#include "os/thread.h"

enum { KEPT = 1024 };

struct farm_tail {
	struct farm_tail *next, **at; /* in the list of all */
	int fd;
	unsigned size; /* of text */
	char text[KEPT];
};

/* All of this process. The lock guards the list and what is in it. */
static struct {
	struct tz_mutex lock;
	int epoll; /* + 1; 0: not made yet */
	struct farm_tail *first;
	uint32_t process; /* of a chain of forks, that it is of */
} all;

TZ_KEEP_OVER_FORKS(all.lock);

static void keep(struct farm_tail *t, const char *text, size_t n)
{
	if (n > KEPT) {
		text += n - KEPT;
		n = KEPT;
	}
	if (t->size + n > KEPT) {
		size_t drop = t->size + n - KEPT;

		memmove(t->text, t->text + drop, t->size - drop);
		t->size -= (unsigned)drop;
	}
	memcpy(t->text + t->size, text, n);
	t->size += (unsigned)n;
}

static void pass_on(const char *text, size_t n)
{
	while (n) {
		ssize_t done = write(STDERR_FILENO, text, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return;
		text += done;
		n -= (size_t)done;
	}
}

/* Reads some, under the lock: how much, 0 at the end, negative if there is nothing now. */
static ssize_t read_some(struct farm_tail *t, char *text, size_t size)
{
	ssize_t n;

	do
		n = read(t->fd, text, size);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		keep(t, text, (size_t)n);
	return n;
}

static bool is_there(const struct farm_tail *tail)
{
	const struct farm_tail *t = all.first;

	while (t && t != tail)
		t = t->next;
	return t != NULL;
}

static void *read_all(void *arg)
{
	int epoll = (int)(intptr_t)arg;
	char text[4096];
	struct epoll_event e;

	(void)pthread_setname_np(pthread_self(), "trenza-stderr");
	for (;;) {
		ssize_t n = 0;

		if (epoll_wait(epoll, &e, 1, -1) != 1)
			continue;
		tz_mutex_lock(&all.lock);
		if (is_there(e.data.ptr)) {
			struct farm_tail *t = e.data.ptr;

			n = read_some(t, text, sizeof text);
			if (n == 0)
				(void)epoll_ctl(epoll, EPOLL_CTL_DEL, t->fd, NULL);
		}
		tz_mutex_unlock(&all.lock);
		if (n > 0)
			pass_on(text, (size_t)n);
	}
	return NULL;
}

/* Under the lock. In a fork child there is no such thread, and the tails are the parent's. */
static int begin_reading(void)
{
	uint32_t process = atomic_load_explicit(&tz_process_number, memory_order_relaxed);
	pthread_t thread;

	if (all.epoll && all.process == process)
		return 0;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		return -errno;
	int r = tz_os_thread_start_detached(&thread, read_all, (void *)(intptr_t)epoll);

	if (r < 0) {
		(void)close(epoll);
		return r;
	}
	all.epoll = epoll + 1;
	all.process = process;
	all.first = NULL;
	return 0;
}

static int add(struct farm_tail *t)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = t };
	int r;

	tz_mutex_lock(&all.lock);
	r = begin_reading();
	if (r == 0 && epoll_ctl(all.epoll - 1, EPOLL_CTL_ADD, t->fd, &e) < 0)
		r = -errno;
	if (r == 0) {
		t->next = all.first;
		t->at = &all.first;
		if (t->next)
			t->next->at = &t->next;
		all.first = t;
	}
	tz_mutex_unlock(&all.lock);
	return r;
}

int farm_tail_open(struct farm_tail **ret, int *ret_fd)
{
	struct farm_tail *t = calloc(1, sizeof *t);
	int fds[2], r;

	if (!t)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0) {
		r = -errno;
		free(t);
		return r;
	}
	t->fd = fds[0];
	(void)fcntl(t->fd, F_SETFL, O_NONBLOCK);
	r = add(t);
	if (r < 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		free(t);
		return r;
	}
	*ret = t;
	*ret_fd = fds[1];
	return 0;
}

/* Whether somebody takes what we would write. To write into a pipe that nobody reads any more raises a signal, here on a thread of the application's. */
static bool is_wanted(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLOUT | POLLERR)) == POLLOUT;
}

/* Off the list, and out of what the thread sleeps for: the end of the pipe would keep it awake. */
static void leave(struct farm_tail *t)
{
	tz_mutex_lock(&all.lock);
	if (t->at) {
		(void)epoll_ctl(all.epoll - 1, EPOLL_CTL_DEL, t->fd, NULL);
		*t->at = t->next;
		if (t->next)
			t->next->at = t->at;
		t->at = NULL;
	}
	tz_mutex_unlock(&all.lock);
}

static void read_rest(struct farm_tail *t)
{
	char rest[4096];
	ssize_t n;

	leave(t);
	while ((n = read_some(t, rest, sizeof rest)) > 0)
		if (is_wanted())
			pass_on(rest, (size_t)n);
}

void farm_tail_read(struct farm_tail *t, char *text, size_t size)
{
	read_rest(t);
	size_t kept = t->size < size ? t->size : size - 1;

	memcpy(text, t->text + (t->size - kept), kept);
	text[kept] = '\0';
}

void farm_tail_close(struct farm_tail *t)
{
	read_rest(t); /* what a child of the worker has written since then */
	(void)close(t->fd);
	free(t);
}
