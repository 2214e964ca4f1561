/* Types that travel: which structs may go to another process, and how.
 *
 *     struct point { double x, y; };
 *     TZ_FLAT(struct point);
 *
 *     struct place {
 *             char *name;
 *             struct point at;
 *             double height[2];
 *             struct place *next;
 *     };
 *     TZ_STRUCT(struct place, name, (struct point, at), height);
 *
 *     static double distance(struct place a, struct place b) ...
 *     TZ_TASK(double, distance, struct place, struct place);
 *
 * Numbers, strings, tz_bytes, and pointers into shared memory travel by themselves (descriptor.h). A struct or a union may hold anything, and C cannot look into it; so it has to be said
 * once, by one of these two, in the source file that has the TZ_TASK or in a header that it includes, before it or after it. The
 * type is to be written as it is in TZ_TASK: in C, `struct point` and a typedef of it are two names, and either needs its own line.
 *
 * Executors that share the caller's memory need none of this.
 */
#ifndef TRENZA_TYPES_H
#define TRENZA_TYPES_H

#include <trenza/descriptor.h>
#include <trenza/task_arity.h>
#include <trenza/value.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

#define TZ__UNUSED __attribute__((unused))

/* --- the kind of a type --------------------------------------------------------------------------------- */

#ifdef __cplusplus
extern "C++" {
template <typename T> struct tz__bare {
	typedef T type;
};
template <typename T> struct tz__bare<const T> {
	typedef T type;
};
template <typename T> struct tz__bare<volatile T> {
	typedef T type;
};
template <typename T> struct tz__bare<const volatile T> {
	typedef T type;
};
template <typename T> struct tz__is_pointer {
	static constexpr bool value = false;
};
template <typename T> struct tz__is_pointer<T *> {
	static constexpr bool value = true;
};
template <typename T> struct tz__kind_of_bare {
	static constexpr tz_kind value = tz__is_pointer<T>::value ? TZ_KIND_POINTER :
					 __is_enum(T)		  ? TZ_KIND_INT :
								    TZ_KIND_VALUE;
};
template <typename T> struct tz__kind_of : tz__kind_of_bare<typename tz__bare<T>::type> {
};
#define TZ__KIND_IS(T, kind) \
	template <> struct tz__kind_of_bare<T> { \
		static constexpr tz_kind value = kind; \
	}
TZ__KIND_IS(void, TZ_KIND_VOID);
TZ__KIND_IS(bool, TZ_KIND_BOOL);
TZ__KIND_IS(char, TZ_KIND_INT);
TZ__KIND_IS(wchar_t, TZ_KIND_INT);
TZ__KIND_IS(signed char, TZ_KIND_INT);
TZ__KIND_IS(short, TZ_KIND_INT);
TZ__KIND_IS(int, TZ_KIND_INT);
TZ__KIND_IS(long, TZ_KIND_INT);
TZ__KIND_IS(long long, TZ_KIND_INT);
TZ__KIND_IS(char16_t, TZ_KIND_UINT);
TZ__KIND_IS(char32_t, TZ_KIND_UINT);
TZ__KIND_IS(unsigned char, TZ_KIND_UINT);
TZ__KIND_IS(unsigned short, TZ_KIND_UINT);
TZ__KIND_IS(unsigned int, TZ_KIND_UINT);
TZ__KIND_IS(unsigned long, TZ_KIND_UINT);
TZ__KIND_IS(unsigned long long, TZ_KIND_UINT);
#ifdef __SIZEOF_INT128__
__extension__ typedef __int128 tz__int128;
__extension__ typedef unsigned __int128 tz__uint128;
TZ__KIND_IS(tz__int128, TZ_KIND_INT);
TZ__KIND_IS(tz__uint128, TZ_KIND_UINT);
#endif
TZ__KIND_IS(float, TZ_KIND_FLOAT);
TZ__KIND_IS(double, TZ_KIND_FLOAT);
TZ__KIND_IS(long double, TZ_KIND_FLOAT);
__extension__ typedef __complex__ float tz__complex_float;
__extension__ typedef __complex__ double tz__complex_double;
__extension__ typedef __complex__ long double tz__complex_long_double;
TZ__KIND_IS(tz__complex_float, TZ_KIND_COMPLEX);
TZ__KIND_IS(tz__complex_double, TZ_KIND_COMPLEX);
TZ__KIND_IS(tz__complex_long_double, TZ_KIND_COMPLEX);
TZ__KIND_IS(char *, TZ_KIND_STRING);
TZ__KIND_IS(const char *, TZ_KIND_CONST_STRING);
TZ__KIND_IS(tz_bytes, TZ_KIND_BYTES);
TZ__KIND_IS(tz_value, TZ_KIND_DYNAMIC);
TZ__KIND_IS(tz_fd, TZ_KIND_FD);
TZ__KIND_IS(struct tz_connection *, TZ_KIND_CONNECTION);
#undef TZ__KIND_IS

/* A type's identity: the address of a variable that it has for itself. */
template <typename T> struct tz__identity_of {
	__attribute__((visibility("hidden"))) static const char here;
};
template <typename T> const char tz__identity_of<T>::here = 0;
}
#define TZ__TYPE(...) \
	{ tz__kind_of<__VA_ARGS__>::value, (uint32_t)sizeof(__VA_ARGS__), #__VA_ARGS__, \
	  &tz__identity_of<typename tz__bare<__VA_ARGS__>::type>::here }
