/* What a coroutine is called in reports. Async-signal-safe: it may be asked for in a handler, while the
 * coroutine's own code is in the middle of anything. */
#include <string.h>

#include <trenza/spawn.h>

#include "loop/coroutine.h"

struct words {
	char *text;
	size_t room, length;
};

static void add(struct words *w, const char *s)
{
	while (*s && w->length < w->room)
		w->text[w->length++] = *s++;
}

static void add_number(struct words *w, uint32_t n)
{
	char digits[12], *at = digits + sizeof digits;

	*--at = '\0';
	do
		*--at = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	add(w, at);
}

size_t tz_coroutine_describe(void *coroutine, char *ret_text, size_t size)
{
	const struct tz_coroutine *c = coroutine;
	const struct tz_job *job = c->job;
	struct words w = { ret_text, size, 0 };

	if (!job) {
		add(&w, "a coroutine without a task");
		return w.length;
	}
	add(&w, "task '");
	add(&w, tz_job_name(job));
	add(&w, "'");
	if (job->site) {
		add(&w, " (spawned at ");
		add(&w, job->site->file);
		add(&w, ":");
		add_number(&w, job->site->line);
		add(&w, ")");
	}
	return w.length;
}
