/* The calling strand: finding it, making it, and the waits that obey its scope. See strand.h. */
#include "core/strand.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/bindings.h"
#include "core/scope.h"
#include "core/spin.h"
#include "core/strand_thread.h"
#include "os/clock.h"
#include "os/mutex.h"

/* Strands that belong to nobody. The first few are static, so that ordinary programs never meet a failure here. */
enum { STATIC_STRANDS = 16, CHUNK_STRANDS = 64 };

static struct {
	struct tz_mutex lock;
	struct tz_strand *list;
	unsigned nstatic; /* how many of the static ones have been handed out */
} pool;
static struct tz_strand static_strands[STATIC_STRANDS];

_Thread_local struct tz_strand *tz_strand_current __attribute__((tls_model("initial-exec")));
static pthread_key_t exit_key;
static bool has_exit_key; /* without one, a strand a foreign thread is leaked */
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static void (*at_exit)(struct tz_strand *strand);

static struct tz_strand *take_free(void)
{
	if (!pool.list && pool.nstatic < STATIC_STRANDS)
		return &static_strands[pool.nstatic++];
	if (!pool.list) {
		struct tz_strand *chunk = mmap(NULL, CHUNK_STRANDS * sizeof *chunk, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (chunk == MAP_FAILED)
			return NULL;
		for (int i = 0; i < CHUNK_STRANDS; i++) {
			chunk[i].next_free = pool.list;
			pool.list = &chunk[i];
		}
	}
	struct tz_strand *s = pool.list;
	pool.list = s->next_free;
	return s;
}

void tz_strand_set_up(struct tz_strand *s, const struct tz_strand_ops *ops, uint32_t flags)
{
	/* The token is left alone: a late waker of the last owner may be about to set it, and is reading ops for that. */
	if (s->ops != ops)
		s->ops = ops;
	s->flags = flags;
	s->scope = NULL;
	s->frame = NULL;
	s->worker = NULL;
	s->on_block = NULL;
	s->on_job_end = NULL;
	s->base = NULL;
	s->borrows = false;
	s->restless = false;
	atomic_store_explicit(&s->dirty, 0, memory_order_relaxed);
	s->refused = 0;
	s->quick = 0;
	s->ident = 0;
	s->waits_for = NULL;
	s->waits_on = NULL;
	s->bindings = NULL;
	s->locals = NULL;
	s->nlocals = 0;
	s->next_free = NULL;
	s->last.status = TZ_PENDING;
	s->last_task = NULL;
}

void tz_strand_drop_locals(struct tz_strand *s)
{
	if (at_exit)
		at_exit(s);
}

struct tz_strand *tz_strand_new_thread(void)
{
	tz_mutex_lock(&pool.lock);
	struct tz_strand *s = take_free();
	tz_mutex_unlock(&pool.lock);
	if (!s)
		return NULL;
	tz_strand_set_up(s, &tz_thread_strand_ops, 0);
	return s;
}

void tz_strand_free(struct tz_strand *s)
{
	if (!s)
		return;
	if (at_exit)
		at_exit(s);
	tz_bindings_unref(s->bindings);
	s->bindings = NULL;
	if (tz_strand_current == s)
		tz_strand_current = NULL;
	tz_mutex_lock(&pool.lock);
	s->next_free = pool.list;
	pool.list = s;
	tz_mutex_unlock(&pool.lock);
}

void tz_strand_adopt(struct tz_strand *s)
{
	tz_strand_current = s;
}

void tz_strand_at_exit(void (*fn)(struct tz_strand *strand))
{
	at_exit = fn;
}

/* A foreign thread ends: its strand goes back. Threads of the library free theirs themselves, and clear `tz_strand_current`. */
static void foreign_thread_ends(void *strand)
{
	if (tz_strand_current == strand)
		tz_strand_free(strand);
}

static void make_exit_key(void)
{
	has_exit_key = pthread_key_create(&exit_key, foreign_thread_ends) == 0;
}

struct tz_strand *tz_strand_adopt_foreign(void)
{
	struct tz_strand *s;

