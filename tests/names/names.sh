#!/bin/bash
# Names of tasks hold from one process to another, however the program and its modules were compiled and linked.
# names.sh SOURCE_ROOT STATIC_LIBRARY
. "$(dirname "$0")/../tap.sh"
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$1" && pwd)
library=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work" "$tap_log"' EXIT
flags="-I$root/include -I$root/src -Wall -Wextra -Werror"

# module OUTPUT NUMBER ENTRY COMPILER...
module() {
    local output=$1 number=$2 entry=$3
    shift 3
    "$@" -O1 $flags -DMODULE="$number" -DENTRY="$entry" -fPIC -shared "$here/module.c" -o "$output"
}

# program OUTPUT COMPILER... [-- LIBRARIES...]
program() {
    local output=$1 command=()
    rm -f "$output"
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do command+=("$1"); shift; done
    shift
    "${command[@]}" $flags "$here/program.c" -x none "$library" "$@" -pthread -Wl,--unresolved-symbols=ignore-in-shared-libs -o "$output"
}

# says EXPECTED COMMAND...: what the command prints, in one line
says() {
    local expected=$1 answer
    shift
    answer=$("$@" 2>&1 | tr '\n' ' ')
    echo "it says $answer"
    [ "$answer" = "$expected " ]
}

c='-x c -std=c11'
cxx='-x c++ -std=c++17'

# The program's own tasks, by each way to compile and link it; and that they are the only descriptors in it.
alone() {
    local how=$1
    shift
    built() { program "$work/alone" "$@"; }
    check "$how: builds" built "$@" --
    check "$how: names hold" says '2 11' "$work/alone"
    check "$how: nothing else in it is a descriptor" says '2 0' "$work/alone" --scan
}
alone 'gcc' gcc $c
alone 'gcc -O2' gcc $c -O2
alone 'gcc, not position-independent' gcc $c -fno-pie -no-pie
alone 'gcc, static' gcc $c -static
alone 'gcc, static and position-independent' gcc $c -fPIE -static-pie
alone 'gcc, no build-id' gcc $c -Wl,--build-id=none
alone 'gcc, static, no build-id' gcc $c -static -Wl,--build-id=none
alone 'gcc, long build-id' gcc $c -Wl,--build-id=0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324
alone 'gcc, whole program' gcc $c -O2 -flto
alone 'gcc, garbage collected' gcc $c -O2 -ffunction-sections -fdata-sections -Wl,--gc-sections
alone 'gcc, nothing protected' gcc $c -Wl,-z,norelro
alone 'gcc, all bound at the start' gcc $c -Wl,-z,now -Wl,-z,relro
alone 'gcc, stripped' gcc $c -s
alone 'gcc, address sanitizer' gcc $c -fsanitize=address
alone 'clang' clang $c
alone 'clang, address sanitizer' clang $c -fsanitize=address
alone 'g++' g++ $cxx
alone 'g++ -O2' g++ $cxx -O2
alone 'clang++' clang++ $cxx
if command -v ld.lld >/dev/null; then
    alone 'clang, lld' clang $c -fuse-ld=lld
    alone 'clang, lld, garbage collected' clang $c -O2 -fuse-ld=lld -ffunction-sections -fdata-sections -Wl,--gc-sections -Wl,-z,start-stop-gc
fi
if command -v ld.gold >/dev/null; then
    alone 'gcc, gold' gcc $c -fuse-ld=gold -Wl,--gc-sections
fi

# Tasks of a library that the program is linked with, and of a plugin, which the other process has to load.
check 'the library builds' module "$work/liblibrary.so" 2 library_tasks gcc $c
for compiler in "gcc $c" "clang $c" "g++ $cxx" "gcc $c -Wl,--build-id=none" "gcc $c -Wl,-z,norelro"; do
    check "the plugin builds ($compiler)" module "$work/plugin.so" 3 plugin_tasks $compiler
    check "the program builds ($compiler)" program "$work/program" $compiler -DLIBRARY -- "$work/liblibrary.so" -ldl "-Wl,-rpath,$work"
    check "names hold in all modules ($compiler)" says '2 11 3 21 4 31' "$work/program" "$work/plugin.so"
    cd "$work" || exit 1
    check "a plugin that was loaded by a relative path ($compiler)" says '2 11 3 21 4 31' "$work/program" ./plugin.so
    cd / || exit 1
done

check 'the plugin builds' module "$work/plugin.so" 3 plugin_tasks gcc $c
check 'the program builds' program "$work/program" gcc $c -DLIBRARY -- "$work/liblibrary.so" -ldl "-Wl,-rpath,$work"
cp "$work/program" "$work/gone"
check 'a program whose file was removed' says '2 11 3 21 4 31' env REMOVE="$work/gone" "$work/gone" "$work/plugin.so"
check '... was removed' test ! -e "$work/gone"
mapfile -t names < <("$work/program" --write "$work/plugin.so")
check 'six names' test ${#names[@]} = 6
check 'names hold over runs' says '2 11 3 21 4 31' "$work/program" --resolve "${names[@]}"

check 'a plugin whose task was resolved stays loaded' says '4 4' "$work/program" --keep "$work/plugin.so"
cp "$work/plugin.so" "$work/copy.so"
check 'two copies of a plugin are two modules' says '0 1 1' "$work/program" --two "$work/plugin.so" "$work/copy.so"

# Names that are not true, or not true any more.
check 'another program does not know them' program "$work/other" gcc $c -O2 -- -ldl
check '... but for the plugin, which it loads' says 'No such file or directory 4' "$work/other" --resolve "${names[0]}" "${names[4]}"
mv "$work/plugin.so" "$work/away.so"
check 'a plugin that is not there' says 'No such file or directory 2' "$work/program" --resolve "${names[4]}" "${names[0]}"
check 'another build of the plugin' module "$work/plugin.so" 4 plugin_tasks gcc $c
check '... is not taken for it' says 'Stale file handle 2' "$work/program" --resolve "${names[5]}" "${names[0]}"
echo 'no module' >"$work/plugin.so"
check 'a file that is no module' says 'Stale file handle' "$work/program" --resolve "${names[5]}"
rm "$work/plugin.so"
mkfifo "$work/plugin.so"
check 'a pipe' says 'Stale file handle' timeout 20 "$work/program" --resolve "${names[5]}"

# Bytes that are no names: cut off, and changed in each byte. The path is a hint only, once the module is loaded.
changed() { # FROM TO, in digits
    local name=${names[4]} i
    for ((i = $1; i < $2; i += 2)); do
        printf '%s%02x%s\n' "${name:0:i}" $((0x${name:i:2} ^ 0x41)) "${name:i+2}"
    done | xargs "$work/program" --resolve
}
wrong() {
    local name=${names[4]} i
    for ((i = 0; i < ${#name}; i += 2)); do
        printf '00%s\n' "${name:0:i}"
    done | xargs "$work/program" --resolve | grep -v '^Bad message$' && return 1
    changed 0 96 | grep -Ev '^(Bad message|No such file or directory|Stale file handle|Exec format error)$' && return 1
    ! changed 96 ${#name} | grep -Ev '^(4|Bad message|No such file or directory)$'
}
rm "$work/plugin.so"
mv "$work/away.so" "$work/plugin.so"
check 'wrong names are refused' wrong
check 'a relative path is refused' says 'Bad message' "$work/program" --resolve "$(sed 's/2f746d70/2e746d70/' <<<"${names[4]}")"
finish
