/* shared_array.c: what a child writes into an array that it shares with its parent.
 *
 * The twin of calc_cuad with mp.Array('i', 10). The array is memory that both have; a pointer to it travels like a number.
 */
#include "shared_text.h"

static void calc_cuad(int n, int *result)
{
	for (int i = 0; i < n; i++)
		result[i] = i * i;
	print_list("Resultado del proceso: ", result, N);
}
TZ_TASK(void, calc_cuad, int, int *);

int main(void)
{
	int *result = TZ_SHARED_ARRAY(int, N);
	tz_process *p1;

	if (!result)
		return 1;
	print_list("", result, N);
	if (tz_process_open(&p1, calc_cuad, N, result) < 0)
		return 1;
	tz_process_join(p1);
	tz_process_close(p1);
	print_list("Resultado fuera del proceso: ", result, N);
	tz_shared_free(result);
	printf("Finaliza ejecuci\xc3\xb3n\n");
	return 0;
}
