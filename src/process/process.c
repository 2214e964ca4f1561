/* Processes: starting them, their end, and who waits for it. See trenza/process.h.
 *
 * Design notes
 *
 * `state` says how far a process is: NEW, STARTING, RUNNING, ENDED. The end is told by the thread that watches the children, or one that waits for one of them (child.c), which writes down
 * how (release), and wakes the joiners; it may come before the start has returned, so whoever is first of the two fills in `child`.
 *
 * A handle holds nothing but memory, the child (and by it the pidfd), and the reading end of the report's pipe. The process itself holds one reference as long as
 * it runs, by the roll.
 */
#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza/loop.h>

#include "core/outcome.h"
#include "core/strand.h"
#include "os/fds.h"
#include "os/pidfd.h"
#include "process/options.h"

static _Atomic uint64_t last_number; /* of the default names */

/* --- memory ---------------------------------------------------------------------------------------------------------------------- */

static void destroy(tz_process *p)
{
	tz_child_unref(atomic_load(&p->child));
	if (p->report >= 0)
		(void)close(p->report);
	free(p->blob);
	tz_giver_done(&p->giver);
	tz_process_options_done(&p->options);
	free(p);
}

tz_process *tz_process_ref(tz_process *p)
{
	(void)atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void tz_process_detach(tz_process *p)
{
	if (p && p->kind == TZ_PROCESS_CHILD && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
		destroy(p);
}

int tz_process_close(tz_process *p)
{
	if (p && tz_process_alive(p))
		return -EBUSY;
	tz_process_detach(p);
	return 0;
}

static uint32_t state_of(const tz_process *p)
{
	return atomic_load_explicit(&p->state, memory_order_seq_cst);
}

/* --- the end ----------------------------------------------------------------------------------------------------------------------- */

/* Of a child that has one already, nothing is kept. */
static void keep_child(tz_process *p, struct tz_child *c)
{
	struct tz_child *none = NULL;

	if (!atomic_compare_exchange_strong(&p->child, &none, c))
		tz_child_unref(c);
}

static void on_end(struct tz_child *c, const struct tz_child_exit *how, void *arg)
{
	tz_process *p = arg;

	keep_child(p, tz_child_ref(c));
	p->how = *how;
	(void)tz_process_read_report(p->report, &p->outcome);
	tz_roll_end(p);
}

/* --- the start ---------------------------------------------------------------------------------------------------------------------- */

static int stream_of(int option, int by_default, int *ret)
{
	if (option == TZ_STREAM_DEFAULT)
		option = by_default;
	if (option < TZ_STREAM_INHERIT)
		return -EINVAL;
	*ret = option == TZ_STREAM_INHERIT ? TZ_CHILD_INHERIT : option == TZ_STREAM_NULL ? TZ_CHILD_NULL : option;
	return 0;
}

static int check(const tz_process_options *o)
{
	if ((unsigned)o->method > TZ_START_FORKSERVER || o->nfds > 100 || o->nlimits > 32 || o->ncpus > 1 << 16)
		return -EINVAL;
	if ((o->fds != NULL) < (o->nfds != 0) || (o->cpus != NULL) != (o->ncpus != 0) || (o->limits != NULL) < (o->nlimits != 0))
		return -EINVAL;
	if (o->umask < 0 || o->umask > 0777 + 1 || o->authkey_size > TZ_AUTHKEY_MAX || (o->authkey != NULL) < (o->authkey_size != 0))
		return -EINVAL;
	return o->reserved[0] || o->reserved[1] || o->reserved[2] || o->reserved[3] ? -EINVAL : 0;
}

/* The pipe for the report, and what goes beside the blob. Room for 1 + TZ_GIVER_MAX. */
static int list_fds(const tz_process *p, int report, int *ret)
{
	ret[0] = report;
	for (unsigned i = 0; i < p->giver.n; i++)
		ret[1 + i] = p->giver.refs[i]->fd;
	return 1 + (int)p->giver.n;
}

static int fill_start(struct tz_child_start *s, tz_process *p, const tz_process_options *o)
{
	int e = tz_child_method_of(o->method, &s->method);

	_Static_assert(sizeof(struct tz_child_limit) == sizeof(tz_process_limit), "the same struct");
	s->entry = TZ_CHILD_PROCESS;
	s->blob = p->blob;
	s->size = p->blob_size;
	s->keep = o->fds;
	s->nkeep = (int)o->nfds;
	s->name = p->name;
	s->env = o->env;
	s->cwd = o->cwd;
	s->cpus = o->cpus;
	s->ncpus = (int)o->ncpus;
	s->limits = (const struct tz_child_limit *)o->limits;
	s->nlimits = (int)o->nlimits;
	s->umask = o->umask;
	s->daemon = o->daemon;
	s->may_start = !o->daemon || o->may_start;
	s->insist = o->insist;
	s->own_group = o->own_group;
	s->on_exit = on_end;
	s->arg = p;
	e = e < 0 ? e : stream_of(o->input, TZ_STREAM_NULL, &s->in);
	e = e < 0 ? e : stream_of(o->output, TZ_STREAM_INHERIT, &s->out);
	return e < 0 ? e : stream_of(o->error, TZ_STREAM_INHERIT, &s->err);
}

static int make_pipe(int *ret)
{
	if (pipe2(ret, O_CLOEXEC) < 0)
		return -errno;
	ret[0] = tz_fds_above_standard(ret[0]);
	ret[1] = tz_fds_above_standard(ret[1]);
	if (ret[0] >= 0 && ret[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++)
		if (ret[i] >= 0)
			(void)close(ret[i]);
	return -EMFILE;
}

static int start_now(tz_process *p, const tz_process_options *o)
{
	struct tz_child_start s = { .blob = NULL };
	struct tz_child *c;
	uint32_t starting = TZ_PROCESS_STARTING;
	int fds[1 + TZ_GIVER_MAX], pipe_fds[2], e = make_pipe(pipe_fds);

	if (e < 0)
		return e;
	e = fill_start(&s, p, o);
	s.fds = fds;
	s.nfds = list_fds(p, pipe_fds[1], fds);
	p->report = pipe_fds[0];
	if (e == 0) {
		tz_roll_enter(p);
		e = tz_child_start(&c, &s);
		if (e < 0)
			tz_roll_leave(p);
	}
	(void)close(pipe_fds[1]);
	if (e < 0) {
		(void)close(p->report);
		p->report = -1;
		return e;
	}
	keep_child(p, c);
	(void)atomic_compare_exchange_strong(&p->state, &starting, TZ_PROCESS_RUNNING);
	free(p->blob);
	p->blob = NULL;
	tz_giver_done(&p->giver);
	return 0;
}

static int start(tz_process *p, const tz_process_options *o)
{
	uint32_t state = TZ_PROCESS_NEW;
	int e;

	if (!atomic_compare_exchange_strong(&p->state, &state, TZ_PROCESS_STARTING))
		return -EALREADY;
	e = start_now(p, o);
	if (e < 0) {
		atomic_store(&p->state, TZ_PROCESS_NEW);
		tz_waiters_wake_all(&p->joiners); /* who has found it in the roll meanwhile */
	}
	return e;
}

int tz_process_start(tz_process *p)
{
	return p->kind == TZ_PROCESS_CHILD ? start(p, &p->options) : -EALREADY;
}

static void name_it(tz_process *p, const char *name)
{
	if (name)
		tz_copy_text(p->name, sizeof p->name, name);
	else
		(void)snprintf(p->name, sizeof p->name, "Process-%lu (%.32s)",
			       (unsigned long)atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1, p->task);
}

static tz_process *new_process(const tz_process_options *o, const tz_task *task)
{
	tz_process *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	atomic_init(&p->refs, 1);
	p->report = p->pidfd = -1;
	tz_giver_init(&p->giver, TZ_GIVER_MAX, false);
	p->daemon = o->daemon;
	p->outcome.worker = -1;
	tz_copy_text(p->task, sizeof p->task, task->name);
	name_it(p, o->name);
	if (o->authkey) {
		memcpy(p->authkey, o->authkey, o->authkey_size);
		p->authkey_size = o->authkey_size;
	} else {
		p->authkey_size = tz_own_authkey(p->authkey);
	}
	return p;
}

int tz_process_open_raw(tz_process **ret_process, const tz_process_options *options, const tz_task *task, const void *args)
{
	static const tz_process_options plain;
	const tz_process_options *o = options ? options : &plain;
	enum tz_child_method method;
	tz_process *p;
	int e = check(o);

	e = e < 0 ? e : tz_child_method_of(o->method, &method);
	if (e < 0)
		return e;
	p = new_process(o, task);
	if (!p)
		return -ENOMEM;
	e = tz_process_pack(p, task, args, method == TZ_CHILD_FORK, &p->giver, &p->blob, &p->blob_size);
	if (e == 0)
		e = o->deferred ? tz_process_options_copy(&p->options, o) : start(p, o);
	if (e < 0)
		tz_process_detach(p); /* others may have listed it while it was being started */
	else
		*ret_process = p;
	return e;
}

/* --- waiting for it ----------------------------------------------------------------------------------------------------------------- */

static int join_parent(tz_process *p, tz_deadline deadline)
{
	int e;

	while (p->pidfd < 0 && kill(p->pid, 0) == 0)
		if ((e = tz_sleep_until(tz_deadline_min(deadline, tz_after(0.05)))) < 0 || (deadline.ns && tz_expired(deadline)))
			return e < 0 ? e : -ETIMEDOUT;
	e = p->pidfd < 0 ? 0 : tz_wait_fd(p->pidfd, POLLIN, deadline);
	return e < 0 ? e : 0;
}

/* A strand with a thread of its own, whose wait nothing could end, sees to it itself that it hears of the end. */
static bool await_end(tz_process *p, struct tz_strand *self, tz_deadline deadline)
{
	struct tz_child *c = atomic_load(&p->child);
	bool ended;

	if (!c || deadline.ns || self->flags || self->scope || self->borrows || self->restless)
		return false;
	tz_strand_waits(self, "process", p);
	tz_strand_block_begin(self);
	ended = tz_child_await_end(c);
	tz_strand_block_end(self);
	self->waits_for = NULL;
	return ended && state_of(p) == TZ_PROCESS_ENDED;
}

/* It is being started, which may fail, or it runs. */
static bool is_on_its_way(const tz_process *p)
{
	uint32_t state = state_of(p);

	return state == TZ_PROCESS_STARTING || state == TZ_PROCESS_RUNNING;
}

int tz_process_join_until(tz_process *p, tz_deadline deadline)
{
	struct tz_strand *self;
	struct tz_waiting w;

	if (p->kind != TZ_PROCESS_CHILD)
		return p->kind == TZ_PROCESS_OWN ? -EDEADLK : join_parent(p, deadline);
	self = tz_strand_self();
	while (is_on_its_way(p) && !await_end(p, self, deadline)) {
		int e;

		tz_waiters_enter(&p->joiners, &w, self);
		if (!is_on_its_way(p)) {
			tz_waiters_leave(&p->joiners, &w);
			break;
		}
		e = tz_waiters_wait(&p->joiners, &w, "process", p, deadline);
		if (e < 0 && is_on_its_way(p))
			return e;
	}
	return state_of(p) == TZ_PROCESS_NEW ? -EINVAL : 0;
}

int tz_process_join(tz_process *p)
{
	return tz_process_join_until(p, tz_never());
}

bool tz_process_alive(tz_process *p)
{
	struct pollfd f = { .fd = p->pidfd, .events = POLLIN };

	if (p->kind == TZ_PROCESS_PARENT)
		return p->pidfd < 0 ? kill(p->pid, 0) == 0 || errno == EPERM : poll(&f, 1, 0) == 0;
	return is_on_its_way(p);
}

int tz_process_exitcode(tz_process *p, int *ret_code)
{
	if (p->kind != TZ_PROCESS_CHILD)
		return tz_process_alive(p) ? -EAGAIN : -ENODATA;
	if (state_of(p) == TZ_PROCESS_NEW)
		return -EINVAL;
	if (state_of(p) != TZ_PROCESS_ENDED)
		return -EAGAIN;
	if (p->how.lost)
		return -ENODATA;
	*ret_code = p->how.signal ? -p->how.signal : p->how.code;
	return 0;
}

static void describe_end(const tz_process *p, tz_outcome *o)
{
	const char *name = sigabbrev_np(p->how.signal);

	if (p->how.lost) {
		o->status = TZ_LOST;
		o->code = -ENODATA;
		tz_copy_text(o->message, sizeof o->message, "nobody could learn how its process ended");
	} else if (p->how.signal) {
		o->status = TZ_CRASHED;
		o->code = -ECHILD;
		o->signal = p->how.signal;
		(void)snprintf(o->message, sizeof o->message, "killed by signal %d (%s%s)%s in process %d", p->how.signal, name ? "SIG" : "",
			       name ? name : "unknown", p->how.core ? ", core dumped," : "", (int)p->how.pid);
	} else if (p->how.code == 0) {
		o->status = TZ_OK;
	} else {
		o->status = TZ_CRASHED;
		o->code = -ECHILD;
		(void)snprintf(o->message, sizeof o->message, "process %d ended with exit code %d", (int)p->how.pid, p->how.code);
	}
}

void tz_process_outcome(tz_process *p, tz_outcome *ret_outcome)
{
	tz_outcome o = { .worker = -1 };

	if (p->kind == TZ_PROCESS_CHILD && state_of(p) == TZ_PROCESS_ENDED) {
		if (p->outcome.status != TZ_PENDING && !p->how.signal)
			o = p->outcome;
		else
			describe_end(p, &o);
	}
	tz_copy_text(o.task, sizeof o.task, p->kind == TZ_PROCESS_CHILD ? p->task : p->name);
	*ret_outcome = o;
}

/* --- what else is asked of it ------------------------------------------------------------------------------------------------------- */

/* By its number only where it must be: that may be another process's by now. */
static int signal_parent(const tz_process *p, int signal)
{
	int e = p->pidfd >= 0 ? tz_pidfd_signal(p->pidfd, signal) : -ENOSYS;

	return e != -ENOSYS ? e : kill(p->pid, signal) < 0 ? -errno : 0;
}

int tz_process_signal(tz_process *p, int signal)
{
	struct tz_child *c;

	if (p->kind == TZ_PROCESS_OWN)
		return kill(getpid(), signal) < 0 ? -errno : 0;
	if (p->kind == TZ_PROCESS_PARENT)
		return signal_parent(p, signal);
	if (state_of(p) == TZ_PROCESS_ENDED)
		return -ESRCH;
	c = atomic_load(&p->child);
	return c ? tz_child_signal(c, signal) : -EINVAL;
}

int tz_process_interrupt(tz_process *p)
{
	return tz_process_signal(p, SIGINT);
}

int tz_process_terminate(tz_process *p)
{
	return tz_process_signal(p, SIGTERM);
}

int tz_process_kill(tz_process *p)
{
	return tz_process_signal(p, SIGKILL);
}

pid_t tz_process_pid(const tz_process *p)
{
	struct tz_child *c = atomic_load(&p->child);

	if (p->kind == TZ_PROCESS_OWN)
		return getpid();
	return p->kind == TZ_PROCESS_PARENT ? p->pid : c ? tz_child_pid(c) : 0;
}

int tz_process_sentinel(const tz_process *p)
{
	struct tz_child *c = atomic_load(&p->child);
	int fd = p->kind == TZ_PROCESS_CHILD && c ? tz_child_pidfd(c) : p->pidfd;

	if (p->kind == TZ_PROCESS_OWN || (p->kind == TZ_PROCESS_CHILD && !c))
		return -EINVAL;
	return fd >= 0 ? fd : -ENOSYS;
}

int tz_process_name(const tz_process *p, char *buf, size_t n)
{
	if (n)
		tz_copy_text(buf, n, p->name);
	return (int)strlen(p->name);
}

bool tz_process_daemon(const tz_process *p)
{
	return p->daemon;
}

size_t tz_process_authkey(const tz_process *p, void *buf, size_t n)
{
	unsigned char key[TZ_AUTHKEY_MAX];
	size_t size = p->authkey_size;

	memcpy(key, p->authkey, size);
	if (p->kind != TZ_PROCESS_CHILD)
		size = tz_own_authkey(key);
	if (n)
		memcpy(buf, key, n < size ? n : size);
	return size;
}
