/* queue_unread.c: a process puts ten squares into a queue that nobody reads.
 *
 * The twin of the program with calc_cuad. In Python the process that has put waits for who reads as soon as the items do not fit into a pipe, and join waits for it. Here
 * what was put is in the queue, and the process has nothing left to do.
 */
#include <stdio.h>

#include <trenza.h>

static void calc_cuad(int n, tz_shared_queue *q)
{
	for (int i = 0; i < n; i++)
		tz_put(q, i * i);
}
TZ_TASK(void, calc_cuad, int, tz_shared_queue *);

int main(void)
{
	tz_shared_queue *q;
	tz_process *p;

	if (tz_shared_queue_open(&q, NULL) < 0 || tz_process_open(&p, calc_cuad, 10, q) < 0)
		return 1;
	tz_process_join(p);
	printf("%zu items remain\n", tz_shared_queue_size(q));
	tz_process_close(p);
	tz_shared_queue_close(q);
	return 0;
}
