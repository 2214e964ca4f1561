#!/bin/bash
# A program is taken over before main(), however it was compiled and linked, and where that cannot be, its main() does not run again.
# boot.sh SOURCE_ROOT SHARED_LIBRARY STATIC_LIBRARY
. "$(dirname "$0")/../tap.sh"
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$1" && pwd)
shared=$(cd "$(dirname "$2")" && pwd)
static=$(realpath "$3")
work=$(mktemp -d)
trap 'rm -rf "$work" "$tap_log"' EXIT
flags="-I$root/include -Wall -Wextra -Werror"
c='-x c -std=c11'
cxx='-x c++ -std=c++17'
dynamic=(-L "$shared" -Wl,-rpath,"$shared" -ltrenza)
all='forkserver spawn fork'
unset LD_PRELOAD
# What the library orders with atomics the sanitizer does not see if the library is not built for it.
export TSAN_OPTIONS=ignore_noninstrumented_modules=1

# build OUTPUT TASKS COMPILER... -- LIBRARIES...
build() {
    local output=$1 tasks=$2 command=()
    shift 2
    while [ $# -gt 0 ] && [ "$1" != -- ]; do command+=("$1"); shift; done
    shift
    "${command[@]}" $flags -DTASKS="$tasks" "$here/program.c" -x none "$@" -pthread -o "$output"
}

# says EXPECTED COMMAND...
says() {
    local expected=$1 answer
    shift
    answer=$(timeout 120 "$@" 2>"$work/errors")
    echo "it says $answer"
    cat "$work/errors"
    [ "$answer" = "$expected" ]
}

# linked TITLE COMPILER... -- LIBRARIES...: and nothing is left behind
linked() {
    local how=$1
    shift
    check "$how: builds" build "$work/program" 0 "$@"
    check "$how: is taken over" says 'main 525 525 525' "$work/program" $all
}

linked 'gcc' gcc $c -- "${dynamic[@]}"
linked 'gcc, not position-independent' gcc $c -fno-pie -no-pie -- "${dynamic[@]}"
linked 'gcc, whole program' gcc $c -O2 -flto -- "${dynamic[@]}"
linked 'gcc, all bound at the start' gcc $c -Wl,-z,now -- "${dynamic[@]}"
linked 'gcc, libc first' gcc $c -- -Wl,--no-as-needed -lc "${dynamic[@]}"
linked 'gcc, no build-id' gcc $c -Wl,--build-id=none -- "${dynamic[@]}"
linked 'clang' clang $c -- "${dynamic[@]}"
linked 'g++' g++ $cxx -- "${dynamic[@]}"
linked 'clang++' clang++ $cxx -- "${dynamic[@]}"
linked 'gcc, address sanitizer' gcc $c -fsanitize=address -- "${dynamic[@]}"
linked 'clang, address sanitizer' clang $c -fsanitize=address -- "${dynamic[@]}"
linked 'gcc, thread sanitizer' gcc $c -fsanitize=thread -- "${dynamic[@]}"
linked 'clang, thread sanitizer' clang $c -fsanitize=thread -- "${dynamic[@]}"
linked 'gcc, undefined behaviour sanitizer' gcc $c -fsanitize=undefined -- "${dynamic[@]}"

linked 'archive' gcc $c -- "$static"
linked 'archive, not position-independent' gcc $c -fno-pie -no-pie -- "$static"
linked 'archive, static' gcc $c -static -- -Wl,--no-warnings "$static"
linked 'archive, static and position-independent' gcc $c -fPIE -static-pie -- -Wl,--no-warnings "$static"
linked 'archive, C++, static' g++ $cxx -static -- -Wl,--no-warnings "$static"
linked 'archive, clang++' clang++ $cxx -- "$static"
linked 'archive, before the program' gcc $c "-Wl,--whole-archive,$static,--no-whole-archive" --

# The library is not the program's own, or comes later.
check 'a library of the user builds' build "$work/libuser.so" 1 gcc $c -shared -fPIC -- "${dynamic[@]}"
check 'a program that has trenza by it builds' build "$work/program" 2 gcc $c -- -L "$work" -luser "-Wl,-rpath,$work" "-Wl,-rpath-link,$shared"
check '... and is taken over' says 'main 525 525 525' "$work/program" $all
check 'a program with a plugin builds' build "$work/program" 3 gcc $c -- -ldl
check '... and is taken over' says 'main 525 525 525' "$work/program" "$work/libuser.so" $all

library=$(ldconfig -p | sed -n 's/.*libm\.so\.6 (.*x86-64.* => //p' | head -n 1)
[ -e "$library" ] || library=$(gcc -print-file-name=libm.so.6)

# Where the executable is.
check 'a program builds' build "$work/program" 0 gcc $c -- "${dynamic[@]}"
cp "$work/program" "$work/gone"
check 'a program whose file was removed' says 'main 525 525 525' env REMOVE=1 "$work/gone" $all
mkdir -p "$work/a b"
cp "$work/program" "$work/a b/program"
check 'a path with a space' says 'main 525 525 525' "$work/a b/program" $all

# ... and where the library is: a list of libraries to load first ends a path at some characters.
pools='processes:workers=2,start=forkserver processes:workers=2,start=spawn processes:workers=2,start=fork'
odd="$work/with space:and colon; \$LIB"
mkdir -p "$odd"
cp "$shared/libtrenza.so.0" "$shared/libtrenza-boot.so" "$odd"
check 'a program that finds the library where it lies itself builds' build "$odd/program" 0 gcc $c -- -L "$shared" '-Wl,-rpath,$ORIGIN' -ltrenza
check '... and is taken over where the path has spaces and colons' says 'main 525 525 525' "$odd/program" $all
check '... pools, too' says 'main 525 525 525' "$odd/program" $pools
check '... and what was preloaded stays preloaded' says 'main 525 525' env LD_PRELOAD="$library" PRELOAD="$library" "$odd/program" forkserver spawn
cp "$odd/program" "$odd/gone"
check '... also by a file that was removed' says 'main 525 525 525' env REMOVE=1 "$odd/gone" $all
if command -v valgrind >/dev/null; then
    build "$odd/program" 0 gcc $c -- -L "$shared" '-Wl,-rpath,$ORIGIN' -ltrenza
    check '... and by valgrind, of the children too' says 'main 525 525 525' valgrind -q --trace-children=yes "$odd/program" $all
else
    skip '... and by valgrind, of the children too' 'there is none'
fi
check 'an archive in a static program builds' build "$odd/alone" 0 gcc $c -static -- -Wl,--no-warnings "$static"
check '... and is taken over where the path has spaces and colons' says 'main 525 525 525' "$odd/alone" $all
check '... pools, too' says 'main 525 525 525' "$odd/alone" $pools
cd "$work" || exit 1
check 'a relative path' says 'main 525 525 525' ./program $all
cd / || exit 1
if command -v valgrind >/dev/null; then
    check 'valgrind' says 'main 525 525 525' valgrind -q "$work/program" $all
    check 'valgrind, of the children too' says 'main 525 525 525' valgrind -q --trace-children=yes "$work/program" $all
else
    skip 'valgrind' 'there is none'
fi
check 'what was preloaded stays preloaded' says 'main 525 525 525' env LD_PRELOAD="$library" PRELOAD="$library" "$work/program" $all

# What must not be.
check 'a constructor cannot start anything while it is taken over' says 'main 524 524 525' env EARLY=1 "$work/program" $all
not_run() { # WORD FD
    local answer
    answer=$(TRENZA_BOOT=$1 timeout 60 "$work/program" 9<>/dev/null)
    local code=$?
    echo "code $code, it says $answer"
    [ $code = 127 ] && [ -z "$answer" ]
}
file=$(stat -c %d:%i "$work/program")
check 'a program that should be taken over, and is not, ends' not_run "n:9:1:$file:$shared/libtrenza.so"
check '... also one that was to be spawned' not_run "s:9:1:$file:$shared/libtrenza.so"
check 'the word of another program means nothing' says 'main 525!environment' env TRENZA_BOOT="n:99:1:$file:$shared/libtrenza.so" "$work/program" fork
check '... nor does the word of another file' says 'main 525!environment' env TRENZA_BOOT="n:1:1:1:1:$shared/libtrenza.so" "$work/program" fork
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    cp "$work/program" "$work/setuid"
    chmod 755 "$work"
    chown 1:1 "$work/setuid"
    chmod 4755 "$work/setuid"
    check 'a set-user-ID program starts nothing anew' says 'main -1 -1' setpriv --reuid=65534 --regid=65534 --clear-groups "$work/setuid" forkserver spawn
else
    skip 'a set-user-ID program starts nothing anew' 'only root can make one'
fi
finish
