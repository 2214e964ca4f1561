/* Queues between processes: putting, getting, batches, sizes, waiting, work done, leases, the end; processes that are killed. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include <trenza.h>

#include "abilities.h"
#include "shared.h"
#include "shared/queue.h"

struct order {
	int table, dish;
};
TZ_SHARED_QUEUE(struct order, orders);
TZ_SHARED_QUEUE(long, longs);

static tz_shared_queue *q;
static struct stage {
	atomic_int phase, count;
	atomic_long sum;
	_Atomic ptrdiff_t answer;
} *stage;

static int set_up(void **state)
{
	(void)state;
	stage = shared_new(sizeof *stage);
	return tz_shared_queue_open(&q, TZ_OPTIONS(tz_shared_queue_options, .capacity = 4, .message = 16, .leases = 3, .large = 4 << 20));
}

static int tear_down(void **state)
{
	(void)state;
	tz_shared_queue_close(q);
	shared_free(stage, sizeof *stage);
	return 0;
}

static void put(const char *text)
{
	assert_int_equal(tz_shared_queue_put_bytes_until(q, text, strlen(text), soon()), 0);
}

static void gets_text(const char *text)
{
	char got[100];
	ptrdiff_t n = tz_shared_queue_get_bytes_until(q, got, sizeof got, soon());

	assert_int_equal(n, (ptrdiff_t)strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

static tz_deadline now(void)
{
	return tz_after(0);
}

/* --- opening ------------------------------------------------------------------------------------------------------------- */

static void options_are_checked(void **state)
{
	tz_shared_queue *none = (tz_shared_queue *)&none;
	tz_shared_queue_options o = { .reserved = { 0, 0, 0, 1 } };

	(void)state;
	assert_int_equal(tz_shared_queue_open(&none, &o), -EINVAL);
	assert_int_equal(tz_shared_queue_open(&none, TZ_OPTIONS(tz_shared_queue_options, .capacity = (size_t)1 << 40)), -EINVAL);
	assert_int_equal(tz_shared_queue_open(&none, TZ_OPTIONS(tz_shared_queue_options, .message = (size_t)1 << 40)), -EINVAL);
	assert_int_equal(tz_shared_queue_open(&none, TZ_OPTIONS(tz_shared_queue_options, .large = SIZE_MAX)), -EINVAL);
	assert_int_equal(tz_shared_queue_open(&none, TZ_OPTIONS(tz_shared_queue_options, .leases = SIZE_MAX)), -EINVAL);
	assert_ptr_equal(none, &none);
	tz_shared_queue_close(NULL);
}

static void what_no_machine_has_is_refused(void **state)
{
	tz_shared_queue *none = (tz_shared_queue *)&none;
	int r = tz_shared_queue_open(&none, TZ_OPTIONS(tz_shared_queue_options, .capacity = UINT32_MAX, .message = UINT32_MAX));
	struct rlimit before, little;

	(void)state;
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	little = (struct rlimit){ 1 << 20, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	r = tz_shared_queue_open(&none, TZ_OPTIONS(tz_shared_queue_options, .capacity = 1 << 10, .message = 10000));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(r, -ENOSPC);
	assert_ptr_equal(none, &none);
}

static void the_defaults_are_good_for_most(void **state)
{
	tz_shared_queue *plain;
	char message[248] = "a";

	(void)state;
	assert_int_equal(tz_shared_queue_open(&plain, NULL), 0);
	assert_int_equal(tz_shared_queue_capacity(plain), 1024);
	for (int i = 0; i < 1024; i++)
		assert_int_equal(tz_shared_queue_try_put_bytes(plain, message, sizeof message), 0);
	assert_true(tz_shared_queue_full(plain));
	assert_int_equal(tz_shared_queue_try_put_bytes(plain, message, sizeof message), -EAGAIN);
	tz_shared_queue_close(plain);
}

/* --- in one process ------------------------------------------------------------------------------------------------------ */

static void first_in_is_first_out(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		put("one");
		put("");
		put("0123456789abcdef");
		gets_text("one");
		gets_text("");
		gets_text("0123456789abcdef");
	}
}

static void size_is_exact(void **state)
{
	(void)state;
	assert_true(tz_shared_queue_empty(q));
	assert_int_equal(tz_shared_queue_capacity(q), 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(tz_shared_queue_size(q), i);
		assert_false(tz_shared_queue_full(q));
		put("x");
		assert_false(tz_shared_queue_empty(q));
	}
	assert_int_equal(tz_shared_queue_size(q), 4);
	assert_true(tz_shared_queue_full(q));
	assert_int_equal(tz_shared_queue_try_put_bytes(q, "x", 1), -EAGAIN);
	gets_text("x");
	assert_int_equal(tz_shared_queue_size(q), 3);
}

