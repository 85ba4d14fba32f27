#!/usr/bin/env bash
# Builds the benchmark as packagers build the library, and prints figures of this machine. Compare only
# figures of one run; what the tunnel carries beside a plain veth is in scripts/demo.sh.
#   scripts/bench.sh [primitives|server]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh

build=build/bench
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset release -B "$build" -DSMARTVPN_BUILD_TESTS=ON -DSMARTVPN_BUILD_EXAMPLES=OFF &&
       cmake --build "$build" --target smartvpn smartvpn_bench; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  exit 1
fi

echo "$(uname -srm), $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), $(nproc) processors"
"$build/tests/bench/smartvpn_bench" "$@"
library=$build/src/libsmartvpn.so.1
cp "$(readlink -f "$library")" "$build/stripped.so"
strip "$build/stripped.so"
printf '%-58s %12d %s\n' "libsmartvpn.so, stripped" "$(stat -c %s "$build/stripped.so")" bytes
rm -f "$build/stripped.so"
