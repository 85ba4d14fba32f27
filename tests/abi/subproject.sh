#!/bin/sh
# subproject.sh add|fetch SOURCE BUILD GENERATOR WORK [-DSWITCH...]: another CMake project takes smartvpn's source in. What
# BUILD has compiled is not compiled again (borrow_object.sh): what is tested is the description, not the sources.
set -eu
by=$1 source=$2 build=$3 generator=$4 work=$5
shift 5
rm -rf "$work"
mkdir -p "$work"
borrow="$source/tests/abi/borrow_object.sh;$build"
cmake -S "$source/tests/abi/subproject" -B "$work" -G "$generator" -DBY="$by" -DSMARTVPN_SOURCE="$source" \
  -DCONSUMER="$source/tests/abi/consumer/consumer.c" -DCMAKE_C_COMPILER_LAUNCHER="$borrow" \
  -DCMAKE_CXX_COMPILER_LAUNCHER="$borrow" "$@" > "$work/configure.log" 2>&1 || { cat "$work/configure.log"; exit 1; }
cmake --build "$work" --target shared static > "$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; exit 1; }
"$work/shared"
"$work/static"
if readelf -d "$work/static" | grep libsmartvpn; then exit 1; fi
rm -rf "$work/smartvpn" # hundreds of megabytes
