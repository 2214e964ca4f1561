/* Which sanitizer this is compiled for, said in one way for gcc and clang. */
#ifndef TZ_OS_SANITIZER_H
#define TZ_OS_SANITIZER_H

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define TZ_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
#define TZ_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define TZ_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define TZ_TSAN 0
#endif

#define TZ_NO_SANITIZE __attribute__((no_sanitize_address, no_sanitize_thread))

#endif
