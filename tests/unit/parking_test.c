/* The parking lot by itself, the probes of waits, spinning, and what a fork leaves of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trenza/event.h>
#include <trenza/lock.h>
#include <trenza/rwlock.h>

#include "check.h"
#include "core/parking.h"
#include "core/probe.h"
#include "core/spin.h"
#include "crew.h"

/* A bare object: waits until it is woken, and counts. */
struct object {
	_Atomic int queued, withdrawn, last_withdrawn;
	_Atomic int woken;
};

struct waiter {
	struct tz_parked node; /* first */
	struct object *object;
	unsigned flags;
	tz_deadline deadline;
	_Atomic int answer;
	int number;
};

static bool wait_begin(struct tz_parked *n)
{
	return ((struct waiter *)n)->object != NULL;
}

static void queued(struct tz_parked *n)
{
	atomic_fetch_add(&((struct waiter *)n)->object->queued, 1);
}

static void withdrawn(struct tz_parked *n, bool more)
{
	struct object *o = ((struct waiter *)n)->object;

	atomic_fetch_add(more ? &o->withdrawn : &o->last_withdrawn, 1);
}

static const struct tz_parking_steps steps = { "lot", wait_begin, queued, withdrawn };

static void *wait_here(void *arg)
{
	struct waiter *w = arg;

	w->node.strand = tz_strand_self();
	w->node.kind = (uint32_t)w->number;
	w->answer = tz_parking_wait(&w->node, w->object, &steps, w->flags, w->deadline);
	atomic_fetch_add(&w->object->woken, w->answer == 0);
	return NULL;
}

enum { WAITERS = 4 };

static void fill(struct object *o, struct waiter *w, struct crew *crew, unsigned flags)
{
	for (int i = 0; i < WAITERS; i++) {
		w[i] = (struct waiter){
			.object = o, .flags = flags, .deadline = soon(), .number = i
		};
		crew_add(crew, wait_here, &w[i]);
		until(atomic_load(&o->queued) == i + 1);
	}
}

static void begin_may_refuse(void **state)
{
	struct waiter w = { .node.strand = tz_strand_self() };

	(void)state;
	assert_int_equal(tz_parking_wait(&w.node, &w, &steps, 0, tz_never()), -EAGAIN);
}

static void waking_nobody(void **state)
{
	(void)state;
	assert_int_equal(tz_parking_wake(&steps, SIZE_MAX, NULL, NULL, NULL), 0);
}

static void wakes_in_order(void **state)
{
	struct object o = { 0 };
	struct waiter w[WAITERS];
	struct crew crew = { 0 };

	(void)state;
	fill(&o, w, &crew, TZ_PARKING_SPIN);
	for (int i = 0; i < WAITERS; i++) {
		assert_int_equal(tz_parking_wake(&o, 1, NULL, NULL, NULL), 1);
		until(atomic_load(&o.woken) == i + 1);
	}
	crew_join(&crew);
}

static void front_comes_first(void **state)
{
	struct object o = { 0 };
	struct waiter w[WAITERS];
	struct crew crew = { 0 };

	(void)state;
	fill(&o, w, &crew, TZ_PARKING_FRONT);
	for (int i = WAITERS - 1; i >= 0; i--) {
		w[i].answer = 1;
		assert_int_equal(tz_parking_wake(&o, 1, NULL, NULL, NULL), 1);
		until(atomic_load(&o.woken) == WAITERS - i);
		assert_int_equal(w[i].answer, 0);
	}
	crew_join(&crew);
}

/* Takes the odd ones, up to number 3 exclusive. */
static enum tz_parking_choice take_odd(struct tz_parked *n, void *arg)
{
	++*(int *)arg;
	if (n->kind == 3)
		return TZ_PARKING_STOP;
	n->token = 77;
	return n->kind % 2 ? TZ_PARKING_TAKE : TZ_PARKING_PASS;
}

static void settle_odd(void *arg, size_t taken, bool more)
{
	assert_int_equal(taken, 1);
	assert_true(more);
	*(int *)arg *= 100;
}

static void the_waker_may_choose(void **state)
{
	struct object o = { 0 };
	struct waiter w[WAITERS];
	struct crew crew = { 0 };
	int calls = 0;

	(void)state;
	fill(&o, w, &crew, 0);
	assert_int_equal(tz_parking_wake(&o, SIZE_MAX, take_odd, settle_odd, &calls), 1);
	assert_int_equal(calls, 400);
	until(atomic_load(&o.woken) == 1);
	assert_int_equal(w[1].node.token, 77);
	assert_int_equal(tz_parking_wake(&o, SIZE_MAX, NULL, NULL, NULL), 3);
	crew_join(&crew);
}

