/* Tests of failures that other libraries are known for: each is named after its row in docs/failures.md. A program runs the cases that match its
 * argument ("row_21*"), or all. */
#ifndef TRENZA_TESTS_FAILURES_H
#define TRENZA_TESTS_FAILURES_H

#include "check.h"
#include "crew.h"

/* The thread sanitizer cannot do with threads in a child that was forked from several. */
#if defined(__SANITIZE_THREAD__)
#define NO_THREADS_AFTER_FORK 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_THREADS_AFTER_FORK 1
#endif
#endif

static inline void choose(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
}

#endif
