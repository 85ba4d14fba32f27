#!/usr/bin/env bash
# WireGuard on this machine: ours beside current wireguard-go, Debian's, boringtun and plain veth, with and without
# `tx-udp-segmentation`; some 25 minutes. Prints figures; `scripts/bench.sh` alone writes them into docs/PERFORMANCE.md.
# On a machine that does other things as well: BENCH_PRIORITY="chrt -r 1". Needs root (uses sudo).
set -euo pipefail
exec "$(dirname "$0")/../../scripts/bench.sh" wireguard
