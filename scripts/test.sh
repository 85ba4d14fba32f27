#!/usr/bin/env bash
# All tests: the suite built plainly, then under ASan+UBSan with clang-tidy, then under TSan.
#   scripts/test.sh                everything
#   scripts/test.sh dev|asan|tsan  one of the three
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh

jobs=$(nproc)
export CTEST_OUTPUT_ON_FAILURE=1
# On CI's shared processors a real program may once start too slowly; the log keeps the first failure.
repeat=(); [ -z "${CI:-}" ] || repeat=(--repeat until-pass:2)
build_preset() {
  # In large pieces where everything is compiled anyway; a build folder that is there stays as it is.
  local unity=()
  [ -f "build/$1/CMakeCache.txt" ] || unity=(-DCMAKE_UNITY_BUILD=ON)
  cmake --preset "$1" "${unity[@]}" >"build-$1.log" 2>&1 || { cat "build-$1.log"; return 1; }
  cmake --build --preset "$1" -j "$jobs" >"build-$1.log" 2>&1 || { tail -n 60 "build-$1.log"; return 1; }
  rm -f "build-$1.log"
}
test_preset() {
  echo "== $1"
  # Most tests wait for a timer or for a program they started: twice as many as there are processors.
  ctest --test-dir "build/$1" -j $((2 * jobs)) --no-tests=error "${repeat[@]}"
  [ "$1" != asan ] || scripts/tidy.sh build/asan
}

presets=("$@")
[ $# -gt 0 ] || presets=(dev asan tsan)
next=
trap '[ -z "$next" ] || kill "$next" 2>/dev/null || true' EXIT
build_preset "${presets[0]}"
for i in "${!presets[@]}"; do
  # The next one is built meanwhile, from what the tests leave of the processors.
  following=${presets[$((i + 1))]:-}
  if [ -n "$following" ]; then
    (renice -n 19 -p "$BASHPID" >/dev/null && build_preset "$following") &
    next=$!
  fi
  test_preset "${presets[$i]}"
  [ -z "$next" ] || wait "$next"
  next=
done
