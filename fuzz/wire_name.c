/* Fuzzes the names of tasks: whatever the bytes are, they name a descriptor or nothing. --seeds=FOLDER writes names to begin with. */
#include <stdint.h>

#include "tasks.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Without a path: what lies in the file system is not the fuzzer's business. */
	unsigned char *bytes = copy_of(data, size);
	const tz_task *task;
	unsigned known = 0;

	if (size > offsetof(struct tz_task_name, path))
		bytes[offsetof(struct tz_task_name, path)] = 0;
	if (tz_task_resolve(bytes, size, &task) == 0) {
		for (unsigned i = 0; i < TASKS; i++)
			known += task == tasks[i];
		MUST(known == 1);
	}
	free(bytes);
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *folder = seeds_folder(*argc, *argv);

	for (unsigned i = 0; folder && i < TASKS; i++)
		write_seed(folder, i, plan_number(i)->name, tz_task_name_size(plan_number(i)->name), NULL, 0);
	if (folder)
		exit(0);
	return 0;
}
