/* Values: what a program sends when it does not want to declare a type: numbers, strings, lists, dictionaries.
 *
 *     tz_value v = tz_list(42, tz_none, "hello", tz_dict("pi", 3.14, "primes", tz_list(2, 3, 5)));
 *
 *     tz_value_print(&v, stdout);             [42, None, 'hello', {'pi': 3.14, 'primes': [2, 3, 5]}]
 *     const tz_value *pi = tz_value_get(tz_value_at(&v, 3), "pi");
 *     double d;
 *     if (tz_value_to_double(pi, &d) == 0) ...
 *     tz_value_free(v);
 *
 * A value is 16 bytes and passed like a number. All-zero is tz_none. It owns what it holds: strings and bytes are copied into it, and what is put into a
 * list or a dictionary belongs to that from then on. So a value is freed once, by who has it; to have two, copy it. Every function that takes a
 * `tz_value` (not a pointer to one) takes it over, also if it fails.
 *
 * A value may also hold a handle: shared memory, and so all that lies there (a queue, a lock), or a descriptor. It goes where descriptors can go: with a message
 * through a connection, with the arguments and the result of a task.
 *
 *     tz_send(connection, tz_list("work", tz_pointer(queue), (tz_fd){ 1 }));
 *
 * Making a value need not be checked each time: where there was no memory, it is a *failed* value, and so is what it is put into; sending it says
 * why, as does tz_value_error.
 *
 * A value may be read by many strands at once, and changed by one while nobody reads it.
 */
#ifndef TRENZA_VALUE_H
#define TRENZA_VALUE_H

#include <stdio.h>

#include <trenza/descriptor.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

#ifdef __cplusplus
#include <type_traits>
#endif

TZ_BEGIN_DECLS

/* What a value is. */
typedef enum tz_value_kind {
	TZ_VALUE_NONE = 0,
	TZ_VALUE_BOOL = 1,
	TZ_VALUE_INT = 2, /* from -2^63 to 2^64 - 1 */
	TZ_VALUE_DOUBLE = 3,
	TZ_VALUE_STRING = 4,
	TZ_VALUE_BYTES = 5,
	TZ_VALUE_LIST = 6,
	TZ_VALUE_DICT = 7,
	TZ_VALUE_FAILED = 8,
	TZ_VALUE_POINTER = 9, /* a pointer into shared memory */
	TZ_VALUE_FD = 10 /* a descriptor */
} tz_value_kind;

enum {
	TZ_VALUE_DEPTH = 64 /* how deep lists and dictionaries may be nested: one in a list is nested twice */
};

/* A value. Its fields are for the functions below. */
typedef struct tz_value {
	uint32_t tz__kind;
	uint32_t tz__big; /* an integer above INT64_MAX: 1; a list or a dictionary: how deep it is nested */
	union {
		int64_t tz__int;
		uint64_t tz__uint;
		double tz__double;
		void *tz__block;
	} tz__is;
} tz_value;

/* --- making values ------------------------------------------------------------------------------------------ */

/* tz_int, tz_uint, tz_double, tz_bool - a number or a truth value.
 *
 * Ownership: nothing is held.
 * Threads: any.
 * Errors: none. */
static inline tz_value tz_int(int64_t i)
{
	tz_value v = { TZ_VALUE_INT, 0, { i } };

	return v;
}

static inline tz_value tz_uint(uint64_t u)
{
	tz_value v = { TZ_VALUE_INT, u > INT64_MAX, { 0 } };

	v.tz__is.tz__uint = u;
	return v;
}

static inline tz_value tz_double(double d)
{
	tz_value v = { TZ_VALUE_DOUBLE, 0, { 0 } };

	v.tz__is.tz__double = d;
	return v;
}

static inline tz_value tz_bool(bool b)
{
	tz_value v = { TZ_VALUE_BOOL, 0, { b } };

	return v;
}

/* tz_string - a string, with a copy of the characters; NULL gives tz_none. Any bytes will do; who reads them in another language
 * may insist on UTF-8.
 *
 * Ownership: the text stays the caller's.
 * Threads: any.
 * Errors: without memory, a failed value. */
