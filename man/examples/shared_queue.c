#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trenza.h>

/* tz_put_value, tz_get, tz_shared_queue_open { */
static void child(tz_shared_queue *q)
{
	tz_put(q, tz_list(42, tz_none, "hello"));
	tz_put(q, tz_list("bye"));
}
TZ_TASK(void, child, tz_shared_queue *);
/* } */

/* TZ_SHARED_QUEUE { */
struct order {
	int table;
	int dish;
};
TZ_SHARED_QUEUE(struct order, orders);

static void serve(orders *q)
{
	struct order o;

	while (orders_get(q, &o) == 0) {
		/* ... */
		tz_shared_queue_task_done(orders_queue(q));
	}
}
TZ_TASK(void, serve, orders *);
/* } */

/* tz_shared_queue_lease, tz_shared_lease_done, tz_shared_lease_return { */
static int try_to_work(const char *what, size_t size, uint32_t deliveries)
{
	printf("%.*s%s\n", (int)size, what, deliveries ? ", again" : "");
	return deliveries ? 0 : -1;
}

static void work(tz_shared_queue *q)
{
	tz_shared_lease lease;

	while (tz_shared_queue_lease_until(q, &lease, tz_after(0)) == 0)
		if (try_to_work(lease.data, lease.size, lease.deliveries) == 0)
			tz_shared_lease_done(q, &lease);
		else
			tz_shared_lease_return(q, &lease); /* for the next one */
}
/* } */

int main(void)
{
	/* tz_put_value, tz_get, tz_shared_queue_open { */
	tz_shared_queue *q;
	tz_executor *ex;

	if (tz_shared_queue_open(&q, NULL) < 0 || tz_executor_open(&ex, "processes:2") < 0)
		return 1;
	child_future f = tz_submit(ex, child, q);

	for (int i = 0; i < 2; i++) {
		tz_value v;

		if (tz_get(q, &v) == 0) {
			tz_value_print(&v, stdout);
			tz_value_free(v);
		}
	}
	(void)tz_result(f, NULL);
	tz_shared_queue_close(q);
	/* } */
	{
		/* TZ_SHARED_QUEUE, tz_shared_queue_join, tz_shared_queue_task_done, tz_shared_queue_shutdown { */
		orders *o;

		if (orders_open(&o, TZ_OPTIONS(tz_shared_queue_options, .capacity = 100)) < 0)
			return 1;
		serve_future served = tz_submit(ex, serve, o);

		for (int table = 1; table <= 9; table++)
			orders_put(o, (struct order){ .table = table });
		if (tz_shared_queue_join(orders_queue(o)) == 0) /* waits until all are served */
			puts("served");
		tz_shared_queue_shutdown(orders_queue(o), TZ_QUEUE_DRAIN); /* orders_get answers -ESHUTDOWN */
		(void)tz_result(served, NULL);
		orders_close(o);
		/* } */
	}
	if (tz_shared_queue_open(&q, NULL) < 0)
		return 1;
	{
		/* tz_shared_queue_put_bytes, tz_shared_queue_get_bytes { */
		char text[100];

		tz_shared_queue_put_bytes(q, "a message", 9);
		ptrdiff_t n = tz_shared_queue_get_bytes(q, text, sizeof text);

		if (n >= 0)
			printf("%.*s\n", (int)n, text);
		/* } */
	}
	{
		/* tz_shared_queue_get_new, tz_shared_queue_next_size { */
		void *data;
		size_t size;

		tz_shared_queue_put_bytes(q, "of any size", 11);
		printf("%td bytes\n", tz_shared_queue_next_size(q));
		if (tz_shared_queue_get_new(q, &data, &size) == 0) {
			printf("%.*s\n", (int)size, (char *)data);
			free(data);
		}
		/* } */
	}
	{
		/* tz_shared_queue_put_n, tz_shared_queue_get_n { */
		double some[3] = { 0.5, 1.5, 2.5 }, got[10];

		tz_shared_queue_put_n(q, some, sizeof *some, 3);
		printf("%td at once\n", tz_shared_queue_get_n(q, got, sizeof *got, 10));
		/* } */
	}
	{
		/* tz_shared_queue_put_bytes_until, tz_shared_queue_put_n_until, tz_put_value_until, tz_shared_queue_get_bytes_until, tz_shared_queue_get_n_until, tz_shared_queue_get_new_until, tz_get_until, tz_shared_queue_lease_until, tz_shared_queue_join_until { */
		char c;

		if (tz_shared_queue_get_bytes_until(q, &c, 1, tz_after(0.01)) == -ETIMEDOUT)
			puts("nothing came");
		/* } */
	}
	{
		/* tz_shared_queue_try_put_bytes, tz_shared_queue_try_put_n, tz_shared_queue_try_get_bytes, tz_shared_queue_try_get_n, tz_shared_queue_try_lease { */
		char c;

		if (tz_shared_queue_try_get_bytes(q, &c, 1) == -EAGAIN)
			puts("nothing is there");
		/* } */
	}
	{
		/* tz_shared_queue_size, tz_shared_queue_empty, tz_shared_queue_full, tz_shared_queue_capacity, tz_shared_queue_unfinished, tz_shared_queue_is_shutdown { */
		printf("%zu of %zu%s%s, %s\n", tz_shared_queue_size(q), tz_shared_queue_capacity(q),
		       tz_shared_queue_empty(q) ? ", empty" : "", tz_shared_queue_full(q) ? ", full" : "",
		       tz_shared_queue_is_shutdown(q) ? "shut" : "open");
		/* } */
	}
	/* tz_shared_queue_lease, tz_shared_lease_done, tz_shared_lease_return { */
	tz_shared_queue_put_bytes(q, "work", 4);
	work(q);
	/* } */
	/* tz_shared_queue_close { */
	tz_shared_queue_close(q); /* the others keep it */
	/* } */
	tz_executor_close(ex);
	return 0;
}
/* prints:
[42, None, 'hello']
['bye']
served
a message
11 bytes
of any size
3 at once
nothing came
nothing is there
0 of 1024, empty, open
work
work, again
*/
