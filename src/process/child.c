/* Children, seen from the application. See child.h.
 *
 * Design notes
 *
 * One thread, the watch, sleeps in poll for the sockets of the nurseries and for the pidfds of children that it has to look after itself (those of method
 * `fork`, and those whose nursery was killed). No signal handler, and no wait but for a child that is named.
 *
 * `state` of a child goes STARTING, then RUNNING or FAILED, then ENDED; only who reads changes it, and wakes who sleeps on it. What it says about (pid, how) is
 * written before (release, acquire).
 *
 * References. A child is in one list as long as something of it may still be told: in its nursery's table or among the orphans. Each holds one
 * reference, the starter another. A nursery is referenced by the list of all, and by who is about to send to it.
 *
 * Who reads. The notices of a nursery are read by one thread at a time, who has its `reader`: the watch, or whoever waits for a child to start or to end and would
 * sleep all the same. That saves a thread's wake-up, which costs more than the fork. The watch does not sleep for the socket itself but for an epoll
 * descriptor around it, the gate, which whoever reads instead shuts, and opens when he goes: the gate says then whether there is more. All notices
 * are seen to by who reads them, whoever they are for.
 *
 * `here.lock` guards the lists. Nothing is called under it that could take long, but the launch of a nursery, whom others would have to wait for, too. It is held
 * over a fork; the child of one has no children, and its copies of the sockets are closed, since they would keep the nurseries of the parent alive.
 *
 * A nursery is good for the standing (standing.h) with which it was started. One that is not the current one ends with its last child: its socket is closed then.
 */
#include "process/child.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/fds.h"
#include "os/futex.h"
#include "os/mutex.h"
#include "os/pidfd.h"
#include "os/thread.h"
#include "process/boot.h"
#include "process/forked.h"
#include "process/nursery.h"
#include "process/request.h"
#include "process/standing.h"

enum { STARTING, RUNNING, FAILED, ENDED };

enum { BUCKETS = 256 };

struct nursery {
	struct nursery *next;
	int socket, gate;
	_Atomic uint32_t refs;
	struct tz_mutex reader; /* who has it reads the socket */
	bool ready; /* it has said so */
	bool gone;
	struct tz_standing standing;
	size_t children;
	struct tz_child *table[BUCKETS];
};

struct tz_child {
	_Atomic uint32_t refs;
	_Atomic uint32_t state;
	uint64_t id;
	struct tz_child *next; /* in its nursery's bucket, or among the orphans */
	struct nursery *nursery; /* NULL: an orphan, or a fork of our own */
	struct nursery *asked; /* whose answer somebody is still to wait for, with a reference */
	pid_t pid;
	int pidfd; /* or -1 */
	int error; /* of the start */
	uint64_t since;
	struct tz_forked forked; /* of a fork of our own */
	struct tz_child_exit how;
	void (*on_exit)(struct tz_child *child, const struct tz_child_exit *how, void *arg);
	void *arg;
};

static struct {
	struct tz_mutex lock;
	struct nursery *nurseries, *current;
	struct tz_child *orphans;
	size_t norphans;
	uint64_t last_id;
	int bell; /* an eventfd, that makes the watch look at its lists again; 0: none yet */
	bool watched; /* the thread runs */
} here;

/* --- handles ------------------------------------------------------------------------------------------------------------------ */

