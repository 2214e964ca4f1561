/* Scopes, as the rest of the library sees them. */
#ifndef TZ_CORE_SCOPE_H
#define TZ_CORE_SCOPE_H

#include <trenza/scope.h>

struct tz_strand;

/* 0, -ECANCELED or -ETIMEDOUT, by the scope and its ancestors. */
int tz_scope_interrupted(const struct tz_scope *scope);

/* Tells a scope of a submit that got no memory and that it does not own: it ends with -EREMOTEIO. */
void tz_scope_refuse(struct tz_scope *scope);

static inline tz_deadline tz_scope_deadline(const struct tz_scope *scope)
{
	return scope->tz__deadline;
}

/* Sets up a scope of `strand` with a parent. The outermost scope of a job has its pool's as parent, not the strand's current one: what the
 * strand was doing around it (waiting, in a scope of its own) is none of the job's business. */
static inline void tz_scope_set_up(struct tz_scope *scope, struct tz_strand *strand, struct tz_scope *parent,
				   tz_deadline deadline)
{
	scope->tz__parent = parent;
	scope->tz__strand = strand;
	scope->tz__deadline = deadline;
	scope->tz__cancelled = 0;
	scope->tz__lock = 0;
	scope->tz__owned = NULL;
	scope->tz__count = scope->tz__room = 0;
	scope->tz__refused = 0;
}

#endif
