#!/bin/sh
# symbols.sh shared|static LIBRARY symbols.txt: exactly the reviewed symbols leave the library. Those of the shared
# library carry their version; an archive has no versions, so there the names alone are compared.
set -eu
form=$1 library=$2 reviewed=$3
if [ "$form" = shared ]; then
  nm -D --defined-only "$library" | awk '$2!="A"{print $3}' | LC_ALL=C sort | diff "$reviewed" -
  readelf -d "$library" | grep -q 'SONAME.*\[libsmartvpn\.so\.1\]'
  readelf -d "$library" | grep -q NODELETE
else
  names=$(sed 's/@@.*//' "$reviewed")
  found=$(nm -g --defined-only "$library" | awk 'NF==3{print $3}' | LC_ALL=C sort)
  [ "$names" = "$found" ] || { echo "the archive's global symbols are:"; echo "$found"; exit 1; }
fi
