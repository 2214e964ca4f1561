/* What the kernel says of a process or a thread, by its number. */
#ifndef TRENZA_TESTS_PROC_H
#define TRENZA_TESTS_PROC_H

#include <stdio.h>
#include <string.h>

/* Its state, as ps(1) has it, and its parent. 0 if it is gone. */
static inline char proc_stat(int number, int *ret_parent)
{
	char path[64], line[512] = "", state = 0, *name_end;
	FILE *f;

	*ret_parent = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/stat", number);
	f = fopen(path, "re");
	if (!f)
		return 0;
	name_end = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
	(void)fclose(f);
	return name_end && sscanf(name_end + 1, " %c %d", &state, ret_parent) == 2 ? state : 0;
}

/* Of a thread that only computes and waits: once it is 'S', it is in its place in line. */
static inline char state_of(int number)
{
	int parent;

	return proc_stat(number, &parent);
}

static inline int parent_of(int number)
{
	int parent;

	(void)proc_stat(number, &parent);
	return parent;
}

#endif
