/* Semaphores: permits, bounds, order, time, blocks, and that the last user may free them. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include <trenza/scope.h>
#include <trenza/semaphore.h>

#include "check.h"
#include "crew.h"
#include "proc.h"

static bool somebody_waits(tz_semaphore *s)
{
	return (__atomic_load_n(&s->tz__word, __ATOMIC_RELAXED) & 1) != 0;
}

static void permits_are_counted(void **state)
{
	tz_semaphore s = { 0 };

	(void)state;
	assert_int_equal(sizeof s, 8);
	assert_int_equal(tz_semaphore_permits(&s), 0);
	assert_int_equal(tz_semaphore_try(&s), -EBUSY);
	assert_int_equal(tz_semaphore_init(&s, 2), 0);
	assert_int_equal(tz_semaphore_acquire(&s), 0);
	assert_int_equal(tz_semaphore_try(&s), 0);
	assert_int_equal(tz_semaphore_try(&s), -EBUSY);
	assert_int_equal(tz_semaphore_release_n(&s, 3),
			 0); /* more than there were: it is not bounded */
	assert_int_equal(tz_semaphore_permits(&s), 3);
	assert_int_equal(tz_semaphore_acquire_until(&s, tz_after(-1)), 0);
	assert_int_equal(tz_semaphore_permits(&s), 2);
	assert_int_equal(tz_semaphore_release_n(&s, 0), 0);
	assert_int_equal(tz_semaphore_permits(&s), 2);
}

static void misuse(void **state)
{
	tz_semaphore s = { 0 };

	(void)state;
	assert_int_equal(tz_semaphore_init(&s, -1), -EINVAL);
	assert_int_equal(tz_semaphore_init_bounded(&s, -1), -EINVAL);
	assert_int_equal(tz_semaphore_init(&s, INT_MAX), -EINVAL);
	assert_int_equal(s.tz__word, 0);
	assert_int_equal(tz_semaphore_init(&s, TZ_SEMAPHORE_MAX), 0);
	assert_int_equal(tz_semaphore_release(&s), -EOVERFLOW);
	assert_int_equal(tz_semaphore_release_n(&s, -1), -EINVAL);
	assert_int_equal(tz_semaphore_permits(&s), TZ_SEMAPHORE_MAX);
}

static void bounded_refuses_one_too_many(void **state)
{
	tz_semaphore s, none;

	(void)state;
	assert_int_equal(tz_semaphore_init_bounded(&s, 2), 0);
	assert_int_equal(tz_semaphore_release(&s), -EOVERFLOW);
	assert_int_equal(tz_semaphore_acquire(&s), 0);
	assert_int_equal(tz_semaphore_release_n(&s, 2), -EOVERFLOW);
	assert_int_equal(tz_semaphore_permits(&s), 1);
	assert_int_equal(tz_semaphore_release(&s), 0);
	assert_int_equal(tz_semaphore_permits(&s), 2);
	assert_int_equal(tz_semaphore_init_bounded(&none, 0), 0);
	assert_int_equal(tz_semaphore_release(&none), -EOVERFLOW);
}

static void waits_end(void **state)
{
	tz_semaphore s = { 0 };
	tz_scope scope = { 0 };

	(void)state;
	assert_int_equal(tz_semaphore_acquire_until(&s, tz_after(0.002)), -ETIMEDOUT);
	TZ_TIMEOUT(0.002) {
		assert_int_equal(tz_semaphore_acquire(&s), -ETIMEDOUT);
	}
	tz_scope_enter(&scope, soon());
	tz_scope_cancel(&scope);
	assert_int_equal(tz_semaphore_acquire(&s), -ECANCELED);
	assert_int_equal(tz_semaphore_release(&s), 0);
	assert_int_equal(tz_semaphore_acquire(&s), 0); /* a permit beats a cancel */
	(void)tz_scope_leave(&scope);
	assert_int_equal(s.tz__word, 0);
}

struct line {
	tz_semaphore semaphore;
	_Atomic int through, served;
	int order[5];
};

struct place {
	struct line *line;
	int number;
	atomic_int thread;
};

static void *stand_in_line(void *arg)
{
	struct place *p = arg;

	atomic_store(&p->thread, (int)gettid());
	must(tz_semaphore_acquire_until(&p->line->semaphore, soon()) == 0);
	p->line->order[atomic_fetch_add(&p->line->through, 1)] = p->number;
	atomic_fetch_add(&p->line->served, 1);
	return NULL;
}

static void first_come_first_served(void **state)
{
	struct line l = { 0 };
	struct place places[5];
	struct crew crew = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		places[i] = (struct place){ &l, i, 0 };
		crew_add(&crew, stand_in_line, &places[i]);
		until(atomic_load(&places[i].thread) != 0);
		until(state_of(places[i].thread) == 'S'); /* the next one after this one */
	}
	for (int i = 0; i < 5; i++) {
		assert_int_equal(tz_semaphore_release(&l.semaphore), 0);
		assert_int_equal(tz_semaphore_try(&l.semaphore),
				 -EBUSY); /* it is not for newcomers */
		until(atomic_load(&l.served) == i + 1);
		assert_int_equal(l.order[i], i);
	}
	crew_join(&crew);
	assert_int_equal(l.semaphore.tz__word, 0);
}

