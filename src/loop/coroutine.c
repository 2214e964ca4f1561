/* Memory of coroutines. See coroutine.h. */
#include "loop/coroutine.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "os/mutex.h"

enum { CHUNK = 128, AFTER = offsetof(struct tz_coroutine, site) + sizeof(const struct tz_site *) };
_Static_assert(offsetof(struct tz_coroutine, site) == offsetof(struct tz_coroutine, task) + sizeof(const tz_task *), "nothing between them");

static struct {
	struct tz_mutex lock;
	struct tz_coroutine *list; /* linked by `next` */
} spare;

/* Under the lock. */
static void add_chunk(void)
{
	struct tz_coroutine *chunk = mmap(NULL, CHUNK * sizeof *chunk, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (chunk == MAP_FAILED)
		return;
	for (int i = CHUNK; i-- > 0;) {
		chunk[i].next = spare.list;
		spare.list = &chunk[i];
	}
}

struct tz_coroutine *tz_coroutine_alloc(void)
{
	tz_mutex_lock(&spare.lock);
	if (!spare.list)
		add_chunk();
	struct tz_coroutine *c = spare.list;

	if (c)
		spare.list = c->next;
	tz_mutex_unlock(&spare.lock);
	if (!c)
		return NULL;
	/* The strand's token and operations are left alone, see tz_strand_set_up. And somebody may still look at what the last owner was doing. */
	memset((char *)c + sizeof c->strand, 0, offsetof(struct tz_coroutine, task) - sizeof c->strand);
	memset((char *)c + AFTER, 0, sizeof *c - AFTER);
	__atomic_store_n(&c->task, NULL, __ATOMIC_RELAXED);
	__atomic_store_n(&c->site, NULL, __ATOMIC_RELAXED);
	tz_strand_set_up(&c->strand, &tz_coroutine_strand_ops, TZ_STRAND_NO_SPIN);
	return c;
}

void tz_coroutine_free(struct tz_coroutine *c)
{
	tz_mutex_lock(&spare.lock);
	c->next = spare.list;
	spare.list = c;
	tz_mutex_unlock(&spare.lock);
}

void tz_coroutine_fork_prepare(void)
{
	tz_mutex_lock_unless_alone(&spare.lock);
}

void tz_coroutine_fork_done(void)
{
	tz_mutex_unlock_if_locked(&spare.lock);
}
