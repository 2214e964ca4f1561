/* pool_squares.c: squares of ten numbers, by a pool of five processes.
 *
 * The twin of `with Pool(5) as p: print(p.map(f, [1, ..., 10]))`. Any other executor is a word away: pool_squares threads:5
 */
#include <stdio.h>

#include <trenza.h>

enum { N = 10 };

static int f(int x)
{
	return x * x;
}
TZ_TASK(int, f, int);

int main(int argc, char *argv[])
{
	const int x[N] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	int squares[N], status = 1;
	tz_executor *p;

	if (tz_executor_open(&p, argc > 1 ? argv[1] : "processes:5") < 0)
		return 1;
	if (tz_map(p, f, N, squares, x) < 0) {
		tz_perror("f");
	} else {
		for (int i = 0; i < N; i++)
			printf("%s%d", i ? ", " : "[", squares[i]);
		printf("]\n");
		status = 0;
	}
	tz_executor_close(p);
	return status;
}