static void who_gives_up_says_so(void **state)
{
	struct object o = { 0 };
	struct waiter w[2] = { { .object = &o }, { .object = &o } };
	struct crew crew = { 0 };

	(void)state;
	w[0].deadline = tz_after(0.01);
	w[1].deadline = soon();
	crew_add(&crew, wait_here, &w[1]);
	until(atomic_load(&o.queued) == 1);
	crew_add(&crew, wait_here, &w[0]);
	until(atomic_load(&o.withdrawn) == 1); /* with another one still there */
	assert_int_equal(tz_parking_wake(&o, 1, NULL, NULL, NULL), 1);
	crew_join(&crew);
	assert_int_equal(w[0].answer, -ETIMEDOUT);
	assert_int_equal(w[1].answer, 0);
	assert_int_equal(atomic_load(&o.last_withdrawn), 0);
}

static bool move_all(struct tz_parked *n, void *arg)
{
	(void)n;
	(void)arg;
	return true;
}

static void settle_moved(void *arg, bool more)
{
	*(bool *)arg = more;
}

/* Moved waiters wait in the other queue, keep their order, and are past their deadline. */
static void moving(void **state)
{
	struct object from = { 0 }, to = { 0 };
	struct waiter w[WAITERS];
	struct crew crew = { 0 };
	bool more = false;

	(void)state;
	for (int i = 0; i < WAITERS; i++) {
		w[i] = (struct waiter){ .object = &from, .deadline = tz_after(1), .number = i };
		w[i].node.object = &to;
		crew_add(&crew, wait_here, &w[i]);
		until(atomic_load(&from.queued) == i + 1);
	}
	tz_parking_move(&from, 3, move_all, settle_moved, &more);
	assert_true(more);
	until(atomic_load(&from.last_withdrawn) == 1); /* the fourth gives up */
	assert_int_equal(tz_parking_wake(&from, SIZE_MAX, NULL, NULL, NULL), 0);
	(void)tz_sleep(0.01);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(atomic_load(&from.woken), i);
		assert_int_equal(tz_parking_wake(&to, 1, NULL, NULL, NULL), 1);
		until(atomic_load(&from.woken) == i + 1);
		assert_int_equal(w[i].answer, 0);
	}
	crew_join(&crew);
	assert_int_equal(w[3].answer, -ETIMEDOUT);
	tz_parking_move(&from, 3, move_all, settle_moved, &more);
	assert_false(more);
}

/* Many objects share few buckets, wakers and quitters meet: each wait has one answer, and wakers count as many as
 * waiters do. */

enum { OBJECTS = 40, THREADS = 4, TURNS = 2000 };

struct bazaar {
	struct object objects[OBJECTS];
	_Atomic long woken, taken;
	_Atomic int left;
};

static void *haggle(void *arg)
{
	struct bazaar *b = arg;
	uint32_t seed = (uint32_t)(uintptr_t)&b | 1;

	for (int i = 0; i < TURNS; i++) {
		struct waiter w = { .object = &b->objects[next_random(&seed) % OBJECTS] };

		w.node.strand = tz_strand_self();
		tz_deadline end = tz_after(1e-6 * (next_random(&seed) % 100));
		int r = tz_parking_wait(&w.node, w.object, &steps,
					next_random(&seed) & TZ_PARKING_SPIN, end);

		must(r == 0 || r == -ETIMEDOUT);
		atomic_fetch_add(&b->woken, r == 0);
	}
	atomic_fetch_sub(&b->left, 1);
	return NULL;
}

static void *wake_at_random(void *arg)
{
	struct bazaar *b = arg;
	uint32_t seed = (uint32_t)(uintptr_t)&b | 1;

	while (atomic_load(&b->left) > 0) {
		struct object *o = &b->objects[next_random(&seed) % OBJECTS];
		size_t n = tz_parking_wake(o, 1 + next_random(&seed) % 3, NULL, NULL, NULL);

		atomic_fetch_add(&b->taken, (long)n);
	}
	return NULL;
}

static void each_wait_has_one_answer(void **state)
{
	static struct bazaar b;
	struct crew crew = { 0 };

	(void)state;
	memset(&b, 0, sizeof b);
	atomic_store(&b.left, THREADS);
	for (int i = 0; i < THREADS; i++)
		crew_add(&crew, haggle, &b);
	crew_add(&crew, wake_at_random, &b);
	crew_join(&crew);
	assert_int_equal(atomic_load(&b.woken), atomic_load(&b.taken));
}

/* Probes */

