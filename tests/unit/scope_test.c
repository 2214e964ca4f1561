/* What a scope keeps of what it owns. */
#define _GNU_SOURCE
#include "check.h"
#include "crew.h"

#include <errno.h>
#include <stdatomic.h>

#include <trenza.h>

#include "core/scope.h"
#include "core/strand.h"

static int same(int x)
{
	return x;
}
TZ_TASK(int, same, int);

static uint32_t room_here(void)
{
	return tz_strand_self()->scope->tz__room;
}

/* The most room that the list has had. */
static int spawn_and_join(int n)
{
	uint32_t most = 0;

	for (int i = 0; i < n; i++) {
		if (tz_result(tz_spawn(same, i), NULL) < 0)
			return -1;
		most = room_here() > most ? room_here() : most;
	}
	return (int)most;
}
TZ_TASK(int, spawn_and_join, int);

static void does_not_grow_with_what_was_released(void **state)
{
	int most = 0;

	(void)state;
	assert_int_equal(tz_result(tz_submit(NULL, spawn_and_join, 100000), &most), 0);
	assert_in_range(most, 1, 8);
}

/* Ten at a time. */
static int spawn_in_tens(int n)
{
	same_future f[10];
	uint32_t most = 0;

	for (int i = 0; i < n; i++) {
		for (int k = 0; k < 10; k++)
			f[k] = tz_spawn(same, k);
		most = room_here() > most ? room_here() : most;
		if (tz_gather_all(f, 10) < 0)
			return -1;
	}
	return (int)most;
}
TZ_TASK(int, spawn_in_tens, int);

static void grows_with_what_is_alive(void **state)
{
	int most = 0;

	(void)state;
	assert_int_equal(tz_result(tz_submit(NULL, spawn_in_tens, 5000), &most), 0);
	assert_in_range(most, 10, 40);
}

/* Nobody waits for them one by one; the group reaps. */
static int serve(int n)
{
	uint32_t most = 0;

	TZ_GROUP(g, TZ_GROUP_FAIL_FAST | TZ_GROUP_REAP)
	{
		for (int i = 0; i < n; i++) {
			(void)tz_group_spawn(&g, same, i);
			if (i % 100 == 0 && tz_group_wait(&g) < 0)
				return -1;
			most = room_here() > most ? room_here() : most;
		}
	}
	return (int)most;
}
TZ_TASK(int, serve, int);

static void does_not_grow_where_it_reaps(void **state)
{
	int most = 0;

	(void)state;
	assert_int_equal(tz_result(tz_submit(NULL, serve, 20000), &most), 0);
	assert_in_range(most, 1, 512);
}

/* Given by other strands: the scope's own does not look at the list before it is left. */
static int give(tz_scope *scope, int n)
{
	for (int i = 0; i < n; i++)
		if (tz_result(tz_scope_submit(scope, NULL, same, i), NULL) < 0)
			return -1;
	return (int)scope->tz__given_room;
}
TZ_TASK(int, give, tz_scope *, int);

static void does_not_grow_with_what_was_given_and_released(void **state)
{
	give_future f;
	int room = 0;

	(void)state;
	TZ_SCOPE(s)
	{
		f = tz_submit(NULL, give, &s, 20000);
		assert_int_equal(tz_wait(f, soon()), 0);
		assert_int_equal(tz_result(f, &room), 0);
	}
	assert_in_range(room, 1, 16);
}

static void takes_a_handle_that_is_stale(void **state)
{
	same_future f = tz_submit(NULL, same, 1);
	tz_scope s = { 0 };
	int r;

	(void)state;
	assert_int_equal(tz_result(f, NULL), 0);
	tz_scope_enter(&s, tz_never());
	assert_int_equal(tz_scope_adopt(&s, f), 0);
	assert_int_equal(tz_scope_adopt(&s, (same_future){ 0 }), 0);
	r = tz_scope_reschedule(&s, soon());
	tz_scope_cancel(&s);
	assert_int_equal(tz_scope_leave(&s), 0);
	assert_int_equal(r, 0);
}

/* The list moves while somebody cancels what is in it. */
static int spawn_while_cancelled(_Atomic(tz_scope *) *where)
{
	int spawned = 0;

	TZ_SCOPE(s)
	{
		atomic_store(where, &s);
		while (tz_interrupted() == 0 && spawned < 1000000) {
			(void)tz_spawn(same, spawned++);
			if (spawned % 64 == 0)
				(void)tz_scope_make_room(&s);
		}
	}
	return spawned;
}
TZ_TASK(int, spawn_while_cancelled, _Atomic(tz_scope *) *);

static void is_cancelled_while_it_moves(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		static _Atomic(tz_scope *) where;
		spawn_while_cancelled_future f;

		atomic_store(&where, NULL);
		f = tz_submit(NULL, spawn_while_cancelled, &where);
		until(atomic_load(&where));
		tz_scope_cancel(atomic_load(&where));
		assert_int_equal(tz_wait(f, soon()), 0);
		assert_int_equal(tz_result(f, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_not_grow_with_what_was_released),
		cmocka_unit_test(grows_with_what_is_alive),
		cmocka_unit_test(does_not_grow_where_it_reaps),
		cmocka_unit_test(does_not_grow_with_what_was_given_and_released),
		cmocka_unit_test(takes_a_handle_that_is_stale),
		cmocka_unit_test(is_cancelled_while_it_moves),
	};

	return cmocka_run_group_tests_name("scope", tests, NULL, NULL);
}
