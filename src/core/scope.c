/* Scopes: the tree of deadlines and cancel requests, and the futures that a block of code owns.
 *
 * Design notes
 *
 * A strand's scopes are a stack, linked by parent, up to the outermost scope of its job. Only the strand enters and leaves scopes; others
 * may cancel one, or give it a future. To cancel is: set the flag, wake the strand (its waits look at the flags of all scopes up the
 * stack), cancel what the scope owns; that reaches the strands of the owned jobs in the same way. The deadline is copied down when a scope
 * is entered, so that a wait looks at one number; the cancelled flags are looked up along the parents, which are few.
 *
 * The scope's lock (a tz_mutex in tz__lock) guards the list of owned futures and makes a canceller that is under way hold up tz_scope_leave.
 * Lock order: a job's LOCKED bit (tz_job_cancel holds it while it cancels the job's scope) before a scope's lock. Owned futures are
 * cancelled outside of the scope's lock, on a copy of the list, since that takes LOCKED bits. A handle in the copy that has been released
 * meanwhile is stale, and cancelling it does nothing.
 */
#include "core/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/job.h"
#include "core/strand.h"

static struct tz_mutex *lock_of(tz_scope *scope)
{
	_Static_assert(sizeof(struct tz_mutex) == sizeof scope->tz__lock, "a scope's lock is a tz_mutex");
	return (struct tz_mutex *)(void *)&scope->tz__lock;
}

int tz_scope_interrupted(const struct tz_scope *scope)
{
	for (const struct tz_scope *s = scope; s; s = s->tz__parent)
		if (__atomic_load_n(&s->tz__cancelled, __ATOMIC_ACQUIRE))
			return -ECANCELED;
	return tz_expired(scope->tz__deadline) ? -ETIMEDOUT : 0;
}

int tz_interrupted(void)
{
	return tz_strand_interrupted(tz_strand_self());
}

void tz_scope_enter(tz_scope *scope, tz_deadline deadline)
{
	struct tz_strand *self = tz_strand_self();

	tz_scope_set_up(scope, self, self->scope, tz_strand_deadline(self, deadline));
	self->scope = scope;
}

int tz_scope_adopt_raw(tz_scope *scope, tz_handle future)
{
	int r = 0;

	tz_mutex_lock(lock_of(scope));
	if (scope->tz__count == scope->tz__room) {
		size_t room = scope->tz__room ? 2 * scope->tz__room : 8;
		tz_handle *owned = realloc(scope->tz__owned, room * sizeof *owned);

		if (owned) {
			scope->tz__owned = owned;
			scope->tz__room = room;
		} else {
			r = -ENOMEM;
		}
	}
	if (r == 0)
		scope->tz__owned[scope->tz__count++] = future;
	tz_mutex_unlock(lock_of(scope));
	if (r == 0 && __atomic_load_n(&scope->tz__cancelled, __ATOMIC_ACQUIRE))
		(void)tz_cancel_raw(future); /* level-triggered: also what comes after the cancel */
	return r;
}

void tz_scope_refuse(tz_scope *scope)
{
	__atomic_store_n(&scope->tz__refused, 1, __ATOMIC_RELEASE);
}

/* Cancels what the scope owns, one by one: the list may grow meanwhile, and each handle is copied out under the lock. */
static void cancel_owned(tz_scope *scope)
{
	for (size_t i = 0;; i++) {
		tz_handle future;

		tz_mutex_lock(lock_of(scope));
		bool more = i < scope->tz__count;
		if (more)
			future = scope->tz__owned[i];
		tz_mutex_unlock(lock_of(scope));
		if (!more)
			return;
		(void)tz_cancel_raw(future);
	}
}

void tz_scope_cancel(tz_scope *scope)
{
	struct tz_strand *strand = scope->tz__strand;

	__atomic_store_n(&scope->tz__cancelled, 1, __ATOMIC_RELEASE);
	cancel_owned(scope);
	tz_strand_unpark(strand);
}

/* Waits for what the scope owns, as its deadline and its own cancel flag allow. */
static int wait_for_owned(tz_scope *scope)
{
	for (size_t i = 0; i < scope->tz__count; i++) {
		int r = tz_wait_raw(scope->tz__owned[i], tz_never());

		if (r == -ETIMEDOUT || r == -ECANCELED)
			return r;
	}
	return 0;
}

/* Releases what the scope owns; all of it has ended. The first failure that was not our doing is the scope's. */
static int release_owned(tz_scope *scope, int cause)
{
	/* The jobs may have been ended by the scope's deadline or cancel before we came to wait for them. */
	int why = cause < 0 ? cause : tz_scope_interrupted(scope), r = cause;

	for (size_t i = 0; i < scope->tz__count; i++) {
		tz_outcome o;

		if (tz_outcome_raw(scope->tz__owned[i], &o) < 0)
			continue; /* released by tz_result before */
		bool ours = why < 0 && (o.status == TZ_CANCELLED || o.status == TZ_TIMED_OUT);

		if (ours && r == 0)
			r = why;
		if (o.status != TZ_OK && !ours && r != -EREMOTEIO) {
			r = -EREMOTEIO;
			tz_strand_self()->last = o;
			tz_strand_self()->last_task = NULL;
		}
		(void)tz_detach_raw(scope->tz__owned[i]);
	}
	if (r != -EREMOTEIO && __atomic_load_n(&scope->tz__refused, __ATOMIC_ACQUIRE)) {
		r = -EREMOTEIO;
		(void)tz_outcome_raw(tz_job_handle(&tz_job_no_memory), &tz_strand_self()->last);
		tz_strand_self()->last_task = NULL;
	}
	return r;
}

int tz_scope_leave(tz_scope *scope)
{
	struct tz_strand *self = scope->tz__strand;
	int cause = wait_for_owned(scope);

	if (cause < 0) {
		cancel_owned(scope);
		self->scope = NULL; /* the children are to end first, whatever the scopes around say */
		(void)wait_for_owned(scope);
	}
	self->scope = scope->tz__parent;
	int r = release_owned(scope, cause);

	tz_mutex_lock(lock_of(scope)); /* a canceller that is still under way goes first */
	tz_handle *owned = scope->tz__owned;
	tz_mutex_unlock(lock_of(scope));
	free(owned);
	*scope = tz__scope_zero();
	return r;
}

void tz__scope_cleanup(tz_scope *scope)
{
	if (scope->tz__strand)
		(void)tz_scope_leave(scope);
}
