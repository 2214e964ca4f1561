/*
 * The parts of our contender: one table of workloads for each area.
 */
#ifndef TRENZA_BENCH_H
#define TRENZA_BENCH_H

#include "bench.h"

extern const bench_workload tasks_workloads[];
extern const bench_workload sync_workloads[];
extern const bench_workload connection_workloads[];
extern const bench_workload coroutines_workloads[];
extern const bench_workload processes_workloads[];
extern const bench_workload queue_workloads[];
extern const bench_workload shared_workloads[];
extern const bench_workload internal_workloads[];

#endif
