/* Conditions: exact wake-ups in order, predicates, time, scopes, shared and recursive locks. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <trenza/condition.h>
#include <trenza/scope.h>

#include "check.h"
#include "crew.h"
#include "proc.h"

enum { WAITERS = 5 };

struct line {
	tz_lock lock;
	tz_condition condition;
	int waiting; /* by lock */
	int woken;
	int order[WAITERS]; /* who came in which place */
	int back[WAITERS]; /* who was woken in which place */
};

struct place {
	struct line *line;
	int number;
	int thread;
};

static void *stand_in_line(void *arg)
{
	struct place *p = arg;
	struct line *l = p->line;

	tz_with_lock(&l->lock) {
		p->thread = (int)gettid();
		l->order[l->waiting++] = p->number;
		must(tz_condition_wait_until(&l->condition, &l->lock, soon()) == 0);
		must(tz_lock_is_held(&l->lock));
		l->back[l->woken++] = p->number;
	}
	return NULL;
}

static int locked_read(tz_lock *lock, const int *value)
{
	int v = 0;

	tz_with_lock(lock)
		v = *value;
	return v;
}

static void fill(struct line *l, struct crew *crew, struct place *places)
{
	for (int i = 0; i < WAITERS; i++) {
		places[i] = (struct place){ l, i, 0 };
		crew_add(crew, stand_in_line, &places[i]);
		until(locked_read(&l->lock, &l->waiting) == i + 1);
	}
}

/* However it is notified, as many are woken as were notified, in the order in which they came. */
static void first_come_first_served(bool while_locked, size_t at_a_time)
{
	struct line l = { 0 };
	struct crew crew = { 0 };
	struct place places[WAITERS];

	fill(&l, &crew, places);
	for (size_t n = 0; n < WAITERS;) {
		size_t left = WAITERS - n, step = at_a_time < left ? at_a_time : left;

		if (while_locked)
			tz_lock_acquire(&l.lock);
		if (at_a_time == 1)
			tz_condition_notify(&l.condition);
		else if (at_a_time == WAITERS)
			tz_condition_notify_all(&l.condition);
		else
			tz_condition_notify_n(&l.condition, at_a_time);
		if (while_locked)
			(void)tz_lock_release(&l.lock);
		n += step;
		until(locked_read(&l.lock, &l.woken) == (int)n);
		(void)tz_sleep(0.002);
		assert_int_equal(locked_read(&l.lock, &l.woken), n); /* and no more */
	}
	crew_join(&crew);
	if (at_a_time == 1)
		assert_memory_equal(l.order, l.back, sizeof l.order);
	assert_int_equal(l.condition.tz__waiters, 0);
	assert_int_equal(l.lock.tz__word, 0);
}

static void notify_wakes_in_order(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		first_come_first_served(i % 2, 1);
}

static void notify_n_wakes_n(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		first_come_first_served(i % 2, 2);
}

static void notify_all_wakes_all(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		first_come_first_served(i % 2, WAITERS);
}

/* Under the lock, all go through the lock's own queue, which keeps them in order. */
static void notify_all_keeps_the_order(void **state)
{
	struct line l = { 0 };
	struct crew crew = { 0 };
	struct place places[WAITERS];

	(void)state;
	fill(&l, &crew, places);
	for (int i = 0; i < WAITERS; i++)
		until(state_of(places[i].thread) == 'S'); /* and not spinning, so that they are moved */
	tz_lock_acquire(&l.lock);
	tz_condition_notify_all(&l.condition);
	(void)tz_sleep(0.005); /* long enough that each of them is handed the lock */
	(void)tz_lock_release(&l.lock);
	crew_join(&crew);
	assert_int_equal(l.woken, WAITERS);
	assert_memory_equal(l.order, l.back, sizeof l.order);
}

static void notifying_nobody_is_forgotten(void **state)
{
	tz_lock lock = { 0 };
	tz_condition c = { 0 };

	(void)state;
	assert_int_equal(sizeof c, 4);
	tz_condition_notify(&c);
	tz_condition_notify_all(&c);
	tz_condition_notify_n(&c, 0);
	tz_lock_acquire(&lock);
	assert_int_equal(tz_condition_wait_until(&c, &lock, tz_after(0.002)), -ETIMEDOUT);
	assert_true(tz_lock_is_held(&lock));
	assert_int_equal(tz_lock_release(&lock), 0);
	assert_int_equal(c.tz__waiters, 0);
}

static void misuse(void **state)
{
	tz_lock lock = { 0 };
	tz_rlock rlock = { 0 };
	tz_condition c = { 0 };

	(void)state;
	assert_int_equal(tz_condition_wait(&c, &lock), -EPERM);
	assert_int_equal(tz_condition_wait_rlock(&c, &rlock, soon()), -EPERM);
	assert_int_equal(lock.tz__word, 0);
}

