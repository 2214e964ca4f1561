/* pool_base.c: a pool of four processes, each of which says what it works on.
 *
 * The twin of pool-base.py. Which process prints first is nobody's promise; the squares come in order. A worker's standard output is the
 * program's own, and is flushed here line by line, since a worker is not main() and has a buffer of its own.
 */
#include <stdio.h>

#include <trenza.h>

enum { N = 6 };

static int worker(int x)
{
	printf("In worker with:  %d\n", x);
	(void)fflush(stdout);
	return x * x;
}
TZ_TASK(int, worker, int);

int main(void)
{
	const int x[N] = { 0, 1, 2, 3, 4, 5 };
	int squares[N];
	tz_executor *pool;

	if (tz_executor_open(&pool, "processes:4") < 0)
		return 1;
	if (tz_map(pool, worker, N, squares, x) < 0) {
		tz_perror("worker");
		return 1;
	}
	tz_executor_close(pool);
	for (int i = 0; i < N; i++)
		printf("%s%d", i ? ", " : "[", squares[i]);
	printf("]\n");
	return 0;
}
