/* Queues: order, bounds, waiting and waking, work done, shutdown, signal handlers. */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <trenza/queue.h>
#include <trenza/scope.h>

#include "check.h"
#include "core/strand.h"
#include "sync/waiters.h"

struct item {
	int64_t value;
	int32_t urgency;
	uint8_t pad[52];
};

TZ_QUEUE(struct item, items);
TZ_QUEUE(int, ints);

/* The kinds of queue, each with and without a bound. */
static const tz_queue_options kinds[] = {
	{ .order = TZ_FIFO },     { .order = TZ_FIFO, .capacity = 8 },
	{ .order = TZ_LIFO },     { .order = TZ_LIFO, .capacity = 8 },
	{ .order = TZ_PRIORITY }, { .order = TZ_PRIORITY, .capacity = 8 },
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static tz_deadline soon(void)
{
	return tz_after(20);
}

static ints open_ints(tz_queue_options o)
{
	ints q;

	assert_int_equal(ints_open(&q, &o), 0);
	return q;
}

/* --- what comes out --------------------------------------------------------------------------------------- */

static void fifo_gives_back_in_order(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity <= 9; capacity++) {
		ints q = open_ints((tz_queue_options){ .capacity = capacity });
		size_t held = capacity ? capacity : 7;
		int next_in = 0, next_out = 0, got;

		/* Many laps, at every fill. */
		for (int round = 0; round < 1000; round++) {
			for (size_t i = 0; i < 1 + (size_t)round % held; i++)
				assert_int_equal(ints_try_put(q, next_in++), 0);
			while (next_out < next_in) {
				assert_int_equal(ints_try_get(q, &got), 0);
				assert_int_equal(got, next_out++);
			}
			assert_int_equal(ints_try_get(q, &got), -EAGAIN);
		}
		ints_close(&q);
		assert_null(q.queue);
	}
}

static void lifo_gives_back_the_last_first(void **state)
{
	ints q = open_ints((tz_queue_options){ .order = TZ_LIFO });
	int got;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(ints_put(q, i), 0);
	for (int i = 99; i >= 0; i--) {
		assert_int_equal(ints_get_until(q, &got, soon()), 0);
		assert_int_equal(got, i);
	}
	ints_close(&q);
}

static void priority_is_lowest_first_and_stable(void **state)
{
	items q;
	struct item got;
	int64_t last_value = -1;
	int32_t last = INT32_MIN;
	uint32_t random = 7;

	(void)state;
	assert_int_equal(
		items_open(&q, &(tz_queue_options){ .order = TZ_PRIORITY,
						    .key = TZ_QUEUE_KEY(struct item, urgency) }),
		0);
	for (int i = 0; i < 2000; i++) {
		random = random * 1664525u + 1013904223u;
		assert_int_equal(
			items_put(q, (struct item){ .value = 2 * i,
						    .urgency = (int32_t)(random >> 28) - 8 }),
			0);
		if (i % 3 == 2) { /* mixed with takes, which must give the least of what is there */
			struct item least;

			assert_int_equal(items_get_until(q, &least, soon()), 0);
			least.value = 2 * i + 1; /* it has come again, later */
			assert_int_equal(items_put(q, least), 0);
		}
	}
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(items_get_until(q, &got, soon()), 0);
		assert_true(got.urgency >= last);
		if (got.urgency == last)
			assert_true(got.value > last_value);
		last = got.urgency;
		last_value = got.value;
	}
	assert_true(tz_queue_empty(q.queue));
	items_close(&q);
}

static int longer(const void *a, const void *b)
{
	return (int)strlen(b) - (int)strlen(a);
}

static void priority_by_a_function(void **state)
{
	static const char words[][8] = { "a", "bbb", "cc", "ddd", "" };
	static const char expected[][8] = { "bbb", "ddd", "cc", "a", "" };
	char got[8];
	tz_queue *q;

	(void)state;
	assert_int_equal(
		tz_queue_open(&q, 8,
			      &(tz_queue_options){ .order = TZ_PRIORITY, .compare = longer }),
		0);
	assert_int_equal(tz_queue_put_n(q, words, 5), 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(tz_queue_try_get(q, got), 0);
		assert_string_equal(got, expected[i]);
	}
	tz_queue_close(q);
}

struct numbers {
	uint64_t big;
	double real;
	float single;
	int8_t tiny;
	uint16_t half;
};