TZ_API TZ_NODISCARD tz_value tz_string(const char *text);

/* tz_string_of - as tz_string, of `size` bytes, which may have zeros among them.
 *
 * Ownership: the text stays the caller's.
 * Threads: any.
 * Errors: without memory, a failed value. */
TZ_API TZ_NODISCARD tz_value tz_string_of(const char *text, size_t size);

/* tz_binary - bytes, copied.
 *
 * Ownership: the bytes stay the caller's.
 * Threads: any.
 * Errors: without memory, a failed value. */
TZ_API TZ_NODISCARD tz_value tz_binary(const void *data, size_t size);

/* tz_pointer - a pointer into shared memory (shared_memory.h), to whatever lies there; NULL gives tz_none. The memory is not copied: who gets the value has the
 * same memory, at its own address of it.
 *
 * Ownership: the value has a reference of its own; the caller's stays the caller's.
 * Threads: any.
 * Errors: of a pointer to other memory, a failed value (-EFAULT). */
TZ_API TZ_NODISCARD tz_value tz_pointer(const void *memory);

/* tz_descriptor - a descriptor: another one of the same open file, close-on-exec, which copies of the value share. TZ_VALUE makes it of a tz_fd.
 *
 * Ownership: the caller's descriptor stays the caller's.
 * Threads: any.
 * Errors: a failed value: -EBADF: it is none; -EMFILE, -ENOMEM. */
TZ_API TZ_NODISCARD tz_value tz_descriptor(int fd);

/* tz_list_of - a list of n values.
 *
 * Ownership: the values go into the list; the array stays the caller's.
 * Threads: any.
 * Errors: a failed value: without memory (-ENOMEM), if one of them is a failed value (its error), if it would be nested more than TZ_VALUE_DEPTH
 * times (-EMSGSIZE). */
TZ_API TZ_NODISCARD tz_value tz_list_of(const tz_value *values, size_t n);

/* tz_dict_of - a dictionary of n pairs: values[0] is the key of values[1], and so on.
 *
 * Ownership: the values go into the dictionary; the array stays the caller's.
 * Threads: any.
 * Errors: a failed value, as of tz_list_of, and if a key is a list, a dictionary or a handle (-EINVAL) or is there twice (-EEXIST). */
TZ_API TZ_NODISCARD tz_value tz_dict_of(const tz_value *values, size_t n);

/* tz_value_copy - another one with the same contents; of NULL, tz_none.
 *
 * Ownership: both are the caller's.
 * Threads: any.
 * Errors: without memory, a failed value. */
TZ_API TZ_NODISCARD tz_value tz_value_copy(const tz_value *v);

/* tz_value_free - frees what a value holds.
 *
 * Ownership: the value goes.
 * Threads: any.
 * Errors: none. */
TZ_API void tz_value_free(tz_value v);

/* --- reading -------------------------------------------------------------------------------------------------- */

/* tz_value_kind_of - what it is; NULL is TZ_VALUE_NONE.
 *
 * Ownership: nothing is held.
 * Threads: any.
 * Errors: none. */
static inline tz_value_kind tz_value_kind_of(const tz_value *v)
{
	return v ? (tz_value_kind)v->tz__kind : TZ_VALUE_NONE;
}

/* tz_value_error - 0, or why a value is a failed one, as a negative errno code.
 *
 * Ownership: nothing is held.
 * Threads: any.
 * Errors: those of what made it. */
static inline int tz_value_error(const tz_value *v)
{
	return tz_value_kind_of(v) == TZ_VALUE_FAILED ? (int)v->tz__is.tz__int : 0;
}

/* tz_value_to_bool, tz_value_to_int, tz_value_to_uint, tz_value_to_double - the truth value, or the number. An integer is taken for a double and a double
 * for an integer only if nothing is lost. NULL is legal: what was looked for is not there. *ret stays as it was on failure, so it may hold what to take
 * then.
 *
 * Ownership: the value stays whose it is.
 * Threads: any.
 * Errors: -EINVAL: it is something else, or NULL; -ERANGE: such a number does not fit. */
