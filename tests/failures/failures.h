/* Tests of failures that other libraries are known for: each is named after its row in docs/failures.md. A program runs the cases that match its
 * argument ("row_21*"), or all. */
#ifndef TRENZA_TESTS_FAILURES_H
#define TRENZA_TESTS_FAILURES_H

#include "abilities.h"
#include "check.h"
#include "crew.h"

static inline void choose(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
}

#endif
