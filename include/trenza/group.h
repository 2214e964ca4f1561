/* Groups: calls that belong together, with a rule for what happens when one of them fails, or wins.
 *
 *     TZ_GROUP(g, TZ_GROUP_FAIL_FAST) {
 *             tz_group_spawn(&g, fetch, "a");
 *             tz_group_spawn(&g, fetch, "b");
 *             if (tz_group_wait(&g) < 0)
 *                     tz_perror("fetch");      // the first that failed; the other was cancelled, and has ended
 *     }                                        // nothing of the group is alive here, in any case
 *
 *     fetch_future mirror[3];
 *     TZ_GROUP(g, TZ_GROUP_RACE) {
 *             for (int i = 0; i < 3; i++)
 *                     mirror[i] = tz_group_spawn(&g, fetch, url[i]);
 *             if (tz_group_wait(&g) == 0)
 *                     tz_result(mirror[tz_group_winner(&g)], &page);
 *     }
 *
 * A group is a scope (scope.h) with a policy. While it is open, waits in its block end when the policy cancels the group, and go on when tz_group_wait has
 * returned, as the rest of the block is about what came of it. What cancels or times out a scope around the group, or the job, goes through the group and is
 * still there behind it: what the policy did is taken back by the group alone.
 */
#ifndef TRENZA_GROUP_H
#define TRENZA_GROUP_H

#include <trenza/executor.h>
#include <trenza/future.h>
#include <trenza/scope.h>
#include <trenza/spawn.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* What a group does when one of its calls ends. */
typedef enum tz_group_policy {
	TZ_GROUP_FAIL_FAST = 0, /* the first failure cancels the others */
	TZ_GROUP_COLLECT = 1, /* all go on to their ends */
	TZ_GROUP_RACE = 2, /* the first that ends well has won, and the others are cancelled */
	/* With one of the first two: a call that has ended well may be released before the group is left, so that a group which is open for ever does not
	 * grow. Its future is then stale. */
	TZ_GROUP_REAP = 16
} tz_group_policy;

/* A group, embedded in the caller's frame. Its fields are private; it must not be copied or moved while entered. */
typedef struct tz_group {
	tz_scope tz__scope;
	uint32_t tz__lock;
	uint32_t tz__policy;
	struct tz__group_child *tz__idle; /* have fired, for use again */
	uint64_t tz__live; /* that have not */
	uint64_t tz__count; /* of calls so far */
	uint64_t tz__decided; /* which one was the first to fail, or has won, from 1; 0: none */
	tz_handle tz__decider; /* its future */
	uint32_t tz__told; /* tz_group_wait has told of a failure */
} tz_group;

/* tz_group_enter - opens an all-zero group: its scope becomes the strand's current one.
 *
 * Ownership: the group's memory is the caller's and must stay until tz_group_leave.
 * Threads: any; the group belongs to the calling strand.
 * Errors: none; a policy that is unknown is TZ_GROUP_FAIL_FAST. */
TZ_API void tz_group_enter(tz_group *group, tz_group_policy policy);

/* tz_group_wait - waits until all calls of the group have ended, those that are spawned into it meanwhile included.
 *
 * Futures are kept, and can be asked for results. If what is around the group, or around the wait, is cancelled or late, the calls are cancelled, and waited for
 * all the same.
 *
 * Ownership: none.
 * Threads: the strand that entered it.
 * Errors: -EREMOTEIO if a call failed: in tz_last() is the first in time (TZ_GROUP_FAIL_FAST) or in order of spawning. In a race: 0 if one has won,
 * whatever became of the others; -ENOENT if there was nobody to win. A call that was cancelled by itself has not failed.
 * -ECANCELED and -ETIMEDOUT if the group (tz_group_cancel), what is around it, or a scope in its block that the wait was in, was cancelled or late before all
 * had ended. */
TZ_API int tz_group_wait(tz_group *group);

/* tz_group_leave - waits as tz_group_wait, releases what is left, and makes the scope around current again.
 *
 * Ownership: releases the futures of the group. The group is all-zero afterwards.
 * Threads: the strand that entered it.
 * Errors: as tz_group_wait. */
TZ_API int tz_group_leave(tz_group *group);

/* tz_group_cancel - cancels all calls of a group, those to come included, and the waits in its block.
 *
 * Ownership: none.
 * Threads: any; the group must be entered when the call begins, and may be left meanwhile.
 * Errors: none; cancelling twice is legal. */
TZ_API void tz_group_cancel(tz_group *group);

/* tz_group_winner - which call has won a race, counted from 0 in order of spawning; of another group, which was the first to fail in time. -1: none yet, or the
 * policy is TZ_GROUP_COLLECT.
 *
 * Ownership: none.
 * Threads: any, while the group is entered.
 * Errors: none. */
TZ_API long tz_group_winner(tz_group *group);

/* Underneath TZ_GROUP. */
TZ_API void tz__group_cleanup(tz_group *group);
static inline tz_group tz__group_zero(void)
{
	tz_group g;
	__builtin_memset(&g, 0, sizeof g);
	return g;
}
static inline int tz__group_enter_once(tz_group *group, int *once, int policy)
{
	if ((*once)++)
		return 0;
	tz_group_enter(group, (tz_group_policy)policy);
	return 1;
}

TZ_END_DECLS

/* TZ_GROUP(g, policy) { ... } - a block with a group `g`, left however the block is left: its end, return, break, goto. `break` and `continue` leave
 * the block.
 *
 * Form: TZ_GROUP(g, tz_group_policy policy) { ... }
 * Ownership: the futures of the group are waited for and released when the block is left.
 * Threads: any; the group belongs to the calling strand.
 * Errors: as tz_group_leave, in tz_last(). A failure that no tz_group_wait in the block has told of makes the job fail, with -EREMOTEIO. */
#define TZ_GROUP(g, policy) \
	for (int tz__once_##g = 0; tz__once_##g == 0; tz__once_##g = 1) \
		for (tz_group g __attribute__((cleanup(tz__group_cleanup))) = tz__group_zero(); \
		     tz__group_enter_once(&g, &tz__once_##g, policy);)

/* tz_group_spawn, tz_group_submit - add a call to a group: as tz_spawn, and as tz_submit.
 *
 * Form: area_future tz_group_spawn(tz_group *group, area, double w, double h)
 * Form: area_future tz_group_submit(tz_group *group, tz_executor *ex, area, double w, double h)
 * Ownership: the future is the group's; tz_result may release it before the group does.
 * Threads: any, while the group is entered; a call of the group may add others.
 * Errors: as tz_spawn and tz_submit. */
#define tz_group_spawn(group_, ...) tz_spawn_with(TZ_OPTIONS(tz_submit_options, .group = (group_)), __VA_ARGS__)
#define tz_group_submit(group_, ex, ...) tz_submit_with(ex, TZ_OPTIONS(tz_submit_options, .group = (group_)), __VA_ARGS__)

#endif
