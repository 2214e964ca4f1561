/* What a test program can do in the build and on the machine that it is for. */
#ifndef TRENZA_TESTS_ABILITIES_H
#define TRENZA_TESTS_ABILITIES_H

/* gcc says by itself that it builds for a sanitizer; clang is asked. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define BUILT_FOR_SANITIZER 1
#else
#define BUILT_FOR_SANITIZER 0
#endif

/* What would end a process by SIGSEGV, SIGBUS or SIGFPE may be a report of the sanitizer, and an exit code of its own: .ci/run tells one of them to be the only one
 * to handle those. */
#if BUILT_FOR_SANITIZER
#define HANDLES_FAULTS 1
#else
#define HANDLES_FAULTS 0
#endif

/* Under qemu-user, which has limits and words of its own. */
#ifdef TRENZA_EMULATED
#define EMULATED 1
#else
#define EMULATED 0
#endif

/* A child that was forked by a process of several threads may start threads. Not so with the thread sanitizer,
 * which ends it; with the address sanitizer, whose allocator may have been locked by another thread; nor under qemu-user 7.2, which
 * fails an assertion of its own. */
#if BUILT_FOR_SANITIZER || defined(TRENZA_EMULATED)
#define THREADS_AFTER_FORK 0
#else
#define THREADS_AFTER_FORK 1
#endif

/* There can be a nursery, and so processes that are not forks of the test. Not under qemu-user: it knows no clone() without a signal for the end, which hides the nursery's
 * start from the application, and executes nothing of the kind that it emulates. */
#define PROCESSES !EMULATED
#define NO_PROCESSES "1..0 # SKIP the emulator cannot start a nursery"

/* Code on a coroutine's stack may call pthread_exit. The thread sanitizer of clang 14 stops at that. */
#ifdef __SANITIZE_THREAD__
#define EXIT_ON_COROUTINES 0
#else
#define EXIT_ON_COROUTINES 1
#endif

#endif
