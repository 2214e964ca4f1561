/* Fuzzes the reading of values: whatever the bytes are, they are a value or nothing; what is accepted can be printed and copied, and comes back from its own
 * encoding as it was. The same once more with memory and a descriptor that came along, which values may refer to. --seeds=FOLDER writes bytes to begin with. */
#include <stdint.h>
#include <unistd.h>

#include <trenza/shared_memory.h>
#include <trenza/value.h>

#include "shared/giver.h"
#include "tasks.h"
#include "wire/value.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const uint8_t *data, size_t size)
{
	tz_value v, again;
	void *bytes;
	size_t n;

	if (tz_value_unpack(data, size, NULL, &v) < 0)
		return;
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
}

/* Memory of a page, and a descriptor. */
static void bring(struct tz_segment *ret[2])
{
	static void *memory;

	if (!memory)
		memory = tz_shared_alloc(1);
	ret[0] = tz_segment_find_shared(memory);
	MUST(ret[0] && tz_segment_of_fd(STDERR_FILENO, &ret[1]) == 0);
}

static void let_go(struct tz_segment *const came[2])
{
	tz_segment_unref(came[0]);
	tz_segment_unref(came[1]);
}

/* A value that is read has handles of its own: they stay when what came has gone. */
static void look_at_handles(const uint8_t *data, size_t size)
{
	struct tz_segment *came[2];
	struct tz_taker taker;
	struct tz_giver giver;
	tz_value v, again;
	void *bytes;
	size_t n;
	int r;

	bring(came);
	tz_taker_init(&taker, came, 2, TZ_TAKE_RESULT);
	r = tz_value_unpack_with(data, size, NULL, &v, &taker.carrier);
	let_go(came);
	if (r < 0)
		return;
	tz_value copy = tz_value_copy(&v);

	MUST(tz_value_compare(&v, &copy) == 0);
	tz_value_free(v);
	tz_giver_init(&giver, TZ_GIVER_MAX, false);
	MUST(tz_value_pack_with(&copy, &bytes, &n, &giver.carrier) == 0 && n <= 2 * size && giver.n <= 2);
	tz_taker_init(&taker, giver.refs, giver.n, TZ_TAKE_RESULT);
	MUST(tz_value_unpack_with(bytes, n, NULL, &again, &taker.carrier) == 0);
	tz_giver_done(&giver);
	tz_value_free(again);
	tz_value_free(copy);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	look_at(data, size);
	look_at_handles(data, size);
	return 0;
}

static void write_seeds(const char *folder)
{
	char *memory = tz_shared_alloc(1);
	tz_value some[] = {
		tz_list(42, tz_none, "hello", -1, 300, 70000, -70000, 1LL << 40, 1.5),
		tz_dict("pi", 3.14, "primes", tz_list(2, 3, 5), 7, tz_dict(1.5, tz_true)),
		tz_list(tz_binary("\0\xff", 2), tz_empty_list, tz_empty_dict, tz_list(tz_list(tz_list(tz_false)))),
		tz_list(tz_pointer(memory), tz_dict("beside", tz_pointer(memory + 1)), tz_descriptor(STDERR_FILENO)),
	};

	for (unsigned i = 0; i < sizeof some / sizeof some[0]; i++) {
		struct tz_giver giver;
		void *bytes;
		size_t size;

		tz_giver_init(&giver, TZ_GIVER_MAX, false);
		MUST(tz_value_pack_with(&some[i], &bytes, &size, &giver.carrier) == 0);
		tz_giver_done(&giver);
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
