/* Values: making, reading, changing, comparing, as text, as MessagePack, and what others may send. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <trenza/value.h>

#include "check.h"

static void assert_repr(tz_value v, const char *expected)
{
	char *text = tz_value_repr(&v);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
	tz_value_free(v);
}

static void as_python_writes_them(void **state)
{
	(void)state;
	assert_repr(tz_list(42, tz_none, "hello"), "[42, None, 'hello']");
	assert_repr(tz_list("bye"), "['bye']");
	assert_repr(tz_empty_list, "[]");
	assert_repr(tz_empty_dict, "{}");
	assert_repr(tz_list_of(NULL, 0), "[]");
	assert_repr(tz_list(tz_true, tz_false, -1, INT64_MIN, UINT64_MAX), "[True, False, -1, -9223372036854775808, 18446744073709551615]");
	assert_repr(tz_dict("pi", 3.14, "primes", tz_list(2, 3, 5), 7, tz_none), "{'pi': 3.14, 'primes': [2, 3, 5], 7: None}");
	assert_repr(tz_list(tz_list(tz_list(tz_list(1), 2), 3), 4), "[[[[1], 2], 3], 4]");
	assert_repr(tz_list(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24),
		    "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]");
	assert_repr(tz_dict(1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12),
		    "{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 10: 10, 11: 11, 12: 12}");
}

static void every_type_becomes_a_value(void **state)
{
	const char *null = NULL;
	char text[] = "x";
	enum { FIVE = 5 } five = FIVE;

	(void)state;
	assert_repr(tz_list((char)1, (signed char)-1, (unsigned char)255, (short)-2, (unsigned short)2, 3, 3U, -4L, 4UL, -5LL, 5ULL),
		    "[1, -1, 255, -2, 2, 3, 3, -4, 4, -5, 5]");
	assert_repr(tz_list((_Bool)1, 1.5F, 2.5, 3.5L, five, text, null, ((tz_bytes){ "\0\xff", 2 })), "[True, 1.5, 2.5, 3.5, 5, 'x', None, b'\\x00\\xff']");
}

static void doubles_have_the_fewest_digits(void **state)
{
	static const struct {
		double d;
		const char *text;
	} some[] = {
		{ 0, "0.0" }, { -0.0, "-0.0" }, { 1, "1.0" }, { -1.5, "-1.5" }, { 0.1, "0.1" }, { 1.0 / 3, "0.3333333333333333" }, { 100, "100.0" },
		{ 1e15, "1000000000000000.0" }, { 1e16, "1e+16" }, { 123456789012345678.0, "1.2345678901234568e+17" }, { 1e22, "1e+22" }, { 1e100, "1e+100" },
		{ 0.0001, "0.0001" }, { 0.00012345, "0.00012345" }, { 0.00001, "1e-05" }, { 5e-324, "5e-324" }, { DBL_MAX, "1.7976931348623157e+308" },
		{ 12345.678, "12345.678" }, { HUGE_VAL, "inf" }, { -HUGE_VAL, "-inf" }, { (double)NAN, "nan" }, { 2.5e-7, "2.5e-07" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
		assert_repr(tz_double(some[i].d), some[i].text);
}

static void strings_are_quoted(void **state)
{
	(void)state;
	assert_repr(tz_string("it's"), "\"it's\"");
	assert_repr(tz_string("it's \"so\""), "'it\\'s \"so\"'");
	assert_repr(tz_string("a\\b\t\n\r\x01\x7f"), "'a\\\\b\\t\\n\\r\\x01\\x7f'");
	assert_repr(tz_string("\xc3\xb1 \xe2\x82\xac \xf0\x9f\x98\x80"), "'\xc3\xb1 \xe2\x82\xac \xf0\x9f\x98\x80'");
	/* Bytes that are no character, a character in more bytes than it needs, half a pair, and one beyond the last. */
	assert_repr(tz_string("\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82"),
		    "'\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80\\xe2\\x82'");
	assert_repr(tz_string_of("a\0b", 3), "'a\\x00b'");
	assert_repr(tz_binary("\xc3\xb1'", 3), "b\"\\xc3\\xb1'\"");
	assert_repr(tz_binary(NULL, 0), "b''");
}