static void release_n_wakes_n(void **state)
{
	struct line l = { 0 };
	struct place p = { &l, 0, 0 };
	struct crew crew = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++)
		crew_add(&crew, stand_in_line, &p);
	until(somebody_waits(&l.semaphore));
	assert_int_equal(tz_semaphore_release_n(&l.semaphore, 3), 0);
	until(atomic_load(&l.served) == 3);
	(void)tz_sleep(0.002);
	assert_int_equal(atomic_load(&l.served), 3);
	assert_int_equal(tz_semaphore_release_n(&l.semaphore, 4), 0);
	crew_join(&crew);
	assert_int_equal(tz_semaphore_permits(&l.semaphore), 2);
}

/* Never more inside than there are permits, and in the end as many permits as in the beginning. */

enum { THREADS = 6, TURNS = 3000, PERMITS = 2 };

struct ledger {
	tz_semaphore semaphore;
	_Atomic int inside;
	_Atomic long entered;
};

static void *come_and_go(void *arg)
{
	struct ledger *l = arg;
	uint32_t seed = (uint32_t)(uintptr_t)&l | 1;

	for (int i = 0; i < TURNS; i++) {
		uint32_t dice = next_random(&seed);
		int r = dice % 2 ? tz_semaphore_acquire_until(&l->semaphore, soon())
				 : tz_semaphore_acquire_until(&l->semaphore,
							      tz_after(1e-6 * (dice % 90)));

		must(r == 0 || (r == -ETIMEDOUT && dice % 2 == 0));
		if (r < 0)
			continue;
		must(atomic_fetch_add(&l->inside, 1) < PERMITS);
		atomic_fetch_add(&l->entered, 1);
		atomic_fetch_sub(&l->inside, 1);
		must(tz_semaphore_release(&l->semaphore) == 0);
	}
	return NULL;
}

static void never_more_than_permitted(void **state)
{
	struct ledger l = { 0 };
	struct crew crew = { 0 };

	(void)state;
	assert_int_equal(tz_semaphore_init_bounded(&l.semaphore, PERMITS), 0);
	for (int i = 0; i < THREADS; i++)
		crew_add(&crew, come_and_go, &l);
	crew_join(&crew);
	assert_true(atomic_load(&l.entered) >= THREADS * TURNS / 4);
	assert_int_equal(l.semaphore.tz__word, PERMITS * 2);
}

static void *release_it(void *arg)
{
	must(tz_semaphore_release(arg) == 0);
	return NULL;
}

static void who_acquired_may_free(void **state)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	for (int i = 0; i < 300; i++) {
		tz_semaphore *s = mmap(NULL, size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct crew crew = { 0 };

		assert_true(s != MAP_FAILED);
		crew_add(&crew, release_it, s);
		assert_int_equal(tz_semaphore_acquire_until(s, soon()), 0);
		assert_int_equal(mprotect(s, size, PROT_NONE), 0);
		crew_join(&crew);
		assert_int_equal(munmap(s, size), 0);
	}
}

static int leave_by_return(tz_semaphore *s)
{
	tz_with_semaphore(s, NULL) {
		return tz_semaphore_permits(s);
	}
	return -1;
}

static void blocks_release(void **state)
{
	tz_semaphore s;
	tz_scope scope = { 0 };
	int r = 1, turns = 0;

	(void)state;
	assert_int_equal(tz_semaphore_init_bounded(&s, 1), 0);
	assert_int_equal(leave_by_return(&s), 0);
	assert_int_equal(tz_semaphore_permits(&s), 1);
	tz_with_semaphore(&s, &r) {
		turns++;
		assert_int_equal(tz_semaphore_permits(&s), 0);
		break;
	}
	assert_int_equal(r, 0);
	assert_int_equal(turns, 1);
	assert_int_equal(tz_semaphore_acquire(&s), 0);
	tz_scope_enter(&scope, soon());
	tz_scope_cancel(&scope);
	tz_with_semaphore(&s, &r)
		turns++;
	(void)tz_scope_leave(&scope);
	assert_int_equal(r, -ECANCELED);
	assert_int_equal(turns, 1); /* the body was skipped, and nothing released */
	assert_int_equal(tz_semaphore_permits(&s), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permits_are_counted),
		cmocka_unit_test(misuse),
		cmocka_unit_test(bounded_refuses_one_too_many),
		cmocka_unit_test(waits_end),
		cmocka_unit_test(first_come_first_served),
		cmocka_unit_test(release_n_wakes_n),
		cmocka_unit_test(never_more_than_permitted),
		cmocka_unit_test(who_acquired_may_free),
		cmocka_unit_test(blocks_release),
	};

	return cmocka_run_group_tests_name("semaphores", tests, NULL, NULL);
}
