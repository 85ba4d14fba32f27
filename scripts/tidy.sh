#!/usr/bin/env bash
# clang-tidy over src/ and apps/, with what .clang-tidy asks for; a finding is a failure.
#   scripts/tidy.sh [BUILD]   a folder configured with clang (build/asan if not said); built in large pieces
#                             (CMAKE_UNITY_BUILD) it takes a fraction of the time
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/asan}
[ -f "$build/compile_commands.json" ] || cmake --preset asan -B "$build" >/dev/null
tidy=$(command -v clang-tidy-14 || command -v clang-tidy) || { echo "clang-tidy is not installed" >&2; exit 2; }

# Large pieces include sources by design. The static analyzer is left out: it takes what is included for headers,
# and with those it would walk all of the standard library's.
export tidy build
check() {
  "$tidy" -p "$build" --quiet --config-file=.clang-tidy "--checks=-bugprone-suspicious-include,-clang-analyzer-*" "$1" 2>&1 |
    { grep -v '^[0-9]* warnings\? .*generated' || true; }
  return "${PIPESTATUS[0]}"
}
export -f check
python3 - "$build" <<'PYTHON' | xargs -0 -n 1 -P "$(nproc)" bash -c 'check "$0"'
import json, os, sys
# The largest first, so that none is left over at the end.
files = []
for entry in json.load(open(os.path.join(sys.argv[1], "compile_commands.json"))):
    name, command = entry["file"], entry["command"]
    if not any(part in command for part in ("smartvpn_core.dir/", "smartvpn_capi.dir/", "smartvpn_cli.dir/")):
        continue
    text = open(name).read()
    pieces = [line.split('"')[1] for line in text.splitlines() if line.startswith('#include "/')]
    files.append((sum(os.path.getsize(piece) for piece in pieces) or len(text), name))
print("\0".join(name for _, name in sorted(files, reverse=True)), end="")
PYTHON
echo "clang-tidy has nothing to say"
