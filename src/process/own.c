/* The calling process: its handle, its parent's, its key, and its default start method. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/outcome.h"
#include "os/clock.h"
#include "os/fork.h"
#include "os/mutex.h"
#include "os/pidfd.h"
#include "process/nursery.h"
#include "process/process.h"

_Atomic int tz_start_method_fixed TZ_WRITTEN_BY_CHILD;

static struct {
	struct tz_mutex lock;
	const struct tz_birth *birth; /* that the two handles were made for */
	bool made;
	tz_process own, parent;
} here;

static struct {
	struct tz_mutex lock;
	unsigned char bytes[TZ_AUTHKEY_MAX];
	size_t size;
} key TZ_WRITTEN_BY_CHILD;

/* --- handles ------------------------------------------------------------------------------------------------------------------------- */

static void make(tz_process *p, enum tz_process_kind kind, const char *name)
{
	p->kind = kind;
	atomic_store(&p->state, TZ_PROCESS_RUNNING);
	p->report = p->pidfd = -1;
	tz_copy_text(p->name, sizeof p->name, name);
}

/* Anew in the child of a fork. */
static void make_both(void)
{
	const struct tz_birth *b = tz_birth_own();

	tz_mutex_lock(&here.lock);
	if (!here.made || here.birth != b) {
		make(&here.own, TZ_PROCESS_OWN, b ? b->name : "MainProcess");
		here.own.daemon = b && b->daemon;
		if (b) {
			make(&here.parent, TZ_PROCESS_PARENT, "ParentProcess");
			here.parent.pid = b->parent;
			here.parent.pidfd = tz_pidfd_open(b->parent);
		}
		here.birth = b;
		here.made = true;
	}
	tz_mutex_unlock(&here.lock);
}

tz_process *tz_process_current(void)
{
	make_both();
	return &here.own;
}

tz_process *tz_process_parent(void)
{
	make_both();
	return here.birth ? &here.parent : NULL;
}

/* --- the key --------------------------------------------------------------------------------------------------------------------------- */

void tz_own_authkey_set(const unsigned char *bytes, size_t size)
{
	tz_mutex_lock(&key.lock);
	memcpy(key.bytes, bytes, size);
	key.size = size;
	tz_mutex_unlock(&key.lock);
}

size_t tz_own_authkey(unsigned char *to)
{
	size_t size;

	tz_mutex_lock(&key.lock);
	if (key.size == 0 && getrandom(key.bytes, 32, 0) == 32)
		key.size = 32;
	size = key.size;
	memcpy(to, key.bytes, size);
	tz_mutex_unlock(&key.lock);
	return size;
}

/* --- the default method --------------------------------------------------------------------------------------------------------------- */

tz_start_method tz_start_method_default(void)
{
	int fixed = atomic_load(&tz_start_method_fixed);

	return fixed ? (tz_start_method)fixed : TZ_START_FORKSERVER;
}

int tz_start_method_set_default(tz_start_method method)
{
	int none = 0;

	if (method < TZ_START_FORK || method > TZ_START_FORKSERVER)
		return -EINVAL;
	return atomic_compare_exchange_strong(&tz_start_method_fixed, &none, (int)method) || none == (int)method ? 0 : -EALREADY;
}

const char *tz_start_method_name(tz_start_method method)
{
	static const char *const names[] = { "default", "fork", "spawn", "forkserver" };

	return (unsigned)method < sizeof names / sizeof *names ? names[method] : "unknown";
}

int tz_child_method_of(int start, enum tz_child_method *ret)
{
	static const enum tz_child_method methods[] = { TZ_CHILD_FORKSERVER, TZ_CHILD_FORK, TZ_CHILD_SPAWN, TZ_CHILD_FORKSERVER };

	if (start < 0 || start > TZ_START_FORKSERVER)
		return -EINVAL;
	if (start == TZ_START_DEFAULT) {
		(void)tz_start_method_set_default(TZ_START_FORKSERVER); /* fixed by use, if by nothing else */
		start = tz_start_method_default();
	}
	*ret = methods[start];
	return 0;
}

/* --- fork -------------------------------------------------------------------------------------------------------------------------------- */

static void before_fork(void)
{
	tz_mutex_lock_unless_alone(&here.lock);
	tz_mutex_lock_unless_alone(&key.lock);
}

static void after_fork(void)
{
	tz_mutex_unlock_if_locked(&key.lock);
	tz_mutex_unlock_if_locked(&here.lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(before_fork, after_fork, after_fork);
}