static void an_empty_queue_says_so(void **state)
{
	char c;

	(void)state;
	assert_int_equal(tz_shared_queue_try_get_bytes(q, &c, 1), -EAGAIN);
	assert_int_equal(tz_shared_queue_try_get_n(q, &c, 1, 1), -EAGAIN);
	assert_int_equal(tz_shared_queue_next_size(q), -EAGAIN);
	assert_int_equal(tz_shared_queue_get_bytes_until(q, &c, 1, now()), -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_get_n_until(q, &c, 1, 1, now()), -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_get_n_until(q, &c, 1, 0, now()), 0);
}

static void a_message_that_is_too_large_for_the_caller_stays(void **state)
{
	char room[16];
	void *data;
	size_t size;

	(void)state;
	put("0123456789");
	assert_int_equal(tz_shared_queue_get_bytes(q, room, 9), -EMSGSIZE);
	assert_int_equal(tz_shared_queue_get_n(q, room, 9, 1), -EMSGSIZE);
	assert_int_equal(tz_shared_queue_get_n(q, room, 11, 1), -EMSGSIZE);
	assert_int_equal(tz_shared_queue_next_size(q), 10);
	assert_int_equal(tz_shared_queue_size(q), 1);
	assert_int_equal(tz_shared_queue_get_new(q, &data, &size), 0);
	assert_int_equal(size, 10);
	assert_memory_equal(data, "0123456789", 10);
	free(data);
	put("");
	assert_int_equal(tz_shared_queue_next_size(q), 0);
	assert_int_equal(tz_shared_queue_get_bytes(q, NULL, 0), 0);
	put("");
	assert_int_equal(tz_shared_queue_get_new(q, &data, &size), 0);
	assert_int_equal(size, 0);
	assert_non_null(data);
	free(data);
}

static void batches_keep_their_order(void **state)
{
	int in[10], out[10] = { 0 };

	(void)state;
	for (int i = 0; i < 10; i++)
		in[i] = i;
	for (int round = 0; round < 50; round++) {
		assert_int_equal(tz_shared_queue_try_put_n(q, in, sizeof *in, 10), 4);
		assert_int_equal(tz_shared_queue_try_put_n(q, in, sizeof *in, 10), -EAGAIN);
		assert_int_equal(tz_shared_queue_get_n(q, out, sizeof *out, 3), 3);
		assert_int_equal(tz_shared_queue_try_put_n(q, in + 4, sizeof *in, 2), 2);
		assert_int_equal(tz_shared_queue_get_n(q, out + 3, sizeof *out, 7), 3);
		assert_memory_equal(out, in, 6 * sizeof *in);
	}
	assert_int_equal(tz_shared_queue_put_n_until(q, in, sizeof *in, 10, tz_after(0.01)), 4);
	assert_int_equal(tz_shared_queue_put_n_until(q, in, sizeof *in, 10, now()), -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_put_n(q, in, sizeof *in, 0), 0);
}

static void a_batch_ends_before_another_size(void **state)
{
	char out[4] = "";

	(void)state;
	put("a");
	put("b");
	put("cc");
	put("d");
	assert_int_equal(tz_shared_queue_get_n(q, out, 1, 4), 2);
	assert_memory_equal(out, "ab", 2);
	assert_int_equal(tz_shared_queue_get_n(q, out, 1, 4), -EMSGSIZE);
	gets_text("cc");
	gets_text("d");
}

static void elements_have_a_type(void **state)
{
	orders *o;
	longs *l;
	struct order many[3] = { { 1, 2 }, { 3, 4 }, { 5, 6 } }, got[3];
	long n = 0;

	(void)state;
	assert_int_equal(orders_open(&o, NULL), 0);
	assert_int_equal(longs_open(&l, TZ_OPTIONS(tz_shared_queue_options, .capacity = 1)), 0);
	assert_int_equal(orders_put(o, many[0]), 0);
	assert_int_equal(orders_put_n(o, many + 1, 2), 2);
	assert_int_equal(orders_get(o, got), 0);
	assert_int_equal(orders_get_n(o, got + 1, 2), 2);
	assert_memory_equal(got, many, sizeof many);
	assert_int_equal(orders_try_put(o, many[2]), 0);
	assert_int_equal(orders_get_until(o, got, soon()), 0);
	assert_int_equal(orders_try_get(o, got), -EAGAIN);
	assert_int_equal(tz_shared_queue_unfinished(orders_queue(o)), 4);
	assert_int_equal(longs_put_until(l, -7, soon()), 0);
	assert_int_equal(longs_try_put(l, 8), -EAGAIN);
	assert_int_equal(longs_try_get(l, &n), 0);
	assert_int_equal(n, -7);
	longs_close(l);
	orders_close(o);
}

