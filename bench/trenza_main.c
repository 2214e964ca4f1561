/*
 * Our contender: bench-trenza WORKLOAD.
 */
#include "trenza_bench.h"

int main(int argc, char **argv)
{
	const bench_workload *const areas[] = { tasks_workloads, sync_workloads,
						coroutines_workloads, processes_workloads,
						shared_workloads, connection_workloads,
						queue_workloads, internal_workloads };
	static bench_workload table[128];
	size_t n = 0;

	for (size_t i = 0; i < sizeof areas / sizeof *areas; i++)
		for (const bench_workload *w = areas[i]; w->name; w++)
			table[n++] = *w;
	return bench_main(argc, argv, table);
}
