/* Outcomes: how a job ended, and why.
 *
 * A wait reports two things apart: whether it got an answer (its return value), and what the answer was (the
 * outcome). Each job ends in exactly one outcome, whichever way its code ended.
 */
#ifndef TRENZA_OUTCOME_H
#define TRENZA_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

#include <trenza/base.h>

TZ_BEGIN_DECLS

/* The kinds of outcome. The numbers are part of the ABI. */
typedef enum tz_status {
	TZ_PENDING = 0, /* not ended yet */
	TZ_OK = 1, /* returned; the result is there */
	TZ_FAILED = 2, /* recorded a failure with tz_fail, threw, or could not be submitted */
	TZ_CANCELLED = 3, /* cancelled before it ran, or gave up when asked to */
	TZ_TIMED_OUT = 4, /* its deadline passed before it ran, or it gave up then */
	TZ_CRASHED = 5, /* its worker died under it: a signal, exit, pthread_exit */
	TZ_LOST = 6 /* its machine or its executor was lost; whether it ran is not known */
} tz_status;

enum { TZ_MESSAGE_MAX = 160, TZ_NAME_MAX = 64 };

/* How one job ended. */
typedef struct tz_outcome {
	tz_status status;
	int code; /* a negative errno code or the code given to tz_fail; 0 for TZ_OK; of TZ_PENDING why a wait ended without an answer, or 0 */
	int signal; /* the signal that ended its worker, or 0 */
	int worker; /* index of the worker that ran it, from 0; -1: none */
	char task[TZ_NAME_MAX]; /* the name of its task, or the one given at submit; cut to fit */
	char message[TZ_MESSAGE_MAX]; /* the reason in words, "" if there is none; cut to fit */
} tz_outcome;

enum { TZ_CRASH_TEXT = 512 };

/* How the process ended that took a job along. */
typedef struct tz_crash {
	int pid;
	int signal; /* that ended it, or 0 */
	int exit_code; /* of exit(), or -1 */
	bool core; /* it dumped core */
	double seconds; /* for which the job had run, about */
	size_t peak_bytes; /* the most memory that the process had resident; 0: not known */
	char text[TZ_CRASH_TEXT]; /* the end of what it wrote to its standard error */
} tz_crash;

/* tz_last - the outcome that the last tz_result, tz_gather or tz_map on this strand met.
 *
 * Where such a call got no answer, because the scope ended the wait or the future is stale, the status is TZ_PENDING, with the code that it returned and the reason
 * in words. Belongs to the strand, not to the thread: a coroutine keeps its own.
 *
 * Ownership: the library's; valid until the strand's next such call. Copy it to keep it.
 * Threads: any; each strand has its own.
 * Errors: none; status TZ_PENDING when there was none yet. */
TZ_API const tz_outcome *tz_last(void);

/* tz_status_name - "ok", "failed", "cancelled", "timed out", "crashed", "lost" or "pending".
 *
 * Ownership: a constant string.
 * Threads: any.
 * Errors: "unknown" for a number that is no status. */
TZ_API const char *tz_status_name(tz_status status);

/* tz_describe - one line that says what happened: "area: failed: no such page (error -2) in worker 3".
 *
 * Writes at most n bytes, the terminating 0 included, and returns the length of the whole line as snprintf does.
 *
 * Ownership: writes to the caller's buffer only.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_describe(const tz_outcome *outcome, char *buf, size_t n);

/* tz_perror - writes "prefix: " and the line of tz_describe for tz_last() to standard error, as perror does.
 *
 * The only function of the library that prints, because you ask it to.
 *
 * Ownership: none.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_perror(const char *prefix);

/* tz_fail - records that the running job failed, with a code and a message, and returns the code.
 *
 * The job goes on until it returns; its result is then dropped. Write `return tz_fail(-ENOENT, "no %s", x), 0.0;`
 * or check the code. The first failure of a job wins; later ones are ignored. A code of 0 is recorded as -EINVAL. In an
 * element of a map, it is that element's failure.
 *
 * Ownership: the message is copied (TZ_MESSAGE_MAX - 1 bytes of it).
 * Threads: the strand that runs the job.
 * Errors: -EINVAL outside of a job (nothing is recorded). */
TZ_API int tz_fail(int code, const char *format, ...) TZ_PRINTF(2, 3);

TZ_END_DECLS

#endif