TZ_API int tz_value_to_bool(const tz_value *v, bool *ret);
TZ_API int tz_value_to_int(const tz_value *v, int64_t *ret);
TZ_API int tz_value_to_uint(const tz_value *v, uint64_t *ret);
TZ_API int tz_value_to_double(const tz_value *v, double *ret);

/* tz_value_text - the characters of a string, or the bytes, with a 0 behind them; NULL if it is something else.
 *
 * Ownership: they are the value's, and stay as long as it does.
 * Threads: any.
 * Errors: none. */
TZ_API const char *tz_value_text(const tz_value *v);

/* tz_value_pointer - the address of shared memory in this process; NULL if it is something else. What it points to is no more to be relied on than who sent it.
 *
 * Ownership: the value's, and there as long as that is. Who wants it for longer takes a reference (tz_shared_ref).
 * Threads: any.
 * Errors: none. */
TZ_API void *tz_value_pointer(const tz_value *v);

/* tz_value_fd - the descriptor.
 *
 * Ownership: the value's, and open as long as that is. Who wants it for longer takes a copy (tz_fd_take).
 * Threads: any.
 * Errors: -EINVAL: it is something else, or NULL. */
TZ_API int tz_value_fd(const tz_value *v);

/* tz_value_size - the number of elements of a list, pairs of a dictionary, or bytes of a string or of bytes; 0 for anything else, and NULL.
 *
 * Ownership: nothing is held.
 * Threads: any.
 * Errors: none. */
TZ_API size_t tz_value_size(const tz_value *v);

/* tz_value_at - element i of a list, or the value of pair i of a dictionary, in the order in which they were put in; NULL if there is none.
 *
 * Ownership: it is the list's. It stays until that is changed.
 * Threads: any.
 * Errors: none. */
TZ_API const tz_value *tz_value_at(const tz_value *v, size_t i);

/* tz_value_key_at - the key of pair i of a dictionary; NULL if there is none.
 *
 * Ownership: it is the dictionary's. It stays until that is changed.
 * Threads: any.
 * Errors: none. */
TZ_API const tz_value *tz_value_key_at(const tz_value *dict, size_t i);

/* tz_value_find - the value of a key in a dictionary; NULL if it has no such key, or is none.
 *
 * Ownership: it is the dictionary's, and stays until that is changed; the key stays the caller's.
 * Threads: any.
 * Errors: none. */
TZ_API const tz_value *tz_value_find(const tz_value *dict, const tz_value *key);

/* tz_value_get - as tz_value_find, for a key that is a string.
 *
 * Ownership: it is the dictionary's. It stays until that is changed.
 * Threads: any.
 * Errors: none. */
TZ_API const tz_value *tz_value_get(const tz_value *dict, const char *key);

/* tz_value_compare - the order of two values: less than 0, 0 or more, as strcmp.
 *
 * Numbers compare by what they are worth, exactly, whether integer or double; a NaN is equal to itself and less than all others. Otherwise none < truth
 * values < numbers < strings < bytes < lists < dictionaries < failed values < shared memory < descriptors. Handles go by their numbers in this process. Strings and bytes go byte by byte, lists element by element, dictionaries
 * by the number of pairs, and then by these in the order of their keys: in which order they were put in does not count.
 *
 * Ownership: both stay whose they are; NULL is tz_none.
 * Threads: any.
 * Errors: none. */
TZ_API int tz_value_compare(const tz_value *a, const tz_value *b);

/* --- changing -------------------------------------------------------------------------------------------------- */

/* tz_value_append - puts an element at the end of a list.
 *
 * Ownership: the element is the list's, or freed on failure.
 * Threads: one at a time, and nobody who reads.
 * Errors: -EINVAL: it is no list; -ENOMEM; -EMSGSIZE: nested too deep; what tz_value_error says of the element. */
TZ_API TZ_NODISCARD int tz_value_append(tz_value *list, tz_value element);

