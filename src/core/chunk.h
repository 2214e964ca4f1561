/* The chunk: several calls of one task in one job, on an executor whose jobs share our memory. */
#ifndef TZ_CORE_CHUNK_H
#define TZ_CORE_CHUNK_H

#include <stddef.h>

#include <trenza/executor.h>

struct tz_chunk;

/* An empty chunk with room for so many calls, or NULL without memory. It is freed when its job has ended. */
struct tz_chunk *tz_chunk_new(const tz_task *task, size_t room);
void tz_chunk_free(struct tz_chunk *chunk);

/* Where the arguments of the i-th call are to be. */
void *tz_chunk_args(struct tz_chunk *chunk, size_t i);

/* Submits the first n calls as one job, and later takes in how it ended, and releases it: as tz_result. */
void tz_chunk_submit(struct tz_chunk *chunk, size_t n, tz_executor *executor,
		     const tz_submit_options *options);
tz_handle tz_chunk_job(const struct tz_chunk *chunk);
void tz_chunk_settle(struct tz_chunk *chunk);

/* Gives out the result of the i-th call of a chunk that has been settled: 0, or -EREMOTEIO; how it ended is in tz_last(). */
int tz_chunk_take(struct tz_chunk *chunk, size_t i, void *out);

#endif
