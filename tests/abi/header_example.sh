#!/bin/sh
# header_example.sh smartvpn.h WORK: the examples in the header compile without a warning, and work.
set -eu
mkdir -p "$2"
awk -v work="$2" '/^ \* end of example/ { inside = 0 }
  inside && sub(/^ \*   /, "") { print > (work "/example" n ".c") }
  /^ \* example:/ { inside = 1; n++ }' "$1"
for example in server relay; do
  n=$((${n:-0} + 1))
  $CC -Wall -Wextra -Werror "$2/example$n.c" $(pkg-config --cflags --libs smartvpn) -o "$2/$example"
done
"$2/server" | grep '"type":"listening"'
"$2/relay" | grep '"address":"127.0.0.1:'
