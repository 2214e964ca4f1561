#include <stdio.h>

#include <trenza/cpu.h>

int main(void)
{
	/* tz_cpu_count, tz_usable_cpus, tz_cpu_quota { */
	if (tz_usable_cpus() < tz_cpu_count())
		fprintf(stderr, "may use %d of %d processors; quota: %g\n", tz_usable_cpus(),
			tz_cpu_count(), tz_cpu_quota());
	/* } */
	return tz_usable_cpus() >= 1 && tz_cpu_count() >= 1 && tz_cpu_quota() >= 0 ? 0 : 1;
}
