/* queue_list.c: a process puts two lists into a queue.
 *
 * The twin of the first program with Queue.
 */
#include <stdio.h>

#include <trenza.h>

static void f(tz_shared_queue *q)
{
	tz_put(q, tz_list(42, tz_none, "hello"));
	tz_put(q, tz_list("bye"));
}
TZ_TASK(void, f, tz_shared_queue *);

static void print_next(tz_shared_queue *q)
{
	tz_value v;

	if (tz_get(q, &v) < 0)
		return;
	tz_value_print(&v, stdout);
	tz_value_free(v);
}

int main(void)
{
	tz_shared_queue *q;
	tz_process *p;

	if (tz_shared_queue_open(&q, NULL) < 0 || tz_process_open(&p, f, q) < 0)
		return 1;
	print_next(q);
	tz_process_join(p);
	print_next(q);
	tz_process_close(p);
	tz_shared_queue_close(q);
	return 0;
}
