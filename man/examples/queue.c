#include <errno.h>
#include <stdio.h>

#include <trenza.h>

/* TZ_QUEUE, TZ_QUEUE_KEY, tz_queue_task_done, tz_queue_join { */
struct order {
	int table;
	int urgency;
};

TZ_QUEUE(struct order, orders);
/* } */

/* tz_queue_task_done, tz_queue_join { */
static void serve(tz_queue *queue)
{
	struct order o;

	while (tz_queue_get(queue, &o) == 0) {
		printf("table %d\n", o.table);
		tz_queue_task_done(queue);
	}
}
TZ_TASK(void, serve, tz_queue *);
/* } */

int main(void)
{
	{
		/* TZ_QUEUE { */
		orders q;
		struct order o;

		if (orders_open(&q, NULL) < 0)
			return 1;
		orders_put(q, (struct order){ .table = 4 });
		if (orders_get(q, &o) == 0)
			printf("table %d\n", o.table);
		orders_close(&q);
		/* } */
	}
	{
		/* TZ_QUEUE_KEY { */
		tz_queue_options by_urgency = {
			.order = TZ_PRIORITY, /* lowest first */
			.key = TZ_QUEUE_KEY(struct order, urgency),
		};
		orders q;
		struct order o;

		if (orders_open(&q, &by_urgency) < 0)
			return 1;
		orders_put(q, (struct order){ .table = 1, .urgency = 7 });
		orders_put(q, (struct order){ .table = 2, .urgency = 3 });
		if (orders_get(q, &o) == 0)
			printf("table %d\n", o.table);
		orders_close(&q);
		/* } */
	}
	{
		/* tz_queue_task_done, tz_queue_join, tz_queue_unfinished { */
		orders q;
		serve_future waiter;

		if (orders_open(&q, NULL) < 0)
			return 1;
		waiter = tz_submit(NULL, serve, q.queue);
		for (int table = 5; table < 8; table++)
			orders_put(q, (struct order){ .table = table });
		tz_queue_join(q.queue); /* until all are served */
		printf("%zu to serve\n", tz_queue_unfinished(q.queue));
		tz_queue_shutdown(q.queue, TZ_QUEUE_DRAIN); /* ends the waiter's loop */
		tz_gather(waiter);
		orders_close(&q);
		/* } */
	}
	/* tz_queue_open, tz_queue_close, tz_queue_put, tz_queue_get, tz_queue_try_put,
	   tz_queue_put_until { */
	tz_queue *q;
	int n = 1;

	if (tz_queue_open(&q, sizeof n, &(tz_queue_options){ .capacity = 2 }) < 0)
		return 1;
	/* } */
	/* tz_queue_put, tz_queue_get, tz_queue_open, tz_queue_close { */
	tz_queue_put(q, &n); /* would wait while the queue is full */
	tz_queue_get(q, &n); /* would wait while it is empty */
	/* } */
	/* tz_queue_try_put, tz_queue_size, tz_queue_full, tz_queue_capacity, tz_queue_empty { */
	while (tz_queue_try_put(q, &n) == 0)
		n++;
	printf("%zu of %zu, full: %d, empty: %d\n", tz_queue_size(q), tz_queue_capacity(q),
	       tz_queue_full(q), tz_queue_empty(q));
	/* } */
	/* tz_queue_put_until { */
	if (tz_queue_put_until(q, &n, tz_after(0.01)) == -ETIMEDOUT)
		printf("nobody makes room\n");
	/* } */
	/* tz_queue_try_get, tz_queue_get_until { */
	while (tz_queue_try_get(q, &n) == 0)
		printf("%d\n", n);
	if (tz_queue_get_until(q, &n, tz_after(0.01)) == -ETIMEDOUT)
		printf("nobody brings more\n");
	/* } */
	{
		/* tz_queue_put_n, tz_queue_get_n, tz_queue_put_n_until, tz_queue_get_n_until,
		   tz_queue_try_put_n, tz_queue_try_get_n { */
		int in[2] = { 10, 20 }, out[8];
		ptrdiff_t got;
		/* } */

		/* tz_queue_put_n, tz_queue_get_n { */
		tz_queue_put_n(q, in, 2);
		got = tz_queue_get_n(q, out, 8); /* what is there, at least one */
		printf("%d, the first is %d\n", (int)got, out[0]);
		/* } */
		/* tz_queue_put_n_until, tz_queue_get_n_until { */
		got = tz_queue_put_n_until(q, in, 2, tz_after(0.5));
		if (got == 2)
			got = tz_queue_get_n_until(q, out, 8, tz_after(0.5));
		/* } */
		printf("%d\n", (int)got);
		/* tz_queue_try_put_n, tz_queue_try_get_n { */
		got = tz_queue_try_put_n(q, in, 2); /* as many as there is room for */
		got = tz_queue_try_get_n(q, out, 8);
		/* } */
		printf("%d\n", (int)got);
	}
	/* tz_queue_join_until { */
	if (tz_queue_join_until(q, tz_after(0.01)) == -ETIMEDOUT)
		printf("tz_queue_task_done was not called\n");
	/* } */
	/* tz_queue_signal_safe { */
	if (tz_queue_signal_safe(q))
		printf("a signal handler may call tz_queue_try_put\n");
	/* } */
	/* tz_queue_shutdown, tz_queue_is_shutdown { */
	tz_queue_shutdown(q, TZ_QUEUE_DROP);
	printf("%d, %s\n", tz_queue_is_shutdown(q),
	       tz_queue_put(q, &n) == -ESHUTDOWN ? "-ESHUTDOWN" : "?");
	/* } */
	/* tz_queue_open, tz_queue_close { */
	tz_queue_close(q);
	/* } */
	return 0;
}
/* prints:
table 4
table 2
table 5
table 6
table 7
0 to serve
2 of 2, full: 1, empty: 0
nobody makes room
1
2
nobody brings more
2, the first is 10
2
2
tz_queue_task_done was not called
a signal handler may call tz_queue_try_put
1, -ESHUTDOWN
*/
