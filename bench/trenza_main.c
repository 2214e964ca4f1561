/*
 * Our contender: bench-trenza WORKLOAD.
 */
#include "trenza_bench.h"

int main(int argc, char **argv)
{
	static bench_workload table[64];
	size_t n = 0;

	for (const bench_workload *w = tasks_workloads; w->name; w++)
		table[n++] = *w;
	for (const bench_workload *w = sync_workloads; w->name; w++)
		table[n++] = *w;
	return bench_main(argc, argv, table);
}