static void check_key(tz_queue_key key, const struct numbers *low, const struct numbers *high)
{
	struct numbers got;
	tz_queue *q;

	assert_int_equal(tz_queue_open(&q, sizeof got,
				       &(tz_queue_options){ .order = TZ_PRIORITY, .key = key }),
			 0);
	assert_int_equal(tz_queue_put(q, high), 0);
	assert_int_equal(tz_queue_put(q, low), 0);
	assert_int_equal(tz_queue_try_get(q, &got), 0);
	assert_memory_equal(&got, low, sizeof got);
	assert_int_equal(tz_queue_try_get(q, &got), 0);
	assert_memory_equal(&got, high, sizeof got);
	tz_queue_close(q);
}

static void priority_by_each_kind_of_number(void **state)
{
	struct numbers low, high;

	(void)state;
	memset(&low, 0, sizeof low);
	memset(&high, 0, sizeof high);
	low.big = 1, high.big = UINT64_MAX;
	check_key(TZ_QUEUE_KEY(struct numbers, big), &low, &high);
	low.real = -0.75, high.real = -0.5;
	check_key(TZ_QUEUE_KEY(struct numbers, real), &low, &high);
	low.real = 1e300, high.real = 0.0 / 0.0;
	check_key(TZ_QUEUE_KEY(struct numbers, real), &low, &high);
	low.single = 0.25f, high.single = 0.5f;
	check_key(TZ_QUEUE_KEY(struct numbers, single), &low, &high);
	low.tiny = -128, high.tiny = 127;
	check_key(TZ_QUEUE_KEY(struct numbers, tiny), &low, &high);
	low.half = 1, high.half = 65535;
	check_key(TZ_QUEUE_KEY(struct numbers, half), &low, &high);
}

static void elements_of_odd_sizes_survive(void **state)
{
	static const size_t sizes[] = { 1, 3, 7, 8, 9, 63, 64, 65, 1000, 5000 };

	(void)state;
	for (size_t k = 0; k < KINDS - 2; k++) {
		for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
			unsigned char *in = malloc(sizes[s] + 1), *out = malloc(sizes[s] + 1);
			tz_queue *q;

			assert_int_equal(tz_queue_open(&q, sizes[s], &kinds[k]), 0);
			for (int i = 0; i < 40; i++) {
				memset(in, i + 1, sizes[s]);
				memset(out, 0, sizes[s] + 1);
				assert_int_equal(tz_queue_put(q, in), 0);
				assert_int_equal(tz_queue_try_get(q, out), 0);
				assert_memory_equal(in, out, sizes[s]);
				assert_int_equal(out[sizes[s]], 0); /* nothing beyond the element */
			}
			tz_queue_close(q);
			free(in);
			free(out);
		}
	}
}

/* --- bounds and batches ------------------------------------------------------------------------------------ */

static void a_full_queue_takes_no_more(void **state)
{
	(void)state;
	for (size_t k = 1; k < KINDS; k += 2) {
		for (size_t capacity = 1; capacity < 70; capacity += 1 + capacity / 3) {
			tz_queue_options o = kinds[k];
			ints q;
			int got;

			o.capacity = capacity;
			q = open_ints(o);
			assert_int_equal(tz_queue_capacity(q.queue), capacity);
			for (int round = 0; round < 3; round++) {
				assert_true(tz_queue_empty(q.queue));
				for (size_t i = 0; i < capacity; i++) {
					assert_false(tz_queue_full(q.queue));
					assert_int_equal(ints_try_put(q, (int)i), 0);
					assert_int_equal(tz_queue_size(q.queue), i + 1);
				}
				assert_true(tz_queue_full(q.queue));
				assert_int_equal(ints_try_put(q, 1), -EAGAIN);
				assert_int_equal(ints_put_until(q, 1, tz_after(0.001)), -ETIMEDOUT);
				for (size_t i = 0; i < capacity; i++)
					assert_int_equal(ints_try_get(q, &got), 0);
			}
			ints_close(&q);
		}
	}
}

