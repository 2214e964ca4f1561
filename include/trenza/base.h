/* What every public header needs: linkage and attributes.
 *
 * Words used by all headers:
 *   a task    a described function (TZ_TASK);
 *   a job     one submitted call of a task;
 *   a future  the handle on a job;
 *   a strand  what runs code: a thread, or a coroutine;
 *   a worker  a strand, process or node that an executor owns.
 *
 * Functions return 0 or a positive answer on success and a negative errno code on failure. Out-parameters are
 * named ret_*, come last, and are not touched on failure. What has _open and _close holds resources; what has
 * _init and _done is embedded in your own struct, and all-zero memory is a valid, open object of its kind.
 * _close(NULL) and _done on all-zero memory are legal and do nothing.
 *
 * In comments, a line "Form:" shows a macro as if it were a function; where it takes a task, that is `area`, which was
 * described by TZ_TASK(double, area, double, double).
 */
#ifndef TRENZA_BASE_H
#define TRENZA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The expansions of our macros are ours: a compiler's message about them belongs on the user's line. */
#if defined(__GNUC__)
#pragma GCC system_header
#endif

#ifdef __cplusplus
#define TZ_BEGIN_DECLS extern "C" {
#define TZ_END_DECLS }
#else
#define TZ_BEGIN_DECLS
#define TZ_END_DECLS
#endif

#define TZ_API __attribute__((visibility("default")))
#define TZ_NODISCARD __attribute__((warn_unused_result))
#define TZ_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#endif