/* tz_value_set - gives a key of a dictionary a value; instead of the one it has, if it has one.
 *
 * Ownership: key and value are the dictionary's, or freed on failure.
 * Threads: one at a time, and nobody who reads.
 * Errors: -EINVAL: it is no dictionary, or the key is a list, a dictionary or a handle; -ENOMEM; -EMSGSIZE: nested too deep; what tz_value_error says of key
 * or value. */
TZ_API TZ_NODISCARD int tz_value_set(tz_value *dict, tz_value key, tz_value value);

/* tz_value_remove - takes element i out of a list, or pair i out of a dictionary; those behind it move up.
 *
 * Ownership: *ret is the caller's; with NULL, it is freed. A pair's key is freed.
 * Threads: one at a time, and nobody who reads.
 * Errors: -EINVAL: it is neither; -ENOENT: it has no such one. */
TZ_API int tz_value_remove(tz_value *v, size_t i, tz_value *ret);

/* --- text and bytes ---------------------------------------------------------------------------------------------- */

/* tz_value_repr - the value as text, written as Python writes it: [42, None, 'hello', b'\x00', {'a': 1.5}]. Handles: <shared memory 0x7f0123456000>, <descriptor 7>.
 *
 * Ownership: the text is the caller's, to be freed with free().
 * Threads: any.
 * Errors: NULL without memory. */
TZ_API TZ_NODISCARD char *tz_value_repr(const tz_value *v);

/* tz_value_print - writes tz_value_repr's text and a newline.
 *
 * Ownership: all stays whose it is.
 * Threads: any.
 * Errors: -ENOMEM; what writing says. */
TZ_API int tz_value_print(const tz_value *v, FILE *file);

/* tz_value_pack - the value as MessagePack (https://msgpack.org), which every language reads.
 *
 * Ownership: the bytes are the caller's, to be freed with free().
 * Threads: any.
 * Errors: -ENOMEM; -EMSGSIZE: a string or a list is longer than MessagePack can say (2^32 - 1); -ENOTSUP: it holds a handle, which bytes alone cannot bring anywhere; what
 * tz_value_error says. */
TZ_API TZ_NODISCARD int tz_value_pack(const tz_value *v, void **ret_bytes, size_t *ret_size);

/* What a value that comes from outside may be; 0 means the number in the comment. */
typedef struct tz_value_limits {
	uint32_t depth; /* how deep it may be nested (TZ_VALUE_DEPTH, which is also the most) */
	size_t elements; /* how many values there may be in all (2^20): each takes some 16 bytes here, and maybe one on the way */
} tz_value_limits;

/* tz_value_unpack - reads a value from MessagePack, whoever has written it. The bytes may be hostile: no memory is taken for what they only announce.
 * An extension type (a handle, too), a key that is a list or a dictionary, and one that is there twice are refused.
 *
 * Ownership: the value is the caller's; the bytes stay whose they are.
 * Threads: any.
 * Errors: -EPROTO: they are not one value, from the first byte to the last; -EMSGSIZE: it exceeds the limits (NULL: those in the comments
 * above); -ENOMEM. */
TZ_API TZ_NODISCARD int tz_value_unpack(const void *bytes, size_t size, const tz_value_limits *limits, tz_value *ret);

TZ_END_DECLS

/* --- the macros --------------------------------------------------------------------------------------------------- */

/* tz_none, tz_true, tz_false, tz_empty_list, tz_empty_dict - values that hold nothing. (C11's `true` is the number 1.)
 *
 * Ownership: nothing is held.
 * Threads: any.
 * Errors: none. */
#ifdef __cplusplus
#define tz_none (tz_value{})
#define tz_empty_list (tz__empty_value(TZ_VALUE_LIST))
#define tz_empty_dict (tz__empty_value(TZ_VALUE_DICT))
#else
#define tz_none ((tz_value){ TZ_VALUE_NONE, 0, { 0 } })
#define tz_empty_list ((tz_value){ TZ_VALUE_LIST, 1, { 0 } })
#define tz_empty_dict ((tz_value){ TZ_VALUE_DICT, 1, { 0 } })
#endif
#define tz_true (tz_bool(true))
#define tz_false (tz_bool(false))