	(void)pthread_once(&exit_once, make_exit_key);
	while (!(s = tz_strand_new_thread())) {
		/* Out of memory for some hundred bytes: no caller could do better than wait for some. */
		struct timespec ms = { .tv_nsec = 1000000 };
		(void)nanosleep(&ms, NULL);
	}
	tz_strand_current = s;
	if (has_exit_key)
		(void)pthread_setspecific(exit_key, s);
	return s;
}

uint64_t tz_strand_number(struct tz_strand *s)
{
	static _Atomic uint64_t last;

	return s->ident = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

bool tz_strand_may_spin(const struct tz_strand *s)
{
	return !(s->flags & TZ_STRAND_NO_SPIN) && tz_spin_allowed();
}

int tz_strand_interrupted(struct tz_strand *s)
{
	if (__builtin_expect(atomic_load_explicit(&s->dirty, memory_order_relaxed) != 0, 0))
		tz_scope_relay(s);
	return __builtin_expect(tz_scope_is_plain(s->scope), 1) ? 0 : tz_scope_interrupted(s->scope);
}

/* So many refused waits in a row give way at once; after that each one takes some time, which also lets a simulated clock go on. */
enum { REFUSALS = 100 };
#define REFUSAL 0.001

int tz_strand_refuse(struct tz_strand *s, int why)
{
	tz_scope_meet(s, why);
	if (++s->refused <= REFUSALS) {
		s->ops->yield(s);
		return why;
	}
	tz_strand_block_begin(s);
	(void)s->ops->park(s, tz_after(REFUSAL));
	tz_strand_block_end(s);
	return why;
}

tz_deadline tz_strand_deadline(struct tz_strand *s, tz_deadline deadline)
{
	return s->scope ? tz_deadline_min(deadline, tz_scope_limit(s->scope)) : deadline;
}

void tz_strand_block_begin(struct tz_strand *s)
{
	if (s->on_block)
		s->on_block(s, true);
}

void tz_strand_block_end(struct tz_strand *s)
{
	if (s->on_block)
		s->on_block(s, false);
}

/* How often a strand that runs a piece of another's job looks whether that was cancelled, and one without a stand-in tries again to have one;
 * in seconds. */
#define SLICE 0.02

const char tz_waits_for_future[] = "task", tz_waits_for_descriptor[] = "descriptor";

int tz_strand_park(struct tz_strand *s, tz_deadline deadline)
{
	tz_deadline slice = deadline;
	int r;

	if (__builtin_expect(atomic_load_explicit(&s->dirty, memory_order_relaxed) || !tz_scope_is_plain(s->scope), 0)) {
		r = tz_strand_interrupted(s);
		if (r < 0)
			return tz_strand_refuse(s, r);
		slice = tz_strand_deadline(s, deadline);
	}
	s->refused = 0;
	tz_strand_block_begin(s);
	if (s->borrows || s->restless)
		slice = tz_deadline_min(slice, tz_after(SLICE));
	r = s->ops->park(s, slice);
	tz_strand_block_end(s);
	s->waits_for = NULL;
	if (r != -ETIMEDOUT)
		return r;
	/* The slice is over, or the scope's deadline, which may have been moved meanwhile, or the wait's own. */
	r = tz_strand_interrupted(s);
	if (r < 0)
		return tz_strand_refuse(s, r);
	return tz_expired(deadline) ? -ETIMEDOUT : 0;
}

void tz_strand_park_deaf(struct tz_strand *s)
{
	if (__builtin_expect(atomic_load_explicit(&s->dirty, memory_order_relaxed) != 0, 0))
		tz_scope_relay(s);
	tz_strand_block_begin(s);
	(void)s->ops->park(s, __builtin_expect(s->restless, 0) ? tz_after(SLICE) : tz_never());
	tz_strand_block_end(s);
	s->waits_for = NULL;
}

void tz_strand_fork_prepare(void)
{
	tz_mutex_lock_unless_alone(&pool.lock);
}

void tz_strand_fork_done(void)
{
	tz_mutex_unlock_if_locked(&pool.lock);
}
