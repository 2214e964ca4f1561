/* Scopes: the tree of deadlines and cancel requests, and the futures that a block of code owns.
 *
 * Design notes
 *
 * A strand's scopes are a stack, linked by parent, up to the outermost scope of its job. Only the strand enters and leaves scopes; others
 * may cancel one, move its deadline, or give it a future. What interrupts a scope is worked out by a walk along the parents at each wait, up to the first
 * shield: they are few, and so nothing that was copied has to be put right when a deadline moves.
 *
 * A request from another strand is a store into the scope, then `dirty` in its strand, then a wake-up. The strand's next look at its scopes finds
 * `dirty` and passes on what has come, to the jobs that its scopes own (tz_scope_relay): their outermost scopes get the same, their strands
 * look in their turn. So a request goes down the tree of jobs, each strand doing what is to be done in its own scopes. To be prompt where a strand computes
 * and does not look, a cancel also tells what the cancelled scope owns, and what those jobs' outermost scopes own, and so on, by itself; from a list
 * (struct errand), not by recursion, since the tree may be deeper than the stack.
 *
 * Owned futures. The strand adds to `owned` without the lock: it writes the handle, then the count (release). Others read the list under the lock; so the
 * strand takes the lock to move, shrink or free it. What other strands give the scope has a list of its own, under the lock. A canceller that misses
 * a future which is being added: `dirty` is set, and the strand's next look finds both. A full list is rid of released futures before it grows, and
 * grows only if half of it is in use, so that a scope that is open for ever stays as large as what lives in it.
 *
 * A canceller counts itself in before it sets the flag, and out when it has done with the scope; who leaves the scope waits for that. So it is enough that
 * the scope is entered when a cancel begins. Lock order: a job's LOCKED bit
 * (tz_job_cancel holds it while it cancels the job's scope) before a scope's lock. Owned futures are cancelled outside of the scope's lock, since that
 * takes LOCKED bits. A handle that has been released meanwhile is stale, and cancelling it does nothing.
 */
#include "core/scope.h"

#include <stdlib.h>
#include <string.h>

#include "core/clocks.h"
#include "core/frame.h"
#include "core/job.h"
#include "core/outcome.h"
#include "core/strand.h"
#include "os/cpu.h"

static struct tz_mutex *lock_of(const tz_scope *scope)
{
	_Static_assert(sizeof(struct tz_mutex) == sizeof scope->tz__lock, "a scope's lock is a tz_mutex");
	return (struct tz_mutex *)(uintptr_t)&scope->tz__lock;
}

/* --- what interrupts a scope --------------------------------------------------------------------------------------------- */

static const tz_scope *outer(const tz_scope *scope)
{
	return scope->tz__shield ? NULL : scope->tz__parent;
}

/* The outermost scope that is cancelled, else the outermost that is late. */
static const tz_scope *cause_of(const tz_scope *scope, int *why)
{
	const tz_scope *cancelled = NULL, *late = NULL;
	uint64_t now = 0;

	for (const tz_scope *s = scope; s; s = outer(s)) {
		uint64_t deadline = __atomic_load_n(&s->tz__deadline, __ATOMIC_RELAXED);

		if (__atomic_load_n(&s->tz__cancelled, __ATOMIC_ACQUIRE))
			cancelled = s;
		if (!deadline)
			continue;
		if (!now)
			now = tz_now();
		if (now >= deadline)
			late = s;
	}
	*why = cancelled ? -ECANCELED : late ? -ETIMEDOUT : 0;
	return cancelled ? cancelled : late;
}

int tz_scope_interrupted(const struct tz_scope *scope)
{
	int why;

	(void)cause_of(scope, &why);
	return why;
}

void tz_scope_meet(struct tz_strand *strand, int why)
{
	int now;
	const tz_scope *cause = cause_of(strand->scope, &now);

	for (tz_scope *s = strand->scope; s && s->tz__strand == strand; s = s->tz__parent) {
		s->tz__met = why;
		if (s == cause || s->tz__shield)
			return;
	}
}

int tz_interrupted(void)
{
	return tz_strand_interrupted(tz_strand_self());
}

const tz_scope *tz_interrupted_by(void)
{
	int why;

	return cause_of(tz_strand_self()->scope, &why);
}

tz_deadline tz_scope_deadline(const tz_scope *scope)
{
	return tz_scope_limit(scope);
}

bool tz_scope_expired(const tz_scope *scope)
{
	tz_deadline own = { __atomic_load_n(&scope->tz__deadline, __ATOMIC_RELAXED) };

	return tz_expired(own);
}