/* TZ_VALUE - the value of an expression: of a number, a string, a tz_bytes, a tz_fd; a tz_value stays as it is.
 *
 * Form: tz_value TZ_VALUE(anything x);
 * Ownership: what is copied stays the caller's.
 * Threads: any.
 * Errors: without memory, a failed value. */
#ifdef __cplusplus
extern "C++" {
static inline tz_value tz__empty_value(tz_value_kind kind)
{
	tz_value v = {};

	v.tz__kind = kind;
	v.tz__big = 1;
	return v;
}

static inline tz_value tz__value_of(tz_value v)
{
	return v;
}

static inline tz_value tz__value_of(const char *text)
{
	return tz_string(text);
}

static inline tz_value tz__value_of(tz_bytes b)
{
	return tz_binary(b.data, b.size);
}

static inline tz_value tz__value_of(tz_fd f)
{
	return tz_descriptor(f.fd);
}

template <typename T, typename std::enable_if<std::is_arithmetic<T>::value || std::is_enum<T>::value, int>::type = 0>
static inline tz_value tz__value_of(T x)
{
	if constexpr (std::is_same<T, bool>::value)
		return tz_bool(x);
	else if constexpr (std::is_floating_point<T>::value)
		return tz_double((double)x);
	else if constexpr (std::is_unsigned<T>::value)
		return tz_uint((uint64_t)x);
	else
		return tz_int((int64_t)x);
}

template <typename... T> static inline tz_value tz__list_from(T... x)
{
	const tz_value values[] = { tz__value_of(x)... };

	return tz_list_of(values, sizeof...(x));
}

template <typename... T> static inline tz_value tz__dict_from(T... x)
{
	static_assert(sizeof...(x) % 2 == 0, "a dictionary is made of pairs");
	const tz_value values[] = { tz__value_of(x)... };

	return tz_dict_of(values, sizeof...(x) / 2);
}
}
#define TZ_VALUE(x) tz__value_of(x)
#else
static inline tz_value tz__same_value(tz_value v)
{
	return v;
}

static inline tz_value tz__value_of_bytes(tz_bytes b)
{
	return tz_binary(b.data, b.size);
}

static inline tz_value tz__value_of_fd(tz_fd f)
{
	return tz_descriptor(f.fd);
}

static inline tz_value tz__value_of_long_double(long double d)
{
	return tz_double((double)d);
}

#define TZ_VALUE(x) \
	(_Generic((x), \
		tz_value: tz__same_value, \
		tz_bytes: tz__value_of_bytes, \
		tz_fd: tz__value_of_fd, \
		char *: tz_string, \
		const char *: tz_string, \
		_Bool: tz_bool, \
		float: tz_double, \
		double: tz_double, \
		long double: tz__value_of_long_double, \
		unsigned long: tz_uint, \
		unsigned long long: tz_uint, \
		default: tz_int)(x))
#endif

/* tz_list - a list of 1 to 24 values, each as of TZ_VALUE; tz_empty_list has none, tz_list_of any number.
 *
 * Form: tz_value tz_list(anything x, ...);
 * Ownership: values go into the list; what is copied stays the caller's.
 * Threads: any.
 * Errors: as tz_list_of. */

/* tz_dict - a dictionary of 1 to 12 pairs, each a key and a value as of TZ_VALUE; tz_empty_dict has none, tz_dict_of any number.
 *
 * Form: tz_value tz_dict(anything key, anything value, ...);
 * Ownership: values go into the dictionary; what is copied stays the caller's.
 * Threads: any.
 * Errors: as tz_dict_of. */
