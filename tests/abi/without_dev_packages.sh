#!/bin/sh
# without_dev_packages.sh SOURCE PREFIX LIBDIR WORK: a program links the shared library of an installed tree where the
# -dev packages of the library's own dependencies are missing, by pkg-config and by CMake. In a root of its own.
set -eu
source=$1 prefix=$2 libdir=$3 work=$4
rm -rf "$work"
mkdir -p "$work"
cp -a "$prefix" "$work/prefix"
cp -a "$source/tests/abi/consumer" "$source/tests/packages/forget_dev_packages.sh" "$work"
cat > "$work/build.sh" <<SCRIPT
set -eux
sh /inside/forget_dev_packages.sh
export PKG_CONFIG_PATH=/inside/prefix/$libdir/pkgconfig LD_LIBRARY_PATH=/inside/prefix/$libdir CMAKE_PREFIX_PATH=/inside/prefix
cd /tmp
cc -std=c99 -Wall -Werror /inside/consumer/consumer.c \$(pkg-config --cflags --libs smartvpn) -o consumer
./consumer
cmake -S /inside/consumer -B build > /dev/null
cmake --build build --target shared > /dev/null
./build/shared
# The archive does need them: they really are missing.
if cc /inside/consumer/consumer.c \$(pkg-config --cflags --libs smartvpn-static) -o static; then exit 1; fi
SCRIPT
exec sh "$source/tests/packages/own_root.sh" "$work" sh /inside/build.sh
