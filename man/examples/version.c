#include <stdio.h>

#include <trenza/version.h>

int main(void)
{
	/* TZ_VERSION, tz_version { */
#if TZ_VERSION < TZ_VERSION_NUMBER(0, 1, 0)
#error "this program needs trenza 0.1.0"
#endif
	if (tz_version() < TZ_VERSION)
		fprintf(stderr, "compiled for trenza %d.%d.%d, which is newer than the one here\n",
			TZ_VERSION_MAJOR, TZ_VERSION_MINOR, TZ_VERSION_PATCH);
	/* } */
	return tz_version() == TZ_VERSION ? 0 : 1;
}