static void a_scope_ends_a_wait_but_not_what_is_there(void **state)
{
	char c = 0;
	ptrdiff_t r = 0;

	(void)state;
	TZ_TIMEOUT(0)
		r = tz_shared_queue_get_bytes(q, &c, 1);
	assert_int_equal(r, -ETIMEDOUT);
	put("a");
	TZ_TIMEOUT(0)
		r = tz_shared_queue_get_bytes(q, &c, 1);
	assert_int_equal(r, 1);
	for (int i = 0; i < 4; i++)
		put("a");
	TZ_TIMEOUT(0.001)
		r = tz_shared_queue_put_bytes(q, &c, 1);
	assert_int_equal(r, -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_put_bytes_until(q, &c, 1, now()), -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_size(q), 4);
}

static void values_go_through(void **state)
{
	tz_value v;
	char *text;

	(void)state;
	assert_int_equal(tz_put(q, tz_list(42, tz_none, "hello")), 0);
	assert_int_equal(tz_put(q, "bye"), 0);
	assert_int_equal(tz_get(q, &v), 0);
	text = tz_value_repr(&v);
	assert_string_equal(text, "[42, None, 'hello']");
	free(text);
	tz_value_free(v);
	assert_int_equal(tz_get_until(q, &v, soon()), 0);
	assert_string_equal(tz_value_text(&v), "bye");
	tz_value_free(v);
	assert_int_equal(tz_get_until(q, &v, now()), -ETIMEDOUT);
	put("\xc1");
	assert_int_equal(tz_get(q, &v), -EBADMSG);
	assert_true(tz_shared_queue_empty(q));
	for (int i = 0; i < 4; i++)
		put("full");
	assert_int_equal(tz_put_value_until(q, tz_list(1, 2), now()), -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_shutdown(q, TZ_QUEUE_DROP), 0);
	assert_int_equal(tz_put(q, tz_dict("a", 1)), -ESHUTDOWN);
}

/* --- larger messages ---------------------------------------------------------------------------------------------------- */

static void fill(unsigned char *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(seed * 7 + i % 251);
}

enum { BIG = 1 << 20 };
static unsigned char sent[BIG], received[BIG];

static void of_any_size(void **state)
{
	(void)state;
	for (size_t size = 1; size <= BIG; size = size * 3 + 1) {
		fill(sent, size, (unsigned)size);
		assert_int_equal(tz_shared_queue_put_bytes_until(q, sent, size, soon()), 0);
		assert_int_equal(tz_shared_queue_put_n_until(q, sent, size, 1, soon()), 1);
		assert_int_equal(tz_shared_queue_put_bytes(q, sent, size), 0);
		assert_int_equal(tz_shared_queue_next_size(q), size);
		assert_int_equal(tz_shared_queue_get_bytes(q, received, size - 1), -EMSGSIZE);
		for (int i = 0; i < 2; i++) {
			memset(received, 0, size);
			assert_int_equal(tz_shared_queue_get_bytes(q, received, sizeof received), size);
			assert_memory_equal(received, sent, size);
		}
		assert_int_equal(tz_shared_queue_get_n(q, received, size, 5), 1);
		assert_memory_equal(received, sent, size);
	}
}

static void a_large_message_on_lease(void **state)
{
	tz_shared_lease lease;

	(void)state;
	fill(sent, BIG, 3);
	for (int i = 0; i < 10; i++) { /* more than there is room for, if the first ones were not freed */
		assert_int_equal(tz_shared_queue_put_bytes_until(q, sent, BIG, soon()), 0);
		assert_int_equal(tz_shared_queue_lease(q, &lease), 0);
		assert_int_equal(lease.size, BIG);
		assert_memory_equal(lease.data, sent, BIG);
		assert_int_equal((uintptr_t)lease.data % 16, 0);
		if (i % 2) {
			assert_int_equal(tz_shared_lease_return(q, &lease), 0);
			assert_int_equal(tz_shared_queue_get_n(q, received, BIG, 1), 1);
			assert_memory_equal(received, sent, BIG);
			assert_int_equal(tz_shared_queue_task_done(q), 0);
		} else {
			assert_int_equal(tz_shared_lease_done(q, &lease), 0);
		}
	}
	assert_int_equal(tz_shared_queue_join(q), 0);
}