static bool never(void *arg)
{
	(*(int *)arg)++;
	return false;
}

static bool always(void *arg)
{
	(*(int *)arg)++;
	return true;
}

static void misuse_of_wait_for(void **state)
{
	tz_lock lock = { 0 };
	tz_rlock rlock = { 0 };
	tz_condition c = { 0 };
	int calls = 0;

	(void)state;
	assert_int_equal(tz_condition_wait_for(&c, &lock, always, &calls), -EPERM);
	assert_int_equal(tz_condition_wait_for_rlock(&c, &rlock, always, &calls, soon()), -EPERM);
	assert_int_equal(calls, 0);
}

static void wait_for_does_not_wait_for_what_is_so(void **state)
{
	tz_lock lock = { 0 };
	tz_condition c = { 0 };
	int calls = 0;

	(void)state;
	tz_lock_acquire(&lock);
	assert_int_equal(tz_condition_wait_for(&c, &lock, always, &calls), 0);
	assert_int_equal(calls, 1);
	assert_int_equal(tz_condition_wait_for_until(&c, &lock, always, &calls, tz_after(-1)), 0);
	assert_int_equal(calls, 2);
	assert_int_equal(tz_condition_wait_for_until(&c, &lock, never, &calls, tz_after(0.002)),
			 -ETIMEDOUT);
	assert_int_equal(calls, 4); /* before the wait and at its end: nothing in between */
	assert_int_equal(tz_lock_release(&lock), 0);
}

static void scopes_end_waits(void **state)
{
	tz_lock lock = { 0 };
	tz_condition c = { 0 };
	tz_scope scope = { 0 };
	int calls = 0;

	(void)state;
	tz_lock_acquire(&lock);
	TZ_TIMEOUT(0.002) {
		assert_int_equal(tz_condition_wait(&c, &lock), -ETIMEDOUT);
		assert_int_equal(tz_condition_wait_for(&c, &lock, never, &calls), -ETIMEDOUT);
	}
	tz_scope_enter(&scope, soon());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_condition_wait(&c, &lock), -ECANCELED);
	assert_int_equal(tz_condition_wait_for(&c, &lock, never, &calls), -ECANCELED);
	assert_int_equal(tz_condition_wait_for(&c, &lock, always, &calls), 0);
	(void)tz_scope_leave(&scope);
	assert_true(tz_lock_is_held(&lock));
	assert_int_equal(tz_lock_release(&lock), 0);
	assert_int_equal(c.tz__waiters, 0);
}

/* Two conditions on one lock, as a bounded buffer has them. */

enum { ITEMS = 6000, ROOM = 3 };

struct buffer {
	tz_lock lock;
	tz_condition not_full, not_empty;
	int in, out;
	unsigned char seen[ITEMS];
};

static bool has_room(void *arg)
{
	struct buffer *b = arg;

	return b->in - b->out < ROOM;
}

static bool has_item(void *arg)
{
	struct buffer *b = arg;

	return b->in > b->out || b->out == ITEMS;
}

static void *produce(void *arg)
{
	struct buffer *b = arg;

	for (bool more = true; more;) {
		tz_with_lock(&b->lock) {
			must(tz_condition_wait_for_until(&b->not_full, &b->lock, has_room, b,
							 soon()) == 0);
			more = b->in < ITEMS;
			if (more)
				b->in++;
			tz_condition_notify(&b->not_empty);
		}
	}
	return NULL;
}

static void *consume(void *arg)
{
	struct buffer *b = arg;

	for (bool more = true; more;) {
		tz_with_lock(&b->lock) {
			must(tz_condition_wait_for_until(&b->not_empty, &b->lock, has_item, b,
							 soon()) == 0);
			more = b->out < ITEMS;
			if (more)
				b->seen[b->out++]++;
			if (b->out == ITEMS)
				tz_condition_notify_all(&b->not_empty);
			tz_condition_notify(&b->not_full);
		}
	}
	return NULL;
}

static void two_conditions_on_one_lock(void **state)
{
	static struct buffer b;
	struct crew crew = { 0 };

	(void)state;
	memset(&b, 0, sizeof b);
	for (int i = 0; i < 3; i++) {
		crew_add(&crew, produce, &b);
		crew_add(&crew, consume, &b);
	}
	crew_join(&crew);
	for (int i = 0; i < ITEMS; i++)
		assert_int_equal(b.seen[i], 1);
	assert_int_equal(b.lock.tz__word, 0);
	assert_int_equal(b.not_full.tz__waiters + b.not_empty.tz__waiters, 0);
}

/* A waiter that gives up and a notification that comes at that moment: 0 is answered for notifications only, and
 * nobody is left waiting. */

