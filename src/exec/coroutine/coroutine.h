/* The executors "coroutines" and "sim". */
#ifndef TZ_EXEC_COROUTINE_H
#define TZ_EXEC_COROUTINE_H

#include <trenza/executor_impl.h>

extern const tz_executor_ops tz_coroutine_executor_ops, tz_sim_executor_ops;

#endif
