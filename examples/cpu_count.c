/* cpu_count.c: how many processors there are; the twin of os.cpu_count().
 *
 * How many of them this process may keep busy, which is the default size of an executor, is tz_usable_cpus().
 */
#include <stdio.h>

#include <trenza/cpu.h>

int main(void)
{
	printf("%d\n", tz_cpu_count());
	return 0;
}
