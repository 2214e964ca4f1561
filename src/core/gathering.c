/* The gathering: one strand waits for several jobs. See gathering.h.
 *
 * Design notes. Each member is a waiter of its job. When the job ends, fire() appends the member to its queue under the
 * its lock, and wakes the strand. The lock makes the life of the members simple: fire's last touch of the gathering is the unlock,
 * and tz_gathering_done removes the members that have not been fired and then waits, under the lock, until the others have been.
 */
#include "core/gathering.h"

#include <errno.h>

#include "core/strand.h"
#include "os/cpu.h"

static void fire(struct tz_waiter *waiter, struct tz_job *job, int status)
{
	struct tz_member *m = (struct tz_member *)waiter;
	struct tz_gathering *g = m->gathering;

	(void)job;
	tz_mutex_lock(&g->lock);
	struct tz_strand *strand = g->strand;
	m->status = status;
	m->ended = true;
	m->next_ended = NULL;
	*g->last = m;
	g->last = &m->next_ended;
	tz_mutex_unlock(&g->lock);
	if (strand)
		tz_strand_unpark(strand);
}

static const tz_handle *handle_at(const tz_handle *futures, size_t stride, size_t i)
{
	return (const tz_handle *)(const void *)((const char *)futures + i * stride);
}

void tz_gathering_begin(struct tz_gathering *g)
{
	*g = (struct tz_gathering){ .last = &g->first };
}

int tz_gathering_add(struct tz_gathering *g, struct tz_member *m, tz_handle future, size_t index)
{
	int r = tz_done_raw(future);

	*m = (struct tz_member){
		.waiter.fire = fire,
		.gathering = g,
		.job = future.tz__cell,
		.generation = (uint32_t)future.tz__generation,
		.index = index,
	};
	if (r == 0)
		r = tz_job_add_waiter(m->job, m->generation, &m->waiter);
	if (r == 1) { /* has ended: as if it ended now */
		int status = m->job->status;

		if (tz_done_raw(future) != 1)
			return -ESTALE;
		g->added++;
		fire(&m->waiter, m->job, status);
		return 0;
	}
	if (r == 0)
		g->added++;
	return r;
}

int tz_gathering_init(struct tz_gathering *g, struct tz_member *members, const tz_handle *futures, size_t stride, size_t n)
{
	tz_gathering_begin(g);
	for (size_t i = 0; i < n; i++) {
		int r = tz_gathering_add(g, &members[i], *handle_at(futures, stride, i), i);

		if (r < 0) {
			tz_gathering_done(g, members);
			return r;
		}
	}
	return 0;
}

/* Takes the head of the queue, or NULL and registers the strand for a wake-up. */
static struct tz_member *take(struct tz_gathering *g, struct tz_strand *self)
{
	tz_mutex_lock(&g->lock);
	struct tz_member *m = g->first;

	if (m) {
		g->first = m->next_ended;
		if (!g->first)
			g->last = &g->first;
		g->taken++;
	}
	g->strand = m ? NULL : self;
	tz_mutex_unlock(&g->lock);
	return m;
}

int tz_gathering_next(struct tz_gathering *g, tz_deadline deadline, struct tz_member **ret)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_member *m;

	if (g->taken == g->added)
		return -ENOENT;
	tz_strand_count_call();
	while (!(m = take(g, self))) {
		tz_strand_waits(self, "number of tasks", NULL);
		int r = tz_strand_park(self, deadline);

		if (r < 0 && !(m = take(g, self))) {
			tz_mutex_lock(&g->lock);
			g->strand = NULL;
			tz_mutex_unlock(&g->lock);
			return r;
		}
		if (m)
			break;
	}
	*ret = m;
	return 0;
}

bool tz_gathering_has_next(struct tz_gathering *g)
{
	tz_mutex_lock(&g->lock);
	bool has = g->first != NULL;
	tz_mutex_unlock(&g->lock);
	return has;
}

void tz_gathering_done(struct tz_gathering *g, struct tz_member *members)
{
	for (size_t i = 0; i < g->added; i++) {
		struct tz_member *m = &members[i];
		bool gone = false;

		for (unsigned spins = 0; !gone; tz_cpu_backoff(&spins)) {
			tz_mutex_lock(&g->lock);
			gone = m->ended;
			tz_mutex_unlock(&g->lock);
			if (!gone && tz_job_remove_waiter(m->job, m->generation, &m->waiter))
				gone = true;
		}
	}
}