static void larger_than_may_be(void **state)
{
	static char huge[4 << 20];

	(void)state;
	assert_int_equal(tz_shared_queue_put_bytes(q, huge, sizeof huge), -EMSGSIZE);
	assert_int_equal(tz_shared_queue_put_bytes(q, huge, sizeof huge - 64), 0);
	assert_int_equal(tz_shared_queue_try_put_bytes(q, huge, 100), -EAGAIN); /* all of it is in use */
	assert_int_equal(tz_shared_queue_put_bytes_until(q, huge, 100, now()), -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_try_put_bytes(q, huge, 16), 0); /* fits into a slot */
	assert_int_equal(tz_shared_queue_get_bytes(q, huge, sizeof huge), sizeof huge - 64);
	assert_int_equal(tz_shared_queue_try_put_bytes(q, huge, 100), 0);
}

static void put_large(void *unused)
{
	(void)unused;
	fill(sent, BIG, 5);
	stage->phase = 1;
	stage->answer = tz_shared_queue_put_bytes_until(q, sent, BIG, soon());
}

static void who_waits_for_memory_is_woken(void **state)
{
	pid_t child;

	(void)state;
	fill(sent, BIG, 5);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tz_shared_queue_try_put_bytes(q, sent, BIG), 0);
	child = child_start(put_large, NULL);
	until(stage->phase == 1 && state_of(child) == 'S');
	assert_int_equal(tz_shared_queue_get_bytes(q, received, BIG), BIG);
	child_join(child);
	assert_int_equal(stage->answer, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tz_shared_queue_get_bytes(q, received, BIG), BIG);
		assert_memory_equal(received, sent, BIG);
	}
}

static void take_memory_and_stay(void *unused)
{
	uint64_t chunk;

	(void)unused;
	must(tz_shared_chunk_alloc(q, 3 << 20, false, soon(), &chunk) == 0);
	stage->phase = 1;
	stay();
}

static void the_memory_of_the_dead_comes_back(void **state)
{
	pid_t child;

	(void)state;
	for (int i = 0; i < 3; i++) {
		stage->phase = 0;
		child = child_start(take_memory_and_stay, NULL);
		until(stage->phase == 1);
		assert_int_equal(tz_shared_queue_try_put_bytes(q, sent, BIG), -EAGAIN);
		child_kill(child);
		assert_int_equal(tz_shared_queue_put_bytes_until(q, sent, BIG, soon()), 0);
		assert_int_equal(tz_shared_queue_get_bytes(q, received, BIG), BIG);
	}
}

/* --- between processes --------------------------------------------------------------------------------------------------- */

enum { MANY = 3000 };

static void put_many_longs(void *unused)
{
	(void)unused;
	for (long i = 1; i <= MANY; i++)
		must(tz_shared_queue_put_bytes_until(q, &i, sizeof i, soon()) == 0);
}

static void put_longs_in_batches(void *unused)
{
	(void)unused;
	for (long i = 1; i <= MANY;) {
		long some[7];
		size_t n = 0;

		while (n < 7 && i <= MANY)
			some[n++] = i++;
		must(tz_shared_queue_put_n_until(q, some, sizeof *some, n, soon()) == (ptrdiff_t)n);
	}
}

static void add_up(void *unused)
{
	long n[3];
	ptrdiff_t got;

	(void)unused;
	while ((got = tz_shared_queue_get_n_until(q, n, sizeof *n, 1 + (size_t)stage->phase, soon())) > 0)
		for (ptrdiff_t i = 0; i < got; i++) {
			stage->sum += n[i];
			stage->count++;
		}
	must(got == -ESHUTDOWN);
}

static void everything_arrives(int putters, int getters, bool batches)
{
	pid_t child[8];

	stage->phase = batches ? 2 : 0;
	for (int i = 0; i < getters; i++)
		child[i] = child_start(add_up, NULL);
	for (int i = 0; i < putters; i++)
		child[getters + i] = child_start(batches ? put_longs_in_batches : put_many_longs, NULL);
	for (int i = 0; i < putters; i++)
		child_join(child[getters + i]);
	assert_int_equal(tz_shared_queue_shutdown(q, TZ_QUEUE_DRAIN), 0);
	for (int i = 0; i < getters; i++)
		child_join(child[i]);
	assert_int_equal(stage->count, putters * MANY);
	assert_int_equal(stage->sum, (long)putters * MANY * (MANY + 1) / 2);
	assert_true(tz_shared_queue_empty(q));
}

static void from_one_process_to_another(void **state)
{
	(void)state;
	everything_arrives(1, 1, false);
}

static void from_many_processes_to_many(void **state)
{
	(void)state;
	everything_arrives(4, 4, false);
}

static void in_batches(void **state)
{
	(void)state;
	everything_arrives(3, 2, true);
}

