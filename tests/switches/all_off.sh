#!/bin/sh
# all_off.sh SOURCE FOLDER CMAKE CC CXX: builds the library with every SMARTVPN_WITH_* off and warnings as errors, in
# large pieces and without optimisation, and holds it to test_switches.c and to the reviewed symbols.
set -eu
source=$1 folder=$2 cmake=$3 cc=$4 cxx=$5
options=$(sed -n 's/^option(\(SMARTVPN_WITH_[A-Z_]*\) .*/-D\1=OFF/p' "$source/cmake/Options.cmake")
[ -n "$options" ]
rm -rf "$folder"
# shellcheck disable=SC2086 # one word each
"$cmake" -S "$source" -B "$folder" -G Ninja $options -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DCMAKE_UNITY_BUILD=ON -DSMARTVPN_WERROR=ON \
  -DSMARTVPN_BUILD_EXAMPLES=OFF
"$cmake" --build "$folder" -j 2 --target smartvpn smartvpn_static abi_cmocka_switches
"$folder/tests/abi/abi_cmocka_switches"
sh "$source/tests/abi/symbols.sh" shared "$folder/src/libsmartvpn.so" "$source/tests/abi/symbols.txt"
sh "$source/tests/abi/symbols.sh" static "$folder/src/libsmartvpn.a" "$source/tests/abi/symbols.txt"
