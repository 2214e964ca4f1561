/* What all fuzzers need: a condition that must hold, and files to begin with. */
#ifndef TRENZA_FUZZ_SEEDS_H
#define TRENZA_FUZZ_SEEDS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition) \
	do { \
		if (!(condition)) \
			abort(); \
	} while (0)

/* Writes bytes as a file of a folder with seeds. */
static inline void write_seed(const char *folder, unsigned number, const void *head, size_t head_size, const void *bytes, size_t size)
{
	char path[4096];
	FILE *file;

	MUST(snprintf(path, sizeof path, "%s/%u", folder, number) < (int)sizeof path);
	MUST((file = fopen(path, "wb")) != NULL);
	MUST(fwrite(head, 1, head_size, file) == head_size && fwrite(bytes, 1, size, file) == size);
	MUST(fclose(file) == 0);
}

/* What follows "--seeds=" in the command line, or NULL. */
static inline const char *seeds_folder(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--seeds=", 8) == 0)
			return argv[i] + 8;
	return NULL;
}

#endif
