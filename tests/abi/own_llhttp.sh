#!/bin/sh
# own_llhttp.sh SOURCE WORK LLHTTP_FOLDER INCLUDE_FOLDER: builds a host with a llhttp of its own, made different from the
# library's: another version, another layout, a count of its calls. Linked to the shared library, with the host's
# symbols exported so that they would come first, and to the archive.
set -eu
source=$1 work=$2 llhttp=$3 include=$4
rm -rf "$work"
mkdir -p "$work/host"
cd "$work"
cp "$llhttp"/llhttp.c "$llhttp"/http.c "$llhttp"/api.c host
sed -e 's/^#define LLHTTP_VERSION_MAJOR .*/#define LLHTTP_VERSION_MAJOR 99/' \
  -e 's/^  int32_t _index;/  unsigned host_canary[64];\n&/' "$include/llhttp.h" > host/llhttp.h
sed -i -e 's/^llhttp_errno_t llhttp_execute(.*{/int host_llhttp_calls = 0;\n&\n  host_llhttp_calls++;/' host/api.c
grep -q host_canary host/llhttp.h
grep -q 'host_llhttp_calls++' host/api.c
for name in llhttp http api; do $CC -O1 -w -Ihost -c host/$name.c -o $name.o; done
$CC -Wall -Wextra -Werror -Ihost -D_GNU_SOURCE $(pkg-config --cflags smartvpn) -c "$source/host.c" -o host.o
$CC -rdynamic host.o llhttp.o http.o api.o $(pkg-config --libs smartvpn) -o shared
$CC -rdynamic host.o llhttp.o http.o api.o $(pkg-config --libs smartvpn-static) -o static
nm -D --defined-only shared | grep -q ' llhttp_execute$'
if readelf -d static | grep -q libsmartvpn; then exit 1; fi
./shared
LD_LIBRARY_PATH= ./static
