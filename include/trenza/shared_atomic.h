/* Atomic operations on plain numbers in shared memory: for who does not know <stdatomic.h>, and for C++.
 *
 *     struct account {
 *             long balance;
 *     };
 *
 *     static void deposit(struct account *a) { (void)tz_shared_add(&a->balance, 1); }
 *
 * This is the way to change a number that several processes, or threads, change: `a->balance = a->balance + 1` reads, and writes later, and what others have written
 * in between is lost. A number that is changed by these must be read by tz_shared_load while others may change it.
 *
 * They work on integers, floating numbers, bool, enums and pointers of up to 8 bytes, in any memory; the objects are plain, not _Atomic: those do all this by their operators. All
 * of them happen in one order that everybody sees. A process that is killed has done such an operation or has not; there is nothing in between.
 */
#ifndef TRENZA_SHARED_ATOMIC_H
#define TRENZA_SHARED_ATOMIC_H

#include <trenza/base.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

/* tz_shared_load - the number at p.
 *
 * Form: long tz_shared_load(const long *p)
 * Ownership: none.
 * Threads: any, of any process.
 * Errors: an object of more than 8 bytes does not compile. */

/* tz_shared_store - writes a number to p.
 *
 * Form: void tz_shared_store(long *p, long value)
 * Ownership: none.
 * Threads: any, of any process.
 * Errors: as tz_shared_load. */

/* tz_shared_exchange - writes a number to p; the answer is what was there.
 *
 * Form: long tz_shared_exchange(long *p, long value)
 * Ownership: none.
 * Threads: any, of any process.
 * Errors: as tz_shared_load. */

/* tz_shared_cas - writes `desired` to p if *expected is there, and answers true; else writes what is there to *expected, and answers false.
 *
 * Form: bool tz_shared_cas(long *p, long *expected, long desired)
 * Ownership: none.
 * Threads: any, of any process.
 * Errors: as tz_shared_load. */

/* tz_shared_add - adds to the number at p; the answer is the sum. Integers overflow without harm, to the other end of their range. Not for bool, enums and pointers.
 *
 * Form: long tz_shared_add(long *p, long by)
 * Ownership: none.
 * Threads: any, of any process.
 * Errors: an object that is no number does not compile. */