static void a_process_that_has_put_may_end(void **state)
{
	long sum = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		tz_shared_queue_close(q);
		assert_int_equal(tz_shared_queue_open(&q, TZ_OPTIONS(tz_shared_queue_options, .capacity = MANY, .message = 8)), 0);
		child_join(child_start(put_many_longs, NULL)); /* nobody reads meanwhile */
		assert_int_equal(tz_shared_queue_size(q), MANY);
		for (long n; tz_shared_queue_try_get_bytes(q, &n, sizeof n) > 0;)
			sum += n;
	}
	assert_int_equal(sum, 4L * MANY * (MANY + 1) / 2);
}

static void get_one(void *unused)
{
	char c[16];

	(void)unused;
	stage->phase = 1;
	stage->answer = tz_shared_queue_get_bytes_until(q, c, sizeof c, soon());
	stage->phase = 2;
}

static void a_put_wakes_who_sleeps(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		pid_t child;

		stage->phase = 0;
		child = child_start(get_one, NULL);
		until(stage->phase == 1 && state_of(child) == 'S');
		put("abc");
		child_join(child);
		assert_int_equal(stage->answer, 3);
	}
}

static void a_batch_wakes_as_many_as_it_has(void **state)
{
	pid_t child[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		child[i] = child_start(get_one, NULL);
	for (int i = 0; i < 3; i++)
		until(state_of(child[i]) == 'S');
	assert_int_equal(tz_shared_queue_put_n(q, "abc", 1, 3), 3);
	for (int i = 0; i < 3; i++)
		child_join(child[i]);
}

static void put_one(void *unused)
{
	(void)unused;
	stage->phase = 1;
	stage->answer = tz_shared_queue_put_bytes_until(q, "new", 3, soon());
}

static void a_get_wakes_who_waits_for_room(void **state)
{
	pid_t child;

	(void)state;
	for (int i = 0; i < 4; i++)
		put("old");
	child = child_start(put_one, NULL);
	until(stage->phase == 1 && state_of(child) == 'S');
	gets_text("old");
	child_join(child);
	assert_int_equal(stage->answer, 0);
	for (int i = 0; i < 3; i++)
		gets_text("old");
	gets_text("new");
}

static void a_sleeper_that_is_killed_takes_nothing_along(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		pid_t first, second;

		stage->phase = 0;
		first = child_start(get_one, NULL);
		until(stage->phase == 1 && state_of(first) == 'S');
		second = child_start(get_one, NULL);
		until(state_of(second) == 'S');
		child_kill(first);
		put("x");
		child_join(second);
		assert_int_equal(stage->answer, 1);
	}
}

/* --- work done ----------------------------------------------------------------------------------------------------------- */

static void join_waits_for_the_work(void **state)
{
	char c;

	(void)state;
	assert_int_equal(tz_shared_queue_join(q), 0);
	assert_int_equal(tz_shared_queue_task_done(q), -EINVAL);
	put("a");
	put("b");
	assert_int_equal(tz_shared_queue_unfinished(q), 2);
	assert_int_equal(tz_shared_queue_join_until(q, tz_after(0.005)), -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_get_bytes(q, &c, 1), 1);
	assert_int_equal(tz_shared_queue_task_done(q), 0);
	assert_int_equal(tz_shared_queue_get_bytes(q, &c, 1), 1);
	assert_int_equal(tz_shared_queue_join_until(q, now()), -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_task_done(q), 0);
	assert_int_equal(tz_shared_queue_join(q), 0);
	assert_int_equal(tz_shared_queue_unfinished(q), 0);
	assert_int_equal(tz_shared_queue_task_done(q), -EINVAL);
}

static void wait_for_work(void *unused)
{
	(void)unused;
	stage->phase = 1;
	stage->answer = tz_shared_queue_join_until(q, soon());
}

static void join_in_another_process(void **state)
{
	pid_t child;

	(void)state;
	put("a");
	child = child_start(wait_for_work, NULL);
	until(stage->phase == 1 && state_of(child) == 'S');
	gets_text("a");
	assert_int_equal(tz_shared_queue_task_done(q), 0);
	put("b"); /* it was over for a moment */
	child_join(child);
	assert_int_equal(stage->answer, 0);
}

/* --- the end ------------------------------------------------------------------------------------------------------------- */