struct tz_child *tz_child_ref(struct tz_child *c)
{
	(void)atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void tz_child_unref(struct tz_child *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (c->pidfd >= 0)
		(void)close(c->pidfd);
	tz_forked_done(&c->forked);
	free(c);
}

pid_t tz_child_pid(const struct tz_child *c)
{
	return c->pid;
}

int tz_child_pidfd(const struct tz_child *c)
{
	return c->pidfd;
}

bool tz_child_ended(struct tz_child *c, struct tz_child_exit *ret_how)
{
	if (atomic_load_explicit(&c->state, memory_order_acquire) != ENDED)
		return false;
	if (ret_how)
		*ret_how = c->how;
	return true;
}

static void set_state(struct tz_child *c, uint32_t state)
{
	atomic_store_explicit(&c->state, state, memory_order_release);
	tz_futex_wake(&c->state, 1 << 30);
}

static void close_nursery(struct nursery *n)
{
	if (atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (n->socket >= 0)
		(void)close(n->socket);
	if (n->gate >= 0)
		(void)close(n->gate);
	free(n);
}

/* --- the tables, under the lock -------------------------------------------------------------------------------------------------- */

static struct tz_child **place_of(struct nursery *n, uint64_t id)
{
	struct tz_child **at = &n->table[id % BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void enter(struct nursery *n, struct tz_child *c)
{
	struct tz_child **at = &n->table[c->id % BUCKETS];

	c->nursery = n;
	c->next = *at;
	*at = tz_child_ref(c);
	n->children++;
}

/* The table's reference becomes the caller's; NULL if it is not there. */
static struct tz_child *leave(struct nursery *n, uint64_t id)
{
	struct tz_child **at = place_of(n, id), *c = *at;

	if (c) {
		*at = c->next;
		c->nursery = NULL;
		n->children--;
	}
	return c;
}

static void add_orphan(struct tz_child *c)
{
	c->nursery = NULL;
	c->next = here.orphans;
	here.orphans = c;
	here.norphans++;
}

static bool remove_orphan(struct tz_child *c)
{
	struct tz_child **at = &here.orphans;

	while (*at && *at != c)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = c->next;
	here.norphans--;
	return true;
}

static void ring(void)
{
	uint64_t one = 1;

	(void)!write(here.bell, &one, sizeof one);
}

/* A nursery that nobody needs any more, or that has gone: takes it off the list. */
static void retire(struct nursery *n)
{
	struct nursery **at = &here.nurseries;

	while (*at && *at != n)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = n->next;
	if (here.current == n)
		here.current = NULL;
	(void)shutdown(n->socket, SHUT_RDWR); /* somebody may be about to send */
	close_nursery(n);
}

/* --- the end of a child, on the watch ------------------------------------------------------------------------------------------- */

/* Takes the reference that the list had. */
static void end(struct tz_child *c, const struct tz_child_exit *how)
{
	c->how = *how;
	c->how.pid = c->pid;
	set_state(c, ENDED);
	if (c->on_exit)
		c->on_exit(c, &c->how, c->arg);
	tz_child_unref(c);
}

static void fail_start(struct tz_child *c, int error)
{
	c->error = error;
	set_state(c, FAILED);
}

static uint32_t state_of(const struct tz_child *c)
{
	return atomic_load_explicit(&c->state, memory_order_relaxed);
}

static void on_started(struct tz_child *c, const struct tz_notice *note, int *fd)
{
	if (state_of(c) != STARTING)
		return;
	c->pid = note->pid;
	c->pidfd = tz_fds_above_standard(*fd);
	*fd = -1;
	set_state(c, RUNNING);
}

static void on_ended(struct tz_child *c, const struct tz_notice *note)
{
	struct tz_child_exit how = { .run_ns = note->run_ns };

	if (state_of(c) == STARTING)
		fail_start(c, -ENOEXEC);
	if (state_of(c) == FAILED) {
		tz_child_unref(c);
		return;
	}
	tz_child_exit_set(&how, note->status, NULL);
	how.cpu_ns = note->cpu_ns;
	how.peak_bytes = note->peak_bytes;
	end(c, &how);
}

static void on_failed(struct nursery *n, struct tz_child *c, const struct tz_notice *note)
{
	if (state_of(c) == STARTING)
		fail_start(c, note->error);
	if (note->pid != 0)
		return;
	tz_mutex_lock(&here.lock);
	c = leave(n, note->id);
	tz_mutex_unlock(&here.lock);
	tz_child_unref(c);
}

static void on_notice(struct nursery *n, const struct tz_notice *note, int *fd)
{
	struct tz_child *c;

	tz_mutex_lock(&here.lock);
	n->ready = true;
	c = note->kind == TZ_NOTICE_READY ? NULL : note->kind == TZ_NOTICE_ENDED ? leave(n, note->id) : *place_of(n, note->id);
	if (note->kind == TZ_NOTICE_ENDED && n->children == 0 && n != here.current)
		retire(n);
	tz_mutex_unlock(&here.lock);
	if (!c)
		return;
	if (note->kind == TZ_NOTICE_STARTED)
		on_started(c, note, fd);
	else if (note->kind == TZ_NOTICE_FAILED)
		on_failed(n, c, note);
	else if (note->kind == TZ_NOTICE_ENDED)
		on_ended(c, note);
}

/* The nursery is dead, and the kernel kills its children. They are watched until they have ended. */
static void on_loss(struct nursery *n)
{
	struct tz_child *all = NULL, *c;
	bool ready = n->ready;

	tz_mutex_lock(&here.lock);
	n->gone = true;
	for (int i = 0; i < BUCKETS; i++) {
		while ((c = n->table[i])) {
			n->table[i] = c->next;
			c->next = all;
			c->nursery = NULL;
			all = c;
		}
	}
	n->children = 0;
	retire(n);
	tz_mutex_unlock(&here.lock);
	while ((c = all)) {
		all = c->next;
		if (state_of(c) != RUNNING) {
			if (state_of(c) == STARTING)
				fail_start(c, ready ? -ECONNABORTED : -ENOEXEC);
			tz_child_unref(c);
		} else if (c->pidfd < 0) {
			end(c, &(struct tz_child_exit){ .code = -1, .lost = true, .run_ns = tz_clock_now() - c->since });
		} else {
			(void)tz_pidfd_signal(c->pidfd, SIGKILL);
			tz_mutex_lock(&here.lock);
			add_orphan(c);
			tz_mutex_unlock(&here.lock);
		}
	}
}

/* Under `reader`: one notice. */
static void read_notice(struct nursery *n, int flags)
{
	struct tz_notice note;
	int fd = -1, nfds = 1;
	ssize_t r = tz_fds_receive(n->socket, &note, sizeof note, &fd, &nfds, flags);

	if (r == (ssize_t)sizeof note && note.magic == TZ_NOTICE_MAGIC)
		on_notice(n, &note, &fd);
	else if (r == 0 || (r < 0 && r != -EAGAIN && r != -ENOMEM && r != -ENOBUFS))
		on_loss(n);
	if (nfds > 0 && fd >= 0)
		(void)close(fd);
}

static void on_nursery(struct nursery *n)
{
	if (!tz_mutex_trylock(&n->reader))
		return; /* who reads opens the gate when he goes */
	read_notice(n, MSG_DONTWAIT);
	tz_mutex_unlock(&n->reader);
}

static void set_gate(struct nursery *n, bool open)
{
	struct epoll_event e = { .events = open ? EPOLLIN : 0 };

	(void)epoll_ctl(n->gate, EPOLL_CTL_MOD, n->socket, &e);
}

/* Reads what the nursery says until the child is not in that state any more; false: somebody else does. */
static bool read_until(struct nursery *n, struct tz_child *c, uint32_t state)
{
	int cancel;

	if (!tz_mutex_trylock(&n->reader))
		return false;
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	set_gate(n, false);
	while (state_of(c) == state && !n->gone)
		read_notice(n, 0);
	set_gate(n, true);
	tz_mutex_unlock(&n->reader);
	(void)pthread_setcancelstate(cancel, NULL);
	return true;
}

/* It has ended, as its pidfd says, or closed the pipe that stands in for one. */
static void on_orphan(struct tz_child *c)
{
	struct tz_child_exit how = { .code = -1, .run_ns = tz_clock_now() - c->since };
	bool ours;

	if (!tz_forked_learn_end(&c->forked, c->pid, c->pidfd, &how))
		return;
	tz_mutex_lock(&here.lock);
	ours = remove_orphan(c);
	tz_mutex_unlock(&here.lock);
	if (ours)
		end(c, &how);
}

/* --- the watch -------------------------------------------------------------------------------------------------------------------- */

/* What it waits for. Only the thread itself uses it, but the child of a fork must find the memory. */
static struct watched {
	struct pollfd *fds;
	void **what;
	size_t n, nnurseries, room;
} watched, watched_before_fork __attribute__((used));

static int fd_of_orphan(const struct tz_child *c)
{
	return c->pidfd >= 0 ? c->pidfd : c->forked.status;
}

static void watch_for(struct watched *w, int fd, void *what)
{
	w->fds[w->n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	w->what[w->n++] = what;
}

/* Lists what to wait for, with references. */
static bool gather(struct watched *w)
{
	size_t need = 1;
	bool fits;

	tz_mutex_lock(&here.lock);
	for (struct nursery *n = here.nurseries; n; n = n->next)
		need++;
	need += here.norphans;
	fits = need <= w->room;
	w->n = 0;
	if (fits) {
		watch_for(w, here.bell, NULL);
		for (struct nursery *n = here.nurseries; n; n = n->next) {
			(void)atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
			watch_for(w, n->gate, n);
		}
		w->nnurseries = w->n - 1;
		for (struct tz_child *c = here.orphans; c; c = c->next)
			watch_for(w, fd_of_orphan(c), tz_child_ref(c));
	}
	tz_mutex_unlock(&here.lock);
	if (!fits) {
		struct pollfd *fds = realloc(w->fds, need * 2 * sizeof *fds);
		void **what;

		if (fds)
			w->fds = fds;
		what = fds ? realloc(w->what, need * 2 * sizeof *what) : NULL;
		if (what) {
			w->what = what;
			w->room = need * 2;
		}
	}
	return fits;
}

static void look(struct watched *w)
{
	uint64_t rung;

	for (size_t i = 1; i < w->n; i++) {
		if (i <= w->nnurseries) {
			if (w->fds[i].revents)
				on_nursery(w->what[i]);
			close_nursery(w->what[i]);
		} else {
			if (w->fds[i].revents)
				on_orphan(w->what[i]);
			tz_child_unref(w->what[i]);
		}
	}
	if (w->fds[0].revents)
		(void)!read(w->fds[0].fd, &rung, sizeof rung);
}

static void *watch(void *unused)
{
	struct watched *w = &watched;

	(void)unused;
	(void)pthread_setname_np(pthread_self(), "trenza-watch");
	for (;;) {
		if (!gather(w)) {
			if (w->room == 0)
				(void)poll(NULL, 0, 10); /* no memory: try again */
			continue;
		}
		if (poll(w->fds, w->n, -1) < 0)
			for (size_t i = 0; i < w->n; i++)
				w->fds[i].revents = 0;
		look(w);
	}
	return NULL;
}

/* Under the lock. */
static int start_watch(void)
{
	pthread_t thread;
	int e;

	if (here.bell == 0) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		fd = fd < 0 ? -errno : tz_fds_above_standard(fd);
		if (fd < 0)
			return fd;
		here.bell = fd;
	}
	if (here.watched)
		return 0;
	e = tz_os_thread_start_detached(&thread, watch, NULL);
	here.watched = e == 0;
	return e;
}

/* --- starting ---------------------------------------------------------------------------------------------------------------------- */

static int make_gate(struct nursery *n)
{
	struct epoll_event e = { .events = EPOLLIN };
	int gate = epoll_create1(EPOLL_CLOEXEC);

	gate = gate < 0 ? -errno : tz_fds_above_standard(gate);
	if (gate >= 0 && epoll_ctl(gate, EPOLL_CTL_ADD, n->socket, &e) == 0) {
		n->gate = gate;
		return 0;
	}
	if (gate >= 0) {
		(void)close(gate);
		gate = -errno;
	}
	(void)close(n->socket); /* which ends the nursery */
	return gate;
}

/* Under the lock: the nursery for a process of that standing, with a reference. */
static int take_nursery(const struct tz_standing *standing, struct nursery **ret)
{
	struct nursery *n = here.current;
	int e;

	if (n && tz_standing_same(&n->standing, standing)) {
		(void)atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
		*ret = n;
		return 0;
	}
	n = calloc(1, sizeof *n);
	if (!n)
		return -ENOMEM;
	e = tz_nursery_launch(&n->socket);
	if (e == 0)
		e = make_gate(n);
	if (e < 0) {
		free(n);
		return e;
	}
	n->standing = *standing;
	atomic_init(&n->refs, 2);
	if (here.current && here.current->children == 0)
		retire(here.current);
	here.current = n;
	n->next = here.nurseries;
	here.nurseries = n;
	ring();
	*ret = n;
	return 0;
}

static struct tz_child *new_child(const struct tz_child_start *start)
{
	struct tz_child *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	atomic_init(&c->refs, 1);
	c->pidfd = -1;
	c->on_exit = start->on_exit;
	c->arg = start->arg;
	c->since = tz_clock_now();
	tz_forked_init(&c->forked);
	return c;
}

static int enlist(struct tz_child *c, const struct tz_standing *standing, struct nursery **ret)
{
	int e;

	tz_mutex_lock(&here.lock);
	e = start_watch();
	if (e == 0)
		e = take_nursery(standing, ret);
	if (e == 0) {
		c->id = ++here.last_id;
		enter(*ret, c);
	}
	tz_mutex_unlock(&here.lock);
	return e;
}

static bool delist(struct tz_child *c, struct nursery *n)
{
	struct tz_child *was;

	tz_mutex_lock(&here.lock);
	was = leave(n, c->id);
	tz_mutex_unlock(&here.lock);
	tz_child_unref(was);
	return was;
}

/* Waits for the answer. */
static int await_start(struct tz_child *c, struct nursery *n)
{
	uint32_t state;

	while ((state = atomic_load_explicit(&c->state, memory_order_acquire)) == STARTING)
		if (!read_until(n, c, STARTING))
			(void)tz_futex_wait(&c->state, STARTING, 0);
	return state == FAILED ? c->error : 0;
}

static bool is_dead(int e)
{
	return e == -EPIPE || e == -ECONNRESET;
}

/* Sends the request; the answer is still to be waited for. -EPIPE: the nursery was dead already, and nothing has happened. */
static int send_request(struct tz_child *c, struct tz_request_message *m, const struct tz_standing *standing)
{
	struct nursery *n = NULL;
	int e = enlist(c, standing, &n);

	if (e < 0)
		return e;
	m->block->id = c->id;
	if (m->file >= 0)
		(void)pwrite(m->file, m->block, sizeof *m->block, 0);
	e = tz_request_send(m, n->socket);
	if (e == 0) {
		c->asked = n;
		return 0;
	}
	if (!delist(c, n))
		(void)await_start(c, n); /* the watch has it in hand */
	if (is_dead(e)) {
		tz_mutex_lock(&here.lock);
		if (here.current == n)
			here.current = NULL; /* the watch will clear it away */
		tz_mutex_unlock(&here.lock);
	}
	close_nursery(n);
	return e;
}

static int hear(struct tz_child *c)
{
	struct nursery *n = c->asked;
	int e = await_start(c, n);

	c->asked = NULL;
	close_nursery(n);
	return e;
}

/* Asks a nursery, and waits for the answer unless the caller will. */
static int start_by_nursery(struct tz_child *c, const struct tz_child_start *start, bool wait)
{
	struct tz_request_message m;
	struct tz_standing standing;
	struct tz_manners manners;
	int e = tz_standing_read(&standing, &manners);

	for (int tries = 0; e == 0 && tries < 5; tries++) {
		e = tz_request_make(&m, start, 0, &manners);
		if (e < 0)
			return e;
		atomic_store(&c->state, STARTING);
		e = send_request(c, &m, &standing);
		tz_request_free(&m);
		/* A closed standard descriptor may have been open for a moment, in another thread. */
		if (!is_dead(e) && e != -EBADF)
			break;
		e = tries < 4 ? 0 : e;
	}
	if (e == 0 && wait)
		e = hear(c);
	return is_dead(e) ? -ECONNABORTED : e;
}

static int start_by_fork(struct tz_child *c, const struct tz_child_start *start)
{
	int e;

	tz_mutex_lock(&here.lock);
	e = start_watch();
	tz_mutex_unlock(&here.lock);
	if (e == 0)
		e = tz_forked_start(&c->forked, start, 1, &c->pid, &c->pidfd);
	if (e < 0)
		return e;
	atomic_store_explicit(&c->state, RUNNING, memory_order_release);
	tz_mutex_lock(&here.lock);
	add_orphan(tz_child_ref(c));
	ring();
	tz_mutex_unlock(&here.lock);
	return 0;
}

static int start_or_ask(struct tz_child **ret_child, const struct tz_child_start *start, bool wait)
{
	const struct tz_birth *own = tz_birth_own();
	struct tz_child *c;
	int e;

	if (tz_boot_is_pending() || (own && own->daemon && !own->may_start))
		return -EPERM;
	c = new_child(start);
	if (!c)
		return -ENOMEM;
	e = start->method == TZ_CHILD_FORK ? start_by_fork(c, start) : start_by_nursery(c, start, wait);
	if (e < 0)
		tz_child_unref(c);
	else
		*ret_child = c;
	return e;
}

int tz_child_start(struct tz_child **ret_child, const struct tz_child_start *start)
{
	return start_or_ask(ret_child, start, true);
}

int tz_child_ask(struct tz_child **ret_child, const struct tz_child_start *start)
{
	return start_or_ask(ret_child, start, false);
}

int tz_child_await_start(struct tz_child *c)
{
	int e = c->asked ? hear(c) : 0;

	return is_dead(e) ? -ECONNABORTED : e;
}

int tz_child_signal(struct tz_child *c, int signal)
{
	struct tz_order order = { TZ_ORDER_MAGIC, signal, c->id };
	int e = -ESRCH;

	if (c->pidfd >= 0)
		return tz_pidfd_signal(c->pidfd, signal);
	tz_mutex_lock(&here.lock);
	if (c->nursery)
		e = (int)tz_fds_send(c->nursery->socket, &order, sizeof order, NULL, 0, 0);
	else if (state_of(c) == RUNNING)
		e = kill(c->pid, signal) < 0 ? -errno : 0;
	tz_mutex_unlock(&here.lock);
	return e > 0 ? 0 : e;
}

bool tz_child_await_end(struct tz_child *c)
{
	struct nursery *n;
	bool read;

	tz_mutex_lock(&here.lock);
	n = c->nursery;
	if (n)
		(void)atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
	tz_mutex_unlock(&here.lock);
	if (!n)
		return false;
	read = read_until(n, c, RUNNING);
	close_nursery(n);
	return read && state_of(c) == ENDED;
}

/* --- fork of the application ---------------------------------------------------------------------------------------------------- */

static void before_fork(void)
{
	tz_mutex_lock_unless_alone(&here.lock);
}

static void in_parent(void)
{
	tz_mutex_unlock_if_locked(&here.lock);
}

static void lose(struct tz_child *c)
{
	c->nursery = NULL;
	c->how = (struct tz_child_exit){ .code = -1, .lost = true, .pid = c->pid };
	tz_forked_forget(&c->forked);
	atomic_store(&c->state, ENDED);
}

static void lose_all(struct tz_child *c)
{
	while (c) {
		struct tz_child *next = c->next;

		lose(c);
		tz_child_unref(c);
		c = next;
	}
}

/* What the lists hold is given up. What threads held that are not here any more, is left alone. */
static void in_child(void)
{
	for (struct nursery *n = here.nurseries, *next; n; n = next) {
		next = n->next;
		(void)close(n->socket);
		(void)close(n->gate);
		for (int i = 0; i < BUCKETS; i++)
			lose_all(n->table[i]);
		free(n);
	}
	lose_all(here.orphans);
	if (here.bell) { /* there was a start */
		(void)close(here.bell);
		memset(&here, 0, sizeof here);
	}
	tz_mutex_unlock_if_locked(&here.lock);
	if (watched.room) {
		watched_before_fork = watched;
		memset(&watched, 0, sizeof watched);
	}
}

__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(before_fork, in_parent, in_child);
}