struct hasty {
	tz_lock lock;
	tz_condition condition;
	long notified, woken;
	_Atomic bool stop;
};

static void *wait_impatiently(void *arg)
{
	struct hasty *h = arg;
	uint32_t seed = (uint32_t)(uintptr_t)&h | 1;

	while (!atomic_load(&h->stop)) {
		tz_with_lock(&h->lock) {
			tz_deadline end = tz_after(1e-6 * (next_random(&seed) % 150));
			int r = tz_condition_wait_until(&h->condition, &h->lock, end);

			must(r == 0 || r == -ETIMEDOUT);
			h->woken += r == 0;
		}
	}
	return NULL;
}

static void giving_up_and_being_notified_at_once(void **state)
{
	struct hasty h = { 0 };
	struct crew crew = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++)
		crew_add(&crew, wait_impatiently, &h);
	for (int i = 0; i < 4000; i++) {
		tz_with_lock(&h.lock) {
			tz_condition_notify(&h.condition);
			h.notified++;
		}
		if (i % 16 == 0)
			(void)tz_sleep(0.0001);
	}
	atomic_store(&h.stop, true);
	crew_join(&crew);
	assert_true(h.woken > 0);
	assert_true(h.woken <= h.notified);
	assert_int_equal(h.lock.tz__word, 0);
	assert_int_equal(h.condition.tz__waiters, 0);
}

/* The exact count, without time-outs in the way: two hand one token to and fro. */

struct table {
	tz_lock lock;
	tz_condition side[2];
	int turn;
	int left;
};

struct player {
	struct table *table;
	int side;
};

static void *play(void *arg)
{
	struct player *p = arg;
	struct table *t = p->table;

	tz_with_lock(&t->lock) {
		while (t->left > 0) {
			if (t->turn != p->side) {
				must(tz_condition_wait_until(&t->side[p->side], &t->lock, soon()) ==
				     0);
				must(t->turn == p->side); /* woken once, and for this */
				continue;
			}
			t->left--;
			t->turn = !p->side;
			tz_condition_notify(&t->side[t->turn]);
		}
	}
	return NULL;
}

static void no_spurious_wake_ups(void **state)
{
	struct table t = { .left = 20000 };
	struct player a = { &t, 0 }, b = { &t, 1 };
	struct crew crew = { 0 };

	(void)state;
	crew_add(&crew, play, &a);
	crew_add(&crew, play, &b);
	crew_join(&crew);
	assert_int_equal(t.left, 0);
}

/* Recursive locks */

struct rline {
	tz_rlock lock;
	tz_condition condition;
	bool ready;
	bool waits;
};

static bool is_ready(void *arg)
{
	return ((struct rline *)arg)->ready;
}

static void *wait_deep(void *arg)
{
	struct rline *l = arg;

	tz_with_rlock(&l->lock)
		tz_with_rlock(&l->lock) {
			l->waits = true;
			must(tz_condition_wait_for_rlock(&l->condition, &l->lock, is_ready, l,
							 soon()) == 0);
			must(tz_rlock_is_mine(&l->lock));
			must(tz_rlock_release(&l->lock) == 0); /* it is held twice again */
			must(tz_rlock_is_mine(&l->lock));
			tz_rlock_acquire(&l->lock);
		}
	must(!tz_rlock_is_mine(&l->lock));
	return NULL;
}

static void waiting_releases_a_recursive_lock_whole(void **state)
{
	struct rline l = { 0 };
	struct crew crew = { 0 };
	bool waits = false;

	(void)state;
	crew_add(&crew, wait_deep, &l);
	while (!waits)
		tz_with_rlock(&l.lock)
			waits = l.waits;
	tz_with_rlock(&l.lock) {
		l.ready = true;
		tz_condition_notify(&l.condition);
	}
	crew_join(&crew);
	assert_false(tz_rlock_is_held(&l.lock));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notify_wakes_in_order),
		cmocka_unit_test(notify_n_wakes_n),
		cmocka_unit_test(notify_all_wakes_all),
		cmocka_unit_test(notify_all_keeps_the_order),
		cmocka_unit_test(notifying_nobody_is_forgotten),
		cmocka_unit_test(misuse),
		cmocka_unit_test(misuse_of_wait_for),
		cmocka_unit_test(wait_for_does_not_wait_for_what_is_so),
		cmocka_unit_test(scopes_end_waits),
		cmocka_unit_test(two_conditions_on_one_lock),
		cmocka_unit_test(giving_up_and_being_notified_at_once),
		cmocka_unit_test(no_spurious_wake_ups),
		cmocka_unit_test(waiting_releases_a_recursive_lock_whole),
	};

	return cmocka_run_group_tests_name("conditions", tests, NULL, NULL);
}
