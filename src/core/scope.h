/* Scopes, as the rest of the library sees them. */
#ifndef TZ_CORE_SCOPE_H
#define TZ_CORE_SCOPE_H

#include <errno.h>
#include <stddef.h>

#include <trenza/scope.h>

struct tz_strand;

/* Why a scope is cancelled: bits of tz__cancelled. */
enum {
	TZ_SCOPE_CANCELLED = 1, /* by a call */
	TZ_SCOPE_CUT = 2 /* by the policy of its group, which takes it back when all have ended */
};

/* 0, -ECANCELED or -ETIMEDOUT, by the scope and its ancestors. */
int tz_scope_interrupted(const struct tz_scope *scope);

/* Writes down, in the scopes of the strand that this concerns, that a wait has ended because of `why`. */
void tz_scope_meet(struct tz_strand *strand, int why);

/* Passes on to what the strand's scopes own what has reached them: cancels, and moved deadlines. */
void tz_scope_relay(struct tz_strand *strand);

/* Cancels a scope for one of the reasons above. */
void tz_scope_end(struct tz_scope *scope, uint32_t reason);

/* Moves the deadline of a scope and wakes its strand, which passes it on. */
void tz_scope_move(struct tz_scope *scope, tz_deadline deadline);

/* Tells a scope of a submit that got no memory and that it does not own: it ends with -EREMOTEIO. */
void tz_scope_refuse(struct tz_scope *scope);

/* Makes room for one more future of the scope's own strand. */
int tz_scope_make_room(struct tz_scope *scope);

/* The i-th of what the scope owns, for any strand: false if there are fewer. */
bool tz_scope_owned_at(const struct tz_scope *scope, size_t i, tz_handle *ret);

/* Waits for what the scope owns, which is the strand's current one: 0, or what ended the wait. */
int tz_scope_wait(struct tz_scope *scope);

/* Cancels what the scope owns and waits for it, whatever the scopes around say. */
void tz_scope_cut_short(struct tz_scope *scope);

/* Releases what the scope owns; all of it has ended. `cause`: 0, or why it was cut short. 0, or the cause if it ended something, or -EREMOTEIO if a
 * job ended badly by itself, with its outcome in *ret. `unseen`: a job that was cancelled, or whose outcome somebody looked at, is no such job. */
int tz_scope_release(struct tz_scope *scope, int cause, bool unseen, tz_outcome *ret);

/* Frees the lists of a scope that owns nothing any more, when cancellers that are under way have gone. */
void tz_scope_done(struct tz_scope *scope);

/* The earliest deadline of the scope and its ancestors. */
static inline tz_deadline tz_scope_limit(const struct tz_scope *scope)
{
	tz_deadline limit = { 0 };

	for (const struct tz_scope *s = scope; s; s = s->tz__shield ? NULL : s->tz__parent) {
		tz_deadline own = { __atomic_load_n(&s->tz__deadline, __ATOMIC_RELAXED) };

		limit = tz_deadline_min(limit, own);
	}
	return limit;
}

/* Whether the scope or an ancestor has been cancelled. */
static inline bool tz_scope_is_cancelled(const struct tz_scope *scope)
{
	for (const struct tz_scope *s = scope; s; s = s->tz__shield ? NULL : s->tz__parent)
		if (__atomic_load_n(&s->tz__cancelled, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* Whether nobody has cancelled the scope, and there is no deadline: most of the time, and quickly found out. NULL is plain. */
static inline bool tz_scope_is_plain(const struct tz_scope *scope)
{
	for (const struct tz_scope *s = scope; s; s = s->tz__shield ? NULL : s->tz__parent)
		if (__atomic_load_n(&s->tz__cancelled, __ATOMIC_ACQUIRE) |
		    __atomic_load_n(&s->tz__deadline, __ATOMIC_RELAXED))
			return false;
	return true;
}

/* Whether the scope has owned something. What other strands gave it is seen if they are known to have done so. */
static inline bool tz_scope_owns(const struct tz_scope *scope)
{
	return (__atomic_load_n(&scope->tz__count, __ATOMIC_RELAXED) |
		__atomic_load_n(&scope->tz__ngiven, __ATOMIC_RELAXED)) != 0;
}

static inline bool tz_scope_has_refused(const struct tz_scope *scope)
{
	return __atomic_load_n(&scope->tz__refused, __ATOMIC_RELAXED) != 0;
}

/* Makes the scope the owner of a future. Only its own strand. 0 or -ENOMEM. */
static inline int tz_scope_keep(struct tz_scope *scope, tz_handle future)
{
	uint32_t n = __atomic_load_n(&scope->tz__count, __ATOMIC_RELAXED);

	if (__builtin_expect(n == scope->tz__room, 0)) {
		if (tz_scope_make_room(scope) < 0)
			return -ENOMEM;
		n = __atomic_load_n(&scope->tz__count, __ATOMIC_RELAXED);
	}
	scope->tz__owned[n] = future;
	__atomic_store_n(&scope->tz__count, n + 1, __ATOMIC_RELEASE);
	return 0;
}

/* Sets up a scope of `strand` with a parent. The outermost scope of a job has its pool's as parent, not the strand's current one: what the
 * strand was doing around it (waiting, in a scope of its own) is none of the job's business. */
static inline void tz_scope_set_up(struct tz_scope *scope, struct tz_strand *strand, struct tz_scope *parent,
				   tz_deadline deadline)
{
	scope->tz__parent = parent;
	scope->tz__strand = strand;
	scope->tz__deadline = deadline.ns;
	scope->tz__cancelled = scope->tz__busy = 0;
	scope->tz__lock = 0;
	scope->tz__owned = scope->tz__few;
	scope->tz__count = 0;
	scope->tz__room = sizeof scope->tz__few / sizeof *scope->tz__few;
	scope->tz__given = NULL;
	scope->tz__ngiven = scope->tz__given_room = 0;
	scope->tz__refused = scope->tz__weeded = 0;
	scope->tz__met = 0;
	scope->tz__shield = scope->tz__reaps = 0;
}

#endif
