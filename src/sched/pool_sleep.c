/* How the pool's workers fall asleep and are woken.
 *
 * Design notes
 *
 * Who is woken. At most one worker is on its way from sleep to work (`searching`, which also counts a
 * worker that spins before it sleeps). A submitter that finds searching != 0 wakes nobody: the searcher
 * will find the work, and a searcher that found something wakes the next one if there is more (a chain).
 * Idle workers are woken last in, first out: its caches are warm.
 *
 * A worker that finds nothing lingers before it sleeps: it looks for a while more, as long as that was worth
 * it of late (core/spin.h), and takes part in short maps meanwhile (pool_range.c).
 */
#include "sched/pool_inside.h"

#include <errno.h>

#include "core/sitting.h"
#include "core/spin.h"
#include "os/clock.h"

static const uint64_t SPARE_IDLE_NS = 1000000000, JOIN_SOONEST_NS = 100000, JOIN_LATEST_NS = 1000000000;

/* --- the idle list, under the lock -------------------------------------------------------------------------------------------- */

static void join_idle(struct tz_pool *p, struct tz_worker *w)
{
	w->idle = true;
	w->idle_prev = NULL;
	w->idle_next = p->idle_first;
	if (p->idle_first)
		p->idle_first->idle_prev = w;
	p->idle_first = w;
	atomic_fetch_add_explicit(&p->idle_count, 1, memory_order_seq_cst);
}

static void leave_idle(struct tz_pool *p, struct tz_worker *w)
{
	if (w->idle_prev)
		w->idle_prev->idle_next = w->idle_next;
	else
		p->idle_first = w->idle_next;
	if (w->idle_next)
		w->idle_next->idle_prev = w->idle_prev;
	w->idle = false;
	atomic_fetch_sub_explicit(&p->idle_count, 1, memory_order_seq_cst);
}

/* --- waking ------------------------------------------------------------------------------------------------------------------------ */

void tz_pool_act(struct tz_pool *p, struct tz_pool_call call)
{
	if (!call.wake && !call.start && !call.nobody)
		return;
	if (call.wake)
		tz_strand_unpark(call.wake);
	if (call.start)
		tz_pool_start_thread(p, call.start);
	if (call.nobody)
		tz_pool_no_thread(p, NULL, -ENOMEM);
	tz_mutex_lock(&p->lock);
	bool end = --p->calls == 0 && tz_pool_closing(p);
	tz_mutex_unlock(&p->lock);
	if (end)
		tz_pool_notify_change(p);
}

struct tz_pool_call tz_pool_one_more(struct tz_pool *p, int searchers)
{
	struct tz_pool_call call = { 0 };

	if (atomic_load_explicit(&p->searching, memory_order_relaxed) > searchers || tz_pool_active(p) >= p->executor.workers)
		return call;
	if (p->idle_first) {
		struct tz_worker *idle = p->idle_first;

		call.wake = idle->strand;
		leave_idle(p, idle);
		tz_pool_set_searching(p, idle, true);
		tz_worker_ring(idle);
	} else if ((call.start = tz_pool_vacant(p))) {
		call.start->taken = true;
		p->unjoined -= call.start->joinable; /* its new thread's starter joins the old one */
		call.start->retired = false;
		p->alive++;
		atomic_fetch_add_explicit(&p->runnable, 1, memory_order_seq_cst);
		tz_pool_set_searching(p, call.start, true);
	} else {
		call.nobody = p->alive == 0 && p->leaving == 0; /* who leaves looks once more, and has a place to give */
		if (p->alive < p->most)
			tz_pool_note_shortage(p);
	}
	p->calls += call.wake || call.start || call.nobody;
	return call;
}

void tz_pool_call_one_more(struct tz_pool *p)
{
	tz_mutex_lock(&p->lock);
	struct tz_pool_call call = tz_pool_one_more(p, 0);
	tz_mutex_unlock(&p->lock);
	tz_pool_act(p, call);
}

/* --- lingering --------------------------------------------------------------------------------------------------------------------- */

static bool ask_for_forks(struct tz_worker *w, struct tz_worker *other, void *arg)
{
	(void)w, (void)arg;
	if (__atomic_load_n(&other->forks.owner.request, __ATOMIC_RELAXED) == 0)
		__atomic_store_n(&other->forks.owner.request, 1, __ATOMIC_RELAXED);
	return false;
}

static bool anything(struct tz_worker *w)
{
	return tz_pool_outside(w->pool) > 0 || tz_runqueue_length(&w->queue) > 0 || tz_pool_range_open(w->pool) ||
	       tz_worker_each_other(w, tz_worker_has_work, NULL);
}

static void set_lingerer(struct tz_pool *p, struct tz_worker *w)
{
	tz_mutex_lock(&p->lock);
	atomic_store_explicit(&p->lingerer, w, memory_order_release);
	tz_mutex_unlock(&p->lock);
}