struct seen {
	struct tz_probe_sink sink; /* first */
	const void *object;
	int begins, ends;
	uint64_t why;
};

static void see(const struct tz_probe_sink *sink, enum tz_probe what, const void *object,
		uint64_t value)
{
	struct seen *s = (struct seen *)(uintptr_t)sink;

	if (object != s->object)
		return;
	s->begins += what == TZ_PROBE_WAIT_BEGIN;
	s->ends += what == TZ_PROBE_WAIT_END;
	s->why = value;
}

static void probes_see_waits(void **state)
{
	tz_event e = { 0 };
	tz_lock lock = { 0 };
	struct seen s = { .sink.event = see, .object = &e };

	(void)state;
	tz_probe_set_sink(&s.sink);
	assert_int_equal(tz_event_wait_until(&e, tz_after(0.001)), -ETIMEDOUT);
	assert_int_equal(s.begins, 1);
	assert_int_equal(s.ends, 1);
	assert_int_equal(s.why, ETIMEDOUT);
	tz_event_set(&e);
	assert_int_equal(tz_event_wait(&e), 0);
	assert_int_equal(s.begins, 1); /* no wait, nothing to see */
	s.object = &lock;
	tz_lock_acquire(&lock);
	(void)tz_lock_release(&lock);
	assert_int_equal(s.begins, 1);
	tz_probe_set_sink(NULL);
	s.object = &e;
	tz_event_clear(&e);
	assert_int_equal(tz_event_wait_until(&e, tz_after(0.001)), -ETIMEDOUT);
	assert_int_equal(s.begins, 1);
}

/* Spinning */

static void seats_are_given_back(void **state)
{
	int n = 0;

	(void)state;
	while (tz_spin_sit())
		must(++n < 100000);
	assert_int_equal(n > 0, tz_spin_allowed());
	assert_false(tz_spin_sit());
	for (int i = 0; i < n; i++)
		tz_spin_leave();
	for (int i = 0; i < n; i++)
		assert_true(tz_spin_sit());
	for (int i = 0; i < n; i++)
		tz_spin_leave();
}

static void patience_follows_experience(void **state)
{
	struct tz_patience p = { 0 };
	uint64_t us = tz_clock_ticks_per_us();
	struct tz_moment begun = { 0, 0 }, soon_here = { 10 * us, 0 }, soon_there = { 30 * us, 1 },
			 late_there = { 5000 * us, 1 };
	uint32_t first = tz_patience_ask(&p), n;

	(void)state;
	assert_true(first > 0);
	tz_patience_learn(&p, begun, soon_there, true);
	assert_true(tz_patience_ask(&p) >= 30 * us); /* it would have been worth it */
	for (int i = 0; i < 50; i++)
		tz_patience_learn(&p, begun, late_there, true);
	assert_true(tz_patience_ask(&p) <= 4 * us);
	tz_patience_learn(&p, begun, soon_here, true); /* on the same processor */
	for (n = 0; tz_patience_ask(&p) == 0; n++)
		must(n < 10000);
	assert_true(n > 100); /* a trial, rarely */
	tz_patience_learn(&p, begun, soon_here, false);
	assert_true(tz_patience_ask(&p) >= 10 * us);
}

/* Where the price of a sleep is known, a spin is all of it, or half as long as the last one that was in vain. */
static void patience_knows_the_price(void **state)
{
	struct tz_patience p = { 0 };
	uint64_t us = tz_clock_ticks_per_us();
	struct tz_moment begun = { 0, 0 }, soon_here = { 10 * us, 0 }, soon_there = { us, 1 },
			 late_here = { 5000 * us, 0 };
	uint32_t n;

	(void)state;
	for (n = 0; n < 100; n++)
		tz_patience_pay(&p, 60 * (int64_t)us);
	tz_patience_learn(&p, begun, soon_there, true);
	uint32_t all = tz_patience_ask(&p);

	assert_in_range(all, 59 * us, 61 * us);
	for (n = 0; n < 1000; n++)
		tz_patience_learn(&p, begun, soon_there, false);
	assert_int_equal(tz_patience_ask(&p), all); /* short waits do not make it shorter */
	/* Where it was is of no account after so long. */
	tz_patience_learn(&p, begun, late_here, true);
	assert_int_equal(tz_patience_ask(&p), all / 2);
	for (n = 0; n < 50; n++)
		tz_patience_learn(&p, begun, late_here, true);
	assert_in_range(tz_patience_ask(&p), 1, 4 * us);
	tz_patience_learn(&p, begun, soon_there, true);
	assert_int_equal(tz_patience_ask(&p), all);
	tz_patience_learn(&p, begun, soon_here, true); /* it was in the way */
	assert_int_equal(tz_patience_ask(&p), 0);
	for (n = 0; tz_patience_ask(&p) == 0; n++)
		must(n < 1000);
	assert_true(n > 10); /* a trial, now and then */
	for (n = 0; n < 100; n++)
		tz_patience_pay(&p, INT64_MAX); /* on a machine that is busy, or asleep */
	tz_patience_learn(&p, begun, soon_there, true);
	assert_in_range(tz_patience_ask(&p), all, 1000 * us);
}

