/* Tasks in C++ that throw: 1 a std::exception, 2 something else; other numbers they return. */
#ifndef CONFORMANCE_THROWER_H
#define CONFORMANCE_THROWER_H

#include <trenza.h>

TZ_BEGIN_DECLS

tz_handle submit_thrower(tz_executor *ex, int what);
tz_handle submit_forking_thrower(tz_executor *ex, int what);
int map_throwers(tz_executor *ex, int n, const int *what, int *ret);

TZ_END_DECLS

#endif
