/* A copy of a process's options, for one that is started later. */
#ifndef TZ_PROCESS_OPTIONS_H
#define TZ_PROCESS_OPTIONS_H

#include <trenza/process.h>

/* 0 or -ENOMEM. All that the copy points to lies in one piece of memory, which is its `reserved` 0: free it by tz_process_options_done. */
int tz_process_options_copy(tz_process_options *to, const tz_process_options *from);
void tz_process_options_done(tz_process_options *copy);

#endif