#else
/* __builtin_classify_type: 1 to 4 are the integer types, 5 is a pointer, 8 a floating type, 9 a complex one. */
#define TZ__KIND(T) \
	_Generic(*(T *)0, \
		_Bool: TZ_KIND_BOOL, \
		unsigned char: TZ_KIND_UINT, \
		unsigned short: TZ_KIND_UINT, \
		unsigned int: TZ_KIND_UINT, \
		unsigned long: TZ_KIND_UINT, \
		unsigned long long: TZ_KIND_UINT, \
		char *: TZ_KIND_STRING, \
		const char *: TZ_KIND_CONST_STRING, \
		tz_bytes: TZ_KIND_BYTES, \
		tz_value: TZ_KIND_DYNAMIC, \
		tz_fd: TZ_KIND_FD, \
		struct tz_connection *: TZ_KIND_CONNECTION, \
		default: __builtin_classify_type(*(T *)0) == 5 ? TZ_KIND_POINTER : \
			 __builtin_classify_type(*(T *)0) < 5  ? TZ_KIND_INT : \
			 __builtin_classify_type(*(T *)0) == 8 ? TZ_KIND_FLOAT : \
			 __builtin_classify_type(*(T *)0) == 9 ? TZ_KIND_COMPLEX : \
								 TZ_KIND_VALUE)
