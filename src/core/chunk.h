/* The chunk: several calls of one task in one job. Each call has an outcome of its own.
 *
 * On an executor whose jobs share our memory it is a job as any other. Others may carry it (`chunk` of tz_executor_ops): such an executor knows it by
 * tz_chunk_of, makes its calls elsewhere, and writes results and failures into it before it ends the job. Nobody else looks at the chunk until then.
 */
#ifndef TZ_CORE_CHUNK_H
#define TZ_CORE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>

#include <trenza/executor.h>

struct tz_job;

struct tz_chunk {
	const tz_task *task;
	size_t n; /* calls */
	size_t called; /* those that have ended: the first ones */
	int retries; /* of each call */
	bool stops; /* behind the first that fails, the others are not called */
	bool single; /* its job is of the task itself */
	size_t crashed; /* 1 + the call that its process died of and that was tried again; 0: none was */
	/* Whether the next call is to be made now; else the job ends well with fewer calls. NULL: it is. */
	bool (*goes_on)(struct tz_chunk *chunk);
	tz_handle job;
	tz_outcome end; /* of the job */
	size_t args_step;
	char *args,
		*results; /* of the i-th call at i * args_step, and i * task->result_size; in one piece of memory */
	tz_outcome *failed[]; /* of each call, NULL: it ended well */
};

/* What a chunk's job is of; its arguments are a pointer to the chunk. */
extern const tz_task tz_chunk_task;

/* Whether a call has failed behind which the others are not made. */
static inline bool tz_chunk_is_stopped(const struct tz_chunk *c)
{
	return c->stops && c->called && c->failed[c->called - 1];
}

/* The chunk that a job is, or NULL. */
struct tz_chunk *tz_chunk_of(const struct tz_job *job);

/* How many calls one job is to hold, 1 or more: `wanted`, 0: as many as are worth one, of `left` that are still to be made. `stay`: what their arguments point to stays there until
 * they have ended. */
size_t tz_chunk_size(tz_executor *executor, const tz_task *task, size_t wanted, size_t left,
		     bool stay);

/* An empty chunk with room for so many calls, or NULL without memory. It is freed when its job has ended. */
struct tz_chunk *tz_chunk_new(const tz_task *task, size_t room);
void tz_chunk_free(struct tz_chunk *chunk);

/* Where the arguments of the i-th call are to be. */
static inline void *tz_chunk_args(struct tz_chunk *chunk, size_t i)
{
	return chunk->args + i * chunk->args_step;
}

/* Submits the first n calls as one job, and later takes in how it ended, and releases it: as tz_result. */
void tz_chunk_submit(struct tz_chunk *chunk, size_t n, tz_executor *executor,
		     const tz_submit_options *options);
void tz_chunk_settle(struct tz_chunk *chunk);

/* Says how the next call ended. For who makes them. */
void tz_chunk_note(struct tz_chunk *chunk, const tz_outcome *outcome);

/* Gives out the result of the i-th call of a chunk that has been settled: 0, or -EREMOTEIO; how it ended is in tz_last(). */
int tz_chunk_take(struct tz_chunk *chunk, size_t i, void *out);

#endif
