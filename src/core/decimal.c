/* Decimal numbers. See decimal.h. */
#include "core/decimal.h"

bool tz_decimal(const char *text, double *ret)
{
	double n = 0, place = 1;
	bool digits = false, point = false;

	for (; *text; text++) {
		if (*text == '.' && !point) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9')
			return false;
		digits = true;
		n = n * 10 + (*text - '0');
		place *= point ? 10 : 1;
	}
	if (!digits)
		return false;
	*ret = n / place;
	return true;
}
