/* The "inline" executor. */
#ifndef TZ_EXEC_INLINE_H
#define TZ_EXEC_INLINE_H

#include <trenza/executor_impl.h>

extern const tz_executor_ops tz_inline_executor_ops;

#endif
