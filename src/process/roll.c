/* The roll: the processes that run, and what becomes of them when the application ends.
 *
 * Design notes. `roll.lock` guards the list; it is held over a fork, whose child has none of these processes: they count as lost there. The handler at exit is registered when
 * the first process is started, so what was registered before runs when all have ended.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "core/strand.h"
#include "os/atomic.h"
#include "os/mutex.h"
#include "process/process.h"

static struct {
	struct tz_mutex lock;
	tz_process *first;
	size_t count;
	bool exit_watched;
} roll;

static _Atomic double exit_grace = (double)INFINITY;

enum { DAEMON_GRACE = 1 /* second */ };

/* --- the end of the application ------------------------------------------------------------------------------------------------ */

/* One that runs, with a reference. */
static tz_process *somebody(bool daemon)
{
	tz_process *p;

	tz_mutex_lock(&roll.lock);
	for (p = roll.first; p && p->daemon != daemon; p = p->next)
		;
	if (p)
		(void)tz_process_ref(p);
	tz_mutex_unlock(&roll.lock);
	return p;
}

static void signal_all(bool daemons, int signal)
{
	tz_mutex_lock(&roll.lock);
	for (tz_process *p = roll.first; p; p = p->next)
		if (p->daemon == daemons)
			(void)tz_process_signal(p, signal);
	tz_mutex_unlock(&roll.lock);
}

static int join_all(bool daemons, tz_deadline end)
{
	tz_process *p;
	int e = 0;

	while (e == 0 && (p = somebody(daemons))) {
		e = tz_process_join_until(p, end);
		e = e == -EINVAL ? 0 : e; /* it could not be started */
		tz_process_detach(p);
	}
	return e;
}

static void wait_at_exit(void)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_scope *scope = self->scope;

	self->scope = NULL; /* a scope that exit() was called in must not end this wait */
	signal_all(true, SIGTERM);
	if (join_all(false, tz_after(atomic_load(&exit_grace))) < 0)
		signal_all(false, SIGKILL);
	if (join_all(true, tz_after(DAEMON_GRACE)) < 0)
		signal_all(true, SIGKILL);
	/* What was killed ends, unless the kernel itself is stuck. */
	(void)join_all(false, tz_after(DAEMON_GRACE));
	(void)join_all(true, tz_after(DAEMON_GRACE));
	self->scope = scope;
}

double tz_process_exit_grace(double seconds)
{
	if (!(seconds >= 0))
		return atomic_load(&exit_grace);
	return atomic_exchange(&exit_grace, seconds);
}

/* --- the list --------------------------------------------------------------------------------------------------------------------- */

void tz_roll_enter(tz_process *p)
{
	(void)tz_process_ref(p);
	tz_mutex_lock(&roll.lock);
	if (!roll.exit_watched)
		roll.exit_watched = atexit(wait_at_exit) == 0;
	p->prev = NULL;
	p->next = roll.first;
	if (roll.first)
		roll.first->prev = p;
	roll.first = p;
	roll.count++;
	tz_mutex_unlock(&roll.lock);
}

/* Under the lock. */
static void unlink_it(tz_process *p)
{
	*(p->prev ? &p->prev->next : &roll.first) = p->next;
	if (p->next)
		p->next->prev = p->prev;
	p->next = p->prev = NULL;
	roll.count--;
}

void tz_roll_leave(tz_process *p)
{
	tz_mutex_lock(&roll.lock);
	unlink_it(p);
	tz_mutex_unlock(&roll.lock);
	tz_process_detach(p);
}

/* Who has joined it finds it in no list, and the child of a fork in the middle of this finds one or the other. */
void tz_roll_end(tz_process *p)
{
	tz_mutex_lock(&roll.lock);
	unlink_it(p);
	tz_store_seq_cst(&p->state, TZ_PROCESS_ENDED);
	tz_mutex_unlock(&roll.lock);
	tz_waiters_wake_all(&p->joiners);
	tz_process_detach(p);
}

size_t tz_process_list(tz_process **ret_processes, size_t max)
{
	size_t n = 0;

	tz_mutex_lock(&roll.lock);
	for (tz_process *p = roll.first; p && n < max; p = p->next)
		ret_processes[n++] = tz_process_ref(p);
	n = roll.count;
	tz_mutex_unlock(&roll.lock);
	return n;
}

/* --- fork ---------------------------------------------------------------------------------------------------------------------------- */

static void before_fork(void)
{
	tz_mutex_lock_unless_alone(&roll.lock);
}

static void in_parent(void)
{
	tz_mutex_unlock_if_locked(&roll.lock);
}

static void in_child(void)
{
	for (tz_process *p = roll.first, *next; p; p = next) {
		next = p->next;
		p->how = (struct tz_child_exit){ .code = -1, .lost = true };
		p->joiners = (struct tz_waiters){ .first = NULL };
		atomic_store(&p->state, TZ_PROCESS_ENDED);
		tz_process_detach(p);
	}
	if (roll.first) {
		roll.first = NULL;
		roll.count = 0;
	}
	tz_mutex_unlock_if_locked(&roll.lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(before_fork, in_parent, in_child);
}
