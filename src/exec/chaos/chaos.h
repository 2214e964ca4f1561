/* The "chaos" executor. */
#ifndef TZ_EXEC_CHAOS_H
#define TZ_EXEC_CHAOS_H

#include <trenza/executor_impl.h>

extern const tz_executor_ops tz_chaos_executor_ops;

#endif
