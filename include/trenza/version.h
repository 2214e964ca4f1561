/* The version of trenza: of the headers by macro, of the library that is running by function. */
#ifndef TRENZA_VERSION_H
#define TRENZA_VERSION_H

/* The build reads these three lines; the version is written nowhere else. */
#define TZ_VERSION_MAJOR 0
#define TZ_VERSION_MINOR 1
#define TZ_VERSION_PATCH 0

/* One number that grows with every release: #if TZ_VERSION >= TZ_VERSION_NUMBER(0, 2, 0) */
#define TZ_VERSION_NUMBER(major, minor, patch) ((major) * 1000000 + (minor) * 1000 + (patch))
#define TZ_VERSION TZ_VERSION_NUMBER(TZ_VERSION_MAJOR, TZ_VERSION_MINOR, TZ_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Answers the version of the library that is running, in the form of TZ_VERSION. A program that was compiled
 * against newer headers than it runs with sees tz_version() < TZ_VERSION.
 *
 * Ownership: none.
 * Threads: any, also from a signal handler.
 * Errors: none.
 */
__attribute__((visibility("default"))) int tz_version(void);

#ifdef __cplusplus
}
#endif

#endif