#define TZ__TYPE(T) \
	{ TZ__KIND(T), (uint32_t)sizeof(T), #T, NULL }
#endif
#define TZ__TYPE_VOID \
	{ TZ_KIND_VOID, 0, "void", NULL }

/* --- where a module keeps its descriptors and descriptions -------------------------------------------------- */

TZ_BEGIN_DECLS

/* Made by the linker for sections with such names; zero in a module that has no such section. */
extern const struct tz_task *const __start_tz_tasks[] __attribute__((weak, visibility("hidden")));
extern const struct tz_task *const __stop_tz_tasks[] __attribute__((weak, visibility("hidden")));
extern const tz_description *const __start_tz_types[] __attribute__((weak, visibility("hidden")));
extern const tz_description *const __stop_tz_types[] __attribute__((weak, visibility("hidden")));

/* This source file's. What a struct's description says is good for the tasks of the same file, because another file may call another
 * struct so. */
TZ__UNUSED static const tz_module tz__here = { __start_tz_tasks, __stop_tz_tasks, __start_tz_types, __stop_tz_types };

TZ_END_DECLS

/* Descriptions are found by looking through the section: a linker that leaves out what nobody refers to must keep them. */
#if defined(__has_attribute)
#if __has_attribute(retain)
#define TZ__IN_TYPES __attribute__((used, retain, section("tz_types")))
#endif
#endif
#ifndef TZ__IN_TYPES
#define TZ__IN_TYPES __attribute__((used, section("tz_types")))
#endif

#define TZ__DESCRIPTION(N, nfields, fields, ...) \
	static const tz_description TZ__CAT(tz__description_, N) = { \
		&tz__here, \
		TZ__TYPE(__VA_ARGS__), \
		nfields, \
		fields, \
	}; \
	static const tz_description *const TZ__CAT(tz__described_, N) TZ__IN_TYPES = &TZ__CAT(tz__description_, N);

/* TZ_FLAT - says that a type holds no pointers and nothing else that means something in one process only, so that it can be copied byte by
 * byte. At file scope, followed by a semicolon.
 *
 * Nobody can check it in C; in C++ the type must be trivially copyable.
 *
 * Form: TZ_FLAT(struct point);
 * Ownership: none; what it makes is static and constant.
 * Threads: any.
 * Errors: a pointer does not compile. */
#define TZ_FLAT(...) TZ__FLAT(__COUNTER__, __VA_ARGS__)
#define TZ__FLAT(N, ...) \
	TZ__DESCRIPTION(N, 0, NULL, __VA_ARGS__) \
	TZ__FLAT_CHECK(__VA_ARGS__)

/* TZ_STRUCT - says of what fields a struct consists when it travels: numbers, strings, tz_bytes, pointers into shared memory, descriptors, connections, other structs that
 * are flat or described, and arrays of these. At file scope, followed by a semicolon.
 *
 * A field that is a struct itself, or an array of such, is given with its type: (struct point, at). Strings and tz_bytes travel by content, as
 * those that are arguments or results by themselves do, with the same rules of who frees them; and so do pointers. A field that is not named does not travel: it is zero in what
 * arrives. Up to 32 fields, of which none may be a bit-field.
 *
 * Form: TZ_STRUCT(struct place, name, (struct point, at), height);
 * Ownership: none; what it makes is static and constant.
 * Threads: any.
 * Errors: a field that there is not, or that has another type than was given, does not compile. */
#define TZ_STRUCT(T, ...) TZ__STRUCT(T, __COUNTER__, __VA_ARGS__)
#define TZ__STRUCT(T, N, ...) \
	TZ__EACH(TZ__FIELD_TYPE, T, N, __VA_ARGS__) \
	static const tz_field TZ__CAT(tz__fields_, N)[] = { TZ__EACH(TZ__FIELD, T, N, __VA_ARGS__) }; \
	TZ__DESCRIPTION(N, (uint32_t)(sizeof TZ__CAT(tz__fields_, N) / sizeof(tz_field)), TZ__CAT(tz__fields_, N), T) \
	TZ__STRUCT_CHECK(T)

/* A field is `name` or `(type, name)`. */
#define TZ__PAREN(...) ~, 1
#define TZ__IS_PAREN(field) TZ__CHECK(TZ__PAREN field, 0)
#define TZ__FIELD_TYPE(T, N, k, field) TZ__CAT(TZ__FIELD_TYPE_, TZ__IS_PAREN(field))(T, N, k, field)
#define TZ__FIELD(T, N, k, field) TZ__CAT(TZ__FIELD_, TZ__IS_PAREN(field))(T, N, k, field)
#define TZ__FIELD_0(T, N, k, field) TZ__FIELD_ENTRY(T, N, k, field, NULL)
#define TZ__FIELD_1(T, N, k, field) TZ__FIELD_PAIR(T, N, k, TZ__OPEN field)
#define TZ__FIELD_PAIR(...) TZ__FIELD_PAIR_(__VA_ARGS__)
#define TZ__FIELD_PAIR_(T, N, k, type, field) TZ__FIELD_ENTRY(T, N, k, field, #type)
#define TZ__OPEN(...) __VA_ARGS__
#define TZ__FIELD_TYPE_1(T, N, k, field) TZ__FIELD_TYPE_PAIR(T, N, k, TZ__OPEN field)
#define TZ__FIELD_TYPE_PAIR(...) TZ__FIELD_TYPE_PAIR_(__VA_ARGS__)
/* The type of a field, and of the elements of an array, of up to three dimensions. */
#define TZ__ELEMENT(N, k) TZ__CAT(tz__element_, TZ__CAT(N, TZ__CAT(_, k)))

#ifdef __cplusplus
extern "C++" {
template <typename T> struct tz__element {
	typedef typename tz__bare<T>::type type;
};
template <typename T, size_t n> struct tz__element<T[n]> {
	typedef typename tz__element<T>::type type;
};
template <typename T> struct tz__kind_check {
	static constexpr tz_kind kind = tz__kind_of<T>::value;
};
}
#define TZ__FLAT_CHECK(...) \
	static_assert(__is_trivially_copyable(__VA_ARGS__) && tz__kind_of<__VA_ARGS__>::value != TZ_KIND_POINTER, \
		      "TZ_FLAT(" #__VA_ARGS__ "): a type whose bytes are not all there is to it")
#define TZ__STRUCT_CHECK(T) \
	static_assert(__is_trivially_copyable(T) && __is_standard_layout(T), \
		      "TZ_STRUCT(" #T "): only plain structs can be described field by field")
#define TZ__FIELD_KIND(N, k) tz__kind_of<TZ__ELEMENT(N, k)>::value
#define TZ__FIELD_IDENTITY(N, k) &tz__identity_of<TZ__ELEMENT(N, k)>::here
#define TZ__FIELD_TYPE_0(T, N, k, field) \
	typedef tz__element<decltype(((T *)0)->field)>::type TZ__ELEMENT(N, k); \
	static_assert(TZ__FIELD_KIND(N, k) != TZ_KIND_VALUE, \
		      "TZ_STRUCT(" #T "): " #field " is a struct itself: write (its type, " #field ")");
#define TZ__FIELD_TYPE_PAIR_(T, N, k, type_, field) \
	typedef tz__element<decltype(((T *)0)->field)>::type TZ__ELEMENT(N, k); \
	static_assert(tz__is_same<TZ__ELEMENT(N, k), tz__bare<type_>::type>::value, \
		      "TZ_STRUCT(" #T "): " #field " has another type than " #type_);
#else
#define TZ__FLAT_CHECK(T) \
	_Static_assert(TZ__KIND(T) != TZ_KIND_POINTER, "TZ_FLAT(" #T "): a pointer is not flat")
#define TZ__STRUCT_CHECK(T) _Static_assert(sizeof(T) < UINT32_MAX, "TZ_STRUCT(" #T "): too large")
#define TZ__FIELD_KIND(N, k) TZ__KIND(TZ__ELEMENT(N, k))
#define TZ__FIELD_IDENTITY(N, k) NULL
/* An array is what has another type than the pointer to its first element. `x` where that is a pointer or an array, else any pointer: */
#define TZ__AS_POINTER(x) __builtin_choose_expr(__builtin_classify_type(x) == 5, x, (char *)0)
#define TZ__IS_ARRAY(x) \
	(__builtin_classify_type(x) == 5 && \
	 !__builtin_types_compatible_p(__typeof__(x), __typeof__(1 ? TZ__AS_POINTER(x) : TZ__AS_POINTER(x))))
#define TZ__FIRST_OF(x) (*__builtin_choose_expr(TZ__IS_ARRAY(x), x, &(x)))
#define TZ__FIELD_TYPES(T, N, k, field) \
	typedef __typeof__(((T *)0)->field) TZ__CAT(TZ__ELEMENT(N, k), _a); \
	typedef __typeof__(TZ__FIRST_OF(*(TZ__CAT(TZ__ELEMENT(N, k), _a) *)0)) TZ__CAT(TZ__ELEMENT(N, k), _b); \
	typedef __typeof__(TZ__FIRST_OF(*(TZ__CAT(TZ__ELEMENT(N, k), _b) *)0)) TZ__CAT(TZ__ELEMENT(N, k), _c); \
	typedef __typeof__(TZ__FIRST_OF(*(TZ__CAT(TZ__ELEMENT(N, k), _c) *)0)) TZ__ELEMENT(N, k);
#define TZ__FIELD_TYPE_0(T, N, k, field) \
	TZ__FIELD_TYPES(T, N, k, field) \
	_Static_assert(TZ__FIELD_KIND(N, k) != TZ_KIND_VALUE, \
		       "TZ_STRUCT(" #T "): " #field " is a struct itself: write (its type, " #field ")");
#define TZ__FIELD_TYPE_PAIR_(T, N, k, type_, field) \
	TZ__FIELD_TYPES(T, N, k, field) \
	_Static_assert(__builtin_types_compatible_p(TZ__ELEMENT(N, k), type_), \
		       "TZ_STRUCT(" #T "): " #field " has another type than " #type_);
#endif

#define TZ__FIELD_ENTRY(T, N, k, field, type) \
	{ #field, \
	  { TZ__FIELD_KIND(N, k), (uint32_t)sizeof(TZ__ELEMENT(N, k)), type, TZ__FIELD_IDENTITY(N, k) }, \
	  (uint32_t)offsetof(T, field), \
	  (uint32_t)(sizeof(((T *)0)->field) / sizeof(TZ__ELEMENT(N, k))) },

/* M(T, N, k, field) for each field, k from 0 on. */
#define TZ__EACH(M, T, N, ...) TZ__EACH_COUNT(__VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, ~)(M, T, N, __VA_ARGS__)
#define TZ__EACH_COUNT(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, n, ...) TZ__EACH_##n
#define TZ__EACH_1(M, T, N, f) M(T, N, 1, f)
#define TZ__EACH_2(M, T, N, f, ...) M(T, N, 2, f) TZ__EACH_1(M, T, N, __VA_ARGS__)
#define TZ__EACH_3(M, T, N, f, ...) M(T, N, 3, f) TZ__EACH_2(M, T, N, __VA_ARGS__)
#define TZ__EACH_4(M, T, N, f, ...) M(T, N, 4, f) TZ__EACH_3(M, T, N, __VA_ARGS__)
#define TZ__EACH_5(M, T, N, f, ...) M(T, N, 5, f) TZ__EACH_4(M, T, N, __VA_ARGS__)
#define TZ__EACH_6(M, T, N, f, ...) M(T, N, 6, f) TZ__EACH_5(M, T, N, __VA_ARGS__)
#define TZ__EACH_7(M, T, N, f, ...) M(T, N, 7, f) TZ__EACH_6(M, T, N, __VA_ARGS__)
#define TZ__EACH_8(M, T, N, f, ...) M(T, N, 8, f) TZ__EACH_7(M, T, N, __VA_ARGS__)
#define TZ__EACH_9(M, T, N, f, ...) M(T, N, 9, f) TZ__EACH_8(M, T, N, __VA_ARGS__)
#define TZ__EACH_10(M, T, N, f, ...) M(T, N, 10, f) TZ__EACH_9(M, T, N, __VA_ARGS__)
#define TZ__EACH_11(M, T, N, f, ...) M(T, N, 11, f) TZ__EACH_10(M, T, N, __VA_ARGS__)
#define TZ__EACH_12(M, T, N, f, ...) M(T, N, 12, f) TZ__EACH_11(M, T, N, __VA_ARGS__)
#define TZ__EACH_13(M, T, N, f, ...) M(T, N, 13, f) TZ__EACH_12(M, T, N, __VA_ARGS__)
#define TZ__EACH_14(M, T, N, f, ...) M(T, N, 14, f) TZ__EACH_13(M, T, N, __VA_ARGS__)
#define TZ__EACH_15(M, T, N, f, ...) M(T, N, 15, f) TZ__EACH_14(M, T, N, __VA_ARGS__)
#define TZ__EACH_16(M, T, N, f, ...) M(T, N, 16, f) TZ__EACH_15(M, T, N, __VA_ARGS__)
#define TZ__EACH_17(M, T, N, f, ...) M(T, N, 17, f) TZ__EACH_16(M, T, N, __VA_ARGS__)
#define TZ__EACH_18(M, T, N, f, ...) M(T, N, 18, f) TZ__EACH_17(M, T, N, __VA_ARGS__)
#define TZ__EACH_19(M, T, N, f, ...) M(T, N, 19, f) TZ__EACH_18(M, T, N, __VA_ARGS__)
#define TZ__EACH_20(M, T, N, f, ...) M(T, N, 20, f) TZ__EACH_19(M, T, N, __VA_ARGS__)
#define TZ__EACH_21(M, T, N, f, ...) M(T, N, 21, f) TZ__EACH_20(M, T, N, __VA_ARGS__)
#define TZ__EACH_22(M, T, N, f, ...) M(T, N, 22, f) TZ__EACH_21(M, T, N, __VA_ARGS__)
#define TZ__EACH_23(M, T, N, f, ...) M(T, N, 23, f) TZ__EACH_22(M, T, N, __VA_ARGS__)
#define TZ__EACH_24(M, T, N, f, ...) M(T, N, 24, f) TZ__EACH_23(M, T, N, __VA_ARGS__)
#define TZ__EACH_25(M, T, N, f, ...) M(T, N, 25, f) TZ__EACH_24(M, T, N, __VA_ARGS__)
#define TZ__EACH_26(M, T, N, f, ...) M(T, N, 26, f) TZ__EACH_25(M, T, N, __VA_ARGS__)
#define TZ__EACH_27(M, T, N, f, ...) M(T, N, 27, f) TZ__EACH_26(M, T, N, __VA_ARGS__)
#define TZ__EACH_28(M, T, N, f, ...) M(T, N, 28, f) TZ__EACH_27(M, T, N, __VA_ARGS__)
#define TZ__EACH_29(M, T, N, f, ...) M(T, N, 29, f) TZ__EACH_28(M, T, N, __VA_ARGS__)
#define TZ__EACH_30(M, T, N, f, ...) M(T, N, 30, f) TZ__EACH_29(M, T, N, __VA_ARGS__)
#define TZ__EACH_31(M, T, N, f, ...) M(T, N, 31, f) TZ__EACH_30(M, T, N, __VA_ARGS__)
#define TZ__EACH_32(M, T, N, f, ...) M(T, N, 32, f) TZ__EACH_31(M, T, N, __VA_ARGS__)

#endif
