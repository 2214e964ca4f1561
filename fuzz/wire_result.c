/* Fuzzes the decoding of results, one and many: what is accepted can be read and freed, what is refused leaves nothing behind.
 *
 * The first byte says which task, the second how many results. --seeds=FOLDER writes bytes to begin with. */
#include <stdint.h>

#include "tasks.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const struct tz_plan *plan = plan_number(data[0]);
	size_t n = data[1] % 8;
	unsigned char *bytes = copy_of(data + 2, size - 2), *results = malloc(n * plan->result.size + 1);

	MUST(results);
	if (tz_results_decode(plan, bytes, size - 2, n, results, NULL) == 0) {
		/* They stand by themselves. */
		memset(bytes, 0xa5, size - 2);
		for (size_t i = 0; i < n; i++)
			read_all(&plan->result, results + i * plan->result.size);
		size_t again = tz_results_size(plan, results, n, NULL);
		unsigned char *encoded = malloc(again + 1);

		MUST(encoded && tz_results_encode(plan, results, n, encoded, again, NULL) == 0);
		if (plan->result.flat)
			MUST(memcmp(encoded, data + 2, again) == 0);
		free(encoded);
		tz_results_free(plan, results, n);
	}
	free(results);
	free(bytes);
	return 0;
}

static void seed(const char *folder, unsigned task, unsigned n, const void *results)
{
	const struct tz_plan *plan = plan_number(task);
	size_t size = tz_results_size(plan, results, n, NULL);
	unsigned char head[2] = { (unsigned char)task, (unsigned char)n }, *bytes = malloc(size);

	MUST(bytes && tz_results_encode(plan, results, n, bytes, size, NULL) == 0);
	write_seed(folder, task * 256 + n, head, sizeof head, bytes, size);
	free(bytes);
}

static void write_seeds(const char *folder)
{
	char text[] = "text";
	const char *texts[3] = { "one", NULL, "" };
	char *others[3] = { text, NULL, text };
	tz_bytes some[3] = { { text, 3 }, { NULL, 0 }, { text, 0 } };
	double numbers[3] = { 1, 2, 3 };
	struct place places[3] = { a_place(0), a_place(1), a_place(20) };
	tz_value values[3] = { a_value(0), a_value(1), a_value(2) };

	for (unsigned n = 1; n <= 3; n++) {
		seed(folder, 0, n, numbers);
		seed(folder, 1, n, others);
		seed(folder, 2, n, texts);
		seed(folder, 3, n, some);
		seed(folder, 4, n, places);
		seed(folder, 5, n, values);
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