static void after_a_shutdown_it_can_be_emptied(void **state)
{
	char c;

	(void)state;
	put("a");
	assert_false(tz_shared_queue_is_shutdown(q));
	assert_int_equal(tz_shared_queue_shutdown(q, (tz_queue_end)7), -EINVAL);
	assert_int_equal(tz_shared_queue_shutdown(q, TZ_QUEUE_DRAIN), 0);
	assert_true(tz_shared_queue_is_shutdown(q));
	assert_int_equal(tz_shared_queue_put_bytes(q, "b", 1), -ESHUTDOWN);
	assert_int_equal(tz_shared_queue_try_put_n(q, "b", 1, 1), -ESHUTDOWN);
	gets_text("a");
	assert_int_equal(tz_shared_queue_get_bytes(q, &c, 1), -ESHUTDOWN);
	assert_int_equal(tz_shared_queue_try_get_bytes(q, &c, 1), -ESHUTDOWN);
	assert_int_equal(tz_shared_queue_join_until(q, now()), -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_task_done(q), 0);
	assert_int_equal(tz_shared_queue_join(q), 0);
}

static void what_is_dropped_counts_as_done(void **state)
{
	char c;

	(void)state;
	for (int i = 0; i < 4; i++)
		put("a");
	gets_text("a");
	assert_int_equal(tz_shared_queue_shutdown(q, TZ_QUEUE_DRAIN), 0);
	assert_int_equal(tz_shared_queue_shutdown(q, TZ_QUEUE_DROP), 0);
	assert_int_equal(tz_shared_queue_size(q), 0);
	assert_int_equal(tz_shared_queue_get_bytes(q, &c, 1), -ESHUTDOWN);
	assert_int_equal(tz_shared_queue_next_size(q), -ESHUTDOWN);
	assert_int_equal(tz_shared_queue_unfinished(q), 1);
	assert_int_equal(tz_shared_queue_task_done(q), 0);
	assert_int_equal(tz_shared_queue_join(q), 0);
	assert_int_equal(tz_shared_queue_task_done(q), -EINVAL);
}

static void a_shutdown_ends_the_waits(bool putter, tz_queue_end how)
{
	pid_t child;

	for (int i = 0; putter && i < 4; i++)
		put("a");
	stage->phase = 0;
	child = child_start(putter ? put_one : get_one, NULL);
	until(stage->phase == 1 && state_of(child) == 'S');
	assert_int_equal(tz_shared_queue_shutdown(q, how), 0);
	child_join(child);
	assert_int_equal(stage->answer, -ESHUTDOWN);
}

static void a_shutdown_ends_a_get(void **state)
{
	(void)state;
	a_shutdown_ends_the_waits(false, TZ_QUEUE_DRAIN);
}

static void a_shutdown_ends_a_put(void **state)
{
	(void)state;
	a_shutdown_ends_the_waits(true, TZ_QUEUE_DRAIN);
}

static void a_drop_ends_a_put(void **state)
{
	(void)state;
	a_shutdown_ends_the_waits(true, TZ_QUEUE_DROP);
}

/* --- leases -------------------------------------------------------------------------------------------------------------- */

static tz_shared_lease leased(const char *text, uint32_t deliveries)
{
	tz_shared_lease lease;

	assert_int_equal(tz_shared_queue_lease_until(q, &lease, soon()), 0);
	assert_int_equal(lease.size, strlen(text));
	assert_memory_equal(lease.data, text, lease.size);
	assert_int_equal(lease.deliveries, deliveries);
	return lease;
}

static void a_lease_ends_when_the_work_is_done(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		tz_shared_lease lease;

		put("abc");
		lease = leased("abc", 0);
		assert_int_equal((uintptr_t)lease.data % 16, 0);
		assert_int_equal(tz_shared_queue_size(q), 0);
		assert_int_equal(tz_shared_queue_unfinished(q), 1);
		assert_int_equal(tz_shared_lease_done(q, &lease), 0);
		assert_int_equal(tz_shared_queue_unfinished(q), 0);
		assert_int_equal(tz_shared_lease_done(q, &lease), -ESTALE);
		assert_int_equal(tz_shared_lease_return(q, &lease), -ESTALE);
		assert_int_equal(tz_shared_queue_join(q), 0);
		assert_int_equal(tz_shared_queue_task_done(q), -EINVAL);
	}
}

static void a_lease_of_a_slot_does_not_keep_others_out(void **state)
{
	tz_shared_lease lease;

	(void)state;
	put("kept");
	lease = leased("kept", 0);
	for (int i = 0; i < 20; i++) {
		put("other");
		gets_text("other");
		assert_int_equal(tz_shared_queue_task_done(q), 0);
	}
	assert_memory_equal(lease.data, "kept", 4);
	assert_int_equal(tz_shared_lease_done(q, &lease), 0);
	assert_int_equal(tz_shared_queue_join(q), 0);
}

