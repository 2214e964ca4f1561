/* The range: a map or a for-each under way. Lies in the frame of its caller. */
#ifndef TZ_CORE_RANGE_H
#define TZ_CORE_RANGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <trenza/executor_impl.h>

#include "os/mutex.h"

struct tz_failure;
struct tz_frame;
struct tz_range_run;
struct tz_strand;

struct tz_range {
	/* What is called for a chunk. */
	void (*body)(struct tz_range *range, size_t lo, size_t hi, struct tz_cursor *cursor);
	const tz_task *task; /* of a map */
	void *out;
	const void *const *in; /* an array an argument */
	const void *calls; /* or an array of structs of arguments */
	void (*user_body)(size_t lo, size_t hi, void *arg); /* of a for-each */
	void *user_arg;
	tz_outcome *outcomes; /* of each element from 0, or NULL */
	size_t begin, end;
	size_t fixed_chunk; /* or 0 */
	int workers; /* the most that step it */
	bool accepted; /* it is a job of the executor: not refused any more */
	tz_map_policy policy;
	bool kill; /* where workers are processes: an element that ignores a cancel ends its own */
	struct tz_strand *strand; /* of the caller */
	struct tz_scope *scope; /* of the caller: its cancel and deadline are the range's */
	struct tz_bindings *bindings; /* of the caller */
	struct tz_frame *caller; /* the job that maps, or NULL */
	struct tz_executor *executor;
	_Alignas(64) _Atomic size_t next; /* the first index that nobody has taken */
	_Atomic size_t stop; /* no chunk at or behind it is begun; changes under the lock */
	_Atomic uint64_t ticks_per_4096; /* what 4096 elements take, as measured last; 0: not known yet */
	_Alignas(64) struct tz_mutex lock; /* guards the fields below */
	size_t failed_at; /* the lowest element that failed; SIZE_MAX: none */
	int failed_worker;
	tz_status failed_status; /* 0: TZ_FAILED */
	struct tz_failure *failure;
	int failed_code;
	struct tz_range_run *runs; /* pieces that run on other strands than the caller's */
	int interrupted; /* -ECANCELED or -ETIMEDOUT: the scope ended it */
};

/* A map as it was asked for. */
struct tz_map_call {
	tz_executor *executor;
	const tz_task *task;
	size_t n;
	void *out;
	const void *in[TZ_ARGS_MAX];
	const void *calls; /* in place of `in`, if `bound` */
	bool bound;
	tz_map_options options;
};

/* Runs a map, on an executor whose jobs share our memory, from the job of that executor which the map is. As tz_map_raw. */
int tz_map_run(const struct tz_map_call *call);

/* Whether there is something left to take. */
static inline bool tz_range_left(struct tz_range *range)
{
	return atomic_load_explicit(&range->next, memory_order_relaxed) <
	       atomic_load_explicit(&range->stop, memory_order_relaxed);
}

/* The caller's scope has ended the wait: takes no more, and wakes who waits inside a piece. */
void tz_range_interrupt(struct tz_range *range, int why);

#endif
