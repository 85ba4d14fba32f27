#!/bin/sh
# consumer.sh shared|static|cmake SOURCE WORK: builds a stranger's program against the installed tree and runs it.
set -eu
form=$1 source=$2 work=$3
rm -rf "$work"
mkdir -p "$work"
cd "$work"
case $form in
  shared)
    $CC -std=c99 -Wall -Wextra -Wpedantic -Werror "$source/consumer.c" $(pkg-config --cflags --libs smartvpn) -o consumer
    ./consumer
    ;;
  static)
    $CC -std=c99 "$source/consumer.c" $(pkg-config --cflags --libs smartvpn-static) -o consumer
    if readelf -d consumer | grep -q libsmartvpn; then echo "linked the shared library"; exit 1; fi
    LD_LIBRARY_PATH= ./consumer
    pkg-config --static --libs smartvpn | grep -q -e '-lsodium'
    ;;
  cmake)
    cmake -S "$source" -B build > /dev/null
    cmake --build build > /dev/null
    ./build/shared
    LD_LIBRARY_PATH= ./build/static
    ;;
esac
