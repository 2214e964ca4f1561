/* The executor "processes". */
#ifndef TZ_EXEC_PROCESS_PROCESS_H
#define TZ_EXEC_PROCESS_PROCESS_H

#include <trenza/executor_impl.h>

extern const tz_executor_ops tz_process_executor_ops;

#endif
