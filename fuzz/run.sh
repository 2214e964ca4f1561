#!/bin/bash
# Fuzzes for a short time each, from seeds: what the programs of this folder say is a case each.
# run.sh SOURCE_ROOT STATIC_LIBRARY [SECONDS [NAME...]]
#
# The sources of the room under test are compiled for the fuzzer; the rest of the library is taken as it is. A finding
# stays in the current folder, as crash-*, and is run again by giving it to the program: compile NAME by hand with
#     clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Iinclude -Isrc fuzz/NAME.c SOURCES BUILD/src/libtrenza.a -pthread
root=$(cd "$1" && pwd)
. "$root/tests/tap.sh"
library=$(realpath "$2")
seconds=${3:-5}
shift $(($# > 3 ? 3 : $#))
work=$(mktemp -d)
trap 'rm -rf "$work" "$tap_log"' EXIT

[ $# -gt 0 ] || set -- wire_args wire_result wire_name wire_value connection handshake
# What is under test, and what it needs beside the library.
sources() {
    case $1 in
    wire_*) echo "$root"/src/wire/*.c ;;
    connection) echo "$root"/src/shared/connection*.c ;;
    handshake) echo "-I$root/modules/net -I$root/modules/net/include $root/modules/net/handshake.c -lcrypto" ;;
    esac
}
compile() {
    # Words, and names without spaces.
    # shellcheck disable=SC2046
    clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -std=c11 -D_GNU_SOURCE -Wall -Wextra \
        -I"$root/include" -I"$root/src" "$root/fuzz/$1.c" $(sources "$1") "$library" -pthread -o "$work/$1"
}
fuzz() {
    mkdir "$work/$1.seeds" && "$work/$1" --seeds="$work/$1.seeds" &&
        "$work/$1" -max_total_time="$seconds" -timeout=10 -max_len=1024 -print_final_stats=1 "$work/$1.seeds"
}

echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n > 9; }' >"$work/probe.c"
if ! clang -fsanitize=fuzzer,address "$work/probe.c" -o "$work/probe" 2>/dev/null; then
    skip 'fuzzing' 'there is no clang with a fuzzer (libclang-rt-dev)'
    finish
    exit
fi
for name; do
    if [ "$name" = handshake ] && ! pkg-config --exists libcrypto; then
        skip "$name" 'there is no OpenSSL to compile with (libssl-dev)'
        continue
    fi
    check "$name compiles" compile "$name"
    check "$name finds nothing in $seconds s" fuzz "$name"
done
finish
