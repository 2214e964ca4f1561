/* Waits that are not interrupted: for who has to see a job's end before going on. */
#ifndef TZ_CORE_APPLY_H
#define TZ_CORE_APPLY_H

#include <trenza/future.h>

/* As tz_result_raw, deaf to the scope: returns 0, -EREMOTEIO or -ESTALE. */
int tz_result_deaf(tz_handle future, void *out, size_t size);

/* As tz_wait_raw without a deadline, deaf to the scope. */
void tz_wait_deaf(tz_handle future);

#endif
