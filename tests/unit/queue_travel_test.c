/* Queues travel: to workers and to processes of every start method, typed or not; and what workers that are killed had on lease. */
#define _GNU_SOURCE

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza.h>

#include "abilities.h"
#include "check.h"

TZ_SHARED_QUEUE(long, longs);

enum { MANY = 200 };

static tz_deadline soon(void)
{
	return tz_after(30);
}

static long give(tz_shared_queue *q, int n)
{
	for (long i = 1; i <= n; i++)
		if (tz_put_value_until(q, TZ_VALUE(i), soon()) < 0)
			return -1;
	return n;
}
TZ_TASK(long, give, tz_shared_queue *, int);

static long take(tz_shared_queue *q, int n)
{
	long sum = 0;

	for (int i = 0; i < n; i++) {
		tz_value v;
		int64_t number = 0;

		if (tz_get_until(q, &v, soon()) < 0 || tz_value_to_int(&v, &number) < 0)
			return -1;
		tz_value_free(v);
		sum += number;
	}
	return sum;
}
TZ_TASK(long, take, tz_shared_queue *, int);

static long give_longs(longs *q)
{
	for (long i = 1; i <= MANY; i++)
		if (longs_put_until(q, i, soon()) < 0)
			return -1;
	return MANY;
}
TZ_TASK(long, give_longs, longs *);

static void large_first(tz_shared_queue *q, int n)
{
	char *data = malloc((size_t)n);

	if (!data)
		return;
	memset(data, 5, (size_t)n);
	(void)tz_shared_queue_put_bytes_until(q, data, (size_t)n, soon());
	free(data);
}
TZ_TASK(void, large_first, tz_shared_queue *, int);

static void between_workers(void **state)
{
	tz_shared_queue *q;
	tz_executor *ex;
	long sum = 0, n = 0;

	(void)state;
	assert_int_equal(tz_shared_queue_open(&q, TZ_OPTIONS(tz_shared_queue_options, .capacity = 8)), 0);
	assert_int_equal(tz_executor_open(&ex, "processes:2"), 0);
	for (int round = 0; round < 3; round++) {
		take_future t = tz_submit(ex, take, q, MANY);
		give_future g = tz_submit(ex, give, q, MANY);

		assert_int_equal(tz_result(g, &n), 0);
		assert_int_equal(n, MANY);
		assert_int_equal(tz_result(t, &sum), 0);
		assert_int_equal(sum, (long)MANY * (MANY + 1) / 2);
	}
	assert_true(tz_shared_queue_empty(q));
	tz_executor_close(ex);
	tz_shared_queue_close(q);
}

static void with_a_type(void **state)
{
	tz_executor *ex;
	longs *q;
	long n = 0;
	give_longs_future f;

	(void)state;
	assert_int_equal(longs_open(&q, TZ_OPTIONS(tz_shared_queue_options, .capacity = 3)), 0);
	assert_int_equal(tz_executor_open(&ex, "processes:1"), 0);
	f = tz_submit(ex, give_longs, q);
	for (long i = 1; i <= MANY; i++) {
		assert_int_equal(longs_get_until(q, &n, soon()), 0);
		assert_int_equal(n, i);
	}
	assert_int_equal(tz_result(f, &n), 0);
	tz_executor_close(ex);
	longs_close(q);
}

static void a_worker_lets_the_heap_grow(void **state)
{
	enum { SIZE = 3 << 20 };
	tz_shared_queue *q;
	tz_executor *ex;
	void *data;
	size_t size;

	(void)state;
	assert_int_equal(tz_shared_queue_open(&q, NULL), 0);
	assert_int_equal(tz_executor_open(&ex, "processes:1"), 0);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(tz_result(tz_submit(ex, large_first, q, i * SIZE), NULL), 0);
		assert_int_equal(tz_shared_queue_get_new_until(q, &data, &size, soon()), 0);
		assert_int_equal(size, i * SIZE);
		for (size_t k = 0; k < size; k++)
			assert_int_equal(((unsigned char *)data)[k], 5);
		free(data);
	}
	tz_executor_close(ex);
	tz_shared_queue_close(q);
}

static void to_a_process(tz_start_method method)
{
	tz_process_options how = { .method = method, .insist = true };
	tz_shared_queue *q;
	tz_process *p;
	long sum = 0;

	assert_int_equal(tz_shared_queue_open(&q, TZ_OPTIONS(tz_shared_queue_options, .capacity = MANY)), 0);
	assert_int_equal(tz_process_open_with(&p, &how, give, q, MANY), 0);
	assert_int_equal(tz_process_join_until(p, soon()), 0); /* nobody has read */
	assert_int_equal(tz_shared_queue_size(q), MANY);
	sum = take(q, MANY);
	assert_int_equal(sum, (long)MANY * (MANY + 1) / 2);
	tz_process_close(p);
	tz_shared_queue_close(q);
}

static void to_a_process_by_fork(void **state)
{
	(void)state;
	to_a_process(TZ_START_FORK);
}

static void to_a_process_by_spawn(void **state)
{
	(void)state;
	to_a_process(TZ_START_SPAWN);
}

static void to_a_process_by_forkserver(void **state)
{
	(void)state;
	to_a_process(TZ_START_FORKSERVER);
}

/* --- at least once ------------------------------------------------------------------------------------------------------- */

/* Does the work on one message; the first time that somebody has message 0, he is killed over it. */
static int work(tz_shared_queue *q)
{
	tz_shared_lease lease;
	int r = tz_shared_queue_lease_until(q, &lease, soon());

	if (r < 0)
		return r;
	if (*(char *)lease.data == 0 && lease.deliveries == 0)
		raise(SIGKILL);
	return tz_shared_lease_done(q, &lease);
}
TZ_TASK(int, work, tz_shared_queue *);

static void what_a_killed_worker_had_is_done_by_another(void **state)
{
	tz_shared_queue *q;
	tz_executor *ex;
	int crashed = 0;

	(void)state;
	assert_int_equal(tz_shared_queue_open(&q, NULL), 0);
	assert_int_equal(tz_executor_open(&ex, "processes:2"), 0);
	for (char i = 0; i < 4; i++)
		assert_int_equal(tz_shared_queue_put_bytes(q, &i, 1), 0);
	for (int i = 0; i < 5; i++) {
		int r = -1;

		if (tz_result(tz_submit(ex, work, q), &r) < 0)
			crashed++;
		else
			assert_int_equal(r, 0);
	}
	assert_int_equal(crashed, 1);
	assert_int_equal(tz_shared_queue_join_until(q, soon()), 0);
	tz_executor_close(ex);
	tz_shared_queue_close(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(between_workers),
		cmocka_unit_test(with_a_type),
		cmocka_unit_test(a_worker_lets_the_heap_grow),
		cmocka_unit_test(to_a_process_by_fork),
		cmocka_unit_test(to_a_process_by_spawn),
		cmocka_unit_test(to_a_process_by_forkserver),
		cmocka_unit_test(what_a_killed_worker_had_is_done_by_another),
	};

	if (!PROCESSES) {
		puts(NO_PROCESSES);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