static void several_at_once(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++) {
		ints q = open_ints(kinds[k]);
		int in[20], out[20];
		ptrdiff_t n = kinds[k].capacity ? 8 : 20;

		for (int i = 0; i < 20; i++)
			in[i] = i;
		for (int round = 0; round < 50; round++) {
			memset(out, -1, sizeof out);
			assert_int_equal(tz_queue_try_put_n(q.queue, in, 20), n);
			assert_int_equal(tz_queue_try_put_n(q.queue, in, 0), 0);
			assert_int_equal(ints_get_n(q, out, 3), 3);
			assert_int_equal(ints_get_n(q, out + 3, 17), n - 3);
			for (int i = 0; i < n; i++)
				assert_int_equal(out[i],
						 kinds[k].order == TZ_LIFO ? (int)n - 1 - i : i);
			assert_int_equal(tz_queue_try_get_n(q.queue, out, 20), -EAGAIN);
			assert_int_equal(tz_queue_get_n_until(q.queue, out, 20, tz_after(0.0001)),
					 -ETIMEDOUT);
		}
		/* What went in before the time was up stays in. */
		assert_int_equal(tz_queue_put_n_until(q.queue, in, 20, tz_after(0.001)), n);
		assert_int_equal(tz_queue_size(q.queue), n);
		ints_close(&q);
	}
}

static void misuse_is_refused(void **state)
{
	tz_queue *q = (tz_queue *)&q;
	tz_queue *const untouched = q;

	(void)state;
	assert_int_equal(tz_queue_open(&q, 0, NULL), -EINVAL);
	assert_int_equal(tz_queue_open(&q, 4, &(tz_queue_options){ .order = (tz_queue_order)3 }),
			 -EINVAL);
	assert_int_equal(tz_queue_open(&q, 4, &(tz_queue_options){ .reserved = { 0, 1 } }),
			 -EINVAL);
	assert_int_equal(tz_queue_open(&q, 4, &(tz_queue_options){ .compare = longer }), -EINVAL);
	assert_int_equal(tz_queue_open(&q, 16, &(tz_queue_options){ .order = TZ_PRIORITY }),
			 -EINVAL);
	assert_int_equal(tz_queue_open(&q, 3, &(tz_queue_options){ .order = TZ_PRIORITY }),
			 -EINVAL);
	assert_int_equal(
		tz_queue_open(&q, 4,
			      &(tz_queue_options){ .order = TZ_PRIORITY,
						   .key = TZ_QUEUE_KEY(struct numbers, real) }),
		-EINVAL); /* beyond the element */
	assert_int_equal(tz_queue_open(&q, SIZE_MAX / 2, &(tz_queue_options){ .capacity = 100 }),
			 -ENOMEM);
	assert_ptr_equal(q, untouched);
	tz_queue_close(NULL);

	assert_int_equal(tz_queue_open(&q, 4, NULL), 0);
	assert_int_equal(tz_queue_task_done(q), -EINVAL);
	assert_int_equal(tz_queue_shutdown(q, (tz_queue_end)2), -EINVAL);
	assert_false(tz_queue_is_shutdown(q));
	tz_queue_close(q);
}

/* --- waiting ----------------------------------------------------------------------------------------------- */

/* A strand that does one call, and what it answered. */
struct caller {
	pthread_t thread;
	tz_queue *queue;
	int (*call)(tz_queue *queue, int *item);
	int item;
	_Atomic int answer; /* 1: not yet */
};

static void *caller_main(void *arg)
{
	struct caller *c = arg;

	atomic_store(&c->answer, c->call(c->queue, &c->item));
	return NULL;
}

static void caller_start(struct caller *c, tz_queue *q, int (*call)(tz_queue *, int *), int item)
{
	c->queue = q;
	c->call = call;
	c->item = item;
	atomic_store(&c->answer, 1);
	assert_int_equal(pthread_create(&c->thread, NULL, caller_main, c), 0);
}

static int call_get(tz_queue *q, int *item)
{
	return tz_queue_get_until(q, item, soon());
}

static int call_put(tz_queue *q, int *item)
{
	return tz_queue_put_until(q, item, soon());
}

static int call_join(tz_queue *q, int *item)
{
	(void)item;
	return tz_queue_join_until(q, soon());
}

/* Long enough for the caller to be asleep most of the time; nothing depends on it. */
static void let_it_wait(void)
{
	(void)usleep(3000);
}

static void a_put_wakes_who_waits_for_it(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++) {
		ints q = open_ints(kinds[k]);
		struct caller c[5];

		for (int i = 0; i < 5; i++)
			caller_start(&c[i], q.queue, call_get, -1);
		let_it_wait();
		for (int i = 0; i < 3; i++)
			assert_int_equal(ints_put(q, i), 0);
		assert_int_equal(ints_put_n(q, (int[]){ 3, 4 }, 2),
				 2); /* one call must reach two */
		for (int i = 0, seen = 0; i < 5; i++) {
			assert_int_equal(pthread_join(c[i].thread, NULL), 0);
			assert_int_equal(c[i].answer, 0);
			assert_false(seen & 1 << c[i].item);
			seen |= 1 << c[i].item;
		}
		ints_close(&q);
	}
}