static void what_is_given_back_comes_again_first(void **state)
{
	tz_shared_lease lease;
	char c[4];

	(void)state;
	put("a");
	put("b");
	lease = leased("a", 0);
	((char *)lease.data)[0] = 'A';
	assert_int_equal(tz_shared_lease_return(q, &lease), 0);
	assert_int_equal(tz_shared_lease_done(q, &lease), -ESTALE);
	lease = leased("A", 1);
	assert_int_equal(tz_shared_lease_return(q, &lease), 0);
	assert_int_equal(tz_shared_queue_next_size(q), 1);
	assert_int_equal(tz_shared_queue_get_n(q, c, 2, 1), -EMSGSIZE);
	assert_int_equal(tz_shared_queue_get_bytes(q, c, 0), -EMSGSIZE);
	assert_int_equal(tz_shared_queue_get_n(q, c, 1, 4), 1);
	assert_int_equal(c[0], 'A');
	assert_int_equal(tz_shared_queue_task_done(q), 0);
	lease = leased("b", 0);
	assert_int_equal(tz_shared_lease_done(q, &lease), 0);
	assert_int_equal(tz_shared_queue_join(q), 0);
}

static void end_a_lease(void *lease)
{
	stage->answer = tz_shared_lease_done(q, lease);
}

static void a_child_cannot_end_the_leases_of_its_parent(void **state)
{
	tz_shared_lease lease;

	(void)state;
	put("a");
	lease = leased("a", 0);
	child_join(child_start(end_a_lease, &lease));
	assert_int_equal(stage->answer, -ESTALE);
	assert_int_equal(tz_shared_lease_done(q, &lease), 0);
}

static void no_more_are_out_than_may_be(void **state)
{
	tz_shared_lease lease[3], more;

	(void)state;
	for (int i = 0; i < 4; i++)
		put("a");
	for (int i = 0; i < 3; i++)
		lease[i] = leased("a", 0);
	assert_int_equal(tz_shared_queue_try_lease(q, &more), -EAGAIN);
	assert_int_equal(tz_shared_queue_lease_until(q, &more, tz_after(0.005)), -ETIMEDOUT);
	assert_int_equal(tz_shared_lease_done(q, &lease[1]), 0);
	more = leased("a", 0);
	assert_int_equal(tz_shared_lease_done(q, &more), 0);
	assert_int_equal(tz_shared_lease_done(q, &lease[0]), 0);
	assert_int_equal(tz_shared_lease_done(q, &lease[2]), 0);
	assert_int_equal(tz_shared_queue_join(q), 0);
}

static void take_a_lease(void *unused)
{
	tz_shared_lease lease;

	(void)unused;
	stage->answer = tz_shared_queue_lease_until(q, &lease, soon());
	stage->phase = 1;
	stay();
}

static void when_an_entry_is_free_who_waits_for_one_hears(void **state)
{
	tz_shared_lease lease[3];
	pid_t child;

	(void)state;
	for (int i = 0; i < 4; i++)
		put("a");
	for (int i = 0; i < 3; i++)
		lease[i] = leased("a", 0);
	child = child_start(take_a_lease, NULL);
	until(state_of(child) == 'S');
	assert_int_equal(tz_shared_lease_done(q, &lease[0]), 0);
	until(stage->phase == 1);
	assert_int_equal(stage->answer, 0);
	child_kill(child);
}

static pid_t start_leaser(void)
{
	pid_t child;

	stage->phase = 0;
	child = child_start(take_a_lease, NULL);
	until(stage->phase == 1);
	assert_int_equal(stage->answer, 0);
	return child;
}

static void what_a_dead_process_had_comes_again(void **state)
{
	tz_shared_lease b, a;

	(void)state;
	put("a");
	put("b");
	child_kill(start_leaser());
	assert_int_equal(tz_shared_queue_unfinished(q), 2);
	b = leased("b", 0); /* is there; a comes when somebody has to wait */
	a = leased("a", 1);
	assert_int_equal(tz_shared_lease_done(q, &a), 0);
	assert_int_equal(tz_shared_lease_done(q, &b), 0);
	assert_int_equal(tz_shared_queue_join(q), 0);
}

static void a_sleeper_gets_what_a_dead_process_had(void **state)
{
	pid_t child, sleeper;

	(void)state;
	put("abcd");
	child = start_leaser();
	stage->phase = 0;
	sleeper = child_start(get_one, NULL);
	until(stage->phase == 1 && state_of(sleeper) == 'S');
	child_kill(child);
	child_join(sleeper);
	assert_int_equal(stage->answer, 4);
	assert_int_equal(tz_shared_queue_unfinished(q), 1);
	assert_int_equal(tz_shared_queue_task_done(q), 0);
}

