#!/bin/sh
# old_header.sh SOURCE LIBRARY WORK [PROGRAM...]: programs that were compiled against another header than the library's run
# on it: the scenarios of this folder with the accepted copy of the header, and those that hand structs over with one from
# before a member was there and with one of a later release, in which every struct has grown and a function is new.
set -eu
source=$1 library=$(dirname "$2") work=$3
rm -rf "$work"
mkdir -p "$work"
accepted=$(find "$source/headers" -name 'smartvpn-*.h' | sort -V | tail -n 1)
for age in accepted older newer; do mkdir "$work/$age"; done
cp "$accepted" "$work/accepted/smartvpn.h"
sed '/^  smartvpn_authorize_fn authorize;/d' "$accepted" > "$work/older/smartvpn.h"
sed -e 's/^  smartvpn_authorize_fn authorize;.*/&\n  uint64_t later;/' -e 's/^  uint32_t reserved;.*/&\n  uint64_t later;/' \
  -e 's/^  uint64_t flags;.*/&\n  uint64_t later;/' \
  -e 's/^SMARTVPN_API uint32_t smartvpn_abi_version(void);/&\nSMARTVPN_API int32_t smartvpn_later(void);/' \
  "$accepted" > "$work/newer/smartvpn.h"
[ "$(diff "$accepted" "$work/older/smartvpn.h" | grep -c '^<')" = 1 ]
[ "$(diff "$accepted" "$work/newer/smartvpn.h" | grep -c '^>')" = 4 ]

# AGE NAME...: builds them, and runs each.
run() {
  age=$1
  shift
  for name in "$@"; do
    $CC -D_GNU_SOURCE -Wall -Werror -I"$work/$age" -I"$source" "$source/test_$name.c" $(pkg-config --cflags cmocka) \
      -L"$library" -lsmartvpn $(pkg-config --libs cmocka) -pthread -o "$work/$age/$name"
    LD_LIBRARY_PATH=$library "$work/$age/$name" > "$work/$age/$name.out" 2>&1 || { cat "$work/$age/$name.out"; exit 1; }
    echo "$age $name"
  done
}
# A program of every release's.
for header in "$source"/headers/smartvpn-*.h; do
  name=$(basename "$header" .h)
  mkdir "$work/$name"
  cp "$header" "$work/$name/smartvpn.h"
  $CC -Wall -Werror -I"$work/$name" "$source/consumer/consumer.c" -L"$library" -lsmartvpn -o "$work/$name/consumer"
  LD_LIBRARY_PATH=$library "$work/$name/consumer"
done
run accepted library errors config structs handles keys events callbacks stats packets sessions registry transactions \
  authorize lifecycle qr
run older callbacks events packets sessions
run newer structs callbacks events packets sessions stats
