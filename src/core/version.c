/* The version of the running library. */
#include <trenza/version.h>

int tz_version(void)
{
	return TZ_VERSION;
}