static void a_get_wakes_who_waits_for_room(void **state)
{
	(void)state;
	for (size_t k = 1; k < KINDS; k += 2) {
		ints q = open_ints(kinds[k]);
		struct caller c[5];
		int out[8], got, left = 13;

		for (int i = 0; i < 8; i++)
			assert_int_equal(ints_put(q, i), 0);
		for (int i = 0; i < 5; i++)
			caller_start(&c[i], q.queue, call_put, 10 + i);
		let_it_wait();
		for (int i = 0; i < 5; i++)
			assert_int_equal(c[i].answer, 1);
		assert_int_equal(ints_get_n(q, out, 4), 4); /* one call must reach four */
		assert_int_equal(ints_get_until(q, &got, soon()), 0);
		left -= 5;
		for (int i = 0; i < 5; i++) {
			assert_int_equal(pthread_join(c[i].thread, NULL), 0);
			assert_int_equal(c[i].answer, 0);
		}
		assert_int_equal(tz_queue_size(q.queue), left);
		ints_close(&q);
	}
}

static void join_waits_until_all_is_done(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++) {
		ints q = open_ints(kinds[k]);
		struct caller c[2];
		int got;

		assert_int_equal(tz_queue_join_until(q.queue, soon()),
				 0); /* nothing was ever put */
		assert_int_equal(ints_put(q, 1), 0);
		assert_int_equal(ints_put(q, 2), 0);
		assert_int_equal(tz_queue_unfinished(q.queue), 2);
		caller_start(&c[0], q.queue, call_join, 0);
		caller_start(&c[1], q.queue, call_join, 0);
		let_it_wait();
		for (int i = 0; i < 2; i++) {
			assert_int_equal(c[0].answer, 1);
			assert_int_equal(c[1].answer, 1);
			assert_int_equal(tz_queue_join_until(q.queue, tz_after(0)), -ETIMEDOUT);
			assert_int_equal(ints_try_get(q, &got), 0);
			assert_int_equal(tz_queue_task_done(q.queue), 0);
		}
		for (int i = 0; i < 2; i++) {
			assert_int_equal(pthread_join(c[i].thread, NULL), 0);
			assert_int_equal(c[i].answer, 0);
		}
		assert_int_equal(tz_queue_task_done(q.queue), -EINVAL);
		assert_int_equal(tz_queue_join_until(q.queue, tz_after(0)), 0);
		ints_close(&q);
	}
}

static void waits_obey_the_scope(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++) {
		ints q = open_ints(kinds[k]);
		int got, get = 0, join = 0, put = 0;
		ptrdiff_t get_n = 0;

		TZ_TIMEOUT(0.003) {
			get = ints_get(q, &got);
			get_n = ints_get_n(q, &got, 1); /* the time stays up */
			assert_int_equal(ints_put(q, 5), 0); /* does not wait */
			assert_int_equal(ints_get(q, &got), 0); /* what is there is given out */
			assert_int_equal(got, 5);
			join = tz_queue_join(q.queue);
			while (kinds[k].capacity && put == 0)
				put = ints_put(q, 1);
		}
		assert_int_equal(get, -ETIMEDOUT);
		assert_int_equal(get_n, -ETIMEDOUT);
		assert_int_equal(join, -ETIMEDOUT);
		assert_int_equal(put, kinds[k].capacity ? -ETIMEDOUT : 0);
		ints_close(&q);
	}
}

struct cancelled {
	tz_queue *queue;
	tz_scope scope;
	_Atomic int ready, answer;
};

static void *get_in_scope(void *arg)
{
	struct cancelled *c = arg;
	int got;

	tz_scope_enter(&c->scope, soon());
	atomic_store(&c->ready, 1);
	atomic_store(&c->answer, tz_queue_get(c->queue, &got));
	(void)tz_scope_leave(&c->scope);
	return NULL;
}