static void reading(void **state)
{
	tz_value v = tz_dict("n", -7, "u", UINT64_MAX, "d", 2.0, "half", 0.5, "b", tz_true, "s", "text", "l", tz_list(1, "two"));
	const tz_value *l = tz_value_get(&v, "l");
	int64_t i = 0;
	uint64_t u = 0;
	double d = 0;
	bool b = false;

	(void)state;
	assert_int_equal(tz_value_size(&v), 7);
	assert_int_equal(tz_value_to_int(tz_value_get(&v, "n"), &i), 0);
	assert_int_equal(i, -7);
	assert_int_equal(tz_value_to_uint(tz_value_get(&v, "n"), &u), -ERANGE);
	assert_int_equal(tz_value_to_double(tz_value_get(&v, "n"), &d), 0);
	assert_true(d == -7);
	assert_int_equal(tz_value_to_uint(tz_value_get(&v, "u"), &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(tz_value_to_int(tz_value_get(&v, "u"), &i), -ERANGE);
	assert_int_equal(tz_value_to_double(tz_value_get(&v, "u"), &d), -ERANGE);
	assert_int_equal(tz_value_to_int(tz_value_get(&v, "d"), &i), 0);
	assert_int_equal(i, 2);
	assert_int_equal(tz_value_to_int(tz_value_get(&v, "half"), &i), -ERANGE);
	assert_int_equal(tz_value_to_bool(tz_value_get(&v, "b"), &b), 0);
	assert_true(b);
	assert_int_equal(tz_value_to_int(tz_value_get(&v, "b"), &i), -EINVAL);
	assert_int_equal(tz_value_to_bool(tz_value_get(&v, "n"), &b), -EINVAL);
	assert_string_equal(tz_value_text(tz_value_get(&v, "s")), "text");
	assert_null(tz_value_text(l));
	assert_int_equal(tz_value_size(l), 2);
	assert_string_equal(tz_value_text(tz_value_at(l, 1)), "two");
	assert_null(tz_value_at(l, 2));
	assert_null(tz_value_key_at(l, 0));
	assert_string_equal(tz_value_text(tz_value_key_at(&v, 6)), "l");
	assert_ptr_equal(tz_value_at(&v, 6), l);
	/* What is not there is NULL, and NULL may be read. */
	assert_null(tz_value_get(&v, "missing"));
	assert_null(tz_value_get(l, "n"));
	assert_int_equal(tz_value_to_int(tz_value_get(&v, "missing"), &i), -EINVAL);
	assert_int_equal(tz_value_kind_of(NULL), TZ_VALUE_NONE);
	assert_int_equal(tz_value_size(NULL), 0);
	assert_null(tz_value_at(NULL, 0));
	tz_value_free(v);
}

static void numbers_compare_by_what_they_are_worth(void **state)
{
	/* In order; those on one line are equal. */
	const tz_value some[][3] = {
		{ tz_double((double)NAN), tz_double(-(double)NAN), tz_double((double)NAN) },
		{ tz_double(-HUGE_VAL), tz_double(-HUGE_VAL), tz_double(-HUGE_VAL) },
		{ tz_int(INT64_MIN), tz_double(-9223372036854775808.0), tz_int(INT64_MIN) },
		{ tz_int(INT64_MIN + 1), tz_int(INT64_MIN + 1), tz_int(INT64_MIN + 1) },
		{ tz_double(-1.5), tz_double(-1.5), tz_double(-1.5) },
		{ tz_int(-1), tz_double(-1), tz_int(-1) },
		{ tz_int(0), tz_double(-0.0), tz_uint(0) },
		{ tz_double(DBL_MIN), tz_double(DBL_MIN), tz_double(DBL_MIN) },
		{ tz_int(1LL << 53), tz_double(9007199254740992.0), tz_uint(1ULL << 53) },
		{ tz_int((1LL << 53) + 1), tz_uint((1ULL << 53) + 1), tz_int((1LL << 53) + 1) },
		{ tz_int(INT64_MAX), tz_uint(INT64_MAX), tz_int(INT64_MAX) },
		{ tz_uint(1ULL << 63), tz_double(9223372036854775808.0), tz_uint(1ULL << 63) },
		{ tz_uint(UINT64_MAX), tz_uint(UINT64_MAX), tz_uint(UINT64_MAX) },
		{ tz_double(18446744073709551616.0), tz_double(18446744073709551616.0), tz_double(18446744073709551616.0) },
		{ tz_double(HUGE_VAL), tz_double(HUGE_VAL), tz_double(HUGE_VAL) },
	};
	const int n = (int)(sizeof some / sizeof some[0]);

	(void)state;
	for (int i = 0; i < 3 * n; i++)
		for (int j = 0; j < 3 * n; j++) {
			int c = tz_value_compare(&some[i / 3][i % 3], &some[j / 3][j % 3]);

			assert_int_equal((c > 0) - (c < 0), (i / 3 > j / 3) - (i / 3 < j / 3));
		}
}

static void kinds_and_contents_have_an_order(void **state)
{
	tz_value some[] = {
		tz_none, tz_false, tz_true, tz_int(5), tz_string(""), tz_string("a"), tz_string_of("a\0", 2), tz_string("b"), tz_binary("", 0), tz_binary("a", 1),
		tz_empty_list, tz_list(1), tz_list(1, 1), tz_list(2), tz_empty_dict, tz_dict("a", 1), tz_dict("a", 2), tz_dict("b", 0), tz_dict("a", 1, "b", 1),
	};
	const int n = (int)(sizeof some / sizeof some[0]);

	(void)state;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			int c = tz_value_compare(&some[i], &some[j]);

			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
		}
	assert_int_equal(tz_value_compare(NULL, &some[0]), 0);
	for (int i = 0; i < n; i++)
		tz_value_free(some[i]);
	tz_value ab = tz_dict("a", 1, "b", 2), ba = tz_dict("b", 2, "a", 1);

	assert_int_equal(tz_value_compare(&ab, &ba), 0);
	tz_value_free(ab);
	tz_value_free(ba);
}

static void lists_grow_and_shrink(void **state)
{
	tz_value l = tz_empty_list, taken;
	int64_t i;

	(void)state;
	for (int k = 0; k < 1000; k++)
		assert_int_equal(tz_value_append(&l, k % 2 ? tz_int(k) : tz_string("even")), 0);
	assert_int_equal(tz_value_size(&l), 1000);
	assert_int_equal(tz_value_remove(&l, 0, NULL), 0);
	assert_int_equal(tz_value_remove(&l, 998, &taken), 0);
	assert_int_equal(tz_value_to_int(&taken, &i), 0);
	assert_int_equal(i, 999);
	assert_int_equal(tz_value_remove(&l, 998, NULL), -ENOENT);
	assert_int_equal(tz_value_to_int(tz_value_at(&l, 0), &i), 0);
	assert_int_equal(i, 1);
	tz_value number = tz_int(1);

	assert_int_equal(tz_value_append(&number, tz_string("freed")), -EINVAL);
	assert_int_equal(tz_value_remove(&number, 0, NULL), -EINVAL);
	tz_value_free(l);
}

static void dictionaries_find_what_was_put_in(void **state)
{
	enum { N = 2000 };
	tz_value d = tz_empty_dict;
	int64_t i;

	(void)state;
	for (int k = 0; k < N; k++) /* each number below N once, in a mixed order */
		assert_int_equal(tz_value_set(&d, tz_int(k * 7919 % N), tz_int(k)), 0);
	assert_int_equal(tz_value_size(&d), N);
	for (int k = 0; k < N; k++) {
		tz_value key = tz_double(k * 7919 % N); /* the same number */

		assert_int_equal(tz_value_to_int(tz_value_find(&d, &key), &i), 0);
		assert_int_equal(i, k);
		assert_int_equal(tz_value_to_int(tz_value_key_at(&d, (size_t)k), &i), 0);
		assert_int_equal(i, k * 7919 % N);
	}
	assert_int_equal(tz_value_set(&d, tz_string("s"), tz_list(1)), 0);
	assert_int_equal(tz_value_set(&d, tz_string("s"), tz_list(2)), 0);
	assert_int_equal(tz_value_size(&d), N + 1);
	assert_int_equal(tz_value_to_int(tz_value_at(tz_value_get(&d, "s"), 0), &i), 0);
	assert_int_equal(i, 2);
	for (int k = 0; k < N; k += 2)
		assert_int_equal(tz_value_remove(&d, (size_t)(k / 2), NULL), 0);
	for (int k = 0; k < N; k++) {
		tz_value key = tz_int(k * 7919 % N);

		assert_int_equal(tz_value_find(&d, &key) != NULL, k % 2);
	}
	assert_int_equal(tz_value_set(&d, tz_list(1), tz_string("freed")), -EINVAL);
	assert_int_equal(tz_value_set(&d, tz_empty_dict, tz_none), -EINVAL);
	tz_value_free(d);
}

static void a_copy_is_another_one(void **state)
{
	tz_value v = tz_dict("l", tz_list(1, "two", tz_binary("\0", 1)), 3.5, tz_none, "e", tz_empty_list, "f", tz_empty_dict);
	tz_value copy = tz_value_copy(&v), none = tz_value_copy(NULL);

	(void)state;
	assert_int_equal(tz_value_compare(&v, &copy), 0);
	assert_ptr_not_equal(tz_value_get(&v, "l"), tz_value_get(&copy, "l"));
	tz_value_free(v);
	assert_int_equal(tz_value_set(&copy, tz_string("new"), tz_int(1)), 0);
	assert_repr(copy, "{'l': [1, 'two', b'\\x00'], 3.5: None, 'e': [], 'f': {}, 'new': 1}");
	assert_int_equal(tz_value_kind_of(&none), TZ_VALUE_NONE);
}

static void a_failed_value_spoils_what_it_is_put_into(void **state)
{
	tz_value twice = tz_list(1, tz_dict("a", 1, "b", 2, "a", 3), "freed");
	tz_value key = tz_list(tz_dict(tz_list(1), 1));
	tz_value l = tz_empty_list, copy = tz_value_copy(&key);
	void *bytes;
	size_t size;

	(void)state;
	assert_int_equal(tz_value_error(&twice), -EEXIST);
	assert_int_equal(tz_value_error(&key), -EINVAL);
	assert_int_equal(tz_value_error(&copy), -EINVAL);
	assert_int_equal(tz_value_error(&l), 0);
	assert_int_equal(tz_value_pack(&twice, &bytes, &size), -EEXIST);
	assert_int_equal(tz_value_append(&l, twice), -EEXIST);
	assert_int_equal(tz_value_set(&l, key, tz_none), -EINVAL);
	assert_int_equal(tz_value_size(&l), 0);
	assert_repr(key, "<failed: Invalid argument>");
}

static tz_value nested(unsigned depth)
{
	tz_value v = tz_int(1);

	for (unsigned i = 0; i < depth; i++)
		v = i % 2 ? tz_list_of(&v, 1) : tz_dict("k", v);
	return v;
}

static void nesting_is_bounded(void **state)
{
	tz_value deepest = nested(TZ_VALUE_DEPTH), too_deep = nested(TZ_VALUE_DEPTH + 1), l = tz_empty_list, again;
	void *bytes;
	size_t size;

	(void)state;
	assert_int_equal(tz_value_error(&deepest), 0);
	assert_int_equal(tz_value_error(&too_deep), -EMSGSIZE);
	assert_int_equal(tz_value_append(&l, tz_value_copy(&deepest)), -EMSGSIZE);
	assert_int_equal(tz_value_pack(&deepest, &bytes, &size), 0);
	assert_int_equal(tz_value_unpack(bytes, size, NULL, &again), 0);
	assert_int_equal(tz_value_compare(&deepest, &again), 0);
	assert_int_equal(tz_value_unpack(bytes, size, &(tz_value_limits){ .depth = TZ_VALUE_DEPTH - 1 }, &l), -EMSGSIZE);
	free(bytes);
	tz_value_free(deepest);
	tz_value_free(again);
}

/* --- MessagePack ------------------------------------------------------------------------------------------- */

static void assert_packed(tz_value v, const char *expected, size_t size)
{
	void *bytes;
	size_t n;
	tz_value again;

	assert_int_equal(tz_value_pack(&v, &bytes, &n), 0);
	assert_int_equal(n, size);
	assert_memory_equal(bytes, expected, size);
	assert_int_equal(tz_value_unpack(bytes, n, NULL, &again), 0);
	assert_int_equal(tz_value_compare(&v, &again), 0);
	for (size_t i = 0; i < n; i++) /* nor is a part of it one, or more than it */
		assert_int_equal(tz_value_unpack(bytes, i, NULL, &again), -EPROTO);
	tz_value_free(again);
	free(bytes);
	tz_value_free(v);
}
#define ASSERT_PACKED(v, bytes) assert_packed(v, bytes, sizeof(bytes) - 1)

static void packing(void **state)
{
	(void)state;
	ASSERT_PACKED(tz_none, "\xc0");
	ASSERT_PACKED(tz_true, "\xc3");
	ASSERT_PACKED(tz_int(127), "\x7f");
	ASSERT_PACKED(tz_int(-32), "\xe0");
	ASSERT_PACKED(tz_int(-33), "\xd0\xdf");
	ASSERT_PACKED(tz_int(65536), "\xce\0\1\0\0");
	ASSERT_PACKED(tz_int(INT64_MIN), "\xd3\x80\0\0\0\0\0\0\0");
	ASSERT_PACKED(tz_uint(UINT64_MAX), "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
	ASSERT_PACKED(tz_double(1.5), "\xcb\x3f\xf8\0\0\0\0\0\0");
	ASSERT_PACKED(tz_string("hello"), "\xa5hello");
	ASSERT_PACKED(tz_binary("\0\xff", 2), "\xc4\2\0\xff");
	ASSERT_PACKED(tz_list(42, tz_none, "hello"), "\x93\x2a\xc0\xa5hello");
	ASSERT_PACKED(tz_dict("b", 1, "a", tz_empty_list), "\x82\xa1" "b\1\xa1" "a\x90");
	ASSERT_PACKED(tz_empty_dict, "\x80");
}

static void large_ones(void **state)
{
	enum { N = 70000 };
	char *text = malloc(N);
	tz_value l = tz_empty_list, again;
	void *bytes;
	size_t size;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', N);
	for (int i = 0; i < N; i++)
		assert_int_equal(tz_value_append(&l, tz_int(i)), 0);
	tz_value v = tz_dict("list", l, "text", tz_string_of(text, N), "bytes", tz_binary(text, N), "short", tz_string_of(text, 300));

	assert_int_equal(tz_value_pack(&v, &bytes, &size), 0);
	assert_int_equal(tz_value_unpack(bytes, size, NULL, &again), 0);
	assert_int_equal(tz_value_compare(&v, &again), 0);
	tz_value_free(again);
	assert_int_equal(tz_value_unpack(bytes, size, &(tz_value_limits){ .elements = N }, &again), -EMSGSIZE);
	free(bytes);
	free(text);
	tz_value_free(v);
}

static void what_others_may_send(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		int answer;
	} some[] = {
#define BYTES(text, answer) { text, sizeof(text) - 1, answer }
		BYTES("", -EPROTO),
		BYTES("\xc1", -EPROTO), /* used by nobody */
		BYTES("\x01\x01", -EPROTO), /* two values */
		BYTES("\xd4\x05\x01", -EPROTO), /* an extension */
		BYTES("\xd6\xff\0\0\0\0", -EPROTO), /* a time */
		BYTES("\xc9\xff\xff\xff\xff\x01", -EPROTO),
		BYTES("\xdd\xff\xff\xff\xff", -EPROTO), /* announced, and not there */
		BYTES("\xdf\xff\xff\xff\xff\x01\x01", -EPROTO),
		BYTES("\xdb\xff\xff\xff\xff" "a", -EPROTO),
		BYTES("\x93\xa1" "a\x91\x01", -EPROTO), /* ends too early, in the middle of something */
		BYTES("\x82\xa1" "a\x01\xa1" "b", -EPROTO),
		BYTES("\x81\xa1" "a\x91\xc1", -EPROTO),
		BYTES("\x81\x91\x01\x02", -EPROTO), /* a list as a key */
		BYTES("\x82\xa1" "a\x01\xa1" "a\x02", -EPROTO), /* a key twice */
		BYTES("\x91\x82\x01\x01\xcb\x3f\xf0\0\0\0\0\0\0\x02", -EPROTO), /* 1 and 1.0 */
		BYTES("\x92\x01\xcb\x3f\xf0\0\0\0\0\0", -EPROTO),
#undef BYTES
	};
	char deep[200];
	tz_value v;

	(void)state;
	for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
		assert_int_equal(tz_value_unpack(some[i].bytes, some[i].size, NULL, &v), some[i].answer);
	memset(deep, '\x91', sizeof deep);
	assert_int_equal(tz_value_unpack(deep, sizeof deep, NULL, &v), -EMSGSIZE);
	memset(deep, '\x81', sizeof deep); /* each the key of the one before */
	assert_int_equal(tz_value_unpack(deep, sizeof deep, NULL, &v), -EMSGSIZE);
	/* What this library writes in another way. */
	assert_int_equal(tz_value_unpack("\xca\x3f\xc0\0\0", 5, NULL, &v), 0);
	assert_repr(v, "1.5");
	assert_int_equal(tz_value_unpack("\xd9\1x", 3, NULL, &v), 0);
	assert_repr(v, "'x'");
	assert_int_equal(tz_value_unpack("\xdf\0\0\0\0", 5, NULL, &v), 0);
	assert_repr(v, "{}");
}

static void printing(void **state)
{
	char text[64] = "";
	FILE *f = tmpfile();
	tz_value v = tz_list(1, "x");

	(void)state;
	assert_non_null(f);
	assert_int_equal(tz_value_print(&v, f), 0);
	rewind(f);
	assert_non_null(fgets(text, sizeof text, f));
	assert_string_equal(text, "[1, 'x']\n");
	assert_int_equal(fclose(f), 0);
	f = fopen("/dev/full", "w");
	if (f) {
		setbuf(f, NULL);
		assert_int_equal(tz_value_print(&v, f), -ENOSPC);
		(void)fclose(f);
	}
	tz_value_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_python_writes_them),
		cmocka_unit_test(every_type_becomes_a_value),
		cmocka_unit_test(doubles_have_the_fewest_digits),
		cmocka_unit_test(strings_are_quoted),
		cmocka_unit_test(reading),
		cmocka_unit_test(numbers_compare_by_what_they_are_worth),
		cmocka_unit_test(kinds_and_contents_have_an_order),
		cmocka_unit_test(lists_grow_and_shrink),
		cmocka_unit_test(dictionaries_find_what_was_put_in),
		cmocka_unit_test(a_copy_is_another_one),
		cmocka_unit_test(a_failed_value_spoils_what_it_is_put_into),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(packing),
		cmocka_unit_test(large_ones),
		cmocka_unit_test(what_others_may_send),
		cmocka_unit_test(printing),
	};

	return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
