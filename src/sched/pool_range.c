/* Maps on the pool: their callers work, and workers take part.
 *
 * Design notes
 *
 * Open ranges. The caller of a map puts its range into the pool's list, wakes workers as far as that pays, and
 * works; a worker that finds no jobs enters a range of the list as long as there is a place left, and leaves it
 * when there are jobs. The caller takes the range off the list and waits until nobody is inside.
 */
#include "sched/pool_inside.h"

#include <errno.h>

/* --- for workers -------------------------------------------------------------------------------------------------------------- */

/* An open range with a place left; counted as entered. */
static struct tz_open_range *enter_range(struct tz_pool *p)
{
	struct tz_open_range *open = NULL;

	if (atomic_load_explicit(&p->open_ranges, memory_order_relaxed) == 0)
		return NULL;
	tz_mutex_lock(&p->lock);
	for (open = p->ranges; open; open = open->next)
		if (open->active + 1 < tz_range_workers(open->range) && tz_range_left(open->range)) {
			open->active++;
			break;
		}
	tz_mutex_unlock(&p->lock);
	return open;
}

struct range_visit {
	struct tz_pool *pool;
	struct tz_open_range *open;
};

/* Also when a piece leaves by pthread_exit. The range may be gone once `active` is 0 and the lock is released. */
static void leave_range(struct range_visit *v)
{
	if (!v->open)
		return;
	struct tz_strand *caller = v->open->caller;

	tz_mutex_lock(&v->pool->lock);
	bool last = --v->open->active == 0;
	tz_mutex_unlock(&v->pool->lock);
	if (last)
		tz_strand_unpark(caller);
}

bool tz_worker_run_range(struct tz_worker *w)
{
	struct range_visit visit __attribute__((cleanup(leave_range))) = { w->pool, enter_range(w->pool) };

	if (!visit.open)
		return false;
	tz_worker_found(w);
	/* Jobs go first: the range's caller works on it in any case. */
	while (tz_range_step(visit.open->range, w->index) && tz_pool_outside(w->pool) == 0)
		;
	return true;
}

bool tz_pool_range_open(struct tz_pool *p)
{
	bool open = false;

	if (atomic_load_explicit(&p->open_ranges, memory_order_relaxed) == 0)
		return false;
	tz_mutex_lock(&p->lock);
	for (struct tz_open_range *o = p->ranges; o && !open; o = o->next)
		open = o->active + 1 < tz_range_workers(o->range) && tz_range_left(o->range);
	tz_mutex_unlock(&p->lock);
	return open;
}

/* --- for callers -------------------------------------------------------------------------------------------------------------- */

/* A call of tz_pool_range. */
struct range_call {
	struct tz_pool *pool;
	struct tz_open_range open;
};

/* Takes the range off the list, and waits for the workers inside it; also when a piece that the caller runs leaves by pthread_exit. */
static void close_range(struct range_call *call)
{
	struct tz_pool *p = call->pool;
	struct tz_open_range *open = &call->open;
	struct tz_strand *self = open->caller;
	bool told = false;

	tz_mutex_lock(&p->lock);
	struct tz_open_range **at = &p->ranges;

	while (*at != open)
		at = &(*at)->next;
	*at = open->next;
	atomic_fetch_sub_explicit(&p->open_ranges, 1, memory_order_relaxed);
	while (open->active > 0) {
		tz_mutex_unlock(&p->lock);
		if (told) {
			tz_strand_park_deaf(self);
		} else {
			int r = tz_strand_park(self, tz_never());

			if (r < 0) {
				tz_range_interrupt(open->range, r);
				told = true;
			}
		}
		tz_mutex_lock(&p->lock);
	}
	tz_mutex_unlock(&p->lock);
}

int tz_pool_range(tz_executor *executor, tz_range *range)
{
	struct tz_pool *p = tz_pool_of(executor);
	struct tz_strand *self = tz_strand_self();
	struct tz_worker *w = tz_pool_own_worker(p, self);
	int more = tz_range_worth(range);

	tz_mutex_lock(&p->lock);
	if (tz_pool_closing(p)) {
		tz_mutex_unlock(&p->lock);
		return -ESHUTDOWN;
	}
	struct range_call call __attribute__((cleanup(close_range))) = {
		.pool = p, .open = { .range = range, .caller = self, .next = p->ranges },
	};

	p->ranges = &call.open;
	atomic_fetch_add_explicit(&p->open_ranges, 1, memory_order_relaxed);
	tz_mutex_unlock(&p->lock);
	for (int i = 0; i < more; i++) {
		tz_mutex_lock(&p->lock);
		struct tz_pool_call next = tz_pool_one_more(p, i);
		tz_mutex_unlock(&p->lock);
		tz_pool_act(p, next);
	}
	while (tz_range_step(range, w ? w->index : -1))
		;
	return 0;
}