#ifdef __cplusplus
extern "C++" {
template <typename T> struct tz__plain {
	typedef T type;
};
template <typename T> struct tz__plain<const T> {
	typedef T type;
};
template <typename T> static inline typename tz__plain<T>::type tz_shared_load(T *p)
{
	typename tz__plain<T>::type value;
	static_assert(sizeof(T) <= 8, "tz_shared_load: an object of more than 8 bytes");
	__atomic_load(p, &value, __ATOMIC_SEQ_CST);
	return value;
}
template <typename T, typename U> static inline void tz_shared_store(T *p, U to)
{
	T value = static_cast<T>(to);
	static_assert(sizeof(T) <= 8, "tz_shared_store: an object of more than 8 bytes");
	__atomic_store(p, &value, __ATOMIC_SEQ_CST);
}
template <typename T, typename U> static inline T tz_shared_exchange(T *p, U to)
{
	T value = static_cast<T>(to), before;
	static_assert(sizeof(T) <= 8, "tz_shared_exchange: an object of more than 8 bytes");
	__atomic_exchange(p, &value, &before, __ATOMIC_SEQ_CST);
	return before;
}
template <typename T, typename U> static inline bool tz_shared_cas(T *p, T *expected, U to)
{
	T value = static_cast<T>(to);
	static_assert(sizeof(T) <= 8, "tz_shared_cas: an object of more than 8 bytes");
	return __atomic_compare_exchange(p, expected, &value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
template <typename T, bool whole> struct tz__adder {
	static inline T add(T *p, T by)
	{
		return __atomic_add_fetch(p, by, __ATOMIC_SEQ_CST);
	}
};
template <typename T> struct tz__adder<T, false> {
	static inline T add(T *p, T by)
	{
		T before = tz_shared_load(p), after;
		do
			after = before + by;
		while (!__atomic_compare_exchange(p, &before, &after, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
		return after;
	}
};
template <typename T, typename U> static inline T tz_shared_add(T *p, U by)
{
	static_assert(sizeof(T) <= 8, "tz_shared_add: an object of more than 8 bytes");
	return tz__adder<T, (static_cast<T>(0.5) == 0)>::add(p, static_cast<T>(by));
}
}
#else
#define TZ__SHARED_CHECK(p) ((void)sizeof(struct { _Static_assert(sizeof(*(p)) <= 8, "an object of more than 8 bytes"); int tz__unused; }))
#define tz_shared_load(p) \
	__extension__({ \
		TZ__SHARED_CHECK(p); \
		__typeof__(({ \
			__auto_type tz__bare = *(p); \
			tz__bare; \
		})) tz__value; \
		__atomic_load((p), &tz__value, __ATOMIC_SEQ_CST); \
		tz__value; \
	})
#define tz_shared_store(p, value) \
	__extension__({ \
		TZ__SHARED_CHECK(p); \
		__typeof__(*(p)) tz__value = (value); \
		__atomic_store((p), &tz__value, __ATOMIC_SEQ_CST); \
	})
#define tz_shared_exchange(p, value) \
	__extension__({ \
		TZ__SHARED_CHECK(p); \
		__typeof__(*(p)) tz__value = (value), tz__before; \
		__atomic_exchange((p), &tz__value, &tz__before, __ATOMIC_SEQ_CST); \
		tz__before; \
	})
#define tz_shared_cas(p, expected, desired) \
	__extension__({ \
		TZ__SHARED_CHECK(p); \
		__typeof__(*(p)) tz__value = (desired); \
		__atomic_compare_exchange((p), (expected), &tz__value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? true : false; \
	})

#define TZ__SHARED_ADD_WHOLE(name, T) \
	static inline T tz__shared_add_##name(T *p, T by) \
	{ \
		return __atomic_add_fetch(p, by, __ATOMIC_SEQ_CST); \
	}
#define TZ__SHARED_ADD_FLOAT(name, T) \
	static inline T tz__shared_add_##name(T *p, T by) \
	{ \
		T before, after; \
		__atomic_load(p, &before, __ATOMIC_SEQ_CST); \
		do \
			after = before + by; \
		while (!__atomic_compare_exchange(p, &before, &after, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)); \
		return after; \
	}
TZ__SHARED_ADD_WHOLE(char, char)
TZ__SHARED_ADD_WHOLE(schar, signed char)
TZ__SHARED_ADD_WHOLE(uchar, unsigned char)
TZ__SHARED_ADD_WHOLE(short, short)
TZ__SHARED_ADD_WHOLE(ushort, unsigned short)
TZ__SHARED_ADD_WHOLE(int, int)
TZ__SHARED_ADD_WHOLE(uint, unsigned)
TZ__SHARED_ADD_WHOLE(long, long)
TZ__SHARED_ADD_WHOLE(ulong, unsigned long)
TZ__SHARED_ADD_WHOLE(llong, long long)
TZ__SHARED_ADD_WHOLE(ullong, unsigned long long)
TZ__SHARED_ADD_FLOAT(float, float)
TZ__SHARED_ADD_FLOAT(double, double)
#undef TZ__SHARED_ADD_WHOLE
#undef TZ__SHARED_ADD_FLOAT
#define tz_shared_add(p, by) \
	_Generic((p), \
		char *: tz__shared_add_char, \
		signed char *: tz__shared_add_schar, \
		unsigned char *: tz__shared_add_uchar, \
		short *: tz__shared_add_short, \
		unsigned short *: tz__shared_add_ushort, \
		int *: tz__shared_add_int, \
		unsigned *: tz__shared_add_uint, \
		long *: tz__shared_add_long, \
		unsigned long *: tz__shared_add_ulong, \
		long long *: tz__shared_add_llong, \
		unsigned long long *: tz__shared_add_ullong, \
		float *: tz__shared_add_float, \
		double *: tz__shared_add_double)(p, by)
#endif

#endif