#ifdef __cplusplus
#define tz_list(...) tz__list_from(__VA_ARGS__)
#define tz_dict(...) tz__dict_from(__VA_ARGS__)
#else
#define TZ__LISTED_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, a23, a24, n, ...) n
#define TZ__LISTED(...) \
	TZ__LISTED_(__VA_ARGS__, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define TZ__VALUES_1(x) TZ_VALUE(x)
#define TZ__VALUES_2(x, ...) TZ_VALUE(x), TZ__VALUES_1(__VA_ARGS__)
#define TZ__VALUES_3(x, ...) TZ_VALUE(x), TZ__VALUES_2(__VA_ARGS__)
#define TZ__VALUES_4(x, ...) TZ_VALUE(x), TZ__VALUES_3(__VA_ARGS__)
#define TZ__VALUES_5(x, ...) TZ_VALUE(x), TZ__VALUES_4(__VA_ARGS__)
#define TZ__VALUES_6(x, ...) TZ_VALUE(x), TZ__VALUES_5(__VA_ARGS__)
#define TZ__VALUES_7(x, ...) TZ_VALUE(x), TZ__VALUES_6(__VA_ARGS__)
#define TZ__VALUES_8(x, ...) TZ_VALUE(x), TZ__VALUES_7(__VA_ARGS__)
#define TZ__VALUES_9(x, ...) TZ_VALUE(x), TZ__VALUES_8(__VA_ARGS__)
#define TZ__VALUES_10(x, ...) TZ_VALUE(x), TZ__VALUES_9(__VA_ARGS__)
#define TZ__VALUES_11(x, ...) TZ_VALUE(x), TZ__VALUES_10(__VA_ARGS__)
#define TZ__VALUES_12(x, ...) TZ_VALUE(x), TZ__VALUES_11(__VA_ARGS__)
#define TZ__VALUES_13(x, ...) TZ_VALUE(x), TZ__VALUES_12(__VA_ARGS__)
#define TZ__VALUES_14(x, ...) TZ_VALUE(x), TZ__VALUES_13(__VA_ARGS__)
#define TZ__VALUES_15(x, ...) TZ_VALUE(x), TZ__VALUES_14(__VA_ARGS__)
#define TZ__VALUES_16(x, ...) TZ_VALUE(x), TZ__VALUES_15(__VA_ARGS__)
#define TZ__VALUES_17(x, ...) TZ_VALUE(x), TZ__VALUES_16(__VA_ARGS__)
#define TZ__VALUES_18(x, ...) TZ_VALUE(x), TZ__VALUES_17(__VA_ARGS__)
#define TZ__VALUES_19(x, ...) TZ_VALUE(x), TZ__VALUES_18(__VA_ARGS__)
#define TZ__VALUES_20(x, ...) TZ_VALUE(x), TZ__VALUES_19(__VA_ARGS__)
#define TZ__VALUES_21(x, ...) TZ_VALUE(x), TZ__VALUES_20(__VA_ARGS__)
#define TZ__VALUES_22(x, ...) TZ_VALUE(x), TZ__VALUES_21(__VA_ARGS__)
#define TZ__VALUES_23(x, ...) TZ_VALUE(x), TZ__VALUES_22(__VA_ARGS__)
#define TZ__VALUES_24(x, ...) TZ_VALUE(x), TZ__VALUES_23(__VA_ARGS__)
#define TZ__VALUES__(n, ...) TZ__VALUES_##n(__VA_ARGS__)
#define TZ__VALUES_(n, ...) TZ__VALUES__(n, __VA_ARGS__)
#define TZ__VALUES(...) TZ__VALUES_(TZ__LISTED(__VA_ARGS__), __VA_ARGS__)
/* 1 for each argument, so that no compiler has to look into the values: an odd number of them is a negative size. */
#define TZ__PAIRS(...) (TZ__LISTED(__VA_ARGS__) / 2 + 0 * sizeof(char[TZ__LISTED(__VA_ARGS__) % 2 ? -1 : 1]))

#define tz_list(...) tz_list_of((const tz_value[]){ TZ__VALUES(__VA_ARGS__) }, TZ__LISTED(__VA_ARGS__))
#define tz_dict(...) tz_dict_of((const tz_value[]){ TZ__VALUES(__VA_ARGS__) }, TZ__PAIRS(__VA_ARGS__))
#endif

#endif
