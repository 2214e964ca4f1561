/* Decimal numbers in texts that people write: specs and the environment. */
#ifndef TZ_CORE_DECIMAL_H
#define TZ_CORE_DECIMAL_H

#include <stdbool.h>

/* Whether the text is digits with at most one point among them, and nothing else; *ret is untouched if not. Not strtod, which reads as
 * the program's locale writes. Very long ones may come out as infinity or NaN. */
bool tz_decimal(const char *text, double *ret);

#endif
