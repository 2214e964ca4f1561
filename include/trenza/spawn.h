/* Spawning: calls beside the caller, whose lives are bounded by the caller's.
 *
 *     static void run(void)
 *     {
 *             tz_gather(tz_spawn(greet), tz_spawn(greet), tz_spawn(greet));
 *     }
 *
 * A spawned call runs where its caller runs: on the executor whose job the caller is, or on the default executor outside of any job. Its future
 * belongs to the caller's innermost scope: a TZ_SCOPE (or TZ_TIMEOUT, TZ_SHIELD, TZ_GROUP) that is open, else the job itself. So a job does not end before what it
 * spawned has ended, whether somebody waits for that or not:
 *
 *   a job that returns waits for what it has spawned;
 *   one that has failed, was cancelled, or is late cancels it first;
 *   if one of them has failed, and nobody has looked at that, a job that would have ended well fails, with the code -EREMOTEIO and a message that
 *   names it.
 *
 * tz_result and tz_gather release the future before, as ever. tz_detach(tz_spawn(...)) is the word for a call that nothing waits for. Outside of any job
 * and scope, the future is simply the caller's.
 */
#ifndef TRENZA_SPAWN_H
#define TRENZA_SPAWN_H

#include <trenza/executor.h>
#include <trenza/future.h>
#include <trenza/scope.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* A place in the source where a call was spawned. */
struct tz_site {
	const char *file;
	const char *function;
	uint32_t line;
};

/* tz_spawn_raw - spawns a call of a task; what tz_spawn stands on. `site`: where, or NULL.
 *
 * Ownership: the future is the scope's (options->scope, else the caller's innermost), or the caller's where there is none. *site must stay for
 * ever.
 * Threads: any; may block where the executor's queue is full and its policy says so.
 * Errors: as tz_submit_raw. In a scope that is cancelled, the job is cancelled at once. */
TZ_API tz_handle tz_spawn_raw(const tz_submit_options *options, const tz_task *task, const void *args, const struct tz_site *site);

/* tz_wait_for_raw - calls a task here and now, in a scope with a deadline; what tz_wait_for stands on.
 *
 * The result is written to ret_result, which takes the task's result_size bytes; NULL drops it.
 *
 * Ownership: what the result points to becomes the caller's.
 * Threads: any; runs on the calling strand.
 * Errors: as tz_wait_for; -ENOMEM for a large result; -EINVAL for what is no task. */
TZ_API int tz_wait_for_raw(tz_deadline deadline, const tz_task *task, const void *args, void *ret_result);

TZ_END_DECLS

/* tz_spawn, tz_spawn_with - run a call beside the caller: area_future f = tz_spawn(area, 3.0, 4.0). tz_spawn_with takes a
 * `const tz_submit_options *` first, in parentheses if it is written in place. Underneath: tz_spawn_raw.
 *
 * Form: area_future tz_spawn(area, double w, double h)
 * Form: area_future tz_spawn_with(const tz_submit_options *options, area, double w, double h) */
#define tz_spawn(...) tz_spawn_with(NULL, __VA_ARGS__)
#define tz_spawn_with(options, ...) TZ__CAT(TZ__SPAWN_, TZ__MANY(__VA_ARGS__))(options, __VA_ARGS__)
#define TZ__SPAWN_ONE(options, fn) fn##__spawn(TZ__SITE, options)
#define TZ__SPAWN_MANY(options, fn, ...) fn##__spawn(TZ__SITE, options, __VA_ARGS__)
#define TZ__SITE \
	__extension__({ \
		static const struct tz_site tz__site = { __FILE__, __func__, __LINE__ }; \
		&tz__site; \
	})

/* tz_wait_for - call a task here and now, but for no longer than so many seconds: tz_wait_for(0.5, &a, area, 3.0, 4.0). The call is no job: it runs on
 * the caller's strand, in a scope whose deadline ends its waits, and what it spawns has ended when tz_wait_for returns. A void task, or a result that is
 * not wanted: NULL.
 *
 * If the call returned, *ret_value is what it returned, also with -ETIMEDOUT and -ECANCELED: nothing that it had in hand is lost; unless it returned with
 * calls that it had spawned under way, and those were cut short: then it has failed, and *ret_value is untouched. A call that the deadline did not make
 * give up anything has not timed out, however long it took.
 *
 * Form: int tz_wait_for(double seconds, double *ret_value, area, double w, double h)
 * Ownership: what the result points to becomes the caller's.
 * Threads: any.
 * Errors: -ETIMEDOUT if this deadline, or one around it, ended a wait in the call; -ECANCELED if a cancel did; -EREMOTEIO if the call failed (tz_fail), with why in
 * tz_last(). Where the caller is to end already, or `seconds` is not positive, the function is not called. */
#define tz_wait_for(seconds, ret_value, ...) TZ__CAT(TZ__WAIT_FOR_, TZ__MANY(__VA_ARGS__))(seconds, ret_value, __VA_ARGS__)
#define TZ__WAIT_FOR_ONE(seconds, ret, fn) fn##__wait_for(seconds, ret)
#define TZ__WAIT_FOR_MANY(seconds, ret, fn, ...) fn##__wait_for(seconds, ret, __VA_ARGS__)

#define TZ__TASK_SPAWN(R, fn, N, ...) \
	__attribute__((unused)) static inline fn##_future fn##__spawn(const struct tz_site *tz__site, \
								      const tz_submit_options *tz__opt TZ__PARAMS_##N(__VA_ARGS__)) \
	{ \
		const fn##_args tz__in = { TZ__INIT_##N }; \
		fn##_future tz__f; \
		tz__f.handle = tz_spawn_raw(tz__opt, &fn##_task, &tz__in, tz__site); \
		return tz__f; \
	} \
	__attribute__((unused)) static inline int fn##__wait_for(double tz__seconds, R *tz__out TZ__PARAMS_##N(__VA_ARGS__)) \
	{ \
		const fn##_args tz__in = { TZ__INIT_##N }; \
		return tz_wait_for_raw(tz_after(tz__seconds), &fn##_task, &tz__in, tz__out); \
	}

#endif
