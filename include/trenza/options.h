/* Options that are written in place.
 *
 *     area_future f = tz_submit_with(ex, TZ_OPTIONS(tz_submit_options, .priority = TZ_PRIORITY_HIGH, .name = "a"), area, 3.0, 4.0);
 *
 * A C compound literal would do where it has one field at most, and where the call is a function's: the preprocessor, which
 * knows of no braces, takes each comma of it for one between arguments.
 */
#ifndef TRENZA_OPTIONS_H
#define TRENZA_OPTIONS_H

#include <trenza/base.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

/* TZ_OPTIONS - the address of a struct of options whose fields are given as in an initializer; the others are zero, their
 * defaults.
 *
 * For every type whose name ends in _options, and every call that takes such a pointer. From C++ too, where the fields may come in any order;
 * there, not at namespace scope. Up to 16 fields.
 *
 * Form: const tz_submit_options *TZ_OPTIONS(tz_submit_options, .priority = TZ_PRIORITY_HIGH, .name = "a")
 * Ownership: in C, the struct is the enclosing block's; in C++ it is gone at the end of the statement. Whoever takes options copies them.
 * Threads: any.
 * Errors: a field that there is not does not compile. */
#ifdef __cplusplus
#define TZ_OPTIONS(type, ...) \
	tz__kept([&] { \
		type tz__o = type(); \
		TZ__SET_FIELDS(__VA_ARGS__) \
		return tz__o; \
	}())

extern "C++" {
template <typename T> static inline const T *tz__kept(const T &options)
{
	return &options;
}
}

#define TZ__SET_FIELDS(...) \
	TZ__SET_COUNT(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, ~)(__VA_ARGS__)
#define TZ__SET_COUNT(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, N, ...) TZ__SET_##N
#define TZ__SET_1(field) tz__o field;
#define TZ__SET_2(field, ...) tz__o field; TZ__SET_1(__VA_ARGS__)
#define TZ__SET_3(field, ...) tz__o field; TZ__SET_2(__VA_ARGS__)
#define TZ__SET_4(field, ...) tz__o field; TZ__SET_3(__VA_ARGS__)
#define TZ__SET_5(field, ...) tz__o field; TZ__SET_4(__VA_ARGS__)
#define TZ__SET_6(field, ...) tz__o field; TZ__SET_5(__VA_ARGS__)
#define TZ__SET_7(field, ...) tz__o field; TZ__SET_6(__VA_ARGS__)
#define TZ__SET_8(field, ...) tz__o field; TZ__SET_7(__VA_ARGS__)
#define TZ__SET_9(field, ...) tz__o field; TZ__SET_8(__VA_ARGS__)
#define TZ__SET_10(field, ...) tz__o field; TZ__SET_9(__VA_ARGS__)
#define TZ__SET_11(field, ...) tz__o field; TZ__SET_10(__VA_ARGS__)
#define TZ__SET_12(field, ...) tz__o field; TZ__SET_11(__VA_ARGS__)
#define TZ__SET_13(field, ...) tz__o field; TZ__SET_12(__VA_ARGS__)
#define TZ__SET_14(field, ...) tz__o field; TZ__SET_13(__VA_ARGS__)
#define TZ__SET_15(field, ...) tz__o field; TZ__SET_14(__VA_ARGS__)
#define TZ__SET_16(field, ...) tz__o field; TZ__SET_15(__VA_ARGS__)
#else
#define TZ_OPTIONS(type, ...) (&(type){ __VA_ARGS__ })
#endif

#endif
