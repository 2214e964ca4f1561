#!/bin/bash
# Programs outside the tree find, build against and run with the installed library, in C and in C++: by
# pkg-config, by CMake, statically, and with trenza as a Meson subproject.
# outside.sh SOURCE_ROOT VERSION
. "$(dirname "$0")/../tap.sh"
here=$(cd "$(dirname "$0")" && pwd)
root=$1
version=$2
work=$(mktemp -d)
trap 'rm -rf "$work" "$tap_log"' EXIT
prefix=$work/prefix
libdir=$prefix/lib
export PKG_CONFIG_PATH=$libdir/pkgconfig
strict='-pedantic -Wall -Wextra -Werror'
net=disabled
! pkg-config --exists libcrypto || net=enabled

install_to_prefix() {
    meson setup "$work/build" "$root" --prefix="$prefix" --libdir=lib --buildtype=plain --auto-features=disabled -Dnet="$net" &&
        meson install -C "$work/build"
}

# The program runs, and says the version that was installed.
says_version() { [ "$("$@")" = "$version" ]; }

by_pkg_config() { # COMPILER STANDARD SOURCE
    "$1" -std="$2" $strict "$here/$3" -o "$work/$3.pc" $(pkg-config --cflags --libs trenza) &&
        LD_LIBRARY_PATH=$libdir says_version "$work/$3.pc" && ldd "$work/$3.pc" | grep -q libtrenza
}

with_net() {
    gcc -std=c11 $strict "$here/net.c" -o "$work/net" $(pkg-config --cflags --libs trenza-net) &&
        LD_LIBRARY_PATH=$libdir says_version "$work/net" && ldd "$work/net" | grep -q libtrenza-net &&
        ! ldd "$libdir/libtrenza.so" | grep crypto
}

statically() { # COMPILER STANDARD SOURCE
    "$1" -std="$2" $strict -static -Wl,--fatal-warnings "$here/$3" -o "$work/$3.static" $(pkg-config --static --cflags --libs trenza) &&
        says_version "$work/$3.static"
}

by_cmake() {
    cmake -S "$here" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release &&
        cmake --build "$work/cmake" || return 1
    for program in "$work"/cmake/program-*; do
        says_version "$program" || return 1
    done
}

moved_by_cmake() { # the installed tree works at another place
    mv "$prefix" "$work/moved" &&
        cmake -S "$here" -B "$work/cmake-moved" -DCMAKE_PREFIX_PATH="$work/moved" &&
        cmake --build "$work/cmake-moved" &&
        says_version "$work/cmake-moved/program-c-trenza"
}

refused_by_cmake() { # an older series than this one
    mkdir "$work/refused" &&
        printf 'cmake_minimum_required(VERSION 3.16)\nproject(x C)\nfind_package(trenza 99.0 REQUIRED)\n' \
            >"$work/refused/CMakeLists.txt" &&
        ! cmake -S "$work/refused" -B "$work/refused/build" -DCMAKE_PREFIX_PATH="$prefix"
}

as_subproject() {
    project=$work/project
    mkdir -p "$project/subprojects" && ln -s "$root" "$project/subprojects/trenza" &&
        cp "$here/subproject.build" "$project/meson.build" && cp "$here"/program.c* "$project" &&
        meson setup "$project/build" "$project" --buildtype=plain && ninja -C "$project/build" &&
        says_version "$project/build/program-c" && says_version "$project/build/program-cc"
}

nothing_else_built() { # no test, tool or example is part of another project's build
    ! find "$work/project/build/subprojects/trenza" -type f -executable ! -name 'libtrenza.so*' ! -name libtrenza-boot.so ! -name libtrenza-boot.so | grep .
}

check "installs to a prefix" install_to_prefix
check "pkg-config knows version $version" [ "$(pkg-config --modversion trenza)" = "$version" ]
check "C program by pkg-config" by_pkg_config gcc c11 program.c
check "C program by pkg-config, with clang" by_pkg_config clang c11 program.c
check "C++ program by pkg-config" by_pkg_config g++ c++17 program.cc
check "C++ program by pkg-config, with clang" by_pkg_config clang++ c++17 program.cc
if [ $net = enabled ]; then
    check "C program with the module trenza-net, which alone needs OpenSSL" with_net
else
    skip "C program with the module trenza-net" 'there is no OpenSSL to compile with (libssl-dev)'
fi
check "C program, all static" statically gcc c11 program.c
check "C++ program, all static" statically g++ c++17 program.cc
check "C and C++ programs by CMake, shared and static" by_cmake
check "CMake refuses a version that is not this one" refused_by_cmake
check "an installed tree can be moved" moved_by_cmake
check "C and C++ programs with trenza as a Meson subproject" as_subproject
check "as a subproject it builds the library alone" nothing_else_built
finish
