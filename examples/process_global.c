/* process_global.c: why what a child puts into a global stays out of its parent's, and how to get it.
 *
 * The twin of calc_cuad, whose result is an empty list: a process has memory of its own. Below it, the same function's numbers come back as what a
 * process can give back: results of calls.
 */
#include <stdio.h>

#include <trenza.h>

enum { N = 10 };

static int num_res[N], found;

static void calc_cuad(int n)
{
	for (int i = 0; i < n; i++) {
		printf("cuadrado: %d\n", i * i);
		num_res[found++] = i * i;
	}
}
TZ_TASK(void, calc_cuad, int);

static int cuad(int i)
{
	return i * i;
}
TZ_TASK(int, cuad, int);

static void print_list(const char *title, const int *list, int n)
{
	printf("%s [", title);
	for (int i = 0; i < n; i++)
		printf("%s%d", i ? ", " : "", list[i]);
	printf("]\n");
}

int main(void)
{
	int in[N], out[N];
	tz_process *p1;
	tz_executor *pool;

	if (tz_process_open(&p1, calc_cuad, N) < 0)
		return 1;
	tz_process_join(p1);
	tz_process_close(p1);
	print_list("Resultado del proceso:", num_res, found);

	for (int i = 0; i < N; i++)
		in[i] = i;
	if (tz_executor_open(&pool, "processes:1") < 0)
		return 1;
	if (tz_map(pool, cuad, N, out, in) == 0)
		print_list("Resultado de las llamadas:", out, N);
	tz_executor_close(pool);
	printf("Finaliza ejecuci\xc3\xb3n\n");
	return 0;
}
