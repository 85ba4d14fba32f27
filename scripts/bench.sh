#!/usr/bin/env bash
# Builds the library as packagers do, measures it beside others on this machine, and writes docs/PERFORMANCE.md; some
# 45 minutes. Nothing passes or fails. On a machine that does other things as well, give what is measured the
# processors first: BENCH_PRIORITY="chrt -r 1". Needs root for network namespaces (uses sudo).
#   scripts/bench.sh                                                     everything, and docs/PERFORMANCE.md
#   scripts/bench.sh --continue FILE                                     the same, with what a broken-off run printed
#   scripts/bench.sh --renew                                             the section "Relay" of that page alone
#   scripts/bench.sh primitives|server|memory|tunnel|wireguard|relay|counts|bindings   these parts, to standard output
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh

build=build/bench
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset release -B "$build" -DSMARTVPN_BUILD_TESTS=ON -DSMARTVPN_BUILD_EXAMPLES=OFF \
         -DCMAKE_UNITY_BUILD=ON &&
       cmake --build "$build" -j "$(nproc)" --target smartvpn smartvpn_static smartvpn_cli smartvpn_python \
         bench_primitives bench_server bench_count bench_host bench_traffic wireguard_peer relay_load; \
     } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  exit 1
fi

# The honest rivals: those that cannot be had are named in the document, and left out.
[ "${1:-}" = --renew ] || scripts/rivals.sh >&2
export BENCH_RIVALS=$PWD/build/rivals

rm -f "$log"
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo --preserve-env=PATH,BENCH_PRIORITY,BENCH_RIVALS)
more=()
if [ "${1:-}" = --renew ]; then
  exec "${as_root[@]}" /usr/bin/python3 -B tests/bench/bench.py "$build" --renew docs/PERFORMANCE.md
fi
if [ "${1:-}" = --continue ]; then
  more=("$@")
elif [ $# -gt 0 ]; then
  exec "${as_root[@]}" /usr/bin/python3 -B tests/bench/bench.py "$build" "$@"
fi
touch docs/PERFORMANCE.md  # whoever runs this owns it
"${as_root[@]}" /usr/bin/python3 -B tests/bench/bench.py "$build" --write docs/PERFORMANCE.md "${more[@]}"