/* fork: the child has no waiters, and its objects work, even those with a stale sign that somebody waits. */

static void child_after_fork(tz_lock *lock, tz_event *event)
{
	alarm(CREW_PATIENCE);
	if (tz_lock_release(lock) != 0 || tz_lock_try(lock) != 0)
		_exit(1);
	tz_event_set(event);
	tz_event_clear(event);
	if (tz_event_wait_until(event, tz_after(0.001)) != -ETIMEDOUT)
		_exit(2);
	_exit(0);
}

struct left_behind {
	tz_lock lock;
	tz_event event;
};

static void *wait_for_lock(void *arg)
{
	struct left_behind *l = arg;

	tz_lock_acquire(&l->lock);
	(void)tz_lock_release(&l->lock);
	return NULL;
}

static void *wait_for_event(void *arg)
{
	struct left_behind *l = arg;

	must(tz_event_wait_until(&l->event, soon()) == 0);
	return NULL;
}

static void a_fork_child_has_no_waiters(void **state)
{
	struct left_behind l = { 0 };
	struct crew crew = { 0 };
	int status;

	(void)state;
	tz_lock_acquire(&l.lock);
	crew_add(&crew, wait_for_lock, &l);
	crew_add(&crew, wait_for_event, &l);
	until(__atomic_load_n(&l.lock.tz__word, __ATOMIC_RELAXED) & 4);
	until(__atomic_load_n(&l.event.tz__word, __ATOMIC_RELAXED) & 2);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		child_after_fork(&l.lock, &l.event);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	(void)tz_lock_release(&l.lock);
	tz_event_set(&l.event);
	crew_join(&crew);
}

/* A word may also say that a strand is awake and on its way, which in the child nobody is. */

struct haunted {
	tz_lock lock;
	tz_rwlock rwlock;
};

static void *pass_through(void *arg)
{
	struct haunted *h = arg;

	for (int i = 0; i < 200; i++) {
		must(tz_lock_acquire_until(&h->lock, soon()) == 0);
		(void)tz_sleep(i % 50 == 0 ? 0.001 : 0);
		must(tz_lock_release(&h->lock) == 0);
		must(tz_rwlock_acquire_read_until(&h->rwlock, soon()) == 0);
		must(tz_rwlock_release_read(&h->rwlock) == 0);
		must(tz_rwlock_acquire_write_until(&h->rwlock, soon()) == 0);
		(void)tz_sleep(i % 50 == 0 ? 0.001 : 0);
		must(tz_rwlock_release_write(&h->rwlock) == 0);
	}
	return NULL;
}

static void a_fork_child_has_no_rivals(void **state)
{
	enum { RIVAL = 2, SOME_WAIT = 4 };
	struct haunted h = { { RIVAL | SOME_WAIT }, { RIVAL | SOME_WAIT } };
	int status;

	(void)state;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct crew crew = { 0 };

		alarm(CREW_PATIENCE);
		if (tz_rwlock_acquire_read_until(&h.rwlock, tz_after(5)) != 0)
			_exit(1);
		(void)tz_rwlock_release_read(&h.rwlock);
		h.rwlock.tz__word = RIVAL | SOME_WAIT;
		for (int i = 0; i < 4; i++)
			crew_add(&crew, pass_through, &h);
		crew_join(&crew);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begin_may_refuse),
		cmocka_unit_test(waking_nobody),
		cmocka_unit_test(wakes_in_order),
		cmocka_unit_test(front_comes_first),
		cmocka_unit_test(the_waker_may_choose),
		cmocka_unit_test(who_gives_up_says_so),
		cmocka_unit_test(moving),
		cmocka_unit_test(each_wait_has_one_answer),
		cmocka_unit_test(probes_see_waits),
		cmocka_unit_test(seats_are_given_back),
		cmocka_unit_test(patience_follows_experience),
		cmocka_unit_test(patience_knows_the_price),
		cmocka_unit_test(a_fork_child_has_no_waiters),
		cmocka_unit_test(a_fork_child_has_no_rivals),
	};

	return cmocka_run_group_tests_name("parking", tests, NULL, NULL);
}
