/* A copy of a process's options. See options.h.
 *
 * Design notes. What is pointed to is written one after the other into one piece of memory, twice by the same code: first into none, to learn the size.
 */
#include "process/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct store {
	char *base; /* NULL: only measure */
	size_t used;
};

/* The copy's address; NULL for NULL, and while measuring. */
static void *put(struct store *s, const void *from, size_t size)
{
	size_t at = (s->used + 15) / 16 * 16;

	if (!from)
		return NULL;
	s->used = at + size;
	if (!s->base)
		return NULL;
	memcpy(s->base + at, from, size);
	return s->base + at;
}

static char **put_list(struct store *s, char *const *from)
{
	size_t n = 0;
	char **list;

	if (!from)
		return NULL;
	while (from[n])
		n++;
	list = put(s, from, (n + 1) * sizeof *list);
	for (size_t i = 0; i < n; i++) {
		char *text = put(s, from[i], strlen(from[i]) + 1);

		if (list)
			list[i] = text;
	}
	return list;
}

static char *put_text(struct store *s, const char *text)
{
	return put(s, text, text ? strlen(text) + 1 : 0);
}

static void put_all(struct store *s, tz_process_options *o, const tz_process_options *from)
{
	o->name = put_text(s, from->name);
	o->cwd = put_text(s, from->cwd);
	o->env = put_list(s, from->env);
	o->fds = put(s, from->fds, from->nfds * sizeof *from->fds);
	o->cpus = put(s, from->cpus, from->ncpus * sizeof *from->cpus);
	o->limits = put(s, from->limits, from->nlimits * sizeof *from->limits);
	o->authkey = put(s, from->authkey, from->authkey_size);
}

int tz_process_options_copy(tz_process_options *to, const tz_process_options *from)
{
	struct store s = { NULL, 0 };
	tz_process_options o = *from;

	put_all(&s, &o, from);
	s.base = malloc(s.used + 1);
	if (!s.base)
		return -ENOMEM;
	s.used = 0;
	put_all(&s, &o, from);
	o.reserved[0] = (uint64_t)(uintptr_t)s.base;
	*to = o;
	return 0;
}

void tz_process_options_done(tz_process_options *copy)
{
	free((void *)(uintptr_t)copy->reserved[0]);
	copy->reserved[0] = 0;
}
