/* What the twins of the programs with shared memory have in common. */
#ifndef SHARED_TEXT_H
#define SHARED_TEXT_H

#include <stdio.h>

#include <trenza.h>

enum { N = 10 };

static inline void print_list(const char *title, const int *list, int n)
{
	printf("%s[", title);
	for (int i = 0; i < n; i++)
		printf("%s%d", i ? ", " : "", list[i]);
	printf("]\n");
	(void)fflush(stdout);
}

#endif