static void cancel_ends_a_wait(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct cancelled c = { .ready = 0 };
		pthread_t thread;

		assert_int_equal(tz_queue_open(&c.queue, sizeof(int), NULL), 0);
		assert_int_equal(pthread_create(&thread, NULL, get_in_scope, &c), 0);
		while (!atomic_load(&c.ready))
			(void)usleep(20);
		if (i % 2)
			let_it_wait();
		tz_scope_cancel(&c.scope);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(c.answer, -ECANCELED);
		tz_queue_close(c.queue);
	}
}

/* A queue knows nothing of threads: what it waits by is the strand's table of operations. */
static const struct tz_strand_ops *real_ops;
static int parks;

static int counting_park(struct tz_strand *self, tz_deadline deadline)
{
	parks++;
	return real_ops->park(self, deadline);
}

static void waits_go_through_the_strand(void **state)
{
	struct tz_strand *self = tz_strand_self();
	struct tz_strand_ops counting = *self->ops;

	(void)state;
	real_ops = self->ops;
	counting.park = counting_park;
	self->ops = &counting;
	for (size_t k = 0; k < KINDS; k++) {
		ints q = open_ints(kinds[k]);
		int got;

		parks = 0;
		assert_int_equal(ints_get_until(q, &got, tz_after(0.001)), -ETIMEDOUT);
		assert_true(parks >= 1);
		assert_int_equal(ints_put(q, 1), 0);
		parks = 0;
		assert_int_equal(tz_queue_join_until(q.queue, tz_after(0.001)), -ETIMEDOUT);
		assert_true(parks >= 1);
		ints_close(&q);
	}
	self->ops = real_ops;
}

/* --- the end ------------------------------------------------------------------------------------------------ */

static void drain_lets_out_what_is_in(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++) {
		ints q = open_ints(kinds[k]);
		int got;

		for (int i = 0; i < 5; i++)
			assert_int_equal(ints_put(q, i), 0);
		assert_false(tz_queue_is_shutdown(q.queue));
		assert_int_equal(tz_queue_shutdown(q.queue, TZ_QUEUE_DRAIN), 0);
		assert_true(tz_queue_is_shutdown(q.queue));
		assert_int_equal(ints_put(q, 9), -ESHUTDOWN);
		assert_int_equal(ints_try_put(q, 9), -ESHUTDOWN);
		assert_int_equal(ints_put_n(q, (int[]){ 1, 2 }, 2), -ESHUTDOWN);
		for (int i = 0; i < 5; i++) {
			assert_int_equal(ints_get(q, &got), 0);
			assert_int_equal(tz_queue_task_done(q.queue), 0);
		}
		assert_int_equal(ints_get(q, &got), -ESHUTDOWN);
		assert_int_equal(ints_try_get(q, &got), -ESHUTDOWN);
		assert_int_equal(tz_queue_join(q.queue), 0);
		assert_int_equal(tz_queue_shutdown(q.queue, TZ_QUEUE_DRAIN), 0);
		ints_close(&q);
	}
}

static void drop_drops_and_counts_as_done(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++) {
		ints q = open_ints(kinds[k]);
		struct caller joiner;
		int got;

		for (int i = 0; i < 5; i++)
			assert_int_equal(ints_put(q, i), 0);
		assert_int_equal(ints_get(q, &got), 0);
		caller_start(&joiner, q.queue, call_join, 0);
		if (k % 2) /* also after a drain */
			assert_int_equal(tz_queue_shutdown(q.queue, TZ_QUEUE_DRAIN), 0);
		assert_int_equal(tz_queue_shutdown(q.queue, TZ_QUEUE_DROP), 0);
		assert_int_equal(tz_queue_size(q.queue), 0);
		assert_int_equal(ints_get(q, &got), -ESHUTDOWN);
		assert_int_equal(ints_put(q, 9), -ESHUTDOWN);
		/* The one that was taken out is still worked on. */
		assert_int_equal(tz_queue_unfinished(q.queue), 1);
		assert_int_equal(joiner.answer, 1);
		assert_int_equal(tz_queue_task_done(q.queue), 0);
		assert_int_equal(pthread_join(joiner.thread, NULL), 0);
		assert_int_equal(joiner.answer, 0);
		assert_int_equal(tz_queue_task_done(q.queue), -EINVAL);
		ints_close(&q);
	}
}

