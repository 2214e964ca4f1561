/* Maps on the pool: their callers work, and workers take part.
 *
 * Design notes
 *
 * Open ranges. The caller of a map puts its range into the pool's list, wakes workers as far as that pays, and
 * works; a worker that finds no jobs enters a range of the list as long as there is a place left, and leaves it
 * when there are jobs. The caller takes the range off the list and waits until nobody is inside.
 *
 * Short maps. A map that is over in some microseconds is not worth a wake-up, but a worker that lingers
 * is awake. It says so in `offered`; the caller of a map swaps its range in, and takes it out again when
 * there is nothing left. A worker that ends its lingering swaps NULL in, and takes what it gets in exchange.
 * So a range is taken by one of the two, and there is nobody to wake. The worker's last touch of the
 * caller's frame is the swap that says that it is done. The callers of short maps that follow each other
 * closely, and find nobody, wake a worker when they have worked alone for as long as several wake-ups
 * cost; later each time that it came in vain.
 */
#include "sched/pool_inside.h"

#include <errno.h>

#include "core/sitting.h"
#include "core/spin.h"
#include "os/clock.h"

enum {
	LONELY_US = 200, /* of short maps in close succession that are worth a wake-up; twice as long each time that it was in vain */
	LONELY_MOST_US = 100000,
	DONE_SOON_US = 20 /* in which a worker is expected to end its part of a short map */
};

/* An offered range's state. */
enum { PART_RUNS, PART_AWAITED, PART_DONE };

struct tz_offered_range tz_no_range;

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

/* Also when the worker's part leaves by pthread_exit. The range may be gone after the swap. */
static void leave_offered_range(struct tz_offered_range **offered)
{
	struct tz_strand *caller = (*offered)->caller;

	if (atomic_exchange_explicit(&(*offered)->state, PART_DONE, memory_order_acq_rel) == PART_AWAITED)
		tz_strand_unpark(caller);
}

void tz_worker_run_offered_range(struct tz_worker *w, struct tz_offered_range *range)
{
	struct tz_offered_range *offered __attribute__((cleanup(leave_offered_range))) = range;

	tz_worker_found(w);
	w->workless.ticks = 0;
	if (atomic_load_explicit(&w->pool->lonely_limit, memory_order_relaxed))
		atomic_store_explicit(&w->pool->lonely_limit, 0, memory_order_relaxed);
	while (tz_range_step(offered->range, w->index) && tz_pool_outside(w->pool) == 0)
		;
}

bool tz_pool_ask_for_offers(struct tz_pool *p)
{
	struct tz_offered_range *none = NULL;

	return atomic_compare_exchange_strong_explicit(&p->offered, &none, &tz_no_range, memory_order_relaxed, memory_order_relaxed);
}

struct tz_offered_range *tz_pool_end_offers(struct tz_pool *p)
{
	struct tz_offered_range *was = atomic_exchange_explicit(&p->offered, NULL, memory_order_acquire);

	return was == &tz_no_range ? NULL : was;
}

/* --- for callers -------------------------------------------------------------------------------------------------------------- */

/* A call of tz_pool_range. */
struct range_call {
	struct tz_pool *pool;
	struct tz_open_range open;
};

/* One for a short range. */
struct range_offer {
	struct tz_pool *pool; /* NULL: nobody had time for it */
	struct tz_offered_range offered;
};

static bool is_done(struct tz_offered_range *o)
{
	return atomic_load_explicit(&o->state, memory_order_acquire) == PART_DONE;
}

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

/* Waits for the worker's part of an offered range, if there is one; also when a piece that the caller runs leaves by pthread_exit. */
static void withdraw(struct range_offer *offer)
{
	struct tz_offered_range *o = &offer->offered, *was = o;
	uint32_t runs = PART_RUNS;
	bool told = false;

	if (!offer->pool || atomic_compare_exchange_strong_explicit(&offer->pool->offered, &was, &tz_no_range, memory_order_relaxed, memory_order_relaxed))
		return;
	if (tz_strand_may_spin(o->caller)) {
		struct tz_sitting s = tz_sitting_begin(DONE_SOON_US * (uint32_t)tz_clock_ticks_per_us());

		while (!is_done(o) && tz_sitting_turn(&s))
			;
		tz_sitting_end(&s);
	}
	if (is_done(o) || !atomic_compare_exchange_strong_explicit(&o->state, &runs, PART_AWAITED, memory_order_acquire, memory_order_acquire))
		return;
	while (!is_done(o)) {
		if (told) {
			tz_strand_park_deaf(o->caller);
			continue;
		}
		int r = tz_strand_park(o->caller, tz_never());

		if (r < 0) {
			tz_range_interrupt(o->range, r);
			told = true;
		}
	}
}

/* Works on a range whose rest is not worth a wake-up, together with the worker that lingers. */
static void share_short(struct tz_pool *p, tz_range *range, struct tz_strand *self, int worker)
{
	struct range_offer offer __attribute__((cleanup(withdraw))) = { .pool = p, .offered = { .range = range, .caller = self } };
	struct tz_offered_range *none = &tz_no_range;

	if (!atomic_compare_exchange_strong_explicit(&p->offered, &none, &offer.offered, memory_order_release, memory_order_relaxed))
		offer.pool = NULL;
	while (tz_range_step(range, worker))
		;
}

/* Short maps follow each other, and their callers have worked alone for long: is a worker to come and linger? */
static bool is_lonely(struct tz_pool *p, double us)
{
	uint32_t alone = atomic_load_explicit(&p->lonely_us, memory_order_relaxed) + (us < LONELY_US ? (uint32_t)us : LONELY_US);
	uint32_t limit = atomic_load_explicit(&p->lonely_limit, memory_order_relaxed) + LONELY_US;
	uint64_t now = tz_clock_ticks(), since;

	if (alone < limit) {
		atomic_store_explicit(&p->lonely_us, alone, memory_order_relaxed);
		return false;
	}
	since = atomic_exchange_explicit(&p->lonely_since, now, memory_order_relaxed);
	atomic_store_explicit(&p->lonely_us, 0, memory_order_relaxed);
	if (now - since > 2 * (uint64_t)alone * tz_clock_ticks_per_us() || !tz_spin_allowed())
		return false;
	if (limit < LONELY_MOST_US) /* until a worker takes part */
		atomic_store_explicit(&p->lonely_limit, 2 * limit - LONELY_US, memory_order_relaxed);
	return true;
}

bool tz_pool_near(tz_executor *executor, double us)
{
	struct tz_pool *p = tz_pool_of(executor);
	struct tz_offered_range *offered = atomic_load_explicit(&p->offered, memory_order_relaxed);

	if (!offered && is_lonely(p, us))
		tz_pool_offer(p);
	return offered == &tz_no_range;
}

int tz_pool_range(tz_executor *executor, tz_range *range)
{
	struct tz_pool *p = tz_pool_of(executor);
	struct tz_strand *self = tz_strand_self();
	struct tz_worker *w = tz_pool_own_worker(p, self);
	int more = tz_range_worth(range);

	if (more == 0) {
		share_short(p, range, self, w ? w->index : -1);
		return 0;
	}
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
