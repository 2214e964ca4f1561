/* Which descriptors this process has open, and how many. */
#ifndef TRENZA_TESTS_DESCRIPTORS_H
#define TRENZA_TESTS_DESCRIPTORS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Less the one that looks. */
static inline int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = -1;

	if (!dir)
		abort();
	for (struct dirent *e; (e = readdir(dir));)
		count += e->d_name[0] != '.';
	(void)closedir(dir);
	return count;
}

/* To the log, of a test that fails because of them. */
static inline void tell_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	char to[256];

	if (!dir)
		abort();
	for (struct dirent *e; (e = readdir(dir));) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, to, sizeof to);

		if (n > 0)
			printf("# descriptor %s: %.*s\n", e->d_name, (int)n, to);
	}
	(void)closedir(dir);
}

#endif
