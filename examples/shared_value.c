/* shared_value.c: an array and a single value that a child and its parent share.
 *
 * The twin of calc_cuad with mp.Array('i', 10) and mp.Value('d', 0.0).
 */
#include "shared_text.h"

static void calc_cuad(int n, int *result, double *val)
{
	*val = 5.35;
	for (int i = 0; i < n; i++)
		result[i] = i * i;
	print_list("Resultado del proceso: ", result, N);
}
TZ_TASK(void, calc_cuad, int, int *, double *);

int main(void)
{
	int *result = TZ_SHARED_ARRAY(int, N);
	double *val = TZ_SHARED_NEW(double);
	tz_process *p1;

	if (!result || !val)
		return 1;
	print_list("", result, N);
	if (tz_process_open(&p1, calc_cuad, N, result, val) < 0)
		return 1;
	tz_process_join(p1);
	tz_process_close(p1);
	print_list("Resultado fuera del proceso: ", result, N);
	printf("Resultado fuera del proceso: %g\n", *val);
	tz_shared_free(result);
	tz_shared_free(val);
	printf("Finaliza ejecuci\xc3\xb3n\n");
	return 0;
}
