/* Outcomes: recording them, telling them. */
#include "core/outcome.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/frame.h"
#include "core/job.h"
#include "core/strand.h"

void tz_copy_text(char *to, size_t n, const char *text)
{
	size_t len = text ? strnlen(text, n - 1) : 0;

	if (len)
		memcpy(to, text, len);
	to[len] = '\0';
}

void tz_remember(struct tz_strand *strand, const tz_outcome *outcome)
{
	strand->last = *outcome;
	strand->last_task = NULL;
}

int tz_remember_refusal(int code, const char *task, const char *format, ...)
{
	tz_outcome o = { .status = TZ_FAILED, .code = code, .worker = -1 };
	va_list args;

	if (task)
		tz_copy_text(o.task, sizeof o.task, task);
	va_start(args, format);
	(void)vsnprintf(o.message, sizeof o.message, format, args);
	va_end(args);
	tz_remember(tz_strand_self(), &o);
	return code;
}

static const char *why_no_answer(int code)
{
	switch (code) {
	case -ETIMEDOUT:
		return "the deadline of the caller's scope has come";
	case -ECANCELED:
		return "the caller's scope was cancelled";
	case -ESTALE:
		return "its future was released before";
	case -EDEADLK:
		return "it waits for itself";
	default:
		return strerrordesc_np(-code);
	}
}

int tz_remember_no_answer(struct tz_strand *strand, const struct tz_job *job, int code)
{
	tz_outcome o = { .status = TZ_PENDING, .code = code, .worker = -1 };

	if (job)
		tz_copy_text(o.task, sizeof o.task, tz_job_name(job));
	tz_copy_text(o.message, sizeof o.message, why_no_answer(code));
	tz_remember(strand, &o);
	return code;
}

const tz_outcome *tz_last(void)
{
	struct tz_strand *self = tz_strand_self();

	if (self->last_task) {
		tz_copy_text(self->last.task, sizeof self->last.task, self->last_task);
		self->last_task = NULL;
	}
	return &self->last;
}

const char *tz_status_name(tz_status status)
{
	static const char *const names[] = {
		[TZ_PENDING] = "pending",
		[TZ_OK] = "ok",
		[TZ_FAILED] = "failed",
		[TZ_CANCELLED] = "cancelled",
		[TZ_TIMED_OUT] = "timed out",
		[TZ_CRASHED] = "crashed",
		[TZ_LOST] = "lost",
	};

	return (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

/* The library's own code for such an ending, whose text says less than the status ("Connection timed out") or something else. */
static bool says_nothing(const tz_outcome *o)
{
	return (o->status == TZ_CANCELLED && o->code == -ECANCELED) || (o->status == TZ_TIMED_OUT && o->code == -ETIMEDOUT) ||
	       (o->status == TZ_CRASHED && o->code == -ECANCELED);
}

int tz_describe(const tz_outcome *o, char *buf, size_t n)
{
	char code[80] = "", worker[32] = "";
	bool bad = o->status != TZ_OK && o->status != TZ_PENDING;

	if (bad && o->signal)
		(void)snprintf(code, sizeof code, " (signal %d)", o->signal);
	else if (bad && says_nothing(o))
		;
	else if (bad && o->code < 0 && o->code > -4096)
		(void)snprintf(code, sizeof code, " (%s)", strerrordesc_np(-o->code) ? strerrordesc_np(-o->code) : "?");
	else if (bad)
		(void)snprintf(code, sizeof code, " (code %d)", o->code);
	if (bad && o->worker >= 0)
		(void)snprintf(worker, sizeof worker, " in worker %d", o->worker);
	return snprintf(buf, n, "%s%s%s%s%s%s%s", o->task, o->task[0] ? ": " : "", tz_status_name(o->status),
			o->message[0] ? ": " : "", o->message, code, worker);
}

void tz_perror(const char *prefix)
{
	char line[TZ_MESSAGE_MAX + TZ_NAME_MAX + 128];

	(void)tz_describe(tz_last(), line, sizeof line);
	bool prefixed = prefix && *prefix;
	(void)fprintf(stderr, "%s%s%s\n", prefixed ? prefix : "", prefixed ? ": " : "", line); /* allowed: printing is its purpose */
}

int tz_fail(int code, const char *format, ...)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_frame *frame = self->frame;
	va_list args;

	if (!frame)
		return -EINVAL;
	if (code == 0)
		code = -EINVAL;
	if (frame->failed)
		return code;
	frame->failed = true;
	frame->code = code;
	frame->failure = tz_failure_new(code, NULL);
	if (!frame->failure)
		return code;
	if (frame->cursor)
		frame->failure->element = (size_t)(uintptr_t)frame->cursor->at;
	if (format) {
		va_start(args, format);
		(void)vsnprintf(frame->failure->message, sizeof frame->failure->message, format, args);
		va_end(args);
	}
	return code;
}

void tz__fail_exception(const char *what)
{
	(void)tz_fail(-EPROTO, "uncaught exception: %s", what);
}

void tz_job_outcome(struct tz_job *job, tz_outcome *ret)
{
	const struct tz_failure *f = job->status != TZ_OK ? job->failure : NULL;

	ret->status = (tz_status)job->status;
	ret->code = f ? f->code : job->status == TZ_OK ? 0 : job->status == TZ_CANCELLED ? -ECANCELED : -ENOMEM;
	ret->signal = f ? f->signal : 0;
	ret->worker = job->worker;
	tz_copy_text(ret->task, sizeof ret->task, tz_job_name(job));
	tz_copy_text(ret->message, sizeof ret->message, f ? f->message : job->status == TZ_CANCELLED ? "cancelled before it began" : NULL);
}

static _Atomic(tz_unobserved_hook) unobserved_hook;

tz_unobserved_hook tz_on_unobserved(tz_unobserved_hook hook)
{
	return atomic_exchange(&unobserved_hook, hook);
}

void tz_report_unobserved(struct tz_job *job)
{
	tz_unobserved_hook hook = atomic_load(&unobserved_hook);
	tz_outcome o;

	if (!hook || job->status == TZ_OK || job->status == TZ_PENDING ||
	    atomic_load_explicit(&job->observed, memory_order_relaxed))
		return;
	tz_job_outcome(job, &o);
	hook(&o);
}