bool tz_scope_cancelled(const tz_scope *scope)
{
	return __atomic_load_n(&scope->tz__cancelled, __ATOMIC_ACQUIRE) != 0;
}

/* --- what a scope owns ----------------------------------------------------------------------------------------------------- */

/* Whether somebody may still want the future. One that ended well does not count where the scope reaps. */
static bool is_held(const tz_scope *scope, tz_handle future)
{
	const struct tz_job *job = future.tz__cell;

	if (!job || tz_job_generation(atomic_load_explicit(&job->state, memory_order_relaxed)) != (uint32_t)future.tz__generation)
		return false;
	int done = scope->tz__reaps ? tz_done_raw(future) : 0;

	if (done != 1 || !scope->tz__reaps || ((struct tz_job *)future.tz__cell)->status != TZ_OK)
		return done >= 0;
	(void)tz_detach_raw(future);
	return false;
}

/* Keeps the order. Under the lock. */
static uint32_t weed(const tz_scope *scope, tz_handle *list, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (is_held(scope, list[i]))
			list[kept++] = list[i];
	return kept;
}

/* Twice the room, for a list of n. NULL without memory. */
static tz_handle *grown(tz_handle *list, uint32_t n, uint32_t room)
{
	tz_handle *more = malloc((size_t)room * sizeof *more);

	if (more && n)
		memcpy(more, list, n * sizeof *more);
	return more;
}

int tz_scope_make_room(struct tz_scope *scope)
{
	tz_handle *old = NULL;

	tz_mutex_lock(lock_of(scope));
	uint32_t room = scope->tz__room, n = weed(scope, scope->tz__owned, scope->tz__count);
	tz_handle *more = n > room / 2 ? grown(scope->tz__owned, n, 2 * room) : NULL;

	if (more) {
		old = scope->tz__owned != scope->tz__few ? scope->tz__owned : NULL;
		scope->tz__owned = more;
		scope->tz__room = 2 * room;
	}
	__atomic_store_n(&scope->tz__count, n, __ATOMIC_RELEASE);
	tz_mutex_unlock(lock_of(scope));
	free(old);
	return n < scope->tz__room ? 0 : -ENOMEM;
}

/* Under the lock. */
static int make_room_for_given(tz_scope *scope)
{
	uint32_t n = weed(scope, scope->tz__given, scope->tz__ngiven), room = scope->tz__given_room;
	tz_handle *more = n >= room / 2 ? grown(scope->tz__given, n, room ? 2 * room : 8) : NULL;

	if (more) {
		free(scope->tz__given);
		scope->tz__given = more;
		scope->tz__given_room = room ? 2 * room : 8;
	}
	__atomic_store_n(&scope->tz__ngiven, n, __ATOMIC_RELAXED);
	__atomic_store_n(&scope->tz__weeded, scope->tz__weeded + 1, __ATOMIC_RELAXED);
	return n < scope->tz__given_room ? 0 : -ENOMEM;
}

static int give(tz_scope *scope, tz_handle future)
{
	tz_mutex_lock(lock_of(scope));
	int r = scope->tz__ngiven == scope->tz__given_room ? make_room_for_given(scope) : 0;

	if (r == 0) {
		scope->tz__given[scope->tz__ngiven] = future;
		__atomic_store_n(&scope->tz__ngiven, scope->tz__ngiven + 1, __ATOMIC_RELAXED);
	}
	tz_mutex_unlock(lock_of(scope));
	return r;
}

int tz_scope_adopt_raw(tz_scope *scope, tz_handle future)
{
	bool own = scope->tz__strand == tz_strand_self();
	int r = own ? tz_scope_keep(scope, future) : give(scope, future);

	/* Level-triggered: also what comes after the cancel. Only the scope's own strand may look further up. */
	if (r == 0 && (own ? tz_scope_is_cancelled(scope) : tz_scope_cancelled(scope)))
		(void)tz_cancel_raw(future);
	return r;
}

void tz_scope_refuse(tz_scope *scope)
{
	__atomic_store_n(&scope->tz__refused, 1, __ATOMIC_RELEASE);
}

bool tz_scope_owned_at(const struct tz_scope *scope, size_t i, tz_handle *ret)
{
	tz_mutex_lock(lock_of(scope));
	size_t n = __atomic_load_n(&scope->tz__count, __ATOMIC_ACQUIRE);
	bool there = i < n + scope->tz__ngiven;

	if (there)
		*ret = i < n ? scope->tz__owned[i] : scope->tz__given[i - n];
	tz_mutex_unlock(lock_of(scope));
	return there;
}

/* --- cancelling ---------------------------------------------------------------------------------------------------------------- */