static void shutdown_wakes_everybody(void **state)
{
	(void)state;
	for (int end = TZ_QUEUE_DRAIN; end <= TZ_QUEUE_DROP; end++) {
		for (size_t k = 0; k < KINDS; k++) {
			ints q = open_ints(kinds[k]);
			struct caller getters[20], putters[10], joiner;

			for (int i = 0; i < 20; i++)
				caller_start(&getters[i], q.queue, call_get, 0);
			let_it_wait();
			assert_int_equal(tz_queue_shutdown(q.queue, (tz_queue_end)end), 0);
			for (int i = 0; i < 20; i++) {
				assert_int_equal(pthread_join(getters[i].thread, NULL), 0);
				assert_int_equal(getters[i].answer, -ESHUTDOWN);
			}
			ints_close(&q);

			if (!kinds[k].capacity)
				continue;
			q = open_ints(kinds[k]);
			for (int i = 0; i < 8; i++)
				assert_int_equal(ints_put(q, i), 0);
			for (int i = 0; i < 10; i++)
				caller_start(&putters[i], q.queue, call_put, 0);
			caller_start(&joiner, q.queue, call_join, 0);
			let_it_wait();
			assert_int_equal(tz_queue_shutdown(q.queue, (tz_queue_end)end), 0);
			for (int i = 0; i < 10; i++) {
				assert_int_equal(pthread_join(putters[i].thread, NULL), 0);
				assert_int_equal(putters[i].answer, -ESHUTDOWN);
			}
			if (end == TZ_QUEUE_DRAIN) {
				assert_int_equal(joiner.answer, 1);
				for (int i = 0; i < 8; i++)
					assert_int_equal(tz_queue_task_done(q.queue), 0);
			}
			assert_int_equal(pthread_join(joiner.thread, NULL), 0);
			assert_int_equal(joiner.answer, 0);
			ints_close(&q);
		}
	}
}

/* --- exactly once -------------------------------------------------------------------------------------------- */

enum { MEMBERS = 3, EACH = 20000 };

struct ledger {
	tz_queue *queue;
	_Atomic uint8_t seen[MEMBERS * EACH]; /* how often each came out */
	_Atomic int accepted, taken, disorder;
	_Atomic int member;
	bool ordered; /* each producer's elements come out in order */
};

static void *produce(void *arg)
{
	struct ledger *l = arg;
	int first = atomic_fetch_add(&l->member, 1) * EACH, batch[5];

	for (int i = 0; i < EACH;) {
		int n = i % 3 ? 1 : 5;
		ptrdiff_t r;

		if (n > EACH - i)
			n = EACH - i;
		for (int b = 0; b < n; b++)
			batch[b] = first + i + b;
		r = n == 1 ? tz_queue_put_until(l->queue, batch, soon())
			   : tz_queue_put_n_until(l->queue, batch, (size_t)n, soon());
		if (r < 0)
			break;
		i += n == 1 ? 1 : (int)r;
		atomic_fetch_add(&l->accepted, n == 1 ? 1 : (int)r);
	}
	return NULL;
}

static void *consume(void *arg)
{
	struct ledger *l = arg;
	int last[MEMBERS], batch[7];

	for (int i = 0; i < MEMBERS; i++)
		last[i] = -1;
	for (int turn = 0;; turn++) {
		ptrdiff_t n = turn % 2 ? tz_queue_get_n_until(l->queue, batch, 7, soon())
				       : tz_queue_get_until(l->queue, batch, soon());

		if (n < 0)
			return (void *)(intptr_t)n;
		if (turn % 2 == 0)
			n = 1;
		for (int b = 0; b < n; b++) {
			atomic_fetch_add(&l->seen[batch[b]], 1);
			if (l->ordered && batch[b] <= last[batch[b] / EACH])
				atomic_fetch_add(&l->disorder, 1);
			last[batch[b] / EACH] = batch[b];
			(void)tz_queue_task_done(l->queue);
		}
		atomic_fetch_add(&l->taken, (int)n);
	}
}

