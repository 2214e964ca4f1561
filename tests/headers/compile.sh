#!/bin/sh
# Every public header compiles alone, without a warning, as C11 and as C++17, with gcc and clang.
# compile.sh SOURCE_ROOT
. "$(dirname "$0")/../tap.sh"

root=$1

# Without the pragma that hides warnings in our headers from their users.
copy=$(mktemp -d)
trap 'rm -rf "$copy" "$tap_log"' EXIT
cp -r "$root/include/." "$root"/modules/*/include/. "$copy"
find "$copy" -name '*.h' -exec sed -i '/^#pragma GCC system_header$/d' {} +

warnings='-pedantic -Wall -Wextra -Wconversion -Werror'

# alone HEADER COMPILER OPTIONS...
alone() {
    header=$1
    shift
    # Twice: the second time the guard must hold.
    printf '#include <%s>\n#include <%s>\nextern int not_empty;\n' "$header" "$header" |
        "$@" $warnings -fsyntax-only -I "$copy" -
}

for header in $(cd "$copy" && find . -name '*.h' | sed 's|^\./||' | sort); do
    for compiler in gcc clang; do
        check "$header as C11 with $compiler" alone "$header" $compiler -xc -std=c11
    done
    for compiler in g++ clang++; do
        check "$header as C++17 with $compiler" alone "$header" $compiler -xc++ -std=c++17
    done
done

# And so do the words of the headers, in a program that uses them.
used() { "$@" $warnings -fsyntax-only -I "$root/include" "$root/tests/headers/options.c"; }
for compiler in 'gcc -xc -std=c11' 'clang -xc -std=c11' 'g++ -xc++ -std=c++17' 'clang++ -xc++ -std=c++17'; do
    # shellcheck disable=SC2086
    check "options in place with $compiler" used $compiler
done
finish
