/* Outcomes, as the rest of the library sees them. */
#ifndef TZ_CORE_OUTCOME_H
#define TZ_CORE_OUTCOME_H

#include <stddef.h>

#include <trenza/outcome.h>

struct tz_job;
struct tz_strand;

/* Copies text into n bytes, cut to fit, always ended by 0. NULL is "". */
void tz_copy_text(char *to, size_t n, const char *text);

/* Remembers what a wait met, as the strand's last outcome. */
void tz_remember(struct tz_strand *strand, const tz_outcome *outcome);

/* Remembers, on this strand, why something failed before it began: of a task, or NULL. Returns the code. */
TZ_PRINTF(3, 4) int tz_remember_refusal(int code, const char *task, const char *format, ...);

/* Remembers that a wait for a job, or NULL where it is not to be looked at, has ended without an answer; returns the code. */
int tz_remember_no_answer(struct tz_strand *strand, const struct tz_job *job, int code);

#endif
