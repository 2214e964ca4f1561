/* A program outside the tree: the installed headers and library are all that it has. */
#include <stdio.h>
#include <trenza/version.h>

int main(void)
{
	if (tz_version() != TZ_VERSION)
		return 1;
	printf("%d.%d.%d\n", TZ_VERSION_MAJOR, TZ_VERSION_MINOR, TZ_VERSION_PATCH);
	return 0;
}
