/* A thread as a strand. */
#ifndef TZ_CORE_STRAND_THREAD_H
#define TZ_CORE_STRAND_THREAD_H

#include "core/strand.h"

extern const struct tz_strand_ops tz_thread_strand_ops;

#endif