/* The futures that the cancel which is under way on this thread has still to tell. It never waits, so the thread is one strand's meanwhile. */
struct errand {
	tz_handle *list;
	size_t n, room;
	tz_handle few[32];
};

static _Thread_local struct errand *errand __attribute__((tls_model("initial-exec")));

/* Without memory, their strand will tell them when it looks. */
static void put_off(struct errand *e, tz_handle future)
{
	if (e->n == e->room) {
		tz_handle *more = grown(e->list, (uint32_t)e->n, 2 * (uint32_t)e->room);

		if (!more)
			return;
		if (e->list != e->few)
			free(e->list);
		e->list = more;
		e->room *= 2;
	}
	e->list[e->n++] = future;
}

static void tell_all(struct errand *e)
{
	while (e->n)
		(void)tz_cancel_raw(e->list[--e->n]);
}

/* Cancels what a scope owns. */
static void cancel_owned(const tz_scope *scope)
{
	struct errand mine = { .list = mine.few, .room = sizeof mine.few / sizeof *mine.few };
	bool nested = errand != NULL;
	tz_handle future;

	if (!nested)
		errand = &mine;
	for (size_t i = 0; tz_scope_owned_at(scope, i, &future); i++) {
		if (nested) {
			put_off(errand, future);
			continue;
		}
		(void)tz_cancel_raw(future);
		tell_all(&mine);
	}
	if (nested)
		return;
	errand = NULL;
	if (mine.list != mine.few)
		free(mine.list);
}

static void make_it_look(struct tz_strand *strand)
{
	atomic_store_explicit(&strand->dirty, 1, memory_order_release);
	tz_strand_unpark(strand);
}

void tz_scope_end(struct tz_scope *scope, uint32_t reason)
{
	struct tz_strand *strand = scope->tz__strand;

	(void)__atomic_fetch_add(&scope->tz__busy, 1, __ATOMIC_RELAXED); /* who sees the flag sees this, too */
	(void)__atomic_fetch_or(&scope->tz__cancelled, reason, __ATOMIC_RELEASE);
	cancel_owned(scope);
	(void)__atomic_fetch_sub(&scope->tz__busy, 1, __ATOMIC_RELEASE); /* the last touch: the scope may be left now */
	make_it_look(strand);
}

void tz_scope_cancel(tz_scope *scope)
{
	tz_scope_end(scope, TZ_SCOPE_CANCELLED);
}

/* --- moving deadlines, passing on ---------------------------------------------------------------------------------------------- */

static void limit_owned(const tz_scope *scope)
{
	tz_deadline limit = tz_scope_limit(scope);
	tz_handle f;

	for (size_t i = 0; tz_scope_owned_at(scope, i, &f); i++)
		if (f.tz__cell) /* an all-zero handle is stale */
			(void)tz_job_limit(f.tz__cell, (uint32_t)f.tz__generation, limit);
}

void tz_scope_move(struct tz_scope *scope, tz_deadline deadline)
{
	struct tz_strand *strand = scope->tz__strand;

	__atomic_store_n(&scope->tz__deadline, deadline.ns, __ATOMIC_RELEASE); /* the last touch: the scope may be left now */
	make_it_look(strand);
}

int tz_scope_reschedule(tz_scope *scope, tz_deadline deadline)
{
	struct tz_strand *self = tz_strand_self();
	bool own = scope->tz__strand == self;
	bool too_late = own && scope->tz__met == -ETIMEDOUT && tz_scope_expired(scope);

	tz_scope_move(scope, tz_deadline_between(deadline, self, scope->tz__strand));
	if (own)
		tz_scope_relay(scope->tz__strand);
	return too_late ? -ETIMEDOUT : 0;
}

static void relay_from(struct tz_strand *strand, const tz_scope *scope)
{
	for (; scope && scope->tz__strand == strand; scope = scope->tz__parent) {
		if (!tz_scope_owns(scope))
			continue;
		if (tz_scope_is_cancelled(scope))
			cancel_owned(scope);
		else
			limit_owned(scope);
	}
}

void tz_scope_relay(struct tz_strand *strand)
{
	const tz_scope *scope = strand->scope;

	atomic_exchange_explicit(&strand->dirty, 0, memory_order_acquire);
	for (const struct tz_frame *f = strand->frame; f; f = f->outer) {
		relay_from(strand, scope);
		scope = f->outer_scope;
	}
	relay_from(strand, scope);
}

/* --- entering and leaving -------------------------------------------------------------------------------------------------------- */

void tz_scope_enter(tz_scope *scope, tz_deadline deadline)
{
	struct tz_strand *self = tz_strand_self();

	tz_scope_set_up(scope, self, self->scope, deadline);
	self->scope = scope;
}

