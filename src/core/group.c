/* Groups: a scope, and a policy that hears when each of its calls ends.
 *
 * Design notes
 *
 * The scope does the owning, the waiting and the cancelling (scope.c). For the policies that act when a call ends, each call has a waiter, a node of
 * the group, which fires on the strand that ended the call: the first one to matter is written down under the group's lock, and cuts the group
 * (tz_scope_end with TZ_SCOPE_CUT). That bit is the group's own: it is taken back when all have ended, and whatever else cancelled the scope, or those around,
 * is as it was. Nodes that have fired are used again, so that a group has as many as it has calls at a time.
 *
 * A node's last touch of the group is to unlock it when it has counted itself out (tz__live); the group is not left before that count is 0. fire() must not
 * look at the job, which its owner may have released.
 */
#include "core/group.h"

#include <errno.h>
#include <stdlib.h>

#include "core/job.h"
#include "core/outcome.h"
#include "core/scope.h"
#include "core/strand.h"

struct tz__group_child {
	struct tz_waiter waiter; /* first */
	tz_group *group;
	tz_handle future;
	uint64_t index;
	bool own_deadline; /* which comes before that of the scope */
	struct tz__group_child *next; /* idle */
};

static struct tz_mutex *lock_of(tz_group *g)
{
	_Static_assert(sizeof(struct tz_mutex) == sizeof g->tz__lock, "a group's lock is a tz_mutex");
	return (struct tz_mutex *)(void *)&g->tz__lock;
}

static tz_group_policy policy_of(const tz_group *g)
{
	return (tz_group_policy)(g->tz__policy & ~(uint32_t)TZ_GROUP_REAP);
}

/* --- hearing of ends --------------------------------------------------------------------------------------------------- */

/* Whether an end is a failure, and not what came of the group's being interrupted. A job that somebody cancelled by itself has not failed. */
static bool is_failure(int status, bool interrupted)
{
	return status != TZ_OK && status != TZ_CANCELLED && !(status == TZ_TIMED_OUT && interrupted);
}

/* Who fires may go by another clock than the group's strand, so this looks at none. */
static bool decides(const tz_group *g, const struct tz__group_child *c, int status)
{
	if (policy_of(g) == TZ_GROUP_RACE)
		return status == TZ_OK;
	return is_failure(status, !c->own_deadline);
}

static bool has_own_deadline(const tz_group *g, const struct tz_job *job)
{
	uint64_t own = job->options ? job->options->own_deadline.ns : 0, limit = tz_scope_limit(&g->tz__scope).ns;

	return own && (!limit || own < limit);
}

static void fire(struct tz_waiter *waiter, struct tz_job *job, int status)
{
	struct tz__group_child *c = (struct tz__group_child *)waiter;
	tz_group *g = c->group;

	(void)job;
	tz_mutex_lock(lock_of(g));
	bool first = g->tz__decided == 0 && decides(g, c, status);

	if (first) {
		g->tz__decided = c->index + 1;
		g->tz__decider = c->future;
	}
	tz_mutex_unlock(lock_of(g));
	if (first)
		tz_scope_end(&g->tz__scope, TZ_SCOPE_CUT);
	tz_mutex_lock(lock_of(g));
	c->next = g->tz__idle;
	g->tz__idle = c;
	struct tz_strand *strand = --g->tz__live == 0 ? g->tz__scope.tz__strand : NULL;

	tz_mutex_unlock(lock_of(g));
	if (strand)
		tz_strand_unpark(strand);
}

int tz_group_watch(struct tz_group *g, struct tz_job *job)
{
	tz_handle future = tz_job_handle(job);
	bool hears = policy_of(g) != TZ_GROUP_COLLECT;

	tz_mutex_lock(lock_of(g));
	struct tz__group_child *c = hears ? g->tz__idle : NULL;

	if (c)
		g->tz__idle = c->next;
	else if (hears)
		c = malloc(sizeof *c);
	if (c)
		*c = (struct tz__group_child){ .waiter.fire = fire,
					       .group = g,
					       .future = future,
					       .index = g->tz__count,
					       .own_deadline = has_own_deadline(g, job) };
	if (c)
		g->tz__live++;
	g->tz__count += c || !hears;
	tz_mutex_unlock(lock_of(g));
	if (!c)
		return hears ? -ENOMEM : 0;
	int r = tz_job_add_waiter(job, (uint32_t)future.tz__generation, &c->waiter);

	if (r != 0) /* the scope was cancelled, and the job with it */
		fire(&c->waiter, job, TZ_CANCELLED);
	return 0;
}

/* --- entering, waiting, leaving -------------------------------------------------------------------------------------------- */

