/* Queues, when memory runs out at any point. */
#include "fault.h"

#include <errno.h>
#include <trenza/queue.h>

#include "check.h"

enum { MANY = 1000 };

/* Puts until the first error, and takes everything out again. */
static int fill_and_empty(const void *arg)
{
	tz_queue *q;
	long in = 0, out = 0, item;
	int r = tz_queue_open(&q, sizeof item, arg);
	if (r < 0)
		return r;
	while (in < MANY && r == 0) {
		r = tz_queue_put(q, &in);
		in += r == 0;
	}
	expect(tz_queue_size(q) == (size_t)in);
	while (tz_queue_try_get(q, &item) == 0) {
		expect(item >= 0 && item < in);
		out++;
	}
	expect(out == in);
	tz_queue_close(q);
	return r;
}

/* What is in a queue when it is closed goes with it. */
static int close_full(const void *arg)
{
	tz_queue *q;
	long item = 0;
	int r = tz_queue_open(&q, sizeof item, arg);
	if (r < 0)
		return r;
	while (item < MANY && r == 0) {
		r = tz_queue_put(q, &item);
		item++;
	}
	tz_queue_close(q);
	return r;
}

static const tz_queue_options fifo = { .order = TZ_FIFO };
static const tz_queue_options bounded = { .order = TZ_FIFO, .capacity = MANY };
static const tz_queue_options lifo = { .order = TZ_LIFO };
static const tz_queue_options priority = { .order = TZ_PRIORITY };

#define QUEUE_TEST(name) \
	static void name##_queue(void **state) \
	{ \
		(void)state; \
		fault_sweep(fill_and_empty, &name); \
		fault_sweep(close_full, &name); \
	}
QUEUE_TEST(fifo)
QUEUE_TEST(bounded)
QUEUE_TEST(lifo)
QUEUE_TEST(priority)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifo_queue),
		cmocka_unit_test(bounded_queue),
		cmocka_unit_test(lifo_queue),
		cmocka_unit_test(priority_queue),
	};
	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
