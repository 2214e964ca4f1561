#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <trenza.h>

/* tz_list, tz_dict, tz_none, tz_true, tz_false, tz_empty_list, tz_empty_dict, TZ_VALUE, tz_value_print, tz_value_free { */
static int print_some(void)
{
	tz_value v = tz_list(42, tz_none, "hello", tz_true, tz_dict("pi", 3.14, "primes", tz_list(2, 3, 5)), tz_empty_list);
	int r = tz_value_print(&v, stdout); /* [42, None, 'hello', True, {'pi': 3.14, 'primes': [2, 3, 5]}, []] */

	tz_value_free(v);
	return r;
}
/* } */

/* tz_value_append, tz_list_of, tz_string, tz_string_of, tz_binary, tz_int, tz_uint, tz_double, tz_bool, tz_value_error { */
static tz_value words(const char *text)
{
	tz_value list = tz_empty_list;

	while (*text) {
		size_t length = strcspn(text, " ");
		int r = tz_value_append(&list, tz_string_of(text, length)); /* a failed string is refused here */

		if (r < 0) {
			tz_value_free(list);
			return tz_none;
		}
		text += length + strspn(text + length, " ");
	}
	return list;
}
/* } */

/* tz_value_set, tz_value_get, tz_value_find, tz_value_to_int, tz_value_to_uint, tz_value_to_double, tz_value_to_bool, tz_dict_of { */
static int count(tz_value *counts, const tz_value *word)
{
	int64_t n = 0;

	tz_value_to_int(tz_value_find(counts, word), &n); /* a word that is not there yet stays 0 */
	return tz_value_set(counts, tz_value_copy(word), tz_int(n + 1));
}
/* } */

/* tz_value_at, tz_value_key_at, tz_value_size, tz_value_text, tz_value_kind_of { */
static void print_counts(const tz_value *counts)
{
	for (size_t i = 0; i < tz_value_size(counts); i++) {
		int64_t n;

		if (tz_value_to_int(tz_value_at(counts, i), &n) == 0)
			printf("%s %" PRId64 "\n", tz_value_text(tz_value_key_at(counts, i)), n);
	}
}
/* } */

/* tz_value_pack, tz_value_unpack, tz_value_copy, tz_value_compare, tz_value_repr, tz_value_remove { */
static int there_and_back(const tz_value *v)
{
	void *bytes;
	size_t size;
	tz_value again;
	int r = tz_value_pack(v, &bytes, &size);

	if (r < 0)
		return r;
	r = tz_value_unpack(bytes, size, NULL, &again);
	free(bytes);
	if (r < 0)
		return r;
	r = tz_value_compare(v, &again) == 0 ? 0 : -EIO;
	tz_value_free(again);
	return r;
}
/* } */

/* tz_pointer, tz_descriptor, tz_value_pointer, tz_value_fd { */
/* To a process that has neither the memory nor the descriptor yet. */
static int hand_over(tz_connection *to, int *counter)
{
	return tz_send(to, tz_list(tz_pointer(counter), tz_descriptor(STDOUT_FILENO)));
}

static int take_over(tz_connection *from)
{
	tz_value message;
	int *counter, r = tz_recv(from, &message);

	if (r < 0)
		return r;
	counter = tz_value_pointer(tz_value_at(&message, 0));
	if (counter) /* both are there as long as the message is */
		*counter += 1;
	r = write(tz_value_fd(tz_value_at(&message, 1)), "counted\n", 8) == 8 ? 0 : -EIO;
	tz_value_free(message);
	return r;
}
/* } */

static int through_a_pipe(void)
{
	tz_connection *here, *there;
	int *counter = TZ_SHARED_NEW(int), r = counter ? tz_pipe(&here, &there, TZ_DUPLEX) : -ENOMEM;

	if (r == 0) {
		r = hand_over(here, counter);
		if (r == 0)
			r = take_over(there);
		if (r == 0)
			printf("%d\n", *counter);
		tz_connection_close(here);
		tz_connection_close(there);
	}
	tz_shared_free(counter);
	return r;
}

int main(void)
{
	tz_value list = words("to be or not to be"), counts = tz_empty_dict;
	int r = print_some();

	for (size_t i = 0; r == 0 && i < tz_value_size(&list); i++)
		r = count(&counts, tz_value_at(&list, i));
	print_counts(&counts);
	if (r == 0)
		r = there_and_back(&counts);
	(void)fflush(stdout);
	if (r == 0)
		r = through_a_pipe();
	tz_value_free(list);
	tz_value_free(counts);
	return r < 0;
}
/* prints:
[42, None, 'hello', True, {'pi': 3.14, 'primes': [2, 3, 5]}, []]
to 2
be 2
or 1
not 1
counted
1
*/
