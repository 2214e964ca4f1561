/* multiprocessing0.c: squares by a function that takes two seconds, in a pool of four processes.
 *
 * The twin of multiprocessing0.py: four numbers take two seconds, and five take four, since the fifth waits for a process.
 *
 *     multiprocessing0 1 2 3 4 5
 */
#include <stdio.h>
#include <stdlib.h>

#include <trenza.h>

enum { MOST = 100 };

static long f(long x)
{
	tz_sleep(2);
	return x * x;
}
TZ_TASK(long, f, long);

int main(int argc, char *argv[])
{
	long values[MOST], res[MOST];
	size_t n = 0;
	uint64_t begin = tz_now();
	tz_executor *pool;

	while (n < MOST && (int)n < argc - 1) {
		values[n] = strtol(argv[n + 1], NULL, 10);
		n++;
	}
	if (tz_executor_open(&pool, "processes:4") < 0)
		return 1;
	/* One by one: each number is worth a process. */
	if (tz_map_with(pool, &(tz_map_options){ .chunk = 1 }, f, n, res, values) < 0) {
		tz_perror("f");
		return 1;
	}
	printf("[");
	for (size_t i = 0; i < n; i++)
		printf("%s%ld", i ? ", " : "", res[i]);
	printf("]\nWall time: %.2f s\n", (double)(tz_now() - begin) / 1e9);
	tz_executor_close(pool);
	return 0;
}
