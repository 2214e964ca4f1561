/* Futures of what could not be submitted. */
#ifndef TZ_CORE_SUBMIT_H
#define TZ_CORE_SUBMIT_H

#include <trenza/executor.h>

/* A future for a submit that cannot be made: it has failed already. */
tz_handle tz_submit_failed(const tz_submit_options *options, int code, const char *message);

#endif
