/* The "threads" executor: the pool of src/sched behind the interface of executor_impl.h. */
#include "exec/thread/thread.h"

#include "sched/pool.h"

static int open_threads(tz_executor **ret, const tz_executor_options *options)
{
	struct tz_pool *pool;
	int r = tz_pool_open(&pool, &tz_thread_executor_ops, options);

	if (r == 0)
		*ret = &pool->executor;
	return r;
}

const tz_executor_ops tz_thread_executor_ops = {
	.kind = "threads",
	.summary = "a pool of threads with work stealing",
	.capabilities = TZ_CAN_SHARE_MEMORY | TZ_CAN_RUN_IN_PARALLEL | TZ_CAN_REORDER | TZ_CAN_CANCEL_PENDING | TZ_CAN_PRIORITY |
			TZ_CAN_FORK | TZ_CAN_INITIALIZE | TZ_CAN_LIMIT_QUEUE | TZ_CAN_SHRINK | TZ_CAN_STAND_IN,
	.open = open_threads,
	TZ_POOL_OPERATIONS,
};