void tz_scope_enter_shield(tz_scope *scope, tz_deadline deadline)
{
	tz_scope_enter(scope, deadline);
	scope->tz__shield = 1;
}

int tz_scope_wait(struct tz_scope *scope)
{
	bool waited;
	uint32_t weeded;
	tz_handle future;

	/* Until a whole round has found nothing to wait for, and nobody has shifted the list under it. */
	do {
		waited = false;
		weeded = __atomic_load_n(&scope->tz__weeded, __ATOMIC_RELAXED);
		for (size_t i = 0; tz_scope_owned_at(scope, i, &future); i++) {
			if (tz_done_raw(future) != 0)
				continue;
			int r = tz_wait_raw(future, tz_never());

			if (r == -ETIMEDOUT || r == -ECANCELED)
				return r;
			waited |= r == 0;
		}
	} while (waited || weeded != __atomic_load_n(&scope->tz__weeded, __ATOMIC_RELAXED));
	return 0;
}

void tz_scope_cut_short(struct tz_scope *scope)
{
	struct tz_strand *self = scope->tz__strand;
	struct tz_scope *current = self->scope;

	cancel_owned(scope);
	self->scope = NULL; /* what it owns is to end first, whatever the scopes around say */
	(void)tz_scope_wait(scope);
	self->scope = current;
}

static bool is_bad(const struct tz_job *job, bool unseen)
{
	if (job == &tz_job_no_memory)
		return true; /* it stands for several, and cannot say who looked */
	if (job->status == TZ_OK)
		return false;
	return !unseen || (job->status != TZ_CANCELLED && !atomic_load_explicit(&job->observed, memory_order_relaxed));
}

int tz_scope_release(struct tz_scope *scope, int cause, bool unseen, tz_outcome *ret)
{
	/* The jobs may have been ended by the scope's deadline or cancel before we came to wait for them. */
	int why = cause < 0 ? cause : tz_scope_interrupted(scope), r = cause;
	tz_handle future;

	for (size_t i = 0; tz_scope_owned_at(scope, i, &future); i++) {
		struct tz_job *job = future.tz__cell;

		if (tz_done_raw(future) != 1)
			continue; /* released by tz_result before */
		bool ours = why < 0 && (job->status == TZ_CANCELLED || job->status == TZ_TIMED_OUT);

		if (ours) {
			scope->tz__met = why;
			r = r == 0 ? why : r;
			atomic_store_explicit(&job->observed, 1, memory_order_relaxed); /* who cancels knows */
		}
		if (!ours && r != -EREMOTEIO && is_bad(job, unseen)) {
			r = -EREMOTEIO;
			tz_job_outcome(job, ret);
			atomic_store_explicit(&job->observed, 1, memory_order_relaxed);
		}
		(void)tz_detach_raw(future);
	}
	if (r != -EREMOTEIO && __atomic_load_n(&scope->tz__refused, __ATOMIC_ACQUIRE)) {
		r = -EREMOTEIO;
		tz_job_outcome(&tz_job_no_memory, ret);
	}
	return r;
}

void tz_scope_done(struct tz_scope *scope)
{
	for (unsigned spins = 0; __atomic_load_n(&scope->tz__busy, __ATOMIC_ACQUIRE);)
		tz_cpu_backoff(&spins);
	tz_mutex_lock(lock_of(scope));
	tz_handle *owned = scope->tz__owned != scope->tz__few ? scope->tz__owned : NULL, *given = scope->tz__given;

	scope->tz__owned = scope->tz__few;
	scope->tz__room = sizeof scope->tz__few / sizeof *scope->tz__few;
	scope->tz__given = NULL;
	scope->tz__given_room = 0;
	__atomic_store_n(&scope->tz__count, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&scope->tz__ngiven, 0, __ATOMIC_RELAXED);
	tz_mutex_unlock(lock_of(scope));
	free(owned);
	free(given);
}

int tz_scope_leave(tz_scope *scope)
{
	struct tz_strand *self = scope->tz__strand;
	int r = 0;

	if (tz_scope_owns(scope) || tz_scope_has_refused(scope)) {
		tz_outcome first;
		int cause = tz_scope_wait(scope);

		if (cause < 0)
			tz_scope_cut_short(scope);
		r = tz_scope_release(scope, cause, false, &first);
		if (r == -EREMOTEIO)
			tz_remember(self, &first);
	}
	if (r == 0)
		r = scope->tz__met;
	self->scope = scope->tz__parent;
	tz_scope_done(scope);
	*scope = tz__scope_zero();
	return r;
}

void tz__scope_cleanup(tz_scope *scope)
{
	if (scope->tz__strand)
		(void)tz_scope_leave(scope);
}
