#!/bin/sh
# packages.sh SOURCE DEBS WORK NAME...: puts together what install.sh needs and runs it in a root of its own. NAME: what
# the build has to have made, at least.
set -eu
source=$1 debs=$2 work=$3
rm -rf "$work"
mkdir -p "$work"
shift 3
printf '%s\n' "$@" > "$work/expected"
cp -a "$debs"/*.deb "$source/examples/c/minimal.c" "$source/tests/abi/consumer" "$source/tests/packages/install.sh" \
  "$source/tests/packages/forget_dev_packages.sh" "$work"
exec sh "$source/tests/packages/own_root.sh" "$work" sh /inside/install.sh
