/* The "threads" executor. */
#ifndef TZ_EXEC_THREAD_H
#define TZ_EXEC_THREAD_H

#include <trenza/executor_impl.h>

extern const tz_executor_ops tz_thread_executor_ops;

#endif
