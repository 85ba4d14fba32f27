#!/bin/sh
# consumer.sh shared|static|cmake|moved SOURCE WORK: builds a stranger's program against the installed tree and runs it.
# `moved`: the tree is not where it was installed.
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
  moved)
    cp -a "$CMAKE_PREFIX_PATH" elsewhere
    new=$work/elsewhere
    if grep -rl --include='*.pc' --include='*.cmake' "$CMAKE_PREFIX_PATH" "$new"; then exit 1; fi
    PKG_CONFIG_PATH=$new${PKG_CONFIG_PATH#"$CMAKE_PREFIX_PATH"} LD_LIBRARY_PATH=$new${LD_LIBRARY_PATH#"$CMAKE_PREFIX_PATH"}
    pkg-config --cflags smartvpn | grep -q "$new"
    for form in smartvpn smartvpn-static; do
      cc "$source/consumer.c" $(pkg-config --cflags --libs $form) -o $form
      ./$form
    done
    CMAKE_PREFIX_PATH=$new cmake -S "$source" -B build > /dev/null
    cmake --build build > /dev/null
    grep -q "^smartvpn_DIR:PATH=$new" build/CMakeCache.txt
    ./build/shared
    rm -rf elsewhere
    ;;
esac
