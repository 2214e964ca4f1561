/* What cmocka.h wants before it, and cmocka.h. */
#ifndef TRENZA_TESTS_CHECK_H
#define TRENZA_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