/* Producers and consumers at once; the queue is shut down in the middle, or when the producers are through. */
static void run_ledger(tz_queue_options o, int end)
{
	static struct ledger l;
	pthread_t in[MEMBERS], out[MEMBERS];
	int seen = 0;

	memset(&l, 0, sizeof l);
	l.ordered = o.order == TZ_FIFO;
	assert_int_equal(tz_queue_open(&l.queue, sizeof(int), &o), 0);
	for (int i = 0; i < MEMBERS; i++) {
		assert_int_equal(pthread_create(&out[i], NULL, consume, &l), 0);
		assert_int_equal(pthread_create(&in[i], NULL, produce, &l), 0);
	}
	if (end >= 0) {
		while (atomic_load(&l.accepted) < EACH / 2)
			(void)usleep(50);
		assert_int_equal(tz_queue_shutdown(l.queue, (tz_queue_end)end), 0);
	}
	for (int i = 0; i < MEMBERS; i++)
		assert_int_equal(pthread_join(in[i], NULL), 0);
	if (end < 0)
		assert_int_equal(tz_queue_shutdown(l.queue, TZ_QUEUE_DRAIN), 0);
	for (int i = 0; i < MEMBERS; i++) {
		void *why;

		assert_int_equal(pthread_join(out[i], &why), 0);
		assert_int_equal((intptr_t)why, -ESHUTDOWN);
	}
	assert_int_equal(tz_queue_join_until(l.queue, soon()), 0);
	assert_int_equal(tz_queue_size(l.queue), 0);
	for (int i = 0; i < MEMBERS * EACH; i++) {
		assert_true(l.seen[i] <= 1);
		seen += l.seen[i];
	}
	assert_int_equal(seen, l.taken);
	assert_int_equal(l.disorder, 0);
	if (end < 0)
		assert_int_equal(seen, MEMBERS * EACH);
	if (end == TZ_QUEUE_DRAIN)
		assert_int_equal(seen, l.accepted);
	tz_queue_close(l.queue);
}

static void each_element_comes_out_once(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++)
		run_ledger(kinds[k], -1);
	run_ledger((tz_queue_options){ .capacity = 1 }, -1);
	run_ledger((tz_queue_options){ .capacity = 1000 }, -1);
}

static void nothing_is_lost_when_it_ends_in_the_middle(void **state)
{
	(void)state;
	for (size_t k = 0; k < KINDS; k++)
		for (int end = TZ_QUEUE_DRAIN; end <= TZ_QUEUE_DROP; end++)
			run_ledger(kinds[k], end);
}

/* --- signal handlers ------------------------------------------------------------------------------------------ */

static tz_queue *handler_queue;
static _Atomic int handler_puts, handler_refused;

static void put_from_handler(int signo)
{
	int saved = errno, item = -signo;

	if (tz_queue_try_put(handler_queue, &item) == 0)
		atomic_fetch_add(&handler_puts, 1);
	else
		atomic_fetch_add(&handler_refused, 1);
	errno = saved;
}

static void *take_all(void *arg)
{
	int item, *from_handler = arg;

	while (tz_queue_get_until(handler_queue, &item, soon()) == 0)
		*from_handler += item < 0;
	return NULL;
}

/* A timer's signal interrupts a thread that does nothing but put (and so wakes, and waits when the queue is
 * full), and its handler puts too. */
static void a_handler_may_interrupt_a_put(void **state)
{
	struct sigaction act = { .sa_handler = put_from_handler, .sa_flags = SA_RESTART }, before;
	struct itimerval every = { { 0, 50 }, { 0, 50 } }, never = { { 0, 0 }, { 0, 0 } };
	int from_handler = 0;
	pthread_t taker;
	sigset_t alrm, old;
	tz_deadline end;

	(void)state;
	sigemptyset(&alrm);
	sigaddset(&alrm, SIGALRM);
	for (size_t capacity = 1; capacity <= 64; capacity *= 8) {
		assert_int_equal(tz_queue_open(&handler_queue, sizeof(int),
					       &(tz_queue_options){ .capacity = capacity }),
				 0);
		assert_true(tz_queue_signal_safe(handler_queue));
		from_handler = 0;
		atomic_store(&handler_puts, 0);
		atomic_store(&handler_refused, 0);
		assert_int_equal(pthread_sigmask(SIG_BLOCK, &alrm, &old), 0);
		assert_int_equal(pthread_create(&taker, NULL, take_all, &from_handler), 0);
		assert_int_equal(sigaction(SIGALRM, &act, &before), 0);
		assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
		assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
		end = soon();
		for (int i = 0; atomic_load(&handler_puts) < 300 && !tz_expired(end); i++)
			assert_int_equal(tz_queue_put_until(handler_queue, &i, soon()), 0);
		assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
		assert_true(atomic_load(&handler_puts) >= 300);
		assert_int_equal(tz_queue_shutdown(handler_queue, TZ_QUEUE_DRAIN), 0);
		assert_int_equal(pthread_join(taker, NULL), 0);
		assert_int_equal(from_handler, atomic_load(&handler_puts));
		assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
		tz_queue_close(handler_queue);
	}
}