static void who_never_waits_gets_it_once_in_a_while(void **state)
{
	bool found = false;

	(void)state;
	put("dead");
	child_kill(start_leaser());
	for (int i = 0; i < 3000 && !found; i++) {
		char c[8];
		ptrdiff_t n;

		put("x");
		n = tz_shared_queue_get_bytes(q, c, sizeof c);
		assert_true(n > 0);
		found = n == 4 && memcmp(c, "dead", 4) == 0;
	}
	assert_true(found);
}

static void after_a_drop_the_leases_of_the_dead_are_done(void **state)
{
	tz_shared_lease mine;
	pid_t child;

	(void)state;
	put("a");
	put("b");
	put("c");
	child = start_leaser();
	mine = leased("b", 0);
	assert_int_equal(tz_shared_queue_shutdown(q, TZ_QUEUE_DROP), 0);
	assert_int_equal(tz_shared_queue_unfinished(q), 2);
	child_kill(child);
	assert_int_equal(tz_shared_queue_join_until(q, tz_after(0.3)), -ETIMEDOUT);
	assert_int_equal(tz_shared_queue_unfinished(q), 1);
	assert_int_equal(tz_shared_lease_return(q, &mine), 0);
	assert_int_equal(tz_shared_queue_join_until(q, soon()), 0);
}

/* --- coroutines ---------------------------------------------------------------------------------------------------------- */

static long take_and_add(int n)
{
	long sum = 0, one;

	for (int i = 0; i < n; i++) {
		if (tz_shared_queue_get_bytes(q, &one, sizeof one) != sizeof one)
			return -1;
		sum += one;
	}
	return sum;
}
TZ_TASK(long, take_and_add, int);

static int give(int n)
{
	for (long i = 1; i <= n; i++)
		if (tz_shared_queue_put_bytes(q, &i, sizeof i) < 0)
			return -1;
	return 0;
}
TZ_TASK(int, give, int);

static void both(void)
{
	take_and_add_future t = tz_spawn(take_and_add, 100);
	give_future g = tz_spawn(give, 100);
	long sum = 0;
	int r = -1;

	must(tz_result(t, &sum) == 0 && tz_result(g, &r) == 0);
	must(r == 0);
	stage->sum = sum;
}
TZ_TASK(void, both, void);

static void coroutines_of_one_loop_wait_for_each_other(void **state)
{
	(void)state;
	assert_int_equal(tz_run(both), 0);
	assert_int_equal(stage->sum, 5050);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(options_are_checked),
		TEST(what_no_machine_has_is_refused),
		TEST(the_defaults_are_good_for_most),
		TEST(first_in_is_first_out),
		TEST(size_is_exact),
		TEST(an_empty_queue_says_so),
		TEST(a_message_that_is_too_large_for_the_caller_stays),
		TEST(batches_keep_their_order),
		TEST(a_batch_ends_before_another_size),
		TEST(elements_have_a_type),
		TEST(a_scope_ends_a_wait_but_not_what_is_there),
		TEST(values_go_through),
		TEST(of_any_size),
		TEST(a_large_message_on_lease),
		TEST(larger_than_may_be),
		TEST(who_waits_for_memory_is_woken),
		TEST(the_memory_of_the_dead_comes_back),
		TEST(from_one_process_to_another),
		TEST(from_many_processes_to_many),
		TEST(in_batches),
		TEST(a_process_that_has_put_may_end),
		TEST(a_put_wakes_who_sleeps),
		TEST(a_batch_wakes_as_many_as_it_has),
		TEST(a_get_wakes_who_waits_for_room),
		TEST(a_sleeper_that_is_killed_takes_nothing_along),
		TEST(join_waits_for_the_work),
		TEST(join_in_another_process),
		TEST(after_a_shutdown_it_can_be_emptied),
		TEST(what_is_dropped_counts_as_done),
		TEST(a_shutdown_ends_a_get),
		TEST(a_shutdown_ends_a_put),
		TEST(a_drop_ends_a_put),
		TEST(a_lease_ends_when_the_work_is_done),
		TEST(a_lease_of_a_slot_does_not_keep_others_out),
		TEST(what_is_given_back_comes_again_first),
		TEST(a_child_cannot_end_the_leases_of_its_parent),
		TEST(no_more_are_out_than_may_be),
		TEST(when_an_entry_is_free_who_waits_for_one_hears),
		TEST(what_a_dead_process_had_comes_again),
		TEST(a_sleeper_gets_what_a_dead_process_had),
		TEST(who_never_waits_gets_it_once_in_a_while),
		TEST(after_a_drop_the_leases_of_the_dead_are_done),
		TEST(coroutines_of_one_loop_wait_for_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
