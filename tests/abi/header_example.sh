#!/bin/sh
# header_example.sh smartvpn.h WORK: the example at the top of the header compiles without a warning, and works.
set -eu
mkdir -p "$2"
sed -n '/^ \* example:/,/^ \* end of example/s/^ \*   //p' "$1" > "$2/example.c"
$CC -Wall -Wextra -Werror "$2/example.c" $(pkg-config --cflags --libs smartvpn) -o "$2/example"
"$2/example" | grep '"type":"listening"'
