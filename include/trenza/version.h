/* Version: of the headers by macro, of the library that is running by function.
 *
 *     #if TZ_VERSION >= TZ_VERSION_NUMBER(0, 2, 0)
 */
#ifndef TRENZA_VERSION_H
#define TRENZA_VERSION_H

#include <trenza/base.h>

#if defined(__GNUC__)
#pragma GCC system_header
#endif

TZ_BEGIN_DECLS

/* The build reads these three lines; the version is written nowhere else. */
#define TZ_VERSION_MAJOR 0
#define TZ_VERSION_MINOR 1
#define TZ_VERSION_PATCH 0

/* TZ_VERSION, TZ_VERSION_NUMBER, TZ_VERSION_MAJOR, TZ_VERSION_MINOR, TZ_VERSION_PATCH - the version of the headers that a program is compiled
 * with, as one number that grows with every release, and in three parts.
 *
 * Form: int TZ_VERSION_NUMBER(int major, int minor, int patch)
 * Ownership: none.
 * Threads: any.
 * Errors: none; all are constant, also for #if. */
#define TZ_VERSION_NUMBER(major, minor, patch) ((major) * 1000000 + (minor) * 1000 + (patch))
#define TZ_VERSION TZ_VERSION_NUMBER(TZ_VERSION_MAJOR, TZ_VERSION_MINOR, TZ_VERSION_PATCH)

/* tz_version - the version of the library that is running, in the form of TZ_VERSION.
 *
 * A program that was compiled with newer headers than the library it runs with sees tz_version() < TZ_VERSION.
 *
 * Ownership: none.
 * Threads: any; async-signal-safe.
 * Errors: none. */
TZ_API int tz_version(void);

TZ_END_DECLS

#endif