void tz_group_enter(tz_group *g, tz_group_policy policy)
{
	bool reaps = ((uint32_t)policy & TZ_GROUP_REAP) != 0;
	uint32_t kind = (uint32_t)policy & ~(uint32_t)TZ_GROUP_REAP;

	tz_scope_enter(&g->tz__scope, tz_never());
	g->tz__lock = 0;
	g->tz__policy = kind <= TZ_GROUP_RACE ? kind : TZ_GROUP_FAIL_FAST;
	g->tz__scope.tz__reaps = reaps && kind != TZ_GROUP_RACE;
	g->tz__idle = NULL;
	g->tz__live = g->tz__count = g->tz__decided = 0;
	g->tz__told = 0;
}

static uint64_t live(tz_group *g)
{
	tz_mutex_lock(lock_of(g));
	uint64_t n = g->tz__live;
	tz_mutex_unlock(lock_of(g));
	return n;
}

/* Waits for all. What ended the wait before it was over, other than the policy: 0, -ECANCELED, -ETIMEDOUT. */
static int wait_for_all(tz_group *g)
{
	tz_scope *scope = &g->tz__scope;
	int cut = tz_scope_wait(scope), why;

	if (cut < 0)
		tz_scope_cut_short(scope);
	while (live(g)) /* those who ended the last ones are about to say so */
		tz_strand_park_deaf(scope->tz__strand);
	bool by_policy = __atomic_fetch_and(&scope->tz__cancelled, ~(uint32_t)TZ_SCOPE_CUT, __ATOMIC_ACQ_REL) & TZ_SCOPE_CUT;

	why = tz_scope_interrupted(scope);
	if (why == 0)
		scope->tz__met = 0; /* it was the policy, or a scope inside the group's */
	return why == 0 && !by_policy ? cut : why;
}

/* The first failure in order of spawning: whether there was one. `ended`: jobs were cancelled or late because of the group. */
static bool first_failure(tz_group *g, bool ended, tz_outcome *ret)
{
	tz_handle future;

	for (size_t i = 0; tz_scope_owned_at(&g->tz__scope, i, &future); i++) {
		const struct tz_job *job = future.tz__cell;

		if (tz_done_raw(future) == 1 && is_failure(job->status, ended))
			return tz_outcome_raw(future, ret) == 0;
	}
	return false;
}

static int fail(tz_group *g, const tz_outcome *outcome)
{
	if (outcome)
		tz_remember(g->tz__scope.tz__strand, outcome);
	g->tz__told = 1;
	return -EREMOTEIO;
}

int tz_group_wait(tz_group *g)
{
	int why = wait_for_all(g);
	tz_outcome o;

	if (policy_of(g) == TZ_GROUP_RACE && g->tz__decided)
		return 0;
	if (g->tz__decided) /* who has released it has seen it */
		return fail(g, tz_outcome_raw(g->tz__decider, &o) == 0 ? &o : NULL);
	if (first_failure(g, why < 0, &o))
		return fail(g, &o);
	if (__atomic_load_n(&g->tz__scope.tz__refused, __ATOMIC_ACQUIRE)) {
		tz_job_outcome(&tz_job_no_memory, &o);
		return fail(g, &o);
	}
	if (why < 0)
		return why;
	return policy_of(g) == TZ_GROUP_RACE ? -ENOENT : 0;
}

/* All have ended. What lost a race, and what was cancelled with the group, is nobody's concern any more. */
static void release(tz_group *g, bool ended)
{
	tz_handle future;

	for (size_t i = 0; tz_scope_owned_at(&g->tz__scope, i, &future); i++) {
		struct tz_job *job = future.tz__cell;

		if (tz_done_raw(future) != 1)
			continue;
		if (policy_of(g) == TZ_GROUP_RACE || !is_failure(job->status, ended || g->tz__decided))
			atomic_store_explicit(&job->observed, 1, memory_order_relaxed);
		(void)tz_detach_raw(future);
	}
}

int tz_group_leave(tz_group *g)
{
	tz_scope *scope = &g->tz__scope;
	struct tz_strand *self = scope->tz__strand;
	int r = tz_group_wait(g);

	release(g, r < 0);
	self->scope = scope->tz__parent;
	tz_scope_done(scope);
	while (g->tz__idle) {
		struct tz__group_child *c = g->tz__idle;

		g->tz__idle = c->next;
		free(c);
	}
	*g = tz__group_zero();
	return r;
}

void tz_group_cancel(tz_group *g)
{
	tz_scope_cancel(&g->tz__scope);
}

long tz_group_winner(tz_group *g)
{
	tz_mutex_lock(lock_of(g));
	long winner = (long)g->tz__decided - 1;
	tz_mutex_unlock(lock_of(g));
	return winner;
}

void tz__group_cleanup(tz_group *g)
{
	if (!g->tz__scope.tz__strand)
		return;
	bool told = g->tz__told;

	if (tz_group_leave(g) == -EREMOTEIO && !told)
		(void)tz_fail(-EREMOTEIO, "%s, in its group: %s%s%.70s", tz_last()->task, tz_status_name(tz_last()->status),
			      tz_last()->message[0] ? ": " : "", tz_last()->message);
}
