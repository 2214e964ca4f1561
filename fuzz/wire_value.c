/* Fuzzes the reading of values: whatever the bytes are, they are a value or nothing; what is accepted can be printed and copied, and comes back from its own
 * encoding as it was. --seeds=FOLDER writes bytes to begin with. */
#include <stdint.h>

#include <trenza/value.h>

#include "tasks.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	tz_value v, again;
	void *bytes;
	size_t n;

	if (tz_value_unpack(data, size, NULL, &v) < 0)
		return 0;
	tz_value copy = tz_value_copy(&v);
	char *text = tz_value_repr(&copy);

	MUST(text && tz_value_compare(&v, &copy) == 0);
	MUST(tz_value_pack(&copy, &bytes, &n) == 0 && n <= 2 * size);
	MUST(tz_value_unpack(bytes, n, NULL, &again) == 0 && tz_value_compare(&v, &again) == 0);
	free(text);
	free(bytes);
	tz_value_free(v);
	tz_value_free(copy);
	tz_value_free(again);
	return 0;
}

static void write_seeds(const char *folder)
{
	tz_value some[] = {
		tz_list(42, tz_none, "hello", -1, 300, 70000, -70000, 1LL << 40, 1.5),
		tz_dict("pi", 3.14, "primes", tz_list(2, 3, 5), 7, tz_dict(1.5, tz_true)),
		tz_list(tz_binary("\0\xff", 2), tz_empty_list, tz_empty_dict, tz_list(tz_list(tz_list(tz_false)))),
	};

	for (unsigned i = 0; i < sizeof some / sizeof some[0]; i++) {
		void *bytes;
		size_t size;

		MUST(tz_value_pack(&some[i], &bytes, &size) == 0);
		write_seed(folder, i, NULL, 0, bytes, size);
		free(bytes);
		tz_value_free(some[i]);
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