bool tz_worker_linger(struct tz_worker *w)
{
	struct tz_pool *p = w->pool;
	int none = 0;
	bool something = false;

	if (!w->searching && !atomic_compare_exchange_strong_explicit(&p->searching, &none, 1, memory_order_relaxed,
								       memory_order_relaxed))
		return false;
	w->searching = true;
	uint32_t ticks = tz_spin_allowed() ? tz_patience_ask(&p->patience) : 0;

	if (ticks == 0)
		return false;
	set_lingerer(p, w);
	(void)tz_worker_each_other(w, ask_for_forks, NULL);
	struct tz_sitting sitting = tz_sitting_begin(ticks);

	do
		something = anything(w);
	while (!something && !tz_pool_closing(p) && tz_sitting_turn(&sitting));
	tz_sitting_end(&sitting);
	set_lingerer(p, NULL);
	return something;
}

/* --- sleeping -------------------------------------------------------------------------------------------------------------------------- */

/* How long this worker sleeps before it ends. Under the lock. */
static tz_deadline retirement(struct tz_pool *p)
{
	uint64_t ns = p->alive > p->executor.workers ? SPARE_IDLE_NS : p->alive > p->stay ? p->idle_ns : 0;

	return ns ? (tz_deadline){ tz_clock_now() + ns } : tz_never();
}

/* Until when to sleep: less long, if there are threads to join, and longer each time. Under the lock. */
static tz_deadline next_look(struct tz_pool *p, tz_deadline until, uint64_t *pause)
{
	if (p->unjoined == 0) {
		*pause = JOIN_SOONEST_NS;
		return until;
	}
	tz_deadline look = { tz_clock_now() + *pause };

	*pause = *pause * 2 < JOIN_LATEST_NS ? *pause * 2 : JOIN_LATEST_NS;
	return tz_deadline_min(look, until);
}

/* Sleeps until there may be work; `look`: until when at first. The worker is in the idle list. */
static enum tz_verdict sleep_idle(struct tz_pool *p, struct tz_worker *w, tz_deadline until, tz_deadline look)
{
	uint64_t pause = JOIN_SOONEST_NS;

	for (;;) {
		w->slept = true;
		bool late = w->strand->ops->park(w->strand, look) == -ETIMEDOUT && tz_expired(until);

		tz_mutex_lock(&p->lock);
		tz_pool_join_leavers(p);
		if (!w->idle) { /* whoever woke us took us off the list */
			tz_mutex_unlock(&p->lock);
			return TZ_GO_ON;
		}
		if (tz_pool_closing(p)) {
			leave_idle(p, w);
			tz_mutex_unlock(&p->lock);
			return TZ_GO_ON;
		}
		if (late && p->alive > p->stay && tz_pool_outside(p) == 0) {
			tz_pool_retire(p, w); /* first: nobody is to see it neither idle nor gone */
			leave_idle(p, w);
			tz_mutex_unlock(&p->lock);
			return TZ_END;
		}
		if (late)
			until = retirement(p);
		look = next_look(p, until, &pause);
		tz_mutex_unlock(&p->lock);
	}
}

enum tz_verdict tz_worker_rest(struct tz_worker *w)
{
	struct tz_pool *p = w->pool;
	tz_deadline until, look;

	tz_mutex_lock(&p->lock);
	bool too_many = tz_pool_active(p) > p->executor.workers;

	if (!too_many && (tz_pool_outside(p) > 0 || tz_runqueue_length(&w->queue) > 0)) {
		tz_mutex_unlock(&p->lock);
		return TZ_GO_ON;
	}
	if (tz_pool_closing(p) && tz_pool_outside(p) == 0 && tz_runqueue_length(&w->queue) == 0) {
		tz_pool_retire(p, w);
		tz_mutex_unlock(&p->lock);
		return TZ_END;
	}
	join_idle(p, w);
	tz_pool_set_searching(p, w, false);
	until = retirement(p);
	tz_pool_join_leavers(p);
	look = next_look(p, until, &(uint64_t){ JOIN_SOONEST_NS });
	tz_mutex_unlock(&p->lock);

	(void)tz_worker_each_other(w, ask_for_forks, NULL);
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the fences of those who make work visible without the lock */
	if (!too_many && (tz_pool_outside(p) > 0 || tz_worker_each_other(w, tz_worker_has_work, NULL) || tz_pool_range_open(p))) {
		tz_mutex_lock(&p->lock);
		if (w->idle)
			leave_idle(p, w);
		tz_pool_set_searching(p, w, true); /* whoever brought it saw us search, and left the next worker for us to wake */
		tz_mutex_unlock(&p->lock);
		return TZ_GO_ON;
	}
	return sleep_idle(p, w, until, look);
}
