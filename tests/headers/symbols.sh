#!/bin/bash
# The library exports exactly what the public headers declare and src/trenza.map lists.
# symbols.sh SOURCE_ROOT LIBRARY
. "$(dirname "$0")/../tap.sh"
export LC_ALL=C
symbols=$1/scripts/symbols
library=$2

same() { diff -u <("$symbols" $1) <("$symbols" $2); }
prefixed() { ! "$symbols" --library "$library" | grep -v '^tz_'; }
versioned() { ! nm -D --defined-only --with-symbol-versions "$library" | grep -v ' A ' | grep -v '@@TRENZA_'; }
dynamic() { readelf -Wd "$library" | tee /dev/stderr | grep -Eq "$1"; }
# libgcc_s unwinds the stack of a thread that ends early, as libc itself has it do.
libc_alone() { ! readelf -Wd "$library" | grep '(NEEDED)' | grep -Ev '\[(libc\.so\.6|libgcc_s\.so\.1|ld-linux[^]]*)\]'; }

check "the map lists what the headers declare (run scripts/symbols --write after a change)" same "" --map
check "the library exports what the map lists" same --map "--library $library"
check "each exported symbol begins with tz_" prefixed
check "each exported symbol has a version" versioned
check "the soname is libtrenza.so.0" dynamic '\(SONAME\).*\[libtrenza\.so\.0\]'
check "the library stays mapped after dlclose" dynamic 'NODELETE'
check "the library needs libc alone" libc_alone
finish
