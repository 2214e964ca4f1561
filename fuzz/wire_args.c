/* Fuzzes the decoding of arguments: of one call, and of blocks. What is accepted can be read without harm, and is the one encoding of
 * what it means.
 *
 * The first byte says which task, the second how many calls; 0: one, not a block. --seeds=FOLDER writes bytes to begin with. */
#include <stdint.h>

#include "tasks.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_call(const struct tz_plan *plan, const uint8_t *data, size_t size)
{
	void *bytes = copy_of(data, size);
	const void *args;

	if (tz_args_decode(plan, bytes, size, &args, NULL) == 0) {
		size_t again = tz_args_size(plan, args, NULL);
		unsigned char *encoded = malloc(again);

		read_all(&plan->args, args);
		MUST(encoded && tz_args_encode(plan, args, encoded, again, NULL) == 0);
		if (plan->args.flat)
			MUST(memcmp(encoded, data, again) == 0);
		/* Where the contents are; but a value can be written in several ways. */
		for (uint32_t k = 0; k < plan->args.nspots && plan->args.spots[k].kind != TZ_SPOT_VALUE; k++)
			if (plan->args.spots[k].kind != TZ_SPOT_BOOL)
				MUST(memcmp(encoded + plan->args.spots[k].offset, data + plan->args.spots[k].offset, 8) == 0);
		free(encoded);
		tz_args_free(plan, args);
	}
	free(bytes);
}

static void block(const struct tz_plan *plan, const uint8_t *data, size_t size, size_t n)
{
	void *bytes = copy_of(data, size);
	const void *in[TZ_ARGS_MAX];

	if (tz_block_decode(plan, bytes, size, n, in, NULL) == 0) {
		for (uint32_t k = 0; k < plan->task->nargs; k++)
			for (size_t i = 0; i < n; i++)
				read_all(&plan->arg[k], (const unsigned char *)in[k] + i * plan->arg[k].size);
		size_t again = tz_block_size(plan, in, 0, n, NULL);
		unsigned char *encoded = malloc(again);

		MUST(encoded && tz_block_encode(plan, in, 0, n, encoded, again, NULL) == 0);
		free(encoded);
		tz_block_free(plan, in, n);
	}
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	if (data[1] == 0)
		one_call(plan_number(data[0]), data + 2, size - 2);
	else
		block(plan_number(data[0]), data + 2, size - 2, data[1]);
	return 0;
}

static void seed(const char *folder, unsigned task, unsigned n, const void *const *in, const void *args)
{
	const struct tz_plan *plan = plan_number(task);
	size_t size = n ? tz_block_size(plan, in, 0, n, NULL) : tz_args_size(plan, args, NULL);
	unsigned char head[2] = { (unsigned char)task, (unsigned char)n }, *bytes = malloc(size);

	MUST(bytes);
	if (n)
		MUST(tz_block_encode(plan, in, 0, n, bytes, size, NULL) == 0);
	else
		MUST(tz_args_encode(plan, args, bytes, size, NULL) == 0);
	write_seed(folder, task * 256 + n, head, sizeof head, bytes, size);
	free(bytes);
}

static void write_seeds(const char *folder)
{
	char text[] = "text";
	const char *texts[3] = { "one", NULL, "" };
	char *others[3] = { text, text, NULL }, letters[3] = { 1, 2, 3 };
	bool bools[3] = { true, false, true };
	tz_bytes some[3] = { { text, 3 }, { NULL, 0 }, { text, 0 } };
	double numbers[3] = { 1, 2, 3 };
	struct place places[3] = { a_place(0), a_place(1), a_place(20) };
	struct point points[3] = { { 1, 2 }, { 3, 4 }, { 5, 6 } };
	tz_value values[3] = { a_value(0), a_value(1), a_value(2) };
	int ints[3] = { 0, 1, 2 };

	for (unsigned n = 0; n <= 3; n++) {
		seed(folder, 0, n, (const void *[]){ numbers, numbers }, &(area_args){ 1, 2 });
		seed(folder, 1, n, (const void *[]){ texts, others, letters }, &(join_args){ "one", text, 1 });
		seed(folder, 2, n, (const void *[]){ bools, texts }, &(word_args){ true, "one" });
		seed(folder, 3, n, (const void *[]){ bools, some, some }, &(either_args){ true, some[0], some[1] });
		seed(folder, 4, n, (const void *[]){ places, points }, &(move_args){ places[1], points[0] });
		seed(folder, 5, n, (const void *[]){ values, ints }, &(change_args){ values[0], 1 });
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *folder = seeds_folder(*argc, *argv);

	if (folder) {
		write_seeds(folder);
		exit(0);
	}
	return 0;
}