/* The same where it hurts: the thread that is interrupted does nothing but line up and leave, and so holds the lock of the
 * line half of the time. A handler that waited for it would wait for ever. */
static struct tz_waiters interrupted_line;
static _Atomic int kicks;
static sem_t watched_done;

static void kick_from_handler(int signo)
{
	(void)signo;
	tz_waiters_kick(&interrupted_line, TZ_WAITERS_ONE);
	atomic_fetch_add(&kicks, 1);
}

static void *give_up_after_a_while(void *unused)
{
	struct timespec end;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	while (sem_timedwait(&watched_done, &end) != 0)
		if (errno != EINTR)
			abort(); /* the handler waits */
	return unused;
}

static void a_handler_may_interrupt_the_line(void **state)
{
	struct sigaction act = { .sa_handler = kick_from_handler, .sa_flags = SA_RESTART }, before;
	struct itimerval every = { { 0, 50 }, { 0, 50 } }, never = { { 0, 0 }, { 0, 0 } };
	struct tz_strand *self = tz_strand_self();
	struct tz_waiting w;
	pthread_t watchdog;
	sigset_t alrm, old;
	int woken = 0;

	(void)state;
	atomic_store(&kicks, 0);
	assert_int_equal(sem_init(&watched_done, 0, 0), 0);
	sigemptyset(&alrm);
	sigaddset(&alrm, SIGALRM);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &alrm, &old), 0);
	assert_int_equal(pthread_create(&watchdog, NULL, give_up_after_a_while, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &act, &before), 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
	while (atomic_load(&kicks) < 1000) {
		tz_waiters_enter(&interrupted_line, &w, self);
		tz_waiters_leave(&interrupted_line, &w);
		woken += w.woken != 0;
	}
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_int_equal(sem_post(&watched_done), 0);
	assert_int_equal(pthread_join(watchdog, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
	assert_true(woken > 0); /* some of the wakes fell between lining up and leaving */
	assert_int_equal(interrupted_line.word,
			 0); /* nobody waits, no wake is left, nobody holds the lock */
	assert_null(interrupted_line.first);
	assert_int_equal(sem_destroy(&watched_done), 0);
}

static void shut_down_from_handler(int signo)
{
	(void)signo;
	(void)tz_queue_shutdown(handler_queue, TZ_QUEUE_DRAIN);
}

static void a_handler_may_shut_down(void **state)
{
	struct sigaction act = { .sa_handler = shut_down_from_handler }, before;
	struct caller getters[3];

	(void)state;
	assert_int_equal(
		tz_queue_open(&handler_queue, sizeof(int), &(tz_queue_options){ .capacity = 4 }),
		0);
	for (int i = 0; i < 3; i++)
		caller_start(&getters[i], handler_queue, call_get, 0);
	let_it_wait();
	assert_int_equal(sigaction(SIGUSR1, &act, &before), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(getters[i].thread, NULL), 0);
		assert_int_equal(getters[i].answer, -ESHUTDOWN);
	}
	tz_queue_close(handler_queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifo_gives_back_in_order),
		cmocka_unit_test(lifo_gives_back_the_last_first),
		cmocka_unit_test(priority_is_lowest_first_and_stable),
		cmocka_unit_test(priority_by_a_function),
		cmocka_unit_test(priority_by_each_kind_of_number),
		cmocka_unit_test(elements_of_odd_sizes_survive),
		cmocka_unit_test(a_full_queue_takes_no_more),
		cmocka_unit_test(several_at_once),
		cmocka_unit_test(misuse_is_refused),
		cmocka_unit_test(a_put_wakes_who_waits_for_it),
		cmocka_unit_test(a_get_wakes_who_waits_for_room),
		cmocka_unit_test(join_waits_until_all_is_done),
		cmocka_unit_test(waits_obey_the_scope),
		cmocka_unit_test(cancel_ends_a_wait),
		cmocka_unit_test(waits_go_through_the_strand),
		cmocka_unit_test(drain_lets_out_what_is_in),
		cmocka_unit_test(drop_drops_and_counts_as_done),
		cmocka_unit_test(shutdown_wakes_everybody),
		cmocka_unit_test(each_element_comes_out_once),
		cmocka_unit_test(nothing_is_lost_when_it_ends_in_the_middle),
		cmocka_unit_test(a_handler_may_interrupt_a_put),
		cmocka_unit_test(a_handler_may_interrupt_the_line),
		cmocka_unit_test(a_handler_may_shut_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
