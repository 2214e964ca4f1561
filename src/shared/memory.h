/* Shared memory, as the room sees it. */
#ifndef TZ_SHARED_MEMORY_H
#define TZ_SHARED_MEMORY_H

#include <trenza/shared_memory.h>

#include "arena/segment.h"

/* What the options say; NULL are the plain ones. 0 or -EINVAL. */
int tz_shared_form(const tz_shared_options *options, struct tz_segment_form *ret);

#endif
